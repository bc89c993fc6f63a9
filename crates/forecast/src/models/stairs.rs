//! What moves in jumps the same way and stands still in between: a staircase, as people make it who edit a
//! setting again and again.
//!
//! Sizes of jumps and the intervals between them are followed apart, as Croston (1972) does it for
//! intermittent demand. With jumps of relative variance `a` in size and `b` in interval, `m` apart, their
//! number in a span `h` is about `N = (h + age) / m - 1/2`, where `age` is the time since the last one
//! (a line through the middle of the stairs), and the way gone has the variance
//!
//! ```text
//! size^2 (1/12 + N (a + b) + N^2 (a + b) / n)
//! ```
//!
//! The first term is that of the line's distance from the stairs, the second that of a renewal-reward
//! process (Smith 1955; Cox 1962, 8.3), the third that of the means, known from `n` jumps. `a` and `b` are
//! taken to be 1, as of jumps at random, with the weight of one jump: three alike are no law.
//!
//! A jump the other way, or one long after it was due, is the first of another staircase. Once a jump is
//! overdue the interval is taken to be what has passed already, so that stairs that have ended are carried on
//! ever less.

use serde::{Deserialize, Serialize};

use super::{Moments, VARIANCE_FLOOR};

/// So many jumps make a staircase.
const STAIRS: u32 = 3;

/// Means are over at most so many jumps.
const MEMORY: u32 = 16;

/// A shorter interval, in steps, is a slope: the models of the pool that know noise see it as well.
const INTERVAL_MIN: f32 = 2.0;

/// A jump after more intervals than this begins another staircase.
const LATE: f32 = 4.0;

/// The variance of a line's distance from stairs of size 1.
const BETWEEN_STAIRS: f64 = 1.0 / 12.0;

/// A mean and a standard deviation that forget. In single precision, as every varying series has two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spread {
    mean: f32,
    deviation: f32,
}

impl Spread {
    /// Takes the `count`-th value.
    #[allow(clippy::cast_possible_truncation)] // Rounding is meant.
    fn take(&mut self, count: u32, value: f64) {
        let gain = 1.0 / f64::from(count.clamp(1, MEMORY));
        let distance = value - f64::from(self.mean);
        let variance = f64::from(self.deviation).powi(2) + gain * distance * distance;
        self.mean = (f64::from(self.mean) + gain * distance) as f32;
        self.deviation = ((1.0 - gain) * variance).sqrt() as f32;
    }

    /// The variance relative to the mean's square, where `count` are known, and one more that is not.
    fn relative_variance(&self, count: u32) -> f64 {
        let count = f64::from(count.min(MEMORY));
        let mean = f64::from(self.mean.abs().max(f32::MIN_POSITIVE));
        let relative = (f64::from(self.deviation) / mean).powi(2);
        (count * relative + 1.0) / (count + 1.0)
    }
}

/// Follows the jumps of one series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stairs {
    /// The last observation; not a number before the first.
    last: f64,
    size: Spread,
    interval: Spread,
    /// Steps since the last jump.
    age: f32,
    /// Jumps of the present staircase.
    count: u32,
}

impl Default for Stairs {
    fn default() -> Self {
        Self {
            last: f64::NAN,
            size: Spread::default(),
            interval: Spread::default(),
            age: 0.0,
            count: 0,
        }
    }
}

impl Stairs {
    /// Takes an observation `elapsed` steps after the last.
    #[allow(clippy::cast_possible_truncation)] // Rounding is meant.
    pub(super) fn observe(&mut self, elapsed: f64, value: f64) {
        let change = value - std::mem::replace(&mut self.last, value);
        if change.is_nan() {
            return;
        }
        self.age += elapsed as f32;
        if change == 0.0 {
            return;
        }
        let is_late = self.count > 1 && self.age > LATE * self.interval.mean;
        if self.count == 0 || (change > 0.0) != (self.size.mean > 0.0) || is_late {
            (self.count, self.size, self.interval) = Default::default();
        } else {
            self.interval.take(self.count, f64::from(self.age));
        }
        self.count = self.count.saturating_add(1);
        self.size.take(self.count, change);
        self.age = 0.0;
    }

