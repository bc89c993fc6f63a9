//! `baseline show|diff|history`.

use evenkeel_api::wire::{BaselineDiff, BaselineHistory, BaselineView, Difference};
use evenkeel_core::Timestamp;

use crate::args::OfResource;
use crate::error::CliError;
use crate::render::text::{date_time, elide, from_now, number, value};
use crate::render::{Column, Page, Paint, Painted, Style, Table};
use crate::session::Session;

const PATH_COLUMNS: usize = 60;
const VALUE_COLUMNS: usize = 40;

pub(super) async fn show(session: &mut Session<'_>, args: &OfResource) -> Result<(), CliError> {
    let view = session.client.baseline(&args.resource).await?;
    if args.json {
        return session.json(&view);
    }
    let page = show_page(&view, session.now(), session.screen.style);
    session.text(&page)
}

pub(super) async fn diff(session: &mut Session<'_>, args: &OfResource) -> Result<(), CliError> {
    let diff = session.client.baseline_diff(&args.resource).await?;
    if args.json {
        return session.json(&diff);
    }
    let page = diff_page(&diff, session.now(), session.screen.style);
    session.text(&page)
}

pub(super) async fn history(session: &mut Session<'_>, args: &OfResource) -> Result<(), CliError> {
    let history = session.client.baseline_history(&args.resource).await?;
    if args.json {
        return session.json(&history);
    }
    let page = history_page(&history, session.now(), session.screen.style);
    session.text(&page)
}

fn show_page(view: &BaselineView, now: Timestamp, style: Style) -> String {
    let mut page = Page::new(style);
    let summary = &view.summary;
    let pinned = summary.pinned.as_deref().unwrap_or("no generation yet");
    page.line(
        Painted::new(
            Paint::Bold,
            format!("{} {}", view.resource, summary.version),
        )
        .then(
            Paint::Plain,
            format!(
                ", approved {} ({}) by {}, pinned in {pinned}",
                date_time(&summary.at),
                from_now(now, &summary.at),
                summary.by
            ),
        ),
    );
    if !summary.note.is_empty() {
        page.item(summary.note.as_str());
    }
    page.gap();
    let mut table = Table::new(&[
        Column::Left("PROPERTY"),
        Column::Right("APPROVED"),
        Column::Right("LEARNED TOLERANCE"),
        Column::Left("WHERE"),
    ]);
    for property in &view.values {
        let unit = property.unit.as_deref();
        let place = property
            .place
            .as_ref()
            .map_or(property.origin.to_string(), ToString::to_string);
        table.row([
            elide(&property.path, PATH_COLUMNS).into(),
            elide(&value(Some(&property.value), unit), VALUE_COLUMNS).into(),
            property
                .learned_tolerance
                .map(|t| number(t, unit))
                .unwrap_or_default()
                .into(),
            place.into(),
        ]);
    }
    page.table(&table, 0);
    page.finish()
}

fn diff_page(diff: &BaselineDiff, now: Timestamp, style: Style) -> String {
    let mut page = Page::new(style);
    let read = from_now(now, &diff.at);
    if diff.differences.is_empty() {
        let text = format!(
            "{} is as approved ({}), read {read}",
            diff.resource, diff.version
        );
        page.line(Painted::new(Paint::Green, text));
    } else {
        let count = diff.differences.len();
        let text = format!(
            "{} differs from {} in {count}, read {read}",
            diff.resource, diff.version
        );
        page.line(Painted::new(Paint::Bold, text));
        diff.differences
            .iter()
            .for_each(|difference| difference_lines(&mut page, difference));
        page.gap();
        let way_on = format!(
            "approve with `evenkeel baseline accept {} PATH`",
            diff.resource
        );
        page.line(Painted::new(Paint::Dim, way_on));
    }
    for place in &diff.unreadable {
        page.line(Painted::new(
            Paint::Yellow,
            format!("not compared: {}: {}", place.path, place.why),
        ));
    }
    page.finish()
}

fn difference_lines(page: &mut Page, difference: &Difference) {
    let place = difference
        .place
        .as_ref()
        .map(|place| format!("  {place}"))
        .unwrap_or_default();
    page.item(Painted::plain(&difference.path).then(Paint::Dim, place));
    if let Some(approved) = &difference.approved {
        page.item(Painted::new(Paint::Red, format!("  - {}", approved.text)));
    }
    if let Some(found) = &difference.found {
        page.item(Painted::new(Paint::Green, format!("  + {}", found.text)));
    }
}

fn history_page(history: &BaselineHistory, now: Timestamp, style: Style) -> String {
    let mut table = Table::new(&[
        Column::Left("VERSION"),
        Column::Left("APPROVED"),
        Column::Left(""),
        Column::Left("BY"),
        Column::Right("PROPERTIES"),
        Column::Left("PINNED"),
        Column::Left("NOTE"),
    ]);
    for version in &history.versions {
        table.row([
            version.version.as_str().into(),
            date_time(&version.at).into(),
            Painted::new(Paint::Dim, from_now(now, &version.at)),
            version.by.as_str().into(),
            version.properties.to_string().into(),
            version.pinned.as_deref().unwrap_or("-").into(),
            version.note.as_str().into(),
        ]);
    }
    let mut page = Page::new(style);
    if table.is_empty() {
        page.line(format!(
            "{} has no baseline yet: it is still settling",
            history.resource
        ));
    } else {
        page.table(&table, 0);
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::{Place, ValueKind, WireValue};

    use super::*;
    use crate::render::text::parse_time;

    #[test]
    fn a_difference_shows_both_values_and_how_to_approve() {
        let word = |text: &str| {
            Some(WireValue {
                kind: ValueKind::Choice,
                value: text.into(),
                text: text.into(),
            })
        };
        let diff = BaselineDiff {
            resource: "web".into(),
            version: "v2".into(),
            at: "2026-11-24T23:14:00Z".into(),
            differences: vec![Difference {
                path: "nginx.conf/error_log".into(),
                approved: word("warn"),
                found: word("debug"),
                place: Some(Place {
                    file: "nginx.conf".into(),
                    line: 3,
                }),
            }],
            unreadable: Vec::new(),
        };
        let now = parse_time("2026-11-24T23:14:05Z").unwrap();
        let expected = "\
web differs from v2 in 1, read 5 s ago
  nginx.conf/error_log  nginx.conf:3
    - warn
    + debug

approve with `evenkeel baseline accept web PATH`
";
        assert_eq!(diff_page(&diff, now, Style::PLAIN), expected);
        let none = BaselineDiff {
            differences: Vec::new(),
            ..diff
        };
        assert_eq!(
            diff_page(&none, now, Style::PLAIN),
            "web is as approved (v2), read 5 s ago\n"
        );
    }
}
