//! The tree of commands. What is typed is checked here as far as it can be without the daemon.

mod acting;
mod backtest;
mod local;
mod simulate;
mod span;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use evenkeel_api::wire::{Aggregation, EventKind, Stream};

use crate::render::ColourChoice;
pub use acting::{
    AcceptArgs, ActArgs, ActFlags, ApproveArgs, JudgeArgs, PauseArgs, RehearseArgs, WindowArgs,
};
pub use backtest::{BacktestArgs, Season};
pub use local::{CheckArgs, DemoArgs, InitArgs, LocalCommand, LogLevel, RunArgs};
pub use simulate::{Of, SimulateArgs, Sustained};
pub use span::{Moment, parse_moment, parse_span};

/// Predicts configuration drift and fails over to a known-good clone before it does harm.
#[derive(Debug, Parser)]
#[command(
    name = "evenkeel",
    bin_name = "evenkeel",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What may stand with every command.
#[derive(Clone, Debug, Args)]
pub struct Globals {
    /// The daemon's socket [default: /run/evenkeel/evenkeel.sock, else
    /// $XDG_RUNTIME_DIR/evenkeel.sock]
    #[arg(long, global = true, value_name = "PATH", env = "EVENKEEL_SOCKET")]
    pub socket: Option<PathBuf>,
    /// When to use colour: auto, always, never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t = ColourChoice::Auto,
        hide_possible_values = true
    )]
    pub color: ColourChoice,
}

