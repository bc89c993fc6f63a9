//! One contender on one series: fit, forecast, compare with what came.

use std::time::Duration;

use evenkeel_core::forecast::Quantiles;

use super::contender::{Contender, Session, Setup, StartError};
use crate::metrics::{Coverage, Scores, Tally, seasonal_scale};

/// Into how many equal stretches the origins of a series are divided, to see whether coverage holds
/// everywhere and not only on average.
pub const QUARTERS: usize = 4;

/// Tells how much time a contender took. The evaluation itself knows no clock.
pub trait Stopwatch {
    /// The time since a start of the implementer's choice; never falls.
    fn elapsed(&self) -> Duration;
}

impl<F: Fn() -> Duration> Stopwatch for F {
    fn elapsed(&self) -> Duration {
        self()
    }
}

/// At which origins a series is forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rolling {
    /// The length of the first history.
    pub warm_up: usize,
    /// Steps from one origin to the next; at least 1.
    pub stride: usize,
    /// Origins from one fit to the next; at least 1.
    pub refit: usize,
}

/// Why a contender has no scores for a series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It did not start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// It gave fewer forecasts than there are horizons.
    #[error("no finite forecast from origin {origin} on, at horizon {horizon}")]
    NoForecast {
        /// The length of the history that it had seen.
        origin: usize,
        /// The first horizon without a forecast.
        horizon: usize,
    },
    /// The series is too short for an origin.
    #[error("has {has} steps; warm-up and horizon need {needs}")]
    TooShort {
        /// How many steps are needed.
        needs: usize,
        /// How many there are.
        has: usize,
    },
    /// Everything that was forecast is missing.
    #[error("no value to compare with: all {outcomes} outcomes are missing")]
    NoOutcome {
        /// How many outcomes there would be.
        outcomes: usize,
    },
}

/// How often an interval held, over all and in each stretch of the origins.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelCoverage {
    /// The share that the interval is meant to hold.
    pub level: f64,
    /// Over all origins and horizons.
    pub overall: Coverage,
    /// In each quarter of the origins, all horizons.
    pub quarters: [Coverage; QUARTERS],
    /// At each horizon from 1 on, all origins.
    pub horizons: Vec<Coverage>,
}

/// What came of one contender on one series.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Which model it found in the end.
    pub model: String,
    /// The scores over all origins and horizons.
    pub scores: Scores,
    /// The scores at each horizon from 1 on, all origins; `None` where no outcome is known.
    pub horizons: Vec<Option<Scores>>,
    /// How often the interval of each level held, the levels being those that were asked for.
    pub levels: Vec<LevelCoverage>,
    /// How many forecasts were made, each for all horizons.
    pub origins: usize,
    /// All the time that it took: to fit, to update and to forecast.
    pub elapsed: Duration,
    /// How long the history of the last forecast was.
    pub last_origin: usize,
    /// The last forecast.
    pub last_forecast: Vec<Quantiles>,
}

/// Fits to `history` and compares the forecast with `actual`, as the M4 competition does. The horizon
/// is the shorter of `actual` and `setup.horizon`; the scale is that of the history. `levels` are
/// those of [`Evaluation::levels`].
///
/// # Errors
/// When the contender does not start, gives no forecast, or nothing is there to compare with.
pub fn fixed_split(
    contender: &dyn Contender,
    history: &[f64],
    actual: &[f64],
    setup: &Setup,
    levels: &[f64],
    stopwatch: &dyn Stopwatch,
) -> Result<Evaluation, Failure> {
    let horizon = setup.horizon.min(actual.len());
    if horizon == 0 {
        return Err(Failure::NoOutcome { outcomes: 0 });
    }
    let setup = Setup {
        horizon,
        ..setup.clone()
    };
    let mut card = Card::new(&setup, levels);
    let begun = stopwatch.elapsed();
    let session = contender.start(history, &setup)?;
    let forecast = session.forecast(horizon);
    let elapsed = stopwatch.elapsed().saturating_sub(begun);
    card.score(&forecast, &actual[..horizon], 0, history.len())?;
    let scale = seasonal_scale(history, setup.season());
    card.finish(
        session.as_ref(),
        scale,
        1,
        elapsed,
        (history.len(), forecast),
    )
}

