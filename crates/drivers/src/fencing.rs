//! What outlives a restart about who may act: the highest token seen, and which instances are fenced.
//!
//! Invariants: the highest token never falls; it is on disk before an act with it has any effect;
//! a fence mark is on disk before the instance is stopped, and goes after it was started again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use evenkeel_core::{FencingToken, Instance};
use evenkeel_ports::DriverError;
use serde::{Deserialize, Serialize};

/// An instance is fenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FenceMark {
    /// By the saga with this token.
    pub(crate) token: FencingToken,
    /// It ran when it was fenced, so an unfence starts it again.
    pub(crate) was_running: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    highest: FencingToken,
    a: Option<FenceMark>,
    b: Option<FenceMark>,
}

impl Stored {
    fn mark(&mut self, instance: Instance) -> &mut Option<FenceMark> {
        match instance {
            Instance::A => &mut self.a,
            Instance::B => &mut self.b,
        }
    }
}

/// The memory of one resource, in one small file.
#[derive(Debug)]
pub(crate) struct FenceBook {
    path: PathBuf,
    stored: Mutex<Stored>,
}

impl FenceBook {
    /// Reads it, or begins a new one. A damaged one is an error: without it nobody knows who may act.
    pub(crate) fn open(path: PathBuf) -> Result<Self, String> {
        let stored = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                format!(
                    "{} is damaged ({error}): write {{\"highest\": N, \"a\": null, \"b\": null}} with the highest \
                     fencing token of the resource's runs",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        Ok(Self {
            path,
            stored: Mutex::new(stored),
        })
    }

    /// The highest token seen.
    pub(crate) fn highest(&self) -> FencingToken {
        self.lock().highest
    }

    /// Lets an actor in and remembers its token, or turns it away because a newer one was here.
    pub(crate) fn admit(&self, token: FencingToken) -> Result<(), DriverError> {
        let seen = self.highest();
        if token < seen {
            return Err(DriverError::Stale { given: token, seen });
        }
        if token == seen {
            return Ok(());
        }
        self.change(|stored| stored.highest = stored.highest.max(token))
    }

    /// Whether the instance is fenced.
    pub(crate) fn mark(&self, instance: Instance) -> Option<FenceMark> {
        self.lock().mark(instance).clone()
    }

    /// Marks the instance. A repeat keeps that it once ran.
    pub(crate) fn fence(&self, instance: Instance, mark: FenceMark) -> Result<(), DriverError> {
        self.change(|stored| {
            let slot = stored.mark(instance);
            let was_running =
                mark.was_running || slot.as_ref().is_some_and(|before| before.was_running);
            *slot = Some(FenceMark {
                was_running,
                ..mark
            });
        })
    }

    /// Takes the mark away.
    pub(crate) fn lift(&self, instance: Instance) -> Result<(), DriverError> {
        if self.mark(instance).is_none() {
            return Ok(());
        }
        self.change(|stored| *stored.mark(instance) = None)
    }

    fn change(&self, change: impl FnOnce(&mut Stored)) -> Result<(), DriverError> {
        let mut stored = self.lock();
        let mut next = stored.clone();
        change(&mut next);
        write_durably(&self.path, &next).map_err(|error| {
            DriverError::without_effect(format!("{}: {error}", self.path.display()))
        })?;
        *stored = next;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stored> {
        // Whoever panicked had either not changed it yet or changed it whole.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a small file so that after a crash it is the old one or the new one, whole.
pub(crate) fn write_durably(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(directory: &Path) -> FenceBook {
        FenceBook::open(directory.join("fence.json")).unwrap()
    }

    #[test]
    fn a_lower_token_is_refused_also_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        book(directory.path()).admit(FencingToken(7)).unwrap();
        let book = book(directory.path());
        let stale = DriverError::Stale {
            given: FencingToken(6),
            seen: FencingToken(7),
        };
        assert_eq!(book.admit(FencingToken(6)), Err(stale));
        assert_eq!(book.admit(FencingToken(7)), Ok(()));
    }

    #[test]
    fn a_repeated_fence_remembers_that_the_instance_ran() {
        let directory = tempfile::tempdir().unwrap();
        let mark = |was_running| FenceMark {
            token: FencingToken(1),
            was_running,
        };
        book(directory.path())
            .fence(Instance::A, mark(true))
            .unwrap();
        book(directory.path())
            .fence(Instance::A, mark(false))
            .unwrap();
        let book = book(directory.path());
        assert_eq!(
            (book.mark(Instance::A), book.mark(Instance::B)),
            (Some(mark(true)), None)
        );
        book.lift(Instance::A).unwrap();
        assert_eq!(book.mark(Instance::A), None);
    }

    #[test]
    fn a_damaged_memory_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("fence.json"), "{\"highest\"").unwrap();
        let error = FenceBook::open(directory.path().join("fence.json")).unwrap_err();
        assert!(error.contains("fence.json is damaged"), "{error}");
    }
}
