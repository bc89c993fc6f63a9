//! What every resource's task reaches of the rest: the store, the clock, the alerts, and what the
//! other resources do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_core::fleet::{Drifts, remembered_for};
use evenkeel_core::{PropertyPath, Timestamp};
use evenkeel_ports::{Audit, Clock, ControlStore, History, Journal};

use crate::alerts::Alerts;
use crate::budget::Budget;
use crate::networks::Networks;
use crate::refits::Refits;
use crate::settings::Settings;

/// The ports, shared by all tasks.
#[derive(Clone, Debug)]
pub struct World {
    /// States, baselines, generations, events.
    pub control: Arc<dyn ControlStore>,
    /// Sagas.
    pub journal: Arc<dyn Journal>,
    /// Who did what.
    pub audit: Arc<dyn Audit>,
    /// Samples, changes, forecasts.
    pub history: Arc<dyn History>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The networks that forecasters share, by kind of resource.
    pub networks: Networks,
    /// What all work in the background may take.
    pub budget: Budget,
    /// Which models want to be fitted anew.
    pub refits: Refits,
    /// How often what was learned is kept.
    pub keep_learned_every: Duration,
    /// Where alerts go.
    pub alerts: Alerts,
    /// Which properties drift, fleet-wide.
    pub fleet: Fleet,
    /// The key under which secrets are hashed.
    pub redaction_key: RedactionKey,
    /// Names this process in leases.
    pub holder: Arc<str>,
}

impl World {
    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The key under which secrets are hashed; never shown.
#[derive(Clone, Copy)]
pub struct RedactionKey(pub [u8; 32]);

impl std::fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedactionKey(..)")
    }
}

/// Which properties drift on which resource, for all tasks.
#[derive(Clone, Debug, Default)]
pub struct Fleet(Arc<Mutex<Drifts>>);

impl Fleet {
    /// Says which properties of a resource drift now.
    pub fn report(&self, of: &Settings, drifting: BTreeSet<PropertyPath>, now: Timestamp) {
        self.drifts().report(&of.name, drifting, now);
    }

    /// On how many other resources each property drifts, or did a moment ago.
    pub fn elsewhere(&self, of: &Settings, now: Timestamp) -> BTreeMap<PropertyPath, u32> {
        let within = remembered_for(&of.policy);
        self.drifts().elsewhere(&of.name, now, within)
    }

    fn drifts(&self) -> MutexGuard<'_, Drifts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
