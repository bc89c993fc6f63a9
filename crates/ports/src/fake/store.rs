//! Control state and the audit log in memory. The journal over the same memory is in `journal`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::Effect;
use evenkeel_core::generation::Generation;
use evenkeel_core::record::{EventRecord, NewEvent};
use evenkeel_core::{BaselineVersion, EventId, FencingToken, ResourceId, RunId, Timestamp};

use super::faults::{Faults, meddled};
use super::locked;
use crate::store::{
    Audit, AuditEntry, AuditRecord, AuditVerdict, Commit, Committed, ControlStore, EventFilter,
    Lease, ResourceRecord, Revision, RunRecord, StoreError,
};

/// See the module.
#[derive(Debug)]
pub struct FakeStore {
    pub(super) faults: Arc<dyn Faults>,
    pub(super) tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    records: BTreeMap<ResourceId, ResourceRecord>,
    baselines: BTreeMap<ResourceId, Vec<Baseline>>,
    generations: BTreeMap<ResourceId, Vec<Generation>>,
    events: Vec<EventRecord>,
    leases: BTreeMap<ResourceId, Lease>,
    highest: BTreeMap<ResourceId, FencingToken>,
    audit: Vec<AuditRecord>,
    pub(super) runs: BTreeMap<RunId, RunRecord>,
    pub(super) last_run: RunId,
}

impl FakeStore {
    /// An empty store.
    pub fn new(faults: Arc<dyn Faults>) -> Self {
        Self {
            faults,
            tables: Mutex::default(),
        }
    }

    /// Who holds the lease of a resource, whether or not it is void by now.
    pub fn lease_of(&self, resource: &ResourceId) -> Option<Lease> {
        locked(&self.tables).leases.get(resource).cloned()
    }

    /// What an intruder would do: changes an audit record without the chain's knowledge.
    pub fn tamper_with_audit(&self, number: u64, change: impl FnOnce(&mut AuditEntry)) {
        let mut tables = locked(&self.tables);
        if let Some(record) = tables.audit.iter_mut().find(|r| r.number == number) {
            change(&mut record.entry);
        }
    }

    pub(super) async fn on_tables<T: Send>(
        &self,
        call: &'static str,
        act: impl Fn(&mut Tables) -> Result<T, StoreError> + Send + Sync,
    ) -> Result<T, StoreError> {
        meddled(&*self.faults, call, failure, || {
            act(&mut locked(&self.tables))
        })
        .await
    }
}

pub(super) fn failure(what: String, _: Effect) -> StoreError {
    let place = "memory".to_owned();
    StoreError::Failed { place, what }
}

impl Tables {
    fn commit(
        &mut self,
        resource: &ResourceId,
        read_at: Revision,
        commit: &Commit,
    ) -> Result<Committed, StoreError> {
        let known = self.records.get(resource);
        let found = known.map_or(Revision(0), |record| record.revision);
        if found != read_at {
            let resource = resource.clone();
            return Err(StoreError::Conflict {
                resource,
                expected: read_at,
                found,
            });
        }
        let state = commit
            .state
            .clone()
            .or_else(|| known.map(|r| r.state.clone()));
        let Some(state) = state else {
            let what = format!("the first commit of {resource} has no state");
            return Err(failure(what, Effect::None));
        };
        let revision = Revision(found.0 + 1);
        let baseline = commit.baseline.clone();
        let rehearsal = commit.rehearsal.clone();
        let record = ResourceRecord {
            revision,
            state,
            baseline: baseline.or_else(|| known.and_then(|r| r.baseline.clone())),
            rehearsal: rehearsal.or_else(|| known.and_then(|r| r.rehearsal.clone())),
        };
        self.records.insert(resource.clone(), record);
        self.baselines
            .entry(resource.clone())
            .or_default()
            .extend(commit.baseline.clone());
        self.keep_generations(resource, commit);
        if let Some(plan) = &commit.plan {
            let run = RunRecord {
                plan: plan.clone(),
                events: Vec::new(),
                outcome: None,
            };
            self.last_run = self.last_run.max(plan.run);
            self.runs.insert(plan.run, run);
        }
        for entry in &commit.audit {
            self.append_audit(entry.clone());
        }
        let events = self.record(&commit.events);
        Ok(Committed { revision, events })
    }

    fn keep_generations(&mut self, resource: &ResourceId, commit: &Commit) {
        let generations = self.generations.entry(resource.clone()).or_default();
        let replaced = |id| commit.generations.iter().any(|g| g.id == id);
        generations.retain(|g| !replaced(g.id) && !commit.forgotten.contains(&g.id));
        generations.extend(commit.generations.iter().cloned());
        generations.sort_by_key(|g| g.id);
    }

    fn record(&mut self, events: &[NewEvent]) -> Vec<EventId> {
        let mut last = self.events.last().map_or(EventId(0), |event| event.id);
        let mut ids = Vec::new();
        for event in events {
            last = last.next();
            ids.push(last);
            self.events.push(EventRecord {
                id: last,
                event: event.clone(),
            });
        }
        ids
    }

