//! The state of additive exponential smoothing, one step at a time.
//!
//! ```text
//! y(t) = l + phi b + s(t - m) + e          l = l + phi b + alpha e
//! b = phi b + beta e                       s(t) = s(t - m) + gamma e
//! ```
//!
//! Source: Hyndman, Koehler, Ord and Snyder (2008), equations 3.1 and table 2.2; multi-step variances of
//! class 1, table 6.2 (there for each form; here their common sum in closed form). This is a Kalman
//! filter that has settled: nothing is unknown but the innovations to come. A gap unsettles it, since an
//! innovation went by unseen; the covariance of level and slope then is carried along until it is gone
//! again, so that the first value after a gap counts for more, and intervals in a gap grow. What a gap
//! leaves unknown about the season is not carried along: it is `gamma` of one innovation in a phase.
//!
//! Invariants: the covariance is zero unless a gap was seen lately; it is never negative.

use serde::{Deserialize, Serialize};

use super::form::{Smoothing, Start};
use super::units::phase_after;

/// Covariance (in units of the innovations' variance) that no longer matters.
const SETTLED: f64 = 1e-9;

/// What is not known about level and slope, in units of the innovations' variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Unknown {
    level: f64,
    cross: f64,
    slope: f64,
}

impl Unknown {
    fn settled(self) -> bool {
        self.level + self.slope <= SETTLED
    }

    /// After one step, before the innovation: `F P F'`.
    fn moved(self, phi: f64) -> Self {
        Self {
            level: self.level + 2.0 * phi * self.cross + phi * phi * self.slope,
            cross: phi * self.cross + phi * phi * self.slope,
            slope: phi * phi * self.slope,
        }
    }

    fn plus(self, level: f64, slope: f64, weight: f64) -> Self {
        Self {
            level: (self.level + weight * level * level).max(0.0),
            cross: self.cross + weight * level * slope,
            slope: (self.slope + weight * slope * slope).max(0.0),
        }
    }
}

/// Level, slope and season, and where in the season it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) level: f64,
    pub(super) slope: f64,
    pub(super) season: Vec<f64>,
    /// The phase of the next observation.
    pub(super) phase: usize,
    unknown: Unknown,
}

impl State {
    pub(super) fn new(start: Start) -> Self {
        Self {
            level: start.level,
            slope: start.slope,
            season: start.season,
            phase: 0,
            unknown: Unknown::default(),
        }
    }

    /// The season of the phase that comes `ahead` (0 for the next) steps later.
    fn seasonal(&self, ahead: u32) -> f64 {
        match self.season.len() {
            0 => 0.0,
            length => self.season[phase_after(self.phase, ahead, length).0],
        }
    }

    /// Lets a step go by. Returns the innovation, and its variance in units of a settled one's.
    pub(super) fn step(&mut self, by: &Smoothing, observed: Option<f64>) -> Option<(f64, f64)> {
        let ahead = self.level + by.phi * self.slope;
        let innovation = observed.map(|y| y - ahead - self.seasonal(0));
        let e = innovation.unwrap_or_default();
        let (level_gain, slope_gain, variance) = self.gains(by, observed.is_some());
        self.level = ahead + level_gain * e;
        self.slope = by.phi * self.slope + slope_gain * e;
        if !self.season.is_empty() {
            self.season[self.phase] += by.gamma / variance * e;
            self.phase = (self.phase + 1) % self.season.len();
        }
        innovation.map(|e| (e, variance))
    }

    /// The Kalman gains of level and slope, and the variance of the innovation.
    fn gains(&mut self, by: &Smoothing, observed: bool) -> (f64, f64, f64) {
        if observed && self.unknown.settled() {
            self.unknown = Unknown::default();
            return (by.alpha, by.beta, 1.0);
        }
        let moved = self.unknown.moved(by.phi);
        let grown = moved.plus(by.alpha, by.beta, 1.0);
        if !observed {
            self.unknown = grown;
            return (0.0, 0.0, 1.0);
        }
        let variance = 1.0 + moved.level;
        let level_gain = (moved.level + by.alpha) / variance;
        let slope_gain = (moved.cross + by.beta) / variance;
        self.unknown = grown.plus(level_gain, slope_gain, -variance);
        (level_gain, slope_gain, variance)
    }

