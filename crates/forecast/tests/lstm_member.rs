//! The network of all series as a member of the mixture: it is elected, stored, woken, and done without.

#![allow(clippy::unwrap_used)] // In a test program a panic is the report.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::forecast::{Forecaster, ForecasterFactory, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::backtest::{Setup, contender, fixed_split, global};
use evenkeel_forecast::lstm::{
    Architecture, Config, Context, Network, Sequential, Series, SharedNetwork, Trainer,
};
use evenkeel_forecast::{Mixture, MixtureFactory};

#[allow(dead_code)] // Shared by several test programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const MINUTE: Duration = Duration::from_secs(60);

fn grid() -> HorizonGrid {
    HorizonGrid::new(MINUTE, MINUTE * 24)
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + minute * 60_000)
}

/// Bursts that decay: no model of the pool, and no autoregression, knows that they do.
fn bursts(count: usize, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut burst = 0.0;
    (0..count)
        .map(|_| {
            if random.uniform() < 0.04 {
                burst = 10.0 + 20.0 * random.uniform();
            }
            burst *= 0.7;
            burst + 0.2 * random.normal()
        })
        .collect()
}

/// A small network that has seen a little of such series.
fn network(seed: u64) -> Arc<Network> {
    let all: Vec<Vec<f64>> = (0..8).map(|n| bursts(400, 100 + n)).collect();
    let context = Context {
        start_s: 0,
        step_s: 60,
        seasons: [None; 2],
        family: 0,
    };
    let series: Vec<Series<'_>> = all
        .iter()
        .map(|values| Series { context, values })
        .collect();
    let config = Config {
        architecture: Architecture {
            hidden: 8,
            horizons: vec![1, 4, 24],
        },
        batch: 16,
        learning_rate: 1e-2,
        ..Config::default()
    };
    let mut trainer = Trainer::new(config, seed).unwrap();
    trainer.run(&series, &Sequential, |progress| progress.steps >= 60);
    Arc::new(trainer.best().unwrap().network().unwrap())
}

/// A mixture of `factory` that saw `values` minute by minute, fitted to them.
fn fitted(factory: &MixtureFactory, values: &[f64]) -> Box<dyn Forecaster> {
    let history: Vec<(Timestamp, f64)> = (0..).map(at).zip(values.iter().copied()).collect();
    let mut forecaster = factory.forecaster(&grid(), 0);
    for (at, value) in &history {
        forecaster.observe(*at, *value);
    }
    forecaster.refit(&history);
    forecaster
}

fn factory(network: &Arc<Network>) -> MixtureFactory {
    MixtureFactory {
        network: SharedNetwork::new(Arc::clone(network)),
    }
}

/// The network's share in what a forecaster says; checks that all shares sum to 1.
fn share(forecaster: &dyn Forecaster) -> f64 {
    let weights = forecaster.weights();
    let total: f64 = weights.iter().map(|w| w.weight).sum();
    assert!((total - 1.0).abs() < 1e-5, "{weights:?}");
    let networks = weights.iter().filter(|w| w.model.starts_with("LSTM"));
    networks.map(|w| w.weight).sum()
}

fn is_finite(forecaster: &dyn Forecaster) -> bool {
    let forecast = forecaster.forecast().unwrap();
    let mut values = forecast.quantiles.iter().flat_map(|q| q.values());
    values.all(|value| value.is_finite())
}

#[test]
fn a_network_is_seated_where_it_does_well_and_only_where_there_is_one() {
    let network = network(1);
    let values = bursts(600, 1);
    let with = fitted(&factory(&network), &values);
    assert!(share(with.as_ref()) > 0.01, "{:?}", with.weights());
    assert!(with.weights().iter().any(|w| w.model == "LSTM(8)"));
    let without = fitted(&MixtureFactory::default(), &values);
    assert_eq!(share(without.as_ref()), 0.0);
}

#[test]
fn a_network_that_comes_later_is_tried_at_the_next_refit() {
    let values = bursts(600, 1);
    let factory = MixtureFactory::default();
    let mut forecaster = fitted(&factory, &values);
    factory.network.set(network(1));
    forecaster.observe(at(600), 0.0);
    assert_eq!(share(forecaster.as_ref()), 0.0);
    let history: Vec<(Timestamp, f64)> = (0..).map(at).zip(values).collect();
    forecaster.refit(&history);
    assert!(share(forecaster.as_ref()) > 0.01);
}

