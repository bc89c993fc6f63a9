//! One global LSTM with a quantile head for all numeric properties of a kind of resource.
//!
//! The network is trained over many series at once (Salinas et al. 2020, DeepAR; Smyl 2020) and then
//! forecasts each by a small recursive state of its own, also a series it never saw. What a series is
//! like (scale, level, season) is kept beside the network by plain recursions; the network
//! sees only ratios to them and learns how to weigh them, and how wide the quantiles must be.
//!
//! - [`cell`]: the LSTM layer with backpropagation through time; `gemm`, `math`: its arithmetic;
//! - `track`: scale, level and season of a series, and the inputs made of them;
//! - `head`: the quantiles and their loss;
//! - [`Network`] and [`State`]: forecasting; [`LstmModel`]: the same as a [`crate::models::Fitted`];
//! - [`SharedNetwork`]: how a network reaches those who forecast by it;
//! - [`Lesson`]: a recorded history as it is learned from;
//! - [`Trainer`]: mini-batches, Adam, early stopping on a later time range; [`Checkpoint`]: what is stored.
//!
//! Left out on purpose: threads and clocks. A trainer takes one step when told, and its caller decides
//! how long and on how many threads; the weights that come out are the same bits for any number of
//! threads. Why an own cell: `docs/decisions/0008-own-lstm-cell.md`.

pub mod cell;

mod checkpoint;
mod gemm;
mod head;
mod lesson;
mod math;
mod model;
mod network;
mod part;
mod random;
mod shared;
mod track;
mod trainer;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use checkpoint::{Checkpoint, CheckpointError, TrainedOn, VERSION};
pub use head::LEVELS;
pub use lesson::Lesson;
pub use model::{LstmModel, Slot};
pub use network::{Network, State};
pub use part::{Part, Series};
pub use shared::SharedNetwork;
pub use track::{Context, SEASON_MAX, SEASONS};
pub use trainer::{Executor, Progress, Sequential, Trainer};

/// The most cells that a network may have.
pub const HIDDEN_MAX: usize = 128;
/// The most anchor horizons that a network may have.
pub const HORIZONS_MAX: usize = 16;

/// What a network looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// Cells: a multiple of 8, at most [`HIDDEN_MAX`].
    pub hidden: usize,
    /// The anchor horizons in steps, rising: 1 to [`HORIZONS_MAX`] of them. Those between interpolate.
    pub horizons: Vec<u32>,
}

impl Default for Architecture {
    fn default() -> Self {
        Self {
            hidden: 32,
            horizons: vec![1, 2, 4, 8, 16, 32, 48],
        }
    }
}

/// Why an architecture cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ArchitectureError {
    /// See [`Architecture::hidden`].
    #[error("{0} cells: must be a multiple of 8 from 8 to {HIDDEN_MAX}")]
    Hidden(usize),
    /// See [`Architecture::horizons`].
    #[error("horizons must be 1 to {HORIZONS_MAX} rising numbers of at least 1")]
    Horizons,
}

impl Architecture {
    /// Whether it can be built.
    pub fn check(&self) -> Result<(), ArchitectureError> {
        if !(8..=HIDDEN_MAX).contains(&self.hidden) || !self.hidden.is_multiple_of(8) {
            return Err(ArchitectureError::Hidden(self.hidden));
        }
        let rising = self.horizons.windows(2).all(|pair| pair[0] < pair[1]);
        let fits = (1..=HORIZONS_MAX).contains(&self.horizons.len());
        if !rising || !fits || self.horizons[0] == 0 {
            return Err(ArchitectureError::Horizons);
        }
        Ok(())
    }
}

/// How to train. Numbers out of range are brought into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What the network looks like.
    pub architecture: Architecture,
    /// Steps through which a gradient is carried back. Each lane carries its state on to the next stretch.
    pub sequence: usize,
    /// Lanes that run side by side through series drawn at random; rounded up to a multiple of 16.
    pub batch: usize,
    /// Every so many steps a forecast is scored.
    pub stride: usize,
    /// The longest that a lane stays with a series, in stretches of `sequence`.
    pub stretches_max: usize,
    /// Adam's step size at the start.
    pub learning_rate: f32,
    /// A gradient longer than this is shortened to it.
    pub clip: f32,
    /// The last share of each series, kept out of training for the validation loss.
    pub validation_share: f64,
    /// Series that are validated, spread evenly over all; rounded up to a multiple of 16.
    pub validation_series: usize,
    /// Training steps between validations.
    pub evaluate_every: u64,
    /// After so many validations without a better one the step size is halved; after the fourth halving
    /// training is finished.
    pub patience: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            sequence: 48,
            batch: 32,
            stride: 4,
            stretches_max: 32,
            learning_rate: 3e-3,
            clip: 1.0,
            validation_share: 0.2,
            validation_series: 128,
            evaluate_every: 250,
            patience: 4,
        }
    }
}
