//! Autoregression on few lags: the last values, and those about one season, two seasons, a week ago.
//!
//! ```text
//! z(t) = c + sum over lags l of b(l) z(t - l) + e(t),   var e = s2,   z = y or ln y
//! ```
//!
//! or the same for the differences `z(t) - z(t - D)`, which are multiplied out so that every variant is a
//! recursion on `z` itself. Differences have no constant: it would be a trend that goes on for ever, and trends
//! are for models that first ask whether there is one. Coefficients come from ridge regression on standardised values (Hoerl and
//! Kennard 1970): lags of a season are nearly collinear, and a little shrinkage keeps the recursion
//! stable. A subset of lags (McClave 1975) does for two seasons with a dozen numbers what a full seasonal
//! ARIMA does with a state of hundreds.
//!
//! The variance `h` steps ahead is `s2 (1 + psi(1)^2 + ... + psi(h-1)^2)`, `psi` being the response to a
//! unit shock; on the logarithmic scale it is multiplied by the squared forecast (delta method).
//!
//! Invariants: a model whose shocks grow beyond [`EXPLOSIVE`] is refused; forecasts are finite. The values
//! it continues are handed in ([`Past`]), so that several such models share one memory. A gap in them is
//! filled by what was expected there, which is the mean of the state given what was seen.

use serde::{Deserialize, Serialize};

use super::{Moments, VARIANCE_FLOOR};

/// Share of the ridge on standardised values.
const RIDGE: f64 = 1e-3;

/// Observations per coefficient that a fit needs at least.
const ROWS_PER_COEFFICIENT: usize = 3;

/// The response to a unit shock beyond which a model is no model.
const EXPLOSIVE: f64 = 20.0;

/// Beyond the range seen, a mean may go so far, in ranges.
pub(crate) const BEYOND: f64 = 0.25;

/// A model with a longer memory than this (in steps) has a season in it.
const SEASONAL_FROM: usize = 13;

/// The greatest variance on the logarithmic scale that is carried over.
const LOG_VARIANCE_MAX: f64 = 3.0;

/// The longest lag that is used; what a [`Past`] keeps follows from it.
pub const LONGEST_LAG: usize = 2048;

/// No value is kept as more units from zero: single precision ends at 3e38, and what is infinite there would be
/// no number after the next difference.
const KEPT_LIMIT: f64 = 1e37;

/// On which scale the recursion runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// As it is.
    Linear,
    /// The logarithm: effects multiply. Only for what is always positive.
    Logarithmic,
}

/// What is to be fitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Lags, rising, each at least 1.
    pub lags: Vec<usize>,
    /// Regress the differences over so many steps; 0: the values themselves.
    pub difference: usize,
    /// The scale.
    pub scale: Scale,
}

/// A fitted autoregression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SparseAr {
    name: String,
    pub(super) scale: Scale,
    pub(super) lags: Vec<u16>,
    pub(super) coefficients: Vec<f64>,
    pub(super) intercept: f64,
    pub(super) variance: f64,
    /// The range of `z` in the history.
    range: (f64, f64),
    /// Standard deviations at steps 1, 2, ... in units of that of one step.
    growth: Vec<f32>,
}

/// The last values of a series at equal steps, newest last, without gaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    zero: f64,
    unit: f64,
    keep: usize,
    /// In units from zero; single precision keeps seven digits of the changes.
    values: Vec<f32>,
}

impl Past {
    /// Remembers the last `keep` of `values`; gaps (NaN) take the value before them.
    pub fn new(values: &[f64], keep: usize) -> Self {
        let known = || values.iter().copied().filter(|v| v.is_finite());
        let zero = known().next().unwrap_or_default();
        let unit = known().map(|v| (v - zero).abs()).fold(0.0, f64::max);
        let mut past = Self {
            zero,
            unit: if unit > 0.0 { unit } else { 1.0 },
            keep,
            values: Vec::with_capacity(2 * keep.min(values.len() + 1)),
        };
        let mut last = zero;
        let (early, late) = values.split_at(values.len().saturating_sub(keep));
        last = early
            .iter()
            .copied()
            .rfind(|v| v.is_finite())
            .unwrap_or(last);
        for value in late {
            last = if value.is_finite() { *value } else { last };
            past.push(last);
        }
        past
    }

