//! What may sit in the committee: every kind of fitted model behind one name.

use serde::{Deserialize, Serialize};

use crate::models::arima::Arima;
use crate::models::ets::Ets;
use crate::models::mstl::Mstl;
use crate::models::seasonal_naive::SeasonalNaive;
use crate::models::sparse_ar::{Past, SparseAr};
use crate::models::theta::Theta;
use crate::models::{Fitted, Moments};

/// A fitted model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Member {
    /// Continues the committee's shared past.
    Autoregression(SparseAr),
    /// The value of a season ago.
    SeasonalNaive(SeasonalNaive),
    /// Exponential smoothing.
    Ets(Box<Ets>),
    /// The theta method.
    Theta(Box<Theta>),
    /// Autoregression and moving average of differences.
    Arima(Box<Arima>),
    /// Several seasons taken off one by one.
    Mstl(Box<Mstl>),
}

impl Member {
    /// Its name with the order found.
    pub fn describe(&self) -> String {
        match self {
            Self::Autoregression(model) => model.describe().to_owned(),
            Self::SeasonalNaive(model) => model.describe(),
            Self::Ets(model) => model.describe(),
            Self::Theta(model) => model.describe(),
            Self::Mstl(model) => model.describe(),
            Self::Arima(model) => model.describe(),
        }
    }

    /// Lets one step go by. Those that continue the shared past have nothing of their own to update.
    pub(super) fn update(&mut self, observed: Option<f64>) {
        match self {
            Self::Autoregression(_) => {}
            Self::SeasonalNaive(model) => model.update(observed),
            Self::Ets(model) => model.update(observed),
            Self::Theta(model) => model.update(observed),
            Self::Mstl(model) => model.update(observed),
            Self::Arima(model) => model.update(observed),
        }
    }

    /// Past values it needs in the shared memory.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Autoregression(model) => model.memory(),
            Self::SeasonalNaive(_)
            | Self::Ets(_)
            | Self::Theta(_)
            | Self::Mstl(_)
            | Self::Arima(_) => 0,
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
            Self::SeasonalNaive(model) => model.predict(steps, out),
            Self::Ets(model) => model.predict(steps, out),
            Self::Theta(model) => model.predict(steps, out),
            Self::Mstl(model) => model.predict(steps, out),
            Self::Arima(model) => model.predict(steps, out),
        }
    }
}
