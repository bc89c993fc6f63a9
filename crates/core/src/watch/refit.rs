//! Refits beside the watch: a forecaster is forked, fitted elsewhere, and adopted, while observations go
//! on. Who fits, when, and at what cost is the caller's affair.
//!
//! ```text
//!  due ──fork──▶ under way ──adopt──▶ (the fork is given what came meanwhile, and takes over)
//!   ▲               │ │
//!   │               │ └─ restart, too much came meanwhile ──▶ the fork is void
//!   └─ 64 observations later ◀── give up
//! ```
//! Invariants:
//! - An adopted fork has seen what the forecaster in its place has seen, in the same order, in control
//!   at the same instants.
//! - A fork whose course was restarted is never adopted: tickets are given once in a watch's life.

use std::collections::{BTreeMap, VecDeque};

use super::{Seen, Watch};
use crate::forecast::Forecaster;
use crate::ids::PropertyPath;
use crate::outlook::PropertyOutlook;
use crate::time::Timestamp;

/// The longest history worth fitting to, in steps of the grid.
pub const HISTORY_STEPS: usize = 4096;

/// The least number of points worth fitting to.
const POINTS_MIN: usize = 64;

/// A history has at least one point in so many steps; one with fewer was downsampled, or has mostly gaps.
const STEPS_PER_POINT_MAX: usize = 4;

/// Observations until a refit that was given up is due again.
const WAIT: u16 = 64;

/// Observations that may arrive while a refit is under way.
const ARRIVED_MAX: usize = 1024;

/// One observation, as the forecaster was told it.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    seen: Seen,
    in_control: bool,
}

/// Where a tracker stands with its refit.
#[derive(Debug, Default)]
pub(super) struct Refitting {
    under_way: Option<UnderWay>,
    /// Observations until the next may begin.
    wait: u16,
}

#[derive(Debug)]
struct UnderWay {
    ticket: u64,
    arrived: Vec<Arrived>,
}

impl Refitting {
    pub(super) fn observed(&mut self, seen: Seen, in_control: bool) {
        self.wait = self.wait.saturating_sub(1);
        let Some(under_way) = &mut self.under_way else {
            return;
        };
        if under_way.arrived.len() == ARRIVED_MAX {
            self.give_up();
            return;
        }
        under_way.arrived.push(Arrived { seen, in_control });
    }

    /// Makes what is under way void.
    pub(super) fn stop(&mut self) {
        self.under_way = None;
    }

    fn give_up(&mut self) {
        self.under_way = None;
        self.wait = WAIT;
    }

    fn holds(&self, ticket: u64) -> bool {
        self.under_way.as_ref().is_some_and(|u| u.ticket == ticket)
    }
}

/// Which fork of which property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The property.
    pub path: PropertyPath,
    number: u64,
}

/// A copy of a property's forecaster, to be fitted to its history.
#[derive(Debug)]
pub struct Fork {
    ticket: Ticket,
    forecaster: Box<dyn Forecaster>,
    /// From when on the history is wanted.
    pub from: Timestamp,
    /// The last observation that the forecaster knows: the history has to end with it.
    pub until: Timestamp,
    step_ms: i64,
}

/// Why a history is not fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is too short.
    #[error("only {0} points")]
    Short(usize),
    /// It was downsampled, or has mostly gaps.
    #[error("too few points for its length")]
    Sparse,
    /// It does not end with the last observation: not everything could be kept.
    #[error("its last points are missing")]
    Behind,
}

