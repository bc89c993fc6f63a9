//! What is evaluated: a contender, the session it starts on one series, and the adapters which make
//! sessions of the crate's models.

use std::time::Duration;

use evenkeel_core::forecast::Quantiles;
use evenkeel_core::time::Timestamp;

use crate::conformal::NORMAL;
use crate::models::{Fitted, Model, Moments};

/// What a contender is told beside the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Lengths of the seasons in steps, each at least 2. Empty where there is none. The first one is
    /// the season of models that know only one, and of the scale of the scores.
    pub seasons: Vec<usize>,
    /// The sampling period; calendars count in it.
    pub step: Duration,
    /// The instant of the first step of the history, from which calendars count.
    pub start: Timestamp,
    /// The furthest horizon that is asked for, in steps; at least 1.
    pub horizon: usize,
    /// The share that the interval is meant to hold, in (0, 1).
    pub level: f64,
    /// For contenders with randomness.
    pub seed: u64,
}

impl Setup {
    /// The first season; 1 where there is none.
    pub fn season(&self) -> usize {
        self.seasons.first().copied().unwrap_or(1).max(1)
    }
}

/// Why a contender cannot start on a series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// There is too little to learn from.
    #[error("needs {needs} values and has {has}")]
    TooShort {
        /// How many values are needed.
        needs: usize,
        /// How many there are, without the gaps.
        has: usize,
    },
    /// It could not be fitted.
    #[error("{0}")]
    Unfit(String),
}

/// Something that forecasts, as it is evaluated: a model with what it takes to fit it.
///
/// Contract: the same calls give the same answers, on any thread and in any order of series.
pub trait Contender: Send + Sync {
    /// The name in tables and on the command line.
    fn name(&self) -> &str;

    /// Fits to a history at equal steps, in which NaN is a gap.
    ///
    /// # Errors
    /// When this history is no ground for it; the series is then skipped for this contender.
    fn start(&self, history: &[f64], setup: &Setup) -> Result<Box<dyn Session>, StartError>;
}

/// A contender at work on one series.
pub trait Session {
    /// Which model it found, such as `ARIMA(2,1,1)`.
    fn describe(&self) -> String;

    /// Lets one step go by: with its observation, or with none where it is missing.
    fn update(&mut self, observed: Option<f64>);

    /// Is asked to fit itself anew, having gone on for a while; `history` is all that was seen. What
    /// learns as it goes does what it would do by itself, and says true. By default nothing is done, and
    /// false asks for a new start.
    fn refit(&mut self, history: &[f64], setup: &Setup) -> bool {
        let _ = (history, setup);
        false
    }

    /// The predictive distributions of 1 to `horizon` steps ahead, in this order. Fewer than asked for
    /// means that there is no finite forecast: the evaluation counts it as a failure.
    fn forecast(&self, horizon: usize) -> Vec<Quantiles>;
}

/// The quantiles of a normal distribution; `None` where they would not be finite.
pub fn gaussian(moments: Moments) -> Option<Quantiles> {
    let deviation = moments.variance.max(0.0).sqrt();
    let values = NORMAL.map(|z| moments.mean + z * deviation);
    values
        .iter()
        .all(|value| value.is_finite())
        .then(|| Quantiles::new(values))
}

/// The session of a fitted model that says mean and variance: its intervals are those of a normal.
#[derive(Debug)]
pub struct Gaussian<F>(pub F);

impl<F: Fitted> Session for Gaussian<F> {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn update(&mut self, observed: Option<f64>) {
        self.0.update(observed);
    }

    fn forecast(&self, horizon: usize) -> Vec<Quantiles> {
        let steps: Vec<u32> = (1..=u32::try_from(horizon).unwrap_or(u32::MAX)).collect();
        let mut moments = vec![Moments::default(); steps.len()];
        self.0.predict(&steps, &mut moments);
        // Cut off at the first that is not finite.
        moments.into_iter().map_while(gaussian).collect()
    }
}

/// The session of one model of the mixture's own pool, alone and without calibration.
#[derive(Debug)]
pub(super) struct Pooled<M> {
    model: M,
    elapsed_steps: f64,
}

impl<M: Model> Pooled<M> {
    /// Runs `model` over `history`, at least one value of which must be there.
    pub(super) fn start(model: M, history: &[f64]) -> Result<Self, StartError> {
        let has = history.iter().filter(|value| value.is_finite()).count();
        if has < 2 {
            return Err(StartError::TooShort { needs: 2, has });
        }
        let mut session = Self {
            model,
            elapsed_steps: 0.0,
        };
        for value in history {
            session.update(value.is_finite().then_some(*value));
        }
        Ok(session)
    }
}

impl<M: Model> Session for Pooled<M> {
    fn describe(&self) -> String {
        self.model.name().to_owned()
    }

    fn update(&mut self, observed: Option<f64>) {
        self.elapsed_steps += 1.0;
        if let Some(value) = observed.filter(|value| value.is_finite()) {
            self.model.observe(self.elapsed_steps, value);
            self.elapsed_steps = 0.0;
        }
    }

    fn forecast(&self, horizon: usize) -> Vec<Quantiles> {
        let steps = (1..=u32::try_from(horizon).unwrap_or(u32::MAX)).map(f64::from);
        steps
            .map(|ahead| self.model.predict(self.elapsed_steps + ahead))
            .map_while(gaussian)
            .collect()
    }
}
