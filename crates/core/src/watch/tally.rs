//! A forecaster for tests that only counts: what it was told, and what it was fitted to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Watch;
use crate::baseline::Baseline;
use crate::forecast::{Forecast, Forecaster, ForecasterFactory, HorizonGrid, ModelWeight};
use crate::ids::{BaselineVersion, Instance};
use crate::outlook::PropertyOutlook;
use crate::policy::{Policy, PropertyRule, Tolerance};
use crate::property::{Observed, Probe, Value};
use crate::time::Timestamp;

/// Wants a refit when it has seen twice as much as at the last one, and at least [`FIRST_AFTER`].
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tally {
    grid: HorizonGrid,
    first: Option<Timestamp>,
    seen: u64,
    in_control_seen: u64,
    in_control: bool,
    sum: f64,
    fitted_to: u64,
}

pub(super) const FIRST_AFTER: u64 = 64;

#[allow(clippy::cast_precision_loss)] // Small counts.
impl Forecaster for Tally {
    fn observe(&mut self, at: Timestamp, value: f64) {
        self.first = self.first.or(Some(at));
        self.seen += 1;
        self.in_control_seen += u64::from(self.in_control);
        self.sum += value;
    }

    fn forecast(&self) -> Option<Forecast> {
        None
    }

    fn in_control_half_widths(&self, _: f64) -> Option<(f64, f64)> {
        (self.in_control_seen > 0).then_some((self.in_control_seen as f64, 1.0))
    }

    fn set_in_control(&mut self, in_control: bool) {
        self.in_control = in_control;
    }

    fn onset(&self) -> Option<Timestamp> {
        None
    }

    fn restart(&mut self) {
        (self.first, self.seen, self.sum, self.fitted_to) = (None, 0, 0.0, 0);
    }

    fn weights(&self) -> Vec<ModelWeight> {
        vec![ModelWeight {
            model: format!("fitted to {}", self.fitted_to),
            weight: 1.0,
        }]
    }

    fn measured_coverage(&self, _: f64) -> Option<(f64, u64)> {
        Some((self.sum, self.seen))
    }

    fn wants_refit(&self) -> Option<Timestamp> {
        let is_due = self.seen >= (2 * self.fitted_to).max(FIRST_AFTER);
        self.first.filter(|_| is_due)
    }

    fn refit(&mut self, history: &[(Timestamp, f64)]) {
        self.fitted_to = history.len() as u64;
    }

    fn fork(&self) -> Option<Box<dyn Forecaster>> {
        Some(Box::new(self.clone()))
    }

    fn state(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }
}

#[derive(Debug)]
pub(super) struct Tallies;

impl ForecasterFactory for Tallies {
    fn forecaster(&self, grid: &HorizonGrid, _: u64) -> Box<dyn Forecaster> {
        Box::new(Tally {
            grid: grid.clone(),
            first: None,
            seen: 0,
            in_control_seen: 0,
            in_control: true,
            sum: 0.0,
            fitted_to: 0,
        })
    }

    fn restore(&self, grid: &HorizonGrid, state: &[u8]) -> Option<Box<dyn Forecaster>> {
        let tally: Tally = serde_json::from_slice(state).ok()?;
        (tally.grid == *grid).then(|| Box::new(tally) as Box<dyn Forecaster>)
    }
}

/// One probe a second; `x` and `y` may each be 100 away from 0.
pub(super) fn policy() -> Policy {
    let rule = |path: &str| PropertyRule::new(path, Tolerance::Absolute(100.0)).unwrap();
    Policy {
        sample_every: Duration::from_secs(1),
        horizon: Duration::from_secs(10),
        rules: vec![rule("x"), rule("y")],
        ..Policy::default()
    }
}

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(0) + Duration::from_secs(second)
}

pub(super) fn see(
    watch: &mut Watch,
    policy: &Policy,
    second: u64,
    values: &[(&str, f64)],
) -> Vec<PropertyOutlook> {
    let observed = |value: f64| Observed::configuration(Value::Number(value));
    let properties = |values: &[(&str, f64)]| {
        let all = values
            .iter()
            .map(|(path, v)| ((*path).into(), observed(*v)));
        all.collect::<BTreeMap<_, _>>()
    };
    let approved: Vec<(&str, f64)> = values.iter().map(|(path, _)| (*path, 0.0)).collect();
    let baseline = Baseline {
        version: BaselineVersion(1),
        at: at(0),
        by: "test".into(),
        note: String::new(),
        properties: properties(&approved),
        learned: BTreeMap::new(),
        pinned: None,
    };
    let probe = Probe {
        at: at(second),
        instance: Instance::A,
        properties: properties(values),
        unreadable: BTreeMap::new(),
    };
    watch.assess(policy, &baseline, &probe, &Tallies)
}