impl Fork {
    /// Names this fork.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Fits it to `history`: the deviations (rising instants) between `from` and `until`. Takes
    /// milliseconds.
    ///
    /// # Errors
    /// When the history is no good; then this fork is not worth adopting.
    pub fn fit(&mut self, history: &[(Timestamp, f64)]) -> Result<(), Unfit> {
        let (Some((first, _)), Some((last, _))) = (history.first(), history.last()) else {
            return Err(Unfit::Short(0));
        };
        if *last != self.until {
            return Err(Unfit::Behind);
        }
        if history.len() < POINTS_MIN {
            return Err(Unfit::Short(history.len()));
        }
        let span = last.as_millis().saturating_sub(first.as_millis());
        let steps = usize::try_from(span / self.step_ms).unwrap_or(usize::MAX);
        if history.len().saturating_mul(STEPS_PER_POINT_MAX) < steps {
            return Err(Unfit::Sparse);
        }
        self.forecaster.refit(history);
        Ok(())
    }
}

impl Watch {
    /// The properties whose models should be fitted (anew).
    pub fn refits_due(&self) -> impl Iterator<Item = &PropertyPath> {
        let due = self.trackers.iter().filter(|(_, tracker)| {
            let refitting = &tracker.refitting;
            let may_begin = refitting.under_way.is_none() && refitting.wait == 0;
            may_begin && tracker.forecaster.wants_refit().is_some()
        });
        due.map(|(path, _)| path)
    }

    /// Begins the refit of a property. `None` if it wants none, or is not watched any longer. A fork of
    /// it that was not brought back is void.
    pub fn fork(&mut self, path: &PropertyPath) -> Option<Fork> {
        let step = self.grid.step();
        let tracker = self.trackers.get_mut(path)?;
        let wanted = tracker.forecaster.wants_refit()?;
        let until = tracker.last_at?;
        let forecaster = tracker.forecaster.fork()?;
        self.last_ticket += 1;
        tracker.refitting.under_way = Some(UnderWay {
            ticket: self.last_ticket,
            arrived: Vec::new(),
        });
        let reach = step * u32::try_from(HISTORY_STEPS).unwrap_or(u32::MAX);
        Some(Fork {
            ticket: Ticket {
                path: path.clone(),
                number: self.last_ticket,
            },
            forecaster,
            from: wanted.max(until.before(reach)),
            until,
            step_ms: i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1),
        })
    }

    /// Puts a fitted fork in its forecaster's place, after telling it what came meanwhile. Says whether
    /// it was still wanted.
    pub fn adopt(&mut self, fork: Fork) -> bool {
        let Fork {
            ticket,
            mut forecaster,
            ..
        } = fork;
        let Some(tracker) = self.trackers.get_mut(&ticket.path) else {
            return false;
        };
        if !tracker.refitting.holds(ticket.number) {
            return false;
        }
        let under_way = tracker.refitting.under_way.take();
        for arrived in under_way.into_iter().flat_map(|u| u.arrived) {
            arrived.seen.tell(forecaster.as_mut(), arrived.in_control);
        }
        tracker.forecaster = forecaster;
        tracker.keeping.changed();
        true
    }

    /// Ends a refit without a result: it is wanted again some observations later.
    pub fn give_up(&mut self, ticket: &Ticket) {
        if let Some(tracker) = self.trackers.get_mut(&ticket.path)
            && tracker.refitting.holds(ticket.number)
        {
            tracker.refitting.give_up();
        }
    }

    /// Does all refits that are due, where they stand: for whoever has time, and keeps the course of
    /// deviations in memory.
    pub fn refit_now(&mut self, course: &Course) {
        let due: Vec<PropertyPath> = self.refits_due().cloned().collect();
        for path in due {
            let Some(mut fork) = self.fork(&path) else {
                continue;
            };
            let history = course.since(&path, fork.from);
            match fork.fit(&history) {
                Ok(()) => {
                    self.adopt(fork);
                }
                Err(_) => self.give_up(&fork.ticket),
            }
        }
    }
}

/// The last deviations of every property that moves: what the daemon has in its store, for those who have
/// none.
#[derive(Debug, Default)]
pub struct Course {
    properties: BTreeMap<PropertyPath, VecDeque<(Timestamp, f64)>>,
}

