//! What people use now, each as an online detector over the deviation of one property.
//!
//! A detector sees one deviation at a time, with its instant, and says whether it alarms. It knows the
//! limit (a deviation of ±1), the sampling period and the horizon asked for, nothing else. How long an
//! alarm has to last is not its business but the actor's ([`crate::actor`]).
//!
//! Invariants: deterministic; a gap is time that passes, never a value; the same settings and values
//! give the same alarms.

mod arima;
mod cusum;
mod double_exponential;
mod ewma;
mod predict_linear;
mod static_threshold;
mod three_sigma;

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;

pub(crate) use arima::Rule;

/// What a detector is told of the resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Context {
    /// The time between two probes, in seconds.
    pub(crate) step: f64,
    /// How far ahead is looked, in seconds.
    pub(crate) horizon: f64,
}

/// A detector of one property.
pub(crate) trait Detector: Send {
    /// Takes the deviation at second `at`, and says whether it alarms now.
    fn observe(&mut self, at: f64, deviation: f64) -> bool;

    /// The probability, as it sees it, that the deviation is beyond the limit within the horizon;
    /// `None` for a detector that gives none, or none yet.
    fn probability(&self) -> Option<f64> {
        None
    }
}

/// Which alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    StaticThreshold,
    PredictLinear,
    DoubleExponential,
    ThreeSigma,
    Ewma,
    Cusum,
    Arima,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::StaticThreshold,
        Self::PredictLinear,
        Self::DoubleExponential,
        Self::ThreeSigma,
        Self::Ewma,
        Self::Cusum,
        Self::Arima,
    ];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StaticThreshold => "static threshold",
            Self::PredictLinear => "predict_linear",
            Self::DoubleExponential => "double_exponential_smoothing",
            Self::ThreeSigma => "rolling k-sigma",
            Self::Ewma => "EWMA chart",
            Self::Cusum => "CUSUM",
            Self::Arima => "ARIMA(1,1,1) drift 95 %",
        }
    }

    /// The settings among which the best is looked for, without how long an alarm lasts.
    pub(crate) fn grid(self) -> Vec<Method> {
        let pairs = |first: &[f64], second: &[f64], method: fn(f64, f64) -> Method| {
            let both = first
                .iter()
                .flat_map(|a| second.iter().map(move |b| (*a, *b)));
            both.map(|(a, b)| method(a, b)).collect::<Vec<_>>()
        };
        match self {
            Self::StaticThreshold => (3..=20)
                .map(|twentieths| Method::StaticThreshold {
                    fraction: f64::from(twentieths) / 20.0,
                })
                .collect(),
            Self::PredictLinear => pairs(
                &[0.125, 0.25, 0.5, 1.0, 2.0],
                &[0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0],
                |window, limit| Method::PredictLinear { window, limit },
            ),
            Self::DoubleExponential => [0.7, 1.0, 1.5, 2.5]
                .into_iter()
                .flat_map(|limit| {
                    let factors = [
                        (0.05, 0.01),
                        (0.1, 0.05),
                        (0.3, 0.05),
                        (0.3, 0.1),
                        (0.5, 0.3),
                    ];
                    factors.map(|(sf, tf)| Method::DoubleExponential { sf, tf, limit })
                })
                .collect(),
            Self::ThreeSigma => pairs(
                &[3.0, 4.0, 5.0, 6.0, 8.0],
                &[30.0, 100.0, 300.0, 1000.0],
                |k, window| Method::ThreeSigma {
                    k,
                    window: window as usize,
                },
            ),
            Self::Ewma => pairs(
                &[0.01, 0.05, 0.1, 0.2],
                &[3.0, 5.0, 8.0, 12.0, 20.0, 40.0],
                |lambda, limit| Method::Ewma { lambda, limit },
            ),
            Self::Cusum => pairs(
                &[0.5, 1.0, 2.0, 3.0],
                &[5.0, 10.0, 20.0, 50.0, 100.0, 300.0],
                |slack, limit| Method::Cusum { slack, limit },
            ),
            Self::Arima => [120, 360]
                .into_iter()
                .flat_map(|window| Rule::ALL.map(|rule| Method::Arima { window, rule }))
                .collect(),
        }
    }
}

