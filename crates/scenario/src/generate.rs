//! From a scenario and a seed to resources: policy, baseline, and the entries of a replay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::{Capabilities, Outcome};
use evenkeel_core::policy::{LearnedTolerances, Policy, PropertyRule, Tolerance, literal};
use evenkeel_core::property::Observed;
use evenkeel_core::replay::Assumed;
use evenkeel_core::{BaselineVersion, PropertyPath, ResourceId, Timestamp};

use crate::component::Component;
use crate::contents::as_kind;
use crate::course::Surroundings;
use crate::entries::Entries;
use crate::problem::Problems;
use crate::scenario::{self, Limits, Property, Resource, Scenario};

/// Resources made of a scenario, in the order it names them.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The resources; the members of a fleet one after the other.
    pub resources: Vec<Made>,
}

/// One made-up resource.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its name.
    pub id: ResourceId,
    /// What is asked for.
    pub policy: Policy,
    /// What is approved at the start.
    pub baseline: Baseline,
    /// What a replay has to assume.
    pub assumed: Assumed,
    /// How long bringing a generation to the clone takes.
    pub sync: Duration,
    pub(crate) scenario: Arc<Scenario>,
    resource: usize,
    behind: f64,
    pub(crate) seed: u64,
}

/// Makes the resources of `scenario`, with the randomness of `seed`.
///
/// # Errors
/// When the scenario contradicts itself; one that was read from a file does not.
pub fn generate(scenario: &Scenario, seed: u64) -> Result<Generated, Problems> {
    let wrong = scenario.wrong();
    if !wrong.is_empty() {
        return Err(Problems::nowhere(wrong));
    }
    let shared = Arc::new(scenario.clone());
    let mut resources = Vec::new();
    for (number, resource) in scenario.resource.iter().enumerate() {
        for (member, name) in (0_u32..).zip(member_names(resource)) {
            resources.push(Made {
                id: ResourceId::new(name),
                policy: policy(scenario, resource),
                baseline: baseline(scenario, resource),
                assumed: scenario.assumed.assumed(),
                sync: scenario.assumed.sync,
                scenario: Arc::clone(&shared),
                resource: number,
                behind: resource.stagger.as_secs_f64() * f64::from(member),
                seed,
            });
        }
    }
    Ok(Generated { resources })
}

/// The names of a fleet's members.
pub(crate) fn member_names(resource: &Resource) -> Vec<String> {
    match resource.count {
        1 => vec![resource.name.clone()],
        count => (1..=count)
            .map(|i| format!("{}-{i}", resource.name))
            .collect(),
    }
}

impl Made {
    /// What happens to it, in order of time, each entry made when it is asked for; from the start at every
    /// call, and the same each time.
    pub fn entries(&self) -> Entries {
        Entries::new(self)
    }

    /// How many probes are due.
    pub fn probes(&self) -> u64 {
        let (length, step) = (self.scenario.length, self.scenario.step);
        u64::try_from(length.as_nanos().div_ceil(step.as_nanos().max(1))).unwrap_or(u64::MAX)
    }

    /// Its description.
    pub(crate) fn resource(&self) -> &Resource {
        &self.scenario.resource[self.resource]
    }

    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            scenario: &self.scenario,
            seed: self.seed,
            resource: self.id.as_str(),
            behind: self.behind,
        }
    }

    /// Seconds from the start to the probe with this number.
    #[allow(clippy::cast_precision_loss)] // far below 2^53 probes
    pub(crate) fn due(&self, probe: u64) -> f64 {
        probe as f64 * self.scenario.step.as_secs_f64()
    }

    /// Whether something of `name` (all, where there is none) is meant for this resource.
    pub(crate) fn is_meant(&self, name: Option<&String>) -> bool {
        name.is_none_or(|name| *name == self.resource().name || name == self.id.as_str())
    }

    /// The instants of the approvals that are about it, with the paths they are about.
    pub(crate) fn approvals(&self) -> impl Iterator<Item = (Timestamp, &scenario::Approval)> {
        (self.scenario.approval.iter())
            .filter(|approval| self.is_meant(approval.resource.as_ref()))
            .map(|approval| (self.scenario.instant(approval.at), approval))
    }

    /// The windows that are about it.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (Timestamp, &scenario::Window)> {
        (self.scenario.window.iter())
            .filter(|window| self.is_meant(window.resource.as_ref()))
            .map(|window| (self.scenario.instant(window.at), window))
    }
}

