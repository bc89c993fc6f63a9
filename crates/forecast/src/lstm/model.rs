//! One series forecast by a shared network, as a member of the pool of fitted models.
//!
//! A model cannot be without its network: it is stored as a [`State`] (which cannot speak) and becomes a
//! model again by [`LstmModel::resume`]. [`Slot`] holds either, for an owner that must be stored whole.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::head::LEVELS;
use super::network::{Network, State};
use super::track::Context;
use crate::models::{Fitted, Moments, VARIANCE_FLOOR};

/// Widths of the central 80 % and 95 % of a standard normal.
const NORMAL_80: f64 = 2.563_103_131_089_201;
const NORMAL_95: f64 = 3.919_927_969_080_108;

/// A series with its network. It has seen at least one value.
#[derive(Clone, Debug)]
pub struct LstmModel {
    network: Arc<Network>,
    state: State,
}

impl LstmModel {
    /// Runs a network over a history (NaN is a gap). `None` if there is no value in it.
    pub fn fit(network: Arc<Network>, context: Context, history: &[f64]) -> Option<Self> {
        let mut state = network.state(context);
        for value in history {
            network.update(&mut state, Some(*value));
        }
        (state.seen() > 0).then_some(Self { network, state })
    }

    /// Goes on from a stored state, with the network that made it or with a later one (see
    /// [`Network::adopt`]). `None` if the state never saw a value, or is damaged.
    pub fn resume(network: Arc<Network>, mut state: State) -> Option<Self> {
        network.adopt(&mut state);
        (state.seen() > 0).then_some(Self { network, state })
    }

    /// What is to be stored.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The network that it shares.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The quantiles at [`LEVELS`] for each of `steps`, which rise from at least 1; `out` is as long.
    pub fn quantiles(&self, steps: &[u32], out: &mut [[f64; LEVELS.len()]]) {
        let spoke = self.network.quantiles(&self.state, steps, out);
        debug_assert!(
            spoke,
            "a model has seen a value, and its state is its network's"
        );
    }
}

impl Fitted for LstmModel {
    fn describe(&self) -> String {
        format!("LSTM({})", self.network.architecture().hidden)
    }

    fn update(&mut self, observed: Option<f64>) {
        self.network.update(&mut self.state, observed);
    }

    fn predict(&self, steps: &[u32], out: &mut [Moments]) {
        let mut slots = out.iter_mut();
        self.network.each_horizon(&self.state, steps, |quantiles| {
            if let Some(slot) = slots.next() {
                *slot = moments(&quantiles);
            }
        });
    }
}

/// The normal with the same median and, on the mean of two intervals, the same width.
fn moments(quantiles: &[f64; LEVELS.len()]) -> Moments {
    let [q025, q10, _, median, _, q90, q975] = *quantiles;
    let deviation = 0.5 * ((q90 - q10) / NORMAL_80 + (q975 - q025) / NORMAL_95);
    Moments {
        mean: median,
        variance: (deviation * deviation).max(VARIANCE_FLOOR),
    }
}

/// A model that is stored without its network: what comes back from storage waits until the owner hands
/// in a network.
#[derive(Clone, Debug)]
pub enum Slot {
    /// Stored and not yet resumed: it takes no observations and says nothing.
    Waiting(State),
    /// At work.
    Ready(LstmModel),
}

impl Slot {
    /// Puts a waiting state to work. One that is at work moves to `network` if that is another one.
    /// What never saw a value stays waiting.
    pub fn attach(&mut self, network: &Arc<Network>) {
        let state = match self {
            Self::Ready(model) if Arc::ptr_eq(&model.network, network) => return,
            Self::Ready(model) => &model.state,
            Self::Waiting(state) => state,
        };
        if let Some(model) = LstmModel::resume(Arc::clone(network), state.clone()) {
            *self = Self::Ready(model);
        }
    }

    /// The state, at work or not.
    pub fn state(&self) -> &State {
        match self {
            Self::Ready(model) => &model.state,
            Self::Waiting(state) => state,
        }
    }

    /// The model, if it is at work.
    pub fn model(&self) -> Option<&LstmModel> {
        match self {
            Self::Ready(model) => Some(model),
            Self::Waiting(_) => None,
        }
    }

    /// The model to be updated, if it is at work.
    pub fn model_mut(&mut self) -> Option<&mut LstmModel> {
        match self {
            Self::Ready(model) => Some(model),
            Self::Waiting(_) => None,
        }
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Waiting(state) => state.serialize(serializer),
            Self::Ready(model) => model.state.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        State::deserialize(deserializer).map(Self::Waiting)
    }
}
