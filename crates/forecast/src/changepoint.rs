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
//! Series that wander by nature: the sum of `n` observations that hang together varies by
//! `(1 + phi) / (1 - phi)` times as much as that of independent ones, `phi` being their correlation, so
//! scores are divided by the root of that (Johnson and Bagshaw 1974). `phi` is read off the mean distance
//! between neighbours beside that from the level (von Neumann 1941). Sums see little in such a series, but
//! neighbours lie close together in it: so there are sums of their distances, too, and a jump of many
//! times their usual distance that is not taken back at once is a change.
//!
//! Left out on purpose: changes of variance alone, and slow drifts within what a series wanders anyway.

pub use evenkeel_core::forecast::{Change, ChangeKind};
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

/// A correlation of neighbours below this is put down to chance; up to the other it is believed.
const CORRELATION_NOTICED: f64 = 0.25;
const CORRELATION_MAX: f64 = 0.95;

/// Fewer observations tell a walk from a staircase by nothing; then the change is rather reported.
const CORRELATION_FROM: u32 = 16;

/// So much the correlation is taken to be higher than it looks, over the root of the observations that it
/// is known from.
const CORRELATION_DOUBT: f64 = 0.7;

/// A jump is as many times the usual distance of neighbours, and lasts for so many observations.
const JUMP: f64 = 8.0;
const JUMP_LASTS: u8 = 3;

/// Alarms the same way from which a drift is a trend and no step.
const TREND_ALARMS: u32 = 3;

/// The mean absolute deviation of a normal times this is its standard deviation.
const DEVIATIONS_PER_MEAN: f64 = 1.253_314_1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Direction {
    Up,
    Down,
}

/// One of the two sums, and the first observation since it left 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// A jump that may be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Jump {
    at: Timestamp,
    /// The value before it, and half of it beyond that: what falls short takes it back.
    before: f64,
    half: f64,
    lasted: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Drift {
    onset: Timestamp,
    direction: Direction,
    /// When it was noticed.
    found: Timestamp,
    /// The level before.
    before: f64,
    alarms: u32,
    /// The slow row to which this may prove to belong.
    row: Option<Row>,
}

/// Steps the same way that lie far apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    began: Timestamp,
    /// The level before the first.
    before: f64,
    /// Observations between its last two steps.
    gap: u32,
}

/// What an alarm says: when the change set in, when it was seen, the way, and the level that was left.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    since: Timestamp,
    at: Timestamp,
    direction: Direction,
    level: f64,
}

impl Drift {
    fn begun(alarm: Alarm) -> Self {
        Self {
            onset: alarm.since,
            direction: alarm.direction,
            found: alarm.at,
            before: alarm.level,
            alarms: 1,
            row: None,
        }
    }

    /// This drift after one more alarm the same way, `gap` observations after the last.
    fn followed(self, alarm: Alarm, gap: u32) -> Self {
        let alarms = self.alarms.saturating_add(1);
        if gap < SETTLED_AFTER {
            return Self { alarms, ..self };
        }
        match self.row {
            Some(row) if gap / 2 <= row.gap && row.gap / 2 <= gap => Self {
                onset: row.began,
                before: row.before,
                alarms: alarms.max(TREND_ALARMS),
                row: Some(Row { gap, ..row }),
                ..self
            },
            Some(_) | None => Self {
                row: Some(Row {
                    began: self.onset,
                    before: self.before,
                    gap,
                }),
                ..Self::begun(alarm)
            },
        }
    }

    fn kind(&self) -> ChangeKind {
        if self.alarms >= TREND_ALARMS {
            ChangeKind::Trend
        } else {
            ChangeKind::Step
        }
    }
}

/// Follows one series and dates its changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OnsetTracker {
    level: f64,
    /// The last observation.
    last: f64,
    /// Mean absolute deviation from the level; 0 while nothing but constants was seen.
    scatter: f64,
    /// Mean absolute distance between neighbours.
    jitter: f64,
    /// Observations that scatter and jitter are known from, up to the reference's length.
    known_from: u32,
    /// Observations in the present reference.
    count: u32,
    /// Observations since the last alarm.
    calm: u32,
    /// Whether the scatter is known from an earlier reference.
    scatter_known: bool,
    up: Sum,
    down: Sum,
    /// The same of the distances between neighbours, where these hang together.
    rising: Sum,
    falling: Sum,
    jump: Option<Jump>,
    drift: Option<Drift>,
}

impl OnsetTracker {
    /// After `count` observations of one `value`.
    pub fn after_constant(value: f64, count: u32) -> Self {
        Self {
            level: value,
            last: value,
            count: count.min(REFERENCE_LENGTH),
            ..Self::default()
        }
    }

    /// When the present regime set in; `None` while it is the first.
    pub fn onset(&self) -> Option<Timestamp> {
        self.drift.map(|drift| drift.onset)
    }

    /// The last change, with its time and size; `None` while the first regime lasts.
    pub fn last_change(&self) -> Option<Change> {
        self.drift.map(|drift| Change {
            at: drift.found,
            onset: drift.onset,
            before: drift.before,
            size: self.level - drift.before,
            kind: drift.kind(),
        })
    }

    /// The level of the present reference.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// The standard deviation of one observation round the level, as far as it is known.
    pub fn scale(&self) -> f64 {
        self.scatter * DEVIATIONS_PER_MEAN
    }

