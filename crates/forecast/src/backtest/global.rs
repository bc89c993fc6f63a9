//! The contenders that share one network, and its training: the network alone, and the mixture with the
//! network among the candidates of its committee.
//!
//! The network is trained once, on what is known of every series at its first origin, and never again: what
//! lies behind the origins is for scoring. It may be trained on other series than those evaluated; then the
//! scores say what it is worth on series that it never saw.
//!
//! A budget in training steps, not in time, so that the same seed gives the same network on any machine.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::forecast::{LEVELS, Quantiles};
use evenkeel_core::time::Timestamp;

use super::contender::{Contender, Session, Setup, StartError};
use super::mixture::MixtureContender;
use crate::conformal::NORMAL;
use crate::lstm::{self, Checkpoint, Config, Executor, LstmModel, Network, Progress, Trainer};
use crate::lstm::{Series, SharedNetwork};
use crate::models::Fitted as _;
use crate::refit::context;

/// The names of [`contenders`], in their order.
pub const NAMES: [&str; 2] = ["mixture-lstm", "lstm"];

/// Training steps that are enough for some hundred series; a minute or less on one core.
pub const STEPS: u64 = 4000;

/// A series with less history than this is not learned from.
const SHORTEST_HISTORY: usize = 64;

/// What a network may learn of one series.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Everything up to the first origin, at equal steps; NaN is a gap.
    pub history: &'a [f64],
    /// As in [`Setup`].
    pub seasons: &'a [usize],
    /// As in [`Setup`].
    pub step: Duration,
    /// As in [`Setup`].
    pub start: Timestamp,
}

/// Trains a network on `known` for at most `steps` training steps; `progress` is told of each. `None` where
/// no history is long enough, or nothing could be learned.
pub fn train(
    known: &[Known<'_>],
    steps: u64,
    seed: u64,
    executor: &dyn Executor,
    progress: &mut dyn FnMut(&Progress),
) -> Option<Checkpoint> {
    let series: Vec<Series<'_>> = known
        .iter()
        .filter(|known| known.history.len() >= SHORTEST_HISTORY)
        .map(|known| Series {
            context: context(known.start, known.seasons, known.step),
            values: known.history,
        })
        .collect();
    let mut trainer = Trainer::new(Config::default(), seed).ok()?;
    trainer.run(&series, executor, |now| {
        progress(now);
        now.steps >= steps
    });
    trainer.best().cloned()
}

/// The contenders that forecast by `network`.
pub fn contenders(network: &Arc<Network>) -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(MixtureContender {
            name: NAMES[0],
            network: SharedNetwork::new(Arc::clone(network)),
        }),
        Box::new(Lstm(Arc::clone(network))),
    ]
}

/// The contender `lstm`.
struct Lstm(Arc<Network>);

impl Contender for Lstm {
    fn name(&self) -> &str {
        NAMES[1]
    }

    fn start(&self, history: &[f64], setup: &Setup) -> Result<Box<dyn Session>, StartError> {
        let context = context(setup.start, &setup.seasons, setup.step);
        let model = LstmModel::fit(Arc::clone(&self.0), context, history);
        let model = model.ok_or(StartError::TooShort { needs: 1, has: 0 })?;
        Ok(Box::new(LstmSession(model)))
    }
}

/// The network's state of one series.
struct LstmSession(LstmModel);

impl Session for LstmSession {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn update(&mut self, observed: Option<f64>) {
        self.0.update(observed);
    }

    fn refit(&mut self, _: &[f64], _: &Setup) -> bool {
        true // The network stays what it is, and the state is never out of date.
    }

    fn forecast(&self, horizon: usize) -> Vec<Quantiles> {
        let steps: Vec<u32> = (1..=u32::try_from(horizon).unwrap_or(u32::MAX)).collect();
        let mut said = vec![[0.0; lstm::LEVELS.len()]; steps.len()];
        self.0.quantiles(&steps, &mut said);
        said.iter().map(at_all_levels).collect()
    }
}

/// The quantiles at [`LEVELS`]: between the network's own and beyond them in proportion to a normal's.
fn at_all_levels(said: &[f64; lstm::LEVELS.len()]) -> Quantiles {
    let own: [f64; lstm::LEVELS.len()] = lstm::LEVELS.map(normal);
    let last = own.len() - 1;
    Quantiles::new(NORMAL.map(|z| {
        let above = own.partition_point(|own| *own < z);
        // The tails go on from the median, in the direction of the outermost quantile.
        let (from, to) = match above {
            0 => (last / 2, 0),
            above if above > last => (last / 2, last),
            above => (above - 1, above),
        };
        said[from] + (said[to] - said[from]) * (z - own[from]) / (own[to] - own[from])
    }))
}

/// The normal quantile at one of [`LEVELS`].
fn normal(level: f64) -> f64 {
    let near = |known: &f64| (known - level).abs() < 1e-6;
    LEVELS.iter().position(near).map_or(0.0, |i| NORMAL[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn a_normal_is_read_as_a_normal_at_all_levels() {
        let said = lstm::LEVELS.map(|level| 3.0 + 2.0 * normal(level));
        let all = at_all_levels(&said);
        for (value, z) in all.values().iter().zip(NORMAL) {
            assert!((value - (3.0 + 2.0 * z)).abs() < 1e-9, "{all:?}");
        }
    }

    #[test]
    #[allow(clippy::cast_precision_loss)] // Steps are few.
    fn training_ends_at_its_budget_and_gives_the_same_network_again() {
        let mut random = Random::new(3);
        let day = |step: usize| (std::f64::consts::TAU * step as f64 / 12.0).sin();
        let series: Vec<f64> = (0..300).map(|i| day(i) + 0.1 * random.normal()).collect();
        let known = Known {
            history: &series[..240],
            seasons: &[12],
            step: Duration::from_secs(300),
            start: Timestamp::from_millis(1_700_000_000_000),
        };
        let run = |seed| {
            let mut steps = 0;
            let trained = train(&[known], 20, seed, &lstm::Sequential, &mut |now| {
                steps = now.steps;
            });
            assert_eq!(steps, 20);
            trained.unwrap()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).digest, run(2).digest);
        let short = Known {
            history: &series[..20],
            ..known
        };
        assert!(train(&[short], 20, 1, &lstm::Sequential, &mut |_| {}).is_none());
    }
}
