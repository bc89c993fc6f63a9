//! When a path leaves a range, as far as the distributions of a forecast can tell.
//!
//! A forecast says how the value lies at each horizon, not how it goes from one to the next. What holds whatever
//! the dependence between horizons is, are the bounds of [`FirstPassage`]. What is probable is
//! [`Forecast::passage`].

use std::time::Duration;

use crate::forecast::Forecast;

/// When the series first leaves a range, as far as distributions of each horizon by itself can tell.
///
/// Whatever the dependence between horizons is, the probability that the path has been outside by horizon `k` lies
/// between the bounds of Fréchet: at least the greatest of the single probabilities up to `k`, at most
/// their sum. So a lead time read off `at_least` ("outside within 14 min with confidence 0.9") is a
/// statement about the path that needs no further assumption and never claims too much; one read off `at_most`
/// ("with confidence 0.9 not outside before 9 min") is its counterpart for the horizons of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstPassage {
    spans: Vec<Duration>,
    /// Lower bounds of the probability to have been outside by each horizon; never falling.
    at_least: Vec<f64>,
    /// Upper bounds of it; never falling.
    at_most: Vec<f64>,
}

/// Of a path, and whatever the dependence between its horizons is: the probability to have been outside
/// within a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathBound {
    /// From the forecast's origin.
    pub within: Duration,
    /// No less probably than this.
    pub at_least: f64,
    /// At the horizons of the grid no more probably than this.
    pub at_most: f64,
}

impl FirstPassage {
    /// The first horizon by which the path has been outside with at least this `confidence`.
    pub fn certain_by(&self, confidence: f64) -> Option<Duration> {
        self.bound_of(confidence).map(|bound| bound.within)
    }

    /// The first horizon by which the path has been outside with at least this `confidence`, and what is
    /// known of the path by then.
    pub fn bound_of(&self, confidence: f64) -> Option<PathBound> {
        self.bound_at(self.at_least.iter().position(|p| *p >= confidence)?)
    }

    /// The first horizon by which the path may have been outside with a probability above
    /// `1 - confidence`: before it, it stays inside with at least this `confidence`. `None`: it stays so
    /// throughout.
    pub fn safe_until(&self, confidence: f64) -> Option<Duration> {
        let mut bounds = self.spans.iter().zip(&self.at_most);
        bounds
            .find(|(_, p)| **p > 1.0 - confidence)
            .map(|(span, _)| *span)
    }

    /// What is known of the path by the last horizon.
    pub fn within_reach(&self) -> Option<PathBound> {
        self.bound_at(self.spans.len().checked_sub(1)?)
    }

    fn bound_at(&self, index: usize) -> Option<PathBound> {
        Some(PathBound {
            within: *self.spans.get(index)?,
            at_least: *self.at_least.get(index)?,
            at_most: *self.at_most.get(index)?,
        })
    }
}

impl Forecast {
    /// When the series first leaves `[lower, upper]`.
    pub fn first_passage(&self, lower: f64, upper: f64) -> FirstPassage {
        let (mut greatest, mut sum) = (0.0_f64, 0.0_f64);
        let mut passage = FirstPassage {
            spans: (0..self.grid.len()).map(|i| self.grid.span(i)).collect(),
            at_least: Vec::with_capacity(self.grid.len()),
            at_most: Vec::with_capacity(self.grid.len()),
        };
        for quantiles in &self.quantiles {
            let outside = quantiles.probability_outside(lower, upper);
            greatest = greatest.max(outside);
            sum = (sum + outside).min(1.0);
            passage.at_least.push(greatest);
            passage.at_most.push(sum);
        }
        passage
    }

