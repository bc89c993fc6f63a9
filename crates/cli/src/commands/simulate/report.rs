//! What is said of a replay: one JSON document for programs, a page for people.

use evenkeel_core::Timestamp;
use evenkeel_core::policy::Policy;
use evenkeel_core::reason::Reason;
use evenkeel_core::replay::Decided;
use serde::Serialize;

use super::run::Ran;
use super::score::{HarmReport, Met, Summary};
use super::source::{Origin, Subject};
use crate::render::text::{count, date_time, span};
use crate::render::{Column, Page, Paint, Painted, Style, Table};

/// How many decisions are shown where not all are asked for.
const SHOWN: usize = 30;

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    pub(super) source: Origin,
    pub(super) resources: Vec<String>,
    /// The instants of the first entry and of the last.
    pub(super) from: Option<String>,
    pub(super) until: Option<String>,
    pub(super) settings: Settings,
    #[serde(flatten)]
    pub(super) answer: Answer,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    One {
        summary: Summary,
        harms: Vec<HarmReport>,
        decisions: Vec<Told>,
    },
    WhatIf {
        what_if: Vec<Row>,
    },
}

/// One risk tolerance of a what-if.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) risk_tolerance: f64,
    pub(super) summary: Summary,
    pub(super) harms: Vec<HarmReport>,
}

/// The numbers of the policy that decisions depend on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    pub(super) mode: &'static str,
    pub(super) when: &'static str,
    pub(super) act_on: &'static str,
    /// `null` for a what-if.
    pub(super) risk_tolerance: Option<f64>,
    pub(super) min_confidence: f64,
    pub(super) sustain: [u8; 2],
    pub(super) horizon_s: f64,
    pub(super) sample_every_s: f64,
}

/// One notable decision.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Told {
    pub(super) at: String,
    pub(super) resource: String,
    pub(super) reason: &'static str,
    /// The property that it is about.
    pub(super) property: Option<String>,
    /// The guard that held a failover back.
    pub(super) guard: Option<&'static str>,
    /// Whether people are told.
    pub(super) alerts: bool,
    pub(super) sentence: String,
}

impl Settings {
    pub(super) fn of(policy: &Policy, risk_tolerance: Option<f64>) -> Self {
        Self {
            mode: policy.mode.as_str(),
            when: policy.when.as_str(),
            act_on: policy.act_on.as_str(),
            risk_tolerance,
            min_confidence: policy.min_confidence.get(),
            sustain: [policy.sustain_k, policy.sustain_n],
            horizon_s: policy.horizon.as_secs_f64(),
            sample_every_s: policy.sample_every.as_secs_f64(),
        }
    }
}

/// The notable decisions of all subjects, in order of time.
pub(super) fn told(subjects: &[Subject], ran: &Ran) -> Vec<Told> {
    let mut all: Vec<(Timestamp, &Subject, &Decided)> = (subjects.iter().zip(&ran.replayed))
        .flat_map(|(subject, replayed)| {
            (replayed.decisions.iter()).map(move |decided| (decided.at, subject, decided))
        })
        .collect();
    all.sort_by_key(|(at, ..)| *at);
    all.into_iter()
        .map(|(at, subject, decided)| {
            let reason = &decided.decision.explanation.reason;
            let (kind, property, guard) = parts(reason);
            Told {
                at: at.to_string(),
                resource: subject.id.to_string(),
                reason: kind,
                property,
                guard,
                alerts: decided.decision.alerts(),
                sentence: reason.sentence(),
            }
        })
        .collect()
}

