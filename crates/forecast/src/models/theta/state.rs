//! The theta method as a recursion: a level, and the line through what was seen.
//!
//! Source: Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler (2016), "Models for optimising the theta
//! method and their relationship to state space models", equations 7 to 16. With `w = 1 - 1 / theta` and
//! `q = 1 - alpha`:
//!
//! ```text
//! y(t) = l(t-1) + w d(t) + e(t),     d(t) = q^(t-1) A + B (1 - q^t) / alpha
//! l(t) = alpha y(t) + q l(t-1)
//! ```
//!
//! where `A + B t` is the least-squares line, through the whole history (static) or through what was seen
//! before `t` (dynamic). Several steps ahead, with the line as it stands, this adds up to
//!
//! ```text
//! mean(n + h) = l(n) + w (A q^n + B (h - 1 + (1 - q^(n+1)) / alpha)),     variance = s2 (1 + (h-1) alpha^2)
//! ```
//!
//! which for `theta = 2` is simple exponential smoothing with half the slope as drift (Hyndman and Billah
//! 2003). The authors move a dynamic line by its own forecasts as well; that has no closed form and is left
//! out (a tenth of an innovation's deviation twelve steps ahead, where the interval is three wide).
//!
//! A gap is a step whose value was what was expected; a dynamic line skips it.

use serde::{Deserialize, Serialize};

/// A least-squares line through points as they come (Welford 1962).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    count: f64,
    t: f64,
    y: f64,
    across: f64,
    along: f64,
}

impl Line {
    pub(super) fn add(&mut self, t: f64, y: f64) {
        self.count += 1.0;
        let (dt, dy) = (t - self.t, y - self.y);
        self.t += dt / self.count;
        self.y += dy / self.count;
        self.along += dt * (t - self.t);
        self.across += dt * (y - self.y);
    }

    /// Its height at 0 and its slope.
    pub(super) fn coefficients(&self) -> (f64, f64) {
        let slope = if self.along > 0.0 {
            self.across / self.along
        } else {
            0.0
        };
        (self.y - slope * self.t, slope)
    }
}

/// What is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    pub(super) alpha: f64,
    /// `1 - 1 / theta`.
    pub(super) weight: f64,
    /// The level before the first value.
    pub(super) level: f64,
}

/// Level, line, and how many steps went by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) level: f64,
    /// Steps so far.
    steps: f64,
    /// `(1 - alpha)^steps`.
    fading: f64,
    line: Line,
    /// Whether the line goes on to learn.
    dynamic: bool,
}

impl State {
    /// Before the first value. A static line is given, a dynamic one begins empty.
    pub(super) fn new(level: f64, line: Option<Line>) -> Self {
        Self {
            level,
            steps: 0.0,
            fading: 1.0,
            line: line.unwrap_or_default(),
            dynamic: line.is_none(),
        }
    }

    /// What the line adds to the next value, per unit of the weight.
    pub(super) fn drift(&self, alpha: f64) -> f64 {
        let (height, slope) = self.line.coefficients();
        let next = self.fading * (1.0 - alpha);
        self.fading * height + slope * (1.0 - next) / alpha
    }

    /// Lets a step go by; returns the innovation.
    pub(super) fn step(&mut self, by: &Parameters, observed: Option<f64>) -> Option<f64> {
        let ahead = self.level + by.weight * self.drift(by.alpha);
        let y = observed.unwrap_or(ahead);
        self.level += by.alpha * (y - self.level);
        self.advance(by.alpha, observed);
        observed.map(|y| y - ahead)
    }

    /// Time and line, without the level.
    pub(super) fn advance(&mut self, alpha: f64, observed: Option<f64>) {
        self.steps += 1.0;
        self.fading *= 1.0 - alpha;
        if let (true, Some(y)) = (self.dynamic, observed) {
            self.line.add(self.steps, y);
        }
    }

    /// Mean and variance (in units of the innovations') `h` >= 1 steps ahead.
    pub(super) fn predict(&self, by: &Parameters, h: u32) -> (f64, f64) {
        let further = f64::from(h - 1);
        let (_, slope) = self.line.coefficients();
        let drift = self.drift(by.alpha) + slope * further;
        let mean = self.level + by.weight * drift;
        (mean, 1.0 + further * by.alpha * by.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_that_of_least_squares() {
        let mut line = Line::default();
        for (t, y) in [(1.0, 2.0), (2.0, 1.0), (4.0, 3.0), (5.0, 6.0)] {
            line.add(t, y);
        }
        let (height, slope) = line.coefficients();
        assert!(
            (slope - 1.0).abs() < 1e-12 && height.abs() < 1e-12,
            "{height} {slope}"
        );
    }

    #[test]
    fn a_forecast_is_what_gaps_lead_to() {
        let by = Parameters {
            alpha: 0.3,
            weight: 0.6,
            level: 2.0,
        };
        let mut state = State::new(by.level, None);
        for y in [3.0, 1.0, 4.0, 6.0, 5.5] {
            state.step(&by, Some(y));
        }
        let origin = state;
        for h in 1..20 {
            let expected = origin.predict(&by, h).0;
            assert!((state.predict(&by, 1).0 - expected).abs() < 1e-12, "{h}");
            state.step(&by, None);
        }
    }
}
