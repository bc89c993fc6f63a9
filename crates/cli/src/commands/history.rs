//! `history`: a property's points as a line of blocks or a table, and its changes.

use evenkeel_api::wire::{
    Aggregation, Band, ChangeList, ChangeQuery, HistoryQuery, Series, Stream,
};
use evenkeel_core::Timestamp;

use crate::args::HistoryArgs;
use crate::error::CliError;
use crate::render::text::{
    band, count, date_time, deviation, from_now, number, parse_time, span, value,
};
use crate::render::{Column, Page, Paint, Painted, Style, Table, sparkline};
use crate::session::Session;

/// Columns of the plot, and so the points asked for where no step is.
const PLOT_COLUMNS: u32 = 60;

pub(super) async fn history(session: &mut Session<'_>, args: &HistoryArgs) -> Result<(), CliError> {
    let now = session.now();
    let from = args.since.ago(now);
    let plot_step = now.since(from) / PLOT_COLUMNS;
    let step = args
        .step
        .or((!args.table && !plot_step.is_zero()).then_some(plot_step));
    let query = HistoryQuery {
        property: args.property.clone(),
        stream: Some(args.stream),
        from: Some(from.to_string()),
        until: Some(now.to_string()),
        step_s: step.map(|step| step.as_secs_f64()),
        aggregation: step.map(|_| args.aggregation),
    };
    let series = session.client.history(&args.resource, &query).await?;
    let changes = session
        .client
        .changes(
            &args.resource,
            &ChangeQuery {
                property: Some(args.property.clone()),
                from: query.from,
                until: query.until,
            },
        )
        .await?;
    if args.json {
        return session.json(&serde_json::json!({ "series": series, "changes": changes.changes }));
    }
    let style = session.screen.style;
    let page = if args.table {
        table_page(&series, style)
    } else {
        plot_page(&series, style)
    };
    let page = page + &changes_page(&changes, series.unit.as_deref(), now, style);
    session.text(&page)
}

/// One point in words: counts and values as they are, deviations with their sign.
fn point_text(series: &Series, value: f64) -> String {
    if series.aggregation == Some(Aggregation::Count) {
        return number(value, None);
    }
    match series.stream {
        Stream::Value => number(value, series.unit.as_deref()),
        Stream::Deviation | Stream::BandLower | Stream::BandUpper => deviation(value),
    }
}

fn title(series: &Series) -> Painted {
    let step = match (series.step_s, series.aggregation) {
        (Some(step), Some(aggregation)) => format!(", {aggregation} per {}", span(step)),
        (Some(step), None) => format!(", one per {}", span(step)),
        (None, Some(_) | None) => String::new(),
    };
    Painted::new(
        Paint::Bold,
        format!("{} {}", series.resource, series.property),
    )
    .then(
        Paint::Plain,
        format!(
            ": {} from {} to {}{step}",
            series.stream,
            date_time(&series.from),
            date_time(&series.until)
        ),
    )
}

fn plot_page(series: &Series, style: Style) -> String {
    let mut page = Page::new(style);
    page.line(title(series));
    let values = || series.points.iter().map(|point| point.value);
    let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let Some(last) = series.points.last() else {
        page.item(no_points(series));
        return page.finish();
    };
    let is_deviation =
        series.stream == Stream::Deviation && series.aggregation != Some(Aggregation::Count);
    // Without a band, or for values, the scale is what was seen: nothing lies outside it.
    let seen = Band {
        lower: -low,
        upper: high,
    };
    let scale = series.band.filter(|_| is_deviation).unwrap_or(seen);
    page.item(sparkline(&columns(series), scale));
    let texts = [low, high, last.value].map(|value| point_text(series, value));
    let mut summary = format!("min {}, max {}, last {}", texts[0], texts[1], texts[2]);
    if let (true, Some(limits)) = (is_deviation, series.band) {
        summary += &format!(", band {}", band(limits));
    }
    page.item(Painted::new(Paint::Dim, summary));
    page.finish()
}

/// The last point of every column of the plot; a column without a point is a gap.
fn columns(series: &Series) -> Vec<Option<f64>> {
    let mut columns = vec![None; PLOT_COLUMNS as usize];
    let (Some(from), Some(until)) = (parse_time(&series.from), parse_time(&series.until)) else {
        return series
            .points
            .iter()
            .map(|point| Some(point.value))
            .collect();
    };
    let width_ms = until.since(from).as_millis().max(1);
    for point in &series.points {
        let Some(at) = parse_time(&point.at) else {
            continue;
        };
        let column = at.since(from).as_millis() * u128::from(PLOT_COLUMNS) / width_ms;
        let column = usize::try_from(column)
            .unwrap_or(usize::MAX)
            .min(columns.len() - 1);
        columns[column] = Some(point.value);
    }
    columns
}