    /// Takes the next value.
    pub fn push(&mut self, value: f64) {
        let kept = ((value - self.zero) / self.unit).clamp(-KEPT_LIMIT, KEPT_LIMIT);
        // Rounding to single precision is meant.
        #[allow(clippy::cast_possible_truncation)]
        self.remember(kept as f32);
    }

    /// Takes the next value; a gap takes the one before it.
    pub(crate) fn take(&mut self, observed: Option<f64>) {
        match observed {
            Some(value) => self.push(value),
            None => self.remember(self.values.last().copied().unwrap_or_default()),
        }
    }

    fn remember(&mut self, kept: f32) {
        if self.values.len() >= 2 * self.keep.max(1) {
            let surplus = self.values.len() - self.keep.max(1) + 1;
            self.values.drain(..surplus);
        }
        self.values.push(kept);
    }

    /// Whether it may be what [`Past::new`] and [`Past::push`] make: all of it is numbers.
    pub(crate) fn is_sound(&self) -> bool {
        self.zero.is_finite()
            && self.unit.is_finite()
            && self.unit > 0.0
            && self.values.iter().all(|value| value.is_finite())
    }

    /// The last `count` values, or as many as there are, as they are kept.
    pub(super) fn last(&self, count: usize) -> &[f32] {
        &self.values[self.values.len().saturating_sub(count)..]
    }

    /// What is kept, in the unit of the series.
    pub(super) fn value(&self, kept: f32) -> f64 {
        self.zero + self.unit * f64::from(kept)
    }
}

/// The usual lags for a series with `seasons` (in steps, rising; none for a series without).
pub fn usual_lags(seasons: &[usize]) -> Vec<usize> {
    let mut lags = vec![1, 2, 3, 4];
    if let Some(&day) = seasons.first() {
        lags.extend([
            day - 1,
            day,
            day + 1,
            2 * day - 1,
            2 * day,
            2 * day + 1,
            3 * day,
        ]);
    }
    if let [day, week, ..] = *seasons {
        lags.extend([week - day, week - 1, week, week + 1]);
    }
    lags.retain(|lag| (1..=LONGEST_LAG).contains(lag));
    lags.sort_unstable();
    lags.dedup();
    lags
}

impl SparseAr {
    /// Fits `shape` to `history` (gaps are NaN), with variances for up to `reach` steps.
    ///
    /// `None` where there is too little history for so many lags, where a logarithm is asked for of
    /// what is not always positive, where nothing varies, where lags do not rise from 1, or where the result would explode.
    pub fn fit(history: &[f64], shape: &Shape, reach: usize) -> Option<Self> {
        if !shape.lags.is_sorted() || shape.lags.first() == Some(&0) {
            return None;
        }
        let z = transformed(history, shape.scale)?;
        let range = finite_range(&z)?;
        let worked: Vec<f64> = match shape.difference {
            0 => z,
            by => z
                .iter()
                .skip(by)
                .zip(&z)
                .map(|(now, then)| now - then)
                .collect(),
        };
        let fit = regress(&worked, &shape.lags, shape.difference == 0)?;
        let (lags, coefficients) = multiplied_out(&shape.lags, &fit.coefficients, shape.difference);
        let mut model = Self {
            name: name(shape),
            scale: shape.scale,
            lags,
            coefficients,
            intercept: fit.intercept,
            variance: fit.variance.max(VARIANCE_FLOOR),
            range,
            growth: Vec::new(),
        };
        model.growth = model.growth(reach.max(1))?;
        Some(model)
    }

