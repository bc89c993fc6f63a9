//! The theta method: against statsforecast (`golden/make_theta.py`), and its properties on whatever
//! series.

use std::collections::BTreeMap;

use evenkeel_forecast::models::theta::{Effect, Theta, Variant};
use evenkeel_forecast::models::{Fitted, Moments};
use proptest::prelude::*;
use serde::Deserialize;

#[path = "support_fitted/mod.rs"]
mod support_fitted;
use support_fitted::{adversarial, gappy, predictions};

#[derive(Deserialize)]
struct Golden {
    horizon: u32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    season: usize,
    y: Vec<f64>,
    variants: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    mse: f64,
    alpha: f64,
    theta: f64,
    level: f64,
    mean: Vec<f64>,
}

const VARIANTS: [(&str, Variant); 4] = [
    ("STM", Variant::Standard),
    ("OTM", Variant::Optimised),
    ("DSTM", Variant::DynamicStandard),
    ("DOTM", Variant::DynamicOptimised),
];

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/theta.json")).expect("the script's form")
}

#[test]
fn the_parameters_of_statsforecast_give_its_errors_and_forecasts() {
    let Golden { horizon, cases } = golden();
    let steps: Vec<u32> = (1..=horizon).collect();
    for case in &cases {
        for (name, variant) in VARIANTS {
            let expected = &case.variants[name];
            let parameters = (expected.alpha, expected.theta, expected.level);
            let model = Theta::with(&case.y, case.season, variant, parameters).unwrap();
            let at = format!("{} {name}", case.name);
            let mse = model.mean_squared_error();
            assert!(
                (mse - expected.mse).abs() < 1e-6 * expected.mse,
                "{at}: {mse}"
            );
            // Theirs moves a dynamic line by its own forecasts, too.
            let dynamic = matches!(
                variant,
                Variant::DynamicStandard | Variant::DynamicOptimised
            );
            for (h, (ours, theirs)) in predictions(&model, &steps)
                .iter()
                .zip(&expected.mean)
                .enumerate()
            {
                let bound = if dynamic && h > 0 {
                    0.2 * mse.sqrt()
                } else {
                    1e-6
                };
                assert!(
                    (ours.mean - theirs).abs() < bound,
                    "{at} {h}: {} {theirs}",
                    ours.mean
                );
            }
        }
    }
}

#[test]
fn the_optimum_is_no_worse_than_that_of_statsforecast() {
    for case in &golden().cases {
        for (name, variant) in VARIANTS {
            let model = Theta::fit(&case.y, case.season, variant).unwrap();
            let (ours, theirs) = (model.mean_squared_error(), case.variants[name].mse);
            assert!(
                ours <= theirs * 1.0005,
                "{} {name}: {ours} {theirs}",
                case.name
            );
        }
    }
}

#[test]
fn the_season_is_multiplied_where_values_are_positive_and_grow() {
    let golden = golden();
    let effect = |name: &str| {
        let case = golden.cases.iter().find(|case| case.name == name).unwrap();
        Theta::auto(&case.y, case.season).unwrap().effect()
    };
    assert_eq!(effect("walk"), None);
    assert_eq!(effect("multiplicative"), Some(Effect::Multiplicative));
    assert_eq!(effect("additive"), Some(Effect::Additive));
}

#[test]
fn the_classical_model_drifts_by_half_the_slope() {
    let y: Vec<f64> = (0..100)
        .map(|t| 3.0 + 0.2 * f64::from(t) + f64::from(t * 7 % 5))
        .collect();
    let model = Theta::fit(&y, 0, Variant::Standard).unwrap();
    let [near, far] = predictions(&model, &[1, 101])[..] else {
        panic!()
    };
    let slope = (far.mean - near.mean) / 100.0;
    assert!((slope - 0.1).abs() < 0.002, "{slope}");
}

#[test]
fn short_and_constant_series_are_served_or_refused() {
    assert!(Theta::auto(&[1.0, 2.0, 3.0], 0).is_none());
    assert!(Theta::auto(&[f64::NAN; 40], 4).is_none());
    for value in [0.0, -2.5, 1e15] {
        let mut model = Theta::auto(&[value; 40], 4).unwrap();
        model.update(Some(value));
        let next = predictions(&model, &[50])[0];
        assert!(
            (next.mean - value).abs() <= 1e-12 * value.abs(),
            "{next:?} {value}"
        );
        assert!(
            next.variance.sqrt() <= 1e-12 * value.abs().max(1.0),
            "{next:?} {value}"
        );
    }
}

fn variants() -> impl Strategy<Value = Variant> {
    prop::sample::select(VARIANTS.map(|(_, variant)| variant).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_update_is_a_run_over_one_more(y in gappy(40..80), split in 20_usize..40) {
        // Only a dynamic line and no season: all else is estimated from the history it is given.
        let by = (0.3, 3.0, 1.0);
        let whole = Theta::with(&y, 0, Variant::DynamicOptimised, by);
        let part = Theta::with(&y[..split], 0, Variant::DynamicOptimised, by);
        prop_assume!(whole.is_some() && part.is_some());
        let (whole, mut part) = (whole.unwrap(), part.unwrap());
        for y in &y[split..] {
            part.update(y.is_finite().then_some(*y));
        }
        let steps = [1, 2, 5, 30];
        for (p, q) in predictions(&whole, &steps).iter().zip(predictions(&part, &steps)) {
            prop_assert!((p.mean - q.mean).abs() < 1e-8, "{p:?} {q:?}");
        }
    }

    #[test]
    fn forecasts_follow_shift_and_scale(
        y in gappy(40..80),
        variant in variants(),
        shift in -1e4..1e4_f64,
        scale in prop_oneof![1e-6..1.0_f64, 1.0..1e6_f64],
    ) {
        let Some(model) = Theta::fit(&y, 0, variant) else { return Ok(()) };
        let moved: Vec<f64> = y.iter().map(|y| y * scale + shift * scale).collect();
        let moved = Theta::fit(&moved, 0, variant).unwrap();
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
    fn the_state_round_trips(y in gappy(40..60), variant in variants(), season in 0_usize..8) {
        let Some(mut model) = Theta::fit(&y, season, variant) else { return Ok(()) };
        model.update(None);
        let text = serde_json::to_string(&model).unwrap();
        prop_assert_eq!(serde_json::from_str::<Theta>(&text).unwrap(), model);
    }

    #[test]
    fn whatever_the_series_forecasts_are_numbers(y in adversarial(), season in 0_usize..9) {
        let Some(mut model) = Theta::auto(&y, season) else { return Ok(()) };
        for y in y.iter().chain(&[f64::MAX, f64::NEG_INFINITY, -1e300, 0.0]) {
            model.update(Some(*y));
            for Moments { mean, variance } in predictions(&model, &[1, 2, 1000, u32::MAX]) {
                prop_assert!(mean.is_finite() && variance.is_finite() && variance > 0.0);
            }
        }
    }
}