    /// Observations that the present reference was learned from, at most its length.
    pub fn reference_count(&self) -> u32 {
        self.count
    }

    /// Takes one more observation, a finite one.
    pub fn observe(&mut self, at: Timestamp, value: f64) {
        let distance = value - self.level;
        self.calm = self.calm.saturating_add(1);
        let before = std::mem::replace(&mut self.last, value);
        if self.count == 0 {
            self.level = value;
            self.count = 1;
            return;
        }
        if !self.ready() {
            self.learn(distance, value - before);
            return;
        }
        let score = self.score(distance);
        self.up.add(at, score);
        self.down.add(at, -score);
        self.add_stride(at, value - before);
        let sums = [
            (self.up, Direction::Up),
            (self.down, Direction::Down),
            (self.rising, Direction::Up),
            (self.falling, Direction::Down),
        ];
        let alarm = sums
            .into_iter()
            .find(|(sum, _)| sum.value > THRESHOLD || (self.scatter == 0.0 && sum.value > 0.0))
            .map(|(sum, direction)| (sum.since.unwrap_or(at), direction, self.level))
            .or_else(|| self.lasting_jump(at, value, before));
        match alarm {
            Some((since, direction, level)) => {
                let alarm = Alarm {
                    since,
                    at,
                    direction,
                    level,
                };
                self.change(alarm, value, value - before);
            }
            None => self.learn(distance, value - before),
        }
    }

    /// A walk that takes to drifting shows it in its strides, long before in its place.
    fn add_stride(&mut self, at: Timestamp, stride: f64) {
        if self.jitter > 0.0 && self.correlation() > 0.0 {
            let score = stride / (DEVIATIONS_PER_MEAN * self.jitter);
            let score = score.clamp(-OUTLIER, OUTLIER);
            self.rising.add(at, score);
            self.falling.add(at, -score);
        } else {
            (self.rising, self.falling) = (Sum::default(), Sum::default());
        }
    }

    /// Follows a jump, if there is one, and says so when it has lasted. Only where neighbours hang
    /// together: elsewhere sums see it as soon.
    fn lasting_jump(
        &mut self,
        at: Timestamp,
        value: f64,
        before: f64,
    ) -> Option<(Timestamp, Direction, f64)> {
        if let Some(mut jump) = self.jump.take() {
            let beyond = (value - jump.before) / jump.half;
            if beyond < 1.0 {
                return None; // Taken back.
            }
            jump.lasted += 1;
            if jump.lasted >= JUMP_LASTS {
                let up = jump.half > 0.0;
                let direction = if up { Direction::Up } else { Direction::Down };
                return Some((jump.at, direction, jump.before));
            }
            self.jump = Some(jump);
        } else if self.correlation() > 0.0
            && (value - before).abs() > JUMP * DEVIATIONS_PER_MEAN * self.jitter
        {
            self.jump = Some(Jump {
                at,
                before,
                half: (value - before) / 2.0,
                lasted: 1,
            });
        }
        None
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
        let score = (distance / spread).clamp(-OUTLIER, OUTLIER);
        let correlation = self.correlation();
        score * ((1.0 - correlation) / (1.0 + correlation)).sqrt()
    }

    /// The correlation of neighbours, 0 unless it is noticeable. Of independent ones the mean distance is
    /// the root of two times that from the level; it shrinks with `1 - phi`.
    fn correlation(&self) -> f64 {
        if self.scatter <= 0.0 || self.known_from < CORRELATION_FROM {
            return 0.0;
        }
        let ratio = self.jitter / self.scatter;
        let doubt = CORRELATION_DOUBT / f64::from(self.known_from.max(1)).sqrt();
        let looks = 1.0 - ratio * ratio / 2.0 + doubt;
        ((looks - CORRELATION_NOTICED) / (1.0 - CORRELATION_NOTICED)).clamp(0.0, CORRELATION_MAX)
    }

    /// Moves the reference. While an excursion is under way it moves less, lest it follow it.
    fn learn(&mut self, distance: f64, stride: f64) {
        self.count = (self.count + 1).min(REFERENCE_LENGTH);
        self.known_from = (self.known_from + 1).min(REFERENCE_LENGTH);
        let sums = [self.up, self.down, self.rising, self.falling];
        let excursion = sums.iter().map(|sum| sum.value).fold(0.0, f64::max);
        let calm = 1.0 - (excursion / THRESHOLD).clamp(0.0, 1.0);
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
        // A jump that may be one says nothing of how neighbours usually lie.
        if self.jump.is_none() {
            self.jitter += gain * (stride.abs() - self.jitter);
        }
    }

    fn change(&mut self, alarm: Alarm, value: f64, stride: f64) {
        let gap = std::mem::take(&mut self.calm);
        self.drift = Some(match self.drift {
            Some(drift) if drift.direction == alarm.direction => drift.followed(alarm, gap),
            Some(_) | None => Drift::begun(alarm),
        });
        self.scatter += SURPRISE_GAIN * ((value - self.level).abs() - self.scatter);
        self.jitter += SURPRISE_GAIN * (stride.abs() - self.jitter);
        self.scatter_known = true;
        self.level = value;
        self.count = 1;
        self.jump = None;
        (self.up, self.down) = (Sum::default(), Sum::default());
        (self.rising, self.falling) = (Sum::default(), Sum::default());
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
