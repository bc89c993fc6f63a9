//! Regimes come and go: what the weights were in one that was left is kept, and returns with it.

use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::horizon::Anchor;
use crate::regime::Signature;

/// Observations by which an old regime is known again.
const KNOWN_AFTER: usize = 4;

/// The first observations of a regime, by which an old one is known again. Levels are values of the
/// series with its season taken off.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Arrival {
    /// The level that was left.
    left: f64,
    values: Vec<f64>,
}

impl Engine {
    /// Of the present regime, as the onset tracker knows it.
    pub(super) fn signature(&self) -> Signature {
        Signature {
            level: self.zero + self.onset.level(),
            scale: self.onset.scale(),
            season: None,
            seen: self.onset.reference_count(),
        }
    }

    /// Keeps what was learned in a regime that has ended, and looks out for an old one.
    pub(super) fn leave(&mut self, at: Timestamp, left: Signature) {
        let weights = self.anchors.iter().map(Anchor::remembered).collect();
        if self.left_committee.is_none() {
            self.left_committee.clone_from(&self.committee);
        }
        self.regimes.remember(at, left, weights);
        self.arriving = Some(Box::new(Arrival {
            left: left.level,
            values: Vec::with_capacity(KNOWN_AFTER),
        }));
    }

    /// Knows an old regime again by the first observations of the present one.
    pub(super) fn arrive(&mut self, at: Timestamp, level: f64) {
        let Some(arrival) = &mut self.arriving else {
            return;
        };
        arrival.values.push(level);
        if arrival.values.len() < KNOWN_AFTER {
            return;
        }
        let present = Signature::of(&arrival.values);
        let left = arrival.left;
        self.arriving = None;
        let recalled = present.and_then(|present| self.regimes.recall(at, &present, left));
        let Some(weights) = recalled else {
            return;
        };
        for (anchor, weights) in self.anchors.iter_mut().zip(weights) {
            anchor.recall(weights);
        }
        self.return_committee();
    }

    /// The committee is what it was before the first change; what came between is a gap to it.
    fn return_committee(&mut self) {
        if let Some(left) = self.left_committee.take() {
            self.committee = Some(left);
        }
    }

    /// The series was put back, and varies again: what was learned of it before returns, so far as it is
    /// not about where it stood.
    pub(crate) fn inherit(&mut self, before: Self) {
        let left = before.signature().level;
        self.anchors = before.anchors;
        self.anchors.iter_mut().for_each(Anchor::restart);
        self.committee = before.committee;
        self.left_committee = before.left_committee;
        self.return_committee();
        self.profile = before.profile;
        self.regimes = before.regimes;
        self.possible = before.possible;
        self.arriving = Some(Box::new(Arrival {
            left,
            values: Vec::with_capacity(KNOWN_AFTER),
        }));
    }
}
