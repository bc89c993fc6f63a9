//! Coefficients that are near the best ones, at little cost.
//!
//! First Hannan and Rissanen (1982): a long autoregression gives innovations, and a regression on
//! lagged values and innovations gives coefficients. The sums of that regression are shared by all
//! orders. Then Gauss-Newton on the conditional sum of squares (Box and Jenkins 1976, chapter 7), with
//! exact slopes: each is one of four filtered series, lagged.
//!
//! Works on a differenced series without gaps; the exact likelihood has the last word (`problem`).

use super::order::{COEFFICIENTS_MAX, Order};
use super::polynomial::{draw_in, reaches};
use super::small::{dot, real, solve};

/// No start is nearer to a unit root than this.
const REACH: f64 = 0.9999;
/// Where what Hannan and Rissanen give is drawn in to.
const REACH_FIRST: f64 = 0.98;

/// The regression of Hannan and Rissanen for every order up to a largest one.
#[derive(Debug)]
pub(super) struct Regression {
    /// Lags of the values, then of the innovations, of the largest order.
    lags: Vec<usize>,
    /// How many of them are of the values.
    of_values: usize,
    season: usize,
    /// Sums of products: of every regressor with those up to it, and last of the target.
    products: Vec<f64>,
    enough: bool,
}

impl Regression {
    /// Prepares all orders up to `largest` for the differenced and centred `series`.
    pub(super) fn new(series: &[f64], largest: &Order) -> Self {
        let season = usize::from(largest.season);
        let lags = |regular: u8, seasonal: u8| {
            let seasons = (1..=usize::from(seasonal)).map(move |j| j * season);
            (1..=usize::from(regular)).chain(seasons)
        };
        let mut all: Vec<usize> = lags(largest.p, largest.seasonal_p).collect();
        let of_values = all.len();
        all.extend(lags(largest.q, largest.seasonal_q));
        let n = series.len();
        let long = long_order(n, largest);
        let from = long + all.iter().copied().max().unwrap_or(0);
        let mut regression = Self {
            lags: all,
            of_values,
            season,
            products: Vec::new(),
            enough: n > from + 2 * largest.coefficients() + 2,
        };
        if regression.enough {
            let innovations = long_innovations(series, long);
            regression.multiply(series, &innovations, from);
        }
        regression
    }

    fn multiply(&mut self, series: &[f64], innovations: &[f64], from: usize) {
        let n = series.len();
        let count = self.lags.len();
        let column = |k: usize| {
            let source = if k < self.of_values {
                series
            } else {
                innovations
            };
            &source[from - self.lags[k]..n - self.lags[k]]
        };
        for i in 0..count {
            for j in 0..=i {
                self.products.push(dot(column(i), column(j)));
            }
        }
        for i in 0..count {
            self.products.push(dot(column(i), &series[from..]));
        }
    }

    /// Coefficients to begin with.
    pub(super) fn coefficients(&self, order: &Order, flat: &mut [f64]) {
        flat.fill(0.0);
        if !self.enough {
            return;
        }
        let count = flat.len();
        let mut which = [0; COEFFICIENTS_MAX];
        let mut at = 0;
        let mut choose = |number: u8, step: usize, values: bool| {
            for lag in (1..=usize::from(number)).map(|i| i * step) {
                let range = if values {
                    0..self.of_values
                } else {
                    self.of_values..self.lags.len()
                };
                let found = range.clone().find(|&k| self.lags[k] == lag);
                which[at] = found.unwrap_or(range.start);
                at += 1;
            }
        };
        choose(order.p, 1, true);
        choose(order.q, 1, false);
        choose(order.seasonal_p, self.season, true);
        choose(order.seasonal_q, self.season, false);
        let product = |i: usize, j: usize| {
            let (i, j) = (i.max(j), i.min(j));
            self.products[i * (i + 1) / 2 + j]
        };
        let mut normal = [0.0; COEFFICIENTS_MAX * COEFFICIENTS_MAX];
        let normal = &mut normal[..count * count];
        for i in 0..count {
            for j in 0..=i {
                normal[i * count + j] = product(which[i], which[j]);
            }
            flat[i] = product(self.lags.len(), which[i]);
        }
        solve(normal, flat);
        for (part, sign) in order
            .split_mut(flat)
            .into_iter()
            .zip([1.0, -1.0, 1.0, -1.0])
        {
            draw_in(part, sign, REACH_FIRST);
        }
    }
}

/// The order of the long autoregression: more than any lag that matters, and a quarter of the data at
/// most.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A small positive number.
fn long_order(n: usize, largest: &Order) -> usize {
    let usual = real(n.max(2)).ln().powf(1.5) as usize;
    let seasonal = if largest.season > 1 {
        usize::from(largest.season) + 2
    } else {
        0
    };
    usual.max(seasonal).min(n / 4)
}