    /// Mean and variance (in units of the innovations') `h` >= 1 steps ahead.
    pub(super) fn predict(&self, by: &Smoothing, h: u32) -> (f64, f64) {
        let reach = geometric(by.phi, h);
        let mean = self.level + reach * self.slope + self.seasonal(h - 1);
        let Unknown {
            level,
            cross,
            slope,
        } = self.unknown;
        let left = level + 2.0 * reach * cross + reach * reach * slope;
        (mean, left.max(0.0) + growth(by, h, self.season.len()))
    }
}

/// `phi^n`; a whole exponent is an order of magnitude faster.
fn power(phi: f64, n: u32) -> f64 {
    phi.powi(i32::try_from(n).unwrap_or(i32::MAX))
}

/// `phi + phi^2 + ... + phi^n`.
fn geometric(phi: f64, n: u32) -> f64 {
    if phi == 1.0 {
        f64::from(n)
    } else {
        phi * (1.0 - power(phi, n)) / (1.0 - phi)
    }
}

/// `1 + c(1)^2 + ... + c(h-1)^2`, with `c(j) = alpha + beta (phi + ... + phi^j) + gamma [m divides j]`
/// the response to a unit innovation `j` steps ago, in closed form.
pub(super) fn growth(by: &Smoothing, h: u32, season: usize) -> f64 {
    let last = h - 1;
    let n = f64::from(last);
    let Smoothing {
        alpha,
        beta,
        gamma,
        phi,
    } = *by;
    let fading = beta * phi / (1.0 - phi);
    let smooth = if beta == 0.0 {
        n * alpha * alpha
    } else if phi == 1.0 {
        let squares = n * (n + 1.0) * (2.0 * n + 1.0) / 6.0;
        n * alpha * alpha + alpha * beta * n * (n + 1.0) + beta * beta * squares
    } else {
        let end = alpha + fading;
        n * end * end - 2.0 * end * fading * geometric(phi, last)
            + fading * fading * geometric(phi * phi, last)
    };
    if season == 0 || gamma == 0.0 {
        return 1.0 + smooth.max(0.0);
    }
    let season = u32::try_from(season).unwrap_or(u32::MAX);
    let m = f64::from(season);
    let cycles = f64::from(last / season);
    let responses = if beta == 0.0 {
        cycles * alpha
    } else if phi == 1.0 {
        cycles * alpha + beta * m * cycles * (cycles + 1.0) / 2.0
    } else {
        cycles * (alpha + fading) - fading * geometric(power(phi, season), last / season)
    };
    1.0 + smooth.max(0.0) + gamma * (2.0 * responses + cycles * gamma)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(alpha: f64, beta: f64, gamma: f64, phi: f64) -> Smoothing {
        Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        }
    }

    #[test]
    fn the_closed_form_is_the_sum() {
        for by in [
            by(0.3, 0.0, 0.0, 1.0),
            by(0.3, 0.1, 0.2, 1.0),
            by(0.7, 0.3, 0.1, 0.98),
        ] {
            for season in [0_u32, 4, 24] {
                let mut sum = 1.0;
                let mut reach = 0.0;
                for h in 1..200_u32 {
                    let closed = growth(&by, h, season as usize);
                    assert!(
                        (closed - sum).abs() < 1e-9 * sum,
                        "{by:?} {season} {h}: {closed} {sum}"
                    );
                    reach += by.phi.powi(i32::try_from(h).unwrap());
                    let recurs = season > 0 && h.is_multiple_of(season);
                    let gamma = if recurs { by.gamma } else { 0.0 };
                    sum += (by.alpha + by.beta * reach + gamma).powi(2);
                }
            }
        }
    }

    #[test]
    fn a_gap_widens_as_a_forecast_over_it_does_and_settles_again() {
        let by = by(0.4, 0.2, 0.0, 0.9);
        let start = Start {
            level: 1.0,
            slope: 0.5,
            season: Vec::new(),
        };
        let mut state = State::new(start);
        let before: Vec<_> = (1..20).map(|h| state.predict(&by, h)).collect();
        for (gap, expected) in before.iter().enumerate() {
            let now = state.predict(&by, 1);
            assert!((now.0 - expected.0).abs() < 1e-12, "after {gap} steps");
            assert!(
                (now.1 - expected.1).abs() < 1e-9,
                "after {gap} steps: {now:?} {expected:?}"
            );
            state.step(&by, None);
        }
        for _ in 0..200 {
            state.step(&by, Some(1.0));
        }
        assert_eq!(state.predict(&by, 1).1, 1.0);
    }
}
