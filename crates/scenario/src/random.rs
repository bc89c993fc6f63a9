//! Numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
//! generators"), normal variates by the Box-Muller transform (Box, Muller 1958), Student's t by
//! Bailey's polar method (Bailey 1994, "Polar generation of random variates with the t-distribution").
//!
//! Streams are split by name ([`Seeded::named`]): what draws from one never shifts another, so a
//! property's course does not change when a second property is added.

/// A sequence of numbers that its seed determines.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence that belongs to `name` under `seed`; other names have unrelated ones.
    pub fn named(seed: u64, name: &str) -> Self {
        // FNV-1a, 64 bits; the mixing below makes up for its weak high bits.
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self(mix(mix(seed) ^ hash))
    }

    /// Any number.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number in `0..n`; `n` is above 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// True in `permille` of a thousand cases.
    pub fn permille(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let n = u64::try_from(of.len()).unwrap_or(u64::MAX);
        // The remainder fits: it is less than the length.
        #[allow(clippy::cast_possible_truncation)]
        of[self.below(n) as usize].clone()
    }

    /// Uniform in [0, 1).
    #[allow(clippy::cast_precision_loss)] // 53 bits are what an f64 holds
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in its logarithm: as often in [1, 2) as in [10, 20). Both bounds are above 0.
    pub fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        // 1 - u lies in (0, 1], so its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Student's t with `degrees` of freedom (above 2), scaled to a standard deviation of 1.
    pub fn student(&mut self, degrees: f64) -> f64 {
        let u = 1.0 - self.unit();
        let radius = (degrees * (u.powf(-2.0 / degrees) - 1.0)).sqrt();
        let t = radius * (std::f64::consts::TAU * self.unit()).cos();
        t * ((degrees - 2.0) / degrees).sqrt()
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

/// The finaliser of SplitMix64.
fn mix(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, variance, and the share beyond four standard deviations.
    #[allow(clippy::cast_precision_loss)]
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64, f64) {
        const N: usize = 200_000;
        let all: Vec<f64> = (0..N).map(|_| draw()).collect();
        let mean = all.iter().sum::<f64>() / N as f64;
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / N as f64;
        let far = all.iter().filter(|x| x.abs() > 4.0).count();
        (mean, variance, far as f64 / N as f64)
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut random = Seeded::new(1);
        let (mean, variance, far) = moments(|| random.normal());
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
        assert!(far < 3e-4, "6.3e-5 are expected beyond 4 sd, {far} are");
    }

    #[test]
    fn student_numbers_have_variance_one_and_heavier_tails() {
        let mut random = Seeded::new(2);
        let (mean, variance, far) = moments(|| random.student(5.0));
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.1, "{variance}");
        // P(|T5| > 4 sqrt(5/3)) = 0.0036.
        assert!((far - 0.0036).abs() < 0.001, "{far}");
    }

    #[test]
    fn streams_of_different_names_are_unrelated() {
        let draw = |seed, name| {
            let mut random = Seeded::named(seed, name);
            (0..1000).map(|_| random.normal()).collect::<Vec<f64>>()
        };
        let (a, b, c) = (draw(7, "web/a"), draw(7, "web/b"), draw(8, "web/a"));
        assert_eq!(a, draw(7, "web/a"));
        for other in [b, c] {
            let product: f64 = a.iter().zip(&other).map(|(x, y)| x * y).sum();
            assert!(product.abs() / 1000.0 < 0.15, "correlation {product}");
        }
    }
}
