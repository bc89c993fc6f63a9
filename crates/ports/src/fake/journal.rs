//! The journal of sagas, over the memory of [`FakeStore`].

use async_trait::async_trait;
use evenkeel_core::failover::{Effect, Event, Outcome};
use evenkeel_core::{RunId, Timestamp};

use super::locked;
use super::store::{FakeStore, Tables, failure};
use crate::store::{Journal, RunRecord, StoreError};

/// The run, if it is there and was not closed: a closed one takes no more lines, so that a late
/// executor cannot add to what is settled.
fn open(tables: &mut Tables, run: RunId) -> Result<&mut RunRecord, StoreError> {
    let record = tables.runs.get_mut(&run);
    let record = record.ok_or_else(|| failure(format!("{run} was never opened"), Effect::None))?;
    match record.outcome {
        None => Ok(record),
        Some(_) => Err(failure(format!("{run} is closed"), Effect::None)),
    }
}

#[async_trait]
impl Journal for FakeStore {
    async fn next_run(&self) -> Result<RunId, StoreError> {
        self.on_tables("journal.next_run", |tables| {
            tables.last_run = tables.last_run.next();
            Ok(tables.last_run)
        })
        .await
    }

    async fn append(&self, run: RunId, at: Timestamp, event: &Event) -> Result<(), StoreError> {
        self.on_tables("journal.append", |tables| {
            open(tables, run)?.events.push((at, event.clone()));
            Ok(())
        })
        .await
    }

    async fn close(&self, run: RunId, _: Timestamp, outcome: Outcome) -> Result<(), StoreError> {
        self.on_tables("journal.close", |tables| {
            open(tables, run)?.outcome = Some(outcome);
            Ok(())
        })
        .await
    }

    async fn open_runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        let tables = locked(&self.tables);
        let open = tables.runs.values().filter(|run| run.outcome.is_none());
        Ok(open.cloned().collect())
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        Ok(locked(&self.tables).runs.get(&run).cloned())
    }
}
