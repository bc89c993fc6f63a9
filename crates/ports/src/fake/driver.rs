//! A driver of a resource that is two maps and a counter: each instance has configuration (a map of
//! properties) and data (how many writes it has seen).
//!
//! Stricter than it need be, so that a simulation finds who relies on luck: it refuses to stage or
//! to revert under a running instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::failover::Capabilities;
use evenkeel_core::generation::{Choice, ContentHash};
use evenkeel_core::property::{Observed, Probe};
use evenkeel_core::{FencingToken, GenerationId, Instance, PropertyPath, Timestamp};

use super::faults::{Faults, meddled};
use super::locked;
use crate::driver::{
    Activated, ChangeFeed, ChangeHint, Driver, DriverError, Evidence, FileChange, FileChangeKind,
    Health, Rehearsal, Reverted, StepKey, SyncProgress, Synced,
};
use crate::redirector::Endpoint;

/// One instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Its process is up.
    pub running: bool,
    /// It was stopped for good, until unfenced or activated anew.
    pub fenced: bool,
    /// It ran when it was fenced.
    pub ran_before: bool,
    /// Why it would not answer a health check well.
    pub sick: Option<String>,
    /// Configuration and capacity.
    pub properties: BTreeMap<PropertyPath, Observed>,
    /// How many writes it has seen.
    pub writes: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Content {
    configuration: BTreeMap<PropertyPath, Observed>,
    writes: u64,
}

#[derive(Debug, Default)]
struct Inside {
    a: Place,
    b: Place,
    generations: BTreeMap<GenerationId, Content>,
    last: GenerationId,
    seen: FencingToken,
}

impl Inside {
    fn place(&mut self, instance: Instance) -> &mut Place {
        match instance {
            Instance::A => &mut self.a,
            Instance::B => &mut self.b,
        }
    }

    fn content(&self, id: GenerationId) -> Result<&Content, DriverError> {
        let what = || format!("generation {id} is not in the store");
        (self.generations.get(&id)).ok_or_else(|| DriverError::without_effect(what()))
    }

    /// What a choice puts in place.
    fn chosen(&self, choice: &Choice) -> Result<Content, DriverError> {
        Ok(Content {
            configuration: self.content(choice.config_from)?.configuration.clone(),
            writes: self.content(choice.data_from)?.writes,
        })
    }

    fn refuse_running(&mut self, instance: Instance) -> Result<(), DriverError> {
        if self.place(instance).running {
            let what = format!("{instance} is running: fence it first");
            return Err(DriverError::without_effect(what));
        }
        Ok(())
    }
}

/// See the module.
#[derive(Debug)]
pub struct FakeDriver {
    capabilities: Capabilities,
    faults: Arc<dyn Faults>,
    inside: Mutex<Inside>,
}

impl FakeDriver {
    /// Instance `a` runs with these properties, `b` is not there yet.
    pub fn new(
        capabilities: Capabilities,
        properties: BTreeMap<PropertyPath, Observed>,
        faults: Arc<dyn Faults>,
    ) -> Self {
        let a = Place {
            running: true,
            properties,
            ..Place::default()
        };
        let inside = Inside {
            a,
            ..Inside::default()
        };
        Self {
            capabilities,
            faults,
            inside: Mutex::new(inside),
        }
    }

    /// An instance as it is.
    pub fn place(&self, instance: Instance) -> Place {
        locked(&self.inside).place(instance).clone()
    }

    /// The world's hand, or a person's: changes an instance.
    pub fn alter(&self, instance: Instance, change: impl FnOnce(&mut Place)) {
        change(locked(&self.inside).place(instance));
    }

    /// The highest token seen.
    pub fn seen(&self) -> FencingToken {
        locked(&self.inside).seen
    }

    /// The address of an instance.
    pub fn address(instance: Instance) -> Endpoint {
        Endpoint(format!("web-{instance}:80"))
    }

    async fn act<T: Send>(
        &self,
        call: &'static str,
        act: impl Fn(&mut Inside) -> Result<T, DriverError> + Send + Sync,
    ) -> Result<T, DriverError> {
        let fail = |what, effect| DriverError::Failed { what, effect };
        meddled(&*self.faults, call, fail, || act(&mut locked(&self.inside))).await
    }

