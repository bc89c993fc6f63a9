//! How often a run was right: failovers against the harm that is known of.
//!
//! - A failover *answers* the harm of a property when it was made for that property, or while that property
//!   was breaching too, and not before the drift set in.
//! - A harm is met *in time* when a failover before it answers it, *late* when only one at or after it does, and
//!   is *missed* when none does.
//! - Where all harm is known, a failover that answers none is *false*. In a record, harm that a failover
//!   would have averted cannot be told from harm that would never have come: there, none is called false.
//! - Only harm of critical properties counts: nothing is failed over for others.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::outlook::Breach;
use evenkeel_core::policy::Policy;
use evenkeel_core::property::Severity;
use evenkeel_core::reason::Reason;
use evenkeel_core::replay::Decided;
use evenkeel_core::{PropertyPath, Timestamp};
use serde::Serialize;

use super::run::Ran;
use super::source::{Harm, Subject};

/// How a harm was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Met {
    InTime,
    Late,
    Missed,
}

/// One harm, and what was done about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct HarmReport {
    pub(super) resource: String,
    pub(super) property: String,
    /// When what leads there set in, where that is known.
    pub(super) onset: Option<String>,
    pub(super) harm_at: String,
    /// It came with one jump, which nothing could have foreseen.
    pub(super) sudden: bool,
    pub(super) met: Met,
    /// The first failover that answers it.
    pub(super) failover_at: Option<String>,
    /// From the failover to the harm, where it was met in time.
    pub(super) lead_s: Option<f64>,
    /// From the onset to the harm: no lead time is longer.
    pub(super) possible_s: Option<f64>,
}

/// Lead times of the harm that was met in time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct LeadTimes {
    pub(super) median_s: f64,
    pub(super) shortest_s: f64,
    pub(super) longest_s: f64,
}

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) evaluations: u64,
    pub(super) failovers: u64,
    /// Of these, by a prediction, before any critical property was seen at its limit.
    pub(super) predicted: u64,
    /// Of these, without harm to come; `null` where not all harm is known.
    #[serde(rename = "false")]
    pub(super) wrong: Option<u64>,
    /// Harm that critical properties do if nobody acts.
    pub(super) harms: u64,
    pub(super) in_time: u64,
    pub(super) late: u64,
    pub(super) missed: u64,
    pub(super) lead_time: Option<LeadTimes>,
    pub(super) alerts: Alerts,
    /// How often a guard began to hold a failover back, by its name.
    pub(super) held_back: BTreeMap<&'static str, u64>,
}

/// Alerts by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Alerts {
    pub(super) critical: u64,
    pub(super) warn: u64,
    pub(super) info: u64,
}

impl Alerts {
    pub(super) fn all(self) -> u64 {
        self.critical + self.warn + self.info
    }
}

/// A failover by itself.
struct Failover<'r> {
    at: Timestamp,
    /// What it was for, and what else was critical and breaching.
    about: Vec<&'r PropertyPath>,
}

impl Failover<'_> {
    fn answers(&self, path: &PropertyPath, harm: &Harm) -> bool {
        self.about.contains(&path) && harm.onset.is_none_or(|onset| onset <= self.at)
    }
}

/// Scores one run. `policies` are those it was made by, `all_known` says whether there is no other harm.
pub(super) fn score(
    subjects: &[Subject],
    policies: &[Policy],
    harms: &[BTreeMap<PropertyPath, Harm>],
    ran: &Ran,
    all_known: bool,
) -> (Summary, Vec<HarmReport>) {
    let mut reports = Vec::new();
    let mut wrong = 0;
    for (((subject, policy), harms), replayed) in
        subjects.iter().zip(policies).zip(harms).zip(&ran.replayed)
    {
        let failovers: Vec<Failover<'_>> = replayed.decisions.iter().filter_map(failover).collect();
        let is_critical = |path: &&PropertyPath| {
            policy.rule(path).and_then(|rule| rule.severity) == Some(Severity::Critical)
        };
        let harms: Vec<(&PropertyPath, &Harm)> =
            harms.iter().filter(|(path, _)| is_critical(path)).collect();
        let answers_any = |failover: &&Failover<'_>| {
            harms
                .iter()
                .any(|(path, harm)| failover.answers(path, harm))
        };
        wrong += failovers.iter().filter(|f| !answers_any(f)).count();
        for (path, harm) in harms {
            reports.push(meet(subject, path, harm, &failovers));
        }
    }
    reports.sort_by(|a, b| a.harm_at.cmp(&b.harm_at));
    let wrong = all_known.then(|| u64::try_from(wrong).unwrap_or(u64::MAX));
    (summary(ran, &reports, wrong), reports)
}

