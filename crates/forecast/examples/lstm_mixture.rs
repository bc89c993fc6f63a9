//! Does the network lower the mixture's loss on series that it never saw? The mixture without it, the
//! mixture with it among the committee's candidates, and the network alone, on the same forecasts.
//!
//! ```text
//! cargo run --release -p evenkeel-forecast --example lstm_mixture -- [OPTIONS]
//!   (nothing) | --csv DIR | --m4 TRAIN TEST   the series, split in two as `lstm_global` does
//!   --network FILE   a checkpoint that was saved, here or by `lstm_global`, instead of training one
//!   --own              trains on what is known of the measured series themselves, before their first origins
//!   --save FILE      writes the checkpoint as JSON
//!   --steps N        training steps (default 6000)   --threads N (default 2)   --seed N (default 1)
//!   --limit N        measure on so many series       --horizon N (default 48 for M4, else 24)
//! ```
#![allow(clippy::print_stdout, clippy::cast_precision_loss)] // The numbers are the point; counts are small.
#![allow(clippy::disallowed_methods)] // It reads the files that it is told to.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::time::Timestamp;
use evenkeel_forecast::backtest::{
    Contender, Rolling, Setup, contender, fixed_split, global, rolling,
};
use evenkeel_forecast::lstm::{Checkpoint, Network};
use evenkeel_forecast::metrics::Scores;
use evenkeel_forecast::season;

#[allow(dead_code)] // Shared by two examples, each of which uses a part.
mod lstm_data;
use lstm_data::{Owned, Threads, read_directory, read_m4, synthetic};

/// Forecasts from one fit of the mixture to the next.
const REFIT: usize = 100;

/// Origins on a series that rolls, about.
const ORIGINS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, otherwise: usize| option(name).map_or(Ok(otherwise), |v| v.parse());
    let seed = u64::try_from(number("--seed", 1)?)?;
    let is_m4 = arguments.iter().any(|a| a == "--m4");
    let (train, mut test) = if let Some(directory) = option("--csv") {
        read_directory(Path::new(&directory), None)?
    } else if let Some(at) = arguments.iter().position(|a| a == "--m4") {
        let path = |n: usize| arguments.get(at + n).ok_or("--m4 TRAIN TEST");
        read_m4(path(1)?, path(2)?, 24)?
    } else {
        synthetic(seed)
    };
    test.truncate(number("--limit", usize::MAX)?);
    let is_own = arguments.iter().any(|a| a == "--own");
    let threads = number("--threads", 2)?;
    let network = match option("--network") {
        Some(file) => {
            let stored: Checkpoint = serde_json::from_str(&std::fs::read_to_string(file)?)?;
            stored.network()?
        }
        None => learn(
            option("--save"),
            if is_own { known(&test) } else { train },
            u64::try_from(number("--steps", 6000)?)?,
            seed,
            threads,
        )?,
    };
    let horizon = number("--horizon", if is_m4 { 48 } else { 24 })?;
    measure(&Arc::new(network), &test, horizon, seed, threads);
    Ok(())
}

/// The seasons that the data say, or those found in the first `known` values of a CSV.
fn seasons(owned: &Owned, known: usize) -> Vec<usize> {
    if owned.group != "CSV" {
        return owned
            .context
            .seasons
            .iter()
            .flatten()
            .map(|s| usize::from(*s))
            .collect();
    }
    let step = Duration::from_secs(u64::from(owned.context.step_s));
    let limits = season::Limits::default();
    let found = season::detect(&owned.values[..known], step, &limits);
    found.iter().map(|season| season.period_steps).collect()
}

/// Series cut off at their first origins.
fn known(test: &[Owned]) -> Vec<Owned> {
    let cut = |owned: &Owned| Owned {
        group: owned.group,
        context: owned.context,
        values: owned.values[..first_origin(owned)].to_vec(),
        ..*owned
    };
    test.iter().map(cut).collect()
}

/// How much of a series is known at its first forecast.
fn first_origin(owned: &Owned) -> usize {
    if owned.group == "M4" {
        owned.score_from + 1
    } else {
        owned.values.len() / 4
    }
}

fn learn(
    save: Option<String>,
    train: Vec<Owned>,
    steps: u64,
    seed: u64,
    threads: usize,
) -> Result<Network, Box<dyn Error>> {
    let seasons: Vec<Vec<usize>> = train.iter().map(|o| seasons(o, o.values.len())).collect();
    let known: Vec<global::Known<'_>> = train
        .iter()
        .zip(&seasons)
        .map(|(owned, seasons)| global::Known {
            history: &owned.values,
            seasons,
            step: Duration::from_secs(u64::from(owned.context.step_s)),
            start: Timestamp::from_millis(1000 * owned.context.start_s),
        })
        .collect();
    let trained = global::train(&known, steps, seed, &Threads(threads), &mut |now| {
        if now.steps.is_multiple_of(500) {
            println!("  step {}: validation {:?}", now.steps, now.validation_loss);
        }
    });
    let trained = trained.ok_or("nothing was learned")?;
    if let Some(path) = save {
        std::fs::write(path, serde_json::to_string(&trained)?)?;
    }
    Ok(trained.network()?)
}