    /// How probable it is that a drift takes the series out of `[lower, upper]` within the reach of the forecast.
    ///
    /// A path whose direction is certain is outside at the end if it ever was; a random walk comes back as often
    /// as not, so that it was outside twice as often as it is at its end (the reflection principle). With `p_h` for
    /// the probability to be outside at horizon `h`, and `p` for the greatest of them,
    ///
    /// ```text
    /// passage = min(1 - (1 - p)^2, sum of p_h)
    /// ```
    ///
    /// is the second for small `p`, and the first where `p` is near 1. Independent noise, which has a new chance at
    /// each step, is not counted so: that it touches a limit now and then is no drift. (With it harm came
    /// out too probable on quiet series, 0.6 where it was 0.4.)
    pub fn passage(&self, lower: f64, upper: f64) -> f64 {
        let reach = self.first_passage(lower, upper).within_reach();
        reach.map_or(0.0, |bound| {
            let doubt = 1.0 - bound.at_least;
            (1.0 - doubt * doubt).min(bound.at_most)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::{HorizonGrid, Quantiles};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    const NORMAL: [f64; 13] = [
        -2.576, -2.326, -1.96, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 1.96, 2.326, 2.576,
    ];

    fn forecast(grid: HorizonGrid, at: impl Fn(f64) -> Quantiles) -> Forecast {
        let quantiles = grid.steps().iter().map(|step| at(f64::from(*step)));
        Forecast {
            origin: Timestamp::from_millis(0),
            quantiles: quantiles.collect(),
            grid,
        }
    }

    fn minutes(count: u32) -> HorizonGrid {
        let minute = Duration::from_secs(60);
        HorizonGrid::new(minute, minute * count)
    }

    /// A normal distribution.
    fn normal(mean: f64, deviation: f64) -> Quantiles {
        Quantiles::new(NORMAL.map(|z| mean + deviation * z))
    }

    #[test]
    fn a_walk_has_two_chances_at_its_end() {
        let walk = forecast(minutes(1000), |h| normal(0.0, h.sqrt()));
        let walk = walk.passage(f64::MIN, 1.96 * 1000.0_f64.sqrt());
        assert!((walk - 0.05).abs() < 0.001, "{walk}");
    }

    #[test]
    fn what_is_sure_is_sure_and_what_is_impossible_never_comes() {
        let ramp = forecast(minutes(10), Quantiles::certain);
        assert_eq!(ramp.passage(f64::MIN, 9.5), 1.0);
        assert_eq!(ramp.passage(f64::MIN, 10.0), 0.0);
        let short = forecast(minutes(1), |_| normal(0.0, 1.0));
        assert!(
            (short.passage(f64::MIN, 1.96) - 0.025).abs() < 1e-9,
            "one step, one chance"
        );
    }

    proptest! {
        #[test]
        fn it_lies_between_the_bounds_of_frechet(
            steps in 1_u32..400, drift in -0.01_f64..0.01, noise in 0.0_f64..1.0,
            walk in 0.0_f64..0.2, upper in 0.1_f64..4.0, more in 0.0_f64..1.0,
        ) {
            let spread = |h: f64| (noise * noise + walk * walk * h).sqrt();
            let forecast = forecast(minutes(steps), |h| normal(drift * h, spread(h)));
            let passage = forecast.passage(f64::MIN, upper);
            let reach = forecast.first_passage(f64::MIN, upper).within_reach().unwrap();
            prop_assert!(passage >= reach.at_least - 1e-12 && passage <= reach.at_most);
            prop_assert!(forecast.passage(f64::MIN, upper + more) <= passage + 1e-12);
        }
    }

    #[test]
    fn a_path_is_safe_until_the_doubts_have_come_to_more_than_is_allowed() {
        let forecast = Forecast {
            origin: Timestamp::from_millis(0),
            grid: HorizonGrid::every_step(Duration::from_secs(60), 2),
            quantiles: vec![Quantiles::certain(0.0), Quantiles::certain(3.0)],
        };
        let passage = forecast.first_passage(-1.0, 1.0);
        assert_eq!(passage.safe_until(1.0), Some(Duration::from_secs(120)));
        assert_eq!(passage.safe_until(0.0), None, "as much as all is allowed");
        assert_eq!(passage.certain_by(1.0), Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_path_is_outside_at_least_as_surely_as_at_its_surest_horizon() {
        let grid = HorizonGrid::every_step(Duration::from_secs(60), 3);
        let at = |shift: f64| normal(shift, 1.0);
        let forecast = Forecast {
            origin: Timestamp::from_millis(0),
            grid,
            // Above 2 with probability 0.025, 0.5 and 0.25.
            quantiles: vec![at(0.04), at(2.0), at(1.326)],
        };
        let passage = forecast.first_passage(-100.0, 2.0);
        let minutes = |count: u64| Some(Duration::from_secs(60 * count));
        assert_eq!(passage.certain_by(0.5 - 1e-6), minutes(2));
        assert_eq!(passage.certain_by(0.6), None);
        assert_eq!(passage.safe_until(0.9), minutes(2), "before it, 0.025");
        assert_eq!(passage.safe_until(0.2), None, "0.775 at most");
        let reach = passage.within_reach().unwrap();
        assert!((reach.at_least - 0.5).abs() < 1e-3 && (reach.at_most - 0.775).abs() < 1e-3);
    }
}
