//! What was learned, as values that survive a restart.
//!
//! A property's state is the forecaster's own bytes and the little that the watch knows beside them.
//! Invariants:
//! - What cannot be read, is of another step or horizon, or comes from the future (the machine's clock
//!   was set back) starts anew.
//! - What was learned is counted in tolerances: where a tolerance is another after the restart, the
//!   property starts anew at its first assessment.
//! - A property that never moved changes with each observation and is worth little: it is handed out to
//!   be kept once, and after that only when everything is asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Tracker, Watch};
use crate::band::Refinement;
use crate::deviation::Scale;
use crate::forecast::ForecasterFactory;
use crate::harm::Excursions;
use crate::ids::PropertyPath;
use crate::policy::Policy;
use crate::time::Timestamp;

/// What was learned of one property. Numbers only: no value of the property is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertyState {
    /// What only its forecaster understands; it names the step and the horizons too.
    forecaster: Vec<u8>,
    refinement: Refinement,
    excursions: Excursions,
    moved: bool,
    scale: Option<Scale>,
    since: Option<Timestamp>,
    last_at: Option<Timestamp>,
}

/// What was learned of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WatchState {
    /// By property. One of which nothing is worth keeping is left out.
    pub properties: BTreeMap<PropertyPath, PropertyState>,
}

/// What has to be written for the store to know as much as the watch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unsaved {
    /// What changed.
    pub changed: WatchState,
    /// What is not watched any longer.
    pub forgotten: Vec<PropertyPath>,
}

/// What became of a stored state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Properties that go on.
    pub going_on: usize,
    /// Properties that start anew.
    pub anew: usize,
}

/// How a tracker stands to what is stored of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keeping {
    /// It changed since it was handed out.
    is_unsaved: bool,
    /// It was handed out before, or comes from there.
    was_saved: bool,
    /// It comes from a store, and was not assessed since.
    is_unproved: bool,
}

impl Keeping {
    pub(super) fn changed(&mut self) {
        self.is_unsaved = true;
    }

    /// Whether what was learned under the scale `then` holds under the scale `now`. Asked at each
    /// assessment, it only doubts what was just restored.
    pub(super) fn holds_under(&mut self, then: Option<Scale>, now: Scale) -> bool {
        !std::mem::take(&mut self.is_unproved) || then.is_none_or(|then| then == now)
    }
}

impl Watch {
    /// All that was learned.
    pub fn snapshot(&self) -> WatchState {
        let states = self.trackers.iter();
        let properties =
            states.filter_map(|(path, tracker)| Some((path.clone(), tracker.state()?)));
        WatchState {
            properties: properties.collect(),
        }
    }

    /// What changed since this was last asked for, which is from then on taken as kept. Unless it is to be
    /// `thorough`, properties that never moved are left out if they were handed out before.
    pub fn take_unsaved(&mut self, thorough: bool) -> Unsaved {
        let mut unsaved = Unsaved::default();
        for (path, tracker) in &mut self.trackers {
            let is_worth_it = thorough || tracker.moved || !tracker.keeping.was_saved;
            if !tracker.keeping.is_unsaved || !is_worth_it {
                continue;
            }
            tracker.keeping.is_unsaved = false;
            tracker.keeping.was_saved = true;
            if let Some(state) = tracker.state() {
                unsaved.changed.properties.insert(path.clone(), state);
            }
        }
        let forgotten = std::mem::take(&mut self.forgotten).into_iter();
        unsaved.forgotten = forgotten
            .filter(|path| !self.trackers.contains_key(path))
            .collect();
        unsaved
    }

    /// A watch that goes on from `state`, as it stands at `now`.
    pub fn restore(
        policy: &Policy,
        state: WatchState,
        now: Timestamp,
        factory: &dyn ForecasterFactory,
    ) -> (Self, Restored) {
        let mut watch = Self::new(policy);
        let mut restored = Restored::default();
        for (path, state) in state.properties {
            let is_past = state.last_at.is_none_or(|last| last <= now);
            let forecaster = is_past
                .then(|| factory.restore(&watch.grid, &state.forecaster))
                .flatten();
            let Some(forecaster) = forecaster else {
                restored.anew += 1;
                watch.forgotten.insert(path);
                continue;
            };
            restored.going_on += 1;
            let mut tracker = Tracker {
                refinement: state.refinement,
                excursions: state.excursions,
                moved: state.moved,
                scale: state.scale,
                since: state.since,
                last_at: state.last_at,
                keeping: Keeping {
                    is_unsaved: false,
                    was_saved: true,
                    is_unproved: true,
                },
                ..Tracker::new(forecaster)
            };
            if tracker.moved {
                tracker.expect(tracker.forecaster.forecast().as_ref(), policy);
            }
            watch.trackers.insert(path, tracker);
        }
        (watch, restored)
    }
}

