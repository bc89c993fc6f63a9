//! The global LSTM as its users see it: it learns, it is the same every time, it stops in time, what is
//! stored comes back or is refused, and no series breaks it.
#![allow(clippy::unwrap_used)] // Helpers of tests may fail the test.

use std::sync::Arc;

use evenkeel_forecast::lstm::{
    Architecture, Checkpoint, CheckpointError, Config, Context, Executor, LEVELS, LstmModel,
    Network, Part, Sequential, Series, Slot, State, Trainer,
};
use evenkeel_forecast::metrics::pinball;
use evenkeel_forecast::models::{Fitted, Moments};
use proptest::prelude::*;

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const HORIZONS: [u32; 3] = [1, 3, 6];
const CONTEXT: Context = Context {
    start_s: 1_700_000_000,
    step_s: 600,
    seasons: [None; 2],
    family: 7,
};
/// Standard normal quantiles at `LEVELS`.
const NORMAL: [f64; 7] = [
    -1.959_964, -1.281_552, -0.674_490, 0.0, 0.674_490, 1.281_552, 1.959_964,
];

fn small() -> Config {
    Config {
        architecture: Architecture {
            hidden: 8,
            horizons: HORIZONS.to_vec(),
        },
        sequence: 16,
        batch: 16,
        stride: 4,
        stretches_max: 8,
        learning_rate: 2e-2,
        validation_series: 16,
        evaluate_every: 20,
        patience: 2,
        ..Config::default()
    }
}

fn series(values: &[Vec<f64>]) -> Vec<Series<'_>> {
    values
        .iter()
        .map(|values| Series {
            context: CONTEXT,
            values,
        })
        .collect()
}

fn train(values: &[Vec<f64>], steps: u64, seed: u64) -> Checkpoint {
    let mut trainer = Trainer::new(small(), seed).unwrap();
    trainer.run(&series(values), &Sequential, |progress| {
        progress.steps >= steps
    });
    trainer.best().unwrap().clone()
}

/// Not trained in earnest, but whole.
fn network(seed: u64) -> Arc<Network> {
    let values = vec![(0..60_u32).map(|t| f64::from(t * 7 % 13)).collect()];
    Arc::new(train(&values, 2, seed).network().unwrap())
}

fn quantiles(network: &Network, state: &State) -> [[f64; 7]; 3] {
    let mut out = [[f64::NAN; 7]; 3];
    assert!(network.quantiles(state, &HORIZONS, &mut out));
    out
}

/// Mean pinball loss of the network and of a Gaussian round the last value (its deviation at each horizon
/// that of the series itself) over the later half of a series.
fn compare(network: &Network, values: &[f64]) -> (f64, f64) {
    let deviations = HORIZONS.map(|h| {
        let h = usize::try_from(h).unwrap();
        let squares = values.windows(h + 1).map(|w| (w[h] - w[0]).powi(2));
        #[allow(clippy::cast_precision_loss)] // Some hundreds.
        let count = (values.len() - h) as f64;
        (squares.sum::<f64>() / count).sqrt()
    });
    let mut state = network.state(CONTEXT);
    let (mut ours, mut naive) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        network.update(&mut state, Some(*value));
        if at < values.len() / 2 || at + 6 >= values.len() {
            continue;
        }
        let said = quantiles(network, &state);
        for (n, horizon) in HORIZONS.iter().enumerate() {
            let actual = values[at + usize::try_from(*horizon).unwrap()];
            for (q, level) in LEVELS.iter().enumerate() {
                ours += pinball(*level, said[n][q], actual);
                naive += pinball(*level, value + NORMAL[q] * deviations[n], actual);
            }
        }
    }
    (ours, naive)
}

fn sine(count: u32, period: f64, phase: f64) -> Vec<f64> {
    (0..count)
        .map(|t| 50.0 + 10.0 * (f64::from(t) / period * std::f64::consts::TAU + phase).sin())
        .collect()
}

fn autoregression(count: u32, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut level = 0.0;
    (0..count)
        .map(|_| {
            level = 0.5 * level + random.normal();
            1000.0 + 3.0 * level
        })
        .collect()
}

#[test]
fn learns_a_sine_and_forecasts_one_it_never_saw() {
    let values: Vec<_> = (0..8_u32)
        .map(|n| sine(150, 10.0 + 0.3 * f64::from(n), f64::from(n)))
        .collect();
    let network = train(&values, 120, 1).network().unwrap();
    let (ours, naive) = compare(&network, &sine(150, 11.0, 0.4));
    assert!(ours < 0.3 * naive, "{ours} against {naive}");
}

