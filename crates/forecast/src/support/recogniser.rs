//! Says which values a series may take, from the values that it took and from hints.
//!
//! Invariants: constant time and less than 64 bytes; what was seen lies within what is said; nothing is
//! said without evidence or a hint, and what was contradicted once is not said again.

use serde::{Deserialize, Serialize};

use super::{Lattice, Monotone, Support, WHOLE_MAX};

/// What is known of a quantity beforehand. Each is believed until a value contradicts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Its unit is per cent: from 0 to 100.
    pub percent: bool,
    /// It is a share of a whole: from 0 to 1.
    pub share: bool,
    /// It cannot be negative (a size, a duration, a rate).
    pub non_negative: bool,
    /// It counts events since some start, and begins anew with a restart.
    pub counter: bool,
}

/// Distinct changes that must have been seen before whole numbers are no accident.
const WHOLE_CHANGES: u16 = 12;
/// Values before non-negative ones are no accident; the lowest must have come near 0 by then.
const NON_NEGATIVE_AFTER: u16 = 48;
/// Rises, without a fall, before a series is a counter without a hint, and with one.
const RISES: u16 = 32;
const RISES_HINTED: u16 = 2;
/// A fall to at most this share of the value before is a reset.
const RESET_TO: f64 = 0.5;
/// For a range without a hint: values seen, and how often at one of its ends.
const RANGE_AFTER: u16 = 64;
const AT_AN_END: u8 = 3;

/// Recognises a support from values, one at a time. What a value contradicts is given up for good:
/// a quantity that was negative once may be so again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recogniser {
    hints: Hints,
    last: f64,
    lowest: f64,
    highest: f64,
    seen: u16,
    rises: u16,
    changes: u16,
    resets: u8,
    /// Visits to 0, and to 1 or 100 after another value.
    at_zero: u8,
    at_top: u8,
    whole: bool,
    /// Whether it never fell but for resets.
    rising: bool,
}

impl Default for Recogniser {
    fn default() -> Self {
        Self::new(Hints::default())
    }
}

impl Recogniser {
    /// Before the first value.
    pub fn new(hints: Hints) -> Self {
        Self {
            hints,
            last: 0.0,
            lowest: 0.0,
            highest: 0.0,
            seen: 0,
            rises: 0,
            changes: 0,
            resets: 0,
            at_zero: 0,
            at_top: 0,
            whole: true,
            rising: true,
        }
    }

    /// What was known beforehand.
    pub fn hints(&self) -> Hints {
        self.hints
    }

    /// Takes one more value; one that is not finite is a gap.
    pub fn observe(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let first = self.seen == 0;
        let before = std::mem::replace(&mut self.last, value);
        let last = if first { value } else { before };
        self.seen = self.seen.saturating_add(1);
        self.lowest = if first { value } else { self.lowest.min(value) };
        self.highest = if first {
            value
        } else {
            self.highest.max(value)
        };
        self.whole &= value.fract() == 0.0 && value.abs() < WHOLE_MAX;
        if value == last {
            return;
        }
        self.changes = self.changes.saturating_add(1);
        self.at_zero = self.at_zero.saturating_add(u8::from(value == 0.0));
        let top = value == 1.0 || value == 100.0;
        self.at_top = self
            .at_top
            .saturating_add(u8::from(top && value >= self.highest));
        if value > last {
            self.rises = self.rises.saturating_add(1);
        } else if value >= 0.0 && value <= RESET_TO * last {
            self.resets = self.resets.saturating_add(1);
        } else {
            self.rising = false;
        }
    }

    /// What is certain enough by now.
    pub fn support(&self) -> Support {
        if self.seen == 0 {
            return Support::default();
        }
        let monotone = self.monotone();
        let counter = monotone != Monotone::No;
        let upper = if counter { None } else { self.upper() };
        let non_negative = self.lowest >= 0.0
            && (counter
                || upper.is_some()
                || self.hints.percent
                || self.hints.share
                || self.hints.non_negative
                || (self.seen >= NON_NEGATIVE_AFTER && self.came_near_zero()));
        Support {
            lower: non_negative.then_some(0.0),
            upper,
            lattice: (self.whole && self.changes >= WHOLE_CHANGES).then_some(Lattice {
                origin: 0.0,
                spacing: 1.0,
            }),
            monotone,
        }
    }

    /// A series that visited the lowest tenth of its range above 0 often would have crossed it.
    fn came_near_zero(&self) -> bool {
        self.lowest <= 0.1 * self.highest
    }

    /// Resets must be rare beside rises; a series that halves every other time only varies.
    fn monotone(&self) -> Monotone {
        let needed = if self.hints.counter {
            RISES_HINTED
        } else {
            RISES
        };
        let rare = self.hints.counter || u32::from(self.resets) * 8 <= u32::from(self.rises);
        if self.rising && rare && self.rises >= needed && self.lowest >= 0.0 {
            Monotone::Increasing {
                resets: self.resets > 0,
            }
        } else {
            Monotone::No
        }
    }

