//! The exact Gaussian likelihood of a differenced series without gaps, in time linear in the order.
//!
//! The state space is Harvey's (1989, section 3.3) with stationary start; the variance of the
//! innovations is concentrated out, and so is the mean (generalised least squares: innovations are
//! linear in it). Instead of the covariance matrix, the Chandrasekhar recursions (Morf, Sidhu and
//! Kailath 1974; as in Herbst 2015, equations 12 to 15) carry its rank-one increments: O(r) per step
//! instead of O(r^2). Once the increments have died out the filter is steady (Durbin and Koopman
//! 2012, section 4.3.4).
//!
//! Equal to: statsmodels `SARIMAX(..., simple_differencing=True, concentrate_scale=True)`, and to
//! R's `arima(method = "ML")`, with the mean as a regressor.

use super::order::Order;
use super::polynomial::{Autocovariances, expand};
use super::small::{dot, real};

/// The increments of the covariance count as died out below this, in units of the innovation variance.
const STEADY: f64 = 1e-12;
/// The largest variance of the process, in units of that of its innovations: from it the recursions
/// subtract down to one, and so lose as many digits.
const SPREAD_MAX: f64 = 1e10;
/// The least variance of an innovation, on a scale where the differenced series has unit variance.
const VARIANCE_LEAST: f64 = 1e-24;

/// What the likelihood of some coefficients is, with mean and variance at their best.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Likelihood {
    /// The log-likelihood.
    pub(super) log: f64,
    /// The innovation variance.
    pub(super) variance: f64,
    /// The mean of the differenced series.
    pub(super) mean: f64,
}

/// Sums that a filter has gathered, from which mean, variance and likelihood follow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// How many innovations were scored.
    pub(super) scored: usize,
    /// The sum of `log F_t`, the innovation variances in units of the steady one.
    pub(super) log_determinant: f64,
}

/// Where the standardised innovations go: those of the series, and what a unit of mean takes off each.
#[derive(Debug, Default)]
pub(super) struct Innovations {
    /// `v_t / sqrt(F_t)` at mean zero.
    pub(super) series: Vec<f64>,
    /// The same of a series of ones; empty without a constant.
    pub(super) ones: Vec<f64>,
}

impl Innovations {
    /// Concentrates mean and variance out. Leaves `series` at the best mean, times
    /// `exp(log_determinant / 2n)`: then minus `n/2` times the logarithm of its sum of squares is the
    /// likelihood but for a constant, which is what least squares can work on.
    pub(super) fn concentrate(&mut self, sums: &Sums) -> Likelihood {
        let mut mean = 0.0;
        if !self.ones.is_empty() {
            let weight = dot(&self.ones, &self.ones);
            if weight > 0.0 {
                mean = dot(&self.ones, &self.series) / weight;
                for (v, one) in self.series.iter_mut().zip(&self.ones) {
                    *v -= mean * one;
                }
            }
        }
        let n = real(sums.scored.max(1));
        let variance = dot(&self.series, &self.series) / n;
        // Not by `max`, which would make something of what is not a number.
        let variance = if variance < VARIANCE_LEAST {
            VARIANCE_LEAST
        } else {
            variance
        };
        let scale = (sums.log_determinant / (2.0 * n)).exp();
        for v in &mut self.series {
            *v *= scale;
        }
        Likelihood {
            log: -0.5
                * (n * ((std::f64::consts::TAU * variance).ln() + 1.0) + sums.log_determinant),
            variance,
            mean,
        }
    }
}

/// Room for the filter, used again and again.
#[derive(Debug, Default)]
pub(super) struct Filter {
    phi: Vec<f64>,
    theta: Vec<f64>,
    column: Vec<f64>,
    autocovariances: Autocovariances,
}

