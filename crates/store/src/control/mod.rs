//! Control state: `ControlStore`, `Journal` and `Audit` on `control.db`. This file has the schema, the
//! traits' wiring and the row helpers; what the calls do is in the files beside it.

mod audit;
mod commit;
mod journal;
mod lease;
mod query;

use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::{Event, Outcome};
use evenkeel_core::generation::Generation;
use evenkeel_core::record::{EventRecord, NewEvent};
use evenkeel_core::{BaselineVersion, EventId, FencingToken, ResourceId, RunId, Timestamp};
use evenkeel_ports::{
    Audit, AuditEntry, AuditRecord, AuditVerdict, Commit, Committed, ControlStore, EventFilter,
    Journal, Lease, ResourceRecord, Revision, RunRecord, StoreError,
};

use crate::Store;
use crate::fault::Fault;
use crate::record::{self, Stored};

/// The schema, as the changes that led to it. Never edit one that was released: add another.
pub(crate) const MIGRATIONS: &[&str] = &["
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE resource(
        id TEXT PRIMARY KEY, revision INTEGER NOT NULL, state TEXT NOT NULL,
        baseline INTEGER, rehearsal TEXT);
    CREATE TABLE baseline(
        resource TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(resource, version));
    CREATE TABLE generation(
        resource TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(resource, id));
    CREATE TABLE run(
        id INTEGER PRIMARY KEY, plan TEXT NOT NULL, closed_at INTEGER, outcome TEXT);
    CREATE INDEX run_open ON run(id) WHERE outcome IS NULL;
    CREATE TABLE run_event(
        run INTEGER NOT NULL REFERENCES run(id), number INTEGER NOT NULL, at INTEGER NOT NULL,
        body TEXT NOT NULL, PRIMARY KEY(run, number));
    CREATE TABLE event(
        id INTEGER PRIMARY KEY AUTOINCREMENT, resource TEXT, kind TEXT NOT NULL, run INTEGER,
        body TEXT NOT NULL);
    CREATE INDEX event_by_resource ON event(resource, id);
    CREATE INDEX event_by_kind ON event(kind, id);
    CREATE INDEX event_by_run ON event(run, id) WHERE run IS NOT NULL;
    CREATE TABLE lease(
        resource TEXT PRIMARY KEY, holder TEXT, token_max INTEGER NOT NULL, until INTEGER NOT NULL);
    CREATE TABLE audit(number INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL);
"];

/// The stored form of `value`.
fn encode<T: Stored>(value: &T) -> Result<String, Fault> {
    record::encode(value).map_err(|e| Fault::Refused(format!("cannot be stored: {e}")))
}

/// The value stored as `text` in the row that `row` names.
fn decode<T: Stored>(text: &str, row: impl Fn() -> String) -> Result<T, Fault> {
    record::decode(text).map_err(|e| Fault::Damaged {
        row: row(),
        what: e.to_string(),
    })
}

/// SQLite's integers have a sign and ours do not; the bits are the same, and every number below 2^63,
/// which is every number there will be, reads the same in both.
fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

/// The inverse of [`to_sql`].
fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}

#[async_trait]
impl ControlStore for Store {
    async fn load(&self, resource: &ResourceId) -> Result<Option<ResourceRecord>, StoreError> {
        self.control(|db| query::resource(&db.connection, resource))
    }

    async fn resources(&self) -> Result<Vec<ResourceId>, StoreError> {
        self.control(|db| query::resources(&db.connection))
    }

    async fn commit(
        &self,
        resource: &ResourceId,
        read_at: Revision,
        commit: Commit,
    ) -> Result<Committed, StoreError> {
        self.control(|db| db.write(|t| commit::commit(t, resource, read_at, &commit)))
    }

    async fn record(&self, events: Vec<NewEvent>) -> Result<Vec<EventId>, StoreError> {
        self.control(|db| db.write(|t| commit::record(t, &events)))
    }

    async fn baselines(&self, resource: &ResourceId) -> Result<Vec<Baseline>, StoreError> {
        self.control(|db| query::baselines(&db.connection, resource))
    }

    async fn baseline(
        &self,
        resource: &ResourceId,
        version: BaselineVersion,
    ) -> Result<Option<Baseline>, StoreError> {
        self.control(|db| query::baseline(&db.connection, resource, version))
    }

    async fn generations(&self, resource: &ResourceId) -> Result<Vec<Generation>, StoreError> {
        self.control(|db| query::generations(&db.connection, resource))
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        self.control(|db| query::events(&db.connection, filter))
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreError> {
        self.control(|db| query::event(&db.connection, id))
    }

    async fn acquire_lease(
        &self,
        resource: &ResourceId,
        holder: &str,
        token: FencingToken,
        now: Timestamp,
        for_: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let wanted = Lease {
            resource: resource.clone(),
            holder: holder.to_owned(),
            token,
            until: now + for_,
        };
        self.control(|db| db.write(|t| lease::acquire(t, wanted, now)))
    }

    async fn release_lease(&self, resource: &ResourceId, holder: &str) -> Result<(), StoreError> {
        self.control(|db| db.write(|t| lease::release(t, resource, holder)))
    }

    async fn redaction_key(&self) -> Result<[u8; 32], StoreError> {
        self.control(|db| db.write(query::redaction_key))
    }
}

#[async_trait]
impl Journal for Store {
    async fn next_run(&self) -> Result<RunId, StoreError> {
        self.control(|db| db.write(journal::next_run))
    }

    async fn append(&self, run: RunId, at: Timestamp, event: &Event) -> Result<(), StoreError> {
        self.control(|db| db.write(|t| journal::append(t, run, at, event)))
    }

    async fn close(&self, run: RunId, at: Timestamp, outcome: Outcome) -> Result<(), StoreError> {
        self.control(|db| db.write(|t| journal::close(t, run, at, outcome)))
    }

    async fn open_runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        self.control(|db| journal::open_runs(&db.connection))
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.control(|db| journal::run(&db.connection, run))
    }
}

#[async_trait]
impl Audit for Store {
    async fn append_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.control(|db| db.write(|t| audit::append(t, &entry)))
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        self.control(|db| audit::read(&db.connection, after, limit))
    }

    async fn verify_audit(&self) -> Result<AuditVerdict, StoreError> {
        self.control(|db| audit::verify(&db.connection))
    }
}