/// The scores of each contender on one series; `None` where one of them has none.
fn score(contenders: &[Box<dyn Contender>], owned: &Owned, setup: &Setup) -> Option<Vec<Scores>> {
    let values = &owned.values;
    let no_time = || Duration::ZERO;
    let one = |contender: &dyn Contender| {
        let done = if owned.group == "M4" {
            let (known, rest) = values.split_at(first_origin(owned));
            fixed_split(contender, known, rest, setup, &[], &no_time)
        } else {
            let warm_up = first_origin(owned);
            let stride = (values.len() - warm_up).div_ceil(ORIGINS).max(1);
            // A stride that shares no phase with a season.
            let stride = if stride.is_multiple_of(2) {
                stride + 1
            } else {
                stride
            };
            let plan = Rolling {
                warm_up,
                stride,
                refit: REFIT,
            };
            rolling(contender, values, setup, plan, &[], &no_time)
        };
        done.ok()
            .map(|done| done.scores)
            .filter(|scores| scores.pinball.is_some())
    };
    contenders
        .iter()
        .map(|contender| one(contender.as_ref()))
        .collect()
}

fn measure(network: &Arc<Network>, test: &[Owned], horizon: usize, seed: u64, threads: usize) {
    let mut contenders = vec![contender("mixture").expect("it is in the table")];
    contenders.extend(global::contenders(network));
    let setup = |owned: &Owned| Setup {
        seasons: seasons(
            owned,
            if owned.group == "CSV" {
                first_origin(owned)
            } else {
                0
            },
        ),
        step: Duration::from_secs(u64::from(owned.context.step_s)),
        start: Timestamp::from_millis(1000 * owned.context.start_s),
        horizon,
        level: 0.95,
        seed,
    };
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Vec<Scores>>>> = test.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some((owned, place)) = {
                    let mine = next.fetch_add(1, Ordering::Relaxed);
                    test.get(mine).zip(done.get(mine))
                } {
                    let scores = score(&contenders, owned, &setup(owned));
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = scores;
                }
            });
        }
    });
    let scores: Vec<(&str, Vec<Scores>)> = test
        .iter()
        .zip(done)
        .filter_map(|(owned, place)| {
            let scores = place.into_inner().unwrap_or_else(PoisonError::into_inner)?;
            Some((owned.group, scores))
        })
        .collect();
    let mut groups: Vec<&str> = Vec::new();
    for (group, _) in &scores {
        if !groups.contains(group) {
            groups.push(group);
        }
    }
    println!(
        "group              n  model         pinball   sMAPE    MASE    MSIS  coverage | pinball against the mixture's: mean of ratios (standard error), lower on"
    );
    for group in groups.iter().copied().chain(["ALL"]) {
        let of: Vec<&Vec<Scores>> = scores
            .iter()
            .filter(|(of, _)| *of == group || group == "ALL")
            .map(|(_, scores)| scores)
            .collect();
        for (index, contender) in contenders.iter().enumerate() {
            row(group, contender.name(), index, &of);
        }
    }
}

fn row(group: &str, name: &str, index: usize, of: &[&Vec<Scores>]) {
    let count = of.len() as f64;
    let mean = |score: &dyn Fn(&Scores) -> f64| {
        of.iter().map(|scores| score(&scores[index])).sum::<f64>() / count
    };
    let pinball = |scores: &Scores| scores.pinball.unwrap_or(f64::NAN);
    // Ratios as logarithms, so that twice and half as much cancel out.
    let ratios: Vec<f64> = of
        .iter()
        .map(|scores| (pinball(&scores[index]) / pinball(&scores[0])).ln())
        .filter(|ratio| ratio.is_finite())
        .collect();
    let n = ratios.len() as f64;
    let centre = ratios.iter().sum::<f64>() / n;
    let spread = ratios.iter().map(|r| (r - centre).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let lower = ratios.iter().filter(|ratio| **ratio < 0.0).count();
    println!(
        "{group:16} {:>3}  {name:12} {:8.4} {:7.2} {:7.3} {:7.2}   {:6.3}  | {:+.2} % ({:.2}), {lower} of {}",
        of.len(),
        mean(&pinball),
        mean(&|s| s.smape),
        mean(&|s| s.mase.unwrap_or(f64::NAN)),
        mean(&|s| s.msis.unwrap_or(f64::NAN)),
        mean(&|s| s.coverage),
        100.0 * (centre.exp() - 1.0),
        100.0 * (spread / n).sqrt(),
        ratios.len(),
    );
}
