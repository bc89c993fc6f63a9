//! Several resources replayed side by side: what drifts on one is known to the others.

use super::{Entry, Replay, Replayed, Setting, Step};
use crate::fleet::{Drifts, drifting, remembered_for};
use crate::watch::Workers;

/// A fleet under replay.
#[derive(Debug)]
pub struct Fleet<'a> {
    replays: Vec<Replay<'a>>,
    drifts: Drifts,
}

impl<'a> Fleet<'a> {
    /// One replay per setting, in this order. Resources have names of their own.
    pub fn new(settings: &'a [Setting<'a>]) -> Self {
        Self {
            replays: settings.iter().map(Replay::new).collect(),
            drifts: Drifts::default(),
        }
    }

    /// The same, whoever does the work; see [`Replay::by`].
    #[must_use]
    pub fn by(self, workers: &'a dyn Workers) -> Self {
        Self {
            replays: self.replays.into_iter().map(|r| r.by(workers)).collect(),
            ..self
        }
    }

    /// Takes the next entry of the resource with this number. Entries come in order of time over the whole
    /// fleet. `None` where there is no such resource, or for an entry that comes too late.
    pub fn take(&mut self, resource: usize, entry: Entry) -> Option<Step<'_>> {
        let replay = self.replays.get_mut(resource)?;
        let (name, policy) = (replay.setting.resource, replay.setting.policy);
        let within = remembered_for(policy);
        let now = entry.at();
        let seen = replay.take_among(entry, &mut |outlooks| {
            self.drifts.report(name, drifting(policy, outlooks), now);
            self.drifts.elsewhere(name, now, within)
        });
        if seen { replay.step() } else { None }
    }

    /// What came of each, in the order of the settings.
    pub fn finish(self) -> Vec<Replayed> {
        self.replays.into_iter().map(Replay::finish).collect()
    }
}
