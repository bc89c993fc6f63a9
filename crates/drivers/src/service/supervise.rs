//! Looking after the process at one place: is it there, start it, wait until it is well, stop it.
//!
//! Invariants: nothing is started where something answers already; a process that was started is on
//! record before anybody waits for it; `stop` returns `Ok` only when it is gone and its address is silent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::Brief;
use evenkeel_core::generation::Choice;
use evenkeel_ports::{DriverError, Health};

use super::config::{ServiceConfig, Supervise};
use super::health::{self, Check};
use super::record::RecordKeeper;
use super::site::Site;
use super::systemd::Unit;
use crate::process::identity::{ProcessIdentity, runs_program};
use crate::process::listener::{Listener, who_listens};
use crate::process::log;
use crate::process::run::{
    Launch, crew, describe_status, find_executable, run_logged, run_to_end, send_signal,
    signal_named, spawn_detached, stop_crew, wait_gone,
};

/// Whether the service runs at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It does, with this process where that is known.
    Running { pid: Option<u32> },
    /// It does not, and somebody else has its address.
    Foreign(String),
    /// It does not; how it ended, where that is known.
    Stopped { exit: Option<String> },
}

/// Why a started service is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotWell {
    /// Its process ended.
    Died(String),
    /// It runs and did not become well in time.
    Late(String),
}

impl NotWell {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Died(text) | Self::Late(text) => text,
        }
    }
}

/// Looks after the process at one place.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) site: Site,
    config: Arc<ServiceConfig>,
    pub(super) record: RecordKeeper,
    way: Way,
    /// How the last process that was started here ended.
    exit: Arc<Mutex<Option<String>>>,
}

#[derive(Debug)]
enum Way {
    Evenkeel,
    Systemd(Unit),
    Command,
}

/// Whether a service that runs here without Evenkeel's doing may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adoption {
    /// Where it was first found it may.
    Allowed,
    /// Nobody but Evenkeel starts anything here.
    Refused,
}

impl Supervisor {
    /// Looks after an instance.
    pub(super) fn of_instance(site: Site, config: Arc<ServiceConfig>, unit: Option<&str>) -> Self {
        let way = match (config.supervise, unit) {
            (Supervise::Systemd, Some(unit)) => Way::Systemd(Unit::new(unit)),
            (Supervise::Command, _) => Way::Command,
            (Supervise::Evenkeel | Supervise::Systemd, _) => Way::Evenkeel,
        };
        Self::new(site, config, way)
    }

    /// Looks after a rehearsal: always a process of Evenkeel's own.
    pub(super) fn of_rehearsal(site: Site, config: Arc<ServiceConfig>) -> Self {
        Self::new(site, config, Way::Evenkeel)
    }

    fn new(site: Site, config: Arc<ServiceConfig>, way: Way) -> Self {
        let record = RecordKeeper::open(&site.home);
        Self {
            site,
            config,
            record,
            way,
            exit: Arc::default(),
        }
    }

    /// Whether it runs.
    pub(super) async fn status(&self, adoption: Adoption) -> Status {
        match &self.way {
            Way::Evenkeel => self.own_status(adoption).await,
            Way::Systemd(unit) => unit.status().await,
            Way::Command => self.command_status().await,
        }
    }

    async fn own_status(&self, adoption: Adoption) -> Status {
        if let Some(process) = self.record.find() {
            return Status::Running {
                pid: Some(process.pid),
            };
        }
        let Some(listener) = self.listener().await else {
            return Status::Stopped {
                exit: self.last_exit(),
            };
        };
        let ours = listener.pid.filter(|pid| self.may_adopt(*pid, adoption));
        match ours.and_then(ProcessIdentity::now_at) {
            Some(process) => {
                let pid = process.pid;
                tracing::info!(resource = %self.site.resource, instance = self.site.label, pid, "found running");
                self.record.note(|record| {
                    record.restarts += u64::from(record.process.is_some());
                    record.process = Some(process);
                    (record.marker, record.choice, record.wanted) = (None, None, false);
                });
                Status::Running { pid: Some(pid) }
            }
            None => Status::Foreign(format!(
                "{} is served by {}, which is not this service",
                self.site.address,
                listener.describe()
            )),
        }
    }

