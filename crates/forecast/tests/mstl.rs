//! Several seasons: against statsmodels (`golden/make_mstl.py`), and properties on whatever series.

use evenkeel_forecast::models::ets::{Ets, Form, Smoothing, Start, Trend};
use evenkeel_forecast::models::mstl::{Mstl, decompose};
use evenkeel_forecast::models::{Fitted, Moments};
use proptest::prelude::*;
use serde::Deserialize;

#[path = "support_fitted/mod.rs"]
mod support_fitted;
use support_fitted::{adversarial, gappy, predictions};

#[derive(Deserialize)]
struct Golden {
    y: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    seasons: Vec<usize>,
    trend: Vec<f64>,
    seasonal: Vec<Vec<f64>>,
    remainder: Vec<f64>,
}

fn close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (t, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() < 1e-6, "{t}: {a} {b}");
    }
}

#[test]
fn the_parts_are_those_of_statsmodels() {
    let text = include_str!("golden/mstl.json");
    let Golden { y, cases } = serde_json::from_str(text).unwrap();
    for case in cases {
        let parts = decompose(&y, &case.seasons).unwrap();
        assert_eq!(parts.seasons, case.seasons);
        close(&parts.trend, &case.trend);
        close(&parts.remainder, &case.remainder);
        for (ours, theirs) in parts.seasonal.iter().zip(&case.seasonal) {
            close(ours, theirs);
        }
    }
}

/// A ramp with a week of days and a month of weeks.
fn two_seasons(t: u32) -> f64 {
    let week = [3.0, 1.0, -2.0, 0.5, -1.5, -3.0, 2.0][t as usize % 7];
    let month = 5.0 * (std::f64::consts::TAU * f64::from(t) / 28.0).sin();
    40.0 + 0.1 * f64::from(t) + week + month
}

#[test]
fn two_seasons_and_a_trend_go_on() {
    let mut y: Vec<f64> = (0..200).map(two_seasons).collect();
    // A hole is no hindrance, nor is the order of the seasons, or one too long to be seen.
    y[90..100].fill(f64::NAN);
    let model = Mstl::fit(&y, &[28, 7, 150]).unwrap();
    assert!(
        model.describe().starts_with("MSTL[7,28] + ETS"),
        "{}",
        model.describe()
    );
    let steps: Vec<u32> = (1..=56).collect();
    for (h, moments) in steps.iter().zip(predictions(&model, &steps)) {
        let truth = two_seasons(199 + h);
        assert!(
            (moments.mean - truth).abs() < 1.0,
            "{h}: {moments:?} {truth}"
        );
    }
}

#[test]
fn a_profile_learns_a_season_that_changed() {
    let week = |t: u32| 0.1 * f64::from(t) + [3.0, 1.0, -2.0, 0.5, -1.5, -3.0, 2.0][t as usize % 7];
    let y: Vec<f64> = (0..140)
        .map(|t| week(t) + f64::from(t * 13 % 11) * 0.1)
        .collect();
    let fit = |learning| {
        let mut model = Mstl::fit_with(&y, &[7], learning, |rest| Ets::auto(rest, 0)).unwrap();
        // From now on the first day of each week is 4 higher.
        let changed = |t: u32| week(t) + if t.is_multiple_of(7) { 4.0 } else { 0.0 };
        for t in 140..560 {
            model.update(Some(changed(t)));
        }
        let next = predictions(&model, &[1, 2, 3]);
        (560..563)
            .zip(&next)
            .map(|(t, moments)| (moments.mean - changed(t)).abs())
            .fold(0.0, f64::max)
    };
    let (stubborn, learning) = (fit(0.0), fit(0.1));
    assert!(learning < 0.5 * stubborn, "{learning} {stubborn}");
}

