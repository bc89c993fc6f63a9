//! From a scenario and a seed to resources: policy, baseline, and the entries of a replay.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::Command;
use evenkeel_core::failover::{Capabilities, Outcome};
use evenkeel_core::policy::{LearnedTolerances, Policy, PropertyRule, Tolerance};
use evenkeel_core::property::{Observed, Probe, Value};
use evenkeel_core::replay::{Assumed, Entry};
use evenkeel_core::{BaselineVersion, Instance, PropertyPath, ResourceId, Timestamp};

use crate::component::{Component, Vanish};
use crate::contents::{Contents, as_kind};
use crate::course::{NumberCourse, Surroundings};
use crate::problem::Problems;
use crate::random::Seeded;
use crate::scenario::{self, Asked, Limits, Property, Resource, Scenario};

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
    seed: u64,
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
                assumed: assumed(scenario),
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
    let mut pattern = String::new();
    for character in property.path.chars() {
        match character {
            '?' | '*' | '[' | ']' | '{' | '}' | '!' | '\\' => {
                pattern.extend(['[', character, ']']);
            }
            plain => pattern.push(plain),
        }
    }
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

fn assumed(scenario: &Scenario) -> Assumed {
    Assumed {
        capabilities: Capabilities {
            single_writer: false,
            has_traffic: true,
            has_data: false,
            can_rehearse: true,
        },
        activation: scenario.assumed.activation,
        moving: scenario.assumed.moving,
        outcome: Outcome::Done,
        reinstating: scenario.assumed.reinstating,
    }
}

/// What one property does.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// How it was seen last.
    pub(crate) seen: Seen,
    body: Body,
    /// When it is not there.
    absent: Vec<(f64, f64)>,
}

/// What there is to be seen of a property.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// This value.
    There(Value),
    /// It is not there.
    Gone,
    /// Nothing is known.
    Unread,
}

#[derive(Clone, Debug)]
enum Body {
    Number(NumberCourse),
    Contents(Contents),
}

impl Course {
    /// The course of `property` under `path`; without its noise it is the systematic one.
    pub(crate) fn new(
        property: &Property,
        path: &str,
        within: &Surroundings<'_>,
        with_noise: bool,
    ) -> Self {
        let approved = observed(property).value;
        let body = match approved.as_number() {
            Some(level) => {
                Body::Number(NumberCourse::new(property, path, level, within, with_noise))
            }
            None => Body::Contents(Contents::new(property, path, &approved, within)),
        };
        let absent = property.course.iter().filter_map(|component| {
            let Component::Vanish(Vanish { at, lasting }) = component else {
                return None;
            };
            let at = within.seconds(*at);
            let ends = lasting.map_or(f64::INFINITY, |lasting| at + lasting.as_secs_f64());
            Some((at, ends))
        });
        Self {
            seen: Seen::There(approved),
            absent: absent.collect(),
            body,
        }
    }

    /// Whether it is always as approved.
    pub(crate) fn is_constant(&self) -> bool {
        let moves = match &self.body {
            Body::Number(number) => !number.is_constant(),
            Body::Contents(contents) => !contents.is_constant(),
        };
        !moves && self.absent.is_empty()
    }

    /// Goes on to `t` seconds from the start; whether `seen` is another now.
    pub(crate) fn advance(&mut self, t: f64) -> bool {
        let was_gone = self.seen == Seen::Gone;
        let is_gone = (self.absent.iter()).any(|(from, until)| *from <= t && t < *until);
        let now = match &mut self.body {
            Body::Number(number) => match number.at(t).and_then(Value::number) {
                _ if is_gone => Seen::Gone,
                Some(value) => Seen::There(value),
                None => Seen::Unread,
            },
            Body::Contents(contents) => {
                let changed = contents.advance(t);
                match (is_gone, changed || was_gone) {
                    (true, _) => Seen::Gone,
                    (false, true) => Seen::There(contents.value().clone()),
                    (false, false) => return false,
                }
            }
        };
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    /// When the component set in that leads in the direction of `sign`; `None` where that cannot be said.
    pub(crate) fn leading_since(&self, sign: f64) -> Option<f64> {
        match &self.body {
            Body::Number(number) if self.seen != Seen::Gone => number.leading_since(sign),
            Body::Number(_) | Body::Contents(_) => None,
        }
    }
}

/// The entries of one resource, in order of time.
#[derive(Clone, Debug)]
pub struct Entries {
    made: Made,
    next_probe: u64,
    /// The probe that is due, or what came instead of it, where something else came first.
    waiting: Option<Entry>,
    /// What people do, in order of time.
    agenda: VecDeque<(Timestamp, Order, Entry)>,
    properties: BTreeMap<PropertyPath, Observed>,
    varying: Vec<Varying>,
    sampling: Sampling,
    lost_since: Option<Timestamp>,
}

/// What comes first at one instant: a window covers the probe at its first instant, and an approval is
/// of what that probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    BeforeProbe,
    AfterProbe,
}

