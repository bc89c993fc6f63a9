//! Autoregression whose coefficients follow the series.
//!
//! ```text
//! z(t) = (b + d(t))' f(t) + e(t),   f(t) = (z(t - l) for the lags l, 1)
//! d(t) = argmin  sum over s <= t of  w^(t - s) (r(s) - d' f(s))^2  +  RIDGE |d|^2,   r(s) = z(s) - b' f(s)
//! ```
//!
//! `b` is what the fit found in all of the history ([`SparseAr`]), `d` how the recent past departs from it: recursive
//! least squares with exponential forgetting (Ljung and Söderström 1983, 2.6), kept as sums and not as their inverse, so
//! that it cannot lose its symmetry. The ridge is not forgotten: where the recent past says nothing, `d` returns
//! to 0 and the coefficients to what was fitted, and nothing winds up while the series is still.
//! A course that sets in a little earlier each day, say, is one that a fit to a month of other days cannot go on with.
//!
//! Values and departures are in standard deviations from the mean of the fitted history. A step with a value further
//! than [`OUTLIER`] in it is not learned from, and one with an error beyond [`SURPRISE`] the less. The variance is the mean squared
//! error one step ahead, limited to that, with the same forgetting.
//!
//! Invariants: those of [`SparseAr`]; coefficients whose shocks would grow without bound are not taken. A gap is
//! not learned from.

use serde::{Deserialize, Serialize};

use super::sparse_ar::{Past, Shape, SparseAr, solve, transformed};
use super::{Moments, VARIANCE_FLOOR};

/// The memory, in observations per coefficient: fewer would follow the noise.
const MEMORY: f64 = 12.0;

/// How many observations the fit counts for beside the recent past.
const RIDGE: f64 = 0.2;

/// Coefficients are worked out anew after so many observations.
const REVISED_EVERY: u8 = 16;

/// The most coefficients, so that a row needs no heap.
const WIDEST: usize = 32;

/// What lies further from the mean, in standard deviations, says nothing of coefficients.
const OUTLIER: f64 = 8.0;

/// An error of so many standard deviations counts in full, and a greater one by the fourth power of the ratio: a redescending
/// estimate (Beaton and Tukey 1974). A leap is no reason to think that its size comes of the values before it.
const SURPRISE: f64 = 3.0;

/// The variance at least by which errors are judged.
const LEAST_VARIANCE: f64 = 1e-6;

/// See the module's header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveAr {
    /// With the present coefficients.
    model: SparseAr,
    /// `b`, the constant last.
    fitted: Vec<f64>,
    centre: f64,
    spread: f64,
    /// Sum of `f f'`, the lower triangle row by row.
    products: Vec<f64>,
    /// Sum of `f r`.
    departures: Vec<f64>,
    /// Of the errors one step ahead, in the same unit.
    variance: f64,
    /// Observations since the coefficients were worked out.
    waiting: u8,
}

impl AdaptiveAr {
    /// Fits `shape` to `history` as [`SparseAr::fit`] does, and then follows the end of it.
    ///
    /// `None` where that is, for a shape of differences, and for more lags than [`WIDEST`] has room for.
    pub fn fit(history: &[f64], shape: &Shape, reach: usize) -> Option<Self> {
        if shape.difference != 0 || shape.lags.len() >= WIDEST {
            return None;
        }
        let model = SparseAr::fit(history, shape, reach)?;
        let z = transformed(history, shape.scale)?;
        let (centre, spread) = moments(&z)?;
        let fitted = model.coefficients.clone();
        let width = fitted.len() + 1;
        let mut adaptive = Self {
            variance: model.variance / (spread * spread),
            model,
            fitted,
            centre,
            spread,
            products: vec![0.0; width * (width + 1) / 2],
            departures: vec![0.0; width],
            waiting: 0,
        };
        adaptive.fitted.push(adaptive.constant());
        for t in adaptive.model.memory()..z.len() {
            let row = adaptive.row(|lag| z[t - lag]);
            adaptive.learn(adaptive.standard(z[t]), &row);
        }
        adaptive.revise();
        Some(adaptive)
    }

    /// Its name.
    pub fn describe(&self) -> String {
        format!("adaptive {}", self.model.describe())
    }

    /// How many past values it needs.
    pub fn memory(&self) -> usize {
        self.model.memory()
    }

