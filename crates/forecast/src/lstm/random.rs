//! The seeded generator behind start weights and mini-batches.

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Random(u64);

impl Random {
    /// Streams of different `stream` under one seed are independent.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ 0x5851_F42D_4C95_7F2D);
        mixed.0 = mixed.next() ^ stream.wrapping_mul(0xD134_2543_DE82_EF95);
        mixed.next();
        mixed
    }

    /// A generator of its own, drawn from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Evenly spread over `0..bound`; 0 for an empty range.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * u128::try_from(bound).unwrap_or(0);
        // The high half of the product is below the bound.
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Evenly spread over (-1, 1).
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // 24 bits fit.
    pub(crate) fn signed(&mut self) -> f32 {
        ((self.next() >> 40) as f32 + 0.5) / (1_u32 << 23) as f32 - 1.0
    }
}

/// The finalising function of SplitMix64: spreads any number over all 64 bits.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_range_and_fill_it() {
        let mut random = Random::new(3, 1);
        let mut seen = [0_u32; 7];
        let mut sum = 0.0;
        for _ in 0..7000 {
            seen[random.below(7)] += 1;
            let x = random.signed();
            assert!(x > -1.0 && x < 1.0);
            sum += x;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
        assert!(sum.abs() < 150.0);
        assert_eq!(random.below(0), 0);
        assert_ne!(Random::new(3, 1), Random::new(3, 2));
    }
}