/// A detector's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// See [`static_threshold`].
    StaticThreshold { fraction: f64 },
    /// See [`predict_linear`]. `window` in horizons, `limit` in limits.
    PredictLinear { window: f64, limit: f64 },
    /// See [`double_exponential`].
    DoubleExponential { sf: f64, tf: f64, limit: f64 },
    /// See [`three_sigma`]. `window` in probes.
    ThreeSigma { k: f64, window: usize },
    /// See [`ewma`].
    Ewma { lambda: f64, limit: f64 },
    /// See [`cusum`].
    Cusum { slack: f64, limit: f64 },
    /// See [`arima`]. `window` in probes.
    Arima { window: usize, rule: Rule },
}

impl Method {
    /// Which alternative it is of.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::StaticThreshold { .. } => Kind::StaticThreshold,
            Self::PredictLinear { .. } => Kind::PredictLinear,
            Self::DoubleExponential { .. } => Kind::DoubleExponential,
            Self::ThreeSigma { .. } => Kind::ThreeSigma,
            Self::Ewma { .. } => Kind::Ewma,
            Self::Cusum { .. } => Kind::Cusum,
            Self::Arima { .. } => Kind::Arima,
        }
    }

    /// A detector that has seen nothing.
    pub(crate) fn detector(self, context: Context) -> Box<dyn Detector> {
        match self {
            Self::StaticThreshold { fraction } => {
                Box::new(static_threshold::StaticThreshold::new(fraction))
            }
            Self::PredictLinear { window, limit } => {
                Box::new(predict_linear::PredictLinear::new(context, window, limit))
            }
            Self::DoubleExponential { sf, tf, limit } => Box::new(
                double_exponential::DoubleExponential::new(context, sf, tf, limit),
            ),
            Self::ThreeSigma { k, window } => Box::new(three_sigma::ThreeSigma::new(k, window)),
            Self::Ewma { lambda, limit } => Box::new(ewma::Ewma::new(lambda, limit)),
            Self::Cusum { slack, limit } => Box::new(cusum::Cusum::new(slack, limit)),
            Self::Arima { window, rule } => Box::new(arima::FixedArima::new(context, window, rule)),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaticThreshold { fraction } => write!(f, "at {fraction} of the limit"),
            Self::PredictLinear { window, limit } => {
                write!(f, "window {window} horizons, limit x {limit}")
            }
            Self::DoubleExponential { sf, tf, limit } => {
                write!(f, "sf {sf}, tf {tf}, limit x {limit}")
            }
            Self::ThreeSigma { k, window } => write!(f, "k {k}, window {window}"),
            Self::Ewma { lambda, limit } => write!(f, "lambda {lambda}, L {limit}"),
            Self::Cusum { slack, limit } => write!(f, "k {slack}, h {limit}"),
            Self::Arima { window, rule } => write!(f, "window {window}, {}", rule.name()),
        }
    }
}

/// A detector with how long its alarm has to last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Setting {
    pub(crate) method: Method,
    /// Evaluations in a row: Prometheus' `for`.
    pub(crate) sustain: u32,
}

impl Setting {
    /// Every setting of an alternative that is tried.
    pub(crate) fn grid(kind: Kind) -> Vec<Self> {
        let methods = kind.grid();
        methods
            .into_iter()
            .flat_map(|method| [1, 3, 10, 30].map(|sustain| Self { method, sustain }))
            .collect()
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, for {}", self.method, self.sustain)
    }
}

/// No scatter is taken to be less than this share of the tolerance: of a property that never moved yet,
/// any chart would alarm at the first rounding.
const SIGMA_FLOOR: f64 = 0.01;

