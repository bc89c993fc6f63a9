//! Which seasons does a series have, and what do they look like?
//!
//! [`detect`] reads a stretch of history and names up to three periods. Candidates come from the
//! calendar (hour, day, week, year at the given step) and from peaks of the autocorrelation
//! (`candidates`); each is then put to a test that it can fail (`fold`). [`Profile`] follows one season
//! online in bounded memory, for forecasts; `swing` says how far the day and the week take the series every time,
//! for the band.
//!
//! Invariants:
//! - A period is reported only if at least two full cycles of it were seen (four, if the calendar does
//!   not know it), if it explains at least [`Limits::strength`] of the variance that is left once the
//!   trend is taken out, and if chance does not explain it.
//! - A multiple of a season is not one: longer periods are tested on what shorter ones leave.
//! - The answer does not change when the series is shifted or scaled. Gaps are skipped, never filled.
//! - Cost is bounded: at most [`fold::CYCLES_MAX`] cycles in at most [`fold::BINS_MAX`] bins are looked
//!   at for one candidate, whatever the period.

mod candidates;
mod fold;
mod profile;
mod swing;

use std::time::Duration;

pub use profile::Profile;
pub(crate) use swing::Swings;

use candidates::Candidate;
use fold::{Folded, Sums};

/// A period found in a series.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Season {
    /// Its length in steps of the sampling period; at least 2.
    pub period_steps: usize,
    /// From 0 to 1: `1 - Var(remainder) / Var(season + remainder)`, both freed of the trend and
    /// adjusted for the number of bins (Wang, Smith and Hyndman 2006 without the adjustment). Of a
    /// second season: what it explains of the remainder of the first.
    pub strength: f64,
}

/// What [`detect`] may report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// At most so many seasons.
    pub seasons_max: usize,
    /// The longest period, in steps.
    pub period_steps_max: usize,
    /// The least strength, from 0 to 1.
    pub strength: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            seasons_max: 3,
            period_steps_max: 1 << 20,
            strength: 0.1,
        }
    }
}

/// A further season must explain this share of the variance that those before it explain.
const ADDED_SHARE: f64 = 0.03;

/// A period that divides the best one comes first if it explains this share of what that explains: the
/// day before the week. The longer one must then explain something that is left.
const OF_THE_BEST: f64 = 0.3;
const ALL_OF_IT: f64 = 0.85;

/// The seasons of `history` (oldest first, NaN where a sample is missing; infinities count as missing)
/// sampled every `step`, shortest first.
pub fn detect(history: &[f64], step: Duration, limits: &Limits) -> Vec<Season> {
    let Some(mut values) = standardised(history) else {
        return Vec::new();
    };
    let mut explained = 0.0;
    let mut found: Vec<(Candidate, Season)> = Vec::new();
    while found.len() < limits.seasons_max {
        let sums = Sums::new(&values);
        let candidates = candidates::all(&values, &sums, step, limits.period_steps_max);
        let fresh = |c: &Candidate| found.iter().all(|(old, _)| !c.same_as(old, values.len()));
        let passed: Vec<(Candidate, Folded)> = candidates
            .into_iter()
            .filter(fresh)
            .filter_map(|c| {
                let folded = fold::test(&sums, &c)?;
                let period = folded.period;
                Some((Candidate { period, ..c }, folded))
            })
            .filter(|(_, folded)| folded.strength >= limits.strength)
            .collect();
        let Some((candidate, folded)) = choose(passed) else {
            break;
        };
        if folded.variance < ADDED_SHARE * explained {
            break;
        }
        explained += folded.variance;
        folded.subtract_from(&mut values);
        let season = Season {
            period_steps: candidate.steps(),
            strength: folded.strength.clamp(0.0, 1.0),
        };
        found.push((candidate, season));
    }
    without_overtones(found)
}

