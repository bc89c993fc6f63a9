//! `forecast`: where one property goes, as a plot and in numbers.

use evenkeel_api::wire::{BreachKind, ForecastQuery, ForecastView};
use evenkeel_core::Timestamp;

use super::status::breach_paint;
use crate::args::ForecastArgs;
use crate::error::CliError;
use crate::render::text::{band, date_time, deviation, from_now, parse_time, percent, span, value};
use crate::render::{Column, Fan, FanError, Page, Paint, Painted, Style, Table};
use crate::session::Session;

/// How much stands on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Plot,
    Explained,
}

pub(super) async fn forecast(
    session: &mut Session<'_>,
    args: &ForecastArgs,
) -> Result<(), CliError> {
    let property = match &args.property {
        Some(property) => property.clone(),
        None => worst_property(session, &args.resource).await?,
    };
    let query = ForecastQuery { property };
    let view = session.client.forecast(&args.resource, &query).await?;
    if args.json {
        return session.json(&view);
    }
    let depth = if args.explain {
        Depth::Explained
    } else {
        Depth::Plot
    };
    let page = page(&view, depth, session.now(), session.screen.style)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    session.text(&page)
}

async fn worst_property(session: &Session<'_>, resource: &str) -> Result<String, CliError> {
    let detail = session.client.resource(resource).await?;
    detail.status.worst.map(|worst| worst.path).ok_or_else(|| {
        CliError::Failed(format!(
            "{resource} has no property that stands out yet: name one, `evenkeel properties \
             {resource} --all` lists them"
        ))
    })
}

/// The fan of a forecast on the wire.
fn fan(view: &ForecastView) -> Result<Fan, FanError> {
    let origin = parse_time(&view.origin).unwrap_or_default();
    let past = view
        .recent
        .iter()
        .filter_map(|point| {
            let at = parse_time(&point.at)?;
            Some((-origin.since(at).as_secs_f64(), point.value))
        })
        .collect();
    Fan::new(&view.levels, &view.horizons, past, view.band, view.ceiling)
}

fn page(
    view: &ForecastView,
    depth: Depth,
    now: Timestamp,
    style: Style,
) -> Result<String, FanError> {
    let mut page = Page::new(style);
    let unit = view.unit.as_deref();
    let title = format!("{} {}", view.resource, view.property);
    page.line(Painted::new(Paint::Bold, title).then(
        Paint::Plain,
        format!(
            "  {} now, {} approved, deviation {}, band {}",
            value(view.value.as_ref(), unit),
            value(view.approved.as_ref(), unit),
            deviation(view.deviation),
            band(view.band)
        ),
    ));
    page.item(Painted::new(breach_paint(view.breach.kind), outlook(view)));
    if view.horizons.is_empty() {
        page.item(view.sentence.as_str());
    } else {
        let fan = fan(view)?;
        page.gap();
        fan.plot().into_iter().for_each(|line| page.line(line));
        page.gap();
        page.table(&fan.table(), 2);
    }
    match depth {
        Depth::Plot => {}
        Depth::Explained => explanation(&mut page, view, now),
    }
    Ok(page.finish())
}

/// The breach in one sentence.
fn outlook(view: &ForecastView) -> String {
    let breach = view.breach;
    match breach.kind {
        BreachKind::None => "stays inside its band as far as is forecast".to_owned(),
        BreachKind::Observed => "is beyond its limit now".to_owned(),
        BreachKind::Predicted => {
            let harm = breach
                .harm_after_s
                .map(|after| format!(", reaches its limit in {}", span(after)))
                .unwrap_or_default();
            format!(
                "leaves its band in {} with confidence {}{harm}",
                span(breach.lead_time_s.unwrap_or_default()),
                percent(breach.confidence)
            )
        }
    }
}

