//! Arguments of the commands that act. All share [`ActFlags`]: see the plan, confirm it, follow it.

use std::time::Duration;

use clap::{ArgGroup, Args};

use evenkeel_api::wire::Judgement;

use super::span::{Moment, parse_moment, parse_span};
use super::word;

/// How a command acts.
#[derive(Clone, Debug, Default, Args)]
pub struct ActFlags {
    /// Show the plan, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do it without asking; needed where nobody is there to be asked
    #[arg(short, long)]
    pub yes: bool,
    /// Follow it to its end (this is the default)
    #[arg(long, conflicts_with = "no_wait")]
    pub wait: bool,
    /// Return as soon as it is begun
    #[arg(long)]
    pub no_wait: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// A command that needs no more than the resource.
#[derive(Clone, Debug, Args)]
pub struct ActArgs {
    /// Which resource
    pub resource: String,
    /// What for; goes into the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "documentation here would become the help of every command"
    )]
    pub flags: ActFlags,
}

/// `baseline accept`
#[derive(Clone, Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["paths", "all"])),
    // clap would write the group before the resource.
    override_usage = "evenkeel baseline accept [OPTIONS] --note <TEXT> <RESOURCE> <PATH>...|--all",
)]
pub struct AcceptArgs {
    /// Of which resource
    pub resource: String,
    /// Paths, or globs of them: `nginx.conf/**`
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Everything that differs
    #[arg(long)]
    pub all: bool,
    /// What for; goes into the baseline's history
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "see ActArgs")]
    pub flags: ActFlags,
}

/// `clone rehearse`
#[derive(Clone, Debug, Args)]
pub struct RehearseArgs {
    /// Of which resource
    pub resource: String,
    /// Which generation [default: the one that a failover would choose]
    #[arg(long, value_name = "GENERATION")]
    pub generation: Option<String>,
    /// What for; goes into the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "see ActArgs")]
    pub flags: ActFlags,
}

/// `approve`
#[derive(Clone, Debug, Args)]
pub struct ApproveArgs {
    /// Which resource
    pub resource: String,
    /// The approval is void after this time
    #[arg(long = "for", value_name = "SPAN", default_value = "1h", value_parser = parse_span)]
    pub for_: Duration,
    /// What for; goes into the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "see ActArgs")]
    pub flags: ActFlags,
}

/// `pause`
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// Which resource
    pub resource: String,
    /// For how long [default: until resumed]
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    pub for_: Option<Duration>,
    /// What for; goes into the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "see ActArgs")]
    pub flags: ActFlags,
}

/// `judge`
#[derive(Clone, Debug, Args)]
pub struct JudgeArgs {
    /// Which event: `e7`, as `events` lists them
    pub event: String,
    /// What it was: `false-alarm` or `right`
    #[arg(value_parser = word::<Judgement>)]
    pub judgement: Judgement,
    /// Why; goes into the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "see ActArgs")]
    pub flags: ActFlags,
}

/// `window`
#[derive(Clone, Debug, Args)]
pub struct WindowArgs {
    /// Which resource
    pub resource: String,
    /// From when on: an instant, or a time from now [default: now]
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub from: Option<Moment>,
    /// How long
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    pub for_: Duration,
    /// What for
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "see ActArgs")]
    pub flags: ActFlags,
}