#[test]
fn learns_that_an_autoregression_returns_to_its_mean() {
    let values: Vec<_> = (0..8).map(|n| autoregression(200, n)).collect();
    let network = train(&values, 120, 1).network().unwrap();
    let (ours, naive) = compare(&network, &autoregression(400, 99));
    assert!(ours < 0.9 * naive, "{ours} against {naive}");
}

/// Last part first, each on a thread of its own.
struct Backwards;

impl Executor for Backwards {
    fn each(&self, parts: &mut [Part], work: &(dyn Fn(&mut Part) + Sync)) {
        std::thread::scope(|scope| {
            for part in parts.iter_mut().rev() {
                scope.spawn(move || work(part));
            }
        });
    }
}

#[test]
fn same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let values: Vec<_> = (0..4).map(|n| autoregression(80, n)).collect();
    let run = |executor: &dyn Executor, seed| {
        let mut trainer = Trainer::new(
            Config {
                batch: 32,
                ..small()
            },
            seed,
        )
        .unwrap();
        trainer.run(&series(&values), executor, |progress| progress.steps >= 6);
        trainer.best().unwrap().clone()
    };
    let first = run(&Sequential, 5);
    assert_eq!(first, run(&Sequential, 5));
    assert_eq!(first, run(&Backwards, 5));
    assert_ne!(first.digest, run(&Sequential, 6).digest);
}