    /// Whether its parts fit together.
    pub fn is_sound(&self) -> bool {
        !self.lags.is_empty()
            && self.lags[0] >= 1
            && self.lags.is_sorted()
            && self.lags.len() == self.coefficients.len()
            && !self.growth.is_empty()
            && self.range.0 <= self.range.1
    }

    /// Its name.
    pub fn describe(&self) -> &str {
        &self.name
    }

    /// How many past values it needs.
    pub fn memory(&self) -> usize {
        self.lags.last().map_or(1, |lag| usize::from(*lag))
    }

    /// Mean and variance at each of `steps` (rising) after the last value of `past`. `path` is scratch.
    pub fn predict(&self, past: &Past, steps: &[u32], path: &mut Vec<f64>, out: &mut [Moments]) {
        let reach = steps.last().map_or(0, |step| *step as usize);
        let (low, high) = self.recall(past, reach, path);
        let memory = path.len();
        path.resize(memory + reach, self.intercept);
        // The values at lags beyond the reach are known already, for all steps at once.
        let near = self.lags.partition_point(|lag| usize::from(*lag) < reach);
        let (known, ahead) = path.split_at_mut(memory);
        let (far_lags, far_coefficients) = (&self.lags[near..], &self.coefficients[near..]);
        for (lag, coefficient) in far_lags.iter().zip(far_coefficients).rev() {
            for (next, value) in ahead.iter_mut().zip(&known[memory - usize::from(*lag)..]) {
                *next += coefficient * value;
            }
        }
        let (lags, coefficients) = (&self.lags[..near], &self.coefficients[..near]);
        for now in memory..memory + reach {
            let mut next = path[now];
            // The newest value comes last: all else can be added up while it is still being worked out.
            for (lag, coefficient) in lags.iter().zip(coefficients).rev() {
                next += coefficient * path[now - usize::from(*lag)];
            }
            path[now] = next.clamp(low, high);
        }
        for (step, moments) in steps.iter().zip(out) {
            let index = (*step).max(1) as usize - 1;
            let centre = path[memory + index];
            let grown = self.growth[index.min(self.growth.len() - 1)];
            let variance = self.variance * f64::from(grown).powi(2);
            *moments = match self.scale {
                Scale::Linear => Moments {
                    mean: centre,
                    variance: variance.max(VARIANCE_FLOOR),
                },
                Scale::Logarithmic => {
                    let mean = centre.exp();
                    Moments {
                        mean,
                        variance: (mean * mean * variance.min(LOG_VARIANCE_MAX))
                            .max(VARIANCE_FLOOR),
                    }
                }
            };
        }
    }

    /// Puts the last values (as many as the memory is long) into `path`, on the scale of the recursion: those
    /// that the next `reach` steps look back at. Gives the bounds of means.
    fn recall(&self, past: &Past, reach: usize, path: &mut Vec<f64>) -> (f64, f64) {
        let memory = self.memory();
        let recent = past.last(memory);
        let on_scale = self.on_scale();
        let scaled = |value: f32| on_scale(past.value(value));
        path.clear();
        path.resize(memory, 0.5 * (self.range.0 + self.range.1));
        let before = memory - recent.len();
        let mut done = before;
        for lag in self.lags.iter().rev().map(|lag| usize::from(*lag)) {
            let from = done.max(memory - lag);
            let until = memory.min(memory - lag + reach);
            for index in from..until {
                path[index] = scaled(recent[index - before]);
            }
            done = done.max(until);
        }
        let (low, high) = range_of(recent);
        self.bounds(scaled(low), scaled(high))
    }

