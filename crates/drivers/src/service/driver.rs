//! The driver of a service.
//!
//! Acting calls go one at a time, each to its end (see [`crate::acting`]).

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use evenkeel_core::failover::Capabilities;
use evenkeel_core::generation::Choice;
use evenkeel_core::property::{Observed, Probe, is_under};
use evenkeel_core::{Brief, GenerationId, Instance, PropertyPath, ResourceId, Timestamp};
use evenkeel_ports::{
    Activated, ChangeFeed, ChangeHint, Clock, Driver, DriverError, Endpoint, Evidence, FileChange,
    Health, Rehearsal, Reverted, StepKey, SyncProgress, Synced,
};

use super::config::{ServiceConfig, Supervise};
use super::restart::RestartPauses;
use super::site::Site;
use super::supervise::{Adoption, NotWell, Status, Supervisor};
use crate::acting::Acting;
use crate::cloned_tree::{ClonedTree, Reading, Roots, TreesPlan};
use crate::config::PerInstance;
use crate::fencing::{FenceBook, FenceMark};
use crate::process::usage::usage_of;
use crate::watch::TreeFeed;
use crate::{BuildContext, BuildError};

/// Serves one service with its two instances.
pub struct ServiceDriver {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) resource: ResourceId,
    pub(super) config: Arc<ServiceConfig>,
    pub(super) trees: ClonedTree,
    pub(super) supervisors: PerInstance<Supervisor>,
    pub(super) fences: FenceBook,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) state: std::path::PathBuf,
    pub(super) restarts: Mutex<RestartPauses>,
    acting: Acting,
}

impl fmt::Debug for ServiceDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceDriver")
            .field("resource", &self.inner.resource)
            .finish_non_exhaustive()
    }
}

impl ServiceDriver {
    /// Checks the configuration. Nothing is touched before [`Driver::prepare`].
    ///
    /// # Errors
    /// When the configuration contradicts itself; the error says what would be right.
    pub fn new(config: ServiceConfig, context: BuildContext) -> Result<Self, BuildError> {
        let refuse = |what: String, remedy: String| BuildError::Config {
            kind: "service",
            what,
            remedy,
        };
        config
            .check()
            .map_err(|(what, remedy)| refuse(what, remedy))?;
        let BuildContext {
            resource,
            state_dir: state,
            redaction_key,
            clock,
        } = context;
        let roots = PerInstance::build(|instance| {
            let places = places(&config, instance);
            Roots {
                config: places.config.clone(),
                data: places.data.clone(),
            }
        });
        let mut literals = vec![(config.a.address.to_string(), config.b.address.to_string())];
        literals.extend(config.substitute.iter().cloned());
        let plan = TreesPlan {
            state: state.clone(),
            roots: roots.clone(),
            literals,
            config: &config.config,
            data: &config.data,
            redaction_key,
            clock: Arc::clone(&clock),
        };
        let trees = ClonedTree::new(plan)
            .map_err(|what| refuse(what, "see the documentation of the service kind".into()))?;
        let fences =
            FenceBook::open(state.join("fence.json")).map_err(|what| BuildError::State { what })?;
        let config = Arc::new(config);
        let supervisors = PerInstance::build(|instance| {
            let site = Site {
                label: instance.as_str(),
                resource: resource.clone(),
                roots: roots.of(instance).clone(),
                address: places(&config, instance).address,
                home: state.join(instance.as_str()),
            };
            let unit = config.unit.as_ref().map(|unit| unit.of(instance).as_str());
            Supervisor::of_instance(site, Arc::clone(&config), unit)
        });
        let acting = Acting::default();
        let inner = Inner {
            resource,
            config,
            trees,
            supervisors,
            fences,
            clock,
            state,
            restarts: Mutex::default(),
            acting,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Runs an act to its end, after those that were begun before it.
    async fn act<T, F>(&self, act: impl FnOnce(Arc<Inner>) -> F) -> Result<T, DriverError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DriverError>> + Send + 'static,
    {
        self.inner.acting.run(act(Arc::clone(&self.inner))).await
    }
}

fn places(config: &ServiceConfig, instance: Instance) -> &super::config::Places {
    match instance {
        Instance::A => &config.a,
        Instance::B => &config.b,
    }
}

/// Only where the service was first found may a process be taken over that Evenkeel did not start.
pub(super) fn adoption(instance: Instance) -> Adoption {
    match instance {
        Instance::A => Adoption::Allowed,
        Instance::B => Adoption::Refused,
    }
}

#[async_trait]
impl Driver for ServiceDriver {
    fn kind(&self) -> &'static str {
        "service"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            single_writer: self.inner.config.single_writer,
            has_traffic: true,
            has_data: self.inner.trees.has_data(),
            can_rehearse: self.inner.can_rehearse(),
        }
    }

    fn endpoint(&self, instance: Instance) -> Option<Endpoint> {
        let address: SocketAddr = self.inner.supervisors.of(instance).site.address;
        Some(Endpoint(address.to_string()))
    }

