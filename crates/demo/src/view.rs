//! What is shown while it goes on: a picture that is drawn over and over on a terminal, lines where
//! there is none, JSON where a program reads, or nothing.

use std::io::{self, Write};
use std::time::Duration;

use evenkeel_api::wire::{BreachKind, Event, ForecastView, Generation, Verdict};
use evenkeel_cli::render::text::{self, elide};
use evenkeel_cli::render::{Paint, Painted, Style, sparkline};

use crate::clients::Tally;
use crate::scene::{LIMIT, PROPERTY};
use crate::tuner::Progress;
use crate::witness::Sight;

/// Lines of the picture are no longer than this, so that every terminal takes them.
const COLUMNS: usize = 79;
/// The columns in front, for the headings.
const HEADING: usize = 12;
/// Columns of the bar.
const BAR: usize = 40;
/// So many events stand under the picture.
const EVENTS_SHOWN: usize = 8;
/// Where there is no terminal, a line says this often how it is.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A picture, drawn over and over.
    Live,
    /// Lines.
    Lines,
    /// Every event as a line of JSON.
    Json,
    /// Not at all, but for the end.
    Silent,
}

/// One moment of the demonstration.
#[derive(Clone, Debug)]
pub(crate) struct Moment<'a> {
    /// Since the start.
    pub(crate) elapsed: Duration,
    /// What the daemon says.
    pub(crate) sight: &'a Sight,
    /// What the clients saw; `None` before there are any.
    pub(crate) tally: Option<Tally>,
    /// Where the tuner is; `None` before it starts.
    pub(crate) tuner: Option<Progress>,
}

/// Shows moments and events.
pub(crate) struct View<'a> {
    out: &'a mut dyn Write,
    manner: Manner,
    style: Style,
    /// The last events, for the picture.
    events: Vec<Event>,
    lines_drawn: usize,
    last_line_at: Option<Duration>,
}

impl<'a> View<'a> {
    /// Shows on `out`.
    pub(crate) fn new(out: &'a mut dyn Write, manner: Manner, style: Style) -> Self {
        Self {
            out,
            manner,
            style,
            events: Vec::new(),
            lines_drawn: 0,
            last_line_at: None,
        }
    }

    /// Something happened.
    pub(crate) fn event(&mut self, event: &Event) -> io::Result<()> {
        match self.manner {
            Manner::Live => {
                self.events.push(event.clone());
                let surplus = self.events.len().saturating_sub(EVENTS_SHOWN);
                self.events.drain(..surplus);
                Ok(())
            }
            Manner::Lines => writeln!(self.out, "{}", event_line(event, None).render(self.style)),
            Manner::Json => {
                let line = serde_json::to_string(event)?;
                writeln!(self.out, "{line}")
            }
            Manner::Silent => Ok(()),
        }
    }

    /// How it is now.
    pub(crate) fn moment(&mut self, moment: &Moment<'_>) -> io::Result<()> {
        match self.manner {
            Manner::Live => self.draw(moment),
            Manner::Lines => {
                let is_due = |at| moment.elapsed.saturating_sub(at) >= LINE_EVERY;
                if self.last_line_at.is_none_or(is_due) {
                    self.last_line_at = Some(moment.elapsed);
                    writeln!(self.out, "{}", moment_line(moment).render(self.style))?;
                }
                Ok(())
            }
            Manner::Json | Manner::Silent => Ok(()),
        }
    }

