//! Is there a trend at all? Evidence that does not trust any noise model.
//!
//! A single step looks like a steep slope to every filter. What tells a trend from a step is that it
//! *repeats*: many changes the same way. So the means of consecutive blocks of observations are taken,
//! and of their differences `d` the self-normalised sum `t^2 = (sum w d)^2 / sum (w d)^2`, `w` being a
//! discount. By itself it counts the changes that pull the same way: 1 after one step whatever its size,
//! at most 2 if the step fell inside a block, `m` after `m` equal steps, about 1 on a random walk, near 0
//! on noise round a level. It has no unit and needs no variance (self-normalised sums: de la Peña, Lai
//! and Shao 2009). Blocks of four sizes see staircases and slopes of as many tempos.
//! Blocks count observations, not time: evidence comes with what was seen, not with what was missed.

use serde::{Deserialize, Serialize};

/// Observations in a block.
const SIZES: [u32; 4] = [1, 4, 16, 64];

/// What a difference keeps of its say with each later one; about nineteen count.
const MEMORY: f64 = 0.9;

/// Up to so many changes alike there is no trend; from so many on it is certain.
const NONE_UP_TO: f64 = 2.5;
const CERTAIN_FROM: f64 = 6.0;

/// Differences of block means at one size.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Blocks {
    sum: f64,
    count: u32,
    /// The mean of the block before; not a number before the first. (An option would take eight bytes more.)
    previous: f64,
    drift: f64,
    squares: f64,
}

impl Default for Blocks {
    fn default() -> Self {
        Self {
            sum: 0.0,
            count: 0,
            previous: f64::NAN,
            drift: 0.0,
            squares: 0.0,
        }
    }
}

impl Blocks {
    fn observe(&mut self, size: u32, value: f64) {
        self.sum += value;
        self.count += 1;
        if self.count < size {
            return;
        }
        let mean = self.sum / f64::from(size);
        let difference = mean - self.previous;
        if !difference.is_nan() {
            self.drift = MEMORY * self.drift + difference;
            self.squares = MEMORY * MEMORY * self.squares + difference * difference;
        }
        self.previous = mean;
        (self.sum, self.count) = (0.0, 0);
    }

    fn changes_alike(&self) -> f64 {
        if self.squares > 0.0 {
            self.drift * self.drift / self.squares
        } else {
            0.0
        }
    }
}

/// Watches one series for a trend.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrendEvidence([Blocks; SIZES.len()]);

impl TrendEvidence {
    /// Takes one more observation.
    pub fn observe(&mut self, value: f64) {
        for (blocks, size) in self.0.iter_mut().zip(SIZES) {
            blocks.observe(size, value);
        }
    }

    /// From 0 (no trend) to 1 (certainly one).
    pub fn strength(&self) -> f64 {
        let most = self.0.iter().map(Blocks::changes_alike).fold(0.0, f64::max);
        ((most - NONE_UP_TO) / (CERTAIN_FROM - NONE_UP_TO)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strength_after(values: impl IntoIterator<Item = f64>) -> f64 {
        let mut evidence = TrendEvidence::default();
        values.into_iter().for_each(|value| evidence.observe(value));
        evidence.strength()
    }

    #[test]
    fn a_single_step_is_no_trend_at_any_later_time() {
        for offset in 0..64 {
            for after in 1..80 {
                let values = (0..100 + offset)
                    .map(|_| 0.0)
                    .chain((0..after).map(|_| 7.0));
                assert_eq!(strength_after(values), 0.0, "{offset} {after}");
            }
        }
    }

    #[test]
    fn a_staircase_is_a_trend_after_six_steps() {
        let stairs = |steps: u32| {
            (0..100)
                .map(|_| 0)
                .chain(4..4 + 4 * steps)
                .map(|i| f64::from(i / 4))
        };
        assert!(strength_after(stairs(3)) < 0.5);
        assert!(
            strength_after(stairs(6)) > 0.6,
            "{}",
            strength_after(stairs(6))
        );
        assert_eq!(strength_after(stairs(8)), 1.0);
    }

    #[test]
    fn alternation_is_no_trend() {
        assert_eq!(strength_after((0..300).map(|i| f64::from(i % 2))), 0.0);
    }
}
