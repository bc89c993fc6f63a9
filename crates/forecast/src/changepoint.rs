//! When did the present regime set in? A two-sided CUSUM that remembers where each excursion began.
//!
//! Each observation is compared with a reference level and scale: `z = (y - level) / scale`. The sums
//! `S+ = max(0, S+ + z - ALLOWANCE)` and `S-` alike (Page 1954) stay near 0 while nothing happens. When
//! one passes `THRESHOLD` something has changed, and the change set in at the first observation
//! after the sum was last 0: the maximum-likelihood estimate of the change point. `z` is limited, so that
//! with known noise no single outlier is a change; without any noise every change is one.
//!
//! After an alarm the reference starts anew at the level reached. Further alarms the same way within
//! `SETTLED_AFTER` observations belong to the same running drift and leave its onset where it
//! was. What comes later, or the other way, is a regime of its own.
//!
//! Slow rows: where two steps the same way lie further apart, the second is a regime of its own until a
//! third follows at about the same distance (within a factor of two). Then the three are one drift,
//! which began with the first.
//!
//! Limit: a series that wanders by nature (strong autocorrelation) changes all the time, and so does
//! its onset.

use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Half the shift, in scales, that is to be found as fast as possible.
const ALLOWANCE: f64 = 0.5;

/// The sum that counts as a change; on Gaussian noise it was passed by chance once in some 57,000
/// observations (400 series of 1,000).
const THRESHOLD: f64 = 12.0;

/// The most that one observation can add.
const OUTLIER: f64 = 6.0;

/// Observations without an alarm after which a drift has ended.
const SETTLED_AFTER: u32 = 64;

/// Observations needed to know a scale, and to know that a constant was one.
const LEARNING: u32 = 8;
const CONSTANT_AFTER: u32 = 4;

/// Gains of the reference: the mean of at most so many observations; the share of a surprise that
/// goes into the scale at an alarm.
const REFERENCE_LENGTH: u32 = 64;
const SURPRISE_GAIN: f64 = 1.0 / 16.0;

/// The mean absolute deviation of a normal times this is its standard deviation.
const DEVIATIONS_PER_MEAN: f64 = 1.253_314_1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Direction {
    Up,
    Down,
}

/// One of the two sums, and the first observation since it left 0.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sum {
    value: f64,
    since: Option<Timestamp>,
}

impl Sum {
    fn add(&mut self, at: Timestamp, score: f64) {
        self.value += score - ALLOWANCE;
        if self.value > 0.0 {
            self.since.get_or_insert(at);
        } else {
            *self = Self::default();
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Drift {
    onset: Timestamp,
    direction: Direction,
    /// The slow row to which this may prove to belong.
    row: Option<Row>,
}

/// Steps the same way that lie far apart.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    began: Timestamp,
    /// Observations between its last two steps.
    gap: u32,
}

impl Drift {
    fn begun(onset: Timestamp, direction: Direction) -> Self {
        Self {
            onset,
            direction,
            row: None,
        }
    }

    /// This drift after one more alarm the same way, `gap` observations after the last.
    fn followed(self, since: Timestamp, gap: u32) -> Self {
        if gap < SETTLED_AFTER {
            return self;
        }
        match self.row {
            Some(row) if gap / 2 <= row.gap && row.gap / 2 <= gap => Self {
                onset: row.began,
                row: Some(Row { gap, ..row }),
                ..self
            },
            Some(_) | None => Self {
                onset: since,
                row: Some(Row {
                    began: self.onset,
                    gap,
                }),
                ..self
            },
        }
    }
}

/// Follows one series and dates its changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OnsetTracker {
    level: f64,
    /// Mean absolute deviation from the level; 0 while nothing but constants was seen.
    scatter: f64,
    /// Observations in the present reference.
    count: u32,
    /// Observations since the last alarm.
    calm: u32,
    /// Whether the scatter is known from an earlier reference.
    scatter_known: bool,
    up: Sum,
    down: Sum,
    drift: Option<Drift>,
}

impl OnsetTracker {
    /// After `count` observations of one `value`.
    pub fn after_constant(value: f64, count: u32) -> Self {
        Self {
            level: value,
            count: count.min(REFERENCE_LENGTH),
            ..Self::default()
        }
    }

    /// When the present regime set in; `None` while it is the first.
    pub fn onset(&self) -> Option<Timestamp> {
        self.drift.map(|drift| drift.onset)
    }

    /// Takes one more observation.
    pub fn observe(&mut self, at: Timestamp, value: f64) {
        let distance = value - self.level;
        self.calm = self.calm.saturating_add(1);
        if self.count == 0 {
            self.level = value;
            self.count = 1;
            return;
        }
        if !self.ready() {
            self.learn(distance);
            return;
        }
        let score = self.score(distance);
        self.up.add(at, score);
        self.down.add(at, -score);
        let alarm = [(self.up, Direction::Up), (self.down, Direction::Down)]
            .into_iter()
            .find(|(sum, _)| sum.value > THRESHOLD || (self.scatter == 0.0 && sum.value > 0.0));
        match alarm {
            Some((sum, direction)) => self.change(sum.since.unwrap_or(at), direction, value),
            None => self.learn(distance),
        }
    }