/// The kind of a reason as records spell it, with the property and the guard it is about.
fn parts(reason: &Reason) -> (&'static str, Option<String>, Option<&'static str>) {
    match reason {
        Reason::Quiet => ("quiet", None, None),
        Reason::Watched { path, .. } => ("watched", Some(path.to_string()), None),
        Reason::Surprised { path, .. } => ("surprised", Some(path.to_string()), None),
        Reason::NotSustained { path, .. } => ("not_sustained", Some(path.to_string()), None),
        Reason::HeldBack { guard, path, .. } => {
            ("held_back", Some(path.to_string()), Some(guard.as_str()))
        }
        Reason::FailOver { path, .. } => ("fail_over", Some(path.to_string()), None),
        Reason::Unknown { .. } => ("unknown", None, None),
        Reason::BaselineTaken => ("baseline_taken", None, None),
        Reason::Seeded => ("seeded", None, None),
        Reason::Moved { .. } => ("moved", None, None),
        Reason::MoveUndone { .. } => ("move_undone", None, None),
        Reason::Stuck { .. } => ("stuck", None, None),
        Reason::Reinstated { .. } => ("reinstated", None, None),
        Reason::ReinstatementFailed { .. } => ("reinstatement_failed", None, None),
        Reason::Commanded { .. } => ("commanded", None, None),
        Reason::Refused { .. } => ("refused", None, None),
    }
}

/// How much a decision matters to whoever reads the page: 0 is left out unless all are asked for.
fn weight(told: &Told) -> u8 {
    match told.reason {
        "fail_over" | "stuck" | "move_undone" => 3,
        "held_back" | "unknown" | "moved" | "reinstated" | "reinstatement_failed" => 2,
        "quiet" | "not_sustained" => 0,
        // It was said before, and came back.
        "watched" if !told.alerts => 0,
        _ => 1,
    }
}

/// The page.
pub(super) fn page(document: &Document, all: bool, style: Style) -> String {
    let mut page = Page::new(style);
    head(&mut page, document);
    match &document.answer {
        Answer::One {
            summary,
            harms,
            decisions,
        } => {
            decided(&mut page, decisions, all);
            harm(&mut page, harms);
            summed(&mut page, summary);
        }
        Answer::WhatIf { what_if } => compared(&mut page, what_if),
    }
    page.finish()
}

fn head(page: &mut Page, document: &Document) {
    let seed = match &document.source {
        Origin::Scenario { seed, .. } => format!(", seed {seed}"),
        Origin::Csv { .. } | Origin::History { .. } => String::new(),
    };
    let names = match document.resources.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first, second] => format!("{first} and {second}"),
        [first, .., last] => format!(
            "{} from {first} to {last}",
            count(document.resources.len() as u64, "resource")
        ),
    };
    let period = match (&document.from, &document.until) {
        (Some(from), Some(until)) => format!("{} to {}", date_time(from), date_time(until)),
        (_, _) => "no time at all".to_owned(),
    };
    page.line(format!("{names}: {period}{seed}"));
    let settings = &document.settings;
    let risk = settings
        .risk_tolerance
        .map_or_else(String::new, |risk| format!("risk tolerance {risk}, "));
    let [k, n] = settings.sustain;
    page.line(format!(
        "mode {}, {}, {risk}confidence {}, {k} of {n} evaluations, horizon {}, a probe every {}",
        settings.mode,
        settings.when,
        settings.min_confidence,
        span(settings.horizon_s),
        span(settings.sample_every_s),
    ));
}

fn decided(page: &mut Page, decisions: &[Told], all: bool) {
    let mut shown: Vec<&Told> = (decisions.iter())
        .filter(|told| all || weight(told) > 0)
        .collect();
    if !all && shown.len() > SHOWN {
        // The sort is stable: of two that matter as much the earlier one is shown.
        shown.sort_by_key(|told| std::cmp::Reverse(weight(told)));
        shown.truncate(SHOWN);
        shown.sort_by(|a, b| a.at.cmp(&b.at));
    }
    page.heading("Decisions");
    if shown.is_empty() {
        page.item("none");
    }
    let mut table = Table::new(&[
        Column::Left("AT"),
        Column::Left("RESOURCE"),
        Column::Left("WHY"),
    ]);
    for told in &shown {
        let paint = match told.reason {
            "fail_over" => Paint::Bold,
            _ => Paint::Plain,
        };
        table.row([
            date_time(&told.at).into(),
            told.resource.as_str().into(),
            Painted::new(paint, told.sentence.as_str()),
        ]);
    }
    if !table.is_empty() {
        page.table(&table, 2);
    }
    let left_out = decisions.len() - shown.len();
    if left_out > 0 {
        page.item(format!("and {left_out} more: --all shows them"));
    }
}