    fn append_audit(&mut self, entry: AuditEntry) {
        let (number, before) = match self.audit.last() {
            None => (1, String::new()),
            Some(last) => (last.number + 1, last.hash.clone()),
        };
        let hash = chained(number, &entry, &before);
        self.audit.push(AuditRecord {
            number,
            entry,
            hash,
        });
    }
}

/// FNV-1a stands in for BLAKE3: it shows the chain, and keeps nobody out.
fn chained(number: u64, entry: &AuditEntry, before: &str) -> String {
    let text = format!("{number} {entry:?} {before}");
    let hash = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    format!("{hash:016x}")
}

fn matches(filter: &EventFilter, record: &EventRecord) -> bool {
    let event = &record.event;
    (filter.resource.as_ref()).is_none_or(|r| event.resource.as_ref() == Some(r))
        && filter.kind.is_none_or(|kind| event.kind == kind)
        && filter.run.is_none_or(|run| event.run == Some(run))
        && filter.after.is_none_or(|after| record.id > after)
}

#[async_trait]
impl ControlStore for FakeStore {
    async fn load(&self, resource: &ResourceId) -> Result<Option<ResourceRecord>, StoreError> {
        Ok(locked(&self.tables).records.get(resource).cloned())
    }

    async fn resources(&self) -> Result<Vec<ResourceId>, StoreError> {
        Ok(locked(&self.tables).records.keys().cloned().collect())
    }

    async fn commit(
        &self,
        resource: &ResourceId,
        read_at: Revision,
        commit: Commit,
    ) -> Result<Committed, StoreError> {
        self.on_tables("store.commit", |t| t.commit(resource, read_at, &commit))
            .await
    }

    async fn record(&self, events: Vec<NewEvent>) -> Result<Vec<EventId>, StoreError> {
        self.on_tables("store.record", |t| Ok(t.record(&events)))
            .await
    }

    async fn baselines(&self, resource: &ResourceId) -> Result<Vec<Baseline>, StoreError> {
        let tables = locked(&self.tables);
        let mut all = tables.baselines.get(resource).cloned().unwrap_or_default();
        all.sort_by_key(|baseline| std::cmp::Reverse(baseline.version));
        Ok(all)
    }

    async fn baseline(
        &self,
        resource: &ResourceId,
        version: BaselineVersion,
    ) -> Result<Option<Baseline>, StoreError> {
        let all = self.baselines(resource).await?;
        Ok(all.into_iter().find(|b| b.version == version))
    }

    async fn generations(&self, resource: &ResourceId) -> Result<Vec<Generation>, StoreError> {
        self.on_tables("store.generations", |t| {
            Ok(t.generations.get(resource).cloned().unwrap_or_default())
        })
        .await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        let tables = locked(&self.tables);
        let wanted = tables.events.iter().filter(|r| matches(filter, r)).cloned();
        Ok(match filter.after {
            Some(_) => wanted.take(filter.limit).collect(),
            None => wanted.rev().take(filter.limit).collect(),
        })
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreError> {
        let tables = locked(&self.tables);
        Ok(tables.events.iter().find(|record| record.id == id).cloned())
    }

    async fn acquire_lease(
        &self,
        resource: &ResourceId,
        holder: &str,
        token: FencingToken,
        now: Timestamp,
        for_: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.on_tables("store.acquire_lease", |tables| {
            let held = tables.leases.get(resource);
            let free = held.is_none_or(|lease| lease.holder == holder || lease.until <= now);
            let highest = tables.highest.get(resource).copied().unwrap_or_default();
            if !free || token < highest {
                return Ok(None);
            }
            let lease = Lease {
                resource: resource.clone(),
                holder: holder.to_owned(),
                token,
                until: now + for_,
            };
            tables.highest.insert(resource.clone(), token);
            tables.leases.insert(resource.clone(), lease.clone());
            Ok(Some(lease))
        })
        .await
    }

    async fn release_lease(&self, resource: &ResourceId, holder: &str) -> Result<(), StoreError> {
        self.on_tables("store.release_lease", |tables| {
            let own = (tables.leases.get(resource)).is_some_and(|lease| lease.holder == holder);
            if own {
                tables.leases.remove(resource);
            }
            Ok(())
        })
        .await
    }

    async fn redaction_key(&self) -> Result<[u8; 32], StoreError> {
        Ok([7; 32])
    }
}

#[async_trait]
impl Audit for FakeStore {
    async fn append_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.on_tables("audit.append", |tables| {
            tables.append_audit(entry.clone());
            Ok(())
        })
        .await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        let tables = locked(&self.tables);
        let later = tables.audit.iter().filter(|r| r.number > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn verify_audit(&self) -> Result<AuditVerdict, StoreError> {
        let tables = locked(&self.tables);
        let mut head = String::new();
        for (record, number) in tables.audit.iter().zip(1..) {
            if record.number != number || record.hash != chained(number, &record.entry, &head) {
                let what = "its hash does not follow from the record before".to_owned();
                return Ok(AuditVerdict::Broken { number, what });
            }
            head.clone_from(&record.hash);
        }
        let records = tables.audit.last().map_or(0, |last| last.number);
        Ok(AuditVerdict::Intact { records, head })
    }
}
