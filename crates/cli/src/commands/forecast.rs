//! `forecast`: where one property goes, as a plot and in numbers.

use evenkeel_api::wire::{
    BreachKind, FirstPassage, ForecastQuery, ForecastView, PathBound, ShiftKind,
};
use evenkeel_core::Timestamp;

use super::status::breach_paint;
use crate::args::ForecastArgs;
use crate::error::CliError;
use crate::render::text::{
    band, breach_harm, breach_when, change, date_time, deviation, from_now, limit, parse_time,
    percent, percent_at_least, percent_at_most, span, value,
};
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
            "  {} now, {} approved{}, deviation {}, band {}",
            value(view.value.as_ref(), unit),
            value(view.approved.as_ref(), unit),
            limit(view.limit, unit),
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
            let (when, harm) = (breach_when(&breach), breach_harm(&breach));
            format!("leaves its band {when}{harm}")
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
    page.item(drift(view, now));
    if let Some(passage) = &view.first_passage {
        path(page, passage);
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

/// When the drift that is running set in, and what it has come to.
fn drift(view: &ForecastView, now: Timestamp) -> String {
    let Some(onset) = &view.onset else {
        return "no drift was seen to set in: the series is what it always was".to_owned();
    };
    let when = format!("{} ({})", from_now(now, onset), date_time(onset));
    let Some(shift) = &view.shift else {
        return format!("the drift set in {when}");
    };
    let size = match shift.size_in_unit {
        Some(size) => change(size, view.unit.as_deref()),
        None => format!("{} of deviation", deviation(shift.size)),
    };
    match shift.kind {
        ShiftKind::Step => format!("the drift set in {when}: a step of {size}"),
        ShiftKind::Trend => format!("the drift set in {when}: a trend, {size} by now"),
    }
}

/// What is certain of the path, whatever the dependence between horizons is.
fn path(page: &mut Page, passage: &FirstPassage) {
    let confidence = percent(passage.confidence);
    let bounds = |bound: &PathBound| {
        format!(
            "the path leaves its band within {} with probability at least {}, at most {}",
            span(bound.within_s),
            percent_at_least(bound.at_least),
            percent_at_most(bound.at_most)
        )
    };
    if let Some(leaves) = &passage.leaves {
        page.item(bounds(leaves));
    }
    if passage.leaves != Some(passage.reach) {
        page.item(bounds(&passage.reach));
    }
    page.item(match passage.stays_before_s {
        Some(before) => format!(
            "the path stays inside before {} with probability at least {confidence}",
            span(before)
        ),
        None => format!("the path stays inside throughout with probability at least {confidence}"),
    });
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::{
        Band, Breach, Coverage, HorizonForecast, ModelWeight, Point, Severity, Shift,
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
            limit: Some(1024.0),
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
            first_passage: Some(FirstPassage {
                confidence: 0.9,
                leaves: Some(PathBound {
                    within_s: 900.0,
                    at_least: 0.951,
                    at_most: 0.979,
                }),
                stays_before_s: Some(300.0),
                reach: PathBound {
                    within_s: 1800.0,
                    at_least: 0.97,
                    at_most: 1.0,
                },
            }),
            onset: Some("2026-11-24T22:51:05Z".into()),
            shift: Some(Shift {
                onset: "2026-11-24T22:51:05Z".into(),
                noticed_at: "2026-11-24T22:52:05Z".into(),
                kind: ShiftKind::Step,
                size: 0.62,
                size_in_unit: Some(411.7),
            }),
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
            "web memory/used  812 MiB now, 400 MiB approved, limit 1,024 MiB, deviation +0.10, band -0.20..+0.80",
            "  leaves its band in 14 min, within 20 min with probability at least 97 %, to reach its limit in 31 min",
            "  15 min   +0.90  +0.89..+0.91  +0.88..+0.92  +0.86..+0.94         >99 %",
            "  the drift set in 23 min ago (2026-11-24 22:51:05Z): a step of +412 MiB",
            "  the path leaves its band within 15 min with probability at least 95 %, at most 98 %",
            "  the path leaves its band within 30 min with probability at least 97 %, at most 100 %",
            "  the path stays inside before 5 min with probability at least 90 %",
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
    fn the_page_on_thresholds_shows_what_is_printed() {
        let now = parse_time("2026-11-24T23:14:05Z").unwrap();
        let text = page(&view(), Depth::Explained, now, Style::PLAIN).unwrap();
        let thresholds = include_str!("../../../../docs/thresholds.md");
        let example = thresholds
            .split("```text\n")
            .filter_map(|block| Some(block.split_once("```")?.0))
            .find(|block| block.contains("the path leaves"))
            .unwrap();
        assert!(text.contains(example), "no\n{example}in\n{text}");
    }

    #[test]
    fn a_change_without_a_unit_counts_in_tolerances_and_a_trend_goes_on() {
        let now = parse_time("2026-11-24T23:14:05Z").unwrap();
        let mut view = view();
        let said = |view: &ForecastView| drift(view, now).split_once(": ").unwrap().1.to_owned();
        let shift = view.shift.as_mut().unwrap();
        shift.size_in_unit = None;
        assert_eq!(said(&view), "a step of +0.62 of deviation");
        view.shift.as_mut().unwrap().kind = ShiftKind::Trend;
        assert_eq!(said(&view), "a trend, +0.62 of deviation by now");
    }

    #[test]
    fn a_path_that_surely_stays_says_so() {
        let mut page = Page::new(Style::PLAIN);
        let reach = PathBound {
            within_s: 1800.0,
            at_least: 0.004,
            at_most: 0.013,
        };
        let passage = FirstPassage {
            confidence: 0.9,
            leaves: None,
            stays_before_s: None,
            reach,
        };
        path(&mut page, &passage);
        assert_eq!(
            page.finish(),
            "  the path leaves its band within 30 min with probability at least 0 %, at most 2 %\n  \
             the path stays inside throughout with probability at least 90 %\n"
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
