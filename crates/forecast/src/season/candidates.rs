//! Where a season might be: periods of the calendar, and peaks of the autocorrelation.
//!
//! The autocorrelation is taken at several scales: the series itself up to lag [`LAGS`], and its block
//! means (blocks of 4, 16, 64 ... steps) from [`LAGS`]` / 4` to [`LAGS`], so that a period of any length
//! costs about the same and is seen in noise that single samples drown in. At each scale it is taken of
//! the differences, which see through a random walk, and of the distances from a long moving mean, which
//! see a smooth season in white noise.

use std::time::Duration;

use super::dot;
use super::fold::Sums;

/// The longest lag at one scale.
const LAGS: usize = 192;

/// How much wider blocks are at the next scale.
const COARSER: usize = 4;

/// At most so many of the latest points are looked at, at one scale.
const POINTS: usize = 4096;

/// A peak below this many standard errors of the autocorrelation of noise is not worth a test.
const PEAK: f64 = 2.5;

/// A peak as high as this share of the highest is taken for the fundamental, if it comes first.
const FUNDAMENTAL: f64 = 0.6;

/// So many multiples of a lag are looked at with it.
const TEETH: usize = 4;

/// A period that may be a season.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// In steps; need not be whole.
    pub(super) period: f64,
    /// Whether the calendar suggests it.
    pub(super) calendar: bool,
    /// How far off the period may be, in steps: 0 where it is known.
    pub(super) blur: f64,
}

impl Candidate {
    /// The period in whole steps.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 2 and 2^52.
    pub(super) fn steps(&self) -> usize {
        self.period.round() as usize
    }

    /// Whether folding `points` by either comes to the same: after all cycles they are less than half a
    /// cycle apart.
    #[allow(clippy::cast_precision_loss)] // A length.
    pub(super) fn same_as(&self, other: &Self, points: usize) -> bool {
        let apart = (self.period - other.period).abs();
        let cycles = points as f64 / self.period.max(other.period);
        apart < 1.0 || apart * cycles.max(1.0) < 0.5 * self.period.min(other.period)
    }

    /// Whether the period of `longer` is a multiple of this one.
    pub(super) fn divides(&self, longer: &Self) -> bool {
        let ratio = longer.period / self.period;
        (ratio - ratio.round()).abs() < 0.02 * ratio
    }
}

/// Every candidate of which the series holds enough cycles, no two alike; the calendar's first.
pub(super) fn all(
    values: &[f64],
    sums: &Sums,
    step: Duration,
    period_steps_max: usize,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    #[allow(clippy::cast_precision_loss)] // Lengths.
    let (points, longest) = (values.len() as f64, period_steps_max as f64);
    let mut offer = |candidate: Candidate| {
        let cycles = if candidate.calendar { 2.0 } else { 4.0 };
        let new = !candidates
            .iter()
            .any(|old| old.same_as(&candidate, values.len()));
        if (2.0..=longest).contains(&candidate.period) && cycles * candidate.period <= points && new
        {
            candidates.push(candidate);
        }
    };
    calendar(step).for_each(&mut offer);
    let mut block = 1;
    while values.len() / block >= 4 * (LAGS / COARSER) || block == 1 {
        peaks(sums, values.len(), block).for_each(&mut offer);
        block *= COARSER;
    }
    candidates
}

/// Hour, day, week and year, in steps.
fn calendar(step: Duration) -> impl Iterator<Item = Candidate> {
    const HOUR: f64 = 3600.0;
    let step = step.as_secs_f64().max(1e-3);
    [HOUR, 24.0 * HOUR, 168.0 * HOUR, 365.25 * 24.0 * HOUR]
        .into_iter()
        .map(move |span| Candidate {
            period: near_whole(span / step),
            calendar: true,
            blur: 0.0,
        })
}

/// A period within a thousandth of a whole number of steps is meant to be whole, and so is a short one
/// (a month is no whole part of a year, yet monthly data have a season of 12).
fn near_whole(period: f64) -> f64 {
    let whole = period.round();
    if (period - whole).abs() <= 1e-3 * period || (period < 60.0 && period > 1.5) {
        whole
    } else {
        period
    }
}