impl Globals {
    /// Where the daemon listens: as said, else the system's place if a socket is there, else the
    /// user's.
    pub fn socket_path(&self) -> PathBuf {
        if let Some(socket) = &self.socket {
            return socket.clone();
        }
        let system = Path::new("/run/evenkeel/evenkeel.sock");
        let user = std::env::var_os("XDG_RUNTIME_DIR")
            .map(|directory| Path::new(&directory).join("evenkeel.sock"));
        match user {
            Some(user) if !system.exists() && user.exists() => user,
            Some(_) | None => system.to_path_buf(),
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// Something that needs no daemon, or is one: for the binary to hand on.
    Local(LocalCommand, Globals),
    /// Something that the running daemon is asked for.
    Remote(RemoteCommand, Globals),
    /// A completion script.
    Completions(Shell),
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Local(LocalCommand),
    #[command(flatten)]
    Remote(RemoteCommand),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Everything that the running daemon is asked for; `backtest` and `simulate` need it only for stored history.
#[derive(Clone, Debug, Subcommand)]
pub enum RemoteCommand {
    /// Show all resources at a glance, or one in full
    Status(StatusArgs),
    /// Show a resource's properties with deviation, band and breach
    Properties(PropertiesArgs),
    /// Look at, and move, what is approved
    #[command(subcommand)]
    Baseline(BaselineCommand),
    /// Plot a property's history, with its changes
    History(HistoryArgs),
    /// Show where a property goes
    Forecast(ForecastArgs),
    /// Tell how well each model would have forecast series that are known by now
    Backtest(Box<BacktestArgs>),
    /// Replay a scenario, recorded series or stored history, and tell what would have been decided and how often that was wrong
    Simulate(Box<SimulateArgs>),
    /// Look at the standby copy, sync and rehearse it
    #[command(subcommand)]
    Clone(CloneCommand),
    /// Move clients to the clone because the primary drifts
    Failover(ActArgs),
    /// Move clients to the clone as planned work: nothing that was written is left behind
    Switchover(ActArgs),
    /// Move clients back to where the resource was first found
    Failback(ActArgs),
    /// Diagnose, revert and re-protect the instance that does not serve
    Reinstate(ActArgs),
    /// Allow one failover, where the policy asks for approval
    Approve(ApproveArgs),
    /// Let nothing be done automatically for a while
    Pause(PauseArgs),
    /// End a pause
    Resume(ActArgs),
    /// Say whether an alarm or a failover was right: the property's band follows
    Judge(JudgeArgs),
    /// Open a one-off window in which changes are expected
    Window(WindowArgs),
    /// Let go of a resource that a stuck saga holds, once you have looked
    Release(ActArgs),
    /// Show what happened, newest last
    Events(EventsArgs),
    /// Tell why something was decided, and what came of it
    Explain(ExplainArgs),
    /// Look at failovers and reinstatements, step by step
    #[command(subcommand)]
    Saga(SagaCommand),
    /// Read and verify the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// `status`
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// One resource, in full
    pub resource: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `properties`
#[derive(Clone, Debug, Args)]
pub struct PropertiesArgs {
    /// Of which resource
    pub resource: String,
    /// All of them; without this, those that deviate or breach
    #[arg(long, conflicts_with = "breaching")]
    pub all: bool,
    /// Only those that breach, now or by prediction
    #[arg(long)]
    pub breaching: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// A resource, and how to answer.
#[derive(Clone, Debug, Args)]
pub struct OfResource {
    /// Of which resource
    pub resource: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `baseline`
#[derive(Clone, Debug, Subcommand)]
pub enum BaselineCommand {
    /// Show the approved values
    Show(OfResource),
    /// Show how the configuration differs from what is approved
    Diff(OfResource),
    /// Approve values as they are found now
    Accept(AcceptArgs),
    /// Show all versions: when, by whom, what for
    History(OfResource),
}

/// `history`
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// Of which resource
    pub resource: String,
    /// Of which property
    pub property: String,
    /// From when on: `90s`, `1h`, `7d` ago, or an instant
    #[arg(long, value_name = "WHEN", default_value = "1h", value_parser = parse_moment)]
    pub since: Moment,
    /// One point per this time [default: a sixtieth of the whole]
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub step: Option<std::time::Duration>,
    /// How the points of a step become one: min, max, mean, last, count
    #[arg(long, default_value = "last", value_parser = word::<Aggregation>)]
    pub aggregation: Aggregation,
    /// Which series: value, deviation, band_lower, band_upper
    #[arg(long, default_value = "deviation", value_parser = word::<Stream>)]
    pub stream: Stream,
    /// Every point in a table, instead of a plot
    #[arg(long)]
    pub table: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `forecast`
#[derive(Clone, Debug, Args)]
pub struct ForecastArgs {
    /// Of which resource
    pub resource: String,
    /// Of which property [default: the one that needs attention most]
    pub property: Option<String>,
    /// And which models speak, how well they were right, where the band comes from
    #[arg(long)]
    pub explain: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `clone`
#[derive(Clone, Debug, Subcommand)]
pub enum CloneCommand {
    /// Show the generations of the clone
    List(OfResource),
    /// Move the newest delta to the clone
    Sync(ActArgs),
    /// Activate the clone in isolation, check it, measure it, put it back
    Rehearse(RehearseArgs),
    /// Show the files in which two generations differ
    Diff(CloneDiffArgs),
}

/// `clone diff`
#[derive(Clone, Debug, Args)]
pub struct CloneDiffArgs {
    /// Of which resource
    pub resource: String,
    /// The older generation, `g3`
    pub older: String,
    /// The newer generation, `g7`
    pub newer: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `events`
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// Only of this resource
    pub resource: Option<String>,
    /// Only of this kind: baseline, change, sync, verdict, rehearsal, decision, saga, diagnosis,
    /// alert, operator, daemon
    #[arg(long, value_parser = word::<EventKind>)]
    pub kind: Option<EventKind>,
    /// Go on with what happens from now on, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the latest
    #[arg(short = 'n', long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Answer in JSON; with --follow, one event per line
    #[arg(long)]
    pub json: bool,
}

/// `explain`
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Which event, `e7`
    pub event: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `saga`
#[derive(Clone, Debug, Subcommand)]
pub enum SagaCommand {
    /// Show one run, step by step
    Show(SagaShowArgs),
}

/// `saga show`
#[derive(Clone, Debug, Args)]
pub struct SagaShowArgs {
    /// Which run, `r12`
    pub run: String,
    /// Follow it to its end
    #[arg(short, long, conflicts_with = "json")]
    pub follow: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `audit`
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Show who did what, oldest first
    List(AuditListArgs),
    /// Check that no line was altered or removed
    Verify {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// `audit list`
#[derive(Clone, Debug, Args)]
pub struct AuditListArgs {
    /// Only lines after this number
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads a word of one of the wire's closed sets.
fn word<W>(text: &str) -> Result<W, W::Err>
where
    W: std::str::FromStr,
{
    text.parse()
}

/// The command tree, for completions.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// What `arguments` ask for, the program's name first; on wrong usage, `--help` and `--version` the
/// process ends here, as is usual for a command line.
pub fn parse_from<I, T>(arguments: I) -> Invocation
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    try_parse_from(arguments).unwrap_or_else(|error| error.exit())
}

/// The same, with the error (which `--help` and `--version` are, too) given back.
///
/// # Errors
/// When the arguments are no command.
pub fn try_parse_from<I, T>(arguments: I) -> Result<Invocation, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let Cli { globals, command } = Cli::try_parse_from(arguments)?;
    Ok(match command {
        Command::Local(command) => Invocation::Local(command, globals),
        Command::Remote(command) => Invocation::Remote(command, globals),
        Command::Completions { shell } => Invocation::Completions(shell),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parse(line: &str) -> Result<Invocation, clap::Error> {
        try_parse_from(line.split(' '))
    }

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_of_the_manual_is_understood() {
        for line in [
            "evenkeel status",
            "evenkeel status web --json",
            "evenkeel --socket /tmp/s --color never properties web --breaching",
            "evenkeel baseline show web",
            "evenkeel baseline diff web --json",
            "evenkeel baseline accept web nginx.conf/** --note ticket-7 --yes",
            "evenkeel baseline accept web --all --note x --dry-run",
            "evenkeel baseline history web",
            "evenkeel history web memory/used --since 2h --step 1m --stream value",
            "evenkeel forecast web --explain",
            "evenkeel backtest --csv load.csv --season 24 --season 168 --models mixture,drift",
            "evenkeel backtest --m4 train.csv test.csv --limit 50 --jobs 2 --json --each",
            "evenkeel backtest --resource web --property memory/used --since 30d --plot plots",
            "evenkeel simulate --scenario leak.toml --seed 7 --risk-tolerance 0.5 --sustain 2/4",
            "evenkeel simulate --resource web --since 30d --until 1h --what-if 0.2,0.4",
            "evenkeel simulate --csv a.csv b.csv --approved 400 --approved b=-1 --limits ,1024",
            "evenkeel simulate --scenario leak.toml --what-if 0,0.5,1 --jobs 2 --json",
            "evenkeel clone list web",
            "evenkeel clone sync web --yes --no-wait",
            "evenkeel clone rehearse web --generation g3 --dry-run",
            "evenkeel clone diff web g1 g2",
            "evenkeel failover web --yes --reason disk --json",
            "evenkeel switchover web --dry-run",
            "evenkeel failback web -y",
            "evenkeel reinstate web -y --wait",
            "evenkeel approve web --for 30m --yes",
            "evenkeel pause web --for 2h --yes",
            "evenkeel resume web --yes",
            "evenkeel window web --for 2h --why upgrade --yes",
            "evenkeel judge e7 false-alarm --reason cron --yes",
            "evenkeel release web --yes",
            "evenkeel events -f --kind decision",
            "evenkeel explain e7",
            "evenkeel saga show r12 --follow",
            "evenkeel audit list --after 10",
            "evenkeel audit verify --json",
        ] {
            let parsed = parse(line);
            assert!(
                matches!(parsed, Ok(Invocation::Remote(..))),
                "{line}: {parsed:?}"
            );
        }
        assert!(matches!(
            parse("evenkeel completions bash"),
            Ok(Invocation::Completions(Shell::Bash))
        ));
    }

    #[test]
    fn commands_without_a_daemon_are_handed_on_with_their_defaults() {
        let Ok(Invocation::Local(LocalCommand::Demo(demo), _)) = parse("evenkeel demo") else {
            panic!("demo is local");
        };
        assert_eq!((demo.clients, demo.seconds, demo.keep), (16, None, false));
        let Ok(Invocation::Local(LocalCommand::Init(init), _)) = parse("evenkeel init --force")
        else {
            panic!("init is local");
        };
        assert!(init.force);
        assert_eq!(init.output, Path::new("./evenkeel.toml"));
        assert!(matches!(
            parse("evenkeel run --config x.toml --log debug"),
            Ok(Invocation::Local(
                LocalCommand::Run(RunArgs {
                    log: LogLevel::Debug,
                    ..
                }),
                _
            ))
        ));
    }

    #[test]
    fn wrong_usage_is_refused_with_exit_code_2_and_the_right_words() {
        let refused = |line: &str, with: &str| {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(with), "{line}: {error}");
        };
        refused("evenkeel failover", "<RESOURCE>");
        refused("evenkeel events --kind loud", "baseline, change");
        refused("evenkeel pause web --for soon", "2h");
        refused("evenkeel baseline accept web --note x", "--all");
        refused("evenkeel window web --for 2h", "--why");
        refused("evenkeel judge e7 wrong", "false-alarm");
        refused("evenkeel failover web --wait --no-wait", "--no-wait");
        refused("evenkeel backtest", "--csv");
        refused("evenkeel backtest --csv a.csv --m4 b.csv c.csv", "--m4");
        refused("evenkeel backtest --csv a.csv --models oracle", "mixture");
        refused("evenkeel backtest --m4 b.csv c.csv --stride 2", "--stride");
        refused("evenkeel simulate", "--scenario");
        refused("evenkeel simulate --csv a.csv --limits 1,2", "--approved");
        refused("evenkeel simulate --scenario a --what-if 0,2", "0 to 1");
        refused("evenkeel simulate --scenario a --what-if 0 --all", "--all");
    }

    #[test]
    fn options_of_time_are_read() {
        let Ok(Invocation::Remote(RemoteCommand::Pause(pause), _)) =
            parse("evenkeel pause web --for 1h30m")
        else {
            panic!("pause is remote");
        };
        assert_eq!(pause.for_, Some(Duration::from_secs(5400)));
    }

    #[test]
    fn a_named_socket_is_taken_as_it_is() {
        let Ok(Invocation::Remote(_, globals)) = parse("evenkeel status --socket /x/y.sock") else {
            panic!("status is remote");
        };
        assert_eq!(globals.socket_path(), Path::new("/x/y.sock"));
    }
}