    /// A service that runs the configured program, and that Evenkeel started nowhere else.
    fn may_adopt(&self, pid: u32, adoption: Adoption) -> bool {
        let values = self.site.placeholders();
        let program = self
            .config
            .start
            .as_ref()
            .and_then(|start| start.fill(&values).ok()?.into_iter().next());
        let is_started_elsewhere =
            crate::process::identity::has_variable(pid, crate::process::run::MARKER);
        adoption == Adoption::Allowed
            && !is_started_elsewhere
            && program.is_some_and(|program| runs_program(pid, &program))
    }

    async fn command_status(&self) -> Status {
        let recorded = self.pid_from_file().and_then(ProcessIdentity::now_at);
        if let Some(process) = recorded {
            let pid = process.pid;
            self.record.note(|record| {
                record.restarts += u64::from(
                    record
                        .process
                        .as_ref()
                        .is_some_and(|before| *before != process),
                );
                record.process = Some(process);
            });
            return Status::Running { pid: Some(pid) };
        }
        let Some(status) = &self.config.status else {
            return Status::Stopped { exit: None };
        };
        let ended = match self.site.launch(status, &self.config) {
            Ok(launch) => run_to_end(&launch, self.config.health.timeout.0).await,
            Err(why) => Err(why),
        };
        match ended.map(|ended| ended.failure()) {
            Ok(None) => {
                let pid = self.listener().await.and_then(|listener| listener.pid);
                Status::Running { pid }
            }
            Ok(Some(why)) | Err(why) => Status::Stopped { exit: Some(why) },
        }
    }

