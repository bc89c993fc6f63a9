//! A plot of each property that moved, as SVG: its deviation in its band, what was forecast when something was
//! decided about it, the decisions, and the harm.
//!
//! A track is never longer than a page is wide: when it grows too long, neighbours become one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use evenkeel_core::outlook::PropertyOutlook;
use evenkeel_core::reason::Reason;
use evenkeel_core::replay::Decided;
use evenkeel_core::{PropertyPath, Timestamp};

use super::run::Ran;
use super::source::{Harm, Subject};
use crate::error::CliError;
use crate::render::svg::{escape, file_name, tick};
use crate::render::text::date_time;
use crate::series::cells::short;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
/// Space round the axes: left, top, right, bottom.
const MARGIN: [f64; 4] = [60.0, 72.0, 40.0, 30.0];
/// Rows of labels above the axes, and their distance.
const ROWS: usize = 3;
const ROW: f64 = 12.0;
/// About the width of a letter of a label.
const LETTER: f64 = 5.6;
/// Stretches of time that a track holds at most.
const STRETCHES: usize = 2048;
/// More than so many mean stretches without a probe are a gap.
const GAP: f64 = 4.0;

/// What was seen in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    at: Timestamp,
    /// Of the deviation.
    low: f64,
    high: f64,
    /// The edges of the band, at their narrowest.
    lower: f64,
    upper: f64,
}

/// The course of one property.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    stretches: Vec<Stretch>,
    /// Probes that become one stretch, and how many of the last one there are.
    per: u32,
    filled: u32,
}

/// The tracks of one resource.
pub(super) type Tracks = BTreeMap<PropertyPath, Track>;

/// Adds what was seen at one probe of those that moved, then or before.
pub(super) fn follow(tracks: &mut Tracks, at: Timestamp, outlooks: &[PropertyOutlook]) {
    for outlook in outlooks {
        let seen = Stretch {
            at,
            low: outlook.deviation,
            high: outlook.deviation,
            lower: -outlook.band.lower,
            upper: outlook.band.upper,
        };
        match tracks.get_mut(&outlook.path) {
            Some(track) => track.add(seen),
            None if !outlook.has_moved() => {}
            None => {
                tracks.insert(outlook.path.clone(), Track::new(seen));
            }
        }
    }
}

impl Stretch {
    fn with(self, next: &Self) -> Self {
        Self {
            at: self.at,
            low: self.low.min(next.low),
            high: self.high.max(next.high),
            lower: self.lower.max(next.lower),
            upper: self.upper.min(next.upper),
        }
    }
}

impl Track {
    fn new(first: Stretch) -> Self {
        Self {
            stretches: vec![first],
            per: 1,
            filled: 1,
        }
    }

    fn add(&mut self, seen: Stretch) {
        match self.stretches.last_mut() {
            Some(last) if self.filled < self.per => {
                *last = last.with(&seen);
                self.filled += 1;
                return;
            }
            Some(_) | None => {}
        }
        if self.stretches.len() == STRETCHES {
            let pairs = self.stretches.chunks(2);
            self.stretches = pairs
                .map(|pair| pair[1..].iter().fold(pair[0], Stretch::with))
                .collect();
            self.per *= 2;
        }
        self.stretches.push(seen);
        self.filled = 1;
    }
}

/// Writes a plot of every track of every subject into `directory`.
pub(super) fn write(
    directory: &Path,
    subjects: &[Subject],
    ran: &Ran,
    harms: &[BTreeMap<PropertyPath, Harm>],
) -> Result<(), CliError> {
    let failed = |path: &Path, error: std::io::Error| {
        CliError::Failed(format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let span = ran.span.unwrap_or_default();
    let mut number = 0;
    for (index, (subject, tracks)) in subjects.iter().zip(&ran.tracks).enumerate() {
        let decisions = ran.replayed.get(index).map_or(&[][..], |r| &r.decisions);
        for (path, track) in tracks {
            number += 1;
            let scene = Scene {
                title: format!("{}: {path}", subject.id),
                path,
                track,
                span,
                decisions,
                harm: harms.get(index).and_then(|harms| harms.get(path)),
            };
            let name = file_name(number, &format!("{}-{path}", subject.id));
            let file = directory.join(name);
            fs::write(&file, svg(&scene)).map_err(|error| failed(&file, error))?;
        }
    }
    Ok(())
}

/// What is drawn.
struct Scene<'a> {
    title: String,
    path: &'a PropertyPath,
    track: &'a Track,
    /// Of the whole replay.
    span: (Timestamp, Timestamp),
    decisions: &'a [Decided],
    harm: Option<&'a Harm>,
}

fn svg(scene: &Scene<'_>) -> String {
    let frame = Frame::new(&scene.track.stretches, scene.span);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"24\" font-size=\"15\">{}</text>\n",
        MARGIN[0],
        escape(&short(&scene.title)),
    );
    axes(&mut out, &frame);
    for run in runs(&scene.track.stretches) {
        band(&mut out, &frame, run);
        deviation(&mut out, &frame, run);
    }
    let mut labels = Labels::default();
    if let Some(harm) = scene.harm {
        mark(&mut out, (&frame, &mut labels), harm.at, "black", "harm");
    }
    for decided in scene.decisions {
        decision(&mut out, (&frame, &mut labels), scene.path, decided);
    }
    out.push_str("</svg>\n");
    out
}

