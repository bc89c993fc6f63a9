//! Evenkeel over one scenario: its own replay, with its default policy, at some risk tolerance.
//!
//! Acting, it gives its failovers. Advising it never acts, so the course is what would come if nothing were
//! done, and what it says can be held against what came: that is the second pass, for the reliability.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use evenkeel_core::failover::{Capabilities, Outcome};
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::{Mode, Policy, RiskTolerance};
use evenkeel_core::property::Severity;
use evenkeel_core::reason::Reason;
use evenkeel_core::replay::{Assumed, Entry, Fleet, Setting, Step};
use evenkeel_forecast::MixtureFactory;

use crate::actor::Failover;
use crate::case::{Case, Resource};
use crate::outcome::Outcomes;
use crate::reliability::Reliability;

/// What a record cannot tell: moving clients takes no longer than a probe, and succeeds.
const ASSUMED: Assumed = Assumed {
    capabilities: Capabilities::STATELESS,
    activation: Duration::from_secs(2),
    moving: Duration::from_secs(3),
    outcome: Outcome::Done,
    reinstating: Duration::from_secs(4),
};

/// The failovers on each resource of a scenario.
pub(crate) fn act(case: &Case, tolerance: RiskTolerance) -> Vec<Vec<Failover>> {
    let mut failovers = vec![Vec::new(); case.resources.len()];
    replay(
        case,
        tolerance,
        Mode::Act,
        |number, resource, entry, step| {
            if let Reason::FailOver { .. } = step.decision.explanation.reason {
                let at_limit = |o: &PropertyOutlook| {
                    o.severity == Severity::Critical && o.breach == Breach::Observed
                };
                failovers[number].push(Failover {
                    at: entry.since(resource.record.start).as_secs_f64(),
                    predicted: !step.outlooks.iter().any(at_limit),
                });
            }
        },
    );
    failovers
}

/// What was decided on each resource of a scenario and is worth a record, decision by decision, one a line.
pub(crate) fn story(case: &Case, tolerance: RiskTolerance) -> String {
    let mut out = String::new();
    for resource in &case.resources {
        let _ = writeln!(
            out,
            "{}: horizon {} s, step {} s, until {} s, {:?}",
            resource.name,
            case.context.horizon,
            case.context.step,
            resource.record.end(),
            resource.harm
        );
    }
    replay(case, tolerance, Mode::Act, |_, resource, at, step| {
        if step.decision.notable {
            let _ = writeln!(
                out,
                "{:>9} {} {}",
                at.since(resource.record.start).as_secs(),
                resource.name,
                step.decision.explanation.reason.sentence()
            );
        }
    });
    out
}

/// Whether what it says comes true.
#[derive(Clone, Debug, Default)]
pub(crate) struct Believed {
    /// At the sampled evaluations: the probability to be beyond the limit within the horizon.
    pub(crate) limit: Reliability,
    /// At the sampled evaluations with a predicted breach: its confidence, that the deviation leaves its
    /// band within the horizon.
    pub(crate) breaches: Reliability,
    /// At the first sustained trigger of each episode: the same.
    pub(crate) triggers: Reliability,
    /// At the first sustained trigger of each episode: its confidence, and whether the limit was reached.
    pub(crate) harm: Reliability,
}

impl Believed {
    /// Takes all statements of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.limit.merge(&other.limit);
        self.breaches.merge(&other.breaches);
        self.triggers.merge(&other.triggers);
        self.harm.merge(&other.harm);
    }
}

