//! A running daemon: everything started in the right order, reloaded all or nothing, stopped in the
//! reverse order. Services that Evenkeel supervises go on when it stops.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::ResourceId;
use evenkeel_core::property::Severity;
use evenkeel_core::state::State;
use evenkeel_drivers::files::FilesDriver;
use evenkeel_drivers::redirect::proxy::ProxyHandle;
use evenkeel_drivers::redirect::{LinkRedirector, ProxyRedirector};
use evenkeel_drivers::service::ServiceDriver;
use evenkeel_drivers::{BuildContext, BuildError};
use evenkeel_ports::{
    Clock, ControlStore, Driver, DriverError, Redirector, RetentionPolicy, StoreError,
};
use evenkeel_store::Store;
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::alerts::Alerts;
use crate::budget::Budget;
use crate::clock::SystemClock;
use crate::config::{Config, KindConfig, RedirectConfig, ResourceConfig};
use crate::engine::{self, Message, Parts, ResourceHandle};
use crate::events;
use crate::executor::OpenRun;
use crate::http::{self, AppState, BindError, Registry};
use crate::networks::{Networks, Options, Training, Watched};
use crate::refits::Refits;
use crate::world::{Fleet, RedactionKey, World};

/// How often history is downsampled and shortened.
const RETENTION_PERIOD: Duration = Duration::from_secs(3600);

/// How long clients of a proxy that is shut down may go on.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A resource's configuration contradicts itself.
    #[error("resource `{resource}`: {error}")]
    Build {
        /// Which.
        resource: ResourceId,
        /// What is wrong.
        error: BuildError,
    },
    /// What a resource's configuration names is not there.
    #[error("resource `{resource}`: {error}")]
    Prepare {
        /// Which.
        resource: ResourceId,
        /// What is wrong.
        error: DriverError,
    },
    /// The API's socket cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A resource cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Something changed that a reload cannot change.
    #[error("{what}: restart the daemon for that; nothing was reloaded")]
    NeedsRestart {
        /// What.
        what: String,
    },
}

/// A running daemon.
#[derive(Debug)]
pub struct Running {
    config: Config,
    world: World,
    registry: Registry,
    proxies: BTreeMap<ResourceId, ProxyHandle>,
    stop_server: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
    retention: tokio::task::JoinHandle<()>,
    stop_refits: oneshot::Sender<()>,
    refits: tokio::task::JoinHandle<()>,
    /// Trains networks, if they are asked for.
    training: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
}