    async fn act_with<T: Send>(
        &self,
        call: &'static str,
        key: StepKey,
        act: impl Fn(&mut Inside) -> Result<T, DriverError> + Send + Sync,
    ) -> Result<T, DriverError> {
        self.act(call, |inside| {
            let (given, seen) = (key.token, inside.seen);
            if given < seen {
                return Err(DriverError::Stale { given, seen });
            }
            inside.seen = given;
            act(inside)
        })
        .await
    }
}

#[async_trait]
impl Driver for FakeDriver {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn endpoint(&self, instance: Instance) -> Option<Endpoint> {
        Some(Self::address(instance))
    }

    fn clone_shares(&self, _: &PropertyPath) -> bool {
        false
    }

    async fn prepare(&self) -> Result<Vec<String>, DriverError> {
        Ok(Vec::new())
    }

    async fn probe(&self, instance: Instance, now: Timestamp) -> Result<Probe, DriverError> {
        self.act("driver.probe", |inside| {
            Ok(Probe {
                at: now,
                instance,
                properties: inside.place(instance).properties.clone(),
                unreadable: BTreeMap::new(),
            })
        })
        .await
    }

    async fn health(&self, instance: Instance) -> Result<Health, DriverError> {
        self.act("driver.health", |inside| {
            let place = inside.place(instance);
            Ok(match (&place.sick, place.running) {
                (_, false) => Health::Down,
                (Some(why), true) => Health::Unwell(why.clone()),
                (None, true) => Health::Well,
            })
        })
        .await
    }

    fn changes(&self, _: Instance) -> Option<Box<dyn ChangeFeed>> {
        None
    }

    async fn sync(
        &self,
        from: Instance,
        _: ChangeHint,
        now: Timestamp,
        _: &(dyn Fn(SyncProgress) + Send + Sync),
    ) -> Result<Synced, DriverError> {
        self.act("driver.sync", |inside| {
            let place = inside.place(from);
            let content = Content {
                configuration: place.properties.clone(),
                writes: place.writes,
            };
            let unchanged = inside.generations.get(&inside.last) == Some(&content);
            if !unchanged {
                inside.last = inside.last.next();
                inside.generations.insert(inside.last, content.clone());
            }
            Ok(synced(inside.last, unchanged, &content, from, now))
        })
        .await
    }

    async fn stage(&self, choice: &Choice, on: Instance) -> Result<(), DriverError> {
        self.act("driver.stage", |inside| {
            inside.refuse_running(on)?;
            let content = inside.chosen(choice)?;
            let place = inside.place(on);
            place.properties = content.configuration;
            place.writes = content.writes;
            Ok(())
        })
        .await
    }

    async fn activate(
        &self,
        choice: &Choice,
        on: Instance,
        key: StepKey,
    ) -> Result<Activated, DriverError> {
        self.act_with("driver.activate", key, |inside| {
            let content = inside.chosen(choice)?;
            let place = inside.place(on);
            if !place.running {
                place.properties = content.configuration;
                place.writes = content.writes;
            }
            place.running = true;
            place.fenced = false;
            Ok(Activated {
                took: Duration::ZERO,
                note: format!("{on} is up"),
            })
        })
        .await
    }

    async fn deactivate(&self, on: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act_with("driver.deactivate", key, |inside| {
            inside.place(on).running = false;
            Ok(())
        })
        .await
    }

