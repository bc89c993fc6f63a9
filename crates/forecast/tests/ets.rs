//! Exponential smoothing: against statsmodels and statsforecast (`golden/make_ets.py`), and its
//! properties on whatever series.

use evenkeel_forecast::models::ets::{Ets, Form, Smoothing, Start, Trend};
use evenkeel_forecast::models::{Fitted, Moments};
use proptest::prelude::*;
use serde::Deserialize;

#[path = "support_fitted/mod.rs"]
mod support_fitted;
use support_fitted::{adversarial, gappy, predictions};

#[derive(Deserialize)]
struct Golden {
    smoothing: Smoothing,
    horizon: u32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    season: usize,
    y: Vec<f64>,
    forms: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    trend: Trend,
    fixed: Fixed,
    optimum: Optimum,
}

#[derive(Deserialize)]
struct Fixed {
    level: f64,
    slope: f64,
    season: Vec<f64>,
    log_likelihood: f64,
    sse: f64,
    mean: Vec<f64>,
    growth: Vec<f64>,
}

#[derive(Deserialize)]
struct Optimum {
    statsmodels: f64,
    statsforecast: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/ets.json")).expect("the script's form")
}

/// What of `all` the form has.
fn smoothing(all: &Smoothing, form: Form) -> Smoothing {
    let trending = form.trend != Trend::None;
    Smoothing {
        alpha: all.alpha,
        beta: if trending { all.beta } else { 0.0 },
        gamma: if form.seasonal() { all.gamma } else { 0.0 },
        phi: if form.trend == Trend::Damped {
            all.phi
        } else {
            1.0
        },
    }
}

#[test]
fn fixed_parameters_give_the_likelihood_and_forecasts_of_statsmodels() {
    let golden = golden();
    for case in &golden.cases {
        for Expected { trend, fixed, .. } in &case.forms {
            let form = Form {
                trend: *trend,
                season: case.season,
            };
            let start = Start {
                level: fixed.level,
                slope: fixed.slope,
                season: fixed.season.clone(),
            };
            let model =
                Ets::with(&case.y, form, smoothing(&golden.smoothing, form), start).unwrap();
            let at = format!("{} {}", case.name, form.name());
            let n = case.y.len() as f64;
            let sse = model.mean_squared_error() * n;
            assert!(
                (sse - fixed.sse).abs() < 1e-9 * fixed.sse,
                "{at}: {sse} {}",
                fixed.sse
            );
            let likelihood = model.log_likelihood();
            assert!(
                (likelihood - fixed.log_likelihood).abs() < 1e-6,
                "{at}: {likelihood}"
            );
            let steps: Vec<u32> = (1..=golden.horizon).collect();
            let ours = predictions(&model, &steps);
            for (h, ((ours, mean), growth)) in
                ours.iter().zip(&fixed.mean).zip(&fixed.growth).enumerate()
            {
                assert!(
                    (ours.mean - mean).abs() < 1e-8,
                    "{at} {h}: {} {mean}",
                    ours.mean
                );
                let grown = ours.variance / predictions(&model, &[1])[0].variance;
                assert!(
                    (grown - growth).abs() < 1e-8 * growth,
                    "{at} {h}: {grown} {growth}"
                );
            }
        }
    }
}

#[test]
fn the_optimum_is_no_worse_than_that_of_either_library() {
    for case in &golden().cases {
        for Expected { trend, optimum, .. } in &case.forms {
            let form = Form {
                trend: *trend,
                season: case.season,
            };
            let model = Ets::fit(&case.y, form).unwrap();
            let sse = model.mean_squared_error() * case.y.len() as f64;
            let least = optimum.statsmodels.min(optimum.statsforecast);
            assert!(
                sse <= least * 1.005,
                "{} {}: {sse} against {} and {}",
                case.name,
                form.name(),
                optimum.statsmodels,
                optimum.statsforecast
            );
        }
    }
}

#[test]
fn the_automatic_choice_is_the_form_the_series_was_made_with() {
    let golden = golden();
    let chosen = |name: &str| {
        let case = golden.cases.iter().find(|case| case.name == name).unwrap();
        Ets::auto(&case.y, case.season).unwrap().describe()
    };
    assert_eq!(chosen("walk"), "ETS(A,N,N)");
    assert_eq!(chosen("noise"), "ETS(A,N,N)");
    assert_eq!(chosen("seasonal"), "ETS(A,N,A)[12]");
    assert_eq!(chosen("saturating"), "ETS(A,Ad,N)");
}

#[test]
fn a_gap_costs_no_more_than_the_values_it_hides() {
    // A ramp with a hole: the forecast after it is on the ramp.
    let mut y: Vec<f64> = (0..200)
        .map(|t| f64::from(t) + f64::from(t * 7 % 5) * 0.1)
        .collect();
    y[80..120].fill(f64::NAN);
    let model = Ets::auto(&y, 0).unwrap();
    let [next] = predictions(&model, &[10])[..] else {
        panic!()
    };
    assert!((next.mean - 209.2).abs() < 0.5, "{next:?}");
}

