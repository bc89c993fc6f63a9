//! The driver of a tree of files.
//!
//! Nothing runs here, so a fence is a durable mark (the redirector refuses the tree), and an activation is
//! done when the files are in place and whoever reads them was told.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::failover::Capabilities;
use evenkeel_core::generation::Choice;
use evenkeel_core::property::{Probe, is_under};
use evenkeel_core::{Brief, GenerationId, Instance, PropertyPath, ResourceId, Timestamp};
use evenkeel_ports::{
    Activated, ChangeFeed, ChangeHint, Clock, Driver, DriverError, Endpoint, Evidence, FileChange,
    Health, Rehearsal, Reverted, StepKey, SyncProgress, Synced,
};

use super::config::FilesConfig;
use crate::acting::Acting;
use crate::cloned_tree::{ClonedTree, Reading, Roots, TreesPlan};
use crate::config::{CommandLine, PerInstance, Placeholders};
use crate::fencing::{FenceBook, FenceMark};
use crate::process::run::{Launch, find_executable, run_to_end};
use crate::roots::{check_creatable, check_readable, check_roots};
use crate::watch::TreeFeed;
use crate::{BuildContext, BuildError};

/// Serves one tree of files with its two instances.
pub struct FilesDriver {
    inner: Arc<Inner>,
}

struct Inner {
    resource: ResourceId,
    config: FilesConfig,
    trees: ClonedTree,
    fences: FenceBook,
    clock: Arc<dyn Clock>,
    state: PathBuf,
    acting: Acting,
}

impl fmt::Debug for FilesDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesDriver")
            .field("resource", &self.inner.resource)
            .finish_non_exhaustive()
    }
}

impl FilesDriver {
    /// Checks the configuration. Nothing is touched before [`Driver::prepare`].
    ///
    /// # Errors
    /// When the configuration contradicts itself; the error says what would be right.
    pub fn new(config: FilesConfig, context: BuildContext) -> Result<Self, BuildError> {
        let refuse = |what: String, remedy: String| BuildError::Config {
            kind: "files",
            what,
            remedy,
        };
        let data = |instance| config.data.as_ref().map(|data| data.of(instance).clone());
        let (a_data, b_data) = (data(Instance::A), data(Instance::B));
        check_roots(&[
            ("a", Some(&config.a)),
            ("b", Some(&config.b)),
            ("data.a", a_data.as_ref()),
            ("data.b", b_data.as_ref()),
        ])
        .map_err(|(what, remedy)| refuse(what, remedy))?;
        let BuildContext {
            resource,
            state_dir: state,
            redaction_key,
            clock,
        } = context;
        let roots = PerInstance {
            a: Roots {
                config: config.a.clone(),
                data: a_data,
            },
            b: Roots {
                config: config.b.clone(),
                data: b_data,
            },
        };
        let plan = TreesPlan {
            state: state.clone(),
            roots,
            literals: config.substitute.clone(),
            config: &config.config,
            data: &config.data_files,
            redaction_key,
            clock: Arc::clone(&clock),
        };
        let trees = ClonedTree::new(plan)
            .map_err(|what| refuse(what, "see the documentation of the files kind".into()))?;
        let fences =
            FenceBook::open(state.join("fence.json")).map_err(|what| BuildError::State { what })?;
        let inner = Inner {
            resource,
            config,
            trees,
            fences,
            clock,
            state,
            acting: Acting::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    async fn act<T, F>(&self, act: impl FnOnce(Arc<Inner>) -> F) -> Result<T, DriverError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DriverError>> + Send + 'static,
    {
        self.inner.acting.run(act(Arc::clone(&self.inner))).await
    }
}

#[async_trait]
impl Driver for FilesDriver {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            single_writer: false,
            has_traffic: true,
            has_data: self.inner.trees.has_data(),
            can_rehearse: true,
        }
    }

    fn endpoint(&self, instance: Instance) -> Option<Endpoint> {
        Some(Endpoint(
            self.inner
                .trees
                .roots(instance)
                .config
                .to_string_lossy()
                .into_owned(),
        ))
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
        let Reading {
            properties,
            unreadable,
            ..
        } = self.inner.trees.read(instance, now).await?;
        Ok(Probe {
            at: now,
            instance,
            properties,
            unreadable,
        })
    }

