//! Whether the daemon is there.

use serde::{Deserialize, Serialize};

use super::{Network, Rfc3339};

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// How long it has run.
    pub uptime_s: f64,
    /// Since when.
    pub since: Rfc3339,
    /// Forecasting models that were fitted anew since then.
    #[serde(default)]
    pub refits: Refits,
    /// The networks that forecast all properties of a kind, by kind.
    #[serde(default)]
    pub networks: Vec<Network>,
}

/// How often forecasting models were fitted anew in the background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Refits {
    /// Fitted.
    pub done: u64,
    /// Given up for now: the history was too short, or could not be read.
    pub given_up: u64,
    /// Properties that wait for their turn.
    pub waiting: u64,
    /// The time all of it took.
    pub spent_s: f64,
}