/// What is asked for of a resource. The scenario's own keys are in range: they were checked.
fn policy(scenario: &Scenario, resource: &Resource) -> Policy {
    let mut policy = scenario.policy.over_defaults(scenario.step);
    let mut rules: Vec<PropertyRule> = (resource.property.iter())
        .filter_map(|property| rule(property).ok())
        .collect();
    // The first that matches decides, and `a/*` is about `a/b/c` too: the longer patterns come first.
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.pattern().len()));
    policy.rules = rules;
    policy
}

/// The rule about a property; with a pattern for all of them where there are many.
pub(crate) fn rule(property: &Property) -> Result<PropertyRule, String> {
    let mut pattern = literal(&property.path);
    if property.count.is_some() {
        pattern.push_str("/*");
    }
    let mut rule =
        PropertyRule::new(&pattern, tolerance(property)).map_err(|error| error.to_string())?;
    rule.severity = Some(property.severity);
    rule.unit.clone_from(&property.unit);
    Ok(rule)
}

/// How far a property may go.
pub(crate) fn tolerance(property: &Property) -> Tolerance {
    match (property.tolerance, property.limits) {
        (Some(scenario::Tolerance::Absolute(distance)), _) => Tolerance::Absolute(distance),
        (Some(scenario::Tolerance::Relative(share)), _) => Tolerance::Relative(share),
        (None, Some(Limits { lower, upper })) => Tolerance::Limits { lower, upper },
        (None, None) => Tolerance::Learned,
    }
}

/// The scatter that settling would have shown: the standard deviation of all noise at the start.
pub(crate) fn scatter(property: &Property) -> f64 {
    let variance = |component: &Component| match component {
        Component::Noise(noise) => noise.sd * noise.sd,
        Component::Reverting(reverting) => reverting.sd * reverting.sd,
        Component::Ramp(_)
        | Component::Step(_)
        | Component::Walk(_)
        | Component::Season(_)
        | Component::Leak(_)
        | Component::Counter(_)
        | Component::Stairs(_)
        | Component::Flapping(_)
        | Component::Change(_)
        | Component::Vanish(_)
        | Component::Add(_)
        | Component::Remove(_)
        | Component::Grow(_)
        | Component::Edit(_)
        | Component::Leaf(_)
        | Component::Trace(_) => 0.0,
    };
    property.course.iter().map(variance).sum::<f64>().sqrt()
}

fn baseline(scenario: &Scenario, resource: &Resource) -> Baseline {
    let mut properties = BTreeMap::new();
    let mut learned = LearnedTolerances::new();
    for property in &resource.property {
        for path in property.paths() {
            let path = PropertyPath::new(path);
            if tolerance(property) == Tolerance::Learned {
                learned.insert(path.clone(), scatter(property));
            }
            properties.insert(path, observed(property));
        }
    }
    Baseline {
        version: BaselineVersion(1),
        at: scenario.start,
        by: "scenario".to_owned(),
        note: String::new(),
        properties,
        learned,
        pinned: None,
    }
}

/// A property as it is approved. Its unit is in its rule.
pub(crate) fn observed(property: &Property) -> Observed {
    Observed {
        value: as_kind(&property.approved.0, property.kind()),
        origin: property.origin(),
        unit: None,
        place: None,
    }
}

impl scenario::Times {
    /// What a replay assumes: a resource with traffic and no data, whose every move succeeds.
    pub fn assumed(&self) -> Assumed {
        Assumed {
            capabilities: Capabilities::STATELESS,
            activation: self.activation,
            moving: self.moving,
            outcome: Outcome::Done,
            reinstating: self.reinstating,
        }
    }
}
