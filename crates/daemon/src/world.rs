//! What every resource's task reaches of the rest: the store, the clock, the alerts, and what the
//! other resources do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::forecast::ForecasterFactory;
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};
use evenkeel_ports::{Audit, Clock, ControlStore, History, Journal};

use crate::alerts::Alerts;
use crate::refits::Refits;

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
    /// Makes forecasters.
    pub forecasters: Arc<dyn ForecasterFactory>,
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

/// Which properties drift now, by resource: what shared fate is seen by.
#[derive(Clone, Debug, Default)]
pub struct Fleet(Arc<Mutex<BTreeMap<ResourceId, BTreeSet<PropertyPath>>>>);

impl Fleet {
    /// Says which properties of `resource` drift now.
    pub fn report(&self, resource: &ResourceId, drifting: BTreeSet<PropertyPath>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if drifting.is_empty() {
            all.remove(resource);
        } else {
            all.insert(resource.clone(), drifting);
        }
    }

    /// How many resources other than `resource` drift in each property that it drifts in itself.
    pub fn elsewhere(&self, resource: &ResourceId) -> BTreeMap<PropertyPath, u32> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = all.get(resource) else {
            return BTreeMap::new();
        };
        own.iter()
            .map(|path| {
                let others = all
                    .iter()
                    .filter(|(id, paths)| *id != resource && paths.contains(path));
                (
                    path.clone(),
                    u32::try_from(others.count()).unwrap_or(u32::MAX),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_others_count() {
        let fleet = Fleet::default();
        let paths = |names: &[&str]| names.iter().map(|&n| PropertyPath::from(n)).collect();
        fleet.report(&"a".into(), paths(&["x", "y"]));
        fleet.report(&"b".into(), paths(&["x"]));
        fleet.report(&"c".into(), paths(&["x", "z"]));
        let seen = fleet.elsewhere(&"a".into());
        assert_eq!(seen[&"x".into()], 2);
        assert_eq!(seen[&"y".into()], 0);
        fleet.report(&"b".into(), BTreeSet::new());
        assert_eq!(fleet.elsewhere(&"a".into())[&"x".into()], 1);
    }
}
