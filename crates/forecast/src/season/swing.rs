//! What a series does day by day and week by week, as far as it can be counted on: the swing that the band makes room for.
//!
//! [`Profile`](super::Profile) says what is likely at an instant, for forecasts; this says how far the series
//! goes *every time*, for a threshold. A period (a day, a week; UTC) is cut into `B` bins of equal length. Of
//! each whole period `k` and bin `j` are kept the greatest value `g` and the least `l`, freed of the period's
//! level and of what the level moves meanwhile (and alike for `l`):
//!
//! ```text
//! m_k   = median over j of g_kj
//! G_kj  = g_kj - m_k - (m_k - m_{k-1}) (j + 1/2 - B/2) / B          0 where nothing was seen
//! noise = median over k, j of |G_kj - G_{k-1,j}|
//! upper_j = max(0, second least over k of G_kj - 4 noise)            over the last K periods
//! ```
//!
//! K is 4 for the day and 3 for the week; with one period less the least is taken, with fewer there is no swing.
//! So whatever happens in one period (a fault, a step, a drift, a job that did not run) counts for nothing: it must have
//! been there, at its time, in K - 1 of the last K. A drift in a straight line, however slow, has no swing, for
//! level and slope are taken out (the bins that swing shift the median: by no more than the drift moves in the time that they take). What differs from one period to the next is noise, and no season.
//! A swing for more than half of the period is none either: then its level is that of the period.
//!
//! Memory is bounded: [`BINS`] bins of K + 2 periods. Invariants: `lower <= 0 <= upper`; what is stored is
//! finite; a shift of all values changes nothing, and a scale scales.

use std::time::Duration;

use evenkeel_core::forecast::Swing;
use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Bins of a period at most: a quarter of an hour of the day, one and three quarters of the week.
const BINS: usize = 96;

/// With fewer bins there is no time of the day to speak of.
const BINS_MIN: usize = 8;

/// A period counts if something was seen in this share of its bins.
const FILLED: f64 = 0.5;

/// Bins before and after that may have the swing too: jobs do not start to the second.
const SLACK: i64 = 1;

/// What repeats must exceed the usual difference between two periods by so much.
const NOISES: f32 = 4.0;

const HOUR: Duration = Duration::from_secs(3600);

/// The greatest and the least value of a bin, or what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Range {
    least: f32,
    greatest: f32,
}

impl Range {
    /// Before anything was seen; its ends are the wrong way round.
    const NOTHING: Self = Self {
        least: f32::MAX,
        greatest: f32::MIN,
    };

    fn is_seen(self) -> bool {
        self.least <= self.greatest
    }

    fn take(&mut self, value: f32) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }
}

/// The swings of the day and of the week.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Swings {
    rings: Vec<Ring>,
}

impl Swings {
    /// For a series sampled about every `step`. What has too few samples a period is left out.
    pub(crate) fn new(step: Duration) -> Self {
        let periods = [(24 * HOUR, 4), (7 * 24 * HOUR, 3)];
        let rings = periods.into_iter();
        Self {
            rings: rings
                .filter_map(|(period, kept)| Ring::new(period, step, kept))
                .collect(),
        }
    }

    /// Takes an observation. Instants rise, values are finite.
    pub(crate) fn observe(&mut self, at: Timestamp, value: f64) {
        for ring in &mut self.rings {
            ring.observe(at, value);
        }
    }

    /// The course was put back. What comes has another level perhaps, but the day goes on: were it forgotten, what
    /// is put back every day would never be known for what the day does.
    pub(crate) fn restart(&mut self) {
        for ring in &mut self.rings {
            ring.level = None;
        }
    }

    /// The swing between two instants, both inside; `None` where nothing repeats.
    pub(crate) fn between(&self, from: Timestamp, until: Timestamp) -> Option<Swing> {
        let mut swing = Swing::default();
        for ring in &self.rings {
            ring.widen(&mut swing, from, until);
        }
        (swing != Swing::default()).then_some(swing)
    }

    /// Whether its parts fit together.
    pub(crate) fn is_sound(&self) -> bool {
        self.rings.iter().all(Ring::is_sound)
    }
}

/// One period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ring {
    period_ms: i64,
    bins: u32,
    /// How many whole periods are kept: K.
    kept: u32,
    /// The period that is going on, with what was seen of it.
    now: Option<(i64, Vec<Range>)>,
    /// The level of the period before it.
    level: Option<Level>,
    /// Whole periods freed of their level, oldest first.
    whole: Vec<Vec<Range>>,
    /// The swing in each bin; empty while there is none.
    swing: Vec<Range>,
}