impl Course {
    /// Adds what was seen at `at`.
    pub fn push(&mut self, at: Timestamp, outlooks: &[PropertyOutlook]) {
        for outlook in outlooks.iter().filter(|outlook| outlook.has_moved()) {
            let points = self.properties.entry(outlook.path.clone()).or_default();
            if points.len() == HISTORY_STEPS {
                points.pop_front();
            }
            points.push_back((at, outlook.deviation));
        }
    }

    /// The deviations of a property from `from` on.
    fn since(&self, path: &PropertyPath, from: Timestamp) -> Vec<(Timestamp, f64)> {
        let points = self.properties.get(path).into_iter().flatten();
        points.filter(|(at, _)| *at >= from).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tally::{FIRST_AFTER, at, policy, see};

    fn x() -> PropertyPath {
        "x".into()
    }

    /// A watch that has seen `seconds` values, and its course.
    fn after(seconds: std::ops::Range<u64>) -> (Watch, Course) {
        let (mut watch, mut course) = (Watch::new(&policy()), Course::default());
        go_on(&mut watch, &mut course, seconds);
        (watch, course)
    }

    fn go_on(watch: &mut Watch, course: &mut Course, seconds: std::ops::Range<u64>) {
        for second in seconds {
            let outlooks = see(watch, &policy(), second, &[("x", 1.0)]);
            course.push(at(second), &outlooks);
        }
    }

    fn fitted_fork(watch: &mut Watch, course: &Course) -> Fork {
        let mut fork = watch.fork(&x()).unwrap();
        fork.fit(&course.since(&x(), fork.from)).unwrap();
        fork
    }

    fn is_due(watch: &Watch) -> bool {
        watch.refits_due().any(|path| *path == x())
    }

    fn model(watch: &Watch) -> String {
        watch.insight(&x()).unwrap().weights[0].model.clone()
    }

    #[test]
    fn a_fork_takes_over_with_all_that_came_meanwhile() {
        let (mut watch, mut course) = after(0..FIRST_AFTER);
        let fork = fitted_fork(&mut watch, &course);
        assert_eq!((fork.from, fork.until), (at(0), at(FIRST_AFTER - 1)));
        go_on(&mut watch, &mut course, 64..70);
        // Out of control: not for the half-widths, of the fork neither.
        see(&mut watch, &policy(), 70, &[("x", 500.0)]);
        let (before, model_before) = (watch.insight(&x()).unwrap(), model(&watch));
        assert!(watch.adopt(fork));
        let after = watch.insight(&x()).unwrap();
        assert_eq!(after.coverage_90, before.coverage_90);
        assert_eq!(after.in_control_90, before.in_control_90);
        assert_eq!(
            (model_before, model(&watch)),
            ("fitted to 0".into(), "fitted to 64".into())
        );
        assert!(!is_due(&watch));
    }

    #[test]
    fn nothing_is_due_while_a_refit_is_under_way_or_soon_after_one_was_given_up() {
        let (mut watch, mut course) = after(0..63);
        assert!(!is_due(&watch) && watch.fork(&x()).is_none());
        go_on(&mut watch, &mut course, 63..64);
        assert!(is_due(&watch));
        let fork = watch.fork(&x()).unwrap();
        assert!(!is_due(&watch));
        watch.give_up(fork.ticket());
        go_on(&mut watch, &mut course, 64..127);
        assert!(!is_due(&watch));
        go_on(&mut watch, &mut course, 127..128);
        assert!(is_due(&watch));
        assert!(!watch.adopt(fork), "it was given up");
    }

    #[test]
    fn a_restart_makes_what_is_under_way_void() {
        type Restart = fn(&mut Watch);
        let restarts: [Restart; 3] = [
            Watch::restart,
            |watch| watch.restart_where(|path| *path == x()),
            |watch| watch.start_anew(&policy()),
        ];
        for restart in restarts {
            let (mut watch, mut course) = after(0..FIRST_AFTER);
            let fork = fitted_fork(&mut watch, &course);
            restart(&mut watch);
            go_on(&mut watch, &mut course, 64..128);
            let next = watch.fork(&x()).unwrap();
            assert_ne!(next.ticket(), fork.ticket());
            assert!(!watch.adopt(fork));
            assert_eq!(next.from, at(64), "the course before it is another's");
            assert_eq!(model(&watch), "fitted to 0");
        }
    }

    #[test]
    fn a_fork_of_a_former_course_is_void_though_no_other_was_made_since() {
        let (mut watch, course) = after(0..FIRST_AFTER);
        let fork = fitted_fork(&mut watch, &course);
        watch.restart();
        assert!(!watch.adopt(fork));
    }

    #[test]
    fn one_point_in_four_steps_is_enough_and_no_fewer() {
        let (mut watch, _) = after(0..100);
        let mut fork = watch.fork(&x()).unwrap();
        let mut fits = |steps: u64| {
            fork.until = at(steps);
            let mut seconds: Vec<u64> = (0..64).collect();
            seconds.push(steps);
            let history: Vec<(Timestamp, f64)> = seconds.iter().map(|s| (at(*s), 1.0)).collect();
            fork.fit(&history)
        };
        assert_eq!((fits(260), fits(261)), (Ok(()), Err(Unfit::Sparse)));
    }

    #[test]
    fn a_restart_of_another_property_does_not() {
        let (mut watch, course) = after(0..FIRST_AFTER);
        let fork = fitted_fork(&mut watch, &course);
        watch.restart_where(|path| *path != x());
        assert!(watch.adopt(fork));
    }

    #[test]
    fn a_second_fork_makes_the_first_void() {
        let (mut watch, course) = after(0..FIRST_AFTER);
        let first = fitted_fork(&mut watch, &course);
        let second = fitted_fork(&mut watch, &course);
        assert!(!watch.adopt(first));
        assert!(watch.adopt(second));
    }

    #[test]
    fn one_that_takes_too_long_is_void_and_due_again_later() {
        let (mut watch, mut course) = after(0..FIRST_AFTER);
        let fork = fitted_fork(&mut watch, &course);
        let longest = FIRST_AFTER + ARRIVED_MAX as u64;
        go_on(&mut watch, &mut course, FIRST_AFTER..longest + 1);
        assert!(!is_due(&watch));
        assert!(!watch.adopt(fork));
        go_on(
            &mut watch,
            &mut course,
            longest + 1..longest + 1 + u64::from(WAIT),
        );
        assert!(is_due(&watch));
    }

    #[test]
    fn a_history_that_is_no_good_is_not_fitted_to() {
        let (mut watch, _) = after(0..100);
        let mut fork = watch.fork(&x()).unwrap();
        let course = |seconds: &[u64]| -> Vec<(Timestamp, f64)> {
            seconds.iter().map(|second| (at(*second), 1.0)).collect()
        };
        let all: Vec<u64> = (0..100).collect();
        assert_eq!(fork.fit(&[]), Err(Unfit::Short(0)));
        assert_eq!(fork.fit(&course(&all[70..])), Err(Unfit::Short(30)));
        assert_eq!(fork.fit(&course(&all[..99])), Err(Unfit::Behind));
        fork.until = at(5 * 99);
        let sparse: Vec<u64> = all.iter().map(|second| 5 * second).collect();
        assert_eq!(fork.fit(&course(&sparse)), Err(Unfit::Sparse));
    }

    #[test]
    fn refits_in_place_come_when_the_history_has_doubled() {
        let (mut watch, mut course) = (Watch::new(&policy()), Course::default());
        let mut models = Vec::new();
        for second in 0..300 {
            go_on(&mut watch, &mut course, second..second + 1);
            watch.refit_now(&course);
            models.push(model(&watch));
        }
        models.dedup();
        let fitted_to = |n: u64| format!("fitted to {n}");
        assert_eq!(models, [0, 64, 128, 256].map(fitted_to));
    }
}