/// The one to take out first: the one that explains most, or the shortest part of it that explains a
/// good share (half a day must explain it all, or else it is only the day's shape). By variance, not strength: wide blocks average noise away and flatter long periods.
fn choose(passed: Vec<(Candidate, Folded)>) -> Option<(Candidate, Folded)> {
    let explains = |(_, folded): &&(Candidate, Folded)| folded.variance;
    let (best, most) = passed
        .iter()
        .max_by(|a, b| explains(a).total_cmp(&explains(b)))
        .map(|(candidate, folded)| (*candidate, folded.variance))?;
    passed
        .into_iter()
        .filter(|(c, folded)| {
            let good_share = if c.calendar || !best.calendar {
                OF_THE_BEST
            } else {
                ALL_OF_IT
            };
            *c == best || (c.divides(&best) && folded.variance >= good_share * most)
        })
        .min_by(|(a, _), (b, _)| a.period.total_cmp(&b.period))
}

/// Drops what divides a longer season and is no calendar period itself: half a day, where the day is a
/// season, is only the day's shape.
fn without_overtones(found: Vec<(Candidate, Season)>) -> Vec<Season> {
    let overtone = |c: &Candidate| {
        !c.calendar
            && found
                .iter()
                .any(|(longer, _)| longer.period > 1.5 * c.period && c.divides(longer))
    };
    let mut seasons: Vec<Season> = found
        .iter()
        .filter(|(c, _)| !overtone(c))
        .map(|(_, season)| *season)
        .collect();
    seasons.sort_by_key(|season| season.period_steps);
    seasons.dedup_by_key(|season| season.period_steps);
    seasons
}

/// The series counted from its median in units of its largest distance from it, so that nothing
/// overflows and no digit is lost on a high level; `None` if there is nothing to see.
fn standardised(history: &[f64]) -> Option<Vec<f64>> {
    let mut finite: Vec<f64> = history.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.len() < MIN_POINTS {
        return None;
    }
    let middle = finite.len() / 2;
    let median = *finite.select_nth_unstable_by(middle, f64::total_cmp).1;
    // Halves, for the distance of the largest number from its negative is infinite.
    let halves = |v: f64| v / 2.0 - median / 2.0;
    let scale = finite.iter().map(|v| halves(*v).abs()).fold(0.0, f64::max);
    // Distances down among the rounding errors of the level are no shape.
    if scale <= median.abs() * f64::EPSILON * 8.0 || scale == 0.0 {
        return None;
    }
    let value = |v: &f64| {
        if v.is_finite() {
            halves(*v) / scale
        } else {
            f64::NAN
        }
    };
    Some(history.iter().map(value).collect())
}

/// Fewer points than this show no season.
const MIN_POINTS: usize = 8;