/// The medians of the bins of a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Level {
    period: i64,
    of: Range,
}

impl Ring {
    fn new(period: Duration, step: Duration, kept: u32) -> Option<Self> {
        let period_ms = i64::try_from(period.as_millis()).ok()?;
        let samples = period.as_millis() / step.as_millis().max(1);
        let bins = usize::try_from(samples / 2).unwrap_or(BINS).min(BINS);
        (bins >= BINS_MIN).then(|| Self {
            period_ms,
            bins: u32::try_from(bins).unwrap_or_default(),
            kept,
            now: None,
            level: None,
            whole: Vec::new(),
            swing: Vec::new(),
        })
    }

    fn observe(&mut self, at: Timestamp, value: f64) {
        let period = at.as_millis().div_euclid(self.period_ms);
        if self.now.as_ref().is_none_or(|(now, _)| *now != period) {
            let fresh = vec![Range::NOTHING; self.bins as usize];
            if let Some((ended, seen)) = self.now.replace((period, fresh)) {
                self.end(ended, &seen);
            }
        }
        let bin = self.bin(at).rem_euclid(i64::from(self.bins));
        // The remainder is below the number of bins.
        let bin = usize::try_from(bin).unwrap_or_default();
        if let Some((_, seen)) = &mut self.now {
            seen[bin].take(super::profile::single(value));
        }
    }

    /// The bin of an instant, counted from the epoch.
    fn bin(&self, at: Timestamp) -> i64 {
        let (period, bins) = (i128::from(self.period_ms), i128::from(self.bins));
        let bin = (i128::from(at.as_millis()) * bins).div_euclid(period);
        i64::try_from(bin).unwrap_or_default()
    }

    /// Takes a period that is over.
    fn end(&mut self, period: i64, seen: &[Range]) {
        let filled: Vec<Range> = seen.iter().copied().filter(|r| r.is_seen()).collect();
        #[allow(clippy::cast_precision_loss)] // At most 96 bins.
        if (filled.len() as f64) < FILLED * seen.len() as f64 {
            return;
        }
        let level = Range {
            least: median(filled.iter().map(|range| range.least)),
            greatest: median(filled.iter().map(|range| range.greatest)),
        };
        let before = self.level.filter(|before| before.period + 1 == period);
        let before = before.map_or(level, |before| before.of);
        #[allow(clippy::cast_precision_loss)] // At most 96 bins.
        let bins = seen.len() as f32;
        let freed = seen.iter().zip(0_u16..).map(|(range, bin)| {
            if !range.is_seen() {
                return Range::default();
            }
            let place = (f32::from(bin) + 0.5) / bins - 0.5;
            let free = |value: f32, now: f32, before: f32| value - now - (now - before) * place;
            Range {
                least: free(range.least, level.least, before.least),
                greatest: free(range.greatest, level.greatest, before.greatest),
            }
        });
        self.whole.push(freed.collect());
        if self.whole.len() > self.kept as usize {
            self.whole.remove(0);
        }
        self.level = Some(Level { period, of: level });
        self.swing = self.repeated();
    }

    /// What was there in all of the last periods but one.
    fn repeated(&self) -> Vec<Range> {
        let short = self.whole.len() < self.kept as usize;
        if self.whole.len() + 1 < self.kept as usize {
            return Vec::new();
        }
        let upper = repeated(&self.whole, short, |range| range.greatest);
        let lower = repeated(&self.whole, short, |range| -range.least);
        let both = upper.into_iter().zip(lower);
        let swing: Vec<Range> = both
            .map(|(upper, lower)| Range {
                least: -lower,
                greatest: upper,
            })
            .collect();
        if swing
            .iter()
            .all(|range| range.least == 0.0 && range.greatest == 0.0)
        {
            return Vec::new();
        }
        swing
    }

    fn widen(&self, swing: &mut Swing, from: Timestamp, until: Timestamp) {
        if self.swing.is_empty() {
            return;
        }
        let bins = i64::from(self.bins);
        let (first, last) = (self.bin(from) - SLACK, self.bin(until) + SLACK);
        for bin in first..=last.min(first + bins - 1) {
            let bin = usize::try_from(bin.rem_euclid(bins)).unwrap_or_default();
            let range = self.swing[bin];
            swing.lower = swing.lower.min(f64::from(range.least));
            swing.upper = swing.upper.max(f64::from(range.greatest));
        }
    }

