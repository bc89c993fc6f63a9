//! One network for all numeric properties of a kind of resource: where it is kept, how it gets to those
//! who forecast by it, and (in [`training`]) how it comes to be.
//!
//! ```text
//!  networks/KIND ──open──▶ Networks ──factory──▶ forecasters of that kind
//!        ▲                  ▲   │ status ──▶ http
//!        └──── save ── training ◀── deviations (history), turns (budget)
//! ```
//! Invariants: a kind has a place for its network from the moment it is opened, which is before what was
//! learned is read back: a stored model waits for just the network that it was made with. No lock is held
//! across an await. Without networks (the default) there is neither a file nor a job.

mod file;
mod lessons;
#[cfg(test)]
mod tests;
mod training;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::Timestamp;
use evenkeel_forecast::MixtureFactory;
use evenkeel_forecast::lstm::{CheckpointError, SharedNetwork, TrainedOn};

pub use lessons::Watched;
pub use training::{Options, Training, Watching};

use self::file::{FileError, Stored};
use crate::blocking::on_a_thread;

/// The networks of all kinds; clones are the same. See the module.
#[derive(Clone, Debug)]
pub struct Networks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where they are stored; `None`: there are none.
    directory: Option<PathBuf>,
    kinds: Mutex<BTreeMap<String, Kind>>,
}

/// What is known of the network of one kind.
#[derive(Debug)]
struct Kind {
    network: SharedNetwork,
    stage: Stage,
    trained: Option<Trained>,
}

/// What is done about a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// Nothing: networks are not asked for.
    Off,
    /// It waits for series with enough history.
    Waiting {
        /// So many there are.
        series: usize,
        /// So many there have to be.
        needed: usize,
    },
    /// It is being trained.
    Training {
        /// The share of the training steps that are made at most.
        done: f64,
    },
    /// It is in force, and there is no reason yet for a later one.
    Ready,
}

/// A network in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// When its training ended.
    pub at: Timestamp,
    /// The oldest instant that the first network of its kind learned from.
    pub since: Timestamp,
    /// On what.
    pub on: TrainedOn,
    /// Mean pinball loss on the later part of the series, in units of their own movement.
    pub validation_loss: f32,
}

/// The network of one kind, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The kind.
    pub kind: String,
    /// What is done about it.
    pub stage: Stage,
    /// What is in force.
    pub trained: Option<Trained>,
}

/// A stored network that is not gone on from.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; a network is trained anew", path.display())]
pub struct Unreadable {
    path: PathBuf,
    error: FileError,
}

impl Networks {
    /// There are none.
    pub fn off() -> Self {
        Self::at(None)
    }

    /// They are stored in `networks` below `state_dir`.
    pub fn below(state_dir: &Path) -> Self {
        Self::at(Some(state_dir.join("networks")))
    }

    fn at(directory: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            directory,
            kinds: Mutex::default(),
        }))
    }

    /// Puts the stored network of `kind` in force, if there is one. Only the first time for a kind.
    ///
    /// # Errors
    /// When a file is there but cannot be used. The kind is without a network then, as if there were none.
    pub async fn open(&self, kind: &str) -> Result<(), Unreadable> {
        let stage = match self.0.directory {
            None => Stage::Off,
            Some(_) => Stage::Waiting {
                series: 0,
                needed: lessons::SERIES_MIN,
            },
        };
        {
            let mut kinds = self.kinds();
            if kinds.contains_key(kind) {
                return Ok(());
            }
            let entry = Kind {
                network: SharedNetwork::default(),
                stage,
                trained: None,
            };
            kinds.insert(kind.to_owned(), entry);
        }
        let Some(path) = self.path(kind) else {
            return Ok(());
        };
        let (place, name) = (path.clone(), kind.to_owned());
        let read = on_a_thread(async move { file::read(&place, &name) }).await;
        let put = read
            .map_err(|ended| FileError::from(io::Error::other(ended)))
            .and_then(|found| found)
            .and_then(|found| found.map_or(Ok(()), |stored| Ok(self.put(&stored)?)));
        put.map_err(|error| Unreadable { path, error })
    }

    /// What makes forecasters for the properties of `kind`. One of a kind that was not opened has no
    /// network.
    pub fn factory(&self, kind: &str) -> MixtureFactory {
        let kinds = self.kinds();
        let network = kinds.get(kind).map(|kind| kind.network.clone());
        MixtureFactory {
            network: network.unwrap_or_default(),
        }
    }

    /// How all of them stand, by kind.
    pub fn status(&self) -> Vec<Status> {
        let kinds = self.kinds();
        let status = |(name, kind): (&String, &Kind)| Status {
            kind: name.clone(),
            stage: kind.stage,
            trained: kind.trained.clone(),
        };
        kinds.iter().map(status).collect()
    }

    /// What of `kind` is in force.
    fn trained(&self, kind: &str) -> Option<Trained> {
        self.kinds().get(kind)?.trained.clone()
    }

    fn set_stage(&self, kind: &str, stage: Stage) {
        if let Some(kind) = self.kinds().get_mut(kind) {
            kind.stage = stage;
        }
    }

    /// Puts a network in force.
    fn put(&self, stored: &Stored) -> Result<(), CheckpointError> {
        let network = Arc::new(stored.checkpoint.network()?);
        if let Some(kind) = self.kinds().get_mut(&stored.kind) {
            kind.network.set(network);
            kind.stage = Stage::Ready;
            kind.trained = Some(Trained {
                at: stored.at,
                since: stored.since,
                on: stored.checkpoint.trained_on.clone(),
                validation_loss: stored.checkpoint.validation_loss,
            });
        }
        Ok(())
    }

    /// Where the network of `kind` is stored.
    fn path(&self, kind: &str) -> Option<PathBuf> {
        Some(self.0.directory.as_ref()?.join(kind))
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<String, Kind>> {
        // Every change is whole when the lock is let go, also by a panic.
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
