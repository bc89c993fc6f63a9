//! Shared fate: the same property drifting on many resources at once is a rollout, not a fault of one of them.
//! Failing over all of them would spread a change that somebody makes, so it is held and alerted on.
//!
//! A resource that drifted a moment ago counts for a while ([`remembered_for`]): of a fleet that drifts
//! together the first are noticed some evaluations before the last, and a resource that was failed over drifts
//! no more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{PropertyPath, ResourceId};
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::Policy;
use crate::property::Severity;
use crate::time::Timestamp;

/// How many spans of `sustain_n` evaluations a drift is remembered for.
const SPANS_REMEMBERED: u32 = 10;

/// Nothing is kept for longer than this.
const KEPT: Duration = Duration::from_secs(86_400);

/// How long after it was last seen the drift of another resource counts.
pub fn remembered_for(policy: &Policy) -> Duration {
    (policy.sample_every * u32::from(policy.sustain_n) * SPANS_REMEMBERED).min(KEPT)
}

/// The properties whose drift is a rollout if other resources have it too: those that breach, or will, and those
/// of which a drift has come beyond the floor of the band. How much risk is tolerated says when one is
/// acted on, not whether many move alike.
pub fn drifting(policy: &Policy, outlooks: &[PropertyOutlook]) -> BTreeSet<PropertyPath> {
    let drifts = |o: &PropertyOutlook| {
        let is_far = o.onset.is_some() && o.deviation.abs() >= policy.band_floor;
        is_far || o.breach != Breach::None
    };
    outlooks
        .iter()
        .filter(|o| o.severity >= Severity::Warn && drifts(o))
        .map(|o| o.path.clone())
        .collect()
}

/// Which resource drifts in which property, and when that was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drifts(BTreeMap<PropertyPath, BTreeMap<ResourceId, Timestamp>>);

impl Drifts {
    /// Says what drifts on `resource` now.
    pub fn report(
        &mut self,
        resource: &ResourceId,
        drifting: BTreeSet<PropertyPath>,
        now: Timestamp,
    ) {
        let since = now.before(KEPT);
        self.0.retain(|_, seen| {
            seen.retain(|_, at| *at >= since);
            !seen.is_empty()
        });
        for path in drifting {
            let seen = self.0.entry(path).or_default();
            seen.insert(resource.clone(), now);
        }
    }

    /// How many resources other than `resource` drifted in each property within the last `within`; a property
    /// of which none did is left out.
    pub fn elsewhere(
        &self,
        resource: &ResourceId,
        now: Timestamp,
        within: Duration,
    ) -> BTreeMap<PropertyPath, u32> {
        let since = now.before(within);
        let counted = self.0.iter().map(|(path, seen)| {
            let others = seen
                .iter()
                .filter(|(id, at)| *id != resource && **at >= since);
            let count = u32::try_from(others.count()).unwrap_or(u32::MAX);
            (path.clone(), count)
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlook::tests::found;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_drift_is_remembered_for_ten_spans_of_sustained_evaluations_but_for_no_more_than_a_day() {
        let every = |sample_every| Policy {
            sample_every,
            sustain_n: 5,
            ..Policy::default()
        };
        assert_eq!(remembered_for(&every(MINUTE)), 50 * MINUTE);
        assert_eq!(remembered_for(&every(60 * MINUTE)), KEPT);
    }

    #[test]
    fn what_people_are_told_of_and_drifts_that_went_far_make_a_rollout() {
        let outlooks = [
            found("still", Severity::Critical, Breach::None),
            PropertyOutlook {
                onset: Some(Timestamp::from_millis(0)),
                ..found("far", Severity::Critical, Breach::None)
            },
            PropertyOutlook {
                onset: Some(Timestamp::from_millis(0)),
                deviation: -0.19,
                ..found("near", Severity::Critical, Breach::None)
            },
            found("told", Severity::Warn, Breach::Observed),
            found("critical", Severity::Critical, Breach::Observed),
            found("watched", Severity::Info, Breach::Observed),
        ];
        assert_eq!(
            drifting(&Policy::default(), &outlooks),
            ["critical", "far", "told"].map(Into::into).into()
        );
    }

    #[test]
    fn only_others_count_and_only_for_a_while() {
        let start = Timestamp::from_millis(0);
        let mut drifts = Drifts::default();
        let paths = |names: &[&str]| names.iter().map(|&n| PropertyPath::from(n)).collect();
        drifts.report(&"a".into(), paths(&["x", "y"]), start);
        drifts.report(&"b".into(), paths(&["x"]), start);
        drifts.report(&"c".into(), paths(&["x", "z"]), start + MINUTE);
        let seen = |now| drifts.elsewhere(&"a".into(), now, 2 * MINUTE);
        let at_once = seen(start + MINUTE);
        assert_eq!(at_once, [("x".into(), 2), ("z".into(), 1)].into());
        assert_eq!(seen(start + 3 * MINUTE)[&"x".into()], 1);
        assert_eq!(seen(start + 4 * MINUTE), BTreeMap::new());
        // Reporting forgets what is older than any policy remembers.
        drifts.report(&"c".into(), BTreeSet::new(), start + KEPT + 2 * MINUTE);
        assert_eq!(drifts, Drifts::default());
    }
}