/// The innovations of an autoregression of order `long`, by Yule-Walker; zero before it can begin.
fn long_innovations(series: &[f64], long: usize) -> Vec<f64> {
    let n = series.len();
    let gamma: Vec<f64> = (0..=long)
        .map(|h| dot(&series[h..], &series[..n - h]))
        .collect();
    let mut phi = vec![0.0; long];
    let mut variance = gamma[0];
    for k in 0..long {
        if variance <= 1e-12 * gamma[0] {
            break;
        }
        let known: f64 = (0..k).map(|j| phi[j] * gamma[k - j]).sum();
        let last = (gamma[k + 1] - known) / variance;
        for j in 0..k.div_ceil(2) {
            let (front, back) = (phi[j], phi[k - 1 - j]);
            phi[j] = front - last * back;
            phi[k - 1 - j] = back - last * front;
        }
        phi[k] = last;
        variance *= 1.0 - last * last;
    }
    let mut innovations = series.to_vec();
    innovations[..long].fill(0.0);
    for (j, f) in phi.iter().enumerate() {
        let past = &series[long - 1 - j..n - 1 - j];
        for (e, x) in innovations[long..].iter_mut().zip(past) {
            *e -= f * x;
        }
    }
    innovations
}

/// Room for the conditional sum of squares of one series.
#[derive(Debug, Default)]
pub(super) struct Conditional {
    /// Filtered series, by which coefficient they are the slopes of: AR, MA, seasonal AR, seasonal MA.
    slopes: [Vec<f64>; 4],
    /// The series after the moving averages, and the innovations.
    whitened: Vec<f64>,
    innovations: Vec<f64>,
}

impl Conditional {
    /// Gauss-Newton from `flat`, in place, at most `steps_max` times; ends when a step gains less than
    /// `gain_least` in log-likelihood.
    pub(super) fn descend(
        &mut self,
        series: &[f64],
        order: &Order,
        flat: &mut [f64],
        (steps_max, gain_least): (usize, f64),
    ) {
        let count = flat.len();
        let (mut trial, mut step) = ([0.0; COEFFICIENTS_MAX], [0.0; COEFFICIENTS_MAX]);
        let (trial, step) = (&mut trial[..count], &mut step[..count]);
        let from = usize::max(order.ar_degree(), order.ma_degree());
        if count == 0 || series.len() < from + 2 * count + 2 {
            return;
        }
        let scored = real(series.len() - from);
        let mut best = self.squares(series, order, flat, from);
        for _ in 0..steps_max {
            self.step(order, step, from);
            let mut share = 1.0;
            let before = best;
            for _ in 0..4 {
                for ((t, c), s) in trial.iter_mut().zip(flat.iter()).zip(step.iter()) {
                    *t = c + share * s;
                }
                if is_inside(order, trial) {
                    let reached = self.squares(series, order, trial, from);
                    if reached < best {
                        best = reached;
                        flat.copy_from_slice(trial);
                        break;
                    }
                }
                share *= 0.4;
            }
            // Negated so that what is not a number ends it, too.
            let gained = 0.5 * scored * (before / best).ln() >= gain_least;
            if !gained {
                return;
            }
        }
    }

    /// The conditional sum of squares at `flat`; leaves the innovations and what the slopes are made of.
    fn squares(&mut self, series: &[f64], order: &Order, flat: &[f64], from: usize) -> f64 {
        let [ar, ma, seasonal_ar, seasonal_ma] = order.split(flat);
        let season = usize::from(order.season);
        let [of_ar, of_ma, of_seasonal_ar, of_seasonal_ma] = &mut self.slopes;
        let whitened = &mut self.whitened;
        divide(series, ma, whitened);
        divide_seasonal(whitened, seasonal_ma, season);
        multiply(whitened, seasonal_ar, season, of_ar);
        if !seasonal_ar.is_empty() {
            multiply(whitened, ar, 1, of_seasonal_ar);
        }
        multiply(of_ar, ar, 1, &mut self.innovations);
        if !ma.is_empty() {
            divide(&self.innovations, ma, of_ma);
        }
        if !seasonal_ma.is_empty() {
            of_seasonal_ma.clear();
            of_seasonal_ma.extend_from_slice(&self.innovations);
            divide_seasonal(of_seasonal_ma, seasonal_ma, season);
        }
        let scored = &self.innovations[from..];
        dot(scored, scored)
    }

    /// The Gauss-Newton step from where [`Self::squares`] was last.
    fn step(&self, order: &Order, step: &mut [f64], from: usize) {
        let count = step.len();
        let n = self.innovations.len();
        let season = usize::from(order.season);
        let lags = [
            (order.p, 1),
            (order.q, 1),
            (order.seasonal_p, season),
            (order.seasonal_q, season),
        ];
        let mut columns: [&[f64]; COEFFICIENTS_MAX] = [&[]; COEFFICIENTS_MAX];
        let mut at = 0;
        for ((number, unit), slope) in lags.into_iter().zip(&self.slopes) {
            for lag in (1..=usize::from(number)).map(|i| i * unit) {
                columns[at] = &slope[from - lag..n - lag];
                at += 1;
            }
        }
        let mut normal = [0.0; COEFFICIENTS_MAX * COEFFICIENTS_MAX];
        let normal = &mut normal[..count * count];
        for i in 0..count {
            for j in 0..=i {
                normal[i * count + j] = dot(columns[i], columns[j]);
            }
            step[i] = dot(columns[i], &self.innovations[from..]);
        }
        solve(normal, step);
    }
}

