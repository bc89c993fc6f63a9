//! `backtest`: how well each model would have forecast series that are known by now.
//!
//! This is the edge of `evenkeel_forecast::backtest`: it reads series, hands them to threads with a
//! clock, and renders the scores.

mod input;
mod network;
mod plot;
mod report;
mod run;
mod stored;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use evenkeel_forecast::backtest::{Contender, contender, contenders, global};

use self::input::{Input, Read, Skipped};
use self::report::{Document, RollingSettings, Settings};
use self::run::{HORIZON, Outcome, Plan};
use crate::args::{BacktestArgs, Season};
use crate::error::CliError;
use crate::render::svg::file_name;
use crate::series::{bytes, file_stem};
use crate::session::Session;

/// The step of M4 files where it is not said: the hourly ones are those with seasons.
const M4_STEP: Duration = Duration::from_secs(3600);

/// Columns of the bar of progress.
const BAR: usize = 30;

pub(super) async fn backtest(
    session: &mut Session<'_>,
    args: &BacktestArgs,
) -> Result<(), CliError> {
    let plan = plan(args)?;
    let mut read = read(session, args).await?;
    select(&mut read, args)?;
    let contenders = asked_contenders(session, args, &plan, &read.series)?;
    let names: Vec<String> = contenders.iter().map(|c| c.name().to_owned()).collect();
    let outcomes = {
        let total = read.series.len();
        let (err, shown) = (&mut session.err, session.screen.can_ask);
        let mut progress = |done: usize| {
            if shown {
                // Progress is a kindness: if it cannot be shown, the answer still can.
                let _ = write!(err, "{}", bar(done, total)).and_then(|()| err.flush());
            }
        };
        progress(0);
        let outcomes = run::run(
            &contenders,
            &read.series,
            &plan,
            &run::thread_time,
            &mut progress,
        );
        if shown {
            let _ = write!(err, "\r\x1b[K");
        }
        outcomes
    };
    if let Some(directory) = &args.plot {
        write_plots(directory, &names, &read.series, &outcomes, plan.level)?;
    }
    let rolled = args.m4.is_none();
    let document = Document {
        models: report::models(&names, &outcomes, rolled),
        settings: settings(args, &plan),
        series: outcomes.len(),
        skipped: read.skipped,
        each: args.each.then(|| report::each(&names, &outcomes)),
    };
    if args.json {
        session.json(&document)?;
    } else {
        let page = report::page(&document, session.screen.style);
        session.text(&page)?;
    }
    let any_score = outcomes.iter().any(|o| o.models.iter().any(Result::is_ok));
    match first_failure(&outcomes) {
        Some(why) if !any_score => Err(CliError::Failed(format!(
            "no model could be evaluated on any series: {why}"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn first_failure(outcomes: &[Outcome]) -> Option<String> {
    outcomes.iter().find_map(|outcome| {
        let why = outcome.models.iter().find_map(|model| model.as_ref().err());
        Some(format!("{}: {}", outcome.name, why?))
    })
}

/// The options as numbers of steps. They are checked as they are typed, so that none is out of range.
fn plan(args: &BacktestArgs) -> Result<Plan, CliError> {
    let steps = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if args.season.len() > 1 && args.season.contains(&Season::Auto) {
        return Err(CliError::Usage(
            "--season auto stands alone: it finds all seasons that there are".to_owned(),
        ));
    }
    Ok(Plan {
        seasons: args.season.clone(),
        horizon: args.horizon.map(steps),
        level: args.level,
        levels: args.levels.clone(),
        seed: args.seed,
        warm_up: args.warm_up.map(steps),
        stride: steps(args.stride),
        refit: steps(args.refit),
        jobs: usize::from(args.jobs),
    })
}

fn settings(args: &BacktestArgs, plan: &Plan) -> Settings {
    let season = |season: &Season| match season {
        Season::Auto => "auto".to_owned(),
        Season::Steps(steps) => steps.to_string(),
    };
    let rolling = args.m4.is_none().then_some(RollingSettings {
        warm_up: plan.warm_up,
        stride: plan.stride,
        refit: plan.refit,
    });
    Settings {
        mode: if rolling.is_some() {
            "rolling"
        } else {
            "fixed-split"
        },
        season: plan.seasons.iter().map(season).collect(),
        horizon: plan.horizon.or(rolling.is_some().then_some(HORIZON)),
        level: plan.level,
        seed: plan.seed,
        jobs: plan.jobs,
        rolling,
    }
}

async fn read(session: &Session<'_>, args: &BacktestArgs) -> Result<Read, CliError> {
    let mut read = Read::default();
    if let Some([train, test]) = args.m4.as_deref() {
        let (train_bytes, test_bytes) = (bytes(train)?, bytes(test)?);
        let step = args.step.unwrap_or(M4_STEP);
        input::m4((train, &train_bytes), (test, &test_bytes), step, &mut read)
            .map_err(|error| CliError::Failed(error.to_string()))?;
    }
    for file in &args.csv {
        let name = file_stem(file, &args.csv);
        input::csv(file, &bytes(file)?, &name, &mut read)
            .map_err(|error| CliError::Failed(error.to_string()))?;
    }
    if let Some(resource) = &args.resource {
        stored::stored(session, resource, args, &mut read).await?;
    }
    Ok(read)
}

/// Keeps the series that were asked for.
fn select(read: &mut Read, args: &BacktestArgs) -> Result<(), CliError> {
    for id in &args.series {
        let is_there = read.series.iter().any(|input| input.name == *id);
        let skipped = read.skipped.iter().find(|s| s.series == *id);
        match skipped {
            Some(Skipped { series, why }) if !is_there => {
                return Err(CliError::Failed(format!("series {series} {why}")));
            }
            None if !is_there => {
                let first: Vec<&str> = read.series.iter().map(|s| s.name.as_str()).collect();
                let first = first.get(..3).unwrap_or(&first).join(", ");
                return Err(CliError::Usage(format!(
                    "--series {id}: there is no such series; the first ones are {first}"
                )));
            }
            Some(_) | None => {}
        }
    }
    if !args.series.is_empty() {
        let asked = |name: &String| args.series.contains(name);
        read.series.retain(|input| asked(&input.name));
        read.skipped.retain(|skipped| asked(&skipped.series));
    }
    if let Some(limit) = args.limit {
        read.series
            .truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    if read.series.is_empty() {
        let why = read.skipped.first().map_or_else(String::new, |s| {
            format!(": for instance, {} {}", s.series, s.why)
        });
        return Err(CliError::Failed(format!("no series to evaluate{why}")));
    }
    Ok(())
}

/// The contenders named, in the order of the table; all that need no training where none is.
fn asked_contenders(
    session: &mut Session<'_>,
    args: &BacktestArgs,
    plan: &Plan,
    series: &[Input],
) -> Result<Vec<Box<dyn Contender>>, CliError> {
    if args.models.is_empty() {
        return Ok(contenders());
    }
    let is_global = |name: &String| global::NAMES.contains(&name.as_str());
    let mut trained = Vec::new();
    if args.models.iter().any(is_global) {
        let (err, shown) = (&mut session.err, session.screen.can_ask);
        let mut progress = |line: &str| {
            if shown {
                let _ = write!(err, "\r\x1b[K{line}").and_then(|()| err.flush());
            }
        };
        let network = network::train(series, plan, args.train_steps, &mut progress)?;
        progress("");
        trained = global::contenders(&network);
    }
    let find = |name: &String| {
        let place = trained.iter().position(|c| c.name() == name.as_str());
        let found = place.map(|place| trained.swap_remove(place));
        found.or_else(|| contender(name)).ok_or_else(|| {
            CliError::Usage(format!("there is no model {name}, or it is named twice"))
        })
    };
    args.models.iter().map(find).collect()
}

fn bar(done: usize, total: usize) -> String {
    let full = BAR * done / total.max(1);
    let (done_part, rest) = ("#".repeat(full), ".".repeat(BAR.saturating_sub(full)));
    format!("\r[{done_part}{rest}] {done} of {total} series")
}

fn write_plots(
    directory: &Path,
    names: &[String],
    series: &[Input],
    outcomes: &[Outcome],
    level: f64,
) -> Result<(), CliError> {
    let failed = |path: &Path, error: std::io::Error| {
        CliError::Failed(format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for ((input, outcome), number) in series.iter().zip(outcomes).zip(1..) {
        let done = names.iter().zip(&outcome.models);
        let models: Vec<_> = done
            .filter_map(|(name, model)| Some((name.as_str(), model.as_ref().ok()?)))
            .collect();
        // Every model has the same origins.
        let Some((_, first)) = models.first() else {
            continue;
        };
        let test = input.test.as_deref().unwrap_or_default();
        let scene = plot::Scene {
            title: &input.name,
            values: &[input.values.as_slice(), test].concat(),
            origin: first.last_origin,
            level,
            models: models
                .iter()
                .map(|(name, e)| (*name, e.last_forecast.as_slice()))
                .collect(),
        };
        let path = directory.join(file_name(number, &input.name));
        fs::write(&path, plot::svg(&scene)).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
