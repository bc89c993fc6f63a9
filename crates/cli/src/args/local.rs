//! Commands that the binary does itself: parsed here, done elsewhere.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

/// Something that needs no daemon, or is one.
#[derive(Clone, Debug, Subcommand)]
pub enum LocalCommand {
    /// See it at work: a real service drifts, is forecast, and fails over with clients connected
    Demo(DemoArgs),
    /// Write a configuration for the services found on this machine
    Init(InitArgs),
    /// Check a configuration file, and all that it names
    Check(CheckArgs),
    /// Run the daemon in the foreground
    Run(RunArgs),
}

/// `demo`
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Answer in JSON, one event per line
    #[arg(long)]
    pub json: bool,
    /// Keep everything the demo made, and say where
    #[arg(long)]
    pub keep: bool,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// How many clients are connected all the time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// Where to work [default: a new directory, removed afterwards]
    #[arg(long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
    /// Say only how it ended
    #[arg(long)]
    pub quiet: bool,
    /// The seed of the drift's noise: the same seed drifts the same way
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// `init`
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Where to write the configuration
    #[arg(short, long, value_name = "PATH", default_value = "./evenkeel.toml")]
    pub output: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
    /// Say in JSON what was found
    #[arg(long)]
    pub json: bool,
    /// Look for services below this directory instead of `/`
    #[arg(long, value_name = "PATH", default_value = "/", hide = true)]
    pub root: PathBuf,
}

/// `check`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The configuration [default: ./evenkeel.toml, else /etc/evenkeel/evenkeel.toml]
    pub config: Option<PathBuf>,
    /// Print the JSON Schema of the configuration, and check nothing
    #[arg(long)]
    pub schema: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `run`
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The configuration [default: ./evenkeel.toml, else /etc/evenkeel/evenkeel.toml]
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// How much is logged
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log: LogLevel,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What went wrong
    Error,
    /// And what may go wrong
    Warn,
    /// And what is done
    Info,
    /// And why
    Debug,
    /// Everything
    Trace,
}

impl LogLevel {
    /// The word in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl CheckArgs {
    /// The configuration's file: as said, else where it usually is.
    pub fn config_path(&self) -> PathBuf {
        config_path(self.config.as_deref())
    }
}

impl RunArgs {
    /// The configuration's file: as said, else where it usually is.
    pub fn config_path(&self) -> PathBuf {
        config_path(self.config.as_deref())
    }
}

fn config_path(said: Option<&Path>) -> PathBuf {
    let here = Path::new("evenkeel.toml");
    let system = Path::new("/etc/evenkeel/evenkeel.toml");
    match said {
        Some(path) => path.to_path_buf(),
        None if here.exists() || !system.exists() => here.to_path_buf(),
        None => system.to_path_buf(),
    }
}