fn is_inside(order: &Order, flat: &[f64]) -> bool {
    order
        .split(flat)
        .into_iter()
        .zip([1.0, -1.0, 1.0, -1.0])
        .all(|(part, sign)| reaches(part, sign, REACH))
}

/// `out = series / (1 + sum c_i B^i)`, with zeros before the start.
fn divide(series: &[f64], coefficients: &[f64], out: &mut Vec<f64>) {
    out.clear();
    match *coefficients {
        [] => out.extend_from_slice(series),
        [a] => recur(series, [a], out),
        [a, b] => recur(series, [a, b], out),
        [a, b, c] => recur(series, [a, b, c], out),
        [a, b, c, d] => recur(series, [a, b, c, d], out),
        [a, b, c, d, e] => recur(series, [a, b, c, d, e], out),
        _ => {
            let mut all = [0.0; super::order::LAGS_MAX as usize];
            all[..coefficients.len()].copy_from_slice(coefficients);
            recur(series, all, out);
        }
    }
}

fn recur<const Q: usize>(series: &[f64], coefficients: [f64; Q], out: &mut Vec<f64>) {
    let mut past = [0.0; Q];
    out.extend(series.iter().map(|x| {
        // The newest value goes in last, so that little has to wait for it.
        let mut value = *x;
        for i in (0..Q).rev() {
            value -= coefficients[i] * past[i];
        }
        past.copy_within(0..Q - 1, 1);
        past[0] = value;
        value
    }));
}

/// The same with lags that are multiples of the season, in place.
fn divide_seasonal(series: &mut [f64], coefficients: &[f64], season: usize) {
    if coefficients.is_empty() {
        return;
    }
    for t in season..series.len() {
        let past: f64 = coefficients
            .iter()
            .enumerate()
            .map_while(|(j, c)| Some(c * series[t.checked_sub((j + 1) * season)?]))
            .sum();
        series[t] -= past;
    }
}

/// `out = (1 - sum c_i B^(i unit)) series`, with zeros before the start.
fn multiply(series: &[f64], coefficients: &[f64], unit: usize, out: &mut Vec<f64>) {
    out.clear();
    out.extend_from_slice(series);
    for (i, c) in coefficients.iter().enumerate() {
        let lag = ((i + 1) * unit).min(series.len());
        for (o, x) in out[lag..].iter_mut().zip(series) {
            *o -= c * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arma(n: u32) -> Vec<f64> {
        let mut shocks = vec![0.0; 2];
        let mut values = vec![0.0; 2];
        let mut random = crate::testing::Random::new(3);
        for _ in 0..n {
            shocks.push(random.normal());
            let t = shocks.len() - 1;
            values
                .push(0.5 * values[t - 1] - 0.4 * values[t - 2] + shocks[t] + 0.6 * shocks[t - 1]);
        }
        values
    }

    #[test]
    fn both_stages_come_near_the_coefficients_that_made_the_series() {
        let series = arma(4000);
        let order = Order::new(2, 0, 1);
        let mut flat = [0.0; 3];
        Regression::new(&series, &Order::new(3, 0, 3)).coefficients(&order, &mut flat);
        let truth = [0.5, -0.4, 0.6];
        for (got, want) in flat.iter().zip(truth) {
            assert!((got - want).abs() < 0.1, "{flat:?}");
        }
        Conditional::default().descend(&series, &order, &mut flat, (10, 1e-6));
        for (got, want) in flat.iter().zip(truth) {
            assert!((got - want).abs() < 0.06, "{flat:?}");
        }
    }

    #[test]
    fn a_descent_never_raises_the_sum_of_squares() {
        let series = arma(300);
        let order = Order::new(1, 0, 1).seasonal(1, 0, 1, 5);
        let mut work = Conditional::default();
        let mut flat = [0.3, 0.3, 0.3, 0.3];
        let mut last = work.squares(&series, &order, &flat, 6);
        for _ in 0..5 {
            work.descend(&series, &order, &mut flat, (1, 0.0));
            let next = work.squares(&series, &order, &flat, 6);
            assert!(next <= last);
            last = next;
        }
    }

    #[test]
    fn too_few_data_give_zeros() {
        let mut flat = [1.0; 2];
        Regression::new(&[1.0, 2.0, 0.5], &Order::new(1, 0, 1))
            .coefficients(&Order::new(1, 0, 1), &mut flat);
        assert_eq!(flat, [0.0; 2]);
    }
}
