//! `events`: what happened, newest last as in a log, and on as it happens.

use evenkeel_api::wire::{Event, EventQuery, Severity};
use evenkeel_core::Timestamp;

use crate::args::EventsArgs;
use crate::error::CliError;
use crate::follow::Patience;
use crate::render::text::{date_time, from_now};
use crate::render::{Column, Page, Paint, Painted, Style, Table};
use crate::session::Session;

/// How many events one look takes while following.
const FOLLOWED_MAX: u32 = 500;

pub(super) async fn events(session: &mut Session<'_>, args: &EventsArgs) -> Result<(), CliError> {
    let query = EventQuery {
        resource: args.resource.clone(),
        kind: args.kind,
        after: None,
        limit: Some(args.limit),
    };
    let mut list = session.client.events(&query).await?;
    if args.json && !args.follow {
        return session.json(&list);
    }
    // Newest first on the wire.
    list.events.reverse();
    if args.follow {
        return follow(session, args, query, list.events).await;
    }
    let page = page(&list.events, session.now(), session.screen.style);
    session.text(&page)
}

/// Tells of the events there are and then of each as it happens, until interrupted.
async fn follow(
    session: &mut Session<'_>,
    args: &EventsArgs,
    mut query: EventQuery,
    mut events: Vec<Event>,
) -> Result<(), CliError> {
    let mut patience = Patience::default();
    query.limit = Some(FOLLOWED_MAX);
    // Nothing has happened yet: everything is later than that.
    query.after = Some("e0".to_owned());
    loop {
        for event in &events {
            if args.json {
                session.json_line(event)?;
            } else {
                let line = log_line(event).render(session.screen.style);
                writeln!(session.out, "{line}")?;
            }
        }
        session.out.flush()?;
        if let Some(last) = events.last() {
            query.after = Some(last.id.clone());
        }
        tokio::time::sleep(session.poll).await;
        let answer = session.client.events(&query).await;
        events = patience
            .judge(answer)?
            .map(|list| list.events)
            .unwrap_or_default();
    }
}

fn paint(severity: Severity) -> Paint {
    match severity {
        Severity::Info => Paint::Plain,
        Severity::Warn => Paint::Yellow,
        Severity::Critical => Paint::Red,
    }
}

/// One event as a line of a log, for following: a table's columns cannot be known beforehand.
fn log_line(event: &Event) -> Painted {
    let resource = event.resource.as_deref().unwrap_or("-");
    Painted::new(Paint::Dim, date_time(&event.at))
        .then(
            Paint::Plain,
            format!(" {:>5} {resource} {}: ", event.id, event.kind),
        )
        .then(paint(event.severity), &event.sentence)
        .then(Paint::Dim, by(event))
}

fn by(event: &Event) -> String {
    if event.by == "evenkeel" {
        String::new()
    } else {
        format!(" (by {})", event.by)
    }
}

/// Events as a table, in the order given.
pub(super) fn event_table<'a>(events: impl Iterator<Item = &'a Event>, now: Timestamp) -> Table {
    let mut table = Table::new(&[const { Column::Left("") }; 6]);
    for event in events {
        table.row([
            Painted::new(Paint::Dim, date_time(&event.at)),
            Painted::new(Paint::Dim, from_now(now, &event.at)),
            Painted::new(Paint::Bold, &event.id),
            event.resource.as_deref().unwrap_or("-").into(),
            event.kind.as_str().into(),
            Painted::new(paint(event.severity), &event.sentence).then(Paint::Dim, by(event)),
        ]);
    }
    table
}

fn page(events: &[Event], now: Timestamp, style: Style) -> String {
    let mut page = Page::new(style);
    if events.is_empty() {
        page.line("nothing happened yet");
        return page.finish();
    }
    page.table(&event_table(events.iter(), now), 0);
    if let Some(explained) = events.iter().rev().find(|event| event.explained) {
        page.gap();
        let way_on = format!("why: `evenkeel explain {}`", explained.id);
        page.line(Painted::new(Paint::Dim, way_on));
    }
    page.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use evenkeel_api::wire::EventKind;

    use super::*;
    use crate::render::text::parse_time;

    pub(crate) fn event(id: &str, kind: EventKind, sentence: &str) -> Event {
        Event {
            id: id.into(),
            at: "2026-11-24T23:11:05.500Z".into(),
            resource: Some("web".into()),
            kind,
            severity: Severity::Critical,
            sentence: sentence.into(),
            by: "evenkeel".into(),
            run: None,
            explained: kind == EventKind::Decision,
        }
    }

    #[test]
    fn events_are_listed_with_the_way_to_the_reason() {
        let daemon = Event {
            resource: None,
            by: "alice".into(),
            ..event("e11", EventKind::Operator, "paused")
        };
        let events = [event("e7", EventKind::Decision, "fail web over"), daemon];
        let now = parse_time("2026-11-24T23:14:05.500Z").unwrap();
        let expected = "\
2026-11-24 23:11:05Z  3 min ago  e7   web  decision  fail web over
2026-11-24 23:11:05Z  3 min ago  e11  -    operator  paused (by alice)

why: `evenkeel explain e7`
";
        assert_eq!(page(&events, now, Style::PLAIN), expected);
        assert_eq!(
            log_line(&events[0]).render(Style::PLAIN),
            "2026-11-24 23:11:05Z    e7 web decision: fail web over"
        );
    }
}
