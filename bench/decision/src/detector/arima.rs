//! A fixed-order ARIMA(1,1,1) with drift and fixed 95 % intervals, as forecast alerts are built from a library
//! (Box and Jenkins 1976; fitted by exact maximum likelihood with this project's own ARIMA).
//!
//! Fitted to the last `window` steps as soon as [`FIT_AT`] are there and again after every
//! [`REFIT_AFTER`], updated by each observation in between; a step that is missing is a gap. It alarms when,
//! at some horizon of the grid, the median is beyond the limit ([`Rule::Median`]) or the whole 95 % interval is
//! ([`Rule::Interval`]).
//!
//! The probability is the largest over the horizons of a normal variable to be beyond the limit.

use std::time::Duration;

use evenkeel_core::forecast::HorizonGrid;
use evenkeel_forecast::models::arima::{Arima, Order};
use evenkeel_forecast::models::{Fitted, Moments};
use serde::Serialize;

use super::{Context, Detector, Window, normal_beyond_limit};

/// Steps before the first fit.
const FIT_AT: usize = 30;
/// Steps between two fits.
const REFIT_AFTER: usize = 240;
/// The 97.5 % quantile of the standard normal distribution.
const TWO_SIDED_95: f64 = 1.959_964;
/// The longest gap that is filled with missing steps; a longer one starts anew.
const GAP_MAX: f64 = 1000.0;

/// When it alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// The median is beyond the limit.
    Median,
    /// The end of the interval on the near side is.
    Interval,
}

impl Rule {
    pub(crate) const ALL: [Self; 2] = [Self::Median, Self::Interval];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Median => "median beyond",
            Self::Interval => "interval beyond",
        }
    }
}

pub(super) struct FixedArima {
    rule: Rule,
    step: f64,
    steps: Vec<u32>,
    /// The last steps; NaN is a gap.
    window: Window,
    model: Option<Arima>,
    since_fit: usize,
    last_at: Option<f64>,
    predicted: Vec<Moments>,
}

impl FixedArima {
    /// `window` in probes.
    pub(super) fn new(context: Context, window: usize, rule: Rule) -> Self {
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds.max(1e-3));
        let grid = HorizonGrid::new(seconds(context.step), seconds(context.horizon));
        Self {
            rule,
            step: context.step,
            steps: grid.steps().to_vec(),
            window: Window::new(window.max(FIT_AT)),
            model: None,
            since_fit: 0,
            last_at: None,
            predicted: vec![Moments::default(); grid.len()],
        }
    }

    /// Lets the steps without an observation go by.
    fn skip_to(&mut self, at: f64) {
        let missed = self
            .last_at
            .map_or(0.0, |last| ((at - last) / self.step).round() - 1.0);
        self.last_at = Some(at);
        if missed > GAP_MAX {
            self.window.values.clear();
            self.model = None;
            return;
        }
        let mut missed = missed;
        while missed >= 1.0 {
            self.window.push(f64::NAN);
            if let Some(model) = &mut self.model {
                model.update(None);
            }
            missed -= 1.0;
        }
    }

    fn fit(&mut self) {
        let known = self
            .window
            .values
            .iter()
            .filter(|value| value.is_finite())
            .count();
        let due = self.model.is_none() || self.since_fit >= REFIT_AFTER;
        if !due || known < FIT_AT {
            return;
        }
        self.since_fit = 0;
        let history: Vec<f64> = self.window.values.iter().copied().collect();
        self.model = Arima::fit(&history, Order::new(1, 1, 1).with_constant(true)).ok();
    }
}

impl Detector for FixedArima {
    fn observe(&mut self, at: f64, deviation: f64) -> bool {
        self.skip_to(at);
        self.window.push(deviation);
        if let Some(model) = &mut self.model {
            model.update(Some(deviation));
        }
        self.since_fit += 1;
        self.fit();
        let Some(model) = &self.model else {
            return false;
        };
        model.predict(&self.steps, &mut self.predicted);
        self.predicted.iter().any(|moments| {
            let room = match self.rule {
                Rule::Median => 0.0,
                Rule::Interval => TWO_SIDED_95 * moments.variance.sqrt(),
            };
            moments.mean.abs() - room >= 1.0
        })
    }

    fn probability(&self) -> Option<f64> {
        self.model.as_ref()?;
        let beyond = |m: &Moments| normal_beyond_limit(m.mean, m.variance.sqrt());
        self.predicted.iter().map(beyond).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rule: Rule, values: impl Iterator<Item = f64>) -> (bool, Option<f64>) {
        let context = Context {
            step: 60.0,
            horizon: 1200.0,
        };
        let mut detector = FixedArima::new(context, 120, rule);
        let mut alarmed = false;
        for (i, value) in values.enumerate() {
            alarmed |= detector.observe(60.0 * i as f64, value);
        }
        (alarmed, detector.probability())
    }

    /// Noise of the same few values over and over, without a pattern that one lag could tell.
    fn noise(i: u32) -> f64 {
        [0.3, -0.5, 0.1, 0.9, -0.2, -0.9, 0.6, -0.1, -0.4, 0.2, 0.0][(i * i % 11) as usize]
    }

    #[test]
    fn noise_far_from_the_limit_is_no_alarm_and_improbable() {
        let (alarmed, probability) = run(Rule::Median, (0..300).map(|i| 0.05 * noise(i)));
        assert!(!alarmed);
        assert!(probability.unwrap() < 0.05, "{probability:?}");
    }

    #[test]
    fn the_interval_is_beyond_no_earlier_than_the_median() {
        let ramp = || (0..190).map(|i| 0.005 * f64::from(i) + 0.02 * noise(i));
        assert!(run(Rule::Median, ramp()).0);
        for until in (40..190).step_by(10) {
            let sure = run(Rule::Interval, ramp().take(until)).0;
            assert!(!sure || run(Rule::Median, ramp().take(until)).0, "{until}");
        }
    }

    #[test]
    fn nothing_is_said_before_the_first_fit() {
        let (alarmed, probability) = run(Rule::Median, (0..FIT_AT - 1).map(|i| i as f64));
        assert!(!alarmed && probability.is_none());
    }
}
