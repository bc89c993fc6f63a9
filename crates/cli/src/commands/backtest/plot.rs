//! A plot of one series as SVG: the end of its history, what came, and what each model said.
//!
//! Written by hand: it is a few lines and shapes, and a plotting library would be larger than the rest of
//! the command line.

use std::fmt::Write as _;

use evenkeel_core::forecast::Quantiles;

use crate::render::svg::{escape, tick};
use crate::series::cells::short;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 400.0;
/// Space round the axes: left, top, right, bottom.
const MARGIN: [f64; 4] = [70.0, 40.0, 150.0, 30.0];
/// Told apart by most people whose sight of colours is impaired (Okabe and Ito 2008).
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31",
];
/// How many horizons of history are shown.
const TAIL: usize = 3;

/// What is drawn.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) title: &'a str,
    /// All values; NaN is a gap.
    pub(super) values: &'a [f64],
    /// How many of them were known.
    pub(super) origin: usize,
    pub(super) level: f64,
    pub(super) models: Vec<(&'a str, &'a [Quantiles])>,
}

/// The document.
pub(super) fn svg(scene: &Scene<'_>) -> String {
    let horizon = scene.models.iter().map(|(_, f)| f.len()).max().unwrap_or(0);
    let from = scene.origin.saturating_sub(TAIL * horizon.max(8));
    let until = scene.values.len().min(scene.origin + horizon);
    let shown = scene.values.get(from..until).unwrap_or_default();
    let frame = Frame::new(scene, from, shown, horizon);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"24\" font-size=\"15\">{}: {} % intervals</text>\n",
        MARGIN[0],
        escape(&short(scene.title)),
        (scene.level * 100.0 * 10.0).round() / 10.0,
    );
    axes(&mut out, &frame, scene.origin);
    for ((name, forecast), number) in scene.models.iter().zip(0_u16..) {
        let colour = COLOURS[usize::from(number) % COLOURS.len()];
        model(&mut out, &frame, scene, forecast, colour);
        let y = MARGIN[1] + 14.0 + 18.0 * f64::from(number + 1);
        legend(&mut out, y, colour, name);
    }
    legend(&mut out, MARGIN[1] + 14.0, "black", "what came");
    for run in runs(shown) {
        let points = run
            .iter()
            .map(|(i, value)| frame.at(from + i, *value))
            .collect::<Vec<_>>()
            .join(" ");
        // A line of one point is none: a dot shows it.
        if let [(i, value)] = run[..] {
            let (x, y) = frame.place(from + i, value);
            let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.5\"/>");
        } else {
            let _ = writeln!(
                out,
                "<polyline fill=\"none\" stroke=\"black\" stroke-width=\"1.2\" points=\"{points}\"/>"
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

/// From steps and values to the page.
struct Frame {
    from: usize,
    steps: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn new(scene: &Scene<'_>, from: usize, shown: &[f64], horizon: usize) -> Self {
        // The scale is that of what came and of the medians, with room for intervals of a usual width: one
        // that explodes leaves the page instead of flattening everything else.
        let medians = scene
            .models
            .iter()
            .flat_map(|(_, forecast)| forecast.iter().map(Quantiles::median));
        let values = shown.iter().copied().chain(medians);
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let room = if high > low {
            (high - low) * 0.4
        } else {
            high.abs().max(1.0) * 0.1
        };
        Self {
            from,
            steps: count(scene.origin + horizon - from).max(2.0) - 1.0,
            low: low - room,
            high: high + room,
        }
    }

    fn place(&self, step: usize, value: f64) -> (f64, f64) {
        let [left, top, right, bottom] = MARGIN;
        let across = count(step.saturating_sub(self.from)) / self.steps;
        let up = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        (
            left + across * (WIDTH - left - right),
            HEIGHT - bottom - up * (HEIGHT - top - bottom),
        )
    }

    fn at(&self, step: usize, value: f64) -> String {
        let (x, y) = self.place(step, value);
        format!("{x:.1},{y:.1}")
    }
}

#[allow(clippy::cast_precision_loss)] // Counts of steps.
fn count(steps: usize) -> f64 {
    steps as f64
}

fn axes(out: &mut String, frame: &Frame, origin: usize) {
    let [left, top, right, bottom] = MARGIN;
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let value = frame.low + share * (frame.high - frame.low);
        let y = HEIGHT - bottom - share * (HEIGHT - top - bottom);
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - right,
            left - 6.0,
            y + 4.0,
            tick(value)
        );
    }
    let (x, _) = frame.place(origin.saturating_sub(1), frame.low);
    let _ = writeln!(
        out,
        "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#999\" \
         stroke-dasharray=\"3,3\"/>\
         <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">step {origin}</text>",
        HEIGHT - bottom,
        HEIGHT - 10.0
    );
}