/// From instants and deviations to the page.
struct Frame {
    from: Timestamp,
    seconds: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn new(stretches: &[Stretch], (first, last): (Timestamp, Timestamp)) -> Self {
        // The limits are always in sight.
        let (low, high) = (stretches.iter()).fold((-1.0_f64, 1.0_f64), |(low, high), stretch| {
            (low.min(stretch.low), high.max(stretch.high))
        });
        let room = (high - low) * 0.05;
        Self {
            from: first,
            seconds: last.since(first).as_secs_f64().max(1.0),
            low: low - room,
            high: high + room,
        }
    }

    fn x(&self, at: Timestamp) -> f64 {
        let [left, _, right, _] = MARGIN;
        let across = at.since(self.from).as_secs_f64() / self.seconds;
        left + across.clamp(0.0, 1.0) * (WIDTH - left - right)
    }

    fn y(&self, deviation: f64) -> f64 {
        let [_, top, _, bottom] = MARGIN;
        let up = ((deviation - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        HEIGHT - bottom - up * (HEIGHT - top - bottom)
    }
}

fn axes(out: &mut String, frame: &Frame) {
    let [left, _, right, bottom] = MARGIN;
    for (value, colour) in [(-1.0, "#d55e00"), (0.0, "#999"), (1.0, "#d55e00")] {
        let y = frame.y(value);
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"{colour}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - right,
            left - 6.0,
            y + 4.0,
            tick(value)
        );
    }
    let until = frame.from + std::time::Duration::from_secs_f64(frame.seconds);
    for (at, anchor) in [(frame.from, "start"), (until, "end")] {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            frame.x(at),
            HEIGHT - bottom + 18.0,
            date_time(&at.to_string())
        );
    }
}

/// Stretches without a gap between them.
fn runs(stretches: &[Stretch]) -> impl Iterator<Item = &[Stretch]> {
    let span = match (stretches.first(), stretches.last()) {
        (Some(first), Some(last)) => last.at.since(first.at),
        (_, _) => std::time::Duration::ZERO,
    };
    let steps = u32::try_from(stretches.len().saturating_sub(1).max(1)).unwrap_or(u32::MAX);
    let gap = (span / steps).mul_f64(GAP);
    stretches.chunk_by(move |a, b| b.at.since(a.at) <= gap)
}

fn band(out: &mut String, frame: &Frame, run: &[Stretch]) {
    let point = |at: Timestamp, y: f64| format!("{:.1},{:.1}", frame.x(at), frame.y(y));
    let upper = run.iter().map(|s| point(s.at, s.upper));
    let lower = run.iter().rev().map(|s| point(s.at, s.lower));
    let points: Vec<String> = upper.chain(lower).collect();
    let _ = writeln!(
        out,
        "<polygon fill=\"#009e73\" fill-opacity=\"0.15\" points=\"{}\"/>",
        points.join(" ")
    );
}

fn deviation(out: &mut String, frame: &Frame, run: &[Stretch]) {
    let points: Vec<String> = (run.iter())
        .flat_map(|s| [(s.at, s.low), (s.at, s.high)])
        .map(|(at, y)| format!("{:.1},{:.1}", frame.x(at), frame.y(y)))
        .collect();
    let _ = writeln!(
        out,
        "<polyline fill=\"none\" stroke=\"#0072b2\" stroke-width=\"1\" points=\"{}\"/>",
        points.join(" ")
    );
}

