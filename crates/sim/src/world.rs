//! The world of one simulated resource, `web`: the fakes, and the hands of people.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::Capabilities;
use evenkeel_core::policy::Policy;
use evenkeel_core::property::Observed;
use evenkeel_core::state::{Phase, State};
use evenkeel_core::{BaselineVersion, Instance, PropertyPath, ResourceId, Timestamp};
use evenkeel_ports::fake::{FakeClock, FakeDriver, FakeRedirector, FakeStore, Place, poll_once};
use evenkeel_ports::{Commit, ControlStore, Revision, StoreError};

use crate::script::{Rates, Script, View};

/// When simulations begin: 2026-11-23T12:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_795_435_200_000);

/// See the module.
#[derive(Debug)]
pub struct World {
    /// The resource's name.
    pub resource: ResourceId,
    /// What was asked for.
    pub policy: Policy,
    /// Faults and checks.
    pub script: Arc<Script>,
    /// What survives the death of a process.
    pub store: FakeStore,
    /// Instances, clients, time.
    pub view: Arc<View>,
}

/// What can be compared of a world before and after something that should have had no effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    a: Place,
    b: Place,
    served_by: Option<Instance>,
}

impl World {
    /// A guarded resource: `a` runs with `properties`, which are approved, and nothing is cloned yet.
    ///
    /// # Errors
    /// When the store cannot be written, which a script that begins without faults never does.
    pub fn new(
        script: Script,
        capabilities: Capabilities,
        policy: Policy,
        properties: BTreeMap<PropertyPath, Observed>,
    ) -> Result<Self, StoreError> {
        let rates = script.set_rates(Rates::default());
        let script = Arc::new(script);
        let redirector = (capabilities.has_traffic)
            .then(|| FakeRedirector::new(FakeDriver::address(Instance::A), script.clone()));
        let view = Arc::new(View {
            driver: FakeDriver::new(capabilities, properties.clone(), script.clone()),
            redirector,
            clock: FakeClock::at(START),
            acknowledged: Default::default(),
        });
        script.show(&view);
        let world = Self {
            resource: "web".into(),
            policy,
            store: FakeStore::new(script.clone()),
            script,
            view,
        };
        let baseline = Baseline {
            version: BaselineVersion(1),
            at: START,
            by: "ann".to_owned(),
            note: String::new(),
            properties,
            learned: BTreeMap::new(),
            pinned: None,
        };
        let commit = Commit {
            state: Some(State {
                phase: Phase::Guarded,
                ..State::new(START)
            }),
            baseline: Some(baseline),
            ..Commit::default()
        };
        let committed = world.store.commit(&world.resource, Revision(0), commit);
        poll_once(committed).transpose()?;
        world.script.set_rates(rates);
        Ok(world)
    }

    /// The world as it is.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            a: self.view.driver.place(Instance::A),
            b: self.view.driver.place(Instance::B),
            served_by: self.view.served_by(),
        }
    }

    /// A person who was called to a resource that is held: makes the world be as the state says,
    /// with whatever writes they can find.
    pub fn repair(&self, serving: Instance) {
        let driver = &self.view.driver;
        let writes = Instance::BOTH.map(|i| driver.place(i).writes);
        driver.alter(serving.other(), |place| {
            place.running = false;
            place.fenced = true;
        });
        driver.alter(serving, |place| {
            place.running = true;
            place.fenced = false;
            place.sick = None;
            place.writes = writes[0].max(writes[1]);
        });
        if let Some(redirector) = &self.view.redirector {
            redirector.put(FakeDriver::address(serving));
        }
    }
}