    fn draw(&mut self, moment: &Moment<'_>) -> io::Result<()> {
        let mut lines = picture(moment);
        lines.push(Painted::default());
        lines.extend(
            self.events
                .iter()
                .map(|event| event_line(event, Some(COLUMNS))),
        );
        // In one piece, so that the picture does not flicker.
        let mut frame = String::new();
        if self.lines_drawn > 0 {
            frame += &format!("\x1b[{}A", self.lines_drawn);
        }
        for line in &lines {
            frame += &format!("\r\x1b[2K{}\n", line.render(self.style));
        }
        frame += "\x1b[J";
        self.lines_drawn = lines.len();
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

fn picture(moment: &Moment<'_>) -> Vec<Painted> {
    let resource = &moment.sight.resource;
    let entrance = resource.status.entrance.as_deref().unwrap_or("-");
    let mut lines = vec![
        Painted::new(Paint::Bold, "evenkeel demo").then(
            Paint::Dim,
            format!("  +{:.1} s", moment.elapsed.as_secs_f64()),
        ),
        row("resource")
            .then(Paint::Cyan, resource.status.phase.as_str())
            .then(
                Paint::Plain,
                format!(", instance {} serves {entrance}", resource.status.serving),
            ),
    ];
    match &moment.sight.forecast {
        Some(forecast) => lines.extend(forecast_lines(forecast)),
        None => lines.push(row("value").then(Paint::Dim, "not known yet")),
    }
    lines.push(row("generations").join(generations(&moment.sight.generations)));
    lines.push(row("clients").join(clients(moment.tally.as_ref())));
    lines.push(row("tuner").join(tuner(moment.tuner.as_ref())));
    lines
}

fn row(heading: &str) -> Painted {
    Painted::new(Paint::Dim, format!("{heading:<HEADING$}"))
}

fn forecast_lines(forecast: &ForecastView) -> [Painted; 3] {
    let value = text::value(forecast.value.as_ref(), None);
    let approved = text::value(forecast.approved.as_ref(), None);
    let number = forecast
        .value
        .as_ref()
        .and_then(|value| value.value.as_f64())
        .unwrap_or(0.0);
    let recent: Vec<Option<f64>> = forecast
        .recent
        .iter()
        .map(|point| Some(point.value))
        .collect();
    let shown = &recent[recent.len().saturating_sub(BAR)..];
    let is_outside = forecast.band.is_breached_by(forecast.deviation);
    [
        row("value")
            .join(bar(number / LIMIT as f64, is_outside))
            .then(Paint::Bold, format!(" {value}"))
            .then(Paint::Plain, format!(" of {}, approved {approved}", LIMIT)),
        row("deviation").join(sparkline(shown, forecast.band)).then(
            Paint::Plain,
            format!(
                " {} band {}",
                text::deviation(forecast.deviation),
                text::band(forecast.band)
            ),
        ),
        row("forecast").join(outlook(forecast)),
    ]
}

/// A share of the limit as a bar.
fn bar(share: f64, is_outside: bool) -> Painted {
    // The cast is exact: 0 to BAR.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let filled = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    let paint = if is_outside {
        Paint::Yellow
    } else {
        Paint::Green
    };
    Painted::new(paint, "█".repeat(filled)).then(Paint::Dim, "░".repeat(BAR - filled))
}

fn outlook(forecast: &ForecastView) -> Painted {
    let breach = forecast.breach;
    let confidence = text::percent(breach.confidence);
    match (breach.kind, breach.harm_after_s) {
        (BreachKind::None, _) => Painted::new(Paint::Green, "stays in its band"),
        (BreachKind::Observed, _) => Painted::new(Paint::Red, "is at its limit"),
        (BreachKind::Predicted, Some(seconds)) => {
            let span = text::span(seconds);
            Painted::new(
                Paint::Red,
                format!("reaches the limit in {span}, confidence {confidence}"),
            )
        }
        (BreachKind::Predicted, None) => {
            let span = text::span(breach.lead_time_s.unwrap_or_default());
            Painted::new(
                Paint::Yellow,
                format!("leaves its band in {span}, confidence {confidence}"),
            )
        }
    }
}

/// The newest generations, oldest first, each with its verdict.
fn generations(all: &[Generation]) -> Painted {
    const SHOWN: usize = 6;
    let mut line = Painted::default();
    if all.len() > SHOWN {
        line = line.then(Paint::Dim, format!("{} older, ", all.len() - SHOWN));
    }
    for generation in all.iter().take(SHOWN).rev() {
        let paint = match generation.verdict {
            Verdict::Good => Paint::Green,
            Verdict::Suspect => Paint::Yellow,
            Verdict::Quarantined => Paint::Red,
        };
        // Short enough for a line; the colour does not say it alone.
        let mark = match generation.verdict {
            Verdict::Good => "good",
            Verdict::Suspect => "susp",
            Verdict::Quarantined => "quar",
        };
        line = line.then(paint, format!("{} {mark}  ", generation.id));
    }
    if all.is_empty() {
        Painted::new(Paint::Dim, "none yet")
    } else {
        line
    }
}

fn clients(tally: Option<&Tally>) -> Painted {
    let Some(tally) = tally else {
        return Painted::new(Paint::Dim, "none yet");
    };
    let paint = if tally.failed == 0 {
        Paint::Green
    } else {
        Paint::Red
    };
    let by = tally.last_by.as_deref().unwrap_or("nobody");
    let gap = tally.longest_gap.as_millis();
    Painted::plain(format!("{} requests, ", tally.total))
        .then(paint, format!("{} failed", tally.failed))
        .then(
            Paint::Plain,
            format!(", longest gap {gap} ms, answered by {by}"),
        )
}

fn tuner(progress: Option<&Progress>) -> Painted {
    let Some(progress) = progress else {
        return Painted::new(Paint::Dim, "not yet let loose");
    };
    match (&progress.ended, progress.value) {
        (Some(why), _) => Painted::plain(elide(&format!("ended: {why}"), COLUMNS - HEADING)),
        (None, Some(value)) => Painted::plain(format!(
            "wrote {value}, its write number {}",
            progress.writes
        )),
        (None, None) => Painted::plain("about to write"),
    }
}

fn event_line(event: &Event, columns: Option<usize>) -> Painted {
    let paint = match event.severity {
        evenkeel_api::wire::Severity::Info => Paint::Plain,
        evenkeel_api::wire::Severity::Warn => Paint::Yellow,
        evenkeel_api::wire::Severity::Critical => Paint::Red,
    };
    let head = format!("{} {:<9} ", text::time_of_day(&event.at), event.kind);
    let sentence = evenkeel_cli::render::one_line(&event.sentence);
    let room = columns.map(|columns| columns.saturating_sub(head.len()));
    let sentence = room.map_or(sentence.clone(), |room| elide(&sentence, room));
    Painted::new(Paint::Dim, head).then(paint, sentence)
}

/// How it is, on one line.
fn moment_line(moment: &Moment<'_>) -> Painted {
    let status = &moment.sight.resource.status;
    let mut line = Painted::new(
        Paint::Dim,
        format!("+{:>5.1} s ", moment.elapsed.as_secs_f64()),
    )
    .then(
        Paint::Plain,
        format!("{}, {} serves", status.phase, status.serving),
    );
    if let Some(forecast) = &moment.sight.forecast {
        let value = text::value(forecast.value.as_ref(), None);
        line = line
            .then(Paint::Plain, format!("; {PROPERTY} {value} of {LIMIT}, "))
            .join(outlook(forecast));
    }
    if let Some(tally) = &moment.tally {
        line = line.then(Paint::Plain, "; ").join(clients(Some(tally)));
    }
    line
}