    fn clone_shares(&self, path: &PropertyPath) -> bool {
        is_under(path.as_str(), "@data")
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource))]
    async fn prepare(&self) -> Result<Vec<String>, DriverError> {
        self.act(|inner| async move { inner.prepare().await }).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(resource = %self.inner.resource, %instance))]
    async fn probe(&self, instance: Instance, now: Timestamp) -> Result<Probe, DriverError> {
        let mut reading = self.inner.trees.read(instance, now).await?;
        self.inner.read_process(instance, &mut reading).await;
        let Reading {
            properties,
            unreadable,
            ..
        } = reading;
        Ok(Probe {
            at: now,
            instance,
            properties,
            unreadable,
        })
    }

    #[tracing::instrument(level = "debug", skip_all, fields(resource = %self.inner.resource, %instance))]
    async fn health(&self, instance: Instance) -> Result<Health, DriverError> {
        Ok(self
            .inner
            .supervisors
            .of(instance)
            .health(adoption(instance))
            .await)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(resource = %self.inner.resource, %instance))]
    async fn tend(&self, instance: Instance) -> Result<Option<String>, DriverError> {
        // Looked at before the act, which would wait for every other act.
        if !self.inner.is_to_be_restarted(instance).await {
            return Ok(None);
        }
        self.act(move |inner| async move { inner.restart(instance).await })
            .await
    }

    fn changes(&self, instance: Instance) -> Option<Box<dyn ChangeFeed>> {
        let roots = self.inner.trees.roots(instance);
        let watched = std::iter::once(&roots.config)
            .chain(&roots.data)
            .cloned()
            .collect();
        Some(Box::new(TreeFeed::open(watched)))
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %from))]
    async fn sync(
        &self,
        from: Instance,
        hint: ChangeHint,
        now: Timestamp,
        progress: &(dyn Fn(SyncProgress) + Send + Sync),
    ) -> Result<Synced, DriverError> {
        self.inner.trees.sync(from, hint, now, progress).await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %on))]
    async fn stage(&self, choice: &Choice, on: Instance) -> Result<(), DriverError> {
        let choice = choice.clone();
        self.act(move |inner| async move {
            match inner.supervisors.of(on).status(adoption(on)).await {
                Status::Stopped { .. } => inner.trees.place(&choice, on).await,
                Status::Foreign(who) => Err(DriverError::without_effect(format!(
                    "cannot stage {on}: {who}"
                ))),
                Status::Running { .. } => Err(DriverError::without_effect(format!(
                    "{on} runs: its trees are not replaced under it; stop or fence it first"
                ))),
            }
        })
        .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %on, run = %key.run, token = %key.token))]
    async fn activate(
        &self,
        choice: &Choice,
        on: Instance,
        key: StepKey,
    ) -> Result<Activated, DriverError> {
        let choice = choice.clone();
        self.act(move |inner| async move {
            inner.fences.admit(key.token)?;
            inner.activate(&choice, on).await
        })
        .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %on, run = %key.run, token = %key.token))]
    async fn deactivate(&self, on: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act(move |inner| async move {
            inner.fences.admit(key.token)?;
            inner
                .supervisors
                .of(on)
                .take_down(adoption(on))
                .await
                .map_err(DriverError::maybe_effect)
        })
        .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %instance, run = %key.run, token = %key.token))]
    async fn fence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act(move |inner| async move {
            inner.fences.admit(key.token)?;
            inner.fence(instance, key).await
        })
        .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %instance, run = %key.run, token = %key.token))]
    async fn unfence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act(move |inner| async move {
            inner.fences.admit(key.token)?;
            inner.unfence(instance).await
        })
        .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource))]
    async fn rehearse(
        &self,
        choice: &Choice,
        _on: Instance,
        now: Timestamp,
    ) -> Result<Rehearsal, DriverError> {
        let choice = choice.clone();
        self.act(move |inner| async move { inner.rehearse(&choice, now).await })
            .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %instance))]
    async fn diagnose(
        &self,
        instance: Instance,
        approved: Option<GenerationId>,
        now: Timestamp,
    ) -> Result<Vec<Evidence>, DriverError> {
        self.inner.diagnose(instance, approved, now).await
    }

    async fn plan_revert(
        &self,
        instance: Instance,
        choice: &Choice,
    ) -> Result<Vec<FileChange>, DriverError> {
        self.inner.trees.plan_revert(instance, choice).await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %instance, run = %key.run, token = %key.token))]
    async fn revert(
        &self,
        instance: Instance,
        choice: &Choice,
        key: StepKey,
    ) -> Result<Reverted, DriverError> {
        let choice = choice.clone();
        self.act(move |inner| async move {
            inner.fences.admit(key.token)?;
            let reverted = inner.trees.revert(instance, &choice, key).await?;
            // One that was fenced does not run, and reads it when it starts.
            inner
                .supervisors
                .of(instance)
                .reload(adoption(instance))
                .await
                .map_err(DriverError::maybe_effect)?;
            Ok(reverted)
        })
        .await
    }

    async fn compare(
        &self,
        older: GenerationId,
        newer: GenerationId,
    ) -> Result<Vec<FileChange>, DriverError> {
        self.inner.trees.compare(older, newer).await
    }

    async fn forget(&self, generations: &[GenerationId]) -> Result<(), DriverError> {
        self.inner.trees.forget(generations).await
    }
}