fn forms() -> impl Strategy<Value = Form> {
    let trends = prop_oneof![
        Just(Trend::None),
        Just(Trend::Additive),
        Just(Trend::Damped)
    ];
    (trends, prop_oneof![Just(0), Just(4), Just(7)])
        .prop_map(|(trend, season)| Form { trend, season })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_update_is_a_run_over_one_more(
        y in gappy(40..80),
        form in forms(),
        split in 20_usize..40,
    ) {
        let start = Start { level: 1.0, slope: 0.1, season: vec![0.5; form.season] };
        let by = Smoothing { alpha: 0.4, beta: 0.1, gamma: 0.2, phi: 1.0 };
        let by = smoothing(&Smoothing { phi: 0.9, ..by }, form);
        let whole = Ets::with(&y, form, by, start.clone());
        let part = Ets::with(&y[..split], form, by, start);
        prop_assume!(whole.is_some() && part.is_some());
        let (whole, mut part) = (whole.unwrap(), part.unwrap());
        for y in &y[split..] {
            part.update(y.is_finite().then_some(*y));
        }
        // Variances are scaled by what each was run over, so their growth is compared.
        let steps = [1, 2, 5, 30];
        let (a, b) = (predictions(&whole, &steps), predictions(&part, &steps));
        for (p, q) in a.iter().zip(&b) {
            let scale = 1e-9 * (1.0 + p.mean.abs());
            prop_assert!((p.mean - q.mean).abs() < scale, "{p:?} {q:?}");
            let growth = (p.variance / a[0].variance, q.variance / b[0].variance);
            prop_assert!((growth.0 - growth.1).abs() < 1e-6 * growth.0, "{p:?} {q:?}");
        }
    }

    #[test]
    fn forecasts_follow_shift_and_scale(
        y in gappy(40..80),
        form in forms(),
        shift in -1e6..1e6_f64,
        scale in prop_oneof![1e-6..1.0_f64, 1.0..1e6_f64],
    ) {
        let Some(model) = Ets::fit(&y, form) else { return Ok(()) };
        // A shift may take digits from the series; those it keeps are the same.
        let moved: Vec<f64> = y.iter().map(|y| y * scale + shift * scale).collect();
        let moved = Ets::fit(&moved, form).unwrap();
        let steps = [1, 3, 10];
        for (p, q) in predictions(&model, &steps).iter().zip(predictions(&moved, &steps)) {
            let deviation = p.variance.sqrt();
            let mean = q.mean / scale - shift;
            prop_assert!((p.mean - mean).abs() < 0.02 * deviation + 1e-6, "{p:?} {q:?} {mean}");
            let ratio = q.variance.sqrt() / scale / deviation;
            prop_assert!((ratio - 1.0).abs() < 0.02 || deviation < 1e-6, "{p:?} {q:?} {ratio}");
        }
    }

    #[test]
    fn the_state_round_trips(y in gappy(40..60), form in forms()) {
        let Some(mut model) = Ets::fit(&y, form) else { return Ok(()) };
        model.update(None);
        let text = serde_json::to_string(&model).unwrap();
        prop_assert_eq!(serde_json::from_str::<Ets>(&text).unwrap(), model);
    }

    #[test]
    fn whatever_the_series_forecasts_are_numbers(y in adversarial(), season in 0_usize..9) {
        let Some(mut model) = Ets::auto(&y, season) else { return Ok(()) };
        for y in y.iter().chain(&[f64::MAX, f64::NEG_INFINITY, -1e300, 0.0]) {
            model.update(Some(*y));
            for Moments { mean, variance } in predictions(&model, &[1, 2, 1000, u32::MAX]) {
                prop_assert!(mean.is_finite() && variance.is_finite() && variance > 0.0);
            }
        }
    }
}

#[test]
fn a_constant_is_forecast_as_it_is() {
    for value in [0.0, -3.5, 1e15, 1e-300] {
        let mut model = Ets::auto(&[value; 40], 4).unwrap();
        model.update(Some(value));
        for Moments { mean, variance } in predictions(&model, &[1, 100]) {
            assert!(
                (mean - value).abs() <= 1e-12 * value.abs(),
                "{mean} {value}"
            );
            assert!(
                variance.sqrt() <= 1e-12 * value.abs().max(1.0),
                "{variance} {value}"
            );
        }
        assert_eq!(model.describe(), "ETS(A,N,N)");
    }
}

#[test]
fn too_short_a_history_has_no_model() {
    assert!(Ets::auto(&[], 4).is_none());
    assert!(Ets::auto(&[f64::NAN; 30], 4).is_none());
    assert!(Ets::auto(&[1.0, 2.0, 4.0], 0).is_none());
    assert!(Ets::auto(&[1.0, 2.0, 4.0, 3.0, 5.0, 4.0, 6.0], 24).is_some());
}
