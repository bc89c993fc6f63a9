//! (types first; the decision follows)

use serde::{Deserialize, Serialize};

use crate::guard::GuardCheck;
use crate::outlook::PropertyOutlook;

/// Why a decision came out as it did: an enum for programs and tests, a sentence for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing breaches.
    Quiet,
}

/// Everything a decision was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// How it came out.
    pub reason: Reason,
    /// The properties that mattered, most urgent first.
    pub outlooks: Vec<PropertyOutlook>,
    /// What every guard said.
    pub guards: Vec<GuardCheck>,
}
