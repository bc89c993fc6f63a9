//! Two plots as SVG, written by hand: recall over the false rate, and how reliable probabilities are.

use std::fmt::Write as _;

use super::{Report, Row};
use crate::reliability::Reliability;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 520.0;
/// Space round the axes: left, top, right, bottom.
const MARGIN: [f64; 4] = [70.0, 40.0, 270.0, 50.0];
/// Told apart by most people whose sight of colours is impaired (Okabe and Ito 2008).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#999999",
];
/// False rates are drawn from here on, by their logarithm; less is drawn here.
const RATE_MIN: f64 = 0.01;
const RATE_MAX: f64 = 300.0;

/// Recall of gradual drifts over false failovers per resource-year: a line along each front, Evenkeel's
/// tolerances joined.
pub(super) fn recall(report: &Report) -> String {
    let mut plot = Plot::new(
        "Recall of gradual drifts over false failovers per resource-year (testing half)",
        "false failovers per resource-year",
        "recall",
    );
    for power in -2..=2 {
        let rate = 10_f64.powi(power);
        plot.tick_x(rate_place(rate), &format!("{rate}"));
    }
    for fifth in 0..=5 {
        let share = f64::from(fifth) / 5.0;
        plot.tick_y(share, &format!("{share:.1}"));
    }
    let place = |rate: f64, recall: Option<f64>| (rate_place(rate), recall.unwrap_or(0.0));
    let mut ours: Vec<(f64, f64)> = Vec::new();
    for row in report.rows.iter().filter(|row| row.is_evenkeel()) {
        ours.push(place(row.all.false_per_year, row.all.recall));
    }
    plot.points(0, &ours, 5.0);
    plot.legend(0, "Evenkeel, at six tolerances");
    for (row, colour) in report.rows.iter().filter(|row| !row.is_evenkeel()).zip(1..) {
        let front = row
            .front
            .iter()
            .map(|p| place(p.summary.false_per_year, p.summary.recall));
        let mut front: Vec<(f64, f64)> = front.collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0));
        plot.line(colour, &front);
        plot.points(
            colour,
            &[place(row.all.false_per_year, row.all.recall)],
            4.0,
        );
        plot.legend(colour, &row.name);
    }
    plot.finish()
}

fn rate_place(rate: f64) -> f64 {
    let (low, high) = (RATE_MIN.ln(), RATE_MAX.ln());
    ((rate.max(RATE_MIN).ln() - low) / (high - low)).min(1.0)
}

/// What came true over what was stated, by tenths.
pub(super) fn reliability(report: &Report) -> String {
    let mut plot = Plot::new(
        "Of what was given a probability, how much came true (testing half)",
        "stated",
        "came true",
    );
    for fifth in 0..=5 {
        let share = f64::from(fifth) / 5.0;
        plot.tick_x(share, &format!("{share:.1}"));
        plot.tick_y(share, &format!("{share:.1}"));
    }
    plot.line(7, &[(0.0, 0.0), (1.0, 1.0)]);
    let of = |row: &Row, what: &str| format!("{}: {what}", row.name);
    let mut colour = 0;
    for row in &report.rows {
        let parts = [
            ("limit", &row.limit),
            ("breaches", &row.breaches),
            ("triggers", &row.triggers),
        ];
        for (what, reliability) in parts {
            let Some(reliability) = reliability else {
                continue;
            };
            let points = shown(reliability);
            plot.line(colour, &points);
            plot.points(colour, &points, 3.0);
            plot.legend(colour, &of(row, what));
            colour += 1;
        }
    }
    plot.finish()
}

/// The tenths with enough statements to tell.
fn shown(reliability: &Reliability) -> Vec<(f64, f64)> {
    const ENOUGH: u64 = 10;
    let bins = reliability.bins().iter().filter(|bin| bin.count >= ENOUGH);
    bins.filter_map(|bin| bin.point()).collect()
}

/// A plot under way; places are shares of the axes.
struct Plot {
    out: String,
    legends: u16,
}

