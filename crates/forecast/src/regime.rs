//! Regimes that were left: when a property is put back, what was learned of the old one returns.
//!
//! [`RegimeMemory`] keeps the last few regimes of one series: their level and scale, a fingerprint of
//! their season, and whatever state the caller learned in them. After a change, the first observations
//! of the new regime are compared with each of them. For `n` observations with mean `m` the statistic is
//! `d^2 = (m - level)^2 / (scale^2 (1/n + 1/seen))`: about chi-square with one degree of freedom if the
//! old regime is back. A regime returns only if `d` is small, the scatter fits, and the match is far
//! better than chance: were levels anywhere in the range that the series has been seen in, a match this
//! close would come in less than [`CHANCE`] of cases.
//!
//! Invariants: at most [`CAPACITY`] regimes; the one used longest ago goes first (ties: the older entry);
//! the same calls give the same answers; recall does not depend on the unit or on where zero lies.

use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Regimes kept.
pub const CAPACITY: usize = 3;

/// Values in a season's fingerprint.
pub const FINGERPRINT: usize = 8;

/// The most that the new mean may differ, in its standard errors.
const DISTANCE_MAX: f64 = 3.0;

/// The new scatter may be this many times the old one, or the inverse, per root of observations (a
/// scatter from few values is itself uncertain).
const SCATTER_RATIO: f64 = 1.5;

/// The probability that a level taken from the range seen would match as well by accident.
const CHANCE: f64 = 0.2;

/// A fingerprint that correlates less than this with the old one is another season.
const SEASON_ALIKE: f64 = 0.5;

/// What is known of a regime without its learned state. Level and scale are in the series' unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// The typical value; finite.
    pub level: f64,
    /// The standard deviation of one observation round it; 0 for a constant.
    pub scale: f64,
    /// The seasonal offsets at equal parts of the cycle, where there is a season.
    pub season: Option<[f32; FINGERPRINT]>,
    /// Observations it was learned from.
    pub seen: u32,
}

/// A regime that was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Regime<S> {
    signature: Signature,
    state: S,
    last_used: Timestamp,
}

/// The regimes that one series has been in before the present one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegimeMemory<S> {
    regimes: Vec<Regime<S>>,
    /// The levels ever kept or asked for.
    range: Option<(f64, f64)>,
}

impl<S> Default for RegimeMemory<S> {
    fn default() -> Self {
        Self {
            regimes: Vec::new(),
            range: None,
        }
    }
}

impl<S: Clone> RegimeMemory<S> {
    /// How many regimes are remembered.
    pub fn len(&self) -> usize {
        self.regimes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.regimes.is_empty()
    }

    /// Keeps what was learned in a regime that ended at `at`. One that matches a remembered regime
    /// replaces it; else the one used longest ago makes room. A signature that is not finite is not
    /// kept.
    pub fn remember(&mut self, at: Timestamp, signature: Signature, state: S) {
        if !signature.is_sound() || signature.seen == 0 {
            return;
        }
        self.widen(signature.level);
        let same = self
            .regimes
            .iter()
            .position(|r| r.signature.same(&signature));
        if let Some(index) = same {
            self.regimes.remove(index);
        } else if self.regimes.len() >= CAPACITY {
            let oldest = (0..self.regimes.len()).min_by_key(|i| self.regimes[*i].last_used);
            if let Some(index) = oldest {
                self.regimes.remove(index);
            }
        }
        self.regimes.push(Regime {
            signature,
            state,
            last_used: at,
        });
    }

