//! What records of the tests over the real forecaster are made of: one resource, `web`.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::{Capabilities, Outcome};
use evenkeel_core::property::{Observed, Probe};
use evenkeel_core::replay::Assumed;
use evenkeel_core::{BaselineVersion, Instance, Timestamp};
use evenkeel_sim::world::START;

/// A probe that found these capacities.
pub(crate) fn probe(at: Timestamp, values: &[(&str, f64)]) -> Probe {
    let properties = values.iter().map(|(path, value)| {
        let observed = Observed::capacity(*value, None);
        ((*path).into(), observed)
    });
    Probe {
        at,
        instance: Instance::A,
        properties: properties.collect(),
        unreadable: BTreeMap::new(),
    }
}

/// The baseline that approves these.
pub(crate) fn baseline(values: &[(&str, f64)]) -> Baseline {
    Baseline {
        version: BaselineVersion(1),
        at: START,
        by: "ann".to_owned(),
        note: String::new(),
        properties: probe(START, values).properties,
        learned: BTreeMap::new(),
        pinned: None,
    }
}

/// Clients move in a quarter of a minute, and a reinstatement takes one.
pub(crate) const ASSUMED: Assumed = Assumed {
    capabilities: Capabilities::STATELESS,
    activation: Duration::from_secs(5),
    moving: Duration::from_secs(15),
    outcome: Outcome::Done,
    reinstating: Duration::from_secs(60),
};
