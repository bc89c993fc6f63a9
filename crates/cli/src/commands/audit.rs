//! `audit list|verify`.

use evenkeel_api::wire::{AuditList, AuditQuery, AuditReport};

use crate::args::AuditListArgs;
use crate::error::CliError;
use crate::render::text::{count, date_time, elide, one_line};
use crate::render::{Column, Page, Paint, Painted, Style, Table};
use crate::session::Session;

const VALUE_COLUMNS: usize = 40;

pub(super) async fn list(session: &mut Session<'_>, args: &AuditListArgs) -> Result<(), CliError> {
    let query = AuditQuery {
        after: args.after,
        limit: Some(args.limit),
    };
    let list = session.client.audit(&query).await?;
    if args.json {
        return session.json(&list);
    }
    let page = list_page(&list, args.limit, session.screen.style);
    session.text(&page)
}

pub(super) async fn verify(session: &mut Session<'_>, json: bool) -> Result<(), CliError> {
    let report = session.client.audit_verify().await?;
    if json {
        session.json(&report)?;
    } else if report.intact {
        let mut page = Page::new(session.screen.style);
        page.line(verdict(&report));
        if let Some(head) = &report.head {
            page.item(format!("head {head}"));
            let why = "note the head elsewhere: with it nobody can rebuild the log unseen";
            page.item(Painted::new(Paint::Dim, why));
        }
        session.text(&page.finish())?;
    }
    if report.intact {
        Ok(())
    } else {
        Err(CliError::Failed(broken(&report)))
    }
}

fn verdict(report: &AuditReport) -> Painted {
    let lines = count(report.records, "line");
    Painted::new(
        Paint::Green,
        format!("the audit log is intact: {lines}, each follows from the one before"),
    )
}

fn broken(report: &AuditReport) -> String {
    let what = report
        .what
        .as_deref()
        .unwrap_or("it does not follow from the line before");
    let number = report
        .broken_at
        .map_or("a line".to_owned(), |number| format!("line {number}"));
    format!(
        "the audit log is broken at {number}: {what}: keep the store as evidence and compare it with \
         a backup"
    )
}

fn list_page(list: &AuditList, limit: u32, style: Style) -> String {
    let mut page = Page::new(style);
    let mut table = Table::new(&[
        Column::Right("NUMBER"),
        Column::Left("WHEN"),
        Column::Left("WHO"),
        Column::Left("WHAT"),
        Column::Left("RESOURCE"),
        Column::Left("RESULT"),
        Column::Left("BEFORE -> AFTER"),
    ]);
    for record in &list.records {
        let result = match (&record.refusal, record.done) {
            (Some(why), _) => Painted::new(Paint::Yellow, format!("refused: {}", one_line(why))),
            (None, true) => Painted::new(Paint::Green, "done"),
            (None, false) => Painted::new(Paint::Yellow, "refused"),
        };
        table.row([
            record.number.to_string().into(),
            date_time(&record.at).into(),
            record.actor.as_str().into(),
            record.action.as_str().into(),
            record.resource.as_deref().unwrap_or("-").into(),
            result,
            change(record.before.as_deref(), record.after.as_deref()).into(),
        ]);
    }
    if table.is_empty() {
        page.line("no lines");
        return page.finish();
    }
    page.table(&table, 0);
    let is_full = u32::try_from(list.records.len()).is_ok_and(|shown| shown >= limit);
    if let (true, Some(last)) = (is_full, list.records.last()) {
        page.line(Painted::new(
            Paint::Dim,
            format!("more with --after {}", last.number),
        ));
    }
    page.finish()
}

fn change(before: Option<&str>, after: Option<&str>) -> String {
    let short = |text: &str| elide(&one_line(text), VALUE_COLUMNS);
    match (before, after) {
        (None, None) => String::new(),
        (before, after) => format!(
            "{} -> {}",
            before.map_or("-".into(), short),
            after.map_or("-".into(), short)
        ),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::AuditRecord;

    use super::*;

    #[test]
    fn lines_say_who_did_what_with_before_and_after() {
        let record = |number, refusal: Option<&str>, after: Option<&str>| AuditRecord {
            number,
            at: "2026-11-24T23:14:05Z".into(),
            actor: "uid 1000".into(),
            action: "baseline.accept".into(),
            resource: Some("web".into()),
            done: refusal.is_none(),
            refusal: refusal.map(str::to_owned),
            before: None,
            after: after.map(str::to_owned),
            hash: "00".into(),
        };
        let list = AuditList {
            records: vec![
                record(9, None, Some("v2")),
                record(10, Some("paused"), None),
            ],
        };
        let expected = "\
NUMBER  WHEN                  WHO       WHAT             RESOURCE  RESULT           BEFORE -> AFTER
     9  2026-11-24 23:14:05Z  uid 1000  baseline.accept  web       done             - -> v2
    10  2026-11-24 23:14:05Z  uid 1000  baseline.accept  web       refused: paused
more with --after 10
";
        assert_eq!(list_page(&list, 2, Style::PLAIN), expected);
        assert_eq!(
            list_page(&AuditList { records: vec![] }, 2, Style::PLAIN),
            "no lines\n"
        );
    }

    #[test]
    fn a_broken_log_says_where_and_what_to_do() {
        let report = AuditReport {
            intact: false,
            records: 6,
            head: None,
            broken_at: Some(7),
            what: Some("its hash is not its own".into()),
        };
        assert!(
            broken(&report)
                .starts_with("the audit log is broken at line 7: its hash is not its own: keep")
        );
    }
}