    fn is_sound(&self) -> bool {
        let bins = self.bins as usize;
        let fits = |ranges: &[Range]| ranges.len() == bins;
        self.period_ms > 0
            && (BINS_MIN..=BINS).contains(&bins)
            && self.now.iter().all(|(_, seen)| fits(seen))
            && self.whole.iter().all(|ranges| fits(ranges))
            && (self.swing.is_empty() || fits(&self.swing))
    }
}

/// Per bin the second least (the least, where one period is missing) of one side, less the noise.
fn repeated(whole: &[Vec<Range>], short: bool, side: impl Fn(&Range) -> f32) -> Vec<f32> {
    let pairs = whole.iter().zip(whole.iter().skip(1));
    let differences =
        pairs.flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (side(a) - side(b)).abs()));
    let noise = median(differences);
    let rank = usize::from(!short);
    let bins = whole.first().map_or(0, Vec::len);
    let at = |bin: usize| {
        let mut values: Vec<f32> = whole.iter().map(|period| side(&period[bin])).collect();
        values.sort_unstable_by(f32::total_cmp);
        let counted_on = values.get(rank).copied().unwrap_or_default();
        (counted_on - NOISES * noise).max(0.0)
    };
    (0..bins).map(at).collect()
}

/// The (lower) median; 0 of nothing.
fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    if values.is_empty() {
        return 0.0;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Random;

    const MINUTE: Duration = Duration::from_secs(60);
    const STEP: Duration = Duration::from_secs(300);
    const STEPS_A_DAY: u32 = 288;

    /// A Monday, 00:00.
    const START: Timestamp = Timestamp::from_millis(1_795_392_000_000);

    /// What a series of `days` at five minutes comes to, by the time since its start in days.
    fn after(days: u32, value: impl Fn(f64) -> f64) -> (Swings, Timestamp) {
        let mut swings = Swings::new(STEP);
        let mut at = START;
        for step in 0..days * STEPS_A_DAY {
            at = START + STEP * step;
            swings.observe(at, value(f64::from(step) / f64::from(STEPS_A_DAY)));
        }
        (swings, at + STEP)
    }

    /// 0.6 from 02:00 to 03:00.
    fn nightly(day: f64) -> f64 {
        let hour = day.fract() * 24.0;
        if (2.0..3.0).contains(&hour) { 0.6 } else { 0.0 }
    }

    /// The swing from so many hours of the day (of the midnight that `swings` ended at) to others.
    fn between((swings, midnight): &(Swings, Timestamp), from: f64, until: f64) -> Swing {
        let at = |hours: f64| *midnight + MINUTE.mul_f64(60.0 * hours);
        swings.between(at(from), at(until)).unwrap_or_default()
    }

    #[test]
    fn a_nightly_job_is_known_at_its_time_after_three_days() {
        for days in 0..=3 {
            assert_eq!(between(&after(days, nightly), 0.0, 24.0), Swing::default());
        }
        // A day is over when the next one begins.
        let known = after(5, nightly);
        let upper = |from, until| between(&known, from, until).upper;
        assert!((upper(2.2, 2.2) - 0.6).abs() < 1e-6);
        assert!((upper(1.0, 1.9) - 0.6).abs() < 1e-6, "a little earlier");
        assert_eq!((upper(0.0, 1.5), upper(3.5, 24.0)), (0.0, 0.0));
        assert_eq!(between(&known, 0.0, 24.0).lower, 0.0);
    }

    #[test]
    fn one_night_without_it_or_with_more_changes_nothing() {
        for other in [0.0, 5.0, -5.0] {
            let known = after(9, |day| {
                if (7.0..8.0).contains(&day) {
                    nightly(day) * other
                } else {
                    nightly(day)
                }
            });
            assert!(
                (between(&known, 2.0, 3.0).upper - 0.6).abs() < 1e-6,
                "{other}"
            );
            assert_eq!(between(&known, 0.0, 24.0).lower, 0.0);
        }
        let once = after(9, |day| if (7.0..7.5).contains(&day) { 0.9 } else { 0.0 });
        assert_eq!(between(&once, 0.0, 24.0), Swing::default());
    }

    #[test]
    fn a_weekly_job_is_known_after_two_weeks_more_at_its_day_only() {
        let sundays = |day: f64| if day % 7.0 >= 6.0 { nightly(day) } else { 0.0 };
        let known = after(22, sundays);
        // The midnight is that of a Tuesday.
        let upper = |day: f64| between(&known, 24.0 * day + 2.0, 24.0 * day + 3.0).upper;
        assert!((upper(5.0) - 0.6).abs() < 1e-6);
        assert_eq!([0.0, 1.0, 2.0, 3.0, 6.0].map(upper), [0.0; 5]);
    }

    #[test]
    fn noise_has_next_to_none() {
        let mut random = Random::new(3);
        let mut swings = Swings::new(STEP);
        let mut greatest = 0.0_f64;
        for step in 0..30 * STEPS_A_DAY {
            let at = START + STEP * step;
            swings.observe(at, 0.1 * random.normal());
            let swing = swings.between(at, at + 6 * HOUR).unwrap_or_default();
            greatest = greatest.max(swing.upper).max(-swing.lower);
        }
        assert!(greatest < 0.1, "{greatest}");
    }

    #[test]
    fn a_restart_forgets_no_day() {
        let mut known = after(5, nightly);
        let before = between(&known, 0.0, 24.0);
        known.0.restart();
        assert_eq!(between(&known, 0.0, 24.0), before);
        // What it was moved to by hand is no season.
        for step in 0..STEPS_A_DAY / 3 {
            known
                .0
                .observe(known.1 + STEP * (2 * STEPS_A_DAY / 3 + step), 3.0);
        }
        known.0.observe(known.1 + STEP * STEPS_A_DAY, 3.0);
        assert_eq!(between(&known, 0.0, 24.0), before);
    }

    #[test]
    fn a_day_that_is_cut_short_by_a_restart_every_day_is_known() {
        let mut swings = Swings::new(STEP);
        for step in 0..6 * STEPS_A_DAY {
            let hour = f64::from(step % STEPS_A_DAY) / f64::from(STEPS_A_DAY) * 24.0;
            // It rises from 02:00 on, and is put back at 04:00.
            let value = if (2.0..4.0).contains(&hour) {
                (hour - 2.0) / 4.0
            } else {
                0.0
            };
            swings.observe(START + STEP * step, value);
            if hour == 4.0 {
                swings.restart();
            }
        }
        let upper = between(&(swings, START + STEP * (6 * STEPS_A_DAY)), 0.0, 6.0).upper;
        assert!((0.4..0.51).contains(&upper), "{upper}");
    }

    #[test]
    fn what_is_seen_too_seldom_has_no_times_of_the_day() {
        assert_eq!(Swings::new(STEP).rings.len(), 2);
        assert_eq!(Swings::new(4 * HOUR).rings.len(), 1);
        assert!(Swings::new(24 * HOUR).rings.is_empty());
    }

    proptest! {
        /// The boiling frog, with a season or without: no room is made for it.
        #[test]
        fn a_straight_drift_adds_nothing(
            start in -1.0_f64..1.0, a_day in -0.5_f64..0.5, height in 0.0_f64..0.9,
        ) {
            let course = |day: f64| height * nightly(day) / 0.6;
            let (calm, drifting) = (after(16, course), after(16, |day| start + a_day * day + course(day)));
            let (calm, drifting) = (between(&calm, 0.0, 24.0), between(&drifting, 0.0, 24.0));
            // An hour's swing moves the median by as much as half an hour does.
            let an_hour = a_day.abs() / 24.0 + 1e-5;
            prop_assert!(drifting.upper <= calm.upper + an_hour, "{drifting:?} {calm:?}");
            prop_assert!(drifting.lower >= calm.lower - an_hour, "{drifting:?} {calm:?}");
        }

        /// Whatever comes, the season is no more than what there was in a period, less its level.
        #[test]
        fn it_is_finite_and_zero_is_inside(values in proptest::collection::vec(-1e30_f64..1e30, 100..400)) {
            let mut swings = Swings::new(HOUR);
            for (value, hour) in values.iter().zip(0_u32..) {
                let at = START + HOUR * hour;
                swings.observe(at, *value);
                let swing = swings.between(at, at + 6 * HOUR).unwrap_or_default();
                prop_assert!(swing.lower <= 0.0 && swing.upper >= 0.0);
                prop_assert!(swing.lower.is_finite() && swing.upper.is_finite());
            }
            prop_assert!(swings.is_sound());
        }
    }
}
