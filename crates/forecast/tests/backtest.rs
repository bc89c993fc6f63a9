//! The evaluation against cases counted by hand: which origins, what a contender sees, what is scored.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_core::forecast::Quantiles;
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::backtest::{
    Contender, Failure, Rolling, Session, Setup, StartError, contenders, fixed_split, names,
    rolling,
};
use proptest::prelude::*;

fn no_time() -> Duration {
    Duration::ZERO
}

fn setup(horizon: usize) -> Setup {
    Setup {
        seasons: Vec::new(),
        step: Duration::from_secs(60),
        start: Timestamp::from_millis(0),
        horizon,
        level: 0.95,
        seed: 1,
    }
}

/// Forecasts the last value for certain, and writes down what is asked of it.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, line: String) {
        self.0.lock().expect("no thread panicked").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no thread panicked").clone()
    }
}

struct LastSeen {
    diary: Diary,
    last: f64,
}

impl Contender for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }

    fn start(&self, history: &[f64], _: &Setup) -> Result<Box<dyn Session>, StartError> {
        self.note(format!("start {}", history.len()));
        let last = history.iter().rfind(|value| value.is_finite());
        let last = *last.ok_or(StartError::TooShort { needs: 1, has: 0 })?;
        Ok(Box::new(LastSeen {
            diary: self.clone(),
            last,
        }))
    }
}

impl Session for LastSeen {
    fn describe(&self) -> String {
        "last".to_owned()
    }

    fn update(&mut self, observed: Option<f64>) {
        self.diary.note(format!("update {observed:?}"));
        self.last = observed.unwrap_or(self.last);
    }

    fn forecast(&self, horizon: usize) -> Vec<Quantiles> {
        self.diary.note(format!("forecast {}", self.last));
        vec![Quantiles::certain(self.last); horizon]
    }
}

#[test]
fn origins_stand_at_equal_distance_and_the_model_is_updated_between_and_fitted_anew_in_time() {
    let diary = Diary::default();
    let series = [1.0, 2.0, f64::NAN, 4.0, 5.0, 6.0, 7.0];
    let plan = Rolling {
        warm_up: 2,
        stride: 1,
        refit: 2,
    };
    let done = rolling(&diary, &series, &setup(2), plan, &[0.9], &no_time).expect("it runs");
    // Origins 2, 3, 4 and 5: the last with two steps after it.
    assert_eq!(
        diary.lines(),
        [
            "start 2",
            "forecast 2",
            "update None",
            "forecast 2",
            "update Some(4.0)",
            "start 4",
            "forecast 4",
            "update Some(5.0)",
            "forecast 5",
        ]
    );
    assert_eq!((done.origins, done.last_origin), (4, 5));
    // |4-2|, |4-2|, |5-2|, |5-4|, |6-4|, |6-5|, |7-5| over a scale of 1; the gap is not scored.
    assert_eq!(done.scores.points, 7);
    assert!((done.scores.mase.expect("it varies") - 13.0 / 7.0).abs() < 1e-12);
    assert_eq!(done.scores.coverage, 0.0);
    let first = done.horizons[0].expect("scored");
    assert_eq!((first.points, first.mase), (3, Some(4.0 / 3.0)));
    let level = &done.levels[0];
    assert_eq!(level.overall.scored(), 7);
    assert_eq!(level.quarters.map(|quarter| quarter.scored()), [1, 2, 2, 2]);
    assert_eq!(level.horizons[1].scored(), 4);
}

#[test]
fn a_fixed_split_forecasts_what_is_there_to_compare_with() {
    let diary = Diary::default();
    let done = fixed_split(&diary, &[1.0, 3.0], &[3.0, 5.0], &setup(9), &[], &no_time);
    let done = done.expect("it runs");
    assert_eq!(diary.lines(), ["start 2", "forecast 3"]);
    // Scaled by the history: (0 + 2) / 2 / 2.
    assert_eq!((done.scores.points, done.scores.mase), (2, Some(0.5)));
    assert_eq!(done.scores.coverage, 0.5);
    assert_eq!(done.last_forecast.len(), 2);
}

