//! When to fit the committee anew, and how: elect it, and let the calibration see what its intervals are
//! worth before they count.
//!
//! The replay: an engine is given the older part of the history, then the committee that was fitted to
//! just that part, then the newer part. So weights and offsets are learned from forecasts of what the
//! committee had not been told. The same committee fitted to everything then takes its place.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::forecast::HorizonGrid;
use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::committee::{Committee, Election, Global};
use crate::engine::{Engine, Possible};
use crate::horizon::anchors;
use crate::lstm::{Context, Network, SEASONS};
use crate::mixture::VALUE_LIMIT;
use crate::models::sparse_ar::LONGEST_LAG;
use crate::season::{self, Profile};

/// Observations before the first fit, and between the onset of a regime and a fit to it.
const FIRST_AFTER: u64 = 64;

/// A history with fewer observations per step of the grid than this has no steps to speak of.
const LEAST_FILLED: f64 = 0.25;

/// Steps of history that are looked at, at most.
const LONGEST_HISTORY: usize = 4096;

/// The furthest horizon, in steps, for which a committee is elected: its members go there step by step.
const LONGEST_REACH: u32 = 4096;

/// What a refit found.
#[derive(Debug)]
pub(crate) struct Refit {
    pub(crate) committee: Committee,
    /// The instant up to which the committee has been told everything.
    pub(crate) at: Timestamp,
    /// An engine that has seen the history, and the committee at work in its newer part.
    pub(crate) replayed: Box<Engine>,
}

/// When the next refit is due.
///
/// Fits are due when the history has doubled since the last one, so that their cost per observation
/// falls with age, once in a new regime, when it has lasted for a while, and once when there is another
/// network of all series than at the last fit.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RefitSchedule {
    seen: u64,
    regime: Option<Timestamp>,
    /// The fingerprint of the network at the last fit; 0 for none.
    network: u64,
}

impl RefitSchedule {
    /// Whether a fit is due after `seen` observations in the regime that began at `onset`, with the network
    /// of this fingerprint.
    pub(crate) fn is_due(&self, seen: u64, onset: Option<Timestamp>, network: u64) -> bool {
        let grown = seen >= (2 * self.seen).max(FIRST_AFTER);
        // In a life full of changes not every one is worth a fit.
        let rested = seen >= self.seen + FIRST_AFTER.max(self.seen / 8);
        let changed = self.seen > 0 && onset > self.regime && rested;
        let taught = self.seen > 0 && network != 0 && network != self.network;
        grown || changed || taught
    }

    /// A fit was made, or was tried in vain.
    pub(crate) fn done(&mut self, seen: u64, onset: Option<Timestamp>, network: u64) {
        *self = Self {
            seen,
            regime: onset,
            network,
        };
    }
}

/// A history at equal steps, gaps being NaN.
pub(crate) struct Steps {
    pub(crate) values: Vec<f64>,
    pub(crate) at: Vec<Timestamp>,
}

impl Steps {
    fn observations(&self) -> Vec<(Timestamp, f64)> {
        self.at
            .iter()
            .copied()
            .zip(self.values.iter().copied())
            .collect()
    }
}

/// The seasons of a history at equal steps, in steps, rising.
pub(crate) fn seasons(values: &[f64], step: Duration) -> Vec<usize> {
    let limits = season::Limits {
        seasons_max: 2,
        period_steps_max: LONGEST_LAG,
        ..season::Limits::default()
    };
    let found = season::detect(values, step, &limits);
    let mut periods: Vec<usize> = found.into_iter().map(|s| s.period_steps).collect();
    periods.sort_unstable();
    periods
}