impl Filter {
    /// Runs the filter with the coefficients `flat` over the differenced `series`. `None` if they are
    /// not stationary.
    pub(super) fn run(
        &mut self,
        order: &Order,
        flat: &[f64],
        series: &[f64],
        out: &mut Innovations,
    ) -> Option<Sums> {
        expand(order, flat, &mut self.phi, &mut self.theta);
        self.autocovariances.first_column(
            (&self.phi, &self.theta),
            (order.ar_degree(), order.ma_degree()),
            &mut self.column,
        )?;
        if self.column[0] > SPREAD_MAX {
            return None;
        }
        out.series.clear();
        out.series.extend_from_slice(series);
        out.ones.clear();
        if order.constant {
            out.ones.resize(series.len(), 1.0);
        }
        let log_determinant = match order.dimension() {
            1 => self.sized::<1>(out),
            2 => self.sized::<2>(out),
            3 => self.sized::<3>(out),
            4 => self.sized::<4>(out),
            5 => self.sized::<5>(out),
            6 => self.sized::<6>(out),
            r => {
                let zeros = || vec![0.0; r];
                self.recursions(out, zeros)
            }
        };
        log_determinant.is_finite().then_some(Sums {
            scored: series.len(),
            log_determinant,
        })
    }

    /// The recursions with a dimension known to the compiler, so that the state stays in registers.
    fn sized<const R: usize>(&self, out: &mut Innovations) -> f64 {
        self.recursions(out, || [0.0; R])
    }

    /// Turns `out` from observations into standardised innovations. Returns the sum of `log F_t`.
    #[inline(always)]
    fn recursions<S: AsRef<[f64]> + AsMut<[f64]>>(
        &self,
        out: &mut Innovations,
        zeros: impl Fn() -> S,
    ) -> f64 {
        let (mut phi, mut theta, mut gain, mut increment) = (zeros(), zeros(), zeros(), zeros());
        phi.as_mut().copy_from_slice(&self.phi);
        theta.as_mut().copy_from_slice(&self.theta);
        let (phi, theta) = (phi.as_ref(), theta.as_ref());
        shift(phi, &self.column, gain.as_mut());
        increment.as_mut().copy_from_slice(gain.as_ref());
        let (gain, increment) = (gain.as_mut(), increment.as_mut());
        let (mut state, mut state_ones) = (zeros(), zeros());
        let (mut f, mut product, mut log_sum) = (self.column[0], 1.0_f64, 0.0);
        let mut scale = -1.0 / f; // M_t, the (negative) weight of the increment.
        let steps = out.series.len();
        let with_ones = !out.ones.is_empty();
        let mut t = 0;
        while t < steps {
            if t % 4 == 0 && f - 1.0 < 1e-9 && is_spent(increment, scale) {
                break;
            }
            // One division and one root per step: they would take longer than all the rest.
            let inverse = f.recip();
            let root = inverse.sqrt();
            out.series[t] = filter_step(phi, gain, inverse, out.series[t], state.as_mut()) * root;
            if with_ones {
                let ones = filter_step(phi, gain, inverse, out.ones[t], state_ones.as_mut());
                out.ones[t] = ones * root;
            }
            product *= f;
            if !(1e-100..1e100).contains(&product) {
                log_sum += product.ln();
                product = 1.0;
            }
            f = advance(phi, gain, increment, &mut scale, (f, inverse));
            t += 1;
        }
        // Steady: F = 1 and the gain is phi + theta.
        steady(phi, theta, state.as_mut(), &mut out.series[t..]);
        if with_ones {
            steady(phi, theta, state_ones.as_mut(), &mut out.ones[t..]);
        }
        log_sum + product.ln()
    }
}

/// `out = T x` for the companion matrix `T`: `out_i = phi_i x_0 + x_{i+1}`.
#[inline(always)]
fn shift(phi: &[f64], x: &[f64], out: &mut [f64]) {
    let r = phi.len();
    for i in 0..r {
        out[i] = phi[i] * x[0] + if i + 1 < r { x[i + 1] } else { 0.0 };
    }
}

/// One step of the Kalman filter: returns the innovation and predicts the next state.
#[inline(always)]
fn filter_step(phi: &[f64], gain: &[f64], inverse: f64, observed: f64, state: &mut [f64]) -> f64 {
    let r = phi.len();
    let first = state[0];
    let innovation = observed - first;
    let weighed = innovation * inverse;
    for i in 0..r - 1 {
        state[i] = state[i + 1] + phi[i] * first + gain[i] * weighed;
    }
    state[r - 1] = phi[r - 1] * first + gain[r - 1] * weighed;
    innovation
}