#[test]
fn without_a_season_to_see_it_is_the_inner_model() {
    let y: Vec<f64> = (0..30).map(|t| f64::from(t * 13 % 7)).collect();
    let (mstl, ets) = (Mstl::fit(&y, &[24]).unwrap(), Ets::auto(&y, 0).unwrap());
    assert!(decompose(&y, &[24]).is_none());
    for (a, b) in predictions(&mstl, &[1, 5])
        .iter()
        .zip(predictions(&ets, &[1, 5]))
    {
        assert!((a.mean - b.mean).abs() < 1e-9 && (a.variance - b.variance).abs() < 1e-9);
    }
    assert!(Mstl::fit(&[1.0, 2.0], &[2]).is_none());
    assert!(Mstl::fit(&[f64::NAN; 60], &[4]).is_none());
}

/// An inner model with parameters that do not depend on the history.
fn fixed(rest: &[f64]) -> Option<Ets> {
    let form = Form {
        trend: Trend::Damped,
        season: 0,
    };
    let smoothing = Smoothing {
        alpha: 0.3,
        beta: 0.1,
        gamma: 0.0,
        phi: 0.9,
    };
    Ets::with(
        rest,
        form,
        smoothing,
        Start {
            level: 0.0,
            slope: 0.0,
            season: Vec::new(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parts_sum_to_what_was_seen(y in gappy(30..80)) {
        let Some(parts) = decompose(&y, &[5, 9]) else { return Ok(()) };
        for (t, y) in y.iter().enumerate() {
            let seasons: f64 = parts.seasonal.iter().map(|s| s[t]).sum();
            let sum = parts.trend[t] + seasons + parts.remainder[t];
            prop_assert!(y.is_nan() == sum.is_nan());
            prop_assert!(y.is_nan() || (sum - y).abs() < 1e-9, "{sum} {y}");
        }
    }

    #[test]
    fn a_gap_is_what_was_foreseen(y in gappy(40..80)) {
        // No value tells nothing: the forecast of the step after is the one made before.
        let Some(mut model) = Mstl::fit_with(&y, &[5, 9], 0.1, fixed) else { return Ok(()) };
        let before = predictions(&model, &[2, 3, 11]);
        model.update(None);
        for (p, q) in before.iter().zip(predictions(&model, &[1, 2, 10])) {
            prop_assert!((p.mean - q.mean).abs() < 1e-9, "{p:?} {q:?}");
        }
    }

    #[test]
    fn forecasts_follow_shift_and_scale(
        y in gappy(40..80),
        shift in -1e4..1e4_f64,
        scale in prop_oneof![1e-6..1.0_f64, 1.0..1e6_f64],
    ) {
        let Some(model) = Mstl::fit(&y, &[5, 9]) else { return Ok(()) };
        let moved: Vec<f64> = y.iter().map(|y| y * scale + shift * scale).collect();
        let moved = Mstl::fit(&moved, &[5, 9]).unwrap();
        let steps = [1, 3, 10];
        for (p, q) in predictions(&model, &steps).iter().zip(predictions(&moved, &steps)) {
            let deviation = p.variance.sqrt();
            let mean = q.mean / scale - shift;
            prop_assert!((p.mean - mean).abs() < 0.02 * deviation, "{p:?} {q:?} {mean}");
            let ratio = q.variance.sqrt() / scale / deviation;
            prop_assert!((ratio - 1.0).abs() < 0.02, "{p:?} {q:?} {ratio}");
        }
    }

    #[test]
    fn the_state_round_trips(y in gappy(40..60)) {
        let Some(mut model) = Mstl::fit(&y, &[4, 9]) else { return Ok(()) };
        model.update(Some(1.0));
        model.update(None);
        let text = serde_json::to_string(&model).unwrap();
        prop_assert_eq!(serde_json::from_str::<Mstl>(&text).unwrap(), model);
    }

    #[test]
    fn whatever_the_series_forecasts_are_numbers(y in adversarial(), season in 0_usize..9) {
        let Some(mut model) = Mstl::fit(&y, &[season, 2 * season]) else { return Ok(()) };
        for y in y.iter().chain(&[f64::MAX, f64::NEG_INFINITY, -1e300, 0.0]) {
            model.update(Some(*y));
            for Moments { mean, variance } in predictions(&model, &[1, 2, 1000, u32::MAX]) {
                prop_assert!(mean.is_finite() && variance.is_finite() && variance > 0.0);
            }
        }
    }
}
