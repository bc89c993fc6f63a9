//! A network as it is stored: versioned, with a digest that tells a damaged one.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::network::{Network, Sizes};
use super::{Architecture, ArchitectureError};

/// The version that this build writes and reads.
pub const VERSION: u32 = 1;
/// No weight of a network that was trained in earnest is near this; beyond it answers lose all digits.
const WEIGHT_MAX: f32 = 1e4;

/// What a network was trained on, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// How many series there were.
    pub series: u64,
    /// How many values they had, gaps included.
    pub values: u64,
    /// After how many training steps these weights were best.
    pub steps: u64,
    /// Of the start weights and the mini-batches.
    pub seed: u64,
}

/// A stored network. Any format of `serde` will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// [`VERSION`] of the build that wrote it.
    pub version: u32,
    /// What the network looks like.
    pub architecture: Architecture,
    /// What it was trained on.
    pub trained_on: TrainedOn,
    /// Mean pinball loss on the later part of the series, in units of their own movement.
    pub validation_loss: f32,
    /// The weights.
    pub weights: Vec<f32>,
    /// Digest of architecture and weights.
    pub digest: u64,
}

/// Why a checkpoint is refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CheckpointError {
    /// Another build wrote it.
    #[error("checkpoint has version {found}; this build reads version {VERSION}")]
    Version {
        /// The version it has.
        found: u32,
    },
    /// What it describes cannot be built.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Weights are missing or too many.
    #[error("checkpoint has {found} weights where its architecture has {due}")]
    Shape {
        /// How many there are.
        found: usize,
        /// How many there should be.
        due: usize,
    },
    /// A weight is not a number of a sensible size.
    #[error("weight {index} of the checkpoint is not a number of a sensible size")]
    Weight {
        /// Which one.
        index: usize,
    },
    /// Something was changed after it was written.
    #[error("checkpoint is damaged: its digest does not match")]
    Digest,
}

impl Checkpoint {
    /// Stores a network with what is known of its training.
    pub fn new(network: &Network, trained_on: TrainedOn, validation_loss: f32) -> Self {
        Self {
            version: VERSION,
            architecture: network.architecture().clone(),
            trained_on,
            validation_loss,
            weights: network.weights().to_vec(),
            digest: network.fingerprint(),
        }
    }

    /// The network, if it is whole.
    pub fn network(&self) -> Result<Network, CheckpointError> {
        if self.version != VERSION {
            return Err(CheckpointError::Version {
                found: self.version,
            });
        }
        self.architecture.check()?;
        let due = Sizes::new(&self.architecture).parameters();
        let found = self.weights.len();
        if found != due {
            return Err(CheckpointError::Shape { found, due });
        }
        let fits = |weight: &f32| weight.abs() <= WEIGHT_MAX;
        if let Some(index) = self.weights.iter().position(|w| !fits(w)) {
            return Err(CheckpointError::Weight { index });
        }
        if self.digest != digest(&self.architecture, &self.weights) {
            return Err(CheckpointError::Digest);
        }
        Ok(Network::new(
            self.architecture.clone(),
            self.weights.clone(),
        ))
    }
}

/// FNV-1a (Fowler, Noll and Vo) over 32-bit words: finds damage, proves no origin.
pub(crate) fn digest(architecture: &Architecture, weights: &[f32]) -> u64 {
    let sizes = [architecture.hidden, architecture.horizons.len()];
    let sizes = sizes.map(|size| u32::try_from(size).unwrap_or(u32::MAX));
    let words = sizes
        .into_iter()
        .chain(architecture.horizons.iter().copied());
    words
        .chain(weights.iter().map(|w| w.to_bits()))
        .fold(0xcbf2_9ce4_8422_2325, |hash, word| {
            (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3)
        })
}