/// Chandrasekhar: takes gain and increment one step on and returns the new innovation variance.
#[inline(always)]
fn advance(
    phi: &[f64],
    gain: &mut [f64],
    increment: &mut [f64],
    scale: &mut f64,
    (f, inverse): (f64, f64),
) -> f64 {
    let r = phi.len();
    let first = increment[0];
    let (step, next) = (*scale * first, f + *scale * first * first);
    // Rounding must not take it below that of the steady filter.
    let next = next.max(1.0);
    let part = first / next;
    for i in 0..r {
        let moved = phi[i] * first + if i + 1 < r { increment[i + 1] } else { 0.0 };
        gain[i] += step * moved;
        increment[i] = moved - gain[i] * part;
    }
    *scale *= next * inverse;
    next
}

#[inline(always)]
fn is_spent(increment: &[f64], scale: f64) -> bool {
    increment.iter().all(|w| (w * w * scale).abs() < STEADY)
}

/// The steady filter, in place: observations become innovations.
#[inline(always)]
fn steady(phi: &[f64], theta: &[f64], state: &mut [f64], series: &mut [f64]) {
    let r = phi.len();
    for value in series {
        let observed = *value;
        let innovation = observed - state[0];
        for i in 0..r - 1 {
            state[i] = state[i + 1] + phi[i] * observed + theta[i] * innovation;
        }
        state[r - 1] = phi[r - 1] * observed + theta[r - 1] * innovation;
        *value = innovation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The density of a normal vector with the given autocovariances, by Cholesky: slow and plain.
    fn plain(series: &[f64], autocovariance: impl Fn(usize) -> f64) -> f64 {
        let n = series.len();
        let mut factor = vec![vec![0.0; n]; n];
        let (mut log_determinant, mut squares) = (0.0, 0.0);
        let mut white = vec![0.0; n];
        for i in 0..n {
            for j in 0..=i {
                let done: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
                let rest: f64 = autocovariance(i - j) - done;
                factor[i][j] = if i == j {
                    rest.sqrt()
                } else {
                    rest / factor[j][j]
                };
            }
            let known: f64 = (0..i).map(|k| factor[i][k] * white[k]).sum();
            white[i] = (series[i] - known) / factor[i][i];
            log_determinant += 2.0 * factor[i][i].ln();
            squares += white[i] * white[i];
        }
        let n = real(n);
        -0.5 * (n * ((std::f64::consts::TAU * squares / n).ln() + 1.0) + log_determinant)
    }

    #[test]
    fn it_is_the_density_of_a_normal_vector() {
        let series = [0.3, -1.2, 0.7, 1.9, 0.4, -0.6, -2.0, 0.1, 0.9, 1.1];
        let (phi, theta) = (0.6, 0.3);
        let variance = (1.0 + 2.0 * phi * theta + theta * theta) / (1.0 - phi * phi);
        let first = (1.0 + phi * theta) * (phi + theta) / (1.0 - phi * phi);
        let expected = plain(&series, |h| match h {
            0 => variance,
            h => first * phi.powi(i32::try_from(h).unwrap() - 1),
        });
        let mut out = Innovations::default();
        let order = Order::new(1, 0, 1);
        let sums = Filter::default()
            .run(&order, &[phi, theta], &series, &mut out)
            .unwrap();
        let got = out.concentrate(&sums);
        assert!((got.log - expected).abs() < 1e-9, "{} {expected}", got.log);
        let least_squares = dot(&out.series, &out.series);
        let again = -0.5 * 10.0 * ((std::f64::consts::TAU * least_squares / 10.0).ln() + 1.0);
        assert!((again - expected).abs() < 1e-9);
    }

    #[test]
    fn the_seasonal_one_is_dense_but_the_same() {
        let series: Vec<f64> = (0..40).map(|i| (f64::from(i * i) * 0.37).sin()).collect();
        let order = Order::new(0, 0, 1).seasonal(0, 0, 1, 12);
        let (a, b) = (0.4, -0.5);
        let weights = [(0, 1.0), (1, a), (12, b), (13, a * b)];
        let expected = plain(&series, |h| {
            let pairs = weights
                .iter()
                .flat_map(|x| weights.iter().map(move |y| (x, y)));
            pairs
                .filter(|(x, y)| x.0 + h == y.0)
                .map(|(x, y)| x.1 * y.1)
                .sum()
        });
        let mut out = Innovations::default();
        let sums = Filter::default()
            .run(&order, &[a, b], &series, &mut out)
            .unwrap();
        let got = out.concentrate(&sums).log;
        assert!((got - expected).abs() < 1e-9, "{got} {expected}");
    }
}
