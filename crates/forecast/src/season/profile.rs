//! One season, followed online in bounded memory.
//!
//! The cycle is a ring of at most [`BINS_MAX`] knots, at equal distances in *time*; between two knots
//! the profile is a straight line. An observation belongs where its timestamp falls, so gaps and
//! irregular samples are right by construction. Each observation moves the level (an exponential mean
//! over about one cycle) and its two knots towards what was seen:
//! `e = y - level - s(phase)`, `level += a e`, `s_j += g w_j e / sum w^2` (normalised least mean
//! squares, Widrow and Hoff 1960). In the first cycle the knots simply take what comes.
//!
//! The gain `g` per cycle falls as `1 / cycles` to a floor that is learned: errors that repeat their sign
//! a cycle later say that the profile lags and raise it, errors that turn lower it (Kesten 1958).
//! Each knot has its own variance, for a peak is rarely as regular as the night.
//!
//! Invariants: what is stored is finite; the profile has mean 0 over a cycle; a shift of all values
//! shifts the level and nothing else.

use std::time::Duration;

use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::VALUE_LIMIT;
use crate::models::Moments;

/// Knots at most.
const BINS_MAX: usize = 48;

/// The gain per cycle is never below or above these.
const GAIN_MIN: f64 = 0.05;
const GAIN_MAX: f64 = 0.6;

/// The factor on the gain floor when an error repeats or turns, at one knot of the ring.
const GAIN_STEP: f64 = 0.5;

/// An error beyond so many deviations counts as so many, once the deviation is known.
const OUTLIER: f64 = 4.0;

/// What one knot knows. Distances are in units of the series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Knot {
    offset: f32,
    /// The mean square of the error here.
    variance: f32,
    /// The mean error of the last visit, to compare the next with.
    error: f32,
    /// Visits (one a cycle), at most 255.
    visits: u8,
}

/// The learned shape of one season.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    period_ms: i64,
    /// The first observation: where phase 0 is.
    origin: Option<Timestamp>,
    last: Option<Timestamp>,
    knots: Vec<Knot>,
    /// The mean over a cycle, in the first cycle the first value.
    level: f64,
    /// The mean of the offsets, which is taken off whatever is read.
    mean: f64,
    gain: f64,
    /// The knot being visited, and the visit's errors so far.
    visiting: usize,
    errors: f64,
    error_count: u32,
    /// Mean squares of the distance from the level, and of the error.
    power: f64,
    noise: f64,
}

impl Profile {
    /// For a season of `period` sampled about every `step`. Both are at least a millisecond.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped first.
    pub fn new(period: Duration, step: Duration) -> Self {
        let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(2);
        let ratio = period.as_secs_f64() / step.as_secs_f64().max(1e-3);
        let bins = ratio.round().clamp(2.0, BINS_MAX as f64) as usize;
        Self {
            period_ms,
            origin: None,
            last: None,
            knots: vec![Knot::default(); bins],
            level: 0.0,
            mean: 0.0,
            gain: GAIN_MIN,
            visiting: 0,
            errors: 0.0,
            error_count: 0,
            power: 0.0,
            noise: 0.0,
        }
    }

