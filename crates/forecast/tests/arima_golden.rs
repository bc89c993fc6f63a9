//! Log-likelihoods and forecasts equal statsmodels' SARIMAX: `golden/arima.json`, made by
//! `golden/make_arima.py`, which says which of its settings give which likelihood.

use evenkeel_forecast::models::arima::{Arima, Order, Parameters};
use evenkeel_forecast::models::{Fitted, Moments};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    values: Vec<Option<f64>>,
    order: [u8; 3],
    season: [u16; 4],
    constant: bool,
    coefficients: Vec<f64>,
    mean: f64,
    given: Given,
    best: f64,
}

#[derive(Deserialize)]
struct Given {
    loglik: f64,
    variance: f64,
    steps: Vec<u32>,
    forecast_mean: Vec<f64>,
    forecast_variance: Vec<f64>,
}

impl Case {
    fn history(&self) -> Vec<f64> {
        self.values.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
    }

    fn order(&self) -> Order {
        let [p, d, q] = self.order;
        let [sp, sd, sq] = [0, 1, 2].map(|i| u8::try_from(self.season[i]).expect("small"));
        Order::new(p, d, q)
            .seasonal(sp, sd, sq, self.season[3])
            .with_constant(self.constant)
    }

    fn parameters(&self) -> Parameters {
        let mut rest = self.coefficients.iter().copied();
        let mut take = |count: u16| rest.by_ref().take(usize::from(count)).collect();
        Parameters {
            ar: take(u16::from(self.order[0])),
            ma: take(u16::from(self.order[2])),
            seasonal_ar: take(self.season[0]),
            seasonal_ma: take(self.season[2]),
            mean: self.mean,
            variance: self.given.variance,
        }
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("golden/arima.json")).expect("well-formed")
}

fn near(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-4 * theirs.abs().max(1e-3)
}

#[test]
fn given_parameters_have_the_likelihood_and_the_forecasts_of_sarimax() {
    for case in cases() {
        let model = Arima::with_parameters(&case.history(), case.order(), &case.parameters());
        let model = model.unwrap();
        let ours = model.log_likelihood();
        let theirs = case.given.loglik;
        assert!(
            (ours - theirs).abs() < 1e-4,
            "{}: {ours} {theirs}",
            case.name
        );
        let mut out = vec![Moments::default(); case.given.steps.len()];
        model.predict(&case.given.steps, &mut out);
        let means = case.given.forecast_mean.iter();
        let variances = case.given.forecast_variance.iter();
        for (ours, (mean, variance)) in out.iter().zip(means.zip(variances)) {
            assert!(near(ours.mean, *mean), "{}: {ours:?} {mean}", case.name);
            assert!(
                near(ours.variance, *variance),
                "{}: {ours:?} {variance}",
                case.name
            );
        }
    }
}

#[test]
fn the_best_parameters_are_as_good_as_those_of_sarimax() {
    for case in cases() {
        let model = Arima::fit(&case.history(), case.order()).unwrap();
        assert_eq!(model.order(), case.order(), "{}", case.name);
        let (ours, theirs) = (model.log_likelihood(), case.best);
        assert!(ours >= theirs - 1e-4, "{}: {ours} {theirs}", case.name);
        // Both must speak of the same thing: what was found gives the same when given.
        let again = Arima::with_parameters(&case.history(), case.order(), &model.parameters());
        let again = again.unwrap().log_likelihood();
        assert!((again - ours).abs() < 1e-5, "{}: {again} {ours}", case.name);
    }
}