/// The sum of products, in eight parallel sums that the compiler can put in vector registers.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    // Where the lengths differ, the tails are paired up to the shorter one.
    let whole = a.len().min(b.len()) / LANES * LANES;
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let tail = a[whole..].iter().zip(&b[whole..]).map(|(x, y)| x * y);
    sums.iter().sum::<f64>() + tail.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    #[allow(clippy::cast_precision_loss)] // Indices of short series.
    fn wave(index: usize, period: usize) -> f64 {
        (std::f64::consts::TAU * (index % period) as f64 / period as f64).sin()
    }

    fn periods(values: &[f64], step: Duration) -> Vec<usize> {
        let seasons = detect(values, step, &Limits::default());
        assert!(seasons.iter().all(|s| (0.0..=1.0).contains(&s.strength)));
        seasons.iter().map(|season| season.period_steps).collect()
    }

    fn series(points: usize, seed: u64, f: impl Fn(usize, &mut Random) -> f64) -> Vec<f64> {
        let mut random = Random::new(seed);
        (0..points).map(|i| f(i, &mut random)).collect()
    }

    #[test]
    fn a_day_is_found_from_two_cycles_on_and_its_multiples_are_not() {
        for points in [48, 72, 100, 200, 500] {
            let values = series(points, 1, |i, r| wave(i, 24) + 0.2 * r.normal());
            assert_eq!(periods(&values, HOUR), [24], "{points} points");
        }
        let values = series(47, 1, |i, _| wave(i, 24));
        assert!(periods(&values, HOUR).is_empty(), "not yet two cycles");
    }

    #[test]
    fn a_week_is_reported_beside_the_day_only_if_it_adds_something() {
        let daily = series(700, 2, |i, r| wave(i, 24) + 0.2 * r.normal());
        assert_eq!(periods(&daily, HOUR), [24]);
        let weekly = series(700, 2, |i, r| {
            let weekend = i / 24 % 7 >= 5;
            wave(i, 24) * if weekend { 0.3 } else { 1.0 } + 0.2 * r.normal()
        });
        assert_eq!(periods(&weekly, HOUR), [24, 168]);
    }

    #[test]
    fn a_day_with_two_peaks_is_a_day_and_not_half_of_one() {
        let values = series(500, 3, |i, r| {
            wave(i, 12) + 0.5 * wave(i, 24) + 0.2 * r.normal()
        });
        assert_eq!(periods(&values, HOUR), [24]);
    }

    #[test]
    fn a_period_that_no_calendar_knows_is_found() {
        for period in [2, 7, 17, 31] {
            let values = series(12 * period, 4, |i, r| {
                if period == 2 {
                    (i % 2) as f64
                } else {
                    wave(i, period) + 0.2 * r.normal()
                }
            });
            assert_eq!(periods(&values, HOUR), [period]);
        }
    }

    #[test]
    fn a_day_at_a_minute_and_at_ten_seconds_is_given_in_steps() {
        let values = series(1440 * 3, 5, |i, r| wave(i, 1440) + r.normal());
        assert_eq!(periods(&values, MINUTE), [1440]);
        let values = series(8640 * 2, 5, |i, r| wave(i, 8640) + r.normal());
        assert_eq!(periods(&values, MINUTE / 6), [8640]);
    }

    #[test]
    fn trend_steps_outliers_and_gaps_do_not_hide_a_season() {
        let disturbances: [fn(usize, f64) -> f64; 4] = [
            |i, v| v + 0.05 * i as f64,
            |i, v| if i > 200 { v + 5.0 } else { v },
            |i, v| if i % 97 == 50 { 300.0 } else { v },
            |i, v| {
                if i % 5 == 0 || (100..130).contains(&i) {
                    f64::NAN
                } else {
                    v
                }
            },
        ];
        for (number, disturb) in disturbances.into_iter().enumerate() {
            let values = series(360, 6, |i, r| disturb(i, wave(i, 24) + 0.3 * r.normal()));
            assert_eq!(periods(&values, HOUR), [24], "disturbance {number}");
        }
    }

    #[test]
    fn noise_and_walks_have_no_season() {
        let mut seen = 0;
        for seed in 0..150 {
            let mut level = 0.0;
            let mut random = Random::new(seed);
            for remembered in [0.0, 0.9, 1.0] {
                let mut next = || {
                    level = remembered * level + random.normal();
                    level
                };
                let values: Vec<f64> = (0..200).map(|_| next()).collect();
                seen += usize::from(!periods(&values, HOUR).is_empty());
            }
        }
        // 450 series; the measured rate is about 1 %.
        assert!(seen <= 9, "{seen} seasons in series without any");
    }

    #[test]
    fn odd_series_have_no_season_and_do_no_harm() {
        let cases: [Vec<f64>; 8] = [
            vec![],
            vec![f64::NAN; 500],
            vec![1e15; 500],
            vec![
                f64::INFINITY,
                1.0,
                2.0,
                f64::NEG_INFINITY,
                5.0,
                1.0,
                0.0,
                3.0,
                4.0,
                5.0,
            ],
            (0..500)
                .map(|i| if i == 77 { 1e308 } else { -1e308 })
                .collect(),
            (0..500).map(|i| f64::from(i) * 1e-310).collect(),
            (0..500).map(|i| 1e15 + f64::from(i)).collect(),
            (0..500).map(|i| if i < 250 { 0.0 } else { 1.0 }).collect(),
        ];
        for values in cases {
            assert!(periods(&values, HOUR).is_empty());
            assert!(periods(&values, Duration::ZERO).is_empty());
        }
    }

    #[test]
    fn the_answer_does_not_depend_on_where_zero_lies_or_on_the_unit() {
        let values = series(240, 7, |i, r| wave(i, 24) + 0.5 * r.normal());
        let seasons = detect(&values, HOUR, &Limits::default());
        let moved: Vec<f64> = values.iter().map(|v| -1024.0 * v + 65_536.0).collect();
        let again = detect(&moved, HOUR, &Limits::default());
        assert_eq!(seasons.len(), 1);
        assert_eq!(seasons[0].period_steps, again[0].period_steps);
        assert!((seasons[0].strength - again[0].strength).abs() < 1e-9);
    }
}