/// Elects a committee on `history` and replays it, with values counted from `zero` and what is `possible` already known; `None` where there is
/// too little of it, or the grid reaches too far. The `seasons` are found where they are not given; the first
/// of them is taken off for the pool.
/// `network` is that of all series, if there is one.
pub(crate) fn refit(
    history: &[(Timestamp, f64)],
    known_seasons: Option<&[usize]>,
    zero: f64,
    possible: Possible,
    grid: &HorizonGrid,
    network: Option<Arc<Network>>,
) -> Option<Refit> {
    if grid.steps().last() > Some(&LONGEST_REACH) {
        return None;
    }
    let steps = at_equal_steps(history, grid.step())?;
    let seasons =
        known_seasons.map_or_else(|| seasons(&steps.values, grid.step()), <[usize]>::to_vec);
    let judged: Vec<u32> = anchors(grid).iter().map(|anchor| anchor.steps).collect();
    let context = context(*steps.at.first()?, &seasons, grid.step());
    let global = network.map(|network| Global { network, context });
    let election = Election::hold(&steps.values, &seasons, grid.steps(), &judged, global)?;
    let cut = steps.values.len() - election.history().len() + election.cut();
    let observations = steps.observations();
    let (head, tail) = observations.split_at(cut);
    let profile = seasons.first().map(|season| profile(head, *season, grid));

    let mut replayed = Engine::replaying(zero, *steps.at.first()?, profile, possible, grid);
    let replay = |engine: &mut Engine, observations: &[(Timestamp, f64)]| {
        for (at, value) in observations.iter().filter(|(_, value)| value.is_finite()) {
            engine.replay(*at, *value, grid);
        }
    };
    replay(&mut replayed, head);
    replayed.seat(election.at_cut(), steps.at[cut - 1], grid);
    replay(&mut replayed, tail);
    Some(Refit {
        committee: election.committee(),
        at: *steps.at.last()?,
        replayed: Box::new(replayed),
    })
}

/// What a network is to know of a series besides its values. The same for training and for forecasting.
pub(crate) fn context(start: Timestamp, seasons: &[usize], step: Duration) -> Context {
    let mut known = seasons.iter().map(|season| u16::try_from(*season).ok());
    let known: [Option<u16>; SEASONS] = std::array::from_fn(|_| known.next().flatten());
    Context {
        start_s: start.as_millis().div_euclid(1000),
        step_s: u32::try_from(step.as_secs()).unwrap_or(u32::MAX).max(1),
        seasons: known,
        family: 0,
    }
}

/// The season's profile, as the older part of the history shows it. It goes on learning in the replay.
fn profile(head: &[(Timestamp, f64)], season: usize, grid: &HorizonGrid) -> Profile {
    let period = grid.step() * u32::try_from(season).unwrap_or(u32::MAX);
    let mut profile = Profile::new(period, grid.step());
    for (at, value) in head {
        profile.observe(*at, *value); // A gap is NaN, and ignored.
    }
    profile
}

/// The last value near each step; the steps end at the last observation.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)] // Limited to the length of a history first.
pub(crate) fn at_equal_steps(history: &[(Timestamp, f64)], step: Duration) -> Option<Steps> {
    let (last, _) = history.last()?;
    let back = |at: Timestamp| (last.since(at).as_secs_f64() / step.as_secs_f64()).round();
    let (first, _) = history
        .iter()
        .find(|(at, _)| back(*at) < LONGEST_HISTORY as f64)?;
    let count = back(*first) as usize + 1;
    let mut values = vec![f64::NAN; count];
    let mut filled = 0_usize;
    let is_known = |(at, value): &&(Timestamp, f64)| at >= first && value.is_finite();
    for (at, value) in history.iter().filter(is_known) {
        let slot = &mut values[count - 1 - (back(*at) as usize).min(count - 1)];
        filled += usize::from(slot.is_nan());
        *slot = value.clamp(-VALUE_LIMIT, VALUE_LIMIT); // As the mixture saw it.
    }
    if (filled as f64) < LEAST_FILLED * count as f64 {
        return None;
    }
    let behind = |index: usize| step * u32::try_from(count - 1 - index).unwrap_or(u32::MAX);
    let at = (0..count).map(|index| last.before(behind(index))).collect();
    Some(Steps { values, at })
}
