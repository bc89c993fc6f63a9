//! What may sit in the committee: every kind of fitted model behind one name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::lstm::{Network, Slot};
use crate::models::adaptive_ar::AdaptiveAr;
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
    /// The network of all series; silent while it waits for one.
    Lstm(Box<Slot>),
    /// Continues the shared past by coefficients that follow it.
    Adaptive(Box<AdaptiveAr>),
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
            Self::Adaptive(model) => model.describe(),
            Self::Lstm(slot) => slot
                .model()
                .map_or_else(|| "LSTM".to_owned(), Fitted::describe),
        }
    }

    /// Lets one step go by; `past` is what came before it. Those that only continue the shared past have nothing of
    /// their own to update.
    pub(super) fn update(&mut self, observed: Option<f64>, past: &Past) {
        match self {
            Self::Autoregression(_) => {}
            Self::SeasonalNaive(model) => model.update(observed),
            Self::Ets(model) => model.update(observed),
            Self::Theta(model) => model.update(observed),
            Self::Mstl(model) => model.update(observed),
            Self::Arima(model) => model.update(observed),
            Self::Adaptive(model) => model.update(observed, past),
            Self::Lstm(slot) => {
                if let Some(model) = slot.model_mut() {
                    model.update(observed);
                }
            }
        }
    }

    /// Past values it needs in the shared memory.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Autoregression(model) => model.memory(),
            Self::Adaptive(model) => model.memory(),
            Self::SeasonalNaive(_)
            | Self::Ets(_)
            | Self::Theta(_)
            | Self::Mstl(_)
            | Self::Arima(_)
            | Self::Lstm(_) => 0,
        }
    }

    /// Whether it can forecast. One that cannot must not be asked.
    pub(super) fn speaks(&self) -> bool {
        match self {
            Self::Lstm(slot) => slot.model().is_some(),
            Self::Autoregression(_)
            | Self::SeasonalNaive(_)
            | Self::Ets(_)
            | Self::Theta(_)
            | Self::Arima(_)
            | Self::Mstl(_)
            | Self::Adaptive(_) => true,
        }
    }

    /// Puts one that waits for `network` to work. Another network's memory is no use to it.
    pub(super) fn wake(&mut self, network: &Arc<Network>) {
        if let Self::Lstm(slot) = self
            && slot.state().belongs_to(network)
        {
            slot.attach(network);
        }
    }

    /// Whether its parts fit together, as far as a state that passed its checksum can be doubted.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Autoregression(model) => model.is_sound(),
            Self::Adaptive(model) => model.is_sound(),
            Self::SeasonalNaive(_)
            | Self::Ets(_)
            | Self::Theta(_)
            | Self::Mstl(_)
            | Self::Arima(_)
            | Self::Lstm(_) => true,
        }
    }

    /// What it says at each of `steps`. `out` is untouched if it does not speak.
    pub(super) fn predict(
        &self,
        past: &Past,
        steps: &[u32],
        path: &mut Vec<f64>,
        out: &mut [Moments],
    ) {
        match self {
            Self::Autoregression(model) => model.predict(past, steps, path, out),
            Self::Adaptive(model) => model.predict(past, steps, path, out),
            Self::SeasonalNaive(model) => model.predict(steps, out),
            Self::Ets(model) => model.predict(steps, out),
            Self::Theta(model) => model.predict(steps, out),
            Self::Mstl(model) => model.predict(steps, out),
            Self::Arima(model) => model.predict(steps, out),
            Self::Lstm(slot) => {
                if let Some(model) = slot.model() {
                    model.predict(steps, out);
                }
            }
        }
    }
}