    /// A value of the series on the scale of the recursion. Where logarithms are taken, what is far below the
    /// history counts as little.
    pub(super) fn on_scale(&self) -> impl Fn(f64) -> f64 + use<> {
        let scale = self.scale;
        let least = self.range.0.exp() * 1e-3;
        move |value| match scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(least).ln(),
        }
    }

    /// Takes other coefficients, unless shocks would grow without bound by them.
    pub(super) fn revise(&mut self, coefficients: Vec<f64>, intercept: f64) {
        let before = std::mem::replace(&mut self.coefficients, coefficients);
        match self.growth(self.growth.len()) {
            Some(growth) if intercept.is_finite() => {
                (self.growth, self.intercept) = (growth, intercept);
            }
            Some(_) | None => self.coefficients = before,
        }
    }

    /// How far a mean may go on the scale of the recursion: where the series has been, lately between `lowest` and
    /// `highest`, and with a season a little further. An autoregression that is nearly a random walk finds its mean by
    /// extrapolation, far from anything seen, and would run towards it with confidence. Going where the series
    /// never was is for the trending models, which first ask for evidence.
    fn bounds(&self, lowest: f64, highest: f64) -> (f64, f64) {
        let (low, high) = (self.range.0.min(lowest), self.range.1.max(highest));
        let beyond = if self.memory() > SEASONAL_FROM {
            BEYOND * (high - low)
        } else {
            0.0
        };
        (low - beyond, high + beyond)
    }

    /// The growth of the standard deviation; `None` where shocks grow without bound.
    #[allow(clippy::cast_possible_truncation)] // Single precision is enough for a width.
    fn growth(&self, reach: usize) -> Option<Vec<f32>> {
        let mut psi: Vec<f64> = Vec::with_capacity(reach);
        let mut sum = 0.0;
        let mut growth = Vec::with_capacity(reach);
        for step in 0..reach {
            let response: f64 = if step == 0 {
                1.0
            } else {
                let lags = self.lags.iter().zip(&self.coefficients);
                lags.take_while(|(lag, _)| usize::from(**lag) <= step)
                    .map(|(lag, b)| b * psi[step - usize::from(*lag)])
                    .sum()
            };
            if response.is_nan() || response.abs() > EXPLOSIVE {
                return None;
            }
            // A root beyond the unit circle shows in a response that keeps growing.
            if step > 16
                && self.memory() <= SEASONAL_FROM
                && response.abs() > 1.05 * psi[step / 2].abs().max(1.0)
            {
                return None;
            }
            psi.push(response);
            sum += response * response;
            growth.push(sum.sqrt() as f32);
        }
        Some(growth)
    }
}

/// The range of `values`; what is no number has no part in it.
fn range_of(values: &[f32]) -> (f32, f32) {
    let lower = |a: f32, b: f32| if b < a { b } else { a };
    let higher = |a: f32, b: f32| if b > a { b } else { a };
    (
        outermost(values, f32::INFINITY, lower),
        outermost(values, f32::NEG_INFINITY, higher),
    )
}

/// Folds `values` into one. Eight at once, which do not wait for each other.
fn outermost(values: &[f32], first: f32, further: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 8;
    let mut folded = [first; LANES];
    let (lanes, rest) = values.as_chunks::<LANES>();
    for some in lanes {
        for lane in 0..LANES {
            folded[lane] = further(folded[lane], some[lane]);
        }
    }
    let all = folded.into_iter().chain(rest.iter().copied());
    all.fold(first, further)
}

fn name(shape: &Shape) -> String {
    let base = match shape.scale {
        Scale::Linear => "ar",
        Scale::Logarithmic => "log-ar",
    };
    let longest = shape.lags.last().copied().unwrap_or_default();
    match shape.difference {
        0 => format!("{base}({} lags to {longest})", shape.lags.len()),
        by => format!(
            "{base}({} lags to {longest}, difference {by})",
            shape.lags.len()
        ),
    }
}

pub(super) fn transformed(history: &[f64], scale: Scale) -> Option<Vec<f64>> {
    match scale {
        Scale::Linear => Some(history.to_vec()),
        Scale::Logarithmic => history
            .iter()
            .map(|v| {
                if v.is_finite() && *v <= 0.0 {
                    None
                } else {
                    Some(v.ln())
                }
            })
            .collect(),
    }
}

