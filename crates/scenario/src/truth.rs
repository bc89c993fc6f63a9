//! The truth about a made-up property: when it does harm, and when what leads there set in.
//!
//! - *Harm* is the first instant of the grid at which the systematic course (all components but noise,
//!   quantised and clamped) is at its limit: |deviation| >= 1, by the same `deviation` as the daemon's.
//!   An approval moves the approved value to the systematic one of the last instant; within a maintenance
//!   window nothing is harm, but what is still at its limit when the window ends is.
//! - *Onset* is when the component set in that contributes most in the direction of the harm since the last
//!   approval: the `at` of a ramp, a step or stairs, the last restart of a leak. For a walk, a season, a
//!   trace and for what is no number it is the first instant after the value was last as approved, or
//!   on the other side. It is never before the last approval.
//! - *Sudden* is a drift that came to its limit with a jump of at least half the way within one step: nothing
//!   could have foreseen it. Every other is *gradual*.
//!
//! The truth knows nothing of failovers: it is what happens if nobody acts.

use std::collections::BTreeMap;

use evenkeel_core::deviation::{Scale, deviation};
use evenkeel_core::property::{Severity, Value};
use evenkeel_core::{PropertyPath, Timestamp};

use crate::generate::{Made, observed, scatter, tolerance};
use crate::running::{Course, Seen};
use crate::scenario::Property;

/// What is true of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// When what leads to the harm set in.
    pub onset: Option<Timestamp>,
    /// When it is at its limit for the first time.
    pub harm_at: Option<Timestamp>,
    /// How it came there.
    pub kind: Drift,
}

impl Truth {
    /// No harm is done.
    pub const HARMLESS: Self = Self {
        onset: None,
        harm_at: None,
        kind: Drift::None,
    };
}

/// How a property came to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It did not.
    None,
    /// In many small steps, which could be foreseen.
    Gradual,
    /// With one jump, which could not.
    Sudden,
}

/// A jump of so much within one step is sudden.
const SUDDEN: f64 = 0.5;

impl Made {
    /// The truth about every property. It goes through the whole course of each that varies, so keep it.
    pub fn truths(&self) -> BTreeMap<PropertyPath, Truth> {
        let mut truths = BTreeMap::new();
        for property in &self.resource().property {
            for path in property.paths() {
                let truth = self.truth_of(property, &path);
                truths.insert(PropertyPath::new(path), truth);
            }
        }
        truths
    }

    /// The critical property that does harm first, and the truth about it; `None` if none does.
    pub fn first_harm(&self) -> Option<(PropertyPath, Truth)> {
        let is_critical = |path: &PropertyPath| {
            let rule = self.policy.rule(path);
            rule.and_then(|rule| rule.severity) == Some(Severity::Critical)
        };
        (self.truths().into_iter())
            .filter(|(path, truth)| truth.harm_at.is_some() && is_critical(path))
            .min_by_key(|(_, truth)| truth.harm_at)
    }

    fn truth_of(&self, property: &Property, path: &str) -> Truth {
        let mut course = Course::new(property, path, &self.surroundings(), false);
        if course.is_constant() {
            return Truth::HARMLESS;
        }
        let mut judge = Judge::new(self, property, path);
        for probe in 0..self.probes() {
            let due = self.due(probe);
            judge.approve_before(due, &mut course);
            let changed = course.advance(due);
            if let Some(sign) = judge.is_harm(due, &course.seen, changed) {
                return judge.verdict(self, due, course.leading_since(sign));
            }
        }
        Truth::HARMLESS
    }
}

/// Follows one property, in seconds from the start.
struct Judge<'p> {
    property: &'p Property,
    approved: Option<Value>,
    scale: Scale,
    /// When it is approved, latest first.
    approvals: Vec<f64>,
    windows: Vec<(f64, f64)>,
    deviation: f64,
    /// The deviation at the last instant outside a window.
    before: f64,
    approved_at: f64,
    /// Since when the deviation is above 0, and below 0.
    above_since: Option<f64>,
    below_since: Option<f64>,
    is_sudden: bool,
}

impl<'p> Judge<'p> {
    fn new(made: &Made, property: &'p Property, path: &str) -> Self {
        let start = made.scenario.start;
        let seconds = |at: Timestamp| crate::scenario::Moment::At(at).seconds_from(start);
        let mut approvals: Vec<f64> = (made.approvals())
            .filter(|(_, approval)| {
                approval.paths.is_empty() || approval.paths.iter().any(|p| p == path)
            })
            .map(|(at, _)| seconds(at))
            .collect();
        approvals.sort_by(|a, b| b.total_cmp(a));
        let windows = made.windows().map(|(from, window)| {
            let from = seconds(from);
            (from, from + window.lasting.as_secs_f64())
        });
        let mut judge = Self {
            property,
            approved: Some(observed(property).value),
            scale: Scale::AnyChange,
            approvals,
            windows: windows.collect(),
            deviation: 0.0,
            before: 0.0,
            approved_at: 0.0,
            above_since: None,
            below_since: None,
            is_sudden: false,
        };
        judge.rescale();
        judge
    }

    fn rescale(&mut self) {
        self.scale = Scale::resolve(
            tolerance(self.property),
            self.approved.as_ref(),
            self.property.origin(),
            Some(scatter(self.property)),
        );
    }

    /// Takes what is there as approved, if somebody approved it before `due`.
    fn approve_before(&mut self, due: f64, course: &mut Course) {
        while let Some(at) = self.approvals.pop_if(|at| *at < due) {
            self.approved = match &course.seen {
                Seen::There(value) => Some(value.clone()),
                Seen::Gone => None,
                Seen::Unread => continue,
            };
            course.approve();
            self.rescale();
            self.approved_at = at;
            (self.deviation, self.before) = (0.0, 0.0);
            (self.above_since, self.below_since) = (None, None);
        }
    }

    /// Whether what is seen at `due` is harm, and in which direction.
    fn is_harm(&mut self, due: f64, seen: &Seen, changed: bool) -> Option<f64> {
        let found = match seen {
            Seen::There(value) => Some(value),
            Seen::Gone => None,
            Seen::Unread => return None,
        };
        // What did not change need not be compared again; texts may be long.
        if changed || due == 0.0 {
            self.deviation = deviation(self.approved.as_ref(), found, self.scale);
        }
        let now = self.deviation;
        let since = |since: Option<f64>, there: bool| there.then(|| since.unwrap_or(due));
        self.above_since = since(self.above_since, now > 0.0);
        self.below_since = since(self.below_since, now < 0.0);
        if self
            .windows
            .iter()
            .any(|(from, until)| *from <= due && due < *until)
        {
            return None;
        }
        self.is_sudden = now.signum() * (now - self.before) >= SUDDEN;
        self.before = now;
        (now.abs() >= 1.0).then(|| now.signum())
    }

    fn verdict(&self, made: &Made, harm: f64, leading_since: Option<f64>) -> Truth {
        let away_since = self.above_since.or(self.below_since).unwrap_or(harm);
        let onset = leading_since.unwrap_or(away_since);
        let onset = onset.min(harm).max(self.approved_at);
        let instant = |seconds: f64| {
            made.scenario.start + std::time::Duration::from_secs_f64(seconds.max(0.0))
        };
        Truth {
            onset: Some(instant(onset)),
            harm_at: Some(instant(harm)),
            kind: if self.is_sudden {
                Drift::Sudden
            } else {
                Drift::Gradual
            },
        }
    }
}
