//! `explain`: everything about one decision, in the order in which an operator asks: what was seen,
//! what was predicted, how far it may go, what was held against acting, what was done, and what was
//! found.

use evenkeel_api::wire::{BreachKind, EventDetail, Explanation, Outlook};
use evenkeel_core::Timestamp;

use super::status::breach_paint;
use crate::args::ExplainArgs;
use crate::error::CliError;
use crate::render::text::{
    band, breach_harm, breach_when, date_time, deviation, expected, from_now, limit, value,
};
use crate::render::{Fan, FanError, Page, Paint, Painted, Style, guard_lines, run_lines};
use crate::session::Session;

pub(super) async fn explain(session: &mut Session<'_>, args: &ExplainArgs) -> Result<(), CliError> {
    let detail = session.client.event(&args.event).await?;
    if args.json {
        return session.json(&detail);
    }
    let page = page(&detail, session.now(), session.screen.style)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    session.text(&page)
}

fn page(detail: &EventDetail, now: Timestamp, style: Style) -> Result<String, FanError> {
    let event = &detail.event;
    let mut page = Page::new(style);
    let resource = event
        .resource
        .as_deref()
        .map(|resource| format!(" of {resource}"))
        .unwrap_or_default();
    page.line(
        Painted::new(
            Paint::Bold,
            format!("{} {}{resource}", event.id, event.kind),
        )
        .then(
            Paint::Plain,
            format!(
                ", {} ({}), by {}",
                date_time(&event.at),
                from_now(now, &event.at),
                event.by
            ),
        ),
    );
    page.item(event.sentence.as_str());
    if let Some(explanation) = &detail.explanation {
        reasons(&mut page, explanation, &event.at)?;
    }
    if let Some(text) = &detail.detail {
        page.heading("Detail");
        page.block(text);
    }
    if !detail.runs.is_empty() {
        page.heading("What was done");
        for run in &detail.runs {
            page.items(run_lines(run));
        }
    } else if detail.explanation.is_some() {
        page.heading("What was done");
        page.item("nothing: no saga came of it");
    }
    if !detail.diagnosis.is_empty() {
        page.heading("What was found on the old primary");
        for evidence in &detail.diagnosis {
            page.item(evidence.title.as_str());
            page.block(&evidence.text);
        }
    }
    Ok(page.finish())
}

fn reasons(page: &mut Page, explanation: &Explanation, at: &str) -> Result<(), FanError> {
    page.heading("Why");
    page.item(explanation.sentence.as_str());
    let decided_at = crate::render::text::parse_time(at).unwrap_or_default();
    for outlook in &explanation.outlooks {
        seen(page, outlook, decided_at);
        predicted(page, outlook)?;
    }
    if !explanation.guards.is_empty() {
        page.heading("Guards (✗ held it back)");
        page.items(guard_lines(&explanation.guards));
    }
    Ok(())
}

fn seen(page: &mut Page, outlook: &Outlook, decided_at: Timestamp) {
    let property = &outlook.property;
    let unit = property.unit.as_deref();
    page.heading(&format!("Seen: {}", property.path));
    page.item(format!(
        "{} where {} is approved{} ({}, {}{})",
        value(property.value.as_ref(), unit),
        value(property.approved.as_ref(), unit),
        limit(property.limit, unit),
        property.severity,
        property.origin,
        property
            .place
            .as_ref()
            .map(|place| format!(", {place}"))
            .unwrap_or_default()
    ));
    let outside = property.band.is_breached_by(property.deviation);
    let position = if outside { "outside" } else { "inside" };
    page.item(format!(
        "deviation {}, {position} the band {}",
        deviation(property.deviation),
        band(property.band)
    ));
    if let Some(surprise) = &property.surprise {
        let expected = expected(surprise, unit);
        page.item(format!("a surprise: {expected} was forecast for it"));
    }
    if let Some(onset) = &property.onset {
        let before = from_now(decided_at, onset).replace(" ago", " before");
        page.item(format!("the drift set in {} ({before})", date_time(onset)));
    }
}

fn predicted(page: &mut Page, outlook: &Outlook) -> Result<(), FanError> {
    let breach = outlook.property.breach;
    let text = match breach.kind {
        BreachKind::None => "predicted to stay inside its band".to_owned(),
        BreachKind::Observed => "beyond its limit: no prediction was needed".to_owned(),
        BreachKind::Predicted => {
            let (when, harm) = (breach_when(&breach), breach_harm(&breach));
            format!("predicted to leave its band {when}{harm}")
        }
    };
    page.item(Painted::new(breach_paint(breach.kind), text));
    if !outlook.horizons.is_empty() {
        // The record keeps no history, and the limit is not part of it: numbers, no plot.
        let band = outlook.property.band;
        let fan = Fan::new(&outlook.levels, &outlook.horizons, Vec::new(), band, 1.0)?;
        page.table(&fan.table(), 4);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::{
        EventKind, Evidence, GuardCheck, HorizonForecast, Property, Surprise,
    };
    use evenkeel_core::forecast::LEVELS;

    use super::super::events::tests::event;
    use super::super::properties::tests::{PREDICTED, property};
    use super::*;
    use crate::render::run_example;
    use crate::render::text::parse_time;

    fn detail() -> EventDetail {
        let guard = |guard: &str, holds, sentence: &str| GuardCheck {
            guard: guard.into(),
            holds,
            sentence: sentence.into(),
        };
        let horizon = |after_s: f64| HorizonForecast {
            after_s,
            quantiles: (0..13)
                .map(|i| after_s / 1000.0 + f64::from(i - 6) * 0.01)
                .collect(),
        };
        EventDetail {
            event: event(
                "e7",
                EventKind::Decision,
                "fail web over to b before memory/used does harm",
            ),
            explanation: Some(Explanation {
                reason: "predicted".into(),
                sentence: "memory/used is predicted to leave its band in 14 min".into(),
                outlooks: vec![Outlook {
                    property: Property {
                        surprise: Some(SURPRISE),
                        ..property("memory/used", 0.62, PREDICTED)
                    },
                    levels: LEVELS.to_vec(),
                    horizons: vec![horizon(300.0), horizon(900.0)],
                }],
                guards: vec![guard("mode", false, "the mode is act")],
            }),
            detail: None,
            runs: vec![run_example()],
            diagnosis: vec![Evidence {
                title: "configuration diff".into(),
                text: "-keepalive 65\n+keepalive\t900\x1b[2J\n".into(),
            }],
        }
    }

    const SURPRISE: Surprise = Surprise {
        expected_lower: -0.01,
        expected_upper: 0.05,
        least: Some(395.0),
        greatest: Some(430.0),
    };

    #[test]
    fn a_decision_is_explained_from_what_was_seen_to_what_was_found() {
        let now = parse_time("2026-11-24T23:14:05.500Z").unwrap();
        let text = page(&detail(), now, Style::PLAIN).unwrap();
        assert_eq!(text, include_str!("explain_decision.txt"), "\n{text}");
    }

    #[test]
    fn a_decision_that_was_held_back_says_that_nothing_was_done() {
        let held = EventDetail {
            runs: Vec::new(),
            diagnosis: Vec::new(),
            ..detail()
        };
        let text = page(&held, Timestamp::default(), Style::PLAIN).unwrap();
        assert!(
            text.ends_with("What was done\n  nothing: no saga came of it\n"),
            "{text}"
        );
    }
}
