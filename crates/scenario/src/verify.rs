//! What a scenario may not say, though each of its values alone may stand: ranges of the policy,
//! references, and components that do not fit their property.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_core::Brief;
use evenkeel_core::policy::{Mode, Policy, Probability, RiskTolerance};
use evenkeel_core::property::Value;

use crate::component::Component;
use crate::generate::{member_names, observed, rule};
use crate::problem::{Key, Wrong};
use crate::scenario::{Clamp, Kind, Limits, PolicyKeys, Property, Resource, Scenario, Tolerance};

/// No more probes, and no more changes of contents, are made of one property: 200 years at a minute.
const MOST_INSTANTS: u128 = 105_000_000;
/// No larger fleet, no more properties of one entry, no more items or lines at once.
const MOST_AT_ONCE: u32 = 10_000;

/// Collects what is wrong below some keys.
struct Checker<'a> {
    keys: Vec<Key>,
    wrong: &'a mut Vec<Wrong>,
}

impl Checker<'_> {
    fn refuse(&mut self, key: &'static str, what: impl Into<String>) {
        let mut keys = self.keys.clone();
        keys.push(Key::Name(key));
        let what = what.into();
        self.wrong.push(Wrong { keys, what });
    }

    fn at(&mut self, below: &[Key]) -> Checker<'_> {
        let keys = self.keys.iter().chain(below).copied().collect();
        Checker {
            keys,
            wrong: self.wrong,
        }
    }

    fn item(&mut self, list: &'static str, index: usize) -> Checker<'_> {
        self.at(&[Key::Name(list), Key::Index(index)])
    }
}