fn harm(page: &mut Page, harms: &[HarmReport]) {
    if harms.is_empty() {
        return;
    }
    page.heading("Harm, if nobody acted");
    let mut table = Table::new(&[
        Column::Left("AT"),
        Column::Left("RESOURCE"),
        Column::Left("PROPERTY"),
        Column::Left("MET"),
    ]);
    for harm in harms {
        let (paint, words) = match (harm.met, harm.lead_s) {
            (Met::InTime, Some(lead)) => {
                let possible = (harm.possible_s)
                    .map_or_else(String::new, |possible| format!(" of {}", span(possible)));
                (Paint::Green, format!("{}{possible} before", span(lead)))
            }
            (Met::InTime, None) => (Paint::Green, "in time".to_owned()),
            (Met::Late, _) => (Paint::Red, "late".to_owned()),
            (Met::Missed, _) => (Paint::Red, "missed".to_owned()),
        };
        let sudden = if harm.sudden { " (sudden)" } else { "" };
        table.row([
            date_time(&harm.harm_at).into(),
            harm.resource.as_str().into(),
            harm.property.as_str().into(),
            Painted::new(paint, format!("{words}{sudden}")),
        ]);
    }
    page.table(&table, 2);
}

fn summed(page: &mut Page, summary: &Summary) {
    let mut table = Table::new(&[Column::Left(""), Column::Left("")]);
    let wrong = summary
        .wrong
        .map_or_else(String::new, |wrong| format!(", {wrong} false"));
    let mut row = |what: &str, words: String| table.row([what.into(), words.into()]);
    row("evaluations", summary.evaluations.to_string());
    row(
        "failovers",
        format!(
            "{}: {} by prediction{wrong}",
            summary.failovers, summary.predicted
        ),
    );
    row(
        "harm",
        format!(
            "{}: {} met in time, {} late, {} missed",
            summary.harms, summary.in_time, summary.late, summary.missed
        ),
    );
    if let Some(lead) = &summary.lead_time {
        row(
            "lead time",
            format!(
                "median {}, {} to {}",
                span(lead.median_s),
                span(lead.shortest_s),
                span(lead.longest_s)
            ),
        );
    }
    let alerts = &summary.alerts;
    row(
        "alerts",
        format!(
            "{} critical, {} warn, {} info",
            alerts.critical, alerts.warn, alerts.info
        ),
    );
    let held: Vec<String> = (summary.held_back.iter())
        .map(|(guard, times)| format!("{guard} {times}"))
        .collect();
    if !held.is_empty() {
        row("held back", held.join(", "));
    }
    page.heading("Summary");
    page.table(&table, 2);
}

fn compared(page: &mut Page, rows: &[Row]) {
    let mut table = Table::new(&[
        Column::Right("RISK"),
        Column::Right("FAILOVERS"),
        Column::Right("FALSE"),
        Column::Right("HARM"),
        Column::Right("IN TIME"),
        Column::Right("LATE"),
        Column::Right("MISSED"),
        Column::Right("MEDIAN LEAD"),
        Column::Right("ALERTS"),
    ]);
    for row in rows {
        let summary = &row.summary;
        let lead = summary.lead_time.as_ref();
        table.row([
            row.risk_tolerance.to_string().into(),
            summary.failovers.to_string().into(),
            summary
                .wrong
                .map_or("-".into(), |wrong| wrong.to_string())
                .into(),
            summary.harms.to_string().into(),
            summary.in_time.to_string().into(),
            summary.late.to_string().into(),
            summary.missed.to_string().into(),
            lead.map_or("-".into(), |lead| span(lead.median_s)).into(),
            summary.alerts.all().to_string().into(),
        ]);
    }
    page.gap();
    page.table(&table, 2);
}
