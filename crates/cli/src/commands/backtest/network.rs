//! Training the network that `lstm` and `mixture-lstm` share: once, on what is known of each series at its
//! first forecast.

use std::sync::Arc;
use std::thread;

use evenkeel_forecast::backtest::global::{self, Known};
use evenkeel_forecast::lstm::{Executor, Network, Part};

use super::input::Input;
use super::run::Plan;
use crate::error::CliError;

/// Training steps between two words of progress.
const TOLD_EVERY: u64 = 50;

/// So many threads, each with its share of a mini-batch. Their number changes no weight.
struct Threads(usize);

impl Executor for Threads {
    fn each(&self, parts: &mut [Part], work: &(dyn Fn(&mut Part) + Sync)) {
        let share = parts.len().div_ceil(self.0.max(1)).max(1);
        thread::scope(|scope| {
            let mut shares = parts.chunks_mut(share);
            let own = shares.next();
            for share in shares {
                scope.spawn(move || share.iter_mut().for_each(work));
            }
            if let Some(own) = own {
                own.iter_mut().for_each(work);
            }
        });
    }
}

/// A network that has learned from all `series` for at most `steps` training steps.
pub(super) fn train(
    series: &[Input],
    plan: &Plan,
    steps: u64,
    progress: &mut dyn FnMut(&str),
) -> Result<Arc<Network>, CliError> {
    progress("looking for seasons");
    let seasons: Vec<Vec<usize>> = series.iter().map(|input| plan.seasons(input)).collect();
    let known: Vec<Known<'_>> = series
        .iter()
        .zip(&seasons)
        .map(|(input, seasons)| Known {
            history: plan.known(input),
            seasons,
            step: input.step,
            start: input.start,
        })
        .collect();
    let trained = global::train(&known, steps, plan.seed, &Threads(plan.jobs), &mut |now| {
        if now.steps.is_multiple_of(TOLD_EVERY) {
            let loss = now.validation_loss;
            let loss = loss.map_or_else(String::new, |loss| format!(", validation loss {loss:.4}"));
            progress(&format!("training: step {} of {steps}{loss}", now.steps));
        }
    });
    let trained = trained.ok_or_else(|| {
        CliError::Failed("no series is long enough for the network to learn from".to_owned())
    })?;
    let network = trained
        .network()
        .map_err(|error| CliError::Failed(format!("the network cannot be used: {error}")))?;
    Ok(Arc::new(network))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evenkeel_core::time::Timestamp;

    use super::*;
    use crate::args::Season;

    fn plan() -> Plan {
        Plan {
            seasons: vec![Season::Steps(12)],
            horizon: Some(4),
            level: 0.95,
            levels: Vec::new(),
            seed: 1,
            warm_up: Some(100),
            stride: 1,
            refit: 100,
            jobs: 1,
        }
    }

    fn series(later: f64, test: Option<Vec<f64>>) -> Vec<Input> {
        let value = |step: i32| f64::from(step * 37 % 11) + if step < 100 { 0.0 } else { later };
        vec![Input {
            name: "x".to_owned(),
            values: (0..if test.is_some() { 100 } else { 160 })
                .map(value)
                .collect(),
            step: Duration::from_secs(60),
            start: Timestamp::from_millis(0),
            test,
        }]
    }

    #[test]
    fn nothing_behind_the_first_origin_is_learned_from() {
        let trained = |series: &[Input]| {
            let network = train(series, &plan(), 10, &mut |_| {}).unwrap();
            network.fingerprint()
        };
        let known = trained(&series(0.0, None));
        assert_eq!(trained(&series(1e6, None)), known);
        assert_eq!(trained(&series(0.0, Some(vec![-5.0; 60]))), known);
        let mut other = series(0.0, None);
        other[0].values[40] += 1.0;
        assert_ne!(trained(&other), known);
    }

    #[test]
    fn without_a_series_to_learn_from_it_says_so() {
        let mut short = series(0.0, None);
        short[0].values.truncate(30);
        let error = train(&short, &plan(), 10, &mut |_| {}).unwrap_err();
        assert!(
            error.to_string().contains("no series is long enough"),
            "{error}"
        );
    }
}