    fn pid_from_file(&self) -> Option<u32> {
        let path = self
            .config
            .pid_file
            .as_ref()?
            .fill(&self.site.placeholders())
            .ok()?;
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    async fn listener(&self) -> Option<Listener> {
        let address = self.site.address;
        // Looks through the open files of all processes, which may take a while.
        tokio::task::spawn_blocking(move || who_listens(address))
            .await
            .ok()
            .flatten()
    }

    fn last_exit(&self) -> Option<String> {
        self.exit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Starts the service if it does not run. Being up is not yet being well.
    pub(super) async fn start(
        &self,
        choice: Option<&Choice>,
        adoption: Adoption,
    ) -> Result<(), DriverError> {
        match self.status(adoption).await {
            Status::Running { .. } => return Ok(()),
            Status::Foreign(who) => {
                return Err(DriverError::without_effect(format!(
                    "cannot start {}: {who}",
                    self.site.label
                )));
            }
            Status::Stopped { .. } => {}
        }
        if let Some(listener) = self.listener().await {
            let (address, label) = (self.site.address, self.site.label);
            let who = listener.describe();
            return Err(DriverError::without_effect(format!(
                "cannot start {label}: {address} is in use by {who}"
            )));
        }
        self.site.make_home().map_err(DriverError::without_effect)?;
        match &self.way {
            Way::Evenkeel => self.start_own(choice),
            Way::Systemd(unit) => {
                let started = unit.start(self.config.start_timeout.0).await;
                started.map_err(DriverError::maybe_effect)?;
                self.note_started(choice)
            }
            Way::Command => self.start_command(choice).await,
        }
    }

    fn start_launch(&self) -> Result<Launch, DriverError> {
        let key = "resource.service.start";
        let misconfigured = |what: String| DriverError::Misconfigured {
            what: format!("{key}: {what}"),
            remedy: "give the path of the program that runs the service".to_owned(),
        };
        let start = self
            .config
            .start
            .as_ref()
            .ok_or_else(|| misconfigured("it is missing".to_owned()))?;
        let launch = self
            .site
            .launch(start, &self.config)
            .map_err(misconfigured)?;
        find_executable(launch.words.first().map_or("", String::as_str)).map_err(misconfigured)?;
        if !launch.directory.is_dir() {
            return Err(DriverError::Misconfigured {
                what: format!(
                    "resource.service.directory: {} is not a directory",
                    launch.directory.display()
                ),
                remedy: "make it, or leave `directory` out for a private one".to_owned(),
            });
        }
        Ok(launch)
    }

    fn start_own(&self, choice: Option<&Choice>) -> Result<(), DriverError> {
        let launch = self.start_launch()?;
        let marker = self.record.next_marker();
        let unrecorded = |error: std::io::Error| {
            DriverError::without_effect(format!(
                "cannot record the start in {}: {error}",
                self.site.home.display()
            ))
        };
        self.record
            .change(|record| {
                record.process = None;
                record.marker = Some(marker.clone());
                record.choice = choice.cloned();
                record.wanted = true;
                (record.restarts, record.starts) = (0, record.starts + 1);
            })
            .map_err(unrecorded)?;
        let spawned = spawn_detached(&launch, &self.site.log(), &marker);
        let (mut child, process) = spawned.map_err(|error| {
            self.record
                .note(|record| (record.marker, record.wanted) = (None, false));
            DriverError::without_effect(format!("cannot run `{}`: {error}", launch.describe()))
        })?;
        let pid = process.pid;
        tracing::info!(resource = %self.site.resource, instance = self.site.label, pid, "started");
        // If this fails, the marker still leads to the process.
        self.record.note(|record| record.process = Some(process));
        *self.exit.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let exit = Arc::clone(&self.exit);
        tokio::spawn(async move {
            let ended = child.wait().await;
            let text = ended.map_or_else(|error| error.to_string(), describe_status);
            tracing::info!(pid, exit = text, "ended");
            *exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        });
        Ok(())
    }

    async fn start_command(&self, choice: Option<&Choice>) -> Result<(), DriverError> {
        let launch = self.start_launch()?;
        let marker = self.record.next_marker();
        self.record.note(|record| {
            (record.marker, record.starts) = (Some(marker.clone()), record.starts + 1)
        });
        let ended = run_logged(
            &launch,
            &self.site.log(),
            self.config.start_timeout.0,
            &marker,
        )
        .await;
        match ended.map(|ended| ended.failure()) {
            Ok(None) => self.note_started(choice),
            Ok(Some(why)) | Err(why) => Err(DriverError::maybe_effect(format!(
                "start of {}: `{}`: {why}",
                self.site.label,
                launch.describe()
            ))),
        }
    }

    fn note_started(&self, choice: Option<&Choice>) -> Result<(), DriverError> {
        let noted = self.record.change(|record| {
            record.choice = choice.cloned();
            record.wanted = true;
        });
        noted.map_err(|error| {
            DriverError::maybe_effect(format!("{}: {error}", self.site.home.display()))
        })
    }

    /// Waits until the started service is well, or has clearly ended, or the start timeout is over.
    pub(super) async fn wait_well(&self) -> Result<(), NotWell> {
        let limit = self.config.start_timeout.0;
        let last = Mutex::new("it was not asked yet".to_owned());
        let waiting = async {
            let mut good = 0;
            let mut was_up = matches!(self.way, Way::Evenkeel);
            let mut was_foreign = false;
            loop {
                match self.status(Adoption::Refused).await {
                    Status::Stopped { exit } if was_up => return Err(self.died(exit)),
                    Status::Stopped { exit } => {
                        note(&last, exit.unwrap_or_else(|| "it is not up yet".to_owned()))
                    }
                    // For a moment it may be a child of ours, forked and not executed yet, that holds a socket
                    // which was closed since.
                    Status::Foreign(who) if was_foreign && matches!(self.way, Way::Evenkeel) => {
                        return Err(NotWell::Died(format!("its process ended, and {who}")));
                    }
                    Status::Foreign(who) => {
                        was_foreign = true;
                        note(&last, who);
                    }
                    Status::Running { .. } => {
                        was_up = true;
                        good = self.check().await.map_or_else(
                            |why| {
                                note(&last, why);
                                0
                            },
                            |()| good + 1,
                        );
                        if good >= self.config.health.healthy_after {
                            return Ok(());
                        }
                    }
                }
                tokio::time::sleep(self.config.health.interval.0).await;
            }
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(result) => result,
            Err(_) => {
                let why = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let text = format!(
                    "{} was started and is not well after {}: {why}",
                    self.site.label,
                    Brief(limit)
                );
                Err(NotWell::Late(self.with_log(text)))
            }
        }
    }

    fn died(&self, exit: Option<String>) -> NotWell {
        let exit = exit.unwrap_or_else(|| "exit status unknown".to_owned());
        let mut text = format!("the process of {} ended at once ({exit})", self.site.label);
        let record = self.record.get();
        let left = record
            .process
            .map(|process| crew(&process, record.marker.as_deref()))
            .unwrap_or_default();
        if let Some(other) = left.first() {
            text.push_str(&format!(
                " but left pid {} in the background: let `start` run in the foreground, or use supervise = \"command\"",
                other.pid
            ));
        }
        NotWell::Died(self.with_log(text))
    }

    fn with_log(&self, text: String) -> String {
        match log::tail(&self.site.log(), 5) {
            lines if lines.trim().is_empty() => text,
            lines => format!("{text}; its last words: {lines}"),
        }
    }

    /// One health check at the place's own address.
    pub(super) async fn check(&self) -> Result<(), String> {
        let config = &self.config.health;
        let way = match &config.command {
            Some(command) => Check::Command(self.site.launch(command, &self.config)?),
            None => config.http_check().unwrap_or(Check::Tcp),
        };
        health::check(&way, self.site.address, config.timeout.0).await
    }

    /// Whether it is well.
    pub(super) async fn health(&self, adoption: Adoption) -> Health {
        match self.status(adoption).await {
            Status::Stopped { .. } => Health::Down,
            Status::Foreign(who) => Health::Unwell(who),
            Status::Running { .. } => match self.check().await {
                Ok(()) => Health::Well,
                Err(why) => Health::Unwell(why),
            },
        }
    }

    /// Takes down what `start` brought up. Unlike [`Self::stop`] it does not mind that somebody else
    /// has the address: an instance that could not start for that reason needs no taking down.
    pub(super) async fn take_down(&self, adoption: Adoption) -> Result<(), String> {
        let is_ours_gone = matches!(self.way, Way::Evenkeel)
            && matches!(self.status(adoption).await, Status::Foreign(_));
        if !is_ours_gone {
            return self.stop(adoption).await;
        }
        self.record
            .change(|record| record.wanted = false)
            .map_err(|error| format!("{}: {error}", self.site.home.display()))
    }

    /// Stops the service. `Ok` means that it is gone and that nobody answers at its address.
    pub(super) async fn stop(&self, adoption: Adoption) -> Result<(), String> {
        let status = self.status(adoption).await;
        self.record
            .change(|record| record.wanted = false)
            .map_err(|error| format!("{}: {error}", self.site.home.display()))?;
        if let Status::Foreign(who) = status {
            return Err(format!("cannot stop {}: {who}", self.site.label));
        }
        match &self.way {
            Way::Systemd(unit) => unit.stop(self.config.stop_grace.0).await?,
            Way::Evenkeel | Way::Command => self.stop_process(&status).await?,
        }
        self.silent().await?;
        self.record.note(|record| {
            (record.process, record.marker, record.choice) = (None, None, None);
        });
        Ok(())
    }

    async fn stop_process(&self, status: &Status) -> Result<(), String> {
        let grace = self.config.stop_grace.0;
        let record = self.record.get();
        let marker = record.marker.as_deref();
        let known = match status {
            Status::Running { pid: Some(pid) } => ProcessIdentity::now_at(*pid),
            Status::Running { pid: None } | Status::Foreign(_) | Status::Stopped { .. } => {
                record.process.clone()
            }
        };
        let is_running = matches!(status, Status::Running { .. });
        if let Some(stop) = self.config.stop.as_ref().filter(|_| is_running) {
            let launch = self.site.launch(stop, &self.config)?;
            // Whether it worked is seen at the process, not at the command's word.
            if let Some(why) = run_to_end(&launch, grace)
                .await
                .map_or_else(Some, |ended| ended.failure())
            {
                tracing::warn!(
                    instance = self.site.label,
                    why,
                    "the stop command failed; signalling instead"
                );
            } else if let Some(process) = &known
                && wait_gone(process, marker, grace).await
            {
                return Ok(());
            }
        }
        let Some(process) = known else {
            return match self.status(Adoption::Refused).await {
                Status::Stopped { .. } => Ok(()),
                Status::Running { .. } | Status::Foreign(_) => Err(format!(
                    "{} still runs and its process id is not known: give `pid_file`, or a `stop` that works",
                    self.site.label
                )),
            };
        };
        let signal =
            signal_named(&self.config.stop_signal).unwrap_or(rustix::process::Signal::TERM);
        stop_crew(&process, marker, signal, grace).await
    }

    /// Makes sure that nobody answers at the address.
    async fn silent(&self) -> Result<(), String> {
        const PATIENCE: Duration = Duration::from_secs(2);
        const ATTEMPT: Duration = Duration::from_millis(500);
        let address = self.site.address;
        let quiet = async {
            loop {
                match tokio::time::timeout(ATTEMPT, tokio::net::TcpStream::connect(address)).await {
                    Ok(Ok(_still_answers)) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        };
        if tokio::time::timeout(PATIENCE, quiet).await.is_ok() {
            return Ok(());
        }
        let who = self
            .listener()
            .await
            .map_or_else(|| "somebody".to_owned(), |listener| listener.describe());
        Err(format!(
            "{} was stopped, but {who} answers at {address}: if something starts it again, let Evenkeel use that \
             (supervise = \"systemd\" or \"command\")",
            self.site.label
        ))
    }

    /// Makes a running service read its configuration again, where that is configured.
    pub(super) async fn reload(&self, adoption: Adoption) -> Result<(), String> {
        let Status::Running { pid } = self.status(adoption).await else {
            return Ok(());
        };
        if let Some(reload) = &self.config.reload {
            let launch = self.site.launch(reload, &self.config)?;
            let failure = run_to_end(&launch, self.config.start_timeout.0)
                .await?
                .failure();
            return failure.map_or(Ok(()), |why| {
                Err(format!(
                    "reload of {}: `{}`: {why}",
                    self.site.label,
                    launch.describe()
                ))
            });
        }
        let Some(name) = &self.config.signal else {
            return Ok(());
        };
        let process = pid.and_then(ProcessIdentity::now_at);
        match (signal_named(name), process) {
            (Some(signal), Some(process)) => send_signal(&process, signal)
                .map_err(|error| format!("reload of {}: {error}", self.site.label)),
            _ => Err(format!(
                "reload of {}: its process id is not known",
                self.site.label
            )),
        }
    }

    /// How often the service was started again by somebody else.
    pub(super) async fn restarts(&self) -> Option<u64> {
        match &self.way {
            Way::Systemd(unit) => unit.restarts().await,
            Way::Evenkeel | Way::Command => Some(self.record.get().restarts),
        }
    }
}

fn note(last: &Mutex<String>, why: String) {
    *last.lock().unwrap_or_else(PoisonError::into_inner) = why;
}