impl Running {
    /// Opens the store, starts every resource and the API. Sagas that a former process left open go on.
    ///
    /// # Errors
    /// Why not; nothing is left running then, but services that were found running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let store = Store::open(&config.state_dir)?;
        let key = store.redaction_key().await?;
        let alerts = match &config.alert_command {
            Some(command) => Alerts::to_command(command.clone()),
            None => Alerts::to_log(),
        };
        let budget = Budget::new(config.refit_cpu_share);
        let world = World {
            control: Arc::new(store.clone()),
            journal: Arc::new(store.clone()),
            audit: Arc::new(store.clone()),
            history: Arc::new(store),
            clock: Arc::new(SystemClock::start()),
            networks: match config.networks {
                Some(_) => Networks::below(&config.state_dir),
                None => Networks::off(),
            },
            refits: Refits::new(budget.clone()),
            budget,
            keep_learned_every: engine::KEEP_EVERY,
            alerts,
            fleet: Fleet::default(),
            redaction_key: RedactionKey(key),
            // The same after a restart, so that the lease of the former process is one's own.
            holder: format!("evenkeel at {}", config.state_dir.display()).into(),
        };
        let listener = http::bind(&config.socket)?;
        let mut open = open_runs(&world).await?;
        let mut proxies = BTreeMap::new();
        let mut handles = Vec::new();
        for resource in &config.resources {
            let name = resource.settings.name.clone();
            let runs = open.remove(&name).unwrap_or_default();
            let started = start_resource(&world, &config.state_dir, resource, runs).await?;
            proxies.extend(started.proxy.map(|proxy| (name.clone(), proxy)));
            handles.push((name, started.handle));
        }
        for (name, runs) in open {
            warn!(resource = %name, runs = runs.len(), "open runs of a resource that is not configured");
        }
        let registry = Registry::new();
        registry.set(handles);
        let training = (config.networks.clone())
            .map(|options| start_training(&world, options, registry.clone()));
        let (stop_server, stopped) = oneshot::channel();
        let state = AppState::new(registry.clone(), world.clone());
        let server = tokio::spawn(http::serve(listener, state, async move {
            stopped.await.ok();
        }));
        let retention = tokio::spawn(retain(world.clone(), config.retention));
        let (stop_refits, stopped) = oneshot::channel();
        let refits = world.refits.clone();
        let refits = tokio::spawn(refits.run(world.history.clone(), world.clock.clone(), stopped));
        let count = config.resources.len();
        let sentence = format!("started, watching {count} resources");
        world
            .control
            .record(vec![events::daemon(world.now(), sentence)])
            .await?;
        Ok(Self {
            config,
            world,
            registry,
            proxies,
            stop_server,
            server,
            retention,
            stop_refits,
            refits,
            training,
        })
    }

    /// The socket of the API.
    pub fn socket(&self) -> &Path {
        &self.config.socket
    }

    /// Takes a new configuration into force: all of it, or nothing.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn reload(&mut self, config: Config) -> Result<(), ReloadError> {
        self.check_reload(&config)?;
        let known: BTreeSet<ResourceId> = names(&self.config);
        let mut added = Vec::new();
        for resource in config
            .resources
            .iter()
            .filter(|r| !known.contains(&r.settings.name))
        {
            match start_resource(&self.world, &config.state_dir, resource, Vec::new()).await {
                Ok(started) => added.push((resource.settings.name.clone(), started)),
                Err(error) => {
                    for (_, started) in added {
                        stop_resource(&started.handle, started.proxy.as_ref()).await;
                    }
                    return Err(error.into());
                }
            }
        }
        let wanted = names(&config);
        let mut handles = Vec::new();
        for (name, handle) in self.registry.all() {
            if wanted.contains(&name) {
                handles.push((name, handle));
            } else {
                stop_resource(&handle, self.proxies.remove(&name).as_ref()).await;
            }
        }
        for resource in &config.resources {
            let name = &resource.settings.name;
            if let Some((_, handle)) = handles.iter().find(|(known, _)| known == name) {
                let settings = Arc::new(resource.settings.clone());
                handle
                    .messages
                    .send(Message::Reconfigured(settings))
                    .await
                    .ok();
            }
        }
        for (name, started) in added {
            self.proxies
                .extend(started.proxy.map(|proxy| (name.clone(), proxy)));
            handles.push((name, started.handle));
        }
        let order = |name: &ResourceId| {
            config
                .resources
                .iter()
                .position(|resource| resource.settings.name == *name)
        };
        handles.sort_by_key(|(name, _)| order(name));
        self.registry.set(handles);
        self.retention.abort();
        self.retention = tokio::spawn(retain(self.world.clone(), config.retention));
        self.world.budget.set_share(config.refit_cpu_share);
        self.config = config;
        let event = events::daemon(self.world.now(), "configuration reloaded".to_owned());
        self.world
            .control
            .record(vec![event])
            .await
            .map_err(StartError::Store)?;
        Ok(())
    }

    /// What a reload cannot change while resources run.
    fn check_reload(&self, config: &Config) -> Result<(), ReloadError> {
        let needs_restart = |what: String| Err(ReloadError::NeedsRestart { what });
        if config.state_dir != self.config.state_dir || config.socket != self.config.socket {
            return needs_restart("[daemon] changed".to_owned());
        }
        if config.alert_command != self.config.alert_command {
            return needs_restart("[alerts] changed".to_owned());
        }
        if config.networks != self.config.networks {
            return needs_restart("[forecast] changed".to_owned());
        }
        for resource in &config.resources {
            let name = &resource.settings.name;
            let known = self
                .config
                .resources
                .iter()
                .find(|known| known.settings.name == *name);
            if known.is_some_and(|known| known.fingerprint != resource.fingerprint) {
                let what = format!("what resource `{name}` is, or its redirector, changed");
                return needs_restart(what);
            }
        }
        Ok(())
    }

    /// Says that a reload was refused, where people look.
    pub async fn report_refused_reload(&self, why: &str) {
        let sentence =
            format!("the configuration was not reloaded, the old one is in force: {why}");
        let now = self.world.now();
        self.world
            .alerts
            .raise(now, None, Severity::Warn, &sentence);
        events::of_the_daemon(&self.world.control, now, Severity::Warn, sentence).await;
    }

    /// Stops. A saga that runs is left to the next start.
    pub async fn stop(self) {
        let (control, now) = (&self.world.control, self.world.now());
        events::of_the_daemon(control, now, Severity::Info, "stopped".to_owned()).await;
        self.retention.abort();
        self.stop_refits.send(()).ok();
        self.refits.await.ok(); // it ends by itself, or has
        if let Some((stop, training)) = self.training {
            stop.send(()).ok();
            training.await.ok();
        }
        for (name, handle) in self.registry.all() {
            stop_resource(&handle, self.proxies.get(&name)).await;
        }
        self.stop_server.send(()).ok();
        self.server.await.ok();
        std::fs::remove_file(&self.config.socket).ok(); // a stale one is replaced at the next start
    }
}

