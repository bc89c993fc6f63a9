//! What is shown while it goes on: a picture that is drawn over and over on a terminal, lines where
//! there is none, JSON where a program reads, or nothing.

use std::io::{self, Write};
use std::time::Duration;

use evenkeel_api::wire::{BreachKind, Event, ForecastView, Generation, Severity, Verdict};
use evenkeel_cli::render::text::{self, elide};
use evenkeel_cli::render::{Paint, Painted, Style, one_line, sparkline};

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
/// So many lines of events stand under the picture: together they fit on 24 lines.
const EVENT_LINES: usize = 12;
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
                let surplus = self.events.len().saturating_sub(EVENT_LINES);
                self.events.drain(..surplus);
                Ok(())
            }
            Manner::Lines => writeln!(self.out, "{}", event_line(event).render(self.style)),
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
        let events: Vec<Painted> = self.events.iter().flat_map(event_lines).collect();
        lines.extend_from_slice(&events[events.len().saturating_sub(EVENT_LINES)..]);
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
    match (breach.kind, breach.harm_after_s) {
        (BreachKind::None, _) => Painted::new(Paint::Green, "stays in its band"),
        (BreachKind::Observed, _) => Painted::new(Paint::Red, "is at its limit"),
        (BreachKind::Predicted, Some(seconds)) => {
            let span = text::span(seconds);
            let when = text::breach_when(&breach);
            Painted::new(
                Paint::Red,
                format!("leaves its band {when}; at its limit in {span}"),
            )
        }
        (BreachKind::Predicted, None) => {
            let when = text::breach_when(&breach);
            Painted::new(Paint::Yellow, format!("leaves its band {when}"))
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

/// An event, on one line.
fn event_line(event: &Event) -> Painted {
    Painted::new(Paint::Dim, event_head(event)).then(event_paint(event), one_line(&event.sentence))
}

/// An event, on as many lines of the picture as it needs.
fn event_lines(event: &Event) -> Vec<Painted> {
    let head = event_head(event);
    let room = COLUMNS.saturating_sub(head.len());
    let pieces = wrapped(&one_line(&event.sentence), room)
        .into_iter()
        .enumerate();
    let line = |(i, piece): (usize, String)| {
        let before = if i == 0 {
            head.clone()
        } else {
            " ".repeat(head.len())
        };
        Painted::new(Paint::Dim, before).then(event_paint(event), piece)
    };
    pieces.map(line).collect()
}

fn event_head(event: &Event) -> String {
    format!("{} {:<9} ", text::time_of_day(&event.at), event.kind)
}

fn event_paint(event: &Event) -> Paint {
    match event.severity {
        Severity::Info => Paint::Plain,
        Severity::Warn => Paint::Yellow,
        Severity::Critical => Paint::Red,
    }
}

/// The text broken between words into lines of at most `room` columns; a word that is longer loses
/// its middle.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let word = elide(word, room);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(_) | None => lines.push(word),
        }
    }
    lines
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

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::EventKind;

    use super::*;

    fn event(sentence: &str) -> Event {
        Event {
            id: "e1".into(),
            at: "2026-11-24T23:14:05.000Z".into(),
            resource: Some("shop".into()),
            kind: EventKind::Decision,
            severity: Severity::Critical,
            sentence: sentence.into(),
            by: "evenkeel".into(),
            run: None,
            explained: false,
        }
    }

    #[test]
    fn a_long_event_is_broken_between_words_and_no_line_is_too_long() {
        let long = "failing over ".repeat(12) + &"x".repeat(200);
        let lines = event_lines(&event(&long));
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| line.width() <= COLUMNS));
        let first = lines[0].render(Style::PLAIN);
        assert!(
            first.starts_with("23:14:05Z decision  failing over failing"),
            "{first}"
        );
        assert!(
            lines[1]
                .render(Style::PLAIN)
                .starts_with("                    ")
        );
    }

    #[test]
    fn each_manner_shows_an_event_its_own_way() {
        let shown = |manner| {
            let mut out = Vec::new();
            View::new(&mut out, manner, Style::PLAIN)
                .event(&event("failing over\x1b[2J"))
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            shown(Manner::Lines),
            "23:14:05Z decision  failing over\\u{1b}[2J\n"
        );
        let json: Event = serde_json::from_str(&shown(Manner::Json)).unwrap();
        assert_eq!(json.id, "e1");
        assert_eq!(shown(Manner::Live) + &shown(Manner::Silent), "");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let bar = |share| bar(share, false).render(Style::PLAIN).matches('█').count();
        assert_eq!(
            (bar(0.0), bar(0.5), bar(1.0), bar(7.0)),
            (0, BAR / 2, BAR, BAR)
        );
    }
}