#[test]
fn a_network_that_comes_later_is_a_reason_for_one_refit_and_is_remembered_as_one() {
    let values = bursts(600, 1);
    let factory = MixtureFactory::default();
    let history: Vec<(Timestamp, f64)> = (0..).map(at).zip(values.iter().copied()).collect();
    let mut forecaster = fitted(&factory, &values);
    assert_eq!(forecaster.wants_refit(), None);
    for seed in [1, 2] {
        factory.network.set(network(seed));
        assert_eq!(forecaster.wants_refit(), Some(at(0)));
        // Also by one that was stored before it came to that.
        let state = forecaster.state().unwrap();
        let restored = factory.restore(&grid(), &state).unwrap();
        assert_eq!(restored.wants_refit(), Some(at(0)));
        forecaster.refit(&history);
        assert_eq!(forecaster.wants_refit(), None);
        let state = forecaster.state().unwrap();
        let restored = factory.restore(&grid(), &state).unwrap();
        assert_eq!(restored.wants_refit(), None);
        assert!(share(forecaster.as_ref()) > 0.01);
    }
    // Neither one that never changed nor one that is young wants it sooner.
    let mut constant = factory.forecaster(&grid(), 0);
    (0..100).for_each(|minute| constant.observe(at(minute), 1.0));
    assert_eq!(constant.wants_refit(), None);
    let mut young = factory.forecaster(&grid(), 0);
    for (at, value) in &history[..60] {
        young.observe(*at, *value);
    }
    assert_eq!(young.wants_refit(), None);
}

#[test]
fn with_its_network_a_stored_forecaster_goes_on_as_if_nothing_had_happened() {
    let factory = factory(&network(1));
    let values = bursts(800, 1);
    let (known, rest) = values.split_at(600);
    let mut first = fitted(&factory, known);
    let mut second = factory.restore(&grid(), &first.state().unwrap()).unwrap();
    assert!(share(second.as_ref()) > 0.01);
    for (minute, value) in (600..).zip(rest) {
        first.observe(at(minute), *value);
        second.observe(at(minute), *value);
        assert_eq!(first.forecast(), second.forecast());
    }
    assert_eq!(first.weights(), second.weights());
}

#[test]
fn without_its_network_the_others_speak_for_it() {
    let network_1 = network(1);
    let values = bursts(800, 1);
    let (known, rest) = values.split_at(600);
    let stored = fitted(&factory(&network_1), known).state().unwrap();
    // No network yet, another network, and one that was read past the factory, which wakes nobody.
    let mut without = MixtureFactory::default().restore(&grid(), &stored).unwrap();
    let mut other = factory(&network(2)).restore(&grid(), &stored).unwrap();
    let text = serde_json::to_string(&read_mixture(&stored)).unwrap();
    let mut unwoken: Mixture = serde_json::from_str(&text).unwrap();
    assert_eq!(without.forecast(), other.forecast());
    assert_eq!(without.forecast(), unwoken.forecast());
    for (minute, value) in (600..).zip(rest) {
        let value = if minute % 50 == 0 { f64::NAN } else { *value };
        for forecaster in [without.as_mut(), other.as_mut(), &mut unwoken] {
            forecaster.observe(at(minute), value);
            assert_eq!(share(forecaster), 0.0);
            assert!(is_finite(forecaster));
        }
    }
    assert_eq!(without.forecast(), other.forecast());
    assert_eq!(without.forecast(), unwoken.forecast());
}

/// The mixture that a state is of: a version, a digest, and `postcard`.
fn read_mixture(state: &[u8]) -> Mixture {
    postcard::from_bytes(&state[9..]).unwrap()
}

#[test]
fn nothing_that_is_seen_makes_a_forecast_with_a_network_no_number() {
    let factory = factory(&network(1));
    let nasty = [
        1e300,
        -1e300,
        1e-300,
        0.0,
        1e15,
        f64::INFINITY,
        f64::NAN,
        3.0,
    ];
    for case in 0..4_u64 {
        let mut values = bursts(300, case);
        let mut random = Random::new(case);
        for value in &mut values[100..200] {
            if random.uniform() < 0.2 {
                // Below 8.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let which = (8.0 * random.uniform()) as usize;
                *value = nasty[which.min(7)];
            }
        }
        let mut forecaster = fitted(&factory, &values);
        for (minute, value) in (300..).zip(nasty.repeat(3)) {
            forecaster.observe(at(minute), value);
            assert!(
                is_finite(forecaster.as_ref()),
                "case {case}, minute {minute}"
            );
        }
    }
}

#[test]
fn the_contenders_with_a_network_forecast_and_know_their_names() {
    let contenders = global::contenders(&network(1));
    let names: Vec<&str> = contenders.iter().map(|c| c.name()).collect();
    assert_eq!(names, global::NAMES);
    let setup = Setup {
        seasons: Vec::new(),
        step: MINUTE,
        start: at(0),
        horizon: 24,
        level: 0.95,
        seed: 1,
    };
    let values = bursts(424, 7);
    let (history, actual) = values.split_at(400);
    let on = |contender: &dyn evenkeel_forecast::backtest::Contender| {
        fixed_split(contender, history, actual, &setup, &[], &|| Duration::ZERO).unwrap()
    };
    let plain = on(contender("mixture").unwrap().as_ref());
    let [with, alone] = [0, 1].map(|index: usize| on(contenders[index].as_ref()));
    assert_eq!(alone.model, "LSTM(8)");
    assert_ne!(plain.scores.pinball, with.scores.pinball);
    for evaluation in [plain, with, alone] {
        assert_eq!(evaluation.last_forecast.len(), 24);
        assert!(evaluation.scores.pinball.unwrap() > 0.0);
    }
}
