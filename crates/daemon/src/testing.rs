//! What the tests of the engine and of the API share: the embedded store in a directory of its own, and a
//! resource that settles within moments.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::policy::Policy;
use evenkeel_ports::ControlStore;
use evenkeel_store::Store;

use crate::alerts::Alerts;
use crate::budget::Budget;
use crate::clock::SystemClock;
use crate::engine;
use crate::networks::Networks;
use crate::refits::Refits;
use crate::settings::{KeepGenerations, Settings, SyncRhythm};
use crate::world::{Fleet, RedactionKey, World};

/// A world whose store is below `dir`.
pub(crate) async fn world(dir: &Path) -> World {
    let store = Store::open(&dir.join("state")).unwrap();
    let key = store.redaction_key().await.unwrap();
    let budget = Budget::new(0.0);
    World {
        control: Arc::new(store.clone()),
        journal: Arc::new(store.clone()),
        audit: Arc::new(store.clone()),
        history: Arc::new(store),
        clock: Arc::new(SystemClock::start()),
        networks: Networks::off(),
        refits: Refits::new(budget.clone()),
        budget,
        keep_learned_every: engine::KEEP_EVERY,
        alerts: Alerts::to_log(),
        fleet: Fleet::default(),
        redaction_key: RedactionKey(key),
        holder: "test".into(),
    }
}

/// The settings of a resource that is probed a hundred times a second.
pub(crate) fn settings(name: &str) -> Settings {
    Settings {
        name: name.into(),
        kind: "fake".to_owned(),
        labels: [("team".to_owned(), "edge".to_owned())].into(),
        policy: Policy {
            sample_every: Duration::from_millis(10),
            settle: Duration::from_millis(30),
            ..Policy::default()
        },
        sync: SyncRhythm {
            on_change: false,
            every: Duration::from_secs(3600),
        },
        rehearse_every: None,
        keep: KeepGenerations {
            newest: 10,
            younger_than: Duration::from_secs(3600),
            at_most: 100,
        },
    }
}