    async fn fence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act_with("driver.fence", key, |inside| {
            let place = inside.place(instance);
            if !place.fenced {
                place.ran_before = place.running;
            }
            place.running = false;
            place.fenced = true;
            Ok(())
        })
        .await
    }

    async fn unfence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act_with("driver.unfence", key, |inside| {
            let place = inside.place(instance);
            if place.fenced {
                place.fenced = false;
                place.running = place.ran_before;
            }
            Ok(())
        })
        .await
    }

    async fn rehearse(
        &self,
        choice: &Choice,
        on: Instance,
        now: Timestamp,
    ) -> Result<Rehearsal, DriverError> {
        self.act("driver.rehearse", |inside| {
            inside.chosen(choice)?;
            Ok(Rehearsal {
                at: now,
                choice: choice.clone(),
                activation: Duration::from_secs(1),
                result: inside.place(on).sick.clone().map_or(Ok(()), Err),
            })
        })
        .await
    }

    async fn diagnose(
        &self,
        instance: Instance,
        approved: Option<GenerationId>,
        _: Timestamp,
    ) -> Result<Vec<Evidence>, DriverError> {
        self.act("driver.diagnose", |inside| {
            let approved = approved.and_then(|id| inside.generations.get(&id).cloned());
            let found = &inside.place(instance).properties;
            let changes = approved.map_or_else(Vec::new, |content| {
                differences(&content.configuration, found)
            });
            let lines: Vec<String> = changes.iter().map(|change| change.path.clone()).collect();
            Ok(vec![Evidence {
                title: "configuration diff".to_owned(),
                text: lines.join("\n"),
            }])
        })
        .await
    }

    async fn plan_revert(
        &self,
        instance: Instance,
        choice: &Choice,
    ) -> Result<Vec<FileChange>, DriverError> {
        self.act("driver.plan_revert", |inside| {
            let approved = inside.content(choice.config_from)?.configuration.clone();
            Ok(differences(&inside.place(instance).properties, &approved))
        })
        .await
    }

    async fn revert(
        &self,
        instance: Instance,
        choice: &Choice,
        key: StepKey,
    ) -> Result<Reverted, DriverError> {
        self.act_with("driver.revert", key, |inside| {
            inside.refuse_running(instance)?;
            let approved = inside.content(choice.config_from)?.configuration.clone();
            let place = inside.place(instance);
            let changed = differences(&place.properties, &approved);
            place.properties = approved;
            place.sick = None;
            Ok(Reverted {
                changed,
                kept_aside: None,
            })
        })
        .await
    }

    async fn compare(
        &self,
        older: GenerationId,
        newer: GenerationId,
    ) -> Result<Vec<FileChange>, DriverError> {
        self.act("driver.compare", |inside| {
            let (older, newer) = (inside.content(older)?, inside.content(newer)?);
            Ok(differences(&older.configuration, &newer.configuration))
        })
        .await
    }

    async fn forget(&self, generations: &[GenerationId]) -> Result<(), DriverError> {
        self.act("driver.forget", |inside| {
            inside.generations.retain(|id, _| !generations.contains(id));
            Ok(())
        })
        .await
    }
}

fn synced(
    id: GenerationId,
    unchanged: bool,
    content: &Content,
    from: Instance,
    now: Timestamp,
) -> Synced {
    let count = content.configuration.len();
    let files = u64::try_from(count).unwrap_or(u64::MAX);
    let moved = if unchanged { 0 } else { files };
    Synced {
        id,
        unchanged,
        at: now,
        from,
        config: ContentHash(format!("{:?}", content.configuration)),
        data: Some(ContentHash(format!("{} writes", content.writes))),
        configuration: Some(content.configuration.clone()),
        torn: Vec::new(),
        skipped: Vec::new(),
        files_changed: moved,
        files,
        bytes: files,
        bytes_moved: moved,
        took: Duration::ZERO,
    }
}

fn differences(
    older: &BTreeMap<PropertyPath, Observed>,
    newer: &BTreeMap<PropertyPath, Observed>,
) -> Vec<FileChange> {
    let gone_or_changed = older.iter().filter_map(|(path, before)| {
        let kind = match newer.get(path) {
            None => FileChangeKind::Removed,
            Some(after) if after.value != before.value => FileChangeKind::Changed,
            Some(_) => return None,
        };
        Some((path, kind))
    });
    let added = (newer.keys())
        .filter(|path| !older.contains_key(*path))
        .map(|path| (path, FileChangeKind::Added));
    gone_or_changed
        .chain(added)
        .map(|(path, kind)| FileChange {
            path: format!("config/{path}"),
            kind,
        })
        .collect()
}