/// Forecasts from many origins of one series: the first after `plan.warm_up` steps, then every
/// `plan.stride`, as long as all of `setup.horizon` steps after it are part of the series. Between
/// origins the contender is updated step by step; every `plan.refit` origins it is fitted anew.
///
/// The scale is that of the whole series: it is a yardstick for comparing, which no contender sees, and
/// must not hang on how calm the first stretch happens to be.
///
/// # Errors
/// When there is no origin, or as [`fixed_split`].
pub fn rolling(
    contender: &dyn Contender,
    series: &[f64],
    setup: &Setup,
    plan: Rolling,
    levels: &[f64],
    stopwatch: &dyn Stopwatch,
) -> Result<Evaluation, Failure> {
    let horizon = setup.horizon.max(1);
    let stride = plan.stride.max(1);
    let needs = plan.warm_up.saturating_add(horizon);
    let Some(room) = series.len().checked_sub(needs) else {
        let has = series.len();
        return Err(Failure::TooShort { needs, has });
    };
    let origins = room / stride + 1;
    let mut card = Card::new(setup, levels);
    let mut lap = Lap::default();
    let mut session = lap.time(stopwatch, || {
        contender.start(&series[..plan.warm_up], setup)
    })?;
    let mut last = (plan.warm_up, Vec::new());
    for number in 0..origins {
        let origin = plan.warm_up + number * stride;
        for value in &series[last.0..origin] {
            let observed = value.is_finite().then_some(*value);
            lap.time(stopwatch, || session.update(observed));
        }
        if number > 0 && number % plan.refit.max(1) == 0 {
            session = lap.time(stopwatch, || {
                refitted(contender, session, &series[..origin], setup)
            });
        }
        let forecast = lap.time(stopwatch, || session.forecast(horizon));
        let actual = &series[origin..origin + horizon];
        card.score(&forecast, actual, number * QUARTERS / origins, origin)?;
        last = (origin, forecast);
    }
    let scale = seasonal_scale(series, setup.season());
    card.finish(session.as_ref(), scale, origins, lap.total, last)
}

/// The session fitted anew: by itself, or by a new start. Where that fails it goes on as it was.
fn refitted(
    contender: &dyn Contender,
    mut session: Box<dyn Session>,
    history: &[f64],
    setup: &Setup,
) -> Box<dyn Session> {
    if session.refit(history, setup) {
        return session;
    }
    contender.start(history, setup).unwrap_or(session)
}

/// Adds up the time of the contender's own calls.
#[derive(Debug, Default)]
struct Lap {
    total: Duration,
}

impl Lap {
    fn time<T>(&mut self, stopwatch: &dyn Stopwatch, call: impl FnOnce() -> T) -> T {
        let begun = stopwatch.elapsed();
        let answer = call();
        self.total += stopwatch.elapsed().saturating_sub(begun);
        answer
    }
}

/// Everything that is added up while a series is gone through.
struct Card {
    overall: Tally,
    horizons: Vec<Tally>,
    levels: Vec<LevelCoverage>,
    outcomes: usize,
}

impl Card {
    fn new(setup: &Setup, levels: &[f64]) -> Self {
        let horizon = setup.horizon.max(1);
        let level = |level: &f64| LevelCoverage {
            level: *level,
            overall: Coverage::default(),
            quarters: [Coverage::default(); QUARTERS],
            horizons: vec![Coverage::default(); horizon],
        };
        Self {
            overall: Tally::new(setup.level),
            horizons: vec![Tally::new(setup.level); horizon],
            levels: levels.iter().map(level).collect(),
            outcomes: 0,
        }
    }

    /// Compares one forecast with what came after `origin`.
    fn score(
        &mut self,
        forecast: &[Quantiles],
        actual: &[f64],
        quarter: usize,
        origin: usize,
    ) -> Result<(), Failure> {
        if forecast.len() < actual.len() {
            let horizon = forecast.len() + 1;
            return Err(Failure::NoForecast { origin, horizon });
        }
        self.outcomes += actual.len();
        for (ahead, (quantiles, actual)) in forecast.iter().zip(actual).enumerate() {
            if !actual.is_finite() {
                continue;
            }
            self.overall.score(quantiles, *actual);
            self.horizons[ahead].score(quantiles, *actual);
            for level in &mut self.levels {
                let interval = quantiles.interval(level.level);
                level.overall.score(interval, *actual);
                level.quarters[quarter].score(interval, *actual);
                level.horizons[ahead].score(interval, *actual);
            }
        }
        Ok(())
    }

    fn finish(
        self,
        session: &dyn Session,
        scale: Option<f64>,
        origins: usize,
        elapsed: Duration,
        last: (usize, Vec<Quantiles>),
    ) -> Result<Evaluation, Failure> {
        let outcomes = self.outcomes;
        let scores = self.overall.scores(scale);
        Ok(Evaluation {
            model: session.describe(),
            scores: scores.ok_or(Failure::NoOutcome { outcomes })?,
            horizons: self.horizons.iter().map(|h| h.scores(scale)).collect(),
            levels: self.levels,
            origins,
            elapsed,
            last_origin: last.0,
            last_forecast: last.1,
        })
    }
}