#[test]
fn the_time_of_a_contender_is_the_time_of_its_calls() {
    let calls = Cell::new(0);
    let clock = || {
        calls.set(calls.get() + 1);
        Duration::from_secs(calls.get())
    };
    let plan = Rolling {
        warm_up: 2,
        stride: 2,
        refit: 1,
    };
    let series = [1.0, 2.0, 3.0, 4.0, 5.0];
    let done = rolling(&Diary::default(), &series, &setup(1), plan, &[], &clock);
    // A start, two forecasts, two updates and a fit: a second each, whatever lies between.
    assert_eq!(done.expect("it runs").elapsed, Duration::from_secs(6));
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    let diary = Diary::default();
    let plan = Rolling {
        warm_up: 3,
        stride: 1,
        refit: 1,
    };
    let on = |series: &[f64]| {
        rolling(&diary, series, &setup(2), plan, &[], &no_time)
            .map(|_| ())
            .expect_err("there is a reason")
    };
    assert_eq!(on(&[1.0; 4]), Failure::TooShort { needs: 5, has: 4 });
    let nan = f64::NAN;
    assert_eq!(
        on(&[nan, nan, nan, 1.0, 1.0]),
        Failure::Start(StartError::TooShort { needs: 1, has: 0 })
    );
    assert_eq!(
        on(&[1.0, 1.0, 1.0, nan, nan]),
        Failure::NoOutcome { outcomes: 2 }
    );
}

#[test]
fn every_contender_beats_nothing_and_is_found_by_its_name() {
    let series: Vec<f64> = (0..200_i32)
        .map(|i| f64::from(i % 12) + f64::from(i * 37 % 11) / 10.0)
        .collect();
    let setup = Setup {
        seasons: vec![12],
        ..setup(12)
    };
    for contender in contenders() {
        let name = contender.name();
        let run = || {
            let contender =
                evenkeel_forecast::backtest::contender(name).expect("it is in the table");
            fixed_split(
                contender.as_ref(),
                &series[..180],
                &series[180..],
                &setup,
                &[0.9],
                &no_time,
            )
            .unwrap_or_else(|failure| panic!("{name}: {failure}"))
        };
        let (once, again) = (run(), run());
        assert_eq!(once.scores, again.scores, "{name}");
        assert_eq!(once.last_forecast.len(), 12, "{name}");
        assert!(once.scores.smape < 200.0, "{name}");
        assert!(!once.model.is_empty(), "{name}");
    }
    let mut unique = names();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names().len());
    assert!(evenkeel_forecast::backtest::contender("crystal-ball").is_none());
}

/// What no model likes: gaps, repeats, huge and tiny values.
fn awkward() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => -10.0..10.0_f64,
        2 => Just(0.0),
        1 => Just(f64::NAN),
        1 => prop_oneof![Just(1e30), Just(-1e30), Just(1e-300), Just(1e15)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_series_makes_an_evaluation_panic_or_give_nan(
        series in prop::collection::vec(awkward(), 0..60),
        season in 0_usize..8,
        warm_up in 0_usize..20,
    ) {
        let setup = Setup { seasons: vec![season; usize::from(season > 1)], ..setup(3) };
        let plan = Rolling { warm_up, stride: 7, refit: 2 };
        for contender in contenders() {
            if let Ok(done) = rolling(contender.as_ref(), &series, &setup, plan, &[0.5], &no_time) {
                let scores = done.scores;
                for value in [Some(scores.smape), scores.mase, scores.msis, scores.pinball].into_iter().flatten() {
                    prop_assert!(value >= 0.0, "{}: {scores:?}", contender.name());
                }
                prop_assert!((0.0..=1.0).contains(&scores.coverage));
            }
        }
    }
}
