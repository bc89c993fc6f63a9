//! What came after a probe, if nothing was done: whether the deviation left some range within the horizon.
//!
//! Statements are sampled, so that all contenders are asked the same and no long calm stretch has all the
//! say: every [`EVERY`]th probe after the first [`WARM_UP`], as far as the whole horizon after it was seen.

use evenkeel_core::ids::PropertyPath;

use crate::record::Record;

/// Probes between two sampled ones.
const EVERY: usize = 10;
/// Probes before the first sampled one: by then every detector speaks.
const WARM_UP: usize = 70;

/// The outcomes over one record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcomes<'a> {
    record: &'a Record,
    horizon: f64,
}

impl<'a> Outcomes<'a> {
    /// `horizon` in seconds.
    pub(crate) fn new(record: &'a Record, horizon: f64) -> Self {
        Self { record, horizon }
    }

    /// Whether statements at this probe are taken.
    pub(crate) fn is_sampled(&self, probe: usize) -> bool {
        probe >= WARM_UP && probe.is_multiple_of(EVERY)
    }

    /// The number of a property in the record.
    pub(crate) fn property(&self, path: &PropertyPath) -> Option<usize> {
        self.record
            .properties
            .iter()
            .position(|property| property.path == *path)
    }

    /// Whether the deviation reaches the limit within the horizon after a probe. `None` where it is there
    /// already, was not read, or the horizon was not seen to its end.
    pub(crate) fn reaches_limit(&self, probe: usize, property: usize) -> Option<bool> {
        let now = self.record.row(probe)[property];
        if now.is_nan() || now.abs() >= 1.0 {
            return None;
        }
        self.any_after(probe, property, |deviation| deviation.abs() >= 1.0)
    }

    /// Whether the deviation is outside `[-lower, upper]` at some probe within the horizon. `None` where the
    /// horizon was not seen to its end.
    pub(crate) fn leaves(
        &self,
        probe: usize,
        property: usize,
        lower: f64,
        upper: f64,
    ) -> Option<bool> {
        self.any_after(probe, property, |deviation| {
            deviation > upper || deviation < -lower
        })
    }

    fn any_after(
        &self,
        probe: usize,
        property: usize,
        holds: impl Fn(f64) -> bool,
    ) -> Option<bool> {
        let until = self.record.at[probe] + self.horizon;
        let after = (probe + 1..self.record.at.len())
            .take_while(|later| self.record.at[*later] <= until)
            // Another baseline: the statement was about the old one.
            .take_while(|later| !self.record.recentred.contains(later));
        for later in after {
            if holds(self.record.row(later)[property]) {
                return Some(true);
            }
        }
        let recentred = self
            .record
            .recentred
            .iter()
            .any(|r| *r > probe && self.record.at[*r] <= until);
        (self.record.end() >= until && !recentred).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn what_came_within_the_horizon_counts_and_nothing_else() {
        let mut values = [0.0; 100];
        values[50] = 1.2;
        values[60] = -0.4;
        let record = record(60.0, &[&values]);
        let outcomes = Outcomes::new(&record, 600.0);
        assert_eq!(outcomes.reaches_limit(40, 0), Some(true), "at its very end");
        assert_eq!(outcomes.reaches_limit(39, 0), Some(false));
        assert_eq!(outcomes.reaches_limit(50, 0), None, "it is there");
        assert_eq!(outcomes.reaches_limit(51, 0), Some(false));
        assert_eq!(outcomes.leaves(51, 0, 0.3, 9.0), Some(true));
        assert_eq!(outcomes.leaves(51, 0, 0.4, 9.0), Some(false));
        assert_eq!(outcomes.leaves(89, 0, 0.1, 0.1), Some(false));
        assert_eq!(
            outcomes.leaves(90, 0, 0.1, 0.1),
            None,
            "its end was not seen"
        );
    }

    #[test]
    fn a_new_baseline_ends_what_can_be_told() {
        let mut record = record(60.0, &[&[0.0; 40]]);
        record.recentred.push(20);
        let outcomes = Outcomes::new(&record, 600.0);
        assert_eq!(outcomes.reaches_limit(9, 0), Some(false));
        assert_eq!(outcomes.reaches_limit(10, 0), None);
        assert_eq!(outcomes.reaches_limit(20, 0), Some(false));
    }
}
