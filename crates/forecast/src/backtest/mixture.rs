//! The mixture as a contender: what the daemon runs, fed at equal steps.
//!
//! It is fitted once it has seen the history, and learns as it goes from there. Far horizons are on a
//! geometric grid; those between are interpolated, level by level.

use std::time::Duration;

use evenkeel_core::forecast::{Forecaster as _, HorizonGrid, LEVELS, Quantiles};
use evenkeel_core::time::Timestamp;

use super::contender::{Contender, Session, Setup, StartError};
use crate::Mixture;
use crate::lstm::SharedNetwork;

/// The least step that instants can tell apart.
const STEP_MIN: Duration = Duration::from_millis(1);

/// Up to so many horizons each is forecast; of more only those of a geometric grid.
const EVERY_STEP_UP_TO: u32 = 256;

/// The contender `mixture`; with a network, `mixture-lstm`.
#[derive(Clone, Debug)]
pub(super) struct MixtureContender {
    pub(super) name: &'static str,
    pub(super) network: SharedNetwork,
}

impl Contender for MixtureContender {
    fn name(&self) -> &str {
        self.name
    }

    fn start(&self, history: &[f64], setup: &Setup) -> Result<Box<dyn Session>, StartError> {
        let reach = u32::try_from(setup.horizon).unwrap_or(u32::MAX);
        let step = setup.step.max(STEP_MIN);
        let grid = if reach <= EVERY_STEP_UP_TO {
            HorizonGrid::every_step(step, reach)
        } else {
            HorizonGrid::new(step, step.saturating_mul(reach))
        };
        let mut session = MixtureSession {
            name: self.name,
            mixture: Mixture::with_network(&grid, self.network.clone()),
            step,
            start: setup.start,
            now: setup.start.before(step),
        };
        for value in history {
            session.update(value.is_finite().then_some(*value));
        }
        if session.mixture.forecast().is_none() {
            let has = history.iter().filter(|value| value.is_finite()).count();
            return Err(StartError::TooShort { needs: 2, has });
        }
        session.refit(history, setup);
        Ok(Box::new(session))
    }
}

/// The mixture, and what time it is for it.
#[derive(Debug)]
struct MixtureSession {
    name: &'static str,
    mixture: Mixture,
    step: Duration,
    start: Timestamp,
    /// The instant of the last step that went by.
    now: Timestamp,
}

impl Session for MixtureSession {
    fn describe(&self) -> String {
        self.name.to_owned()
    }

    fn update(&mut self, observed: Option<f64>) {
        self.now = self.now + self.step;
        if let Some(value) = observed {
            self.mixture.observe(self.now, value);
        }
    }

    fn refit(&mut self, history: &[f64], setup: &Setup) -> bool {
        let mut at = self.start;
        let mut samples = Vec::with_capacity(history.len());
        for value in history {
            if value.is_finite() {
                samples.push((at, *value));
            }
            at = at + self.step;
        }
        if setup.seasons.is_empty() {
            self.mixture.refit(&samples);
        } else {
            self.mixture.refit_with_seasons(&samples, &setup.seasons);
        }
        true
    }

    fn forecast(&self, horizon: usize) -> Vec<Quantiles> {
        let Some(forecast) = self.mixture.forecast() else {
            return Vec::new();
        };
        let (steps, quantiles) = (forecast.grid.steps(), &forecast.quantiles);
        // A gap at the end of the history: the forecast's origin is the last observation.
        let late_ms = self.now.since(forecast.origin).as_millis();
        let late = u32::try_from(late_ms / self.step.as_millis().max(1)).unwrap_or(u32::MAX);
        (1..=u32::try_from(horizon).unwrap_or(u32::MAX))
            .map(|ahead| between(steps, quantiles, ahead.saturating_add(late)))
            .collect()
    }
}

/// The distribution at `step`, level by level between the two nearest horizons; beyond the last one,
/// that one.
fn between(steps: &[u32], quantiles: &[Quantiles], step: u32) -> Quantiles {
    let above = steps.partition_point(|&s| s < step).min(steps.len() - 1);
    let below = above.saturating_sub(1);
    let width = f64::from(steps[above] - steps[below]).max(1.0);
    let share = (f64::from(step) - f64::from(steps[below])) / width;
    let share = share.clamp(0.0, 1.0);
    let (low, high) = (quantiles[below].values(), quantiles[above].values());
    let mut values = [0.0; LEVELS.len()];
    for (value, (a, b)) in values.iter_mut().zip(low.iter().zip(high)) {
        *value = a + share * (b - a);
    }
    Quantiles::new(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_between_those_of_the_grid_are_interpolated() {
        let grid = [1, 2, 6];
        let all = [10.0, 20.0, 40.0].map(Quantiles::certain);
        let at = |step| between(&grid, &all, step).median();
        assert_eq!(
            [at(1), at(2), at(3), at(6), at(9)],
            [10.0, 20.0, 25.0, 40.0, 40.0]
        );
        assert_eq!(between(&[1], &all[..1], 1).median(), 10.0);
    }
}