/// A decision about the property, with the median that was forecast for the horizon.
fn decision(
    out: &mut String,
    (frame, labels): (&Frame, &mut Labels),
    path: &PropertyPath,
    decided: &Decided,
) {
    let explanation = &decided.decision.explanation;
    let (about, colour, word) = match &explanation.reason {
        Reason::FailOver { path, .. } => (path, "#d55e00", "failover"),
        Reason::HeldBack { path, guard, .. } => (path, "#e69f00", guard.as_str()),
        Reason::Watched { path, .. } => (path, "#999", "alert"),
        Reason::Surprised { path, .. } => (path, "#999", "surprise"),
        Reason::Quiet
        | Reason::NotSustained { .. }
        | Reason::Unknown { .. }
        | Reason::BaselineTaken
        | Reason::Seeded
        | Reason::Moved { .. }
        | Reason::MoveUndone { .. }
        | Reason::Stuck { .. }
        | Reason::Reinstated { .. }
        | Reason::ReinstatementFailed { .. }
        | Reason::Commanded { .. }
        | Reason::Refused { .. } => return,
    };
    if about != path {
        return;
    }
    mark(out, (frame, labels), decided.at, colour, word);
    let outlook = explanation.outlooks.iter().find(|o| o.path == *path);
    let Some((outlook, forecast)) = outlook.and_then(|o| Some((o, o.forecast.as_ref()?))) else {
        return;
    };
    let Some(furthest) = forecast.quantiles.len().checked_sub(1) else {
        return;
    };
    let median = forecast.quantiles[furthest].median();
    let ends = decided.at + forecast.grid.span(furthest);
    let _ = writeln!(
        out,
        "<line class=\"forecast\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" \
         stroke-width=\"2\"/>",
        frame.x(decided.at),
        frame.y(outlook.deviation),
        frame.x(ends),
        frame.y(median)
    );
}

/// Which room is taken above the axes: from where to where, and by which word, in each row.
#[derive(Debug, Default)]
struct Labels([Vec<(f64, f64, String)>; ROWS]);

impl Labels {
    /// The height at which there is room for `word` at `x`. `None` where there is none, or where the same word
    /// stands already: its line tells the rest.
    fn place(&mut self, x: f64, word: &str) -> Option<f64> {
        let letters = u32::try_from(word.chars().count()).unwrap_or(u32::MAX);
        let (from, until) = (x, x + LETTER * f64::from(letters + 1));
        let meets = |taken: &&(f64, f64, String)| taken.0 < until && from < taken.1;
        if self
            .0
            .iter()
            .flatten()
            .filter(meets)
            .any(|taken| taken.2 == word)
        {
            return None;
        }
        let row = self
            .0
            .iter()
            .position(|row| !row.iter().any(|taken| meets(&taken)))?;
        self.0[row].push((from, until, word.to_owned()));
        let [_, top, _, _] = MARGIN;
        let up = ROW * f64::from(u32::try_from(row).unwrap_or(u32::MAX));
        Some(top - 4.0 - up)
    }
}

fn mark(
    out: &mut String,
    (frame, labels): (&Frame, &mut Labels),
    at: Timestamp,
    colour: &str,
    word: &str,
) {
    let [_, top, _, bottom] = MARGIN;
    let x = frame.x(at);
    let _ = writeln!(
        out,
        "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"{colour}\" \
         stroke-dasharray=\"4,3\"><title>{}: {}</title></line>",
        HEIGHT - bottom,
        escape(word),
        date_time(&at.to_string()),
    );
    if let Some(y) = labels.place(x, word) {
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y}\" fill=\"{colour}\" font-size=\"10\">{}</text>",
            escape(word)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(i: u32, deviation: f64) -> Stretch {
        Stretch {
            at: Timestamp::from_millis(i64::from(i) * 1000),
            low: deviation,
            high: deviation,
            lower: -0.5,
            upper: 0.5,
        }
    }

    #[test]
    fn a_long_track_stays_as_wide_as_a_page_and_loses_no_extreme() {
        let mut track = Track::new(seen(0, 0.0));
        for i in 1..20_000 {
            track.add(seen(i, if i == 7_777 { 3.0 } else { 0.0 }));
        }
        assert!(track.stretches.len() <= STRETCHES);
        let high = track.stretches.iter().map(|s| s.high).fold(0.0, f64::max);
        assert_eq!(high, 3.0);
        let instants: Vec<Timestamp> = track.stretches.iter().map(|s| s.at).collect();
        assert!(instants.is_sorted());
    }

    #[test]
    fn labels_stand_beside_or_above_each_other_and_are_left_out_where_there_is_no_room() {
        let mut labels = Labels::default();
        let first = labels.place(100.0, "failover").unwrap();
        assert_eq!(labels.place(110.0, "failover"), None, "it stands there");
        let above = labels.place(110.0, "cool-down").unwrap();
        assert!(above < first - 10.0);
        assert!(labels.place(90.0, "alert").unwrap() < above - 10.0);
        assert_eq!(labels.place(105.0, "harm"), None, "all rows are taken");
        assert_eq!(labels.place(300.0, "failover"), Some(first));
    }

    #[test]
    fn a_gap_is_not_drawn_over() {
        let mut stretches: Vec<Stretch> = (0..50).map(|i| seen(i, 0.1)).collect();
        stretches.extend((100..150).map(|i| seen(i, 0.1)));
        assert_eq!(runs(&stretches).count(), 2);
        assert_eq!(runs(&stretches[..1]).count(), 1);
    }
}