fn start_training(
    world: &World,
    options: Options,
    registry: Registry,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let watching = move || {
        let watched = |(resource, handle): (ResourceId, ResourceHandle)| {
            let settings = handle.snapshot.borrow().settings.clone();
            Watched {
                resource,
                kind: settings.kind.clone(),
                step: settings.policy.sample_every,
            }
        };
        registry.all().into_iter().map(watched).collect()
    };
    let training = Training::new(world, options, Arc::new(watching));
    let (stop, stopped) = oneshot::channel();
    (stop, tokio::spawn(training.run(stopped)))
}

fn names(config: &Config) -> BTreeSet<ResourceId> {
    config
        .resources
        .iter()
        .map(|resource| resource.settings.name.clone())
        .collect()
}

struct Started {
    handle: ResourceHandle,
    proxy: Option<ProxyHandle>,
}

async fn start_resource(
    world: &World,
    state_dir: &Path,
    resource: &ResourceConfig,
    open: Vec<OpenRun>,
) -> Result<Started, StartError> {
    let name = &resource.settings.name;
    let build_error = |error| StartError::Build {
        resource: name.clone(),
        error,
    };
    let context = BuildContext {
        resource: name.clone(),
        state_dir: resource_dir(state_dir, name),
        redaction_key: world.redaction_key.0,
        clock: world.clock.clone(),
    };
    std::fs::create_dir_all(&context.state_dir).map_err(|error| {
        build_error(BuildError::State {
            what: format!("{}: {error}", context.state_dir.display()),
        })
    })?;
    let driver = build_driver(&resource.kind, &context).map_err(build_error)?;
    // Before what was learned is read back: models in it wait for their network.
    if let Err(unreadable) = world.networks.open(&resource.settings.kind).await {
        let sentence = unreadable.to_string();
        warn!("{sentence}");
        events::of_the_daemon(&world.control, world.now(), Severity::Warn, sentence).await;
    }
    let record = world.control.load(name).await?;
    let state = record.map_or_else(|| State::new(world.now()), |record| record.state);
    let (redirector, proxy) = match &resource.redirect {
        None => (None, None),
        Some(config) => {
            build_redirector(config, &context, driver.as_ref(), &state).map_err(build_error)?
        }
    };
    match driver.prepare().await {
        Ok(warnings) => {
            for warning in warnings {
                warn!(resource = %name, "{warning}");
            }
        }
        Err(error @ (DriverError::Misconfigured { .. } | DriverError::Stale { .. })) => {
            return Err(StartError::Prepare {
                resource: name.clone(),
                error,
            });
        }
        Err(error @ DriverError::Failed { .. }) => {
            // It may be well again soon; until then its probes say that it is not.
            let sentence = format!("not ready: {error}");
            world
                .alerts
                .raise(world.now(), Some(name), Severity::Warn, &sentence);
        }
    }
    let parts = Parts {
        settings: Arc::new(resource.settings.clone()),
        driver,
        redirector,
        world: world.clone(),
    };
    let handle = engine::start(parts, open).await?;
    info!(resource = %name, "watching");
    Ok(Started { handle, proxy })
}