fn failover(decided: &Decided) -> Option<Failover<'_>> {
    let explanation = &decided.decision.explanation;
    let Reason::FailOver { path, .. } = &explanation.reason else {
        return None;
    };
    let along = (explanation.outlooks.iter())
        .filter(|o| o.severity == Severity::Critical && o.breach != Breach::None)
        .map(|o| &o.path);
    Some(Failover {
        at: decided.at,
        about: std::iter::once(path).chain(along).collect(),
    })
}

fn meet(
    subject: &Subject,
    path: &PropertyPath,
    harm: &Harm,
    failovers: &[Failover<'_>],
) -> HarmReport {
    let answer = failovers.iter().find(|f| f.answers(path, harm));
    let met = match answer {
        Some(failover) if failover.at < harm.at => Met::InTime,
        Some(_) => Met::Late,
        None => Met::Missed,
    };
    let lead = answer
        .filter(|failover| failover.at < harm.at)
        .map(|failover| harm.at - failover.at);
    HarmReport {
        resource: subject.id.to_string(),
        property: path.to_string(),
        onset: harm.onset.map(|onset| onset.to_string()),
        harm_at: harm.at.to_string(),
        sudden: harm.sudden,
        met,
        failover_at: answer.map(|failover| failover.at.to_string()),
        lead_s: lead.as_ref().map(Duration::as_secs_f64),
        possible_s: harm.onset.map(|onset| (harm.at - onset).as_secs_f64()),
    }
}

fn summary(ran: &Ran, harms: &[HarmReport], wrong: Option<u64>) -> Summary {
    let of = |met: Met| {
        let count = harms.iter().filter(|harm| harm.met == met).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    };
    let sum =
        |of: &dyn Fn(&evenkeel_core::replay::Replayed) -> u64| ran.replayed.iter().map(of).sum();
    let alerts = |severity: Severity| sum(&|r| r.alerts.get(&severity).copied().unwrap_or(0));
    let mut held_back = BTreeMap::new();
    for decided in ran.replayed.iter().flat_map(|r| &r.decisions) {
        if let Reason::HeldBack { guard, .. } = &decided.decision.explanation.reason {
            *held_back.entry(guard.as_str()).or_default() += 1;
        }
    }
    Summary {
        evaluations: sum(&|r| r.evaluations),
        failovers: sum(&|r| r.decisions.iter().filter_map(failover).count() as u64),
        predicted: sum(&|r| r.in_time),
        wrong,
        harms: u64::try_from(harms.len()).unwrap_or(u64::MAX),
        in_time: of(Met::InTime),
        late: of(Met::Late),
        missed: of(Met::Missed),
        lead_time: lead_times(harms),
        alerts: Alerts {
            critical: alerts(Severity::Critical),
            warn: alerts(Severity::Warn),
            info: alerts(Severity::Info),
        },
        held_back,
    }
}

fn lead_times(harms: &[HarmReport]) -> Option<LeadTimes> {
    let mut leads: Vec<f64> = harms.iter().filter_map(|harm| harm.lead_s).collect();
    leads.sort_by(f64::total_cmp);
    let (shortest, longest) = (*leads.first()?, *leads.last()?);
    let (below, above) = (leads[(leads.len() - 1) / 2], leads[leads.len() / 2]);
    Some(LeadTimes {
        median_s: (below + above) / 2.0,
        shortest_s: shortest,
        longest_s: longest,
    })
}
