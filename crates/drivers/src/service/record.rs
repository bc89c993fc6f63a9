//! What is remembered of the process at one place, on disk, so that a restarted daemon finds it again.
//!
//! The order of writing: intent with a marker, then the start, then the identity. A crash in between
//! leaves a process that carries the marker in its environment, by which it is found.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use evenkeel_core::generation::Choice;
use serde::{Deserialize, Serialize};

use crate::fencing::write_durably;
use crate::process::identity::{ProcessIdentity, Stat, with_environment};
use crate::process::run::MARKER;

/// The process at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ProcessRecord {
    /// The process, where one was started or found.
    pub(super) process: Option<ProcessIdentity>,
    /// What a process that was started here carries in its environment.
    pub(super) marker: Option<String>,
    /// What it was started on; `None` for one that was found running.
    pub(super) choice: Option<Choice>,
    /// It should run: started, and neither stopped nor fenced since.
    pub(super) wanted: bool,
    /// How often another process was found in its place.
    pub(super) restarts: u64,
    /// How often one was started here; makes markers unique.
    pub(super) starts: u64,
}

/// Keeps the record of one place.
#[derive(Debug)]
pub(super) struct RecordKeeper {
    path: PathBuf,
    record: Mutex<ProcessRecord>,
}

impl RecordKeeper {
    /// Reads the record. A damaged one is as good as none: the process is then looked for at its address.
    pub(super) fn open(home: &Path) -> Self {
        let path = home.join("process.json");
        let record = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the process record is damaged; starting a new one");
                ProcessRecord::default()
            }),
            Err(_) => ProcessRecord::default(),
        };
        Self {
            path,
            record: Mutex::new(record),
        }
    }

    pub(super) fn get(&self) -> ProcessRecord {
        self.lock().clone()
    }

    /// Changes the record, on disk first.
    pub(super) fn change(&self, change: impl FnOnce(&mut ProcessRecord)) -> io::Result<()> {
        let mut record = self.lock();
        let mut next = record.clone();
        change(&mut next);
        if next != *record {
            write_durably(&self.path, &next)?;
            *record = next;
        }
        Ok(())
    }

    /// Changes the record; where the disk refuses, in memory at least, with a warning.
    pub(super) fn note(&self, change: impl FnOnce(&mut ProcessRecord)) {
        let mut record = self.lock();
        let before = record.clone();
        change(&mut record);
        if *record != before
            && let Err(error) = write_durably(&self.path, &*record)
        {
            tracing::warn!(path = %self.path.display(), %error, "the process record was not written");
        }
    }

    /// The marker of the next start here.
    pub(super) fn next_marker(&self) -> String {
        format!("{}#{}", self.path.display(), self.lock().starts + 1)
    }

    /// The recorded process, or one that was started just before a crash and is found by its marker.
    pub(super) fn find(&self) -> Option<ProcessIdentity> {
        let record = self.get();
        if let Some(process) = record.process {
            return process.is_alive().then_some(process);
        }
        let marked = with_environment(MARKER, &record.marker?);
        let leads = |pid: &u32| Stat::of(*pid).is_ok_and(|stat| stat.group == *pid);
        let leader = marked
            .iter()
            .copied()
            .find(leads)
            .or_else(|| marked.first().copied())?;
        let found = ProcessIdentity::now_at(leader)?;
        self.note(|record| record.process = Some(found.clone()));
        Some(found)
    }

    fn lock(&self) -> MutexGuard<'_, ProcessRecord> {
        // Whoever panicked had either not changed it yet or changed it whole.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
