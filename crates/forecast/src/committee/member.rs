//! What may sit in the committee: every kind of fitted model behind one name.

use serde::{Deserialize, Serialize};

use crate::models::Moments;
use crate::models::sparse_ar::{Past, SparseAr};

/// A fitted model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Member {
    /// Continues the committee's shared past.
    Autoregression(SparseAr),
}

impl Member {
    /// Its name with the order found.
    pub fn describe(&self) -> String {
        match self {
            Self::Autoregression(model) => model.describe().to_owned(),
        }
    }

    /// Lets one step go by. Those that continue the shared past have nothing of their own to update.
    pub(super) fn update(&mut self, _observed: Option<f64>) {
        match self {
            Self::Autoregression(_) => {}
        }
    }

    /// Past values it needs in the shared memory.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Autoregression(model) => model.memory(),
        }
    }

    pub(super) fn predict(
        &self,
        past: &Past,
        steps: &[u32],
        path: &mut Vec<f64>,
        out: &mut [Moments],
    ) {
        match self {
            Self::Autoregression(model) => model.predict(past, steps, path, out),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Autoregression(model) => model.heap_bytes(),
        }
    }
}