impl Scenario {
    /// Everything that is wrong with it.
    pub(crate) fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let mut check = Checker {
            keys: Vec::new(),
            wrong: &mut wrong,
        };
        grid(self, &mut check);
        self.policy
            .check(self.step, &mut check.at(&[Key::Name("policy")]));
        if self.resource.is_empty() {
            check.refuse(
                "resource",
                "there is nothing to watch; write a [[resource]]",
            );
        }
        let mut names = BTreeSet::new();
        for (i, resource) in self.resource.iter().enumerate() {
            let mut check = check.item("resource", i);
            for name in member_names(resource) {
                if !names.insert(name.clone()) {
                    check.refuse(
                        "name",
                        format!("`{name}` is there twice; give it another name"),
                    );
                }
            }
            self.resource(resource, &mut check);
        }
        self.people(&mut check);
        wrong
    }

    fn resource(&self, resource: &Resource, check: &mut Checker<'_>) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if resource.name.is_empty() || !resource.name.chars().all(fits) {
            let what = format!(
                "`{}` is not a name; use letters, digits, `-`, `_` and `.`",
                resource.name
            );
            check.refuse("name", what);
        }
        if resource.count == 0 || resource.count > MOST_AT_ONCE {
            let what = format!(
                "a fleet of {}; it has 1 to {MOST_AT_ONCE} members",
                resource.count
            );
            check.refuse("count", what);
        }
        if let Some(late) = resource.late.filter(|late| late.by >= self.step) {
            let what = format!(
                "late by up to {}, with a probe every {}; write less than a step",
                Brief(late.by),
                Brief(self.step)
            );
            check.refuse("late", what);
        }
        if resource.property.is_empty() {
            let what = format!(
                "`{}` has no property; write a [[resource.property]]",
                resource.name
            );
            check.refuse("property", what);
        }
        let mut paths = BTreeSet::new();
        for (i, property) in resource.property.iter().enumerate() {
            let mut check = check.item("property", i);
            if property.count.is_some_and(|n| n == 0 || n > MOST_AT_ONCE) {
                check.refuse("count", format!("write a count of 1 to {MOST_AT_ONCE}"));
                continue;
            }
            for path in property.paths() {
                if path.is_empty() || !paths.insert(path.clone()) {
                    check.refuse("path", format!("the path `{path}` is empty or there twice"));
                }
            }
            of_property(property, &mut check);
            for (i, component) in property.course.iter().enumerate() {
                let keys = [Key::Name("course"), Key::Index(i)];
                self.component(property, component, &mut check.at(&keys));
            }
        }
    }

    fn component(&self, property: &Property, component: &Component, check: &mut Checker<'_>) {
        let kind = property.kind();
        if !fits(component, kind) {
            let what = format!(
                "`{}` does not move a {}; {} does",
                component.name(),
                kind.as_str(),
                movers(kind)
            );
            check.refuse(component.name(), what);
        }
        let mut check = check.at(&[Key::Name(component.name())]);
        match component {
            Component::Flapping(flapping) => {
                if kind == Kind::Number && flapping.by.is_none() {
                    check.refuse("by", "a number flaps by how much? write `by`");
                }
                if kind == Kind::Flag {
                    self.many(flapping.high.min(flapping.low), "high", &mut check);
                }
            }
            Component::Grow(repeated) | Component::Edit(repeated) => {
                if repeated.size == 0 || repeated.size > MOST_AT_ONCE {
                    check.refuse("size", format!("write a size of 1 to {MOST_AT_ONCE}"));
                }
                self.many(repeated.every, "every", &mut check);
            }
            Component::Change(change) => {
                let to = Property::new("", change.to.0.clone()).kind();
                if to != kind && !(to == Kind::Text && kind == Kind::Choice) {
                    let what = format!(
                        "`{}` is a {}, and the property a {}; write a value of its kind",
                        change.to.0.brief(),
                        to.as_str(),
                        kind.as_str()
                    );
                    check.refuse("to", what);
                }
            }
            Component::Ramp(_)
            | Component::Step(_)
            | Component::Walk(_)
            | Component::Reverting(_)
            | Component::Noise(_)
            | Component::Season(_)
            | Component::Leak(_)
            | Component::Counter(_)
            | Component::Stairs(_)
            | Component::Vanish(_)
            | Component::Add(_)
            | Component::Remove(_)
            | Component::Leaf(_)
            | Component::Trace(_) => {}
        }
    }

    /// Changes of contents are made beforehand, so there must not be too many.
    fn many(&self, every: Duration, key: &'static str, check: &mut Checker<'_>) {
        const MOST: u128 = 1_000_000;
        if self.length.as_millis() / every.as_millis().max(1) > MOST {
            check.refuse(key, format!("more than {MOST} changes; make them rarer"));
        }
    }

    /// Approvals, windows and commands are about what is there.
    fn people(&self, check: &mut Checker<'_>) {
        let mut known: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
        for resource in &self.resource {
            for name in member_names(resource)
                .into_iter()
                .chain([resource.name.clone()])
            {
                known.entry(name).or_default().push(resource);
            }
        }
        let unknown = |name: &Option<String>| {
            let name = name.as_ref().filter(|name| !known.contains_key(*name))?;
            let names: Vec<&str> = self.resource.iter().map(|r| r.name.as_str()).collect();
            Some(format!(
                "there is no resource `{name}`; there is `{}`",
                names.join("`, `")
            ))
        };
        for (i, approval) in self.approval.iter().enumerate() {
            let mut check = check.item("approval", i);
            if let Some(what) = unknown(&approval.resource) {
                check.refuse("resource", what);
                continue;
            }
            let resources = (approval.resource.as_ref()).map_or_else(
                || self.resource.iter().collect(),
                |name| known[name].clone(),
            );
            let paths: BTreeSet<String> = (resources.iter())
                .flat_map(|resource| resource.property.iter().flat_map(Property::paths))
                .collect();
            for path in approval.paths.iter().filter(|path| !paths.contains(*path)) {
                check.refuse("paths", format!("there is no property `{path}` to approve"));
            }
        }
        for (i, window) in self.window.iter().enumerate() {
            if let Some(what) = unknown(&window.resource) {
                check.item("window", i).refuse("resource", what);
            }
        }
        for (i, command) in self.command.iter().enumerate() {
            if let Some(what) = unknown(&command.resource) {
                check.item("command", i).refuse("resource", what);
            }
        }
    }
}