    /// The predictive distribution `ahead` steps on; `None` where there is no staircase.
    pub(super) fn predict(&self, ahead: f64) -> Option<Moments> {
        if self.count < STAIRS || self.interval.mean < INTERVAL_MIN {
            return None;
        }
        let interval = f64::from(self.interval.mean.max(self.age));
        let jumps = ((ahead + f64::from(self.age)) / interval - 0.5).max(0.0);
        let scatter = self.size.relative_variance(self.count)
            + self.interval.relative_variance(self.count - 1);
        let known_from = f64::from(self.count.min(MEMORY));
        let steps = BETWEEN_STAIRS + jumps * scatter * (1.0 + jumps / known_from);
        let size = f64::from(self.size.mean);
        Some(Moments {
            mean: self.last + size * jumps,
            variance: (size * size * steps).max(VARIANCE_FLOOR),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(values: impl IntoIterator<Item = f64>) -> Stairs {
        let mut stairs = Stairs::default();
        values
            .into_iter()
            .for_each(|value| stairs.observe(1.0, value));
        stairs
    }

    /// `count` jumps of 2, sixteen steps apart, and `rest` steps since the last.
    fn regular(count: u32, rest: u32) -> Stairs {
        after((0..=16 * count + rest).map(|step| 2.0 * f64::from((step / 16).min(count))))
    }

    #[test]
    fn regular_stairs_are_carried_on_with_ever_more_confidence() {
        let said = |count| regular(count, 0).predict(160.0).unwrap();
        // Ten jumps to come, half of one behind the line.
        assert!((said(8).mean - (16.0 + 19.0)).abs() < 1e-5, "{:?}", said(8));
        let deviations = [3, 4, 8, 16].map(|count| said(count).variance.sqrt());
        assert!(deviations.windows(2).all(|d| d[1] < d[0]), "{deviations:?}");
        assert!(deviations[0] > 9.0, "three are no law: {deviations:?}");
        assert!(deviations[3] < 3.0, "{deviations:?}");
    }

    #[test]
    fn stairs_that_scatter_are_less_certain() {
        let sizes = [1.0, 3.0, 2.0, 2.5, 1.5, 2.0, 3.0, 1.0];
        let waits = [20, 12, 16, 24, 8, 16, 10, 22];
        let mut value = 0.0;
        let values = sizes.iter().zip(waits).flat_map(|(size, wait)| {
            value += size;
            vec![value; wait]
        });
        let scattered = after([0.0].into_iter().chain(values))
            .predict(160.0)
            .unwrap();
        let even = regular(8, 15).predict(160.0).unwrap();
        assert!(
            scattered.variance > 1.2 * even.variance,
            "{scattered:?} {even:?}"
        );
    }

    #[test]
    fn what_turns_or_has_only_begun_is_no_staircase() {
        assert_eq!(regular(2, 3).predict(10.0), None);
        let zigzag = (0..400).map(|step| f64::from(step / 16 % 2));
        assert_eq!(after(zigzag).predict(10.0), None);
        assert_eq!(after((0..40).map(f64::from)).predict(10.0), None);
        let mut late = regular(8, 100);
        late.observe(1.0, 18.0);
        assert_eq!(late.predict(10.0), None);
    }

    #[test]
    fn stairs_that_have_ended_are_carried_on_ever_less() {
        let ways = [0, 15, 32, 64, 128, 1024].map(|rest| {
            let stairs = regular(8, rest);
            stairs.predict(160.0).unwrap().mean - 16.0
        });
        assert!(ways[2..].windows(2).all(|w| w[1] < w[0]), "{ways:?}");
        assert!(ways[5] < 2.0, "{ways:?}");
    }

    #[test]
    fn a_gap_counts_as_time() {
        let whole = regular(8, 0);
        let mut sparse = Stairs::default();
        for count in 0..=8 {
            sparse.observe(16.0, 2.0 * f64::from(count));
        }
        assert_eq!(sparse.predict(160.0), whole.predict(160.0));
    }
}
