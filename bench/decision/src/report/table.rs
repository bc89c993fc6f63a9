//! The tables, as plain text with aligned columns that is Markdown too.

use std::fmt::Write as _;

use super::{Report, Row};
use crate::case::Group;
use crate::reliability::Reliability;

/// All of them.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} scenarios, seeds from {}; figures are of the half that nothing was tuned on.\n",
        report.scenarios, report.seed_offset
    );
    out.push_str(&contenders(report));
    out.push_str("\nSettings\n");
    for row in report.rows.iter().filter(|row| !row.is_evenkeel()) {
        let _ = writeln!(out, "  {}: {}", row.name, row.setting);
    }
    out.push_str("\nRecall of gradual drifts, lead share (median) and false failovers a resource-year, per family\n\n");
    out.push_str(&families(report));
    out.push_str(&reliabilities(report));
    if !report.nab.is_empty() {
        out.push_str("\nNAB, standard profile: 0 is silence, 100 perfect; settings and thresholds of the other half\n\n");
        out.push_str(&nab(report));
    }
    out.push_str("\nAims\n");
    for aim in &report.aims {
        let verdict = if aim.is_kept { "PASS" } else { "miss" };
        let _ = writeln!(out, "  {verdict}  {}: {}", aim.what, aim.figures);
    }
    out
}

fn contenders(report: &Report) -> String {
    let shown: Vec<Group> = Group::ALL
        .into_iter()
        .filter(|group| {
            let with_harm = |row: &Row| row.of_group(*group).is_some_and(|s| s.gradual > 0);
            report.rows.iter().any(with_harm)
        })
        .collect();
    let mut head: Vec<String> = vec!["contender".into(), "recall".into()];
    head.extend(shown.iter().map(|group| group.name().into()));
    head.extend(
        [
            "late",
            "lead median",
            "lead p10",
            "lead share",
            "share p10",
            "false/yr",
            "noise/yr",
            "h in harm",
            "Brier",
        ]
        .map(String::from),
    );
    let mut lines = vec![head];
    for row in &report.rows {
        let all = &row.all;
        let mut line = vec![row.name.clone(), share(all.recall)];
        line.extend(
            shown
                .iter()
                .map(|g| share(row.of_group(*g).and_then(|s| s.recall))),
        );
        line.extend([
            all.late.to_string(),
            span(all.lead_median_seconds),
            span(all.lead_p10_seconds),
            format!("{:.2}", all.lead_share_median),
            format!("{:.2}", all.lead_share_p10),
            format!("{:.2}", all.false_per_year),
            row.of_group(Group::Noise)
                .map_or("-".into(), |s| format!("{:.2}", s.false_per_year)),
            format!("{:.1}", all.harm_hours),
            row.limit_brier.map_or("-".into(), |b| format!("{b:.4}")),
        ]);
        lines.push(line);
    }
    aligned(&lines)
}

fn families(report: &Report) -> String {
    let mut head: Vec<String> = vec![
        "family".into(),
        "n".into(),
        "gradual".into(),
        "years".into(),
    ];
    head.extend(
        report
            .rows
            .iter()
            .map(|row| row.name.replace("Evenkeel, ", "")),
    );
    let mut lines = vec![head];
    let Some(first) = report.rows.first() else {
        return String::new();
    };
    for (place, family) in report.families.iter().enumerate() {
        let sizes = &first.families[place];
        let mut line = vec![
            family.name.to_owned(),
            sizes.resources.to_string(),
            sizes.gradual.to_string(),
            format!("{:.1}", sizes.harmless_years),
        ];
        line.extend(report.rows.iter().map(|row| {
            let s = &row.families[place];
            let caught = s.recall.map_or(String::new(), |recall| {
                format!("{recall:.2} {:.2} ", s.lead_share_median)
            });
            format!("{caught}{:.1}", s.false_per_year)
        }));
        lines.push(line);
    }
    aligned(&lines)
}

fn reliabilities(report: &Report) -> String {
    let mut out = String::new();
    for row in &report.rows {
        let parts = [
            ("beyond the limit within the horizon", &row.limit),
            ("predicted breaches: leaves its band", &row.breaches),
            ("sustained triggers: leaves its band", &row.triggers),
            ("sustained triggers: reaches the limit", &row.harm),
        ];
        for (what, reliability) in parts {
            if let Some(reliability) = reliability {
                let _ = writeln!(out, "\n{}, {what}: {}", row.name, one(reliability));
            }
        }
    }
    out
}

/// Tenth by tenth: stated, came true, how many.
fn one(reliability: &Reliability) -> String {
    let brier = reliability
        .brier()
        .map_or("-".into(), |b| format!("{b:.4}"));
    let mut text = format!("Brier {brier} of {}\n ", reliability.count());
    for bin in reliability.bins() {
        if let Some((stated, came)) = bin.point() {
            let _ = write!(text, " {stated:.2}>{came:.2} ({})", bin.count);
        }
    }
    text
}

fn nab(report: &Report) -> String {
    let head = [
        "detector",
        "score",
        "halves",
        "windows found",
        "false detections",
        "chosen",
    ];
    let mut lines = vec![head.map(String::from).to_vec()];
    for row in &report.nab {
        lines.push(vec![
            row.detector.to_owned(),
            format!("{:.1}", row.score),
            format!("{:.1}, {:.1}", row.halves[0], row.halves[1]),
            format!("{} of {}", row.windows_found, row.windows),
            row.false_detections.to_string(),
            row.chosen.join("; "),
        ]);
    }
    aligned(&lines)
}

/// Resource by resource, as comma-separated values; seconds since the first probe.
pub(super) fn each(report: &Report) -> String {
    let mut out = String::from(
        "contender,family,seed,onset_s,harm_s,first_s,possible_s,lead_s,false,in_harm_s\n",
    );
    let seconds = |value: Option<f64>| value.map_or(String::new(), |s| format!("{s:.0}"));
    for row in &report.rows {
        for s in &row.scores {
            let (onset, harm) = (s.harm.map(|h| h.onset), s.harm.map(|h| h.at));
            let _ = writeln!(
                out,
                "\"{}\",{},{},{},{},{},{:.0},{:.0},{},{:.0}",
                row.name,
                report.families[s.id.family].name,
                s.id.seed,
                seconds(onset),
                seconds(harm),
                seconds(s.first),
                s.possible,
                s.lead,
                s.false_failovers,
                s.harm_seconds
            );
        }
    }
    out
}

fn share(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.3}"))
}

fn span(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    if minutes >= 100.0 {
        format!("{:.1} h", minutes / 60.0)
    } else {
        format!("{minutes:.1} min")
    }
}

/// Lines of cells under each other, the first of them the head.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, width) in widths.iter().enumerate() {
            let cell = line.get(column).map_or("", String::as_str);
            let padded = if column == 0 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            };
            let _ = write!(out, "| {padded} ");
        }
        out.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(out, "|{}", "-".repeat(width + 2));
            }
            out.push_str("|\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let lines = [
            vec!["a".to_owned(), "bb".to_owned()],
            vec!["ccc".to_owned(), "d".to_owned()],
        ];
        assert_eq!(
            aligned(&lines),
            "| a   | bb |\n|-----|----|\n| ccc |  d |\n"
        );
    }

    #[test]
    fn spans_are_short() {
        assert_eq!(span(90.0), "1.5 min");
        assert_eq!(span(7200.0), "2.0 h");
    }
}