/// The last values with their sum and sum of squares: mean and scatter of a sliding window.
#[derive(Clone, Debug)]
struct Window {
    values: VecDeque<f64>,
    length: usize,
}

impl Window {
    fn new(length: usize) -> Self {
        Self {
            values: VecDeque::with_capacity(length.min(4096)),
            length: length.max(1),
        }
    }

    fn push(&mut self, value: f64) {
        if self.values.len() == self.length {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }
}

/// Mean and standard deviation (n - 1) of some values; `None` of fewer than two.
fn moments(values: impl ExactSizeIterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let count = values.len();
    if count < 2 {
        return None;
    }
    let mean = values.clone().sum::<f64>() / count as f64;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    Some((mean, (squares / (count - 1) as f64).sqrt()))
}

/// Mean and scatter in control, learned on the first values, as control charts have it (Montgomery,
/// *Introduction to Statistical Quality Control*, phase I).
#[derive(Clone, Debug, Default)]
struct PhaseOne {
    values: Vec<f64>,
    learned: Option<(f64, f64)>,
}

/// How many values phase I takes.
const PHASE_ONE: usize = 60;

impl PhaseOne {
    /// Takes a value; mean and scatter once they are known. The value with which they become known is
    /// still of phase I.
    fn take(&mut self, value: f64) -> Option<(f64, f64)> {
        if self.learned.is_some() {
            return self.learned;
        }
        self.values.push(value);
        if self.values.len() == PHASE_ONE {
            let (mean, sigma) = moments(self.values.iter().copied())?;
            self.learned = Some((mean, sigma.max(SIGMA_FLOOR)));
            self.values = Vec::new();
        }
        None
    }
}

/// The standard normal distribution function, by the expansion of Abramowitz and Stegun (1964), 26.2.17:
/// off by less than 7.5e-8.
pub(crate) fn normal_at_most(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let above = density * polynomial;
    if z < 0.0 { above } else { 1.0 - above }
}

/// The probability that a normal variable lies beyond the limit on either side.
fn normal_beyond_limit(mean: f64, sigma: f64) -> f64 {
    if sigma <= 0.0 {
        return if mean.abs() >= 1.0 { 1.0 } else { 0.0 };
    }
    normal_at_most((mean - 1.0) / sigma) + normal_at_most((-1.0 - mean) / sigma)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_345),
            (-1.96, 0.024_998),
            (3.0, 0.998_650),
        ] {
            assert!((normal_at_most(z) - p).abs() < 1e-5, "{z}");
        }
        assert!((normal_beyond_limit(0.0, 0.5) - 0.0455).abs() < 1e-4);
        assert_eq!(normal_beyond_limit(1.0, 0.0), 1.0);
        assert_eq!(normal_beyond_limit(0.9, 0.0), 0.0);
    }

    #[test]
    fn phase_one_learns_on_its_values_and_no_others() {
        let mut phase = PhaseOne::default();
        for i in 0..PHASE_ONE {
            assert_eq!(phase.take(if i % 2 == 0 { 0.1 } else { -0.1 }), None);
        }
        let (mean, sigma) = phase.take(50.0).unwrap();
        assert!(mean.abs() < 1e-12 && (sigma - 0.1 * (60.0_f64 / 59.0).sqrt()).abs() < 1e-12);
        assert_eq!(phase.take(-50.0), Some((mean, sigma)));
    }

    #[test]
    fn every_alternative_is_tried_with_several_settings_of_its_own() {
        for kind in Kind::ALL {
            let grid = Setting::grid(kind);
            assert!(grid.len() >= 16, "{}", kind.name());
            assert!(grid.iter().all(|setting| setting.method.kind() == kind));
            for (i, setting) in grid.iter().enumerate() {
                assert!(!grid[..i].contains(setting), "twice: {setting}");
            }
        }
    }
}
