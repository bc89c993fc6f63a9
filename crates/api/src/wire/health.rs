//! Whether the daemon is there.

use serde::{Deserialize, Serialize};

use super::Rfc3339;

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
}