#[test]
fn training_never_sees_the_later_range() {
    let values: Vec<_> = (0..3).map(|n| autoregression(100, n)).collect();
    let mut other = values.clone();
    for values in &mut other {
        values[80..].fill(-1e12);
    }
    let losses = |values: &[Vec<f64>]| {
        let mut trainer = Trainer::new(small(), 2).unwrap();
        let data = series(values);
        (0..8)
            .map(|_| {
                trainer
                    .train_step(&data, &Sequential)
                    .training_loss
                    .unwrap()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(losses(&values), losses(&other));
}

#[test]
fn training_ends_by_itself_with_the_best_weights_it_had() {
    let values: Vec<_> = (0..2).map(|n| autoregression(60, n)).collect();
    let config = Config {
        evaluate_every: 2,
        patience: 1,
        learning_rate: 0.1,
        ..small()
    };
    let mut trainer = Trainer::new(config, 3).unwrap();
    let (mut least, mut at) = (f64::INFINITY, 0);
    let progress = trainer.run(&series(&values), &Sequential, |progress| {
        if progress.validation_loss.is_some_and(|loss| loss < least) {
            (least, at) = (progress.validation_loss.unwrap(), progress.steps);
        }
        progress.steps >= 500
    });
    assert!(progress.is_finished && progress.steps < 500, "{progress:?}");
    let best = trainer.best().unwrap();
    assert_eq!(
        (progress.best_loss, best.trained_on.steps),
        (Some(least), at)
    );
    assert!(at < progress.steps);
    // Once finished, a step changes nothing.
    assert_eq!(trainer.train_step(&series(&values), &Sequential), progress);
}

#[test]
fn training_bears_short_series_gaps_and_nothing_at_all() {
    let holes = (0..60_u32)
        .map(|t| if t % 3 == 0 { f64::NAN } else { f64::from(t) })
        .collect();
    let values = vec![
        vec![],
        vec![1.0],
        vec![f64::NAN; 40],
        vec![3.0; 50],
        holes,
        vec![1e300, -1e300, f64::INFINITY],
    ];
    let checkpoint = train(&values, 6, 1);
    assert!(checkpoint.network().is_ok());
    let mut trainer = Trainer::new(small(), 1).unwrap();
    assert_eq!(trainer.run(&[], &Sequential, |_| false).steps, 0);
    assert!(trainer.best().is_none());
    let progress = trainer.run(&series(&[vec![2.0]]), &Sequential, |progress| {
        progress.steps >= 3
    });
    assert_eq!(
        (progress.training_loss, progress.validation_loss),
        (None, None)
    );
}

#[test]
fn training_goes_on_from_a_checkpoint() {
    let values = vec![autoregression(100, 1)];
    let first = train(&values, 20, 1);
    let mut trainer = Trainer::resume(small(), 2, &first).unwrap();
    trainer.run(&series(&values), &Sequential, |progress| {
        progress.steps >= 2
    });
    let best = trainer.best().unwrap();
    assert!(best.validation_loss < first.validation_loss * 1.1);
    assert_ne!(best.digest, first.digest);
}

#[test]
fn checkpoint_comes_back_whole_or_is_refused() {
    let checkpoint = train(&[autoregression(60, 1)], 2, 1);
    let text = serde_json::to_string(&checkpoint).unwrap();
    let again: Checkpoint = serde_json::from_str(&text).unwrap();
    assert_eq!(again, checkpoint);
    assert_eq!(again.network().unwrap(), checkpoint.network().unwrap());
    for end in [0, 1, text.len() / 2, text.len() - 1] {
        assert!(serde_json::from_str::<Checkpoint>(&text[..end]).is_err());
    }
    let refused = |change: fn(&mut Checkpoint)| {
        let mut changed = checkpoint.clone();
        change(&mut changed);
        changed.network().unwrap_err()
    };
    assert_eq!(
        refused(|c| c.version = 9),
        CheckpointError::Version { found: 9 }
    );
    assert_eq!(refused(|c| c.weights[3] += 1e-3), CheckpointError::Digest);
    assert_eq!(
        refused(|c| c.weights[3] = f32::NAN),
        CheckpointError::Weight { index: 3 }
    );
    assert_eq!(
        refused(|c| c.architecture.horizons[2] = 7),
        CheckpointError::Digest
    );
    assert!(matches!(
        refused(|c| c.weights.truncate(9)),
        CheckpointError::Shape { found: 9, .. }
    ));
    assert!(matches!(
        refused(|c| c.architecture.hidden = 12),
        CheckpointError::Architecture(_)
    ));
    assert!(matches!(
        refused(|c| c.architecture.hidden = usize::MAX & !7),
        CheckpointError::Architecture(_)
    ));
    assert!(matches!(
        refused(|c| c.architecture.horizons.clear()),
        CheckpointError::Architecture(_)
    ));
}

#[test]
fn state_goes_on_after_storage_with_its_network_and_not_without() {
    let network = network(1);
    let mut model = LstmModel::fit(Arc::clone(&network), CONTEXT, &autoregression(30, 4)).unwrap();
    let text = serde_json::to_string(&Slot::Ready(model.clone())).unwrap();
    assert!(text.len() < 2000, "the weights are not in it");
    let mut slot: Slot = serde_json::from_str(&text).unwrap();
    assert!(slot.model().is_none());
    slot.attach(&network);
    let again = slot.model_mut().unwrap();
    for value in [Some(1001.0), None, Some(998.0)] {
        model.update(value);
        again.update(value);
    }
    assert_eq!(
        quantiles(&network, again.state()),
        quantiles(&network, model.state())
    );
    assert_eq!(again.describe(), "LSTM(8)");
}

#[test]
fn state_of_another_network_keeps_its_scale_and_loses_its_memory() {
    let (old, new) = (network(1), network(2));
    let history = autoregression(50, 4);
    let mut state = LstmModel::fit(old, CONTEXT, &history)
        .unwrap()
        .state()
        .clone();
    assert!(
        !new.quantiles(&state, &HORIZONS, &mut [[0.0; 7]; 3]),
        "it is not its own"
    );
    assert!(!new.adopt(&mut state));
    assert!(new.adopt(&mut state));
    let said = quantiles(&new, &state);
    let last = history[49];
    assert!(
        said[0][0] < last && last < said[0][6] && said[0][6] - said[0][0] < 60.0,
        "{said:?}"
    );
}

#[test]
fn damaged_state_starts_anew() {
    let network = network(1);
    let state = LstmModel::fit(Arc::clone(&network), CONTEXT, &[1.0, 2.0, 5.0])
        .unwrap()
        .state()
        .clone();
    let text = serde_json::to_string(&state).unwrap();
    for (from, to) in [
        ("\"last\":5.0", "\"last\":1e300"),
        ("\"filled\":[]", "\"filled\":[1]"),
        ("\"seen\":3", "\"seen\":9"),
    ] {
        assert!(text.contains(from), "{text}");
        let damaged: State = serde_json::from_str(&text.replace(from, to)).unwrap();
        assert!(LstmModel::resume(Arc::clone(&network), damaged).is_none());
    }
    let damaged: State =
        serde_json::from_str(&text.replace("\"hidden\":[", "\"hidden\":[0.5,")).unwrap();
    assert!(
        LstmModel::resume(network, damaged).is_some(),
        "its scale is still good"
    );
}

#[test]
fn many_at_once_give_the_bits_of_one_by_one() {
    let network = network(3);
    let mut many: Vec<State> = (0..37).map(|_| network.state(CONTEXT)).collect();
    let mut single = many.clone();
    let mut random = Random::new(8);
    for _ in 0..4 {
        let values: Vec<f64> = (0..37)
            .map(|n| if n == 5 { f64::NAN } else { random.normal() })
            .collect();
        network.update_many(&mut many, &values);
        for (state, value) in single.iter_mut().zip(&values) {
            network.update(state, Some(*value));
        }
    }
    assert_eq!(many, single);
}

#[test]
fn new_series_is_served_at_once_and_widely() {
    let network = network(1);
    assert!(LstmModel::fit(Arc::clone(&network), CONTEXT, &[]).is_none());
    assert!(LstmModel::fit(Arc::clone(&network), CONTEXT, &[f64::NAN]).is_none());
    let model = LstmModel::fit(network, CONTEXT, &[40.0]).unwrap();
    let mut said = [Moments::default(); 30];
    let steps: Vec<u32> = (1..=30).map(|s| s * s).collect();
    model.predict(&steps, &mut said);
    for moments in said {
        assert!(
            moments.mean.is_finite() && moments.variance.sqrt() > 4.0 && moments.variance < 1e8
        );
    }
    assert!(
        said[29].variance > said[2].variance,
        "beyond the last anchor it grows less sure"
    );
}

#[test]
fn season_is_followed_between_the_anchors_too() {
    let season = 8_u32;
    let context = Context {
        seasons: [None, Some(8)],
        ..CONTEXT
    };
    let shape = [0.0, 5.0, 1.0, 9.0, 2.0, 7.0, 3.0, 4.0];
    let wave = |count: usize, size: f64| -> Vec<f64> {
        shape.iter().map(|v| size * v).cycle().take(count).collect()
    };
    let values: Vec<Vec<f64>> = (1..=4_u8).map(|n| wave(120, f64::from(n))).collect();
    let data: Vec<_> = values
        .iter()
        .map(|values| Series { context, values })
        .collect();
    let mut trainer = Trainer::new(small(), 1).unwrap();
    trainer.run(&data, &Sequential, |progress| progress.steps >= 80);
    let network = Arc::new(trainer.best().unwrap().network().unwrap());
    let model = LstmModel::fit(network, context, &wave(80, 10.0)).unwrap();
    let mut said = [Moments::default(); 8];
    let steps: Vec<u32> = (1..=season).collect();
    model.predict(&steps, &mut said);
    for (moments, due) in said.iter().zip(shape) {
        assert!((moments.mean - 10.0 * due).abs() < 15.0, "{said:?}");
    }
}

/// Values that have broken forecasters before.
fn awkward() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1e15),
        Just(-1e300),
        Just(5e-324),
        Just(f64::NAN),
        Just(f64::INFINITY),
        (0_u32..50).prop_map(|n| 1e15 + f64::from(n)),
        -1e3..1e3_f64,
        prop::num::f64::ANY,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_series_breaks_it(values in prop::collection::vec(awkward(), 1..60), season in prop::option::of(0_u16..12)) {
        let network = network(1);
        let context = Context { seasons: [season, Some(5)], start_s: i64::MIN, step_s: u32::MAX, family: 3 };
        let mut state = network.state(context);
        for value in &values {
            network.update(&mut state, Some(*value));
            let mut out = [[0.0; 7]; 4];
            if network.quantiles(&state, &[1, 2, 50, u32::MAX], &mut out) {
                for quantiles in out {
                    prop_assert!(quantiles.iter().all(|q| q.is_finite()) && quantiles.is_sorted(), "{:?}", quantiles);
                }
            }
        }
        let text = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state.clone());
        prop_assert!(network.adopt(&mut state), "what it made itself is sound");
        if let Some(model) = LstmModel::fit(network, context, &values) {
            let mut said = [Moments::default(); 2];
            model.predict(&[1, 1000], &mut said);
            prop_assert!(said.iter().all(|m| m.mean.is_finite() && m.variance.is_finite() && m.variance > 0.0));
        }
    }

    #[test]
    fn forecasts_follow_shift_and_scale(
        values in prop::collection::vec(-100.0..100.0_f64, 2..40),
        shift in -1e4..1e4_f64,
        scale in 0.01..100.0_f64,
    ) {
        prop_assume!(values.windows(2).any(|w| (w[0] - w[1]).abs() > 1.0));
        let network = network(1);
        let moved: Vec<f64> = values.iter().map(|v| shift + scale * v).collect();
        let run = |values: &[f64]| {
            // The first value alone has no scale but itself.
            let mut state = network.state(CONTEXT);
            values.iter().for_each(|v| network.update(&mut state, Some(*v)));
            quantiles(&network, &state)
        };
        let (one, two) = (run(&values), run(&moved));
        let width = (one[2][6] - one[2][0]).max(1.0);
        for (a, b) in one.iter().flatten().zip(two.iter().flatten()) {
            prop_assert!(((b - shift) / scale - a).abs() < 1e-2 * width, "{a} {b}");
        }
    }
}
