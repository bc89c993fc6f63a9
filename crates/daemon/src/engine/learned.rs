//! What was learned: kept by period and when the daemon stops, and taken up again when it starts.
//!
//! Each property's state is stored with the epoch of its resource: whatever calls for a restart of the
//! watch changes the epoch in the control store, in the same commit. So a state that was kept before such
//! a restart is known for it, whenever the process died, and goes on without its course.
//!
//! Writing is done on another thread, in small transactions, and never waited for but at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_core::outlook::Breach;
use evenkeel_core::property::Severity;
use evenkeel_core::watch::Watch;
use evenkeel_core::watch::learned::{PropertyState, Unsaved, WatchState};
use evenkeel_core::{BaselineVersion, FencingToken, Instance, PropertyPath, ResourceId};
use evenkeel_ports::{History, HistoryError, Learned, ResourceRecord};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::ResourceTask;
use crate::blocking::on_a_thread;
use crate::refits::Urgency;
use crate::settings::Settings;
use crate::world::World;

/// How often what was learned is kept: a crash loses at most this.
pub const KEEP_EVERY: Duration = Duration::from_secs(180);

/// Once in so many times properties that never moved are kept too.
const THOROUGH_EVERY: u32 = 20;

/// States in one transaction: samples get their turn in between.
const STATES_PER_CALL: usize = 128;

/// The form of the stored bytes.
const FORM: u8 = 3;

/// What changes with every restart of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    baseline: Option<BaselineVersion>,
    token: FencingToken,
    serving: Instance,
}

impl Epoch {
    fn of(record: &ResourceRecord) -> Self {
        Self {
            baseline: record.baseline.as_ref().map(|baseline| baseline.version),
            token: record.state.token,
            serving: record.state.serving,
        }
    }
}

/// When what was learned is kept next.
#[derive(Debug)]
pub(super) struct Keeping {
    every: Duration,
    /// By the clock that never jumps.
    due: Duration,
    times: u32,
    under_way: Option<JoinHandle<()>>,
}

impl Keeping {
    /// The first time is within the first period, at an instant of the resource's own, so that not all
    /// resources write at once.
    pub(super) fn new(world: &World, name: &ResourceId) -> Self {
        let hash = blake3::hash(name.as_str().as_bytes());
        let share = f64::from(hash.as_bytes()[0]) / 256.0;
        let every = world.keep_learned_every;
        Self {
            every,
            due: world.clock.monotonic() + every.mul_f64((1.0 + share) / 2.0),
            times: 0,
            under_way: None,
        }
    }
}

/// The watch that a resource's task starts with: what was kept, as far as it can be read and still holds.
pub(super) async fn restored(world: &World, settings: &Settings, record: &ResourceRecord) -> Watch {
    let name = &settings.name;
    let (history, resource) = (world.history.clone(), name.clone());
    let loaded = on_a_thread(async move { history.load_learned(&resource).await }).await;
    let loaded = loaded.unwrap_or_else(|error| {
        let (place, what) = (
            "history".to_owned(),
            format!("the reader ended early: {error}"),
        );
        Err(HistoryError::Failed { place, what })
    });
    let found = match loaded {
        Ok(found) => found,
        Err(error) => {
            warn!(%error, "what was learned cannot be read: it is learned again");
            return Watch::new(&settings.policy);
        }
    };
    for error in &found.damaged {
        warn!(%error, "what was learned of a property is lost: it is learned again");
    }
    let mut state = WatchState::default();
    let mut of_another_epoch = BTreeSet::new();
    let mut unknown = 0_usize;
    for learned in found.states {
        let Some((epoch, property)) = decode(&learned.state) else {
            unknown += 1;
            continue;
        };
        if epoch != Epoch::of(record) {
            of_another_epoch.insert(learned.property.clone());
        }
        state.properties.insert(learned.property, property);
    }
    let factory = world.networks.factory(&settings.kind);
    let (mut watch, restored) = Watch::restore(&settings.policy, state, world.now(), &factory);
    watch.restart_where(|path| of_another_epoch.contains(path));
    let anew = restored.anew + unknown + found.damaged.len();
    if restored.going_on + anew > 0 {
        info!(
            going_on = restored.going_on,
            anew, "what was learned before"
        );
    }
    watch
}