#[derive(Clone, Debug)]
struct Varying {
    path: PropertyPath,
    observed: Observed,
    course: Course,
    unreadable: Option<(f64, Seeded)>,
}

#[derive(Clone, Debug)]
struct Sampling {
    random: Seeded,
    /// From, until, and what the probe says; gaps say nothing.
    stretches: Vec<(f64, f64, Option<String>)>,
}

impl Entries {
    fn new(made: &Made) -> Self {
        let within = made.surroundings();
        let mut varying = Vec::new();
        for property in &made.resource().property {
            for path in property.paths() {
                let course = Course::new(property, &path, &within, true);
                let unreadable = (property.unreadable > 0.0).then(|| {
                    let name = format!("{}\n{path}\nunreadable", within.resource);
                    (property.unreadable, Seeded::named(made.seed, &name))
                });
                if !course.is_constant() || unreadable.is_some() {
                    varying.push(Varying {
                        path: PropertyPath::new(path),
                        observed: observed(property),
                        course,
                        unreadable,
                    });
                }
            }
        }
        Self {
            next_probe: 0,
            waiting: None,
            agenda: agenda(made),
            properties: made.baseline.properties.clone(),
            varying,
            sampling: Sampling::new(made),
            lost_since: None,
            made: made.clone(),
        }
    }

    /// The next probe, or what came instead; `None` at the end.
    fn probe(&mut self) -> Option<Entry> {
        let probes = self.made.probes();
        while self.next_probe < probes {
            let due = self.made.due(self.next_probe);
            self.next_probe += 1;
            let at = self.made.scenario.start + Duration::from_secs_f64(due);
            let unreadable = self.advance(due);
            match self.sampling.at(due, self.made.resource()) {
                Sampled::Taken { late } => {
                    self.lost_since = None;
                    return Some(Entry::Probed(self.taken(at + late, &unreadable)));
                }
                Sampled::Lost(why) => {
                    let since = *self.lost_since.get_or_insert(at);
                    return Some(Entry::Lost { at, since, why });
                }
                Sampled::Missing => {}
            }
        }
        None
    }

    /// Brings all properties to `due`; which of them cannot be read.
    fn advance(&mut self, due: f64) -> Vec<PropertyPath> {
        let mut unreadable = Vec::new();
        for varying in &mut self.varying {
            if varying.course.advance(due) {
                match &varying.course.seen {
                    Seen::There(value) => {
                        let observed = Observed {
                            value: value.clone(),
                            ..varying.observed.clone()
                        };
                        self.properties.insert(varying.path.clone(), observed);
                    }
                    Seen::Gone | Seen::Unread => {
                        self.properties.remove(&varying.path);
                    }
                }
            }
            let is_hidden =
                (varying.unreadable.as_mut()).is_some_and(|(share, random)| random.unit() < *share);
            if is_hidden || varying.course.seen == Seen::Unread {
                unreadable.push(varying.path.clone());
            }
        }
        unreadable
    }

    fn taken(&self, at: Timestamp, unreadable: &[PropertyPath]) -> Probe {
        let mut properties = self.properties.clone();
        for path in unreadable {
            properties.remove(path);
        }
        let reason = |path: &PropertyPath| (path.clone(), "cannot be read".to_owned());
        Probe {
            at,
            instance: Instance::A,
            properties,
            unreadable: unreadable.iter().map(reason).collect(),
        }
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let probe = self.waiting.take().or_else(|| self.probe());
        let comes_first = match (self.agenda.front(), &probe) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((at, Order::BeforeProbe, _)), Some(probe)) => *at <= probe.at(),
            (Some((at, Order::AfterProbe, _)), Some(probe)) => *at < probe.at(),
        };
        if comes_first {
            self.waiting = probe;
            return self.agenda.pop_front().map(|(_, _, entry)| entry);
        }
        probe
    }
}