    /// The season's length.
    pub fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms.unsigned_abs())
    }

    /// Cycles since the first observation, whether or not all of their samples came.
    #[allow(clippy::cast_precision_loss)] // Milliseconds stay below 2^53 for longer than anybody lives.
    pub fn cycles(&self) -> f64 {
        match (self.origin, self.last) {
            (Some(origin), Some(last)) => {
                last.since(origin).as_millis() as f64 / self.period_ms as f64
            }
            (None, _) | (_, None) => 0.0,
        }
    }

    /// Takes an observation made at `at`, limited to ±[`VALUE_LIMIT`]. One that is not finite is a gap; one not after the last is
    /// ignored.
    pub fn observe(&mut self, at: Timestamp, value: f64) {
        if !value.is_finite() || self.last.is_some_and(|last| at <= last) {
            return;
        }
        let value = value.clamp(-VALUE_LIMIT, VALUE_LIMIT);
        let elapsed = self.last.map(|last| self.share(at.since(last)));
        let Some(elapsed) = elapsed else {
            (self.origin, self.last, self.level) = (Some(at), Some(at), value);
            return;
        };
        let before = self.cycles();
        self.last = Some(at);
        let (first, weight) = self.place(at);
        let first_cycle = self.cycles() < 1.0;
        if before < 1.0 && !first_cycle {
            // The first cycle is complete: from now on the level is its mean.
            self.end_visit();
            self.level += self.mean;
        }
        if first_cycle {
            self.take(first, weight, value - self.level);
        } else {
            self.learn(first, weight, elapsed, value);
        }
    }

    /// The level moved by `by` for a reason outside the season (a step): the profile stays as it is.
    pub fn shift(&mut self, by: f64) {
        if by.is_finite() {
            self.level += by;
        }
    }

    /// The seasonal offset from the level at an instant, and its variance (of a single observation
    /// round it). Mean 0 until a cycle is complete.
    pub fn offset(&self, at: Timestamp) -> Moments {
        if self.cycles() < 1.0 {
            return Moments::default();
        }
        let (first, weight) = self.place(at);
        let (a, b) = (&self.knots[first], &self.knots[self.after(first)]);
        let mix = |x: f32, y: f32| f64::from(x) * (1.0 - weight) + f64::from(y) * weight;
        Moments {
            mean: mix(a.offset, b.offset) - self.mean,
            variance: mix(a.variance, b.variance),
        }
    }

    /// The mean over a cycle.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// `1 - Var(error) / Var(distance from the level)` of forecasts made before each observation, from
    /// 0 to 1; 0 until two cycles are complete.
    pub fn strength(&self) -> f64 {
        if self.cycles() < 2.0 || self.power <= 0.0 {
            return 0.0;
        }
        (1.0 - self.noise / self.power).clamp(0.0, 1.0)
    }

    /// In the first cycle the nearer knot takes the mean of what falls to it, and so for the time being
    /// do those after it: one that is passed over in a gap keeps its last neighbour's value.
    fn take(&mut self, first: usize, weight: f64, distance: f64) {
        let nearer = if weight < 0.5 {
            first
        } else {
            self.after(first)
        };
        if nearer < self.visiting {
            return; // The last half step of the cycle belongs to its first knot.
        }
        if nearer != self.visiting {
            self.visiting = nearer;
            (self.errors, self.error_count) = (0.0, 0);
        }
        self.errors += distance;
        self.error_count += 1;
        let mean = self.errors / f64::from(self.error_count);
        for knot in nearer..self.knots.len() {
            self.set(knot, mean);
        }
        self.knots[nearer].visits = 1;
    }

    fn learn(&mut self, first: usize, weight: f64, elapsed: f64, value: f64) {
        let second = self.after(first);
        let expected = self.offset_at(first, weight);
        let distance = value - self.level;
        let mut error = distance - expected;
        let power_gain = elapsed.min(0.5);
        self.power += power_gain * (distance * distance - self.power);
        self.noise += power_gain * (error * error - self.noise);
        let nearer = if weight < 0.5 { first } else { second };
        if nearer != self.visiting {
            self.end_visit();
            self.visiting = nearer;
        }
        let knot = self.knots[nearer];
        if knot.visits > 2 && knot.variance > 0.0 {
            let limit = OUTLIER * f64::from(knot.variance).sqrt();
            error = error.clamp(-limit, limit);
        }
        self.errors += error;
        self.error_count += 1;
        self.level += (1.0 - (-elapsed).exp()) * error;

        #[allow(clippy::cast_precision_loss)] // At most 48 knots.
        let per_visit = (elapsed * self.knots.len() as f64).clamp(0.0, 1.0);
        let gain = self.gain.max(1.0 / (f64::from(knot.visits) + 1.0));
        let step = (1.0 - (1.0 - gain).powf(per_visit)) * error
            / (weight * weight + (1.0 - weight) * (1.0 - weight));
        self.set(
            first,
            f64::from(self.knots[first].offset) + step * (1.0 - weight),
        );
        self.set(second, f64::from(self.knots[second].offset) + step * weight);
        let knot = &mut self.knots[nearer];
        let spread = f64::from(knot.variance);
        let gain = if knot.visits <= 1 && spread == 0.0 {
            1.0
        } else {
            gain.min(0.25) * per_visit
        };
        knot.variance = single(spread + gain * (error * error - spread));
    }

    /// Compares the visit's mean error with that of a cycle ago.
    fn end_visit(&mut self) {
        if self.error_count == 0 {
            return;
        }
        let mean = self.errors / f64::from(self.error_count);
        (self.errors, self.error_count) = (0.0, 0);
        if self.cycles() < 1.0 {
            return;
        }
        #[allow(clippy::cast_precision_loss)] // At most 48 knots.
        let bins = self.knots.len() as f64;
        let knot = &mut self.knots[self.visiting];
        let product = mean * f64::from(knot.error);
        if knot.visits >= 3 && product != 0.0 {
            let size = mean * mean + f64::from(knot.error) * f64::from(knot.error);
            let likeness = (2.0 * product / size).clamp(-1.0, 1.0);
            let factor = 1.0 + GAIN_STEP * likeness / bins;
            self.gain = (self.gain * factor).clamp(GAIN_MIN, GAIN_MAX);
        }
        knot.error = single(mean);
        knot.visits = knot.visits.saturating_add(1);
    }

    fn offset_at(&self, first: usize, weight: f64) -> f64 {
        let (a, b) = (
            self.knots[first].offset,
            self.knots[self.after(first)].offset,
        );
        f64::from(a) * (1.0 - weight) + f64::from(b) * weight - self.mean
    }

    fn set(&mut self, knot: usize, offset: f64) {
        let offset = single(offset);
        #[allow(clippy::cast_precision_loss)] // At most 48 knots.
        let bins = self.knots.len() as f64;
        self.mean += (f64::from(offset) - f64::from(self.knots[knot].offset)) / bins;
        self.knots[knot].offset = offset;
    }

    fn after(&self, knot: usize) -> usize {
        if knot + 1 < self.knots.len() {
            knot + 1
        } else {
            0
        }
    }

    #[allow(clippy::cast_precision_loss)] // As in `cycles`.
    fn share(&self, span: Duration) -> f64 {
        span.as_millis() as f64 / self.period_ms as f64
    }

    /// The knot before an instant and how far towards the next it lies, in [0, 1).
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    fn place(&self, at: Timestamp) -> (usize, f64) {
        let origin = self.origin.unwrap_or(at).as_millis();
        let since = at
            .as_millis()
            .saturating_sub(origin)
            .rem_euclid(self.period_ms);
        let place = since as f64 / self.period_ms as f64 * self.knots.len() as f64;
        // Within a thousandth of a knot it is on the knot: periods are whole steps but for rounding.
        let place = if (place - place.round()).abs() < 1e-3 {
            place.round()
        } else {
            place
        };
        let first = place as usize;
        (first % self.knots.len(), place - first as f64)
    }
}

