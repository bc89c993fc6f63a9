//! Seasonal ARIMA models `(p,d,q)(P,D,Q)_s` by exact maximum likelihood, for one given order
//! ([`Arima::fit`]) or for the order found best ([`Arima::auto`]).
//!
//! ```text
//! phi(B) Phi(B^s) (w_t - mean) = theta(B) Theta(B^s) e_t,   w_t = (1 - B)^d (1 - B^s)^D y_t
//! phi(B) = 1 - sum phi_i B^i,   theta(B) = 1 + sum theta_i B^i,   e_t normal with `variance`
//! ```
//!
//! Sources: Box and Jenkins (1976) for the models; Harvey (1989) and Durbin and Koopman (2012) for
//! the likelihood by Kalman filter; Hyndman and Khandakar (2008) for the search; each file names what
//! else it takes. Log-likelihood and forecasts equal those of statsmodels' SARIMAX at the same
//! parameters (`tests/arima_golden.rs`):
//! - without gaps, `simple_differencing=True`: the density of the differenced series. The mean is a
//!   regressor; SARIMAX's `trend="c"` intercept is `mean * phi(1) Phi(1)`.
//! - with gaps, `use_exact_diffuse=True` on the series as it is, less the `-log(2 pi)/2` that
//!   statsmodels counts for each of the `d + s D` values that start the filter.
//!
//! Invariants: a gap is a step without an update, never a made-up value; coefficients are stationary
//! and invertible; with too few data for an order a simpler one is fitted, down to white noise.
//! Left out on purpose: regressors, Box-Cox transformations, lags left out in between.

mod auto;
mod differencing;
mod double;
mod estimate;
mod likelihood;
mod order;
mod polynomial;
mod problem;
mod small;
mod start;
mod state;

use serde::{Deserialize, Serialize};

pub use auto::Limits;
pub use order::{LAGS_MAX, Order, SEASON_MAX};

use super::{Fitted, Moments, VARIANCE_FLOOR};
use crate::VALUE_LIMIT;
use estimate::{Cleaned, Estimate, estimate};
use small::real;
use state::{Before, DIFFUSE_VARIANCE, Dynamics, State};

/// The furthest step that is worked out one by one; from there on mean and spread go on as between the
/// last two. Bounds the time of a forecast.
const AHEAD_MAX: u32 = 1 << 12;
/// Nothing that is predicted is larger.
const PREDICTED_MAX: f64 = 1e100;

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// The history has no finite value.
    #[error("the history has no finite value")]
    Empty,
    /// The gaps leave a value unknown from which the series is built up.
    #[error("the gaps leave a start value unknown")]
    Unknown,
    /// Coefficients are not as many as the order has.
    #[error("there are not as many coefficients as the order has")]
    Count,
    /// The coefficients are not stationary, or the variance is not positive.
    #[error("the parameters are not those of a stationary process")]
    NotStationary,
}

/// The parameters of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// `phi_1..phi_p`.
    pub ar: Vec<f64>,
    /// `theta_1..theta_q`.
    pub ma: Vec<f64>,
    /// `Phi_1..Phi_P`.
    pub seasonal_ar: Vec<f64>,
    /// `Theta_1..Theta_Q`.
    pub seasonal_ma: Vec<f64>,
    /// The mean of the differenced series, in the unit of the series; zero without a constant.
    pub mean: f64,
    /// The variance of the innovations.
    pub variance: f64,
}

/// A fitted ARIMA model with its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arima {
    dynamics: Dynamics,
    /// The coefficients, as [`Order::split`] cuts them.
    coefficients: Box<[f64]>,
    variance: f64,
    log_likelihood: f64,
    /// How many values the likelihood is of.
    scored: usize,
    state: State,
}

impl Arima {
    /// Fits one order by exact maximum likelihood, or the next simpler ones if there are too few data.
    ///
    /// # Errors
    /// Only if the history has no finite value.
    pub fn fit(history: &[f64], order: Order) -> Result<Self, FitError> {
        let cleaned = Cleaned::new(history).ok_or(FitError::Empty)?;
        Self::fit_cleaned(&cleaned, order)
    }

