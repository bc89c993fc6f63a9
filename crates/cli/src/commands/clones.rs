//! `clone list|diff`.

use evenkeel_api::wire::{FileChangeKind, Generation, GenerationDiff, GenerationList, Verdict};
use evenkeel_core::Timestamp;

use crate::args::{CloneDiffArgs, OfResource};
use crate::error::CliError;
use crate::render::text::{bytes, count, date_time, elide, from_now};
use crate::render::{Column, Page, Paint, Painted, Style, Table};
use crate::session::Session;

const HASH_COLUMNS: usize = 12;

pub(super) async fn list(session: &mut Session<'_>, args: &OfResource) -> Result<(), CliError> {
    let list = session.client.generations(&args.resource).await?;
    if args.json {
        return session.json(&list);
    }
    let page = list_page(&list, session.now(), session.screen.style);
    session.text(&page)
}

pub(super) async fn diff(session: &mut Session<'_>, args: &CloneDiffArgs) -> Result<(), CliError> {
    let diff = session
        .client
        .generation_diff(&args.resource, &args.older, &args.newer)
        .await?;
    if args.json {
        return session.json(&diff);
    }
    let page = diff_page(&diff, session.screen.style);
    session.text(&page)
}

fn list_page(list: &GenerationList, now: Timestamp, style: Style) -> String {
    let mut page = Page::new(style);
    if list.generations.is_empty() {
        page.line(format!(
            "{} has no clone yet: its first sync is to come",
            list.resource
        ));
        return page.finish();
    }
    let mut table = Table::new(&[
        Column::Left("GENERATION"),
        Column::Left("VERDICT"),
        Column::Left("READ"),
        Column::Left(""),
        Column::Left("FROM"),
        Column::Right("FILES"),
        Column::Right("SIZE"),
        Column::Right("MOVED"),
        Column::Left("BASELINE"),
        Column::Left("CONFIGURATION"),
        Column::Left("REMARK"),
    ]);
    for generation in &list.generations {
        table.row(row(generation, now));
    }
    page.table(&table, 0);
    page.gap();
    let of = |verdict: Verdict| {
        let count = list
            .generations
            .iter()
            .filter(|generation| generation.verdict == verdict)
            .count();
        format!("{count} {verdict}")
    };
    let tally: Vec<String> = Verdict::ALL.iter().map(|verdict| of(*verdict)).collect();
    page.line(Painted::new(Paint::Dim, tally.join(", ")));
    page.finish()
}

fn row(generation: &Generation, now: Timestamp) -> [Painted; 11] {
    let paint = match generation.verdict {
        Verdict::Good => Paint::Green,
        Verdict::Suspect => Paint::Yellow,
        Verdict::Quarantined => Paint::Red,
    };
    let torn = generation.torn.then_some("data may be torn");
    let remarks: Vec<&str> = [torn, generation.why.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    [
        Painted::new(Paint::Bold, &generation.id),
        Painted::new(paint, generation.verdict.as_str()),
        date_time(&generation.at).into(),
        Painted::new(Paint::Dim, from_now(now, &generation.at)),
        generation.from.as_str().into(),
        generation.files.to_string().into(),
        bytes(generation.size_bytes).into(),
        bytes(generation.moved_bytes).into(),
        generation.baseline.as_deref().unwrap_or("-").into(),
        generation
            .config
            .chars()
            .take(HASH_COLUMNS)
            .collect::<String>()
            .into(),
        remarks.join("; ").into(),
    ]
}

fn diff_page(diff: &GenerationDiff, style: Style) -> String {
    let mut page = Page::new(style);
    if diff.changes.is_empty() {
        page.line(format!(
            "{} and {} of {} are the same",
            diff.older, diff.newer, diff.resource
        ));
        return page.finish();
    }
    for change in &diff.changes {
        let (mark, paint) = match change.kind {
            FileChangeKind::Added => ("+", Paint::Green),
            FileChangeKind::Changed => ("~", Paint::Yellow),
            FileChangeKind::Metadata => ("m", Paint::Cyan),
            FileChangeKind::Removed => ("-", Paint::Red),
        };
        page.line(
            Painted::new(paint, mark).then(Paint::Plain, format!(" {}", elide(&change.path, 200))),
        );
    }
    page.gap();
    let changes = u64::try_from(diff.changes.len()).unwrap_or(u64::MAX);
    let summary = format!(
        "{} from {} to {}",
        count(changes, "file"),
        diff.older,
        diff.newer
    );
    page.line(Painted::new(
        Paint::Dim,
        summary + " (+ added, ~ changed, m mode or owner, - removed)",
    ));
    page.finish()
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::{FileChange, Instance};

    use super::*;
    use crate::render::text::parse_time;

    #[test]
    fn generations_are_listed_with_verdict_and_remark() {
        let generation = |id: &str, verdict, why: Option<&str>, torn| Generation {
            id: id.into(),
            at: "2026-11-24T23:10:05Z".into(),
            from: Instance::A,
            verdict,
            why: why.map(str::to_owned),
            config: "0123456789abcdef".into(),
            data: None,
            baseline: Some("v2".into()),
            torn,
            files: 12,
            size_bytes: 1536,
            moved_bytes: 17,
        };
        let list = GenerationList {
            resource: "web".into(),
            generations: vec![
                generation("g2", Verdict::Quarantined, Some("drift of e7"), true),
                generation("g1", Verdict::Good, None, false),
            ],
        };
        let now = parse_time("2026-11-24T23:14:05Z").unwrap();
        let expected = "\
GENERATION  VERDICT      READ                             FROM  FILES     SIZE  MOVED  BASELINE  CONFIGURATION  REMARK
g2          quarantined  2026-11-24 23:10:05Z  4 min ago  a        12  1.5 KiB   17 B  v2        0123456789ab   data may be torn; drift of e7
g1          good         2026-11-24 23:10:05Z  4 min ago  a        12  1.5 KiB   17 B  v2        0123456789ab

1 good, 0 suspect, 1 quarantined
";
        let text = list_page(&list, now, Style::PLAIN);
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn a_diff_marks_each_file() {
        let change = |path: &str, kind| FileChange {
            path: path.into(),
            kind,
        };
        let diff = GenerationDiff {
            resource: "web".into(),
            older: "g1".into(),
            newer: "g2".into(),
            changes: vec![
                change("config/nginx.conf", FileChangeKind::Changed),
                change("config/new.conf", FileChangeKind::Added),
            ],
        };
        assert_eq!(
            diff_page(&diff, Style::PLAIN),
            "~ config/nginx.conf\n+ config/new.conf\n\n2 files from g1 to g2 \
             (+ added, ~ changed, m mode or owner, - removed)\n"
        );
    }
}