    #[tracing::instrument(level = "debug", skip_all, fields(resource = %self.inner.resource, %instance))]
    async fn health(&self, instance: Instance) -> Result<Health, DriverError> {
        let roots = self.inner.trees.roots(instance);
        if !roots.config.is_dir() {
            return Ok(Health::Down);
        }
        Ok(match self.inner.check(roots, instance.as_str()).await {
            Ok(()) => Health::Well,
            Err(why) => Health::Unwell(why),
        })
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
        self.act(move |inner| async move { inner.trees.place(&choice, on).await })
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

    async fn deactivate(&self, _on: Instance, key: StepKey) -> Result<(), DriverError> {
        // Files that nobody is led to are as good as taken down.
        self.act(move |inner| async move { inner.fences.admit(key.token) })
            .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %instance, run = %key.run, token = %key.token))]
    async fn fence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act(move |inner| async move {
            inner.fences.admit(key.token)?;
            inner.fences.fence(
                instance,
                FenceMark {
                    token: key.token,
                    was_running: true,
                },
            )
        })
        .await
    }

    async fn unfence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError> {
        self.act(move |inner| async move {
            inner.fences.admit(key.token)?;
            inner.fences.lift(instance)
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
        self.act(move |inner| async move { inner.rehearse(choice, now).await })
            .await
    }

    #[tracing::instrument(skip_all, fields(resource = %self.inner.resource, %instance))]
    async fn diagnose(
        &self,
        instance: Instance,
        approved: Option<GenerationId>,
        now: Timestamp,
    ) -> Result<Vec<Evidence>, DriverError> {
        let mut evidence = match approved {
            Some(approved) => self.inner.trees.diagnose(instance, approved, now).await?,
            None => Vec::new(),
        };
        if let Err(why) = self
            .inner
            .check(self.inner.trees.roots(instance), instance.as_str())
            .await
        {
            evidence.push(Evidence {
                title: "health".to_owned(),
                text: why,
            });
        }
        Ok(evidence)
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
            if inner.fences.mark(instance).is_none() {
                inner.reload(instance).await?;
            }
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
    async fn prepare(&self) -> Result<Vec<String>, DriverError> {
        let (a, b) = (self.trees.roots(Instance::A), self.trees.roots(Instance::B));
        check_readable("resource.files.a", &a.config)?;
        check_creatable("resource.files.b", &b.config)?;
        if let (Some(a), Some(b)) = (&a.data, &b.data) {
            check_readable("resource.files.data.a", a)?;
            check_creatable("resource.files.data.b", b)?;
        }
        let health = self.config.health.as_ref().map(|health| &health.command);
        for (key, command) in [
            ("reload", self.config.reload.as_ref()),
            ("health.command", health),
        ] {
            let Some(command) = command else { continue };
            let launch = self.launch(command, a, "a");
            let found = launch.and_then(|launch| {
                find_executable(launch.words.first().map_or("", String::as_str))
            });
            found.map_err(|what| DriverError::Misconfigured {
                what: format!("resource.files.{key}: {what}"),
                remedy: "give the path of an executable, or install it".to_owned(),
            })?;
        }
        let _ = std::fs::remove_dir_all(self.state.join("rehearsal"));
        self.trees.open().await?;
        Ok(Vec::new())
    }

    async fn activate(&self, choice: &Choice, on: Instance) -> Result<Activated, DriverError> {
        let began = self.clock.monotonic();
        self.trees.place(choice, on).await?;
        self.fences.lift(on)?;
        self.reload(on).await?;
        self.check(self.trees.roots(on), on.as_str())
            .await
            .map_err(DriverError::maybe_effect)?;
        let took = self.clock.monotonic().saturating_sub(began);
        let root = self.trees.roots(on).config.display();
        let note = format!(
            "{} is in place at {root} after {}",
            choice.config_from,
            Brief(took)
        );
        Ok(Activated { took, note })
    }

    async fn rehearse(&self, choice: Choice, now: Timestamp) -> Result<Rehearsal, DriverError> {
        let began = self.clock.monotonic();
        let home = self.state.join("rehearsal");
        let roots = Roots {
            config: home.join("config"),
            data: self.trees.has_data().then(|| home.join("data")),
        };
        let b = self.trees.roots(Instance::B);
        let moved = |text: &str| {
            let is = |path: &Path| path.to_string_lossy().trim_end_matches('/') == text;
            match (&b.data, &roots.data) {
                _ if is(&b.config) => roots.config.to_string_lossy().into_owned(),
                (Some(from), Some(to)) if is(from) => to.to_string_lossy().into_owned(),
                _ => text.to_owned(),
            }
        };
        let literals = self
            .trees
            .literals()
            .iter()
            .map(|(a, b)| (a.clone(), moved(b)))
            .collect();
        let placed = self.trees.place_at(&choice, roots.clone(), literals).await;
        let result = match placed {
            Ok(()) => self.check(&roots, "rehearsal").await,
            Err(error) => Err(error.to_string()),
        };
        let activation = self.clock.monotonic().saturating_sub(began);
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(home)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "the scratch place of a rehearsal was not removed");
        }
        Ok(Rehearsal {
            at: now,
            choice,
            activation,
            result,
        })
    }

    fn launch(
        &self,
        command: &CommandLine,
        roots: &Roots,
        label: &'static str,
    ) -> Result<Launch, String> {
        let values = Placeholders::default()
            .with("config", roots.config.to_string_lossy())
            .with("instance", label)
            .with("name", self.resource.as_str());
        let values = match &roots.data {
            Some(data) => values.with("data", data.to_string_lossy()),
            None => values,
        };
        Ok(Launch {
            words: command.fill(&values)?,
            environment: BTreeMap::new(),
            directory: "/".into(),
        })
    }

    async fn run(
        &self,
        command: &CommandLine,
        roots: &Roots,
        label: &'static str,
        limit: Duration,
    ) -> Result<(), String> {
        let launch = self.launch(command, roots, label)?;
        let failure = run_to_end(&launch, limit).await?.failure();
        failure.map_or(Ok(()), |why| Err(format!("`{}`: {why}", launch.describe())))
    }

    /// Whether the files at a place are in order.
    async fn check(&self, roots: &Roots, label: &'static str) -> Result<(), String> {
        match &self.config.health {
            Some(health) => {
                self.run(&health.command, roots, label, health.timeout.0)
                    .await
            }
            None => std::fs::read_dir(&roots.config)
                .map(|_| ())
                .map_err(|error| format!("{}: {error}", roots.config.display())),
        }
    }

    async fn reload(&self, instance: Instance) -> Result<(), DriverError> {
        let Some(reload) = &self.config.reload else {
            return Ok(());
        };
        let done = self
            .run(
                reload,
                self.trees.roots(instance),
                instance.as_str(),
                self.config.reload_timeout.0,
            )
            .await;
        done.map_err(|why| {
            DriverError::maybe_effect(format!("the files are in place, and reload failed: {why}"))
        })
    }
}