    fn fit_cleaned(cleaned: &Cleaned, order: Order) -> Result<Self, FitError> {
        let mut next = Some(order);
        while let Some(order) = next {
            let fitted = estimate(cleaned, order).and_then(|e| Self::assemble(cleaned, e));
            if let Some(fitted) = fitted {
                return Ok(fitted);
            }
            next = order.simpler();
        }
        Err(FitError::Empty)
    }

    /// Finds differences and lags by itself: see [`Limits`] for how far it looks. `season` is the
    /// number of steps after which the series may repeat.
    ///
    /// The innovation variance of the result is corrected for the number of coefficients.
    ///
    /// # Errors
    /// Only if the history has no finite value.
    pub fn auto(history: &[f64], season: Option<usize>, limits: &Limits) -> Result<Self, FitError> {
        let cleaned = Cleaned::new(history).ok_or(FitError::Empty)?;
        let found = auto::search(&cleaned, season, limits);
        let order = found.as_ref().map_or(Order::new(0, 1, 0), |e| e.order);
        let fitted = found.and_then(|e| Self::assemble(&cleaned, e));
        let mut fitted = match fitted {
            Some(fitted) => fitted,
            None => Self::fit_cleaned(&cleaned, order)?,
        };
        let freedom = fitted
            .scored
            .saturating_sub(fitted.order().parameters() - 1);
        if freedom > 0 {
            fitted.variance *= real(fitted.scored) / real(freedom);
        }
        Ok(fitted)
    }

    /// Takes the parameters as they are given and runs the filter over the history.
    ///
    /// # Errors
    /// If the history has no finite value or too few for the differences, or if the parameters are not
    /// as many as the order has, or not those of a stationary process.
    pub fn with_parameters(
        history: &[f64],
        order: Order,
        parameters: &Parameters,
    ) -> Result<Self, FitError> {
        let cleaned = Cleaned::new(history).ok_or(FitError::Empty)?;
        let given = [
            &parameters.ar,
            &parameters.ma,
            &parameters.seasonal_ar,
            &parameters.seasonal_ma,
        ];
        let flat: Vec<f64> = given.into_iter().flatten().copied().collect();
        let lengths = order
            .split(&vec![0.0; order.coefficients()])
            .map(<[f64]>::len);
        if given.map(Vec::len) != lengths {
            return Err(FitError::Count);
        }
        let usable = flat.iter().all(|c| c.is_finite()) && parameters.mean.is_finite();
        if !usable || !parameters.variance.is_finite() || parameters.variance <= 0.0 {
            return Err(FitError::NotStationary);
        }
        let dynamics = Dynamics::new(order, &flat, parameters.mean);
        State::start(&dynamics, Before::Diffuse(0.0)).ok_or(FitError::NotStationary)?;
        if cleaned.observed <= order.lost() {
            return Err(FitError::Unknown);
        }
        let estimate = Estimate {
            order,
            flat,
            mean: parameters.mean,
            variance: parameters.variance,
            log_likelihood: f64::NAN,
        };
        Self::assemble(&cleaned, estimate).ok_or(FitError::Unknown)
    }

    /// Runs the filter over the history. `None` if gaps leave some value of the start unknown.
    fn assemble(cleaned: &Cleaned, estimate: Estimate) -> Option<Self> {
        let dynamics = Dynamics::new(estimate.order, &estimate.flat, estimate.mean);
        let variance = estimate.variance.max(VARIANCE_FLOOR);
        let lost = if cleaned.is_gapped() {
            0
        } else {
            estimate.order.lost()
        };
        let (known, values) = cleaned.values.split_at_checked(lost)?;
        let before = if cleaned.is_gapped() {
            Before::Diffuse(cleaned.values[0])
        } else {
            Before::Known(known)
        };
        let mut state = State::start(&dynamics, before)?;
        let (mut squares, mut log_determinant, mut scored) = (0.0, 0.0, 0);
        for &value in values {
            if value.is_nan() {
                state.skip(&dynamics, None);
                continue;
            }
            let innovation = state.observe(&dynamics, value, None);
            if innovation.variance < DIFFUSE_VARIANCE {
                squares += innovation.value * innovation.value / innovation.variance;
                log_determinant += innovation.variance.ln();
                scored += 1;
            }
        }
        if state.is_diffuse() {
            return None;
        }
        for _ in 0..cleaned.trailing {
            state.skip(&dynamics, None);
        }
        state.shrink();
        let log_likelihood = if estimate.log_likelihood.is_finite() {
            estimate.log_likelihood
        } else {
            let constant = real(scored) * (std::f64::consts::TAU * variance).ln();
            -0.5 * (constant + log_determinant + squares / variance)
        };
        Some(Self {
            dynamics,
            coefficients: estimate.flat.into_boxed_slice(),
            variance,
            log_likelihood,
            scored,
            state,
        })
    }