impl Tracker {
    fn state(&self) -> Option<PropertyState> {
        Some(PropertyState {
            forecaster: self.forecaster.state()?,
            refinement: self.refinement,
            excursions: self.excursions.clone(),
            moved: self.moved,
            scale: self.scale,
            since: self.since,
            last_at: self.last_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::{PropertyRule, Tolerance};
    use crate::watch::ForecastInsight;
    use crate::watch::tally::{Tallies, at, policy, see};

    /// A watch over `x`, which moves, and `y`, which does not.
    fn learned() -> Watch {
        let mut watch = Watch::new(&policy());
        for second in 0..20 {
            see(&mut watch, &policy(), second, &[("x", 1.0), ("y", 0.0)]);
        }
        watch
    }

    fn restored(state: WatchState) -> (Watch, Restored) {
        Watch::restore(&policy(), state, at(60), &Tallies)
    }

    fn insight(watch: &Watch, path: &str) -> ForecastInsight {
        watch.insight(&path.into()).unwrap()
    }

    fn names(state: &WatchState) -> Vec<&str> {
        state.properties.keys().map(PropertyPath::as_str).collect()
    }

    #[test]
    fn a_restored_watch_goes_on_as_if_nothing_had_happened() {
        let mut first = learned();
        let stored = serde_json::to_string(&first.snapshot()).unwrap();
        let (mut second, counts) = restored(serde_json::from_str(&stored).unwrap());
        assert_eq!(
            counts,
            Restored {
                going_on: 2,
                anew: 0
            }
        );
        assert_eq!(second.snapshot(), first.snapshot());
        assert_eq!(insight(&second, "x"), insight(&first, "x"));
        let values = [("x", 2.0), ("y", 0.5)];
        assert_eq!(
            see(&mut second, &policy(), 61, &values),
            see(&mut first, &policy(), 61, &values)
        );
        assert_eq!(second.snapshot(), first.snapshot());
    }

    #[test]
    fn what_cannot_be_read_starts_anew_alone() {
        let mut state = learned().snapshot();
        state.properties.get_mut(&"x".into()).unwrap().forecaster = b"{".to_vec();
        let (mut watch, counts) = restored(state);
        assert_eq!(
            counts,
            Restored {
                going_on: 1,
                anew: 1
            }
        );
        assert!(watch.insight(&"x".into()).is_none());
        assert_eq!(watch.take_unsaved(true).forgotten, ["x".into()]);
    }

    #[test]
    fn another_step_or_horizon_starts_anew() {
        let mut other = policy();
        other.horizon *= 2;
        let (_, counts) = Watch::restore(&other, learned().snapshot(), at(60), &Tallies);
        assert_eq!(
            counts,
            Restored {
                going_on: 0,
                anew: 2
            }
        );
    }

    #[test]
    fn a_clock_that_was_set_back_starts_anew() {
        let state = learned().snapshot();
        let (_, counts) = Watch::restore(&policy(), state, at(18), &Tallies);
        assert_eq!(
            counts,
            Restored {
                going_on: 0,
                anew: 2
            }
        );
    }

    #[test]
    fn another_tolerance_starts_anew_but_only_after_a_restart() {
        let mut other = policy();
        other.rules[0] = PropertyRule::new("x", Tolerance::Absolute(50.0)).unwrap();
        let scored = |watch: &Watch, path| insight(watch, path).coverage_90.unwrap().1;
        let values = [("x", 1.0), ("y", 0.0)];

        let (mut watch, _) = restored(learned().snapshot());
        see(&mut watch, &other, 61, &values);
        assert_eq!((scored(&watch, "x"), scored(&watch, "y")), (1, 21));
        // A baseline that is accepted later may move it: then the watch is told so.
        see(&mut watch, &policy(), 62, &values);
        assert_eq!((scored(&watch, "x"), scored(&watch, "y")), (2, 22));

        let (mut watch, _) = restored(learned().snapshot());
        watch.restart();
        see(&mut watch, &other, 61, &values);
        assert_eq!(insight(&watch, "x").in_control_90, Some((1.0, 1.0)));
        assert_eq!(insight(&watch, "y").in_control_90, Some((21.0, 1.0)));
    }

    #[test]
    fn only_what_changed_and_matters_is_handed_out_again() {
        let mut watch = learned();
        assert_eq!(names(&watch.take_unsaved(false).changed), ["x", "y"]);
        assert_eq!(watch.take_unsaved(true), Unsaved::default());
        see(&mut watch, &policy(), 20, &[("x", 1.0), ("y", 0.0)]);
        assert_eq!(names(&watch.take_unsaved(false).changed), ["x"]);
        assert_eq!(names(&watch.take_unsaved(true).changed), ["y"]);
        watch.restart();
        assert_eq!(names(&watch.take_unsaved(true).changed), ["x", "y"]);
    }

    #[test]
    fn what_is_not_watched_any_longer_is_handed_out_as_forgotten() {
        let mut watch = learned();
        see(&mut watch, &policy(), 20, &[("y", 0.0)]);
        assert_eq!(watch.take_unsaved(false).forgotten, ["x".into()]);
        assert!(watch.take_unsaved(false).forgotten.is_empty());
        watch.start_anew(&policy());
        see(&mut watch, &policy(), 21, &[("x", 1.0)]);
        let unsaved = watch.take_unsaved(false);
        assert_eq!(unsaved.forgotten, ["y".into()]);
        assert_eq!(names(&unsaved.changed), ["x"]);
    }

    #[test]
    fn a_watch_with_another_grid_has_to_start_anew() {
        let mut watch = learned();
        let mut other = policy();
        other.sample_every += Duration::from_secs(1);
        assert!(watch.fits(&policy()) && !watch.fits(&other));
        watch.start_anew(&other);
        assert!(watch.fits(&other));
        assert_eq!(watch.snapshot(), WatchState::default());
    }
}
