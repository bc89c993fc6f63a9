//! What a redirector remembers across restarts: the highest token, where it points, what it refuses.
//!
//! Invariants: the highest token never falls; what is decided is on disk before it takes effect, so
//! that after a crash in between the next start brings about what was decided.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evenkeel_core::FencingToken;
use evenkeel_ports::{Endpoint, RedirectError};
use serde::{Deserialize, Serialize};

use crate::fencing::write_durably;

/// The remembered state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remembered {
    pub(super) highest: FencingToken,
    pub(super) current: Option<Endpoint>,
    #[serde(default)]
    pub(super) refused: BTreeMap<Endpoint, FencingToken>,
}

/// Keeps it in one small file.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    remembered: Mutex<Remembered>,
}

impl Memory {
    /// Reads it, or begins a new one. A damaged one is an error: without it nobody knows who may act.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let remembered = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                format!(
                    "{} is damaged ({error}): write {{\"highest\": N, \"current\": \"ADDRESS\"}} with the highest fencing \
                     token of the resource's runs and where its clients belong",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Remembered::default(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        Ok(Self {
            path,
            remembered: Mutex::new(remembered),
        })
    }

    pub(super) fn get(&self) -> Remembered {
        self.lock().clone()
    }

    /// Lets an actor in and records what it decides, or turns it away without effect.
    pub(super) fn decide(
        &self,
        token: FencingToken,
        change: impl FnOnce(&mut Remembered) -> Result<(), RedirectError>,
    ) -> Result<(), RedirectError> {
        let mut remembered = self.lock();
        if token < remembered.highest {
            return Err(RedirectError::Stale {
                given: token,
                seen: remembered.highest,
            });
        }
        let mut next = remembered.clone();
        next.highest = token;
        change(&mut next)?;
        if next != *remembered {
            write_durably(&self.path, &next).map_err(|error| {
                RedirectError::Unchanged(format!("{}: {error}", self.path.display()))
            })?;
            *remembered = next;
        }
        Ok(())
    }

    /// Decides to point at `to`.
    pub(super) fn decide_point(
        &self,
        token: FencingToken,
        to: &Endpoint,
    ) -> Result<(), RedirectError> {
        self.decide(token, |next| {
            if let Some(by) = next.refused.get(to) {
                return Err(RedirectError::Fenced {
                    endpoint: to.clone(),
                    by: *by,
                });
            }
            next.current = Some(to.clone());
            Ok(())
        })
    }

    /// Decides to refuse `endpoint`.
    pub(super) fn decide_refuse(
        &self,
        token: FencingToken,
        endpoint: &Endpoint,
    ) -> Result<(), RedirectError> {
        self.decide(token, |next| {
            next.refused.insert(endpoint.clone(), token);
            Ok(())
        })
    }

    /// Decides to refuse `endpoint` no longer.
    pub(super) fn decide_allow(
        &self,
        token: FencingToken,
        endpoint: &Endpoint,
    ) -> Result<(), RedirectError> {
        self.decide(token, |next| {
            next.refused.remove(endpoint);
            Ok(())
        })
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Whoever panicked had either not changed it yet or changed it whole.
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_outlive_a_restart_and_late_actors_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("redirect.json");
        let (a, b) = (Endpoint("a".into()), Endpoint("b".into()));
        let memory = Memory::open(path.clone()).unwrap();
        memory.decide_point(FencingToken(3), &b).unwrap();
        memory.decide_refuse(FencingToken(4), &a).unwrap();
        let memory = Memory::open(path).unwrap();
        let stale = RedirectError::Stale {
            given: FencingToken(3),
            seen: FencingToken(4),
        };
        assert_eq!(memory.decide_allow(FencingToken(3), &a), Err(stale));
        let fenced = RedirectError::Fenced {
            endpoint: a.clone(),
            by: FencingToken(4),
        };
        assert_eq!(memory.decide_point(FencingToken(5), &a), Err(fenced));
        assert_eq!(memory.get().current, Some(b));
        memory.decide_allow(FencingToken(5), &a).unwrap();
        memory.decide_point(FencingToken(5), &a).unwrap();
    }
}
