//! Estimates the parameters of the theta method by least squares.
//!
//! For a given `alpha` innovations are linear in the initial level and in `w = 1 - 1 / theta`: two normal
//! equations give both, and a search over `alpha` alone is left: a grid, then golden sections around its
//! best point (Kiefer 1953). So the optimum is the optimum, at a fixed cost.
//!
//! The first [`LEARNING`] values give the line something to go through, and are not counted, as in the
//! authors' software.

use super::state::{Line, Parameters, State};

/// Values at the start that are not counted.
pub(super) const LEARNING: usize = 3;

/// Bounds of `alpha`.
const ALPHA: (f64, f64) = (0.01, 0.99);

/// Points of the grid, and golden sections after it.
const GRID: u32 = 12;
const SECTIONS: usize = 14;

/// A series, and what is to be found.
pub(super) struct Problem<'a> {
    pub(super) y: &'a [f64],
    /// The line where it is static.
    pub(super) line: Option<Line>,
    /// The weight of the line where it is given.
    pub(super) weight: Option<f64>,
}

impl Problem<'_> {
    /// The best parameters and their sum of squares.
    pub(super) fn solve(&self) -> (Parameters, f64) {
        let step = (ALPHA.1 - ALPHA.0) / f64::from(GRID);
        let mut best = self.at(ALPHA.0);
        for i in 1..=GRID {
            best = better(best, self.at(ALPHA.0 + step * f64::from(i)));
        }
        let mut low = (best.0.alpha - step).max(ALPHA.0);
        let mut high = (best.0.alpha + step).min(ALPHA.1);
        let ratio = 0.5 * (5.0_f64.sqrt() - 1.0);
        let mut left = self.at(high - ratio * (high - low));
        let mut right = self.at(low + ratio * (high - low));
        for _ in 0..SECTIONS {
            if left.1 < right.1 {
                high = right.0.alpha;
                right = left;
                left = self.at(high - ratio * (high - low));
            } else {
                low = left.0.alpha;
                left = right;
                right = self.at(low + ratio * (high - low));
            }
        }
        better(better(best, left), right)
    }

    /// The best level and weight for `alpha`, and the sum of squares.
    fn at(&self, alpha: f64) -> (Parameters, f64) {
        let mut sums = Sums::default();
        let mut state = State::new(0.0, self.line);
        // The level is `known + by_level * initial level + by_weight * weight`.
        let (mut known, mut by_level, mut by_weight) = (0.0, 1.0, 0.0);
        let mut seen = 0;
        for y in self.y {
            let drift = state.drift(alpha);
            if y.is_finite() {
                seen += 1;
                if seen > LEARNING {
                    sums.add(y - known, by_level, by_weight + drift);
                }
                known += alpha * (y - known);
                by_level *= 1.0 - alpha;
                by_weight *= 1.0 - alpha;
                state.advance(alpha, Some(*y));
            } else {
                by_weight += alpha * drift;
                state.advance(alpha, None);
            }
        }
        let (level, weight, squares) = sums.solve(self.weight);
        (
            Parameters {
                alpha,
                weight,
                level,
            },
            squares,
        )
    }
}

fn better(a: (Parameters, f64), b: (Parameters, f64)) -> (Parameters, f64) {
    if b.1 < a.1 { b } else { a }
}

/// Normal equations of `rest = level * p + weight * d`.
#[derive(Default)]
struct Sums {
    rr: f64,
    rp: f64,
    rd: f64,
    pp: f64,
    pd: f64,
    dd: f64,
}

impl Sums {
    fn add(&mut self, rest: f64, p: f64, d: f64) {
        self.rr += rest * rest;
        self.rp += rest * p;
        self.rd += rest * d;
        self.pp += p * p;
        self.pd += p * d;
        self.dd += d * d;
    }

    /// Level, weight within 0 and 1, and the sum of squares that is left.
    fn solve(&self, given: Option<f64>) -> (f64, f64, f64) {
        let determinant = self.pp * self.dd - self.pd * self.pd;
        let free = if determinant > 1e-12 * self.pp * self.dd {
            (self.rd * self.pp - self.rp * self.pd) / determinant
        } else {
            // Level and line cannot be told apart.
            0.5
        };
        let weight = given.unwrap_or(free.clamp(0.0, 1.0));
        // A start that the values counted have forgotten cannot be known from them.
        let level = if self.pp > 1e-12 {
            (self.rp - weight * self.pd) / self.pp
        } else {
            0.0
        };
        let squares = self.rr - 2.0 * (level * self.rp + weight * self.rd)
            + level * level * self.pp
            + 2.0 * level * weight * self.pd
            + weight * weight * self.dd;
        (level, weight, squares.max(0.0))
    }
}