fn model(out: &mut String, frame: &Frame, scene: &Scene<'_>, forecast: &[Quantiles], colour: &str) {
    let along = |value: &dyn Fn(&Quantiles) -> f64| -> Vec<String> {
        forecast
            .iter()
            .enumerate()
            .map(|(ahead, quantiles)| frame.at(scene.origin + ahead, value(quantiles)))
            .collect()
    };
    let upper = along(&|quantiles| quantiles.interval(scene.level).1);
    let mut lower = along(&|quantiles| quantiles.interval(scene.level).0);
    lower.reverse();
    let median = along(&Quantiles::median).join(" ");
    let band = [upper, lower].concat().join(" ");
    let _ = writeln!(
        out,
        "<polygon fill=\"{colour}\" fill-opacity=\"0.12\" points=\"{band}\"/>\n\
         <polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\" points=\"{median}\"/>"
    );
}

fn legend(out: &mut String, y: f64, colour: &str, name: &str) {
    let x = WIDTH - MARGIN[2] + 12.0;
    let _ = writeln!(
        out,
        "<line x1=\"{x}\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\" stroke=\"{colour}\" stroke-width=\"3\"/>\
         <text x=\"{2}\" y=\"{y}\">{3}</text>",
        y - 4.0,
        x + 18.0,
        x + 24.0,
        escape(name)
    );
}

/// Values between gaps, each with its place.
fn runs(values: &[f64]) -> Vec<Vec<(usize, f64)>> {
    let mut runs = vec![Vec::new()];
    for (i, value) in values.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if value.is_finite() => run.push((i, *value)),
            Some(run) if run.is_empty() => {}
            Some(_) | None => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast() -> Vec<Quantiles> {
        let mut values = [0.0; evenkeel_core::forecast::LEVELS.len()];
        (0_u8..)
            .zip(&mut values)
            .for_each(|(i, v)| *v = f64::from(i));
        vec![Quantiles::new(values), Quantiles::certain(6.0)]
    }

    #[test]
    fn a_plot_has_history_actuals_and_each_model() {
        let forecast = forecast();
        let scene = Scene {
            title: "a <b> & c",
            values: &[1.0, 2.0, f64::NAN, 4.0, 5.0, 6.0],
            origin: 4,
            level: 0.95,
            models: vec![("mixture", &forecast), ("drift", &forecast)],
        };
        let text = svg(&scene);
        assert!(
            text.contains("a &lt;b&gt; &amp; c: 95 % intervals"),
            "{text}"
        );
        assert!(text.contains(">mixture<") && text.contains(">drift<"));
        assert_eq!(text.matches("<polygon").count(), 2);
        // Two medians and two runs of values.
        assert_eq!(text.matches("<polyline").count(), 4);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.ends_with("</svg>\n"));
    }

    #[test]
    fn a_plot_of_nothing_or_of_a_constant_is_still_one() {
        let certain = vec![Quantiles::certain(3.0)];
        for values in [&[][..], &[f64::NAN], &[3.0, 3.0], &[1e30, -1e30]] {
            let scene = Scene {
                title: "x",
                values,
                origin: values.len(),
                level: 0.9,
                models: vec![("drift", &certain)],
            };
            let text = svg(&scene);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}
