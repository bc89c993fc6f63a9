//! `evenkeel demo`: needs nothing installed, and shows within a minute what Evenkeel does.
//!
//! The real daemon runs in this process over a real child process with a real configuration file and
//! data ([`run_service`], which the binary carries for this). Real clients go through its proxy while
//! a misbehaving job rewrites one value step by step toward its limit. Evenkeel forecasts that, fails
//! over to a generation from before the drift, diagnoses, reverts and protects again; at the end
//! stands what was *measured* of it.
//!
//! It leaves out any help for the daemon: no step is triggered from here, and all that is known of it
//! comes through its API. Whatever becomes of this process, its services end with it.

mod clients;
mod http;
mod scene;
mod service;
mod stage;
mod summary;
mod tuner;
mod view;
mod witness;

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_cli::render::{Style, one_line};
use evenkeel_cli::{DemoArgs, Globals};
use evenkeel_daemon::clock::SystemClock;
use evenkeel_daemon::{Running, StartError};
use evenkeel_ports::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use scene::SceneError;
pub use service::run_service;
pub use stage::StageError;
pub use summary::{Diagnosis, Summary};
pub use view::Manner;

use scene::Scene;
use stage::Direction;
use view::View;
use witness::Witness;

/// The hidden command with which the binary becomes the demonstration's service.
pub const SERVICE_COMMAND: &str = "demo-service";

/// How long the whole may take, where that is not said.
const SECONDS_MAX: u64 = 60;

/// What is asked of a demonstration.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How many clients are connected.
    pub clients: u32,
    /// The seed of the drift.
    pub seed: u64,
    /// How long the whole may take.
    pub limit: Duration,
    /// Where to work; a temporary directory where not said.
    pub directory: Option<PathBuf>,
    /// What becomes of it at the end.
    pub afterwards: Afterwards,
    /// How it is shown.
    pub manner: Manner,
    /// Whether the view has colour.
    pub style: Style,
}

/// What becomes of everything at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It ends and goes.
    Leave,
    /// The daemon runs on until it is interrupted, and the directory stays.
    Keep,
}

/// Why there is no summary.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The scene cannot be set.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// The log cannot be opened, or signals cannot be heard.
    #[error("cannot begin: {0}")]
    Begin(#[source] io::Error),
    /// The daemon does not start.
    #[error("the daemon does not start: {error}; its log is {}", .log.display())]
    Start {
        /// Why.
        #[source]
        error: StartError,
        /// Where its log is.
        log: PathBuf,
    },
    /// The play was not played to its end.
    #[error("{error}; the log is {}", .log.display())]
    Stage {
        /// Why.
        #[source]
        error: StageError,
        /// Where the log is.
        log: PathBuf,
    },
    /// The summary cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// Somebody had enough.
    #[error("interrupted: everything was put away")]
    Interrupted,
}

/// Runs the demonstration for the command line, on a runtime of its own.
pub fn main(args: &DemoArgs, globals: &Globals) -> ExitCode {
    let is_terminal = io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR");
    let manner = match (args.quiet, args.json, is_terminal) {
        (true, _, _) => Manner::Silent,
        (false, true, _) => Manner::Json,
        (false, false, true) => Manner::Live,
        (false, false, false) => Manner::Lines,
    };
    let options = DemoOptions {
        clients: args.clients,
        seed: args.seed,
        limit: Duration::from_secs(args.seconds.unwrap_or(SECONDS_MAX)),
        directory: args.dir.clone(),
        afterwards: if args.keep {
            Afterwards::Keep
        } else {
            Afterwards::Leave
        },
        manner,
        style: Style::choose(globals.color, is_terminal, no_color.as_deref()),
    };
    let form = if args.json { Form::Json } else { Form::Text };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(options, form, &mut io::stdout())),
        Err(error) => Err(DemoError::Begin(error)),
    };
    let shortfalls = match outcome {
        Ok(summary) => summary.shortfalls(),
        Err(error) => vec![error.to_string()],
    };
    for shortfall in &shortfalls {
        // There is nobody left to tell if stderr is closed.
        let _ = writeln!(io::stderr(), "evenkeel: demo: {}", one_line(shortfall));
    }
    if shortfalls.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How the summary is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs: one line.
    Json,
}

/// Runs the demonstration and writes its summary to `out`, last.
///
/// # Errors
/// When it did not come to its end. A summary that falls short of what was promised is no error here:
/// see [`Summary::shortfalls`].
pub async fn run(
    options: DemoOptions,
    form: Form,
    out: &mut dyn Write,
) -> Result<Summary, DemoError> {
    let mut scene = Scene::set(options.directory.as_deref())?;
    if options.afterwards == Afterwards::Keep {
        scene.keep();
    }
    log_to(&scene.log()).map_err(DemoError::Begin)?;
    let mut interruption = Interruption::listen().map_err(DemoError::Begin)?;
    let running = match Running::start(scene.config()).await {
        Ok(running) => running,
        Err(error) => {
            scene.keep();
            let log = scene.log();
            scene.strike().await;
            return Err(DemoError::Start { error, log });
        }
    };
    let outcome = tokio::select! {
        outcome = show(&options, form, &scene, &running, out) => outcome,
        () = interruption.comes() => Err(DemoError::Interrupted),
    };
    let outcome = match outcome {
        Ok(summary) if options.afterwards == Afterwards::Keep => {
            let told = tell_what_is_kept(&scene, running.socket());
            interruption.comes().await;
            told.map(|()| summary).map_err(DemoError::Output)
        }
        Ok(summary) => Ok(summary),
        Err(error) => {
            if !matches!(error, DemoError::Interrupted) {
                scene.keep();
            }
            Err(error)
        }
    };
    running.stop().await;
    scene.strike().await;
    outcome
}

async fn show(
    options: &DemoOptions,
    form: Form,
    scene: &Scene,
    running: &Running,
    out: &mut dyn Write,
) -> Result<Summary, DemoError> {
    let direction = Direction {
        clients: options.clients,
        seed: options.seed,
        limit: options.limit,
    };
    let witness = Witness::new(evenkeel_api::Client::new(running.socket()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut view = View::new(out, options.manner, options.style);
    let played = stage::play(direction, scene, witness, &mut view, clock).await;
    let summary = played.map_err(|error| DemoError::Stage {
        error,
        log: scene.log(),
    })?;
    match form {
        Form::Text => write!(out, "{}", summary.text(options.style))?,
        Form::Json => {
            let line = serde_json::to_string(&summary).map_err(io::Error::from)?;
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(summary)
}

/// On stderr, so that the summary stays the last thing on stdout.
fn tell_what_is_kept(scene: &Scene, socket: &Path) -> io::Result<()> {
    let (directory, entrance, socket) = (scene.directory(), scene.entrance(), socket.display());
    writeln!(
        io::stderr(),
        "The daemon runs on until you press Ctrl-C. Look at it from another terminal:\n  \
         evenkeel --socket {socket} status\n  \
         evenkeel --socket {socket} events\n  \
         curl http://{entrance}/\nEverything is in {}, and stays there.",
        directory.display()
    )
}

/// The log of the daemon in this process, beside everything else of the scene. A program that has a
/// log of its own keeps it.
fn log_to(path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("info"))
        .with_ansi(false)
        .with_writer(Mutex::new(file));
    if subscriber.try_init().is_err() {
        std::fs::write(path, "the log goes where that of the whole program goes\n")?;
    }
    Ok(())
}

/// The signals by which a person ends a program.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruption {
    fn listen() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            interrupt,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn comes(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