fn table_page(series: &Series, style: Style) -> String {
    let mut page = Page::new(style);
    page.line(title(series));
    let mut table = Table::new(&[Column::Left("AT"), Column::Right(series.stream.as_str())]);
    for point in &series.points {
        table.row([
            date_time(&point.at).into(),
            point_text(series, point.value).into(),
        ]);
    }
    if table.is_empty() {
        page.item(no_points(series));
    } else {
        page.table(&table, 2);
    }
    page.finish()
}

fn no_points(series: &Series) -> &'static str {
    match series.stream {
        Stream::Value => "no points: it is no number, or was not read in this time",
        Stream::Deviation | Stream::BandLower | Stream::BandUpper => "no points in this time",
    }
}

fn changes_page(changes: &ChangeList, unit: Option<&str>, now: Timestamp, style: Style) -> String {
    let mut page = Page::new(style);
    if changes.changes.is_empty() {
        return page.finish();
    }
    page.gap();
    let total = u64::try_from(changes.changes.len()).unwrap_or(u64::MAX);
    page.line(Painted::new(Paint::Bold, count(total, "change")));
    let mut table = Table::new(&[const { Column::Left("") }; 4]);
    for change in &changes.changes {
        let place = change
            .place
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let (old, new) = (
            value(change.old.as_ref(), unit),
            value(change.new.as_ref(), unit),
        );
        table.row([
            date_time(&change.at).into(),
            Painted::new(Paint::Dim, from_now(now, &change.at)),
            format!("{old} -> {new}").into(),
            Painted::new(Paint::Dim, place),
        ]);
    }
    page.table(&table, 2);
    page.finish()
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::{Change, Point};

    use super::super::properties::tests::number as wire_number;
    use super::*;

    fn series() -> Series {
        let point = |at: &str, value| Point {
            at: at.into(),
            value,
        };
        Series {
            resource: "web".into(),
            property: "memory/used".into(),
            stream: Stream::Deviation,
            unit: Some("MiB".into()),
            from: "2026-11-24T22:00:00Z".into(),
            until: "2026-11-24T23:00:00Z".into(),
            step_s: Some(60.0),
            aggregation: Some(Aggregation::Last),
            points: vec![
                point("2026-11-24T22:00:00Z", 0.0),
                point("2026-11-24T22:01:00Z", 0.1),
                point("2026-11-24T22:03:00Z", 0.5),
                point("2026-11-24T22:59:00Z", 0.3),
            ],
            band: Some(Band {
                lower: 0.2,
                upper: 0.4,
            }),
        }
    }

    #[test]
    fn a_plot_has_a_column_per_minute_and_shows_gaps() {
        let text = plot_page(&series(), Style::PLAIN);
        let gap = " ".repeat(55);
        let expected = format!(
            "web memory/used: deviation from 2026-11-24 22:00:00Z to 2026-11-24 23:00:00Z, last per 60 s\n\
             \x20 ▃▄ █{gap}▆\n\
             \x20 min +0.00, max +0.50, last +0.30, band -0.20..+0.40\n"
        );
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn values_are_shown_with_their_unit_and_changes_beneath() {
        let values = Series {
            stream: Stream::Value,
            band: None,
            ..series()
        };
        assert!(table_page(&values, Style::PLAIN).contains("2026-11-24 22:03:00Z  0.5 MiB"));
        let changes = ChangeList {
            resource: "web".into(),
            changes: vec![Change {
                property: "memory/used".into(),
                at: "2026-11-24T22:30:00Z".into(),
                old: wire_number(400.0, "400"),
                new: None,
                place: None,
            }],
        };
        let now = parse_time("2026-11-24T23:00:00Z").unwrap();
        assert_eq!(
            changes_page(&changes, Some("MiB"), now, Style::PLAIN),
            "\n1 change\n  2026-11-24 22:30:00Z  30 min ago  400 MiB -> absent\n"
        );
    }

    #[test]
    fn nothing_in_the_time_asked_for_is_said_so() {
        let empty = Series {
            points: Vec::new(),
            ..series()
        };
        assert!(plot_page(&empty, Style::PLAIN).ends_with("  no points in this time\n"));
    }
}