impl Plot {
    fn new(title: &str, x: &str, y: &str) -> Self {
        let [left, top, right, bottom] = MARGIN;
        let (across, down) = (WIDTH - left - right, HEIGHT - top - bottom);
        let out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{left}\" y=\"24\" font-size=\"15\">{}</text>\n\
             <rect x=\"{left}\" y=\"{top}\" width=\"{across}\" height=\"{down}\" fill=\"none\" stroke=\"#999\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"{left}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
            escape(title),
            left + across / 2.0,
            HEIGHT - 12.0,
            escape(x),
            top - 6.0,
            escape(y),
        );
        Self { out, legends: 0 }
    }

    fn place((x, y): (f64, f64)) -> (f64, f64) {
        let [left, top, right, bottom] = MARGIN;
        let across = left + x.clamp(0.0, 1.0) * (WIDTH - left - right);
        (
            across,
            HEIGHT - bottom - y.clamp(0.0, 1.0) * (HEIGHT - top - bottom),
        )
    }

    fn tick_x(&mut self, x: f64, text: &str) {
        let ((at, bottom), (_, top)) = (Self::place((x, 0.0)), Self::place((x, 1.0)));
        let _ = writeln!(
            self.out,
            "<line x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\" stroke=\"#eee\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            bottom + 16.0
        );
    }

    fn tick_y(&mut self, y: f64, text: &str) {
        let ((left, at), (right, _)) = (Self::place((0.0, y)), Self::place((1.0, y)));
        let _ = writeln!(
            self.out,
            "<line x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\" stroke=\"#eee\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            left - 6.0,
            at + 4.0
        );
    }

    fn line(&mut self, colour: usize, points: &[(f64, f64)]) {
        let at = |point: &(f64, f64)| {
            let (x, y) = Self::place(*point);
            format!("{x:.1},{y:.1}")
        };
        let points: Vec<String> = points.iter().map(at).collect();
        let _ = writeln!(
            self.out,
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\" points=\"{}\"/>",
            COLOURS[colour % COLOURS.len()],
            points.join(" ")
        );
    }

    fn points(&mut self, colour: usize, points: &[(f64, f64)], radius: f64) {
        for point in points {
            let (x, y) = Self::place(*point);
            let fill = COLOURS[colour % COLOURS.len()];
            let _ = writeln!(
                self.out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\"/>"
            );
        }
    }

    fn legend(&mut self, colour: usize, name: &str) {
        let x = WIDTH - MARGIN[2] + 12.0;
        let y = MARGIN[1] + 14.0 + 18.0 * f64::from(self.legends);
        self.legends += 1;
        let _ = writeln!(
            self.out,
            "<line x1=\"{x}\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\" stroke=\"{2}\" stroke-width=\"3\"/>\
             <text x=\"{3}\" y=\"{y}\">{4}</text>",
            y - 4.0,
            x + 18.0,
            COLOURS[colour % COLOURS.len()],
            x + 24.0,
            escape(name)
        );
    }

    fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_on_the_page_and_rise_with_their_values() {
        for rate in [0.0, 1e-9, 0.01, 1.0, 1e9] {
            let (x, _) = Plot::place((rate_place(rate), 0.5));
            assert!((MARGIN[0]..=WIDTH - MARGIN[2]).contains(&x), "{rate}");
        }
        assert!(rate_place(0.1) < rate_place(1.0));
        assert!(
            Plot::place((0.0, 1.0)).1 < Plot::place((0.0, 0.0)).1,
            "up is more"
        );
    }

    #[test]
    fn a_plot_ends_and_names_are_escaped() {
        let mut plot = Plot::new("a < b", "x", "y");
        plot.line(0, &[(0.0, 0.0), (1.0, 1.0)]);
        plot.legend(0, "c & d");
        let text = plot.finish();
        assert!(
            text.contains("a &lt; b") && text.contains("c &amp; d") && text.ends_with("</svg>\n")
        );
    }
}
