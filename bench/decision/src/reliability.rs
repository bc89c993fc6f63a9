//! Whether probabilities are what they say: reliability by tenths, and the Brier score.
//!
//! Of all statements with a probability `p`, a share `p` should come true (Murphy and Winkler 1977). The Brier
//! score (Brier 1950) is the mean of `(p - outcome)^2`: 0 is perfect, smaller is better.

use serde::Serialize;

const BINS: usize = 10;

/// Statements and what came of them, summed up by tenths.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Reliability {
    bins: [Bin; BINS],
    squares: f64,
    count: u64,
}

/// The statements with a probability of one tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Bin {
    pub(crate) count: u64,
    probabilities: f64,
    came_true: u64,
}

impl Bin {
    /// The mean probability that was stated, and the share that came true; `None` without any.
    pub(crate) fn point(&self) -> Option<(f64, f64)> {
        let count = self.count as f64;
        (self.count > 0).then(|| (self.probabilities / count, self.came_true as f64 / count))
    }
}

impl Reliability {
    /// Takes a statement.
    pub(crate) fn push(&mut self, probability: f64, came_true: bool) {
        let probability = probability.clamp(0.0, 1.0);
        let bin = &mut self.bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.count += 1;
        bin.probabilities += probability;
        bin.came_true += u64::from(came_true);
        let outcome = if came_true { 1.0 } else { 0.0 };
        self.squares += (probability - outcome).powi(2);
        self.count += 1;
    }

    /// Takes all statements of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.count += other.count;
            bin.probabilities += other.probabilities;
            bin.came_true += other.came_true;
        }
        self.squares += other.squares;
        self.count += other.count;
    }

    /// The Brier score; `None` without a statement.
    pub(crate) fn brier(&self) -> Option<f64> {
        (self.count > 0).then(|| self.squares / self.count as f64)
    }

    /// How many statements there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The tenths, rising.
    pub(crate) fn bins(&self) -> &[Bin] {
        &self.bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_in_their_tenth() {
        let mut reliability = Reliability::default();
        for (p, came) in [(0.95, true), (0.91, false), (1.0, true), (0.05, false)] {
            reliability.push(p, came);
        }
        let top = reliability.bins()[9];
        assert_eq!(top.count, 3);
        let (mean, share) = top.point().unwrap();
        assert!((mean - 2.86 / 3.0).abs() < 1e-12 && (share - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(reliability.bins()[5].point(), None);
        let by_hand = (0.05_f64.powi(2) + 0.91_f64.powi(2) + 0.0 + 0.05_f64.powi(2)) / 4.0;
        assert!((reliability.brier().unwrap() - by_hand).abs() < 1e-12);
    }

    #[test]
    fn merged_is_the_same_as_taken_together() {
        let (mut one, mut two, mut both) = Default::default();
        for i in 0..40 {
            let (p, came) = (f64::from(i) / 40.0, i % 3 == 0);
            Reliability::push(if i % 2 == 0 { &mut one } else { &mut two }, p, came);
            Reliability::push(&mut both, p, came);
        }
        one.merge(&two);
        assert_eq!(one.count(), both.count());
        assert!((one.brier().unwrap() - both.brier().unwrap()).abs() < 1e-12);
    }
}