impl Inner {
    pub(super) fn can_rehearse(&self) -> bool {
        match self.config.supervise {
            Supervise::Evenkeel => true,
            // A unit cannot be started somewhere else, but its command can, where it was given.
            Supervise::Systemd => self.config.start.is_some(),
            Supervise::Command => false,
        }
    }

    async fn read_process(&self, instance: Instance, reading: &mut Reading) {
        const PLACE: &str = "@process";
        let supervisor = self.supervisors.of(instance);
        let why = match supervisor.status(adoption(instance)).await {
            Status::Running { pid: Some(pid) } => match usage_of(pid) {
                Some(usage) => {
                    let mut add = |name: &str, value: u64, unit| {
                        let path = PropertyPath::new(format!("{PLACE}/{name}"));
                        reading
                            .properties
                            .insert(path, Observed::capacity(value as f64, unit));
                    };
                    add("rss", usage.rss_bytes, Some("B"));
                    add("threads", usage.threads, None);
                    add("processes", usage.processes, None);
                    match usage.open_files {
                        Some(files) => add("open_files", files, None),
                        None => {
                            let why = "the open files of another user's process may not be counted"
                                .to_owned();
                            reading
                                .unreadable
                                .insert(PropertyPath::new(format!("{PLACE}/open_files")), why);
                        }
                    }
                    if let Some(restarts) = supervisor.restarts().await {
                        let path = PropertyPath::new(format!("{PLACE}/restarts"));
                        reading
                            .properties
                            .insert(path, Observed::capacity(restarts as f64, None));
                    }
                    return;
                }
                None => "it ended while it was read".to_owned(),
            },
            Status::Running { pid: None } => "its process id is not known".to_owned(),
            Status::Foreign(who) => who,
            Status::Stopped { exit: Some(exit) } => format!("it does not run ({exit})"),
            Status::Stopped { exit: None } => "it does not run".to_owned(),
        };
        reading.unreadable.insert(PLACE.into(), why);
    }

    async fn activate(&self, choice: &Choice, on: Instance) -> Result<Activated, DriverError> {
        let began = self.clock.monotonic();
        let supervisor = self.supervisors.of(on);
        match supervisor.status(adoption(on)).await {
            Status::Running { .. } if supervisor.record.get().choice.as_ref() == Some(choice) => {}
            Status::Running { .. } => {
                supervisor
                    .stop(adoption(on))
                    .await
                    .map_err(DriverError::maybe_effect)?;
                self.trees.place(choice, on).await?;
            }
            Status::Stopped { .. } => self.trees.place(choice, on).await?,
            Status::Foreign(who) => {
                return Err(DriverError::without_effect(format!(
                    "cannot activate {on}: {who}"
                )));
            }
        }
        // Whoever holds a token at least as high as the fence's may lift it; `admit` saw to that.
        self.fences.lift(on)?;
        supervisor.start(Some(choice), adoption(on)).await?;
        supervisor
            .wait_well()
            .await
            .map_err(|why| DriverError::maybe_effect(why.into_text()))?;
        let took = self.clock.monotonic().saturating_sub(began);
        let pid = match supervisor.status(adoption(on)).await {
            Status::Running { pid: Some(pid) } => format!("pid {pid}"),
            Status::Running { pid: None } | Status::Foreign(_) | Status::Stopped { .. } => {
                "pid unknown".to_owned()
            }
        };
        let Choice {
            config_from,
            data_from,
            ..
        } = choice;
        let content = if self.trees.has_data() && config_from != data_from {
            format!("configuration of {config_from} and data of {data_from}")
        } else {
            format!("{config_from}")
        };
        let note = format!(
            "{on} serves {content} at {} as {pid}, well after {}",
            supervisor.site.address,
            Brief(took)
        );
        Ok(Activated { took, note })
    }

    async fn fence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError> {
        let supervisor = self.supervisors.of(instance);
        let was_running = match supervisor.status(adoption(instance)).await {
            Status::Running { .. } => true,
            Status::Foreign(_) | Status::Stopped { .. } => false,
        };
        // Before it is stopped, so that nothing of ours starts it again.
        self.fences.fence(
            instance,
            FenceMark {
                token: key.token,
                was_running,
            },
        )?;
        supervisor
            .stop(adoption(instance))
            .await
            .map_err(DriverError::maybe_effect)
    }

    async fn unfence(&self, instance: Instance) -> Result<(), DriverError> {
        let Some(mark) = self.fences.mark(instance) else {
            return Ok(());
        };
        if mark.was_running {
            let supervisor = self.supervisors.of(instance);
            supervisor.start(None, adoption(instance)).await?;
            match supervisor.wait_well().await {
                Ok(()) => {}
                // It may have been unwell before the fence, too: running as before is all that is asked.
                Err(NotWell::Late(why)) => tracing::warn!(%instance, why, "unfenced, and not well"),
                Err(NotWell::Died(why)) => return Err(DriverError::maybe_effect(why)),
            }
        }
        self.fences.lift(instance)
    }
}