enum Sampled {
    Taken { late: Duration },
    Lost(String),
    Missing,
}

impl Sampling {
    fn new(made: &Made) -> Self {
        let (within, resource) = (made.surroundings(), made.resource());
        let stretch = |at, lasting: Duration, why| {
            let from = within.scenario.seconds(at);
            (from, from + lasting.as_secs_f64(), why)
        };
        let gaps = resource
            .gap
            .iter()
            .map(|gap| stretch(gap.at, gap.lasting, None));
        let lost = (resource.lost.iter())
            .map(|lost| stretch(lost.at, lost.lasting, Some(lost.why.clone())));
        Self {
            random: Seeded::named(made.seed, &format!("{}\n\nsampling", within.resource)),
            stretches: gaps.chain(lost).collect(),
        }
    }

    /// What becomes of the probe that is due now. It always draws the same number of times.
    fn at(&mut self, due: f64, resource: &Resource) -> Sampled {
        let (missing, late, how_late) =
            (self.random.unit(), self.random.unit(), self.random.unit());
        let within = (self.stretches.iter()).find(|(from, until, _)| *from <= due && due < *until);
        match (within, resource.late) {
            (Some((_, _, Some(why))), _) => Sampled::Lost(why.clone()),
            (Some((_, _, None)), _) => Sampled::Missing,
            (None, _) if missing < resource.missing => Sampled::Missing,
            (None, Some(rule)) if late < rule.share => Sampled::Taken {
                late: rule.by.mul_f64(how_late),
            },
            (None, _) => Sampled::Taken {
                late: Duration::ZERO,
            },
        }
    }
}

/// What people do with a resource, in order of time.
fn agenda(made: &Made) -> VecDeque<(Timestamp, Order, Entry)> {
    let scenario = &made.scenario;
    let mut all = Vec::new();
    for command in scenario
        .command
        .iter()
        .filter(|c| made.is_meant(c.resource.as_ref()))
    {
        let at = scenario.instant(command.at);
        let entry = Entry::Commanded {
            at,
            command: asked(command, at),
            by: command.by.clone(),
        };
        all.push((at, Order::BeforeProbe, entry));
    }
    for (from, window) in made.windows() {
        let command = Command::OpenWindow {
            from,
            until: from + window.lasting,
            why: window.why.clone(),
        };
        let entry = Entry::Commanded {
            at: from,
            command,
            by: window.by.clone(),
        };
        all.push((from, Order::BeforeProbe, entry));
    }
    for (at, approval) in made.approvals() {
        all.extend(accepted(at, approval).map(|entry| (at, Order::AfterProbe, entry)));
    }
    all.retain(|(at, _, _)| *at < scenario.end());
    all.sort_by_key(|(at, order, _)| (*at, *order));
    all.into()
}

/// An approval as a replay reads it.
fn accepted(_at: Timestamp, approval: &scenario::Approval) -> Option<Entry> {
    let _paths: BTreeSet<PropertyPath> = (approval.paths.iter())
        .map(|path| PropertyPath::from(path.as_str()))
        .collect();
    None
}

fn asked(command: &scenario::Command, at: Timestamp) -> Command {
    const APPROVED_FOR: Duration = Duration::from_secs(3600);
    match command.asked {
        Asked::Failover => Command::Failover,
        Asked::Switchover => Command::Switchover,
        Asked::Failback => Command::Failback,
        Asked::Reinstate => Command::Reinstate,
        Asked::Pause => Command::Pause {
            why: command.why.clone(),
            until: command.lasting.map(|lasting| at + lasting),
        },
        Asked::Resume => Command::Resume,
        Asked::Approve => Command::Approve {
            until: at + command.lasting.unwrap_or(APPROVED_FOR),
        },
        Asked::Release => Command::Release,
    }
}