fn grid(scenario: &Scenario, check: &mut Checker<'_>) {
    let (length, step) = (scenario.length, scenario.step);
    if step < Duration::from_millis(50) {
        let what = format!("a probe every {}; at least 50ms is asked for", Brief(step));
        check.refuse("step", what);
    } else if length < step {
        let what = format!(
            "a length of {} with a probe every {}; write a length of many steps",
            Brief(length),
            Brief(step)
        );
        check.refuse("length", what);
    } else if length.as_millis() / step.as_millis().max(1) > MOST_INSTANTS {
        check.refuse(
            "length",
            format!("more than {MOST_INSTANTS} probes; shorten it"),
        );
    }
}

fn of_property(property: &Property, check: &mut Checker<'_>) {
    let value = observed(property).value;
    let is = Property::new("", value.clone()).kind();
    if is != property.kind() {
        let what = format!(
            "`{}` is a {}, and not a {}; write a value of that kind",
            value.brief(),
            is.as_str(),
            property.kind().as_str()
        );
        check.refuse("approved", what);
    }
    if property.tolerance.is_some() && property.limits.is_some() {
        check.refuse("limits", "there is a tolerance too; keep one of them");
    }
    if let Some(Tolerance::Relative(_)) = property.tolerance
        && value.as_number() == Some(0.0)
    {
        let what = "a share of 0 is nothing; write a tolerance in the property's own unit";
        check.refuse("tolerance", what);
    }
    if let Some(Limits { lower, upper }) = property.limits {
        sides(check, "limits", &value, lower, upper);
    }
    if let Some(Clamp { lower, upper }) = property.clamp {
        sides(check, "clamp", &value, lower, upper);
    }
    if property.quantum.is_some() && value.as_number().is_none() {
        let what = format!("a {} has no quantum; only a number has", is.as_str());
        check.refuse("quantum", what);
    }
    if let Err(error) = rule(property) {
        check.refuse("path", error);
    }
}

/// Bounds of a number: one or both, in order, and the approved value between them.
fn sides(
    check: &mut Checker<'_>,
    key: &'static str,
    value: &Value,
    lower: Option<f64>,
    upper: Option<f64>,
) {
    let Some(value) = value.as_number() else {
        check.refuse(key, format!("only a number has {key}; write a tolerance"));
        return;
    };
    let (low, high) = (
        lower.unwrap_or(f64::NEG_INFINITY),
        upper.unwrap_or(f64::INFINITY),
    );
    if (lower.is_none() && upper.is_none()) || low >= high {
        let what = format!("write {key} as {{ upper = 1024 }}, {{ lower = 10 }}, or both in order");
        check.refuse(key, what);
    } else if value < low || value > high {
        let what = format!("the approved value {value} is outside; it lies between them");
        check.refuse(key, what);
    }
}

fn fits(component: &Component, kind: Kind) -> bool {
    match component {
        Component::Ramp(_)
        | Component::Step(_)
        | Component::Walk(_)
        | Component::Reverting(_)
        | Component::Noise(_)
        | Component::Season(_)
        | Component::Leak(_)
        | Component::Counter(_)
        | Component::Stairs(_)
        | Component::Trace(_) => kind == Kind::Number,
        Component::Flapping(_) => matches!(kind, Kind::Number | Kind::Flag),
        Component::Change(_) => kind != Kind::Number,
        Component::Vanish(_) => true,
        Component::Add(_) | Component::Remove(_) | Component::Grow(_) => kind == Kind::Set,
        Component::Edit(_) => kind == Kind::Text,
        Component::Leaf(_) => kind == Kind::Document,
    }
}

