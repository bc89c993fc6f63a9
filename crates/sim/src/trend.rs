//! A plain forecaster for stories: the straight line through the last ten minutes, with the spread of
//! its residuals. The stories are about decisions and sagas, and must not be told otherwise whenever
//! a real model is tuned; those are tested on their own, and over `evenkeel-forecast` in the stories'
//! last tests.

use std::collections::VecDeque;

use evenkeel_core::Timestamp;
use evenkeel_core::forecast::{
    Forecast, Forecaster, ForecasterFactory, HorizonGrid, ModelWeight, Quantiles,
};

/// How many observations the line goes through.
const WINDOW: usize = 60;

/// Through fewer there is no line worth drawing.
const SEEN_MIN: usize = 10;

/// The least spread: nothing is known more surely than this.
const SPREAD_MIN: f64 = 0.002;

/// The standard normal quantiles at the levels of a forecast.
const NORMAL: [f64; 13] = [
    -2.576, -2.326, -1.960, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 1.960, 2.326, 2.576,
];

/// How many of its own uncertainties a slope has to be away from level for a line to count as steep.
const STEEP: f64 = 6.0;

/// Makes straight lines, which do not say since when they lead away.
#[derive(Clone, Copy, Debug)]
pub struct Trends;

impl ForecasterFactory for Trends {
    fn forecaster(&self, grid: &HorizonGrid, _: u64) -> Box<dyn Forecaster> {
        Box::new(Trend::new(grid, false))
    }
}

/// Makes straight lines, which say so: since they are steep.
#[derive(Clone, Copy, Debug)]
pub struct TrendsWithOnset;

impl ForecasterFactory for TrendsWithOnset {
    fn forecaster(&self, grid: &HorizonGrid, _: u64) -> Box<dyn Forecaster> {
        Box::new(Trend::new(grid, true))
    }
}

/// See the module.
#[derive(Debug)]
struct Trend {
    grid: HorizonGrid,
    seen: VecDeque<(Timestamp, f64)>,
    says_onset: bool,
    /// Since when the line is steep.
    steep_since: Option<Timestamp>,
}

impl Trend {
    fn new(grid: &HorizonGrid, says_onset: bool) -> Self {
        Self {
            grid: grid.clone(),
            seen: VecDeque::new(),
            says_onset,
            steep_since: None,
        }
    }

    /// The line through what was seen, with time counted in steps from the last observation.
    fn line(&self) -> Option<(Timestamp, Line)> {
        let (origin, _) = *self.seen.back()?;
        if self.seen.len() < SEEN_MIN {
            return None;
        }
        let step = self.grid.step().as_secs_f64();
        let time = |at: Timestamp| -((origin - at).as_secs_f64() / step);
        let points: Vec<(f64, f64)> = self.seen.iter().map(|&(at, v)| (time(at), v)).collect();
        Some((origin, Line::through(&points)))
    }
}

impl Forecaster for Trend {
    fn observe(&mut self, at: Timestamp, value: f64) {
        if self.seen.len() == WINDOW {
            self.seen.pop_front();
        }
        self.seen.push_back((at, value));
        if self.says_onset {
            let is_steep = self.line().is_some_and(|(_, line)| line.is_steep());
            self.steep_since = is_steep.then(|| self.steep_since.unwrap_or(at));
        }
    }

    fn forecast(&self) -> Option<Forecast> {
        let (origin, line) = self.line()?;
        let quantiles = self.grid.steps().iter().map(|&steps| {
            let ahead = f64::from(steps);
            let (median, spread) = (line.at(ahead), line.spread_at(ahead));
            Quantiles::new(NORMAL.map(|z| median + z * spread))
        });
        Some(Forecast {
            origin,
            grid: self.grid.clone(),
            quantiles: quantiles.collect(),
        })
    }

    fn in_control_half_widths(&self, _: f64) -> Option<(f64, f64)> {
        None
    }

    fn set_in_control(&mut self, _: bool) {}

    fn onset(&self) -> Option<Timestamp> {
        self.steep_since
    }

    fn restart(&mut self) {
        self.seen.clear();
        self.steep_since = None;
    }

    fn weights(&self) -> Vec<ModelWeight> {
        vec![ModelWeight {
            model: "straight line".to_owned(),
            weight: 1.0,
        }]
    }

    fn measured_coverage(&self, _: f64) -> Option<(f64, u64)> {
        None
    }
}

/// A least-squares line.
#[derive(Clone, Copy, Debug)]
struct Line {
    count: f64,
    mean_time: f64,
    mean_value: f64,
    slope: f64,
    time_squares: f64,
    spread: f64,
}

impl Line {
    /// Through [`SEEN_MIN`] points or more, at different times.
    fn through(points: &[(f64, f64)]) -> Self {
        // At most a window's worth: exact in a double.
        #[allow(clippy::cast_precision_loss)]
        let count = points.len() as f64;
        let mean_time = points.iter().map(|p| p.0).sum::<f64>() / count;
        let mean_value = points.iter().map(|p| p.1).sum::<f64>() / count;
        let squares = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>();
        let time_squares = squares(&|p| (p.0 - mean_time).powi(2)).max(f64::MIN_POSITIVE);
        let slope = squares(&|p| (p.0 - mean_time) * (p.1 - mean_value)) / time_squares;
        let residuals = squares(&|p| (p.1 - mean_value - slope * (p.0 - mean_time)).powi(2));
        let spread = (residuals / (count - 2.0)).sqrt().max(SPREAD_MIN);
        Self {
            count,
            mean_time,
            mean_value,
            slope,
            time_squares,
            spread,
        }
    }

    fn is_steep(&self) -> bool {
        self.slope.abs() > STEEP * self.spread / self.time_squares.sqrt()
    }

    fn at(&self, time: f64) -> f64 {
        self.mean_value + self.slope * (time - self.mean_time)
    }

    /// The spread of a new observation at `time`.
    fn spread_at(&self, time: f64) -> f64 {
        let leverage = (time - self.mean_time).powi(2) / self.time_squares;
        self.spread * (1.0 + 1.0 / self.count + leverage).sqrt()
    }
}
