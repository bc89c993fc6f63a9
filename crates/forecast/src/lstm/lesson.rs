//! A recorded history as a network learns from it: at equal steps, with its seasons.
//!
//! Invariant: it is what a refit makes of the same history. So a network is asked for nothing but what it
//! was taught on.

use std::time::Duration;

use evenkeel_core::time::Timestamp;

use super::part::Series;
use crate::refit;

/// One series to learn from, with its values.
#[derive(Clone, Debug)]
pub struct Lesson {
    start: Timestamp,
    step: Duration,
    values: Vec<f64>,
    seasons: Vec<usize>,
}

impl Lesson {
    /// From a history with rising instants, brought to steps of `step`; its last 4,096 steps. Without
    /// seasons yet. `None` if it is empty, or most of its steps have no observation.
    pub fn new(history: &[(Timestamp, f64)], step: Duration) -> Option<Self> {
        let steps = refit::at_equal_steps(history, step)?;
        Some(Self {
            start: *steps.at.first()?,
            step,
            values: steps.values,
            seasons: Vec::new(),
        })
    }

    /// Looks for its seasons. Takes milliseconds.
    pub fn find_seasons(&mut self) {
        self.seasons = refit::seasons(&self.values, self.step);
    }

    /// The instant of the first step.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// A value for each step; NaN is a gap.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How often the value changed from one observation to the next.
    pub fn changes(&self) -> usize {
        let mut known = self.values.iter().filter(|value| value.is_finite());
        let Some(mut last) = known.next() else {
            return 0;
        };
        // Exact: what differs only by rounding is not what this is to tell apart.
        #[allow(clippy::float_cmp)]
        known
            .filter(|value| std::mem::replace(&mut last, value) != *value)
            .count()
    }

    /// As a trainer takes it.
    pub fn series(&self) -> Series<'_> {
        Series {
            context: refit::context(self.start, &self.seasons, self.step),
            values: &self.values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_040_000 + minute * 60_000)
    }

    #[test]
    fn a_history_comes_with_its_gaps_its_seasons_and_its_first_instant() {
        let mut random = Random::new(2);
        let day = |minute: i64| f64::from(i32::from(minute % 20 < 7));
        let minutes = (0..400).filter(|minute| minute % 50 != 49);
        let history: Vec<(Timestamp, f64)> = minutes
            .map(|minute| (at(minute), 10.0 * day(minute) + random.normal()))
            .collect();
        let mut lesson = Lesson::new(&history, MINUTE).unwrap();
        assert_eq!((lesson.start(), lesson.values().len()), (at(0), 399));
        assert!(lesson.values()[49].is_nan() && lesson.values()[50].is_finite());
        assert_eq!(lesson.series().context.seasons, [None; 2]);
        lesson.find_seasons();
        let context = lesson.series().context;
        assert_eq!(context.seasons[0], Some(20));
        assert_eq!((context.start_s, context.step_s), (1_700_000_040, 60));
    }

    #[test]
    fn changes_are_counted_across_gaps() {
        let history = [(0, 1.0), (1, 1.0), (3, 2.0), (4, 2.0), (5, 1.0)];
        let history = history.map(|(minute, value)| (at(minute), value));
        assert_eq!(Lesson::new(&history, MINUTE).unwrap().changes(), 2);
        assert_eq!(Lesson::new(&history[..2], MINUTE).unwrap().changes(), 0);
    }

    #[test]
    fn a_history_with_mostly_gaps_or_none_at_all_teaches_nothing() {
        assert!(Lesson::new(&[], MINUTE).is_none());
        assert!(Lesson::new(&[(at(0), 1.0), (at(100), 2.0)], MINUTE).is_none());
    }
}