fn movers(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => {
            "`ramp`, `step`, `walk`, `reverting`, `noise`, `season`, `leak`, `counter`, `stairs`, \
             `flapping` or `vanish`"
        }
        Kind::Flag => "`change`, `flapping` or `vanish`",
        Kind::Choice => "`change` or `vanish`",
        Kind::Text => "`change`, `edit` or `vanish`",
        Kind::Set => "`change`, `add`, `remove`, `grow` or `vanish`",
        Kind::Document => "`change`, `leaf` or `vanish`",
    }
}

impl PolicyKeys {
    /// The policy that it comes to. Numbers out of range are left at their default; `check` refuses them.
    pub(crate) fn over_defaults(&self, step: Duration) -> Policy {
        let mut policy = Policy {
            mode: self.mode.unwrap_or(Mode::Act),
            sample_every: step,
            ..Policy::default()
        };
        fn set<T>(target: &mut T, written: Option<T>) {
            if let Some(written) = written {
                *target = written;
            }
        }
        let risk = self.risk_tolerance.map(RiskTolerance::new);
        set(&mut policy.risk_tolerance, risk.and_then(Result::ok));
        let confidence = self.min_confidence.map(Probability::new);
        set(&mut policy.min_confidence, confidence.and_then(Result::ok));
        if let Some([k, n]) = self.sustain {
            (policy.sustain_k, policy.sustain_n) = (k, n);
        }
        set(&mut policy.when, self.when);
        set(&mut policy.act_on, self.act_on);
        policy.warm_up = self.warm_up;
        set(&mut policy.horizon, self.horizon);
        set(&mut policy.band_floor, self.band_floor);
        set(&mut policy.band_ceiling, self.band_ceiling);
        set(&mut policy.safety_factor, self.safety_factor);
        set(&mut policy.cool_down, self.cool_down);
        set(&mut policy.max_failovers, self.max_failovers);
        set(&mut policy.max_failovers_within, self.max_failovers_within);
        set(&mut policy.approval_required, self.approval);
        set(&mut policy.max_data_age, self.max_data_age);
        policy.rehearsal_max_age = self.rehearsal_max_age;
        set(&mut policy.shared_fate_at, self.shared_fate_at);
        set(&mut policy.probe_lost_after, self.probe_lost_after);
        set(&mut policy.revert, self.revert);
        policy
    }

    fn check(&self, step: Duration, check: &mut Checker<'_>) {
        if let Some(Err(error)) = self.risk_tolerance.map(RiskTolerance::new) {
            check.refuse("risk_tolerance", error.to_string());
        }
        if let Some(Err(error)) = self.min_confidence.map(Probability::new) {
            check.refuse("min_confidence", error.to_string());
        }
        if let Some([k, n]) = self.sustain
            && (k == 0 || k > n || n > 64)
        {
            let what = format!("sustain = [{k}, {n}]; write [k, n] with 1 <= k <= n <= 64");
            check.refuse("sustain", what);
        }
        let policy = self.over_defaults(step);
        let (floor, ceiling) = (policy.band_floor, policy.band_ceiling);
        if !(floor > 0.0 && floor <= ceiling && ceiling <= 1.0) {
            let key = if self.band_floor.is_some() {
                "band_floor"
            } else {
                "band_ceiling"
            };
            let what = format!(
                "the band's floor is {floor} and its ceiling {ceiling}; 0 < floor <= ceiling <= 1 is asked for"
            );
            check.refuse(key, what);
        }
        if !(1.0..=1000.0).contains(&policy.safety_factor) {
            let what = format!(
                "a safety factor of {}; it lies between 1 and 1000",
                policy.safety_factor
            );
            check.refuse("safety_factor", what);
        }
        if policy.horizon < step {
            let what = format!(
                "a horizon of {} with a probe every {}; the horizon is several probes long",
                Brief(policy.horizon),
                Brief(step)
            );
            check.refuse("horizon", what);
        }
    }
}
