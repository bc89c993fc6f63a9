//! The quantile head: from a hidden state to quantiles that cannot cross, and the loss to train on.
//!
//! For each anchor horizon the head makes [`OUTPUTS`] numbers `z = h V + b`:
//! ```text
//! median = z0 + sum_j sigmoid(z_gate_j) skip_j      skip: see `track::Candidates`
//! q_{m+j} = q_{m+j-1} + softplus(z_up_j)            q_{m-j} = q_{m-j+1} - softplus(z_down_j)
//! ```
//! all as distances from the last value in units of the horizon. The gates let the network say how far
//! the series returns to its level or follows its season, and learn only the rest; increments that are
//! positive by construction keep the quantiles in order. Between anchors the numbers `z` (not the values)
//! are interpolated over the logarithm of the horizon, so that the season keeps its shape; training meets
//! horizons between the anchors as often as the anchors.
//!
//! Loss: pinball (Koenker and Bassett 1978), mean over levels and horizons, in units of the horizon.

use super::math::{ln, sigmoid, sigmoid_all, softplus_all};
use super::track::{Candidates, SKIPS};

/// The levels of the quantiles.
pub const LEVELS: [f64; 7] = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975];
const TRAINED: [f32; 7] = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975];
/// Quantiles to each side of the median.
const SIDE: usize = LEVELS.len() / 2;
/// Numbers that the head makes for one horizon.
pub(crate) const OUTPUTS: usize = 1 + 2 * SIDE + SKIPS;
/// A candidate further away than this pulls at its gate no harder.
const PULL_MAX: f32 = 10.0;

/// Start values of the biases: quantiles of about a normal whose mean absolute size is the unit, and
/// gates that are nearly shut but for the seasons'.
pub(crate) const START: [f32; OUTPUTS] = [
    0.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, -2.0, -0.5, -2.0, -2.0, -1.0, -2.0, -2.0,
];

/// Where a horizon lies among the anchors: at one of them, and a share of the way to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    anchor: usize,
    share: f32,
}

impl Place {
    /// Before the first anchor counts as the first, beyond the last as the last. `horizons` rise.
    pub(crate) fn new(horizons: &[u32], step: u32) -> Self {
        let anchor = horizons.partition_point(|h| *h <= step).saturating_sub(1);
        let share = match (horizons.get(anchor), horizons.get(anchor + 1)) {
            (Some(before), Some(after)) if *before < step => {
                ln(ratio(step, *before)) / ln(ratio(*after, *before))
            }
            (Some(_) | None, _) => 0.0,
        };
        Self { anchor, share }
    }

    /// The head's numbers at this place, from those at the anchors.
    pub(crate) fn mix(&self, z: &[f32]) -> [f32; OUTPUTS] {
        let here = &z[self.anchor * OUTPUTS..];
        if self.share == 0.0 {
            return std::array::from_fn(|n| here[n]);
        }
        std::array::from_fn(|n| here[n] + self.share * (here[n + OUTPUTS] - here[n]))
    }

