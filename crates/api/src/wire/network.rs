//! The networks that forecast all numeric properties of a kind of resource.

use serde::{Deserialize, Serialize};

use super::Rfc3339;

words! {
    /// What is done about a network.
    NetworkStage {
        /// Nothing: networks are not asked for.
        Off = "off",
        /// It waits for series with enough history.
        Waiting = "waiting",
        /// It is being trained; one that was trained before is in force meanwhile.
        Training = "training",
        /// It is in force.
        Ready = "ready",
    }
}

/// The network of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The kind of resource: `service`, `files`.
    pub kind: String,
    /// What is done about it.
    pub stage: NetworkStage,
    /// While it waits: how many series have enough history.
    pub series: Option<u64>,
    /// While it waits: how many there have to be.
    pub series_needed: Option<u64>,
    /// While it is trained: the share of the training steps that are made at most, 0 to 1.
    pub done: Option<f64>,
    /// What is in force.
    pub trained: Option<TrainedNetwork>,
}

/// A network in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedNetwork {
    /// When its training ended.
    pub at: Rfc3339,
    /// On how many series.
    pub series: u64,
    /// With how many values.
    pub values: u64,
    /// After how many training steps it was best.
    pub steps: u64,
    /// Mean pinball loss on the later part of the series, in units of their own movement.
    pub validation_loss: f64,
}