    /// The order, which may be simpler than the one asked for.
    pub fn order(&self) -> Order {
        self.dynamics.order
    }

    /// The parameters.
    pub fn parameters(&self) -> Parameters {
        let [ar, ma, seasonal_ar, seasonal_ma] =
            self.order().split(&self.coefficients).map(<[f64]>::to_vec);
        Parameters {
            ar,
            ma,
            seasonal_ar,
            seasonal_ma,
            mean: self.dynamics.mean,
            variance: self.variance,
        }
    }

    /// The log-likelihood of the history it was fitted to.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Akaike's criterion corrected for few data (Hurvich and Tsai 1989), of the history it was fitted
    /// to, counting coefficients, mean and variance; infinite if there are hardly more data than those.
    pub fn aicc(&self) -> f64 {
        aicc(self.log_likelihood, self.order().parameters(), self.scored)
    }

    /// Makes the state small where exactness may give way: goes on with the steady filter at once
    /// instead of when the start is forgotten, which takes a seasonal model tens of seasons. What is
    /// still unsure of the state, beyond the innovations to come, then counts as certain. Returns the
    /// share by which the next step's variance is too small for that.
    pub fn make_steady(&mut self) -> f64 {
        let excess = self.state.excess(&self.dynamics);
        self.state.forget_spread();
        excess / (1.0 + excess)
    }

    /// Bytes that it takes, heap included.
    pub fn bytes(&self) -> usize {
        let polynomials = 2 * self.order().dimension() * size_of::<f64>();
        size_of::<Self>() + polynomials + size_of_val(&*self.coefficients) + self.state.heap_bytes()
    }
}

/// Akaike's corrected criterion; infinite where it is not defined.
fn aicc(log_likelihood: f64, parameters: usize, scored: usize) -> f64 {
    if scored <= parameters + 1 {
        return f64::INFINITY;
    }
    let k = real(parameters);
    -2.0 * log_likelihood + 2.0 * k + 2.0 * k * (k + 1.0) / (real(scored) - k - 1.0)
}

impl Fitted for Arima {
    fn describe(&self) -> String {
        self.order().to_string()
    }

    fn update(&mut self, observed: Option<f64>) {
        match observed.filter(|x| x.is_finite()) {
            Some(value) => {
                let value = value.clamp(-VALUE_LIMIT, VALUE_LIMIT);
                self.state.observe(&self.dynamics, value, None);
            }
            None => self.state.skip(&self.dynamics, None),
        }
    }

    fn predict(&self, steps: &[u32], out: &mut [Moments]) {
        let near = steps.partition_point(|s| *s <= AHEAD_MAX);
        let moments = |mean: f64, variance: f64| Moments {
            mean: mean.clamp(-PREDICTED_MAX, PREDICTED_MAX),
            variance: (variance * self.variance).clamp(VARIANCE_FLOOR, PREDICTED_MAX),
        };
        self.state
            .foresee(&self.dynamics, &steps[..near], |index, mean, variance| {
                out[index] = moments(mean, variance);
            });
        if near == steps.len() {
            return;
        }
        let mut last = [(0.0, 0.0); 2];
        let ends = [AHEAD_MAX - 1, AHEAD_MAX];
        self.state
            .foresee(&self.dynamics, &ends, |index, mean, variance| {
                last[index] = (mean, variance);
            });
        for (step, moment) in steps.iter().zip(out).skip(near) {
            let further = f64::from(step - AHEAD_MAX);
            let along = |a: f64, b: f64| b + (b - a) * further;
            *moment = moments(along(last[0].0, last[1].0), along(last[0].1, last[1].1));
        }
    }
}