    /// Lets one step go by; `past` is what came before it.
    pub fn update(&mut self, observed: Option<f64>, past: &Past) {
        let recent = past.last(self.memory());
        let Some(value) = observed.filter(|_| recent.len() == self.memory()) else {
            return;
        };
        let z = self.model.on_scale();
        let row = self.row(|lag| z(past.value(recent[recent.len() - lag])));
        self.learn(self.standard(z(value)), &row);
        self.waiting += 1;
        if self.waiting >= REVISED_EVERY {
            self.revise();
        }
    }

    /// Mean and variance at each of `steps` (rising) after the last value of `past`. `path` is scratch.
    pub fn predict(&self, past: &Past, steps: &[u32], path: &mut Vec<f64>, out: &mut [Moments]) {
        self.model.predict(past, steps, path, out);
    }

    /// Whether its parts fit together.
    pub fn is_sound(&self) -> bool {
        let width = self.fitted.len();
        let numbers = [&self.fitted, &self.products, &self.departures];
        self.model.is_sound()
            && width == self.model.lags.len() + 1
            && width <= WIDEST
            && self.products.len() == width * (width + 1) / 2
            && self.departures.len() == width
            && numbers.into_iter().flatten().all(|n| n.is_finite())
            && self.spread > 0.0
            && [self.centre, self.spread, self.variance]
                .into_iter()
                .all(f64::is_finite)
    }

    fn standard(&self, z: f64) -> f64 {
        (z - self.centre) / self.spread
    }

    /// `f`, of the values at the lags; what lies behind it is 0.
    fn row(&self, at: impl Fn(usize) -> f64) -> [f64; WIDEST] {
        let mut row = [0.0; WIDEST];
        for (slot, lag) in row.iter_mut().zip(&self.model.lags) {
            *slot = self.standard(at(usize::from(*lag)));
        }
        if let Some(constant) = row.get_mut(self.model.lags.len()) {
            *constant = 1.0;
        }
        row
    }

    /// Takes in a step; one with a gap in it, or an outlier, is none.
    #[allow(clippy::cast_precision_loss)] // A handful of coefficients.
    fn learn(&mut self, value: f64, row: &[f64; WIDEST]) {
        let row = &row[..self.fitted.len()];
        let farthest = row
            .iter()
            .fold(value.abs(), |far, f| far + (f.abs() - far).max(0.0));
        let said: f64 = self.fitted.iter().zip(row).map(|(b, f)| b * f).sum();
        let departure = value - said;
        if !(farthest <= OUTLIER && departure.is_finite()) {
            return;
        }
        let forgotten = 1.0 / (MEMORY * row.len() as f64);
        let kept = 1.0 - forgotten;
        let present = self.model.coefficients.iter().zip(row);
        let mean: f64 = present.map(|(b, f)| b * f).sum::<f64>() + self.constant();
        let usual = SURPRISE * SURPRISE * self.variance.max(LEAST_VARIANCE);
        let error = (value - mean).powi(2).max(f64::MIN_POSITIVE);
        self.variance += forgotten * (error.min(usual) - self.variance);
        let weight = (usual / error).min(1.0).powi(2);
        let mut products = self.products.as_mut_slice();
        for (i, head) in row.iter().enumerate() {
            let head = weight * head;
            let (line, rest) = products.split_at_mut(i + 1);
            for (slot, other) in line.iter_mut().zip(row) {
                *slot = kept * *slot + head * other;
            }
            products = rest;
            self.departures[i] = kept * self.departures[i] + head * departure;
        }
    }

    /// The present constant, in standard deviations.
    fn constant(&self) -> f64 {
        let total: f64 = self.model.coefficients.iter().sum();
        (self.model.intercept - self.centre * (1.0 - total)) / self.spread
    }

    /// Works out the coefficients and the variance; what would explode is not taken.
    fn revise(&mut self) {
        self.waiting = 0;
        self.model.variance = (self.variance * self.spread * self.spread).max(VARIANCE_FLOOR);
        let width = self.fitted.len();
        let mut matrix = vec![0.0; width * width];
        let mut products = self.products.iter();
        for i in 0..width {
            for (slot, product) in matrix[i * width..=i * width + i]
                .iter_mut()
                .zip(&mut products)
            {
                *slot = *product;
            }
            matrix[i * width + i] += RIDGE;
        }
        let Some(departed) = solve(matrix, self.departures.clone(), width) else {
            return;
        };
        let mut coefficients: Vec<f64> = self
            .fitted
            .iter()
            .zip(departed)
            .map(|(b, d)| b + d)
            .collect();
        let constant = coefficients.pop().unwrap_or_default();
        let total: f64 = coefficients.iter().sum();
        let intercept = constant * self.spread + self.centre * (1.0 - total);
        self.model.revise(coefficients, intercept);
    }
}