/// The least and the greatest of what is finite.
pub(crate) fn finite_range(values: &[f64]) -> Option<(f64, f64)> {
    values
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .fold(None, |range, v| {
            Some(range.map_or((v, v), |(low, high): (f64, f64)| (low.min(v), high.max(v))))
        })
}

/// `(1 - L^D)(1 - sum b L^l)`, multiplied out to coefficients on the values.
fn multiplied_out(lags: &[usize], coefficients: &[f64], difference: usize) -> (Vec<u16>, Vec<f64>) {
    let mut all = std::collections::BTreeMap::new();
    for (lag, b) in lags.iter().zip(coefficients) {
        *all.entry(*lag).or_insert(0.0) += b;
        if difference > 0 {
            *all.entry(lag + difference).or_insert(0.0) -= b;
        }
    }
    if difference > 0 {
        *all.entry(difference).or_insert(0.0) += 1.0;
    }
    all.into_iter()
        .map(|(lag, b)| (u16::try_from(lag).unwrap_or(u16::MAX), b))
        .unzip()
}

struct Regression {
    coefficients: Vec<f64>,
    intercept: f64,
    variance: f64,
}

/// Ridge regression of `z(t)` on its lags, over all `t` where nothing is missing; round a mean or round 0.
#[allow(clippy::cast_precision_loss)] // Counts of rows are far below 2^52.
fn regress(z: &[f64], lags: &[usize], round_mean: bool) -> Option<Regression> {
    let longest = *lags.last()?;
    if longest + LONGEST_LAG.min(longest) + 1 > usize::from(u16::MAX) {
        return None;
    }
    let known: Vec<f64> = z.iter().copied().filter(|v| v.is_finite()).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let centre = if round_mean { mean } else { 0.0 };
    let spread = (known.iter().map(|v| (v - centre).powi(2)).sum::<f64>()
        / known.len().max(1) as f64)
        .sqrt();
    if !(spread > 1e-12 * mean.abs() && spread.is_finite() && spread > 0.0) {
        return None;
    }
    let scaled: Vec<f64> = z.iter().map(|v| (v - centre) / spread).collect();
    let width = lags.len() + 1;
    let mut normal = vec![0.0; width * width];
    let mut target = vec![0.0; width];
    let mut row = vec![1.0; width];
    let mut rows = 0_usize;
    for t in longest..scaled.len() {
        let value = scaled[t];
        let mut sum = value;
        for (slot, lag) in row.iter_mut().zip(lags) {
            *slot = scaled[t - lag];
            sum += *slot;
        }
        if sum.is_nan() {
            continue;
        }
        rows += 1;
        for i in 0..width {
            target[i] += row[i] * value;
            let (head, line) = (row[i], &mut normal[i * width..=i * width + i]);
            for (slot, other) in line.iter_mut().zip(&row) {
                *slot += head * other;
            }
        }
    }
    if rows < ROWS_PER_COEFFICIENT * width {
        return None;
    }
    for i in 0..lags.len() {
        normal[i * width + i] += RIDGE * rows as f64;
    }
    if !round_mean {
        // No constant: its equation reads "nothing".
        normal[lags.len() * width..].fill(0.0);
        normal[width * width - 1] = 1.0;
        target[lags.len()] = 0.0;
    }
    let solution = solve(normal, target, width)?;
    let (coefficients, constant) = solution.split_at(lags.len());
    let mut squares = 0.0;
    for t in longest..scaled.len() {
        let said: f64 = lags
            .iter()
            .zip(coefficients)
            .map(|(l, b)| b * scaled[t - l])
            .sum();
        let error = scaled[t] - said - constant[0];
        if !error.is_nan() {
            squares += error * error;
        }
    }
    let total: f64 = coefficients.iter().sum();
    Some(Regression {
        coefficients: coefficients.to_vec(),
        intercept: constant[0] * spread + centre * (1.0 - total),
        variance: squares / (rows - width) as f64 * spread * spread,
    })
}