/// To single precision, kept finite.
#[allow(clippy::cast_possible_truncation)] // The loss of digits is meant: offsets are small.
pub(super) fn single(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    const DAY_MS: i64 = 86_400_000;

    fn minutes(index: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + index * 60_000)
    }

    fn daily() -> Profile {
        Profile::new(Duration::from_secs(86_400), Duration::from_secs(60))
    }

    #[allow(clippy::cast_precision_loss)] // Minutes of some days.
    fn wave(index: i64) -> f64 {
        (std::f64::consts::TAU * (index % 1440) as f64 / 1440.0).sin()
    }

    /// The root mean square distance between the profile and a truth over one cycle.
    fn distance(profile: &Profile, from: i64, truth: impl Fn(i64) -> f64) -> f64 {
        let squares =
            (from..from + 1440).map(|i| (profile.offset(minutes(i)).mean - truth(i)).powi(2));
        (squares.sum::<f64>() / 1440.0).sqrt()
    }

    #[test]
    fn a_daily_wave_in_noise_is_learned_and_its_noise_known() {
        let (mut profile, mut random) = (daily(), Random::new(1));
        for i in 0..1440 * 4 {
            profile.observe(minutes(i), 100.0 + wave(i) + 0.3 * random.normal());
        }
        let off = distance(&profile, 1440 * 4, wave);
        assert!(off < 0.1, "{off}");
        let noise = profile.offset(minutes(0)).variance.sqrt();
        assert!((0.2..0.4).contains(&noise), "{noise}");
        assert!(profile.strength() > 0.7, "{}", profile.strength());
        assert!((profile.level() - 100.0).abs() < 0.1, "{}", profile.level());
    }

    #[test]
    fn a_peak_at_the_same_hour_is_foreseen_to_the_sample_where_each_has_its_knot() {
        let hour = |i: i64| Timestamp::from_millis(i * 3_600_000 + 1234);
        let mut profile = Profile::new(Duration::from_secs(86_400), Duration::from_secs(3600));
        for i in 0..24 * 3 {
            profile.observe(hour(i), if i % 24 == 5 { 24.0 } else { 0.0 });
        }
        for i in 72..96 {
            let expected = if i % 24 == 5 { 23.0 } else { -1.0 };
            assert!((profile.offset(hour(i)).mean - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_gap_moves_nothing_but_the_clock() {
        let (mut whole, mut random) = (daily(), Random::new(2));
        for i in 0..1440 * 3 {
            whole.observe(minutes(i), wave(i) + 0.1 * random.normal());
        }
        let mut gapped = whole.clone();
        for i in 1440 * 3..1440 * 3 + 700 {
            gapped.observe(minutes(i), f64::NAN);
        }
        assert_eq!(gapped, whole);
        // After a day and a half of nothing, the phase is still right.
        gapped.observe(minutes(1440 * 4 + 720), wave(720));
        assert!(distance(&gapped, 1440 * 5, wave) < 0.1);
    }

    #[test]
    fn a_changed_season_is_followed_within_some_cycles() {
        let (mut profile, mut random) = (daily(), Random::new(3));
        for i in 0..1440 * 14 {
            let sign = if i < 1440 * 7 { 1.0 } else { -1.0 };
            profile.observe(minutes(i), sign * wave(i) + 0.2 * random.normal());
        }
        let off = distance(&profile, 1440 * 14, |i| -wave(i));
        assert!(off < 0.4, "{off}");
    }

    #[test]
    fn a_step_told_of_leaves_the_profile_alone() {
        let mut profile = daily();
        for i in 0..1440 * 3 {
            profile.observe(minutes(i), wave(i));
        }
        let before = distance(&profile, 0, wave);
        profile.shift(50.0);
        for i in 1440 * 3..1440 * 4 {
            profile.observe(minutes(i), 50.0 + wave(i));
        }
        assert!((distance(&profile, 0, wave) - before).abs() < 0.02);
    }

    #[test]
    fn the_memory_is_bounded_and_the_state_survives_a_restart() {
        let mut profile = daily();
        assert_eq!(profile.knots.len(), BINS_MAX);
        assert!(size_of::<Profile>() + BINS_MAX * size_of::<Knot>() < 1024);
        for i in 0..2000 {
            profile.observe(minutes(i * 3), wave(i * 3) * 1e-3);
        }
        let text = serde_json::to_string(&profile).unwrap();
        let back: Profile = serde_json::from_str(&text).unwrap();
        assert_eq!(back, profile);
        let end = profile.last.unwrap();
        assert!(end.as_millis() - minutes(0).as_millis() < 5 * DAY_MS);
    }

    #[test]
    fn nothing_seen_makes_it_say_nonsense() {
        let extremes = [1e308, -1e308, f64::NAN, f64::INFINITY, 0.0, 1e-310, 1e15];
        let mut profile = Profile::new(Duration::from_millis(50), Duration::ZERO);
        for i in 0..700_i64 {
            let at = Timestamp::from_millis(i * 7);
            profile.observe(at, extremes[usize::try_from(i).unwrap() % extremes.len()]);
            let said = profile.offset(at);
            assert!(
                said.mean.is_finite() && said.variance.is_finite(),
                "{i}: {said:?}"
            );
            assert!(profile.level().is_finite() && profile.strength().is_finite());
        }
    }
}
