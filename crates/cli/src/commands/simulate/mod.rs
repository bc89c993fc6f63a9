//! `simulate`: what would have been decided, and how often that was wrong.
//!
//! This is the edge of `evenkeel_core::replay`: it reads what happened, replays it on threads under the
//! clock of what is read, and renders the decisions. It changes nothing anywhere.

mod csv;
mod plot;
mod record;
mod report;
mod run;
mod score;
mod source;
mod stored;

use std::io::Write as _;
use std::thread;

use evenkeel_core::policy::{Policy, RiskTolerance};

use self::report::{Answer, Document, Row, Settings};
use self::run::{Outcome, Running, Variant};
use self::source::{Origin, Subject};
use crate::args::SimulateArgs;
use crate::error::CliError;
use crate::session::Session;

/// Columns of the bar of progress.
const BAR: u64 = 30;

pub(super) async fn simulate(
    session: &mut Session<'_>,
    args: &SimulateArgs,
) -> Result<(), CliError> {
    let (source, subjects) = read(session, args).await?;
    let variants = variants(&subjects, args)?;
    let outcome = replay(session, &subjects, &variants, args)?;
    if let (Some(directory), Some(ran)) = (&args.plot, outcome.runs.first()) {
        plot::write(directory, &subjects, ran, &outcome.harms)?;
    }
    let document = document(source, &subjects, &variants, &outcome, args);
    if args.json {
        session.json(&document)
    } else {
        let page = report::page(&document, args.all, session.screen.style);
        session.text(&page)
    }
}

async fn read(
    session: &Session<'_>,
    args: &SimulateArgs,
) -> Result<(Origin, Vec<Subject>), CliError> {
    match (&args.scenario, &args.resource) {
        (Some(file), _) => source::scenario(file, args.seed),
        (None, Some(resource)) => stored::stored(session, resource, args).await,
        (None, None) => csv::csv(args),
    }
}

/// The policies to replay by: one run, or one for each risk tolerance of a what-if.
fn variants(subjects: &[Subject], args: &SimulateArgs) -> Result<Vec<Variant>, CliError> {
    let one = |risk: Option<RiskTolerance>| -> Result<Variant, CliError> {
        (subjects.iter())
            .map(|subject| overridden(&subject.policy, risk, args))
            .collect()
    };
    if args.what_if.is_empty() {
        return Ok(vec![one(args.risk_tolerance)?]);
    }
    args.what_if.iter().map(|risk| one(Some(*risk))).collect()
}

/// The policy with what the command line says otherwise.
fn overridden(
    policy: &Policy,
    risk: Option<RiskTolerance>,
    args: &SimulateArgs,
) -> Result<Policy, CliError> {
    let mut policy = policy.clone();
    policy.risk_tolerance = risk.unwrap_or(policy.risk_tolerance);
    policy.min_confidence = args.min_confidence.unwrap_or(policy.min_confidence);
    policy.when = args.when.unwrap_or(policy.when);
    policy.act_on = args.act_on.unwrap_or(policy.act_on);
    if let Some(sustain) = args.sustain {
        (policy.sustain_k, policy.sustain_n) = (sustain.k, sustain.n);
    }
    if let Some(horizon) = args.horizon {
        if horizon < policy.sample_every {
            return Err(CliError::Usage(format!(
                "--horizon is shorter than the time between two probes, {}: write one that is several of \
                 them long",
                evenkeel_core::Brief(policy.sample_every)
            )));
        }
        policy.horizon = horizon;
    }
    Ok(policy)
}

fn replay(
    session: &mut Session<'_>,
    subjects: &[Subject],
    variants: &[Variant],
    args: &SimulateArgs,
) -> Result<Outcome, CliError> {
    let jobs = args.jobs.map_or_else(
        || thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    let running = Running {
        jobs,
        tracked: args.plot.is_some(),
    };
    let runs = u64::try_from(variants.len()).unwrap_or(u64::MAX);
    let total = subjects.iter().map(Subject::length).sum::<u64>() * runs;
    let (err, shown) = (&mut session.err, session.screen.can_ask);
    let mut last = String::new();
    let mut progress = |done: u64| {
        let now = bar(done, total);
        if shown && now != last {
            // Progress is a kindness: if it cannot be shown, the answer still can.
            let _ = write!(err, "{now}").and_then(|()| err.flush());
            last = now;
        }
    };
    progress(0);
    let outcome = run::run(subjects, variants, running, &mut progress);
    if shown {
        let _ = write!(session.err, "\r\x1b[K");
    }
    outcome
}

fn bar(done: u64, total: u64) -> String {
    let done = done.min(total);
    let full = BAR * done / total.max(1);
    let bar: String = (0..BAR).map(|i| if i < full { '#' } else { '.' }).collect();
    format!("\r[{bar}] {} %", 100 * done / total.max(1))
}

fn document(
    source: Origin,
    subjects: &[Subject],
    variants: &[Variant],
    outcome: &Outcome,
    args: &SimulateArgs,
) -> Document {
    let all_known = source.tells_the_truth();
    let policy = variants.first().and_then(|variant| variant.first());
    let risk = args.what_if.is_empty().then_some(policy).flatten();
    let settings = Settings::of(
        policy.unwrap_or(&Policy::default()),
        risk.map(|policy| policy.risk_tolerance.get()),
    );
    let mut scored = (variants.iter().zip(&outcome.runs)).map(|(variant, ran)| {
        let (summary, harms) = score::score(subjects, variant, &outcome.harms, ran, all_known);
        (ran, summary, harms)
    });
    let answer = if args.what_if.is_empty() {
        let (ran, summary, harms) = scored.next().expect("one policy, so one run");
        Answer::One {
            summary,
            harms,
            decisions: report::told(subjects, ran),
        }
    } else {
        let row = |((_, summary, harms), risk): ((_, _, _), &RiskTolerance)| Row {
            risk_tolerance: risk.get(),
            summary,
            harms,
        };
        Answer::WhatIf {
            what_if: scored.zip(&args.what_if).map(row).collect(),
        }
    };
    let span = outcome.runs.first().and_then(|ran| ran.span);
    Document {
        source,
        resources: subjects.iter().map(|s| s.id.to_string()).collect(),
        from: span.map(|(from, _)| from.to_string()),
        until: span.map(|(_, until)| until.to_string()),
        settings,
        answer,
    }
}