    /// The state of the remembered regime that is back, if the present one (its first few observations,
    /// as a signature) clearly is one. `left` is the level before the change: going back must mean
    /// going somewhere else.
    pub fn recall(&mut self, at: Timestamp, present: &Signature, left: f64) -> Option<S> {
        if !present.is_sound() || present.seen == 0 || !left.is_finite() {
            return None;
        }
        self.widen(present.level);
        self.widen(left);
        let (lower, upper) = self.range?;
        let match_of = |regime: &Regime<S>| {
            let distance = regime.signature.distance(present)?;
            let near = (present.level - regime.signature.level).abs();
            // As near as this on either side, or as wide as the scale could tell apart.
            let window = 2.0 * near.max(DISTANCE_MAX * regime.signature.error(present));
            let chance = window / (upper - lower);
            let moved = (left - regime.signature.level).abs() > near;
            (distance <= DISTANCE_MAX && chance < CHANCE && moved).then_some(distance)
        };
        let best = (self.regimes.iter().enumerate())
            .filter_map(|(index, regime)| Some((index, match_of(regime)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        let regime = &mut self.regimes[best.0];
        regime.last_used = at;
        Some(regime.state.clone())
    }

    fn widen(&mut self, level: f64) {
        let (lower, upper) = self.range.unwrap_or((level, level));
        self.range = Some((lower.min(level), upper.max(level)));
    }
}

impl Signature {
    /// From the first values of a regime; those that are not finite are skipped. `None` without any.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // Few values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let count = finite().count();
        let first = finite().next()?;
        let level = first + finite().map(|v| (v - first) / count as f64).sum::<f64>();
        let squares: f64 = finite().map(|v| (v - level) * (v - level)).sum();
        let scale = (squares / (count.max(2) - 1) as f64).sqrt();
        Some(Self {
            level,
            scale,
            season: None,
            seen: u32::try_from(count).unwrap_or(u32::MAX),
        })
        .filter(Self::is_sound)
    }

    fn is_sound(&self) -> bool {
        let season = self.season.iter().flatten();
        self.level.is_finite()
            && self.scale.is_finite()
            && self.scale >= 0.0
            && season.copied().all(f32::is_finite)
    }

    /// The standard error of the difference of the two levels, by the scale of the old one.
    fn error(&self, present: &Self) -> f64 {
        let counts = 1.0 / f64::from(present.seen.max(1)) + 1.0 / f64::from(self.seen.max(1));
        // Two equal constants differ by no more than rounding.
        let rounding = self.level.abs() * f64::EPSILON * 4.0;
        self.scale * counts.sqrt() + rounding
    }

    /// How far the present level lies from the old one in standard errors; `None` if scatter or season
    /// are another's.
    fn distance(&self, present: &Self) -> Option<f64> {
        let slack = 1.0 + 2.0 / f64::from(present.seen.max(1)).sqrt();
        let fits = present.seen < 3
            || (present.scale <= self.scale * SCATTER_RATIO * slack + self.error(present)
                && (present.seen < 8 || present.scale * SCATTER_RATIO * slack >= self.scale));
        if !fits || !seasons_alike(self.season.as_ref(), present.season.as_ref()) {
            return None;
        }
        let near = (present.level - self.level).abs();
        let error = self.error(present);
        // Level and error are both 0 for a constant 0 that is back.
        Some(if near == 0.0 { 0.0 } else { near / error })
    }

    fn same(&self, other: &Self) -> bool {
        self.distance(other).is_some_and(|d| d <= DISTANCE_MAX)
    }
}

/// Whether two fingerprints may be of one season; one that is not known speaks against nothing.
fn seasons_alike(a: Option<&[f32; FINGERPRINT]>, b: Option<&[f32; FINGERPRINT]>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return true;
    };
    let dot = |x: &[f32], y: &[f32]| {
        let products = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum::<f64>()
    };
    let size = (dot(a, a) * dot(b, b)).sqrt();
    size == 0.0 || dot(a, b) >= SEASON_ALIKE * size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn regime(level: f64, scale: f64) -> Signature {
        Signature {
            level,
            scale,
            season: None,
            seen: 200,
        }
    }

    fn first_values(level: f64, scale: f64, count: usize, seed: u64) -> Signature {
        let mut random = Random::new(seed);
        let values: Vec<f64> = (0..count)
            .map(|_| level + scale * random.normal())
            .collect();
        Signature::of(&values).unwrap()
    }

    #[test]
    fn what_was_put_back_gets_back_what_was_learned() {
        let mut returned = 0;
        for seed in 0..200 {
            let mut memory = RegimeMemory::default();
            memory.remember(at(0), regime(10.0, 1.0), "ten");
            memory.remember(at(1), regime(40.0, 1.0), "forty");
            let present = first_values(10.0, 1.0, 4, seed);
            returned += i32::from(memory.recall(at(2), &present, 40.0) == Some("ten"));
        }
        assert!(returned >= 190, "{returned} of 200");
    }

    #[test]
    fn a_new_level_seldom_passes_for_an_old_one() {
        let mut random = Random::new(5);
        let mut mistaken = 0;
        for seed in 0..500 {
            let mut memory = RegimeMemory::default();
            memory.remember(at(0), regime(0.0, 1.0), 0);
            memory.remember(at(1), regime(100.0, 1.0), 1);
            let present = first_values(100.0 * random.uniform(), 1.0, 4, seed);
            mistaken += i32::from(memory.recall(at(2), &present, 100.0).is_some());
        }
        // Levels within two of one that is remembered cannot be told from it by four values.
        assert!(mistaken <= 20, "{mistaken} of 500");
    }

    #[test]
    fn a_level_as_close_to_the_one_left_is_no_return() {
        let mut memory = RegimeMemory::default();
        memory.remember(at(0), regime(10.0, 1.0), ());
        let close = first_values(10.3, 1.0, 8, 1);
        assert_eq!(memory.recall(at(1), &close, 10.2), None);
        // Nor is one that chance explains: the range seen is hardly wider than the scatter.
        memory.remember(at(1), regime(14.0, 1.0), ());
        assert_eq!(
            memory.recall(at(2), &first_values(10.0, 1.0, 4, 2), 14.0),
            None
        );
    }

    #[test]
    fn another_scatter_or_season_is_another_regime() {
        let mut memory = RegimeMemory::default();
        let season = |sign: f32| Some([0.0, sign, sign, 0.0, 0.0, -sign, -sign, 0.0]);
        let old = Signature {
            season: season(1.0),
            ..regime(10.0, 1.0)
        };
        memory.remember(at(0), old, ());
        let wild = first_values(10.0, 30.0, 8, 1);
        assert_eq!(
            memory.recall(
                at(1),
                &Signature {
                    level: 10.0,
                    ..wild
                },
                90.0
            ),
            None
        );
        let present = first_values(10.0, 1.0, 8, 1);
        let turned = Signature {
            season: season(-1.0),
            ..present
        };
        assert_eq!(memory.recall(at(1), &turned, 90.0), None);
        let same = Signature {
            season: season(2.0),
            ..present
        };
        assert_eq!(memory.recall(at(1), &same, 90.0), Some(()));
    }

    #[test]
    fn constants_are_told_apart_to_the_digit() {
        let mut memory = RegimeMemory::default();
        memory.remember(at(0), regime(1e15, 0.0), "old");
        let again = Signature::of(&[1e15]).unwrap();
        assert_eq!(memory.recall(at(1), &again, 2e15), Some("old"));
        let other = Signature::of(&[1e15 + 8.0]).unwrap();
        assert_eq!(memory.recall(at(1), &other, 2e15), None);
    }

    #[test]
    fn the_regime_used_longest_ago_goes_first() {
        let mut memory = RegimeMemory::default();
        for (time, level) in [(0, 100.0), (1, 200.0), (2, 300.0)] {
            memory.remember(at(time), regime(level, 0.1), level);
        }
        assert_eq!(
            memory.recall(at(3), &regime(100.0, 0.1), 300.0),
            Some(100.0)
        );
        memory.remember(at(4), regime(400.0, 0.1), 400.0);
        assert_eq!(memory.len(), CAPACITY);
        assert_eq!(memory.recall(at(5), &regime(200.0, 0.1), 400.0), None);
        assert_eq!(
            memory.recall(at(5), &regime(100.0, 0.1), 400.0),
            Some(100.0)
        );
        // The same regime again is kept once, as it was last.
        memory.remember(at(6), regime(100.0, 0.1), 101.0);
        assert_eq!(memory.len(), CAPACITY);
        assert_eq!(
            memory.recall(at(7), &regime(100.0, 0.1), 400.0),
            Some(101.0)
        );
    }

    #[test]
    fn the_unit_and_the_place_of_zero_do_not_matter() {
        for (scale, shift) in [(1.0, 0.0), (1e-9, 0.0), (1e9, 0.0), (1.0, 4096.0)] {
            let map = |s: Signature| Signature {
                level: s.level * scale + shift,
                scale: s.scale * scale,
                ..s
            };
            let mut memory = RegimeMemory::default();
            memory.remember(at(0), map(regime(10.0, 1.0)), 1);
            memory.remember(at(1), map(regime(40.0, 1.0)), 2);
            let present = map(first_values(10.0, 1.0, 4, 3));
            assert_eq!(
                memory.recall(at(2), &present, 40.0 * scale + shift),
                Some(1)
            );
        }
    }

    #[test]
    fn nonsense_is_neither_kept_nor_recalled_and_the_state_survives_a_restart() {
        let mut memory = RegimeMemory::default();
        memory.remember(at(0), regime(f64::NAN, 1.0), 1);
        memory.remember(at(0), regime(1.0, f64::INFINITY), 1);
        assert!(memory.is_empty());
        assert_eq!(Signature::of(&[f64::NAN]), None);
        assert_eq!(Signature::of(&[1e308, -1e308]), None);
        memory.remember(at(0), regime(1e300, 1e290), 1);
        memory.remember(at(1), regime(-1e300, 1e290), 2);
        assert_eq!(memory.recall(at(2), &regime(f64::NAN, 1.0), 0.0), None);
        let text = serde_json::to_string(&memory).unwrap();
        let back: RegimeMemory<i32> = serde_json::from_str(&text).unwrap();
        assert_eq!(back, memory);
    }
}