    /// Adds the slopes by the numbers at this place to those by the numbers at the anchors.
    pub(crate) fn spread(&self, slopes: &[f32; OUTPUTS], by_anchors: &mut [f32]) {
        let target = &mut by_anchors[self.anchor * OUTPUTS..];
        for (n, slope) in slopes.iter().enumerate() {
            target[n] += (1.0 - self.share) * slope;
            if self.share > 0.0 {
                target[n + OUTPUTS] += self.share * slope;
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // A ratio of horizons; its far digits do not matter.
pub(crate) fn ratio(of: u32, to: u32) -> f32 {
    (f64::from(of) / f64::from(to)) as f32
}

/// The head's answer for one horizon, before the candidates are put in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    base: f32,
    up: [f32; SIDE],
    down: [f32; SIDE],
    gates: [f32; SKIPS],
}

impl Parts {
    pub(crate) fn new(z: &[f32; OUTPUTS]) -> Self {
        // Padded to whole vectors.
        let (mut widths, mut gates) = ([0.0; 8], [0.0; 8]);
        widths[..2 * SIDE].copy_from_slice(&z[1..=2 * SIDE]);
        gates[..SKIPS].copy_from_slice(&z[1 + 2 * SIDE..]);
        softplus_all(&mut widths);
        sigmoid_all(&mut gates);
        Self {
            base: z[0],
            up: std::array::from_fn(|j| widths[j]),
            down: std::array::from_fn(|j| widths[SIDE + j]),
            gates: std::array::from_fn(|j| gates[j]),
        }
    }

    /// The same answer, less sure by a factor.
    pub(crate) fn widened(mut self, factor: f32) -> Self {
        for width in self.up.iter_mut().chain(&mut self.down) {
            *width *= factor;
        }
        self
    }

    /// The quantiles, in units from the last value.
    pub(crate) fn quantiles(&self, skips: &[f32; SKIPS]) -> [f32; LEVELS.len()] {
        let pulled = self.gates.iter().zip(skips).map(|(gate, skip)| gate * skip);
        let mut quantiles = [self.base + pulled.sum::<f32>(); LEVELS.len()];
        for j in 0..SIDE {
            quantiles[SIDE + 1 + j] = quantiles[SIDE + j] + self.up[j];
            quantiles[SIDE - 1 - j] = quantiles[SIDE - j] - self.down[j];
        }
        quantiles
    }
}

/// The loss of one horizon's numbers `z` when `actual` (in units from the last value) came, and into
/// `slopes` its derivative by each of them.
pub(crate) fn loss(
    z: &[f32; OUTPUTS],
    candidates: &Candidates,
    actual: f32,
    slopes: &mut [f32; OUTPUTS],
) -> f32 {
    let parts = Parts::new(z);
    let quantiles = parts.quantiles(&candidates.skips);
    let mut by_quantile = [0.0_f32; LEVELS.len()];
    let mut sum = 0.0;
    #[allow(clippy::cast_precision_loss)] // Seven.
    let share = 1.0 / LEVELS.len() as f32;
    for (slope, (quantile, level)) in by_quantile.iter_mut().zip(quantiles.iter().zip(TRAINED)) {
        let over = actual - quantile;
        *slope = share * if over >= 0.0 { -level } else { 1.0 - level };
        sum -= *slope * over;
    }
    let by_median = by_quantile.iter().sum::<f32>();
    slopes[0] = by_median;
    for j in 0..SIDE {
        // An increment moves its own quantile and all beyond it.
        let above: f32 = by_quantile[SIDE + 1 + j..].iter().sum();
        let below: f32 = by_quantile[..SIDE - j].iter().sum();
        slopes[1 + j] = above * sigmoid(z[1 + j]);
        slopes[1 + SIDE + j] = -below * sigmoid(z[1 + SIDE + j]);
    }
    for j in 0..SKIPS {
        let pull = candidates.skips[j].clamp(-PULL_MAX, PULL_MAX);
        slopes[1 + 2 * SIDE + j] = by_median * parts.gates[j] * (1.0 - parts.gates[j]) * pull;
    }
    sum
}

/// The loss alone.
pub(crate) fn loss_only(z: &[f32; OUTPUTS], candidates: &Candidates, actual: f32) -> f32 {
    let quantiles = Parts::new(z).quantiles(&candidates.skips);
    let losses = quantiles.iter().zip(TRAINED).map(|(quantile, level)| {
        let over = actual - quantile;
        over * if over >= 0.0 { level } else { level - 1.0 }
    });
    #[allow(clippy::cast_precision_loss)] // Seven.
    let count = LEVELS.len() as f32;
    losses.sum::<f32>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANDIDATES: Candidates = Candidates {
        skips: [0.7, -1.5, 0.4, 2.0, 0.3, -0.2, 1.1],
        unit: 1.0,
    };

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let mut z = [
            0.3, -0.4, 0.9, 0.1, 0.5, -1.0, 0.2, -0.6, 0.8, 0.1, -0.3, 0.4, -0.9, 0.6,
        ];
        for actual in [-9.0, -1.1, 0.21, 0.9, 7.0] {
            let mut slopes = [0.0; OUTPUTS];
            let here = loss(&z, &CANDIDATES, actual, &mut slopes);
            assert!((here - loss_only(&z, &CANDIDATES, actual)).abs() < 1e-6);
            for at in 0..OUTPUTS {
                let kept = z[at];
                z[at] = kept + 1e-3;
                let above = loss_only(&z, &CANDIDATES, actual);
                z[at] = kept - 1e-3;
                let below = loss_only(&z, &CANDIDATES, actual);
                z[at] = kept;
                let numeric = (above - below) / 2e-3;
                assert!(
                    (numeric - slopes[at]).abs() < 2e-3,
                    "{at}: {} {numeric}",
                    slopes[at]
                );
            }
        }
    }

    #[test]
    fn a_place_gives_its_slopes_to_the_anchors_it_is_mixed_from() {
        let z: Vec<f32> = (0..3 * u16::try_from(OUTPUTS).unwrap())
            .map(|n| f32::from(n * n))
            .collect();
        for (step, anchor, share) in [
            (1, 0, 0.0),
            (2, 1, 0.0),
            (4, 1, 0.5),
            (8, 2, 0.0),
            (99, 2, 0.0),
        ] {
            let place = Place::new(&[1, 2, 8], step);
            assert_eq!(
                (place.anchor, (place.share - share).abs() < 1e-6),
                (anchor, true),
                "{step}"
            );
            let weights: [f32; OUTPUTS] =
                std::array::from_fn(|n| if n % 2 == 0 { 1.0 } else { -2.0 });
            let mut slopes = vec![0.0; z.len()];
            place.spread(&weights, &mut slopes);
            let mixed: f32 = place.mix(&z).iter().zip(weights).map(|(m, w)| m * w).sum();
            let spread: f32 = z.iter().zip(&slopes).map(|(z, s)| z * s).sum();
            assert!((mixed - spread).abs() < 0.1, "{mixed} {spread}");
        }
    }

    #[test]
    fn quantiles_never_cross() {
        for scale in [0.1, 3.0, 50.0, 1e4] {
            let z = std::array::from_fn(|i| if i % 2 == 0 { START[i] * scale } else { -scale });
            let parts = Parts::new(&z);
            let quantiles = parts.quantiles(&CANDIDATES.skips);
            assert!(
                quantiles.is_sorted() && quantiles.iter().all(|q| q.is_finite()),
                "{quantiles:?}"
            );
        }
    }
}
