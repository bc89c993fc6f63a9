//! The store as its user holds it: opened, shared by cloning, closed when the last clone is dropped.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_ports::{HistoryError, StoreError};

use crate::control;
use crate::database::{Database, Durability};
use crate::fault::{Fault, io_error};
use crate::history::HistoryFile;
use crate::lock::DirectoryLock;

/// The embedded store. It implements `ControlStore`, `Journal`, `Audit` and `History`.
///
/// Calls do their work on the calling thread and never wait for another task: a write is one short
/// transaction (an append of 4,000 samples takes a few milliseconds), so no pool of threads is worth
/// its trouble. Three take longer: `retain`, reading years of one series point by point, and the one
/// append in 720 that seals blocks (some 40 ms per thousand series). Give those a blocking thread
/// where that matters.
#[derive(Clone, Debug)]
pub struct Store {
    files: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    control: Mutex<Database>,
    history: Mutex<HistoryFile>,
    lock: Mutex<DirectoryLock>,
}

impl Store {
    /// Opens the store in `dir`, which is created if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process (or another `Store`) has it open,
    /// [`StoreError::Newer`] if a newer version wrote it, [`StoreError::Damaged`] if it was not closed
    /// in order and a file does not pass its check.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(|error| io_error(dir, &error))?;
        let lock = DirectoryLock::take(dir)?;
        let control = Database::open(
            &dir.join("control.db"),
            control::MIGRATIONS,
            Durability::PowerCut,
        )?;
        let history = Database::open(
            &dir.join("history.db"),
            crate::history::MIGRATIONS,
            Durability::Crash,
        )?;
        if lock.was_left_open {
            tracing::info!(dir = %dir.display(), "the store was not closed in order: checking it");
            control.quick_check()?;
            history.quick_check()?;
        }
        Ok(Self {
            files: Arc::new(Files {
                control: Mutex::new(control),
                history: Mutex::new(HistoryFile::load(history)?),
                lock: Mutex::new(lock),
            }),
        })
    }

    /// Does `work` on the control state.
    pub(crate) fn control<T>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut control = own(&self.files.control);
        work(&mut control).map_err(|fault| control.tell(fault))
    }

    /// Does `work` on the history.
    pub(crate) fn history<T>(
        &self,
        work: impl FnOnce(&mut HistoryFile) -> Result<T, Fault>,
    ) -> Result<T, HistoryError> {
        let mut history = own(&self.files.history);
        work(&mut history).map_err(|fault| fault.into_history_error(history.path()))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        own(&self.control).close();
        own(&self.history).close();
        own(&self.lock).close();
    }
}

/// Takes a mutex whoever panicked with it: a transaction that was not committed is rolled back, and
/// memory is only changed after a commit, so there is no half-done work behind it.
fn own<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use evenkeel_core::state::State;
    use evenkeel_core::{ResourceId, Timestamp};
    use evenkeel_ports::{
        Audit, Commit, ControlStore, History, Range, Revision, Sample, SeriesKey, Stream,
    };

    use super::*;

    /// No page more than there is: what a full disk looks like to SQLite.
    fn no_room(database: &Database) -> Result<(), Fault> {
        let pages: i64 =
            (database.connection).query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let limit = format!("PRAGMA max_page_count = {pages}");
        database.connection.query_row(&limit, [], |_| Ok(()))?;
        Ok(())
    }

    #[tokio::test]
    async fn without_room_a_commit_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.control(|database| no_room(database)).unwrap();
        let web = ResourceId::from("web");
        let mut state = State::new(Timestamp::from_millis(0));
        let small = Commit {
            state: Some(state.clone()),
            ..Commit::default()
        };
        store.commit(&web, Revision(0), small).await.unwrap();
        state.alerted = Some("x".repeat(100_000));
        let large = Commit {
            state: Some(state),
            ..Commit::default()
        };
        let error = store.commit(&web, Revision(1), large).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
        let record = store.load(&web).await.unwrap().unwrap();
        assert_eq!(record.revision, Revision(1));
        assert_eq!(record.state, State::new(Timestamp::from_millis(0)));
        store.verify_audit().await.unwrap();
    }

    #[tokio::test]
    async fn without_room_an_append_is_not_half_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.history(|file| no_room(file.database())).unwrap();
        let series = SeriesKey {
            resource: "web".into(),
            property: "p".into(),
            stream: Stream::Value,
        };
        let samples: Vec<Sample> = (0..10_000)
            .map(|ms| Sample {
                series: series.clone(),
                at: Timestamp::from_millis(ms),
                value: 0.1 * ms as f64,
            })
            .collect();
        let error = History::append(&store, &samples).await.unwrap_err();
        assert!(matches!(error, HistoryError::NoSpace { .. }), "{error}");
        let always = Range {
            from: Timestamp::from_millis(0),
            until: Timestamp::from_millis(i64::MAX),
            step: None,
        };
        assert_eq!(store.range(&series, always).await, Ok(vec![]));
        assert_eq!(store.series(&"web".into()).await, Ok(vec![]));
        History::append(&store, &samples[..1]).await.unwrap();
        assert_eq!(store.range(&series, always).await.unwrap().len(), 1);
    }
}