    fn upper(&self) -> Option<f64> {
        if self.lowest < 0.0 {
            return None;
        }
        if self.hints.percent && self.highest <= 100.0 {
            return Some(100.0);
        }
        if self.hints.share && self.highest <= 1.0 {
            return Some(1.0);
        }
        // Without a hint: a series that hits exactly 100 or 1 again and again, and never passes it. Of
        // small whole numbers (a replica more or less) 1 is no end.
        let hit = self.seen >= RANGE_AFTER && self.at_top >= AT_AN_END;
        let fractions = !self.whole;
        (hit && (self.highest == 100.0 || (self.highest == 1.0 && fractions)))
            .then_some(self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn after(hints: Hints, values: impl IntoIterator<Item = f64>) -> Recogniser {
        let mut recogniser = Recogniser::new(hints);
        values
            .into_iter()
            .for_each(|value| recogniser.observe(value));
        recogniser
    }

    const NONE: Hints = Hints {
        percent: false,
        share: false,
        non_negative: false,
        counter: false,
    };

    #[test]
    fn counts_are_recognised_and_given_up_at_the_first_fraction() {
        let mut counts = after(NONE, (0..40).map(|i| f64::from(i % 5)));
        let support = counts.support();
        assert_eq!(
            support.lattice,
            Some(Lattice {
                origin: 0.0,
                spacing: 1.0
            })
        );
        assert_eq!((support.lower, support.upper), (None, None));
        counts.observe(2.5);
        assert_eq!(counts.support().lattice, None);
        assert_eq!(
            after(NONE, (0..500).map(|_| 3.0)).support().lattice,
            None,
            "a constant"
        );
    }

    #[test]
    fn a_share_is_bounded_by_its_hint_until_it_leaves_the_range() {
        let percent = Hints {
            percent: true,
            ..NONE
        };
        let mut load = after(percent, [40.5, 41.0]);
        assert_eq!(
            (load.support().lower, load.support().upper),
            (Some(0.0), Some(100.0))
        );
        load.observe(130.0);
        assert_eq!(
            (load.support().lower, load.support().upper),
            (Some(0.0), None)
        );
        load.observe(-1.0);
        load.observe(50.0);
        assert_eq!(load.support(), Support::default());
        let share = Hints {
            share: true,
            ..NONE
        };
        assert_eq!(after(share, [0.4]).support().upper, Some(1.0));
    }

    #[test]
    fn without_a_hint_a_range_must_be_hit_at_its_end() {
        let saturating = |i: u32| f64::from(i * 37 % 140).min(100.0) + 0.0;
        assert_eq!(
            after(NONE, (0..200).map(saturating)).support().upper,
            Some(100.0)
        );
        let below = |i: u32| f64::from(i * 37 % 90);
        assert_eq!(after(NONE, (0..200).map(below)).support().upper, None);
        let replicas = |i: u32| f64::from(i % 2);
        assert_eq!(after(NONE, (0..200).map(replicas)).support().upper, None);
    }

    #[test]
    fn what_never_came_near_zero_may_be_negative_one_day() {
        let mut random = Random::new(1);
        let mut noise = |mean: f64| mean + random.normal();
        let far = after(NONE, (0..200).map(|_| noise(20.0)));
        assert_eq!(far.support().lower, None);
        let near = after(NONE, (0..200).map(|i: u32| f64::from(i % 10) + 0.5));
        assert_eq!(near.support().lower, Some(0.0));
        let size = Hints {
            non_negative: true,
            ..NONE
        };
        assert_eq!(after(size, [20.0]).support().lower, Some(0.0));
    }

    #[test]
    fn a_counter_rises_may_start_anew_and_is_none_once_it_falls() {
        let rising = |i: u32| f64::from(i) * 3.5;
        let mut counter = after(NONE, (0..60).map(rising));
        assert_eq!(
            counter.support().monotone,
            Monotone::Increasing { resets: false }
        );
        counter.observe(2.0);
        assert_eq!(
            counter.support().monotone,
            Monotone::Increasing { resets: true }
        );
        counter.observe(100.0);
        counter.observe(90.0);
        assert_eq!(counter.support().monotone, Monotone::No);
        let hinted = after(
            Hints {
                counter: true,
                ..NONE
            },
            [5.0, 6.0, 7.0],
        );
        assert_eq!(
            hinted.support().monotone,
            Monotone::Increasing { resets: false }
        );
        let sawtooth = after(NONE, (0..400).map(|i: u32| f64::from(i % 4)));
        assert_eq!(sawtooth.support().monotone, Monotone::No);
    }

    #[test]
    fn random_walks_and_noise_are_seldom_taken_for_anything() {
        let mut wrong = 0;
        for seed in 0..300 {
            let (mut random, mut level) = (Random::new(seed), 0.0);
            let values: Vec<f64> = (0..300)
                .map(|_| {
                    level += random.normal();
                    level
                })
                .collect();
            wrong += u32::from(after(NONE, values).support() != Support::default());
        }
        // A walk that stayed above its start is, by what was seen, non-negative.
        assert!(wrong <= 15, "{wrong} of 300");
    }

    #[test]
    fn the_recogniser_is_small_and_survives_a_restart() {
        let text = serde_json::to_string(&Recogniser::default()).unwrap();
        let back: Recogniser = serde_json::from_str(&text).unwrap();
        assert_eq!(back, Recogniser::default());
        assert!(size_of::<Recogniser>() < 64, "{}", size_of::<Recogniser>());
    }
}