/// Mean and standard deviation of what is finite; `None` where nothing varies.
#[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
fn moments(z: &[f64]) -> Option<(f64, f64)> {
    let known: Vec<f64> = z.iter().copied().filter(|v| v.is_finite()).collect();
    let count = known.len().max(1) as f64;
    let mean = known.iter().sum::<f64>() / count;
    let spread = (known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    (spread > 0.0 && spread.is_finite()).then_some((mean, spread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::sparse_ar::Scale;
    use crate::testing::Random;
    use proptest::prelude::*;

    fn shape(lags: &[usize], scale: Scale) -> Shape {
        Shape {
            lags: lags.to_vec(),
            difference: 0,
            scale,
        }
    }

    /// The model after `known` and then `rest`, and what it continues.
    fn after(known: &[f64], rest: &[f64], shape: &Shape) -> Option<(AdaptiveAr, Past)> {
        let mut model = AdaptiveAr::fit(known, shape, 24)?;
        let mut past = Past::new(known, model.memory());
        for value in rest {
            let observed = Some(*value).filter(|v| v.is_finite());
            model.update(observed, &past);
            past.take(observed);
        }
        Some((model, past))
    }

    fn said(model: &AdaptiveAr, past: &Past, steps: &[u32]) -> Vec<Moments> {
        let mut out = vec![Moments::default(); steps.len()];
        model.predict(past, steps, &mut Vec::new(), &mut out);
        out
    }

    fn autoregression(random: &mut Random, coefficient: f64, count: usize) -> Vec<f64> {
        let mut level = 0.0;
        (0..count)
            .map(|_| {
                level = coefficient * level + random.normal();
                50.0 + level
            })
            .collect()
    }

    #[test]
    fn coefficients_follow_the_series_and_so_does_the_variance() {
        let mut random = Random::new(3);
        let known = autoregression(&mut random, 0.8, 500);
        let mut rest = autoregression(&mut random, -0.6, 200);
        let shape = shape(&[1, 2], Scale::Linear);
        let (before, _) = after(&known, &[], &shape).unwrap();
        assert!(
            (before.model.coefficients[0] - 0.8).abs() < 0.2,
            "{before:?}"
        );
        let (model, _) = after(&known, &rest, &shape).unwrap();
        let coefficients = &model.model.coefficients;
        assert!((coefficients[0] + 0.6).abs() < 0.25, "{coefficients:?}");
        rest.iter_mut().for_each(|v| *v = 50.0 + 0.1 * (*v - 50.0));
        let (calmer, _) = after(&known, &rest, &shape).unwrap();
        assert!(calmer.model.variance < 0.2 * model.model.variance);
    }

    #[test]
    fn a_course_that_sets_in_earlier_each_day_is_gone_on_with() {
        let mut random = Random::new(5);
        let mut turn = 0.0;
        let values: Vec<f64> = (0..900)
            .map(|t| {
                // Days of 24 steps, and from the 31st on of 23.
                turn += std::f64::consts::TAU / if t < 720 { 24.0 } else { 23.0 };
                f64::sin(turn) + 0.3 * f64::sin(2.0 * turn) + 0.01 * random.normal()
            })
            .collect();
        let shape = shape(&[1, 2, 23, 24, 25], Scale::Linear);
        let still = SparseAr::fit(&values[..700], &shape, 24).unwrap();
        let (mut follows, mut keeps) = (0.0, 0.0);
        for end in [860, 865, 870, 875] {
            let (model, past) = after(&values[..700], &values[700..end], &shape).unwrap();
            let mut kept = [Moments::default()];
            still.predict(&past, &[20], &mut Vec::new(), &mut kept);
            follows += (said(&model, &past, &[20])[0].mean - values[end + 19]).abs();
            keeps += (kept[0].mean - values[end + 19]).abs();
        }
        assert!(follows < 0.4 * keeps, "{follows} against {keeps}");
    }

    #[test]
    fn while_nothing_happens_it_returns_to_what_was_fitted() {
        let known = autoregression(&mut Random::new(7), 0.7, 400);
        let shape = shape(&[1, 3], Scale::Linear);
        let fitted = SparseAr::fit(&known, &shape, 24).unwrap();
        let (model, past) = after(&known, &vec![50.0; 20_000], &shape).unwrap();
        for (now, then) in model.model.coefficients.iter().zip(&fitted.coefficients) {
            assert!((now - then).abs() < 0.02, "{model:?}");
        }
        assert!((said(&model, &past, &[24])[0].mean - 50.0).abs() < 0.2);
    }

    #[test]
    fn outliers_and_gaps_teach_no_coefficients() {
        let mut random = Random::new(9);
        let known = autoregression(&mut random, 0.7, 400);
        let shape = shape(&[1, 2], Scale::Linear);
        let (before, _) = after(&known, &[], &shape).unwrap();
        let (model, _) = after(&known, &[1e9, f64::NAN, -1e20], &shape).unwrap();
        assert_eq!(model.products, before.products);
        assert_eq!(model.model.coefficients, before.model.coefficients);
    }

    #[test]
    fn a_logarithm_of_what_falls_to_nothing_is_one_of_little() {
        let mut random = Random::new(2);
        let known: Vec<f64> = (0..200)
            .map(|_| (1.0 + 0.3 * random.normal()).exp())
            .collect();
        let shape = shape(&[1, 2], Scale::Logarithmic);
        let (model, past) = after(&known, &[0.0, -1.0, 2.0, 3.0, 2.0], &shape).unwrap();
        assert!(model.is_sound());
        assert!(
            said(&model, &past, &[1, 24])
                .iter()
                .all(|m| m.mean > 0.0 && m.mean.is_finite())
        );
    }

    #[test]
    fn differences_are_not_for_it() {
        let known = autoregression(&mut Random::new(1), 0.5, 200);
        let differences = Shape {
            difference: 1,
            ..shape(&[1], Scale::Linear)
        };
        assert_eq!(AdaptiveAr::fit(&known, &differences, 24), None);
    }

    proptest! {
        #[test]
        fn forecasts_are_finite_whatever_comes(
            values in proptest::collection::vec(
                prop_oneof![
                    6 => -5.0_f64..5.0,
                    1 => Just(f64::NAN),
                    1 => -1e15_f64..1e15,
                    1 => Just(1e30),
                    1 => Just(1e-300),
                    2 => Just(0.0),
                ],
                60..300,
            ),
            logarithmic in any::<bool>(),
        ) {
            let scale = if logarithmic { Scale::Logarithmic } else { Scale::Linear };
            let known: Vec<f64> = values[..50].iter().map(|v| if logarithmic { v.abs() + 1e-3 } else { *v }).collect();
            if let Some((model, past)) = after(&known, &values[50..], &shape(&[1, 2, 5], scale)) {
                prop_assert!(model.is_sound(), "{model:?}");
                for moments in said(&model, &past, &[1, 7, 24]) {
                    prop_assert!(moments.mean.is_finite() && moments.variance.is_finite());
                    prop_assert!(moments.variance >= VARIANCE_FLOOR);
                }
            }
        }

        #[test]
        fn shift_and_scale_of_the_series_are_those_of_the_forecast(
            seed in 0_u64..50,
            shift in -1e3_f64..1e3,
            scale in 1e-2_f64..1e3,
        ) {
            let values = autoregression(&mut Random::new(seed), 0.5, 200);
            let moved: Vec<f64> = values.iter().map(|v| shift + scale * v).collect();
            let shape = shape(&[1, 2, 3], Scale::Linear);
            let (one, past) = after(&values[..100], &values[100..], &shape).unwrap();
            let (two, other) = after(&moved[..100], &moved[100..], &shape).unwrap();
            // The past is kept in single precision.
            let unit = scale + 1e-6 * shift.abs();
            for (a, b) in said(&one, &past, &[1, 12]).iter().zip(said(&two, &other, &[1, 12])) {
                prop_assert!((shift + scale * a.mean - b.mean).abs() < 1e-3 * unit, "{a:?} {b:?}");
                prop_assert!((scale * scale * a.variance / b.variance - 1.0).abs() < 1e-3);
            }
        }
    }
}