fn explanation(page: &mut Page, view: &ForecastView, now: Timestamp) {
    page.heading("How it is known");
    let origin = format!(
        "{} ({})",
        date_time(&view.origin),
        from_now(now, &view.origin)
    );
    page.item(format!(
        "from the observation of {origin}, read every {}",
        span(view.step_s)
    ));
    match &view.onset {
        Some(onset) => {
            page.item(format!(
                "the drift set in {} ({})",
                from_now(now, onset),
                date_time(onset)
            ));
        }
        None => page.item("no drift was seen to set in: the series is what it always was"),
    }
    match view.coverage {
        Some(coverage) => page.item(format!(
            "of {} past intervals that promised {}, {} held",
            coverage.scored,
            percent(coverage.nominal),
            percent(coverage.measured)
        )),
        None => page.item("no past interval could be scored yet"),
    }
    page.item(format!(
        "the band is {} of deviation round the approved value, and never passes {}",
        band(view.band),
        deviation(view.ceiling)
    ));
    if !view.models.is_empty() {
        page.heading("Models by weight");
        let mut models: Vec<_> = view.models.iter().collect();
        models.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let mut table = Table::new(&[Column::Left(""), Column::Right("")]);
        for model in models {
            table.row([model.model.as_str().into(), percent(model.weight).into()]);
        }
        page.table(&table, 2);
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::{
        Band, Breach, Coverage, HorizonForecast, ModelWeight, Point, Severity,
    };
    use evenkeel_core::forecast::LEVELS;

    use super::super::properties::tests::{PREDICTED, number};
    use super::*;

    fn view() -> ForecastView {
        let horizon = |after_s: f64| HorizonForecast {
            after_s,
            quantiles: (0..13)
                .map(|i| after_s / 1000.0 + f64::from(i - 6) * 0.01)
                .collect(),
        };
        ForecastView {
            resource: "web".into(),
            property: "memory/used".into(),
            unit: Some("MiB".into()),
            severity: Severity::Critical,
            origin: "2026-11-24T23:14:00Z".into(),
            value: number(812.0, "812"),
            approved: number(400.0, "400"),
            deviation: 0.1,
            recent: vec![
                Point {
                    at: "2026-11-24T23:04:00Z".into(),
                    value: 0.0,
                },
                Point {
                    at: "2026-11-24T23:14:00Z".into(),
                    value: 0.1,
                },
            ],
            step_s: 10.0,
            levels: LEVELS.to_vec(),
            horizons: vec![horizon(300.0), horizon(900.0)],
            band: Band {
                lower: 0.2,
                upper: 0.8,
            },
            ceiling: 1.0,
            breach: PREDICTED,
            onset: Some("2026-11-24T22:51:05Z".into()),
            models: vec![
                ModelWeight {
                    model: "last value".into(),
                    weight: 0.2,
                },
                ModelWeight {
                    model: "local linear trend".into(),
                    weight: 0.8,
                },
            ],
            coverage: Some(Coverage {
                nominal: 0.9,
                measured: 0.91,
                scored: 480,
            }),
            sentence: "memory/used drifts".into(),
        }
    }

    #[test]
    fn a_forecast_says_when_it_breaches_and_how_that_is_known() {
        let now = parse_time("2026-11-24T23:14:05Z").unwrap();
        let text = page(&view(), Depth::Explained, now, Style::PLAIN).unwrap();
        for line in [
            "web memory/used  812 MiB now, 400 MiB approved, deviation +0.10, band -0.20..+0.80",
            "  leaves its band in 14 min with confidence 97 %, reaches its limit in 31 min",
            "  15 min   +0.90  +0.89..+0.91  +0.88..+0.92  +0.86..+0.94         >99 %",
            "  the drift set in 23 min ago (2026-11-24 22:51:05Z)",
            "  of 480 past intervals that promised 90 %, 91 % held",
            "  local linear trend  80 %",
        ] {
            assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
        }
        assert!(
            !page(&view(), Depth::Plot, now, Style::PLAIN)
                .unwrap()
                .contains("Models")
        );
    }

    #[test]
    fn a_property_without_a_forecast_says_why() {
        let still = ForecastView {
            horizons: Vec::new(),
            breach: Breach::NONE,
            sentence: "it never moved".into(),
            ..view()
        };
        let text = page(&still, Depth::Plot, Timestamp::default(), Style::PLAIN).unwrap();
        assert!(
            text.ends_with("  stays inside its band as far as is forecast\n  it never moved\n"),
            "{text}"
        );
    }
}