/// Up to four peaks at one scale.
#[allow(clippy::cast_precision_loss)] // Lags and blocks.
fn peaks(sums: &Sums, points: usize, block: usize) -> impl Iterator<Item = Candidate> + use<> {
    let count = (points / block).min(POINTS);
    let means: Vec<f64> = (0..count)
        .map(|i| {
            let from = points - (count - i) * block;
            sums.mean(from, from + block)
        })
        .collect();
    let first = if block == 1 { 2 } else { LAGS / COARSER };
    let last = LAGS.min(count / 4);
    let mut found = Vec::new();
    for mut series in [differences(&means), detrended(&means, 2 * LAGS)] {
        tame(&mut series);
        let correlation = autocorrelation(&series, last + 1);
        found.extend(highest(&correlation, first, last, count));
    }
    found.into_iter().map(move |lag: f64| Candidate {
        period: lag * block as f64,
        calendar: false,
        blur: if block == 1 { 0.0 } else { block as f64 },
    })
}

fn differences(means: &[f64]) -> Vec<f64> {
    means.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Distances from the mean of the `window` values round each (fewer at the ends).
fn detrended(means: &[f64], window: usize) -> Vec<f64> {
    let sums = Sums::new(means);
    let half = window / 2;
    (0..means.len())
        .map(|i| {
            let (from, to) = (i.saturating_sub(half), (i + half + 1).min(means.len()));
            means[i] - sums.mean(from, to)
        })
        .collect()
}

/// Centres, puts 0 for gaps (which adds nothing to any product), and limits what is rarer than once in
/// the longest lag.
#[allow(clippy::cast_precision_loss)] // A length.
fn tame(series: &mut [f64]) {
    let finite = series.iter().filter(|v| v.is_finite());
    let (count, sum) = finite.fold((0_usize, 0.0), |(n, s), v| (n + 1, s + v));
    let mean = if count > 0 { sum / count as f64 } else { 0.0 };
    let mut sizes: Vec<f64> = Vec::with_capacity(series.len());
    for value in series.iter_mut() {
        *value = if value.is_finite() {
            *value - mean
        } else {
            0.0
        };
        sizes.push(value.abs());
    }
    if sizes.is_empty() {
        return;
    }
    let rank = (sizes.len() / LAGS + 1).min(sizes.len() - 1);
    let cap = *sizes.select_nth_unstable_by(rank, |a, b| b.total_cmp(a)).1;
    for value in series.iter_mut() {
        *value = value.clamp(-cap, cap);
    }
}

/// The autocorrelation at lags 0 to `last`; each lag over the pairs that it has.
#[allow(clippy::cast_precision_loss)] // Lengths.
fn autocorrelation(series: &[f64], last: usize) -> Vec<f64> {
    let product = |lag: usize| {
        dot(series, series.get(lag..).unwrap_or_default())
            / series.len().saturating_sub(lag).max(1) as f64
    };
    let whole = product(0);
    (0..=last)
        .map(|lag| {
            if whole > 0.0 {
                product(lag) / whole
            } else {
                0.0
            }
        })
        .collect()
}

/// The highest local maximum, and the first that is nearly as high; between lags by a parabola. Each lag
/// is judged together with its multiples, at which a season comes back and an accident does not.
#[allow(clippy::cast_precision_loss)] // Lags.
fn highest(correlation: &[f64], first: usize, last: usize, points: usize) -> Vec<f64> {
    let floor = PEAK / (points.max(1) as f64).sqrt();
    let comb = |lag: usize| {
        let teeth = (1..=TEETH)
            .map(|k| k * lag)
            .take_while(|l| *l <= last.max(lag));
        let (n, sum) = teeth.fold((0.0, 0.0), |(n, sum), l| (n + 1.0, sum + correlation[l]));
        sum / n
    };
    let combed: Vec<f64> = (0..correlation.len())
        .map(|lag| {
            if lag < first {
                correlation[lag]
            } else {
                comb(lag)
            }
        })
        .collect();
    let at = |lag: usize| combed[lag];
    let peaks: Vec<usize> = (first..=last)
        .filter(|&l| l + 1 < correlation.len())
        .filter(|&l| at(l) > floor && at(l) >= at(l - 1) && at(l) > at(l + 1))
        .collect();
    let Some(&best) = peaks.iter().max_by(|a, b| at(**a).total_cmp(&at(**b))) else {
        return Vec::new();
    };
    let early = peaks.iter().find(|&&l| at(l) >= FUNDAMENTAL * at(best));
    let lags = [Some(best), early.copied().filter(|early| *early != best)];
    let refine = |lag: usize| {
        let (before, here, after) = (at(lag - 1), at(lag), at(lag + 1));
        let bend = before - 2.0 * here + after;
        let shift = if bend < 0.0 {
            0.5 * (before - after) / bend
        } else {
            0.0
        };
        // At the finest scale periods are whole.
        if first == 2 {
            lag as f64
        } else {
            lag as f64 + shift.clamp(-0.5, 0.5)
        }
    };
    lags.into_iter().flatten().map(refine).collect()
}