/// Listens to what it says while nothing is done.
pub(crate) fn believe(case: &Case, tolerance: RiskTolerance) -> Believed {
    let mut believed = Believed::default();
    let mut calling = vec![false; case.resources.len()];
    let mut probes = vec![0_usize; case.resources.len()];
    replay(
        case,
        tolerance,
        Mode::Advise,
        |number, resource, at, step| {
            if step.outlooks.is_empty() {
                return;
            }
            let record = &resource.record;
            let seconds = at.since(record.start).as_secs_f64();
            let Some(probe) = record.at[probes[number]..]
                .iter()
                .position(|t| *t == seconds)
            else {
                return;
            };
            let probe = probes[number] + probe;
            probes[number] = probe;
            let outcomes = Outcomes::new(record, case.context.horizon);
            if outcomes.is_sampled(probe) {
                for outlook in step.outlooks {
                    sample(&mut believed, &outcomes, probe, outlook);
                }
            }
            let held = match &step.decision.explanation.reason {
                Reason::HeldBack { path, .. } => Some(path),
                _ => None,
            };
            let first = held.filter(|_| !calling[number]);
            calling[number] = held.is_some();
            let outlook = first.and_then(|path| step.outlooks.iter().find(|o| o.path == *path));
            if let Some(outlook) = outlook {
                trigger(&mut believed, &outcomes, probe, outlook);
            }
        },
    );
    believed
}

fn sample(
    believed: &mut Believed,
    outcomes: &Outcomes<'_>,
    probe: usize,
    outlook: &PropertyOutlook,
) {
    let Some(property) = outcomes.property(&outlook.path) else {
        return;
    };
    if let Some(came) = outcomes.reaches_limit(probe, property) {
        let probability = outlook
            .forecast
            .as_ref()
            .map_or(0.0, |forecast| forecast.passage(-1.0, 1.0));
        believed.limit.push(probability, came);
    }
    if let Breach::Predicted { confidence, .. } = outlook.breach
        && let Some(left) = outcomes.leaves(probe, property, outlook.band.lower, outlook.band.upper)
    {
        believed.breaches.push(confidence, left);
    }
}

fn trigger(
    believed: &mut Believed,
    outcomes: &Outcomes<'_>,
    probe: usize,
    outlook: &PropertyOutlook,
) {
    let Breach::Predicted { confidence, .. } = outlook.breach else {
        return;
    };
    let Some(property) = outcomes.property(&outlook.path) else {
        return;
    };
    if let Some(left) = outcomes.leaves(probe, property, outlook.band.lower, outlook.band.upper) {
        believed.triggers.push(confidence, left);
    }
    if let Some(harmed) = outcomes.reaches_limit(probe, property) {
        believed.harm.push(confidence, harmed);
    }
}

/// Replays a scenario, and shows each answered entry with its resource and instant.
fn replay(
    case: &Case,
    tolerance: RiskTolerance,
    mode: Mode,
    mut shown: impl FnMut(usize, &Resource, evenkeel_core::Timestamp, Step<'_>),
) {
    let factory = MixtureFactory::default();
    let policies: Vec<Policy> = case
        .resources
        .iter()
        .map(|resource| Policy {
            mode,
            risk_tolerance: tolerance,
            ..resource.policy.clone()
        })
        .collect();
    let settings: Vec<Setting<'_>> = case
        .resources
        .iter()
        .zip(&policies)
        .map(|(resource, policy)| Setting {
            resource: &resource.name,
            policy,
            baseline: &resource.baseline,
            factory: &factory,
            assumed: ASSUMED,
        })
        .collect();
    let mut fleet = Fleet::new(&settings);
    for (number, entry) in in_order(&case.resources) {
        let at = entry.at();
        if let Some(step) = fleet.take(number, entry.clone()) {
            shown(number, &case.resources[number], at, step);
        }
    }
}

/// Every entry of a fleet with its resource, in order of time.
fn in_order(resources: &[Resource]) -> Vec<(usize, &Entry)> {
    let mut by_time: BTreeMap<(evenkeel_core::Timestamp, usize, usize), &Entry> = BTreeMap::new();
    for (number, resource) in resources.iter().enumerate() {
        for (place, entry) in resource.entries.iter().enumerate() {
            by_time.insert((entry.at(), number, place), entry);
        }
    }
    by_time
        .into_iter()
        .map(|((_, number, _), entry)| (number, entry))
        .collect()
}