/// Solves `A x = b` for a symmetric positive definite `A` given by its lower triangle (Cholesky).
pub(super) fn solve(mut a: Vec<f64>, mut b: Vec<f64>, width: usize) -> Option<Vec<f64>> {
    for i in 0..width {
        for j in 0..=i {
            let mut sum = a[i * width + j];
            for k in 0..j {
                sum -= a[i * width + k] * a[j * width + k];
            }
            if i == j {
                if sum.is_nan() || sum <= 0.0 {
                    return None;
                }
                a[i * width + i] = sum.sqrt();
            } else {
                a[i * width + j] = sum / a[j * width + j];
            }
        }
    }
    for i in 0..width {
        for k in 0..i {
            b[i] -= a[i * width + k] * b[k];
        }
        b[i] /= a[i * width + i];
    }
    for i in (0..width).rev() {
        for k in i + 1..width {
            b[i] -= a[k * width + i] * b[k];
        }
        b[i] /= a[i * width + i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use proptest::prelude::*;

    fn linear(lags: &[usize]) -> Shape {
        Shape {
            lags: lags.to_vec(),
            difference: 0,
            scale: Scale::Linear,
        }
    }

    fn forecast(model: &SparseAr, history: &[f64], steps: &[u32]) -> Vec<Moments> {
        let past = Past::new(history, model.memory());
        let mut out = vec![Moments::default(); steps.len()];
        model.predict(&past, steps, &mut Vec::new(), &mut out);
        out
    }

    fn autoregression(seed: u64, count: usize) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut values = vec![0.0, 0.0];
        for t in 2..count {
            values.push(1.2 * values[t - 1] - 0.5 * values[t - 2] + random.normal());
        }
        values
    }

    #[test]
    fn coefficients_and_noise_of_an_autoregression_are_found() {
        let model = SparseAr::fit(&autoregression(1, 4000), &linear(&[1, 2]), 8).unwrap();
        assert!((model.coefficients[0] - 1.2).abs() < 0.05, "{model:?}");
        assert!((model.coefficients[1] + 0.5).abs() < 0.05, "{model:?}");
        assert!((model.variance - 1.0).abs() < 0.06, "{model:?}");
        // psi = 1, 1.2, 0.94, ... by hand.
        let grown = f64::from(model.growth[2]).powi(2);
        assert!((grown - (1.0 + 1.44 + 0.94 * 0.94)).abs() < 0.2, "{grown}");
    }

    #[test]
    fn a_line_without_noise_is_continued_by_its_differences() {
        let line: Vec<f64> = (0..200)
            .map(|i| 3.0 + 0.5 * f64::from(i % 7) + f64::from(i))
            .collect();
        let shape = Shape {
            difference: 7,
            ..linear(&[1])
        };
        // Without a constant the differences, which are all alike, are carried on by their own lag; but
        // not to where the series has never been.
        let model = SparseAr::fit(&line, &shape, 14).unwrap();
        let said = forecast(&model, &line, &[7]);
        let highest = line.iter().copied().fold(f64::MIN, f64::max);
        assert!((said[0].mean - highest).abs() < 1e-3, "{said:?}");
    }

    #[test]
    fn on_the_logarithmic_scale_widths_are_shares_of_the_value() {
        let mut random = Random::new(3);
        let mut value = 100.0_f64;
        let grown: Vec<f64> = (0..300)
            .map(|_| {
                value *= (0.01 + 0.01 * random.normal()).exp();
                value
            })
            .collect();
        let shape = Shape {
            difference: 1,
            scale: Scale::Logarithmic,
            lags: vec![1],
        };
        let model = SparseAr::fit(&grown, &shape, 50).unwrap();
        let said = forecast(&model, &grown, &[1, 50]);
        let shares: Vec<f64> = said.iter().map(|m| m.variance.sqrt() / m.mean).collect();
        // Steps of 0.01 +- 0.01 round 0 are 0.014 each, less what the last one tells of the next.
        assert!((0.008..0.018).contains(&shares[0]), "{shares:?}");
        assert!(shares[1] > 5.0 * shares[0], "{shares:?}");
        let negative: Vec<f64> = grown.iter().map(|v| 150.0 - v).collect();
        assert_eq!(SparseAr::fit(&negative, &shape, 50), None);
    }

    #[test]
    fn too_little_history_and_a_constant_are_refused() {
        assert_eq!(SparseAr::fit(&[1.0; 500], &linear(&[1, 2]), 8), None);
        assert_eq!(
            SparseAr::fit(&autoregression(4, 8), &linear(&[1, 2]), 8),
            None
        );
        assert_eq!(SparseAr::fit(&[f64::NAN; 100], &linear(&[1]), 8), None);
        assert_eq!(SparseAr::fit(&[], &linear(&[1]), 8), None);
    }

    #[test]
    fn usual_lags_stay_within_reason() {
        assert_eq!(usual_lags(&[]), [1, 2, 3, 4]);
        assert!(usual_lags(&[24, 168]).contains(&169));
        assert!(usual_lags(&[2]).iter().all(|lag| *lag >= 1));
        assert!(
            usual_lags(&[1440, 10_080])
                .iter()
                .all(|lag| *lag <= LONGEST_LAG)
        );
    }

    proptest! {
        #[test]
        fn forecasts_are_finite_whatever_was_seen(
            history in proptest::collection::vec(
                prop_oneof![
                    4 => -5.0_f64..5.0,
                    1 => Just(f64::NAN),
                    1 => -1e15_f64..1e15,
                    1 => Just(1e-300),
                    1 => Just(0.0),
                ],
                0..120,
            ),
            difference in 0_usize..3,
            logarithmic in any::<bool>(),
        ) {
            let scale = if logarithmic { Scale::Logarithmic } else { Scale::Linear };
            let shape = Shape { lags: vec![1, 2, 5], difference, scale };
            if let Some(model) = SparseAr::fit(&history, &shape, 30) {
                for moments in forecast(&model, &history, &[1, 7, 30]) {
                    prop_assert!(moments.mean.is_finite() && moments.variance.is_finite());
                    prop_assert!(moments.variance >= VARIANCE_FLOOR);
                }
            }
        }

        #[test]
        fn shift_and_scale_of_the_series_are_those_of_the_forecast(
            seed in 0_u64..50,
            shift in -1e3_f64..1e3,
            scale in 1e-3_f64..1e3,
        ) {
            let values = autoregression(seed, 120);
            let moved: Vec<f64> = values.iter().map(|v| shift + scale * v).collect();
            let shape = linear(&[1, 2, 3]);
            let (a, b) = (
                SparseAr::fit(&values, &shape, 12).unwrap(),
                SparseAr::fit(&moved, &shape, 12).unwrap(),
            );
            let (a, b) = (forecast(&a, &values, &[1, 12]), forecast(&b, &moved, &[1, 12]));
            // The past is kept in single precision.
            let unit = scale + 1e-6 * shift.abs();
            for (a, b) in a.iter().zip(&b) {
                prop_assert!((shift + scale * a.mean - b.mean).abs() < 1e-3 * unit);
                prop_assert!((scale * scale * a.variance / b.variance - 1.0).abs() < 1e-6);
            }
        }

        #[test]
        fn the_past_keeps_what_was_pushed(count in 1_usize..200, keep in 1_usize..40) {
            let values: Vec<f64> = (0..count).map(|i| f64::from(u32::try_from(i).unwrap() % 17)).collect();
            let (first, rest) = values.split_at(count / 2 + 1);
            let mut past = Past::new(first, keep);
            rest.iter().for_each(|value| past.push(*value));
            let kept: Vec<f64> = past.last(keep).iter().map(|v| past.value(*v)).collect();
            let expected = &values[count.saturating_sub(keep.min(kept.len()))..];
            prop_assert!(kept.len() >= keep.min(count));
            for (a, b) in kept.iter().zip(expected) {
                prop_assert!((a - b).abs() < 1e-4, "{kept:?} {expected:?}");
            }
        }
    }
}
