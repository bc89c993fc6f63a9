//! Models that are fitted to a stretch of history and then go on by themselves, one step at a time.
//!
//! Where the pool of [`super::Model`] learns everything as it goes and takes time as it comes, these
//! have parameters that were estimated once (and are estimated anew on evidence), and count in equal
//! steps: a sample that is missing is a gap and skips the update, never a made-up value.
//!
//! Contract, for every implementation:
//! - `update` never changes a parameter, only the state: fitting to `n` values and updating by `m` more
//!   gives the forecasts of the same parameters run over all `n + m`.
//! - What is predicted is finite, and no variance falls below [`VARIANCE_FLOOR`], whatever was seen.
//! - The same calls give the same answers: no clock, no randomness that is not seeded.

use std::fmt;

use super::Moments;

#[cfg(doc)]
use super::VARIANCE_FLOOR;

/// A fitted model of one series at equal steps.
pub trait Fitted: fmt::Debug + Send + Sync {
    /// A short name with the order it found, such as `ARIMA(2,1,1)`.
    fn describe(&self) -> String;

    /// Lets one step go by: with its observation, or with none where it is missing.
    fn update(&mut self, observed: Option<f64>);

    /// The predictive mean and variance at each of `steps` ahead of the last update. `steps` rise
    /// strictly, the first is at least 1; `out` is as long.
    fn predict(&self, steps: &[u32], out: &mut [Moments]);
}
