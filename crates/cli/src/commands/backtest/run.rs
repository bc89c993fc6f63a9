//! Every model on every series, on as many threads as asked for.
//!
//! A thread takes the next series that nobody has, and evaluates all models on it. What comes out stands
//! in the order of the series, and does not depend on who did what when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use evenkeel_forecast::backtest::{
    Contender, Evaluation, Rolling, Setup, Stopwatch, fixed_split, rolling,
};
use evenkeel_forecast::season::{self, Limits};

use super::input::Input;
use crate::args::Season;

/// The least length of a first history that is not said.
const WARM_UP_MIN: usize = 24;

/// How all series are evaluated.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seasons: Vec<Season>,
    /// `None` is as far as the test data go, where there are.
    pub(super) horizon: Option<usize>,
    pub(super) level: f64,
    pub(super) levels: Vec<f64>,
    pub(super) seed: u64,
    pub(super) warm_up: Option<usize>,
    pub(super) stride: usize,
    pub(super) refit: usize,
    pub(super) jobs: usize,
}

impl Plan {
    /// The length of the first history of a series that rolls.
    fn warm_up(&self, input: &Input) -> usize {
        let quarter = (input.values.len() / 4).max(WARM_UP_MIN);
        self.warm_up.unwrap_or(quarter)
    }

    /// What is known of a series at its first forecast.
    pub(super) fn known<'a>(&self, input: &'a Input) -> &'a [f64] {
        let known = match &input.test {
            Some(_) => input.values.len(),
            None => self.warm_up(input).min(input.values.len()),
        };
        &input.values[..known]
    }

    /// The seasons of a series: as said, or as found in what is known of it.
    pub(super) fn seasons(&self, input: &Input) -> Vec<usize> {
        seasons(&self.seasons, self.known(input), input.step)
    }
}

/// The horizon where neither the command line nor the data say one.
pub(super) const HORIZON: usize = 12;

/// What came of one series: for each model the evaluation, or why there is none.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) seasons: Vec<usize>,
    pub(super) models: Vec<Result<Evaluation, String>>,
}

/// Evaluates all contenders on all series. `progress` is told how many series are done, each time that
/// one more is.
pub(super) fn run(
    contenders: &[Box<dyn Contender>],
    series: &[Input],
    plan: &Plan,
    stopwatch: &(dyn Stopwatch + Sync),
    progress: &mut dyn FnMut(usize),
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Outcome>>> = series.iter().map(|_| Mutex::new(None)).collect();
    let (tell, told) = mpsc::channel();
    let work = |tell: mpsc::Sender<()>| {
        while let Some((input, place)) = {
            let mine = next.fetch_add(1, Ordering::Relaxed);
            series.get(mine).zip(done.get(mine))
        } {
            let outcome = evaluate(contenders, input, plan, stopwatch);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            // Nobody listens any more only if the whole command is being given up.
            let _ = tell.send(());
        }
    };
    thread::scope(|scope| {
        for _ in 0..plan.jobs.clamp(1, series.len().max(1)) {
            let tell = tell.clone();
            scope.spawn(|| work(tell));
        }
        drop(tell);
        for (count, ()) in (1..).zip(told.iter()) {
            progress(count);
        }
    });
    done.into_iter()
        .filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

fn evaluate(
    contenders: &[Box<dyn Contender>],
    input: &Input,
    plan: &Plan,
    stopwatch: &dyn Stopwatch,
) -> Outcome {
    let seasons = plan.seasons(input);
    let data_say = input.test.as_ref().map(Vec::len);
    let setup = Setup {
        seasons: seasons.clone(),
        step: input.step,
        start: input.start,
        horizon: plan.horizon.or(data_say).unwrap_or(HORIZON),
        level: plan.level,
        seed: plan.seed,
    };
    let one = |contender: &dyn Contender| {
        let (values, levels) = (&input.values, &plan.levels);
        let done = match &input.test {
            Some(test) => fixed_split(contender, values, test, &setup, levels, stopwatch),
            None => {
                let rolling_plan = Rolling {
                    warm_up: plan.warm_up(input),
                    stride: plan.stride,
                    refit: plan.refit,
                };
                rolling(contender, values, &setup, rolling_plan, levels, stopwatch)
            }
        };
        done.map_err(|failure| failure.to_string()).and_then(finite)
    };
    Outcome {
        name: input.name.clone(),
        seasons,
        models: contenders.iter().map(|c| one(c.as_ref())).collect(),
    }
}

/// The seasons of a series: as said, without the ones that are none, or as found in what is known of it
/// at the first forecast.
fn seasons(asked: &[Season], known: &[f64], step: Duration) -> Vec<usize> {
    let mut found = Vec::new();
    for season in asked {
        match season {
            Season::Auto => {
                let seasons = season::detect(known, step, &Limits::default());
                found.extend(seasons.iter().map(|season| season.period_steps));
            }
            Season::Steps(1) => {}
            Season::Steps(steps) => found.push(*steps),
        }
    }
    found
}

/// Scores that are no numbers would spoil every mean.
fn finite(evaluation: Evaluation) -> Result<Evaluation, String> {
    let scores = &evaluation.scores;
    let all = [Some(scores.smape), scores.mase, scores.msis, scores.pinball];
    if all.into_iter().flatten().all(f64::is_finite) {
        Ok(evaluation)
    } else {
        Err("its scores are out of range".to_owned())
    }
}

/// The time that the calling thread has computed for. Unlike the time on the wall it does not count
/// what other threads and other programs take.
pub(super) fn thread_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}