    /// Whether the scatter is known well enough to judge by.
    fn ready(&self) -> bool {
        let constant_so_far = self.scatter == 0.0 && self.count >= CONSTANT_AFTER;
        self.scatter_known || constant_so_far || self.count >= LEARNING
    }

    fn score(&self, distance: f64) -> f64 {
        if distance == 0.0 {
            return 0.0;
        }
        // A young reference level is itself uncertain by its scatter over the root of its count.
        let spread =
            self.scatter * DEVIATIONS_PER_MEAN * (1.0 + 1.0 / f64::from(self.count)).sqrt();
        (distance / spread).clamp(-OUTLIER, OUTLIER)
    }

    /// Moves the reference. While an excursion is under way it moves less, lest it follow it.
    fn learn(&mut self, distance: f64) {
        self.count = (self.count + 1).min(REFERENCE_LENGTH);
        let calm = 1.0 - (self.up.value.max(self.down.value) / THRESHOLD).clamp(0.0, 1.0);
        let young = self.count < LEARNING;
        let gain = if young { 1.0 } else { calm } / f64::from(self.count);
        self.level += gain * distance;
        // The distance from a mean of n falls short of that from the true level.
        let size = distance.abs() * (1.0 - 1.0 / f64::from(self.count)).sqrt();
        let gain = if self.scatter_known {
            calm / f64::from(REFERENCE_LENGTH)
        } else {
            gain
        };
        self.scatter += gain * (size - self.scatter);
    }

    fn change(&mut self, since: Timestamp, direction: Direction, value: f64) {
        let gap = std::mem::take(&mut self.calm);
        self.drift = Some(match self.drift {
            Some(drift) if drift.direction == direction => drift.followed(since, gap),
            Some(_) | None => Drift::begun(since, direction),
        });
        self.scatter += SURPRISE_GAIN * ((value - self.level).abs() - self.scatter);
        self.scatter_known = true;
        self.level = value;
        self.count = 1;
        (self.up, self.down) = (Sum::default(), Sum::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn at(index: usize) -> Timestamp {
        Timestamp::from_millis(i64::try_from(index).unwrap() * 250)
    }

    fn track(values: impl IntoIterator<Item = f64>) -> OnsetTracker {
        let mut tracker = OnsetTracker::default();
        for (index, value) in values.into_iter().enumerate() {
            tracker.observe(at(index), value);
        }
        tracker
    }

    #[test]
    fn a_staircase_is_dated_at_its_first_step() {
        for k in [1, 4, 10] {
            let stairs = (0..500)
                .map(|_| 0.0)
                .chain((0..60).map(|i| f64::from(40 * (1 + i / k))));
            assert_eq!(track(stairs).onset(), Some(at(500)), "a step every {k}");
        }
    }

    #[test]
    fn a_single_step_is_dated_at_its_instant_and_stays() {
        let step = (0..50).map(|_| 3.0).chain((0..500).map(|_| 4.0));
        assert_eq!(track(step).onset(), Some(at(50)));
    }

    #[test]
    fn a_second_regime_replaces_the_first() {
        let twice = (0..50)
            .map(|_| 3.0)
            .chain((0..100).map(|_| 4.0))
            .chain([5.0, 6.0, 7.0]);
        assert_eq!(track(twice).onset(), Some(at(150)));
    }

    #[test]
    fn a_slow_row_of_steps_is_dated_at_its_first_one() {
        for period in [70, 100, 500] {
            let row = (0..300)
                .map(|_| 0)
                .chain((0..3 * period).map(|i| 1 + i / period));
            assert_eq!(
                track(row.map(f64::from)).onset(),
                Some(at(300)),
                "a step every {period}"
            );
        }
    }

    #[test]
    fn a_ramp_in_noise_is_dated_near_its_start() {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let ramp = (0..900_u32)
                .map(|i| random.normal() + 0.1 * f64::from(i.saturating_sub(800)))
                .collect::<Vec<_>>();
            let onset = track(ramp)
                .onset()
                .expect("a rise of ten deviations is seen");
            let error = onset.as_millis() / 250 - 800;
            assert!(
                (-40..=40).contains(&error),
                "seed {seed}: {error} observations off"
            );
        }
    }

    #[test]
    fn noise_alone_rarely_has_an_onset() {
        let alarms = (0..100)
            .filter(|seed| {
                let mut random = Random::new(*seed);
                track((0..1000).map(|_| random.normal())).onset().is_some()
            })
            .count();
        assert!(alarms <= 5, "{alarms} of 100 series of 1,000 observations");
    }
}