/// A resource's own directory: its name is checked to be one path component.
fn resource_dir(state_dir: &Path, name: &ResourceId) -> PathBuf {
    state_dir.join("resources").join(name.as_str())
}

fn build_driver(kind: &KindConfig, context: &BuildContext) -> Result<Arc<dyn Driver>, BuildError> {
    Ok(match kind {
        KindConfig::Service(config) => {
            Arc::new(ServiceDriver::new((**config).clone(), context.clone())?)
        }
        KindConfig::Files(config) => {
            Arc::new(FilesDriver::new((**config).clone(), context.clone())?)
        }
    })
}

type BuiltRedirector = (Option<Arc<dyn Redirector>>, Option<ProxyHandle>);

fn build_redirector(
    config: &RedirectConfig,
    context: &BuildContext,
    driver: &dyn Driver,
    state: &State,
) -> Result<BuiltRedirector, BuildError> {
    let refused = |what: String| BuildError::State {
        what: format!("redirect: {what}"),
    };
    let endpoint = driver.endpoint(state.serving);
    let first = endpoint.ok_or_else(|| refused(format!("a {} has no endpoint", driver.kind())))?;
    let memory = context.state_dir.join("redirect.json");
    Ok(match config {
        RedirectConfig::Proxy(config) => {
            let clock: Arc<dyn Clock> = context.clock.clone();
            let proxy = ProxyRedirector::new(&context.resource, config, &first, memory, clock)
                .map_err(refused)?;
            let handle = proxy.handle().clone();
            (Some(Arc::new(proxy)), Some(handle))
        }
        RedirectConfig::Link(config) => {
            let name = context.resource.clone();
            let link =
                LinkRedirector::new(name, config.clone(), &first, memory).map_err(refused)?;
            (Some(Arc::new(link)), None)
        }
    })
}

async fn stop_resource(handle: &ResourceHandle, proxy: Option<&ProxyHandle>) {
    handle.messages.send(Message::Stop).await.ok();
    handle.messages.closed().await; // the task has gone, and the keeper with it
    if let Some(proxy) = proxy {
        proxy.shutdown(SHUTDOWN_GRACE).await;
    }
}

/// The runs that a former process did not close, by resource. A journal that does not fit its plan is
/// reported and left for a person; its resource is as its state says.
async fn open_runs(world: &World) -> Result<BTreeMap<ResourceId, Vec<OpenRun>>, StoreError> {
    let mut open: BTreeMap<ResourceId, Vec<OpenRun>> = BTreeMap::new();
    for record in world.journal.open_runs().await? {
        let resource = record.plan.resource.clone();
        match OpenRun::replayed(&record) {
            Ok(run) => open.entry(resource).or_default().push(run),
            Err(error) => {
                let sentence = format!("a journal cannot be replayed: {error}");
                world
                    .alerts
                    .raise(world.now(), Some(&resource), Severity::Critical, &sentence);
            }
        }
    }
    Ok(open)
}

/// Downsamples and shortens history, by the hour.
async fn retain(world: World, policy: RetentionPolicy) {
    let mut period = tokio::time::interval(RETENTION_PERIOD);
    loop {
        period.tick().await;
        match world.history.retain(&policy, world.now()).await {
            Ok(done) => info!(?done, "history retention"),
            Err(error) => warn!(%error, "history could not be shortened; tried again in an hour"),
        }
    }
}