fn encode(epoch: Epoch, property: &PropertyState) -> Option<Vec<u8>> {
    postcard::to_extend(&(epoch, property), vec![FORM]).ok()
}

fn decode(bytes: &[u8]) -> Option<(Epoch, PropertyState)> {
    let (form, body) = bytes.split_first()?;
    if *form != FORM {
        return None;
    }
    postcard::from_bytes(body).ok()
}

impl ResourceTask {
    /// Keeps what was learned, if it is time.
    pub(super) fn keep_learned_if_due(&mut self) {
        let now = self.world.clock.monotonic();
        let is_free = (self.keeping.under_way.as_ref()).is_none_or(JoinHandle::is_finished);
        if now < self.keeping.due || !is_free {
            return;
        }
        self.keeping.due = now + self.keeping.every;
        self.keeping.times = self.keeping.times.wrapping_add(1);
        let thorough = self.keeping.times.is_multiple_of(THOROUGH_EVERY);
        self.keeping.under_way = self.keep_learned(thorough);
    }

    /// Keeps all that was learned, and waits for it.
    pub(super) async fn keep_learned_at_last(&mut self) {
        let before = self.keeping.under_way.take();
        let at_last = self.keep_learned(true);
        for writing in [before, at_last].into_iter().flatten() {
            if let Err(error) = writing.await {
                warn!(%error, "what was learned could not be kept");
            }
        }
    }

    /// Begins to write what changed. What cannot be written is not tried again by itself: it changes with
    /// the next observation.
    fn keep_learned(&mut self, thorough: bool) -> Option<JoinHandle<()>> {
        let Unsaved { changed, forgotten } = self.watch.take_unsaved(thorough);
        if changed.properties.is_empty() && forgotten.is_empty() {
            return None;
        }
        let epoch = Epoch::of(&self.record);
        let (history, resource) = (self.world.history.clone(), self.settings.name.clone());
        let write = async move { write(&*history, &resource, epoch, changed, &forgotten).await };
        Some(tokio::spawn(async move {
            match on_a_thread(write).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "what was learned could not be kept"),
                Err(error) => warn!(%error, "what was learned could not be kept"),
            }
        }))
    }

    /// Says which models should be fitted anew, those first that matter now.
    pub(super) fn ask_for_refits(&self) {
        let mut due: BTreeMap<PropertyPath, Urgency> = (self.watch.refits_due())
            .map(|path| (path.clone(), Urgency::Ordinary))
            .collect();
        if !due.is_empty() {
            let urgent = self.outlooks.iter().filter(|outlook| {
                let drifts = outlook.breach != Breach::None || outlook.onset.is_some();
                drifts || outlook.severity == Severity::Critical
            });
            for outlook in urgent {
                due.entry(outlook.path.clone())
                    .and_modify(|urgency| *urgency = Urgency::First);
            }
        }
        self.world
            .refits
            .want(&self.settings.name, &self.messages, due);
    }
}

async fn write(
    history: &dyn History,
    resource: &ResourceId,
    epoch: Epoch,
    changed: WatchState,
    forgotten: &[PropertyPath],
) -> Result<(), HistoryError> {
    if !forgotten.is_empty() {
        history.save_learned(resource, &[], forgotten).await?;
    }
    let states: Vec<Learned> = (changed.properties.into_iter())
        .filter_map(|(property, state)| {
            let state = encode(epoch, &state)?;
            Some(Learned { property, state })
        })
        .collect();
    for states in states.chunks(STATES_PER_CALL) {
        history.save_learned(resource, states, &[]).await?;
    }
    Ok(())
}
