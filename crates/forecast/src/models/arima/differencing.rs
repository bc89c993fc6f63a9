//! Differences, and how many of them a series needs.
//!
//! - Regular differences by the test of Kwiatkowski, Phillips, Schmidt and Shin (1992) for a level, at
//!   5 %, with a Bartlett window of `3 sqrt(n) / 13` lags, again and again as in Hyndman and
//!   Khandakar (2008).
//! - A seasonal difference where the strength of the season (Wang, Smith and Hyndman 2006) exceeds
//!   0.64, as in R's `nsdiffs(test = "seas")`. The season is found by smoothing each phase on its own
//!   after a centred moving average has taken out the trend: a plain stand-in for STL.

use super::order::Order;
use super::small::{dot, real};

/// The 5 % point of the KPSS statistic for a level.
const KPSS_5_PERCENT: f64 = 0.463;
/// A season at least this strong is differenced.
const STRENGTH_LEAST: f64 = 0.64;
/// How many neighbouring seasons smooth a phase, to either side.
const SEASONS_ASIDE: usize = 5;

/// `(1 - B)^d (1 - B^s)^D` of the series; shorter by `d + s D`.
pub(super) fn difference(series: &[f64], order: &Order) -> Vec<f64> {
    let mut out = series.to_vec();
    for _ in 0..order.seasonal_d {
        difference_once(&mut out, usize::from(order.season));
    }
    for _ in 0..order.d {
        difference_once(&mut out, 1);
    }
    out
}

fn difference_once(series: &mut Vec<f64>, lag: usize) {
    let rest = series.len().saturating_sub(lag);
    for t in 0..rest {
        series[t] = series[t + lag] - series[t];
    }
    series.truncate(rest);
}

/// How many regular differences, at most `most`, make the series level. No gaps.
pub(super) fn regular_differences(series: &[f64], most: u8) -> u8 {
    let mut series = series.to_vec();
    for d in 0..most {
        if series.len() < 4 || !rejects_level(&series) {
            return d;
        }
        difference_once(&mut series, 1);
    }
    most
}

/// Whether the KPSS test rejects that the series keeps a level.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A small positive number.
fn rejects_level(series: &[f64]) -> bool {
    let n = series.len();
    let mean = series.iter().sum::<f64>() / real(n);
    let centred: Vec<f64> = series.iter().map(|x| x - mean).collect();
    let lags = ((3.0 * real(n).sqrt() / 13.0) as usize).min(n - 1);
    let mut long_run = dot(&centred, &centred);
    let own = long_run;
    for lag in 1..=lags {
        let weight = 1.0 - real(lag) / real(lags + 1);
        long_run += 2.0 * weight * dot(&centred[lag..], &centred[..n - lag]);
    }
    let mut sum = 0.0;
    let squares: f64 = centred
        .iter()
        .map(|x| {
            sum += x;
            sum * sum
        })
        .sum();
    // A level series is nothing but rounding: a statistic of it would say nothing.
    let varies = own > real(n) * (1e-14 * mean).powi(2) && long_run > 0.0;
    varies && squares / (real(n) * long_run) > KPSS_5_PERCENT
}

/// Whether the season is strong enough to be differenced. No gaps.
pub(super) fn needs_seasonal_difference(series: &[f64], season: usize) -> bool {
    series.len() > 2 * season && strength(series, season) > STRENGTH_LEAST
}

/// The share of the variance around the trend that the season accounts for, in 0 to 1.
fn strength(series: &[f64], season: usize) -> f64 {
    let n = series.len();
    let half = season / 2;
    let (from, to) = (half, n - half);
    if to < from + season {
        return 0.0;
    }
    // A centred average over one season; with an even number of steps both ends count half.
    let detrended: Vec<f64> = (from..to)
        .map(|t| {
            let window = &series[t - half..=t + half];
            let mut sum: f64 = window.iter().sum();
            if season.is_multiple_of(2) {
                sum -= 0.5 * (window[0] + window[window.len() - 1]);
            }
            series[t] - sum / real(season)
        })
        .collect();
    let mut rest = detrended.clone();
    for phase in 0..season {
        let count = (detrended.len() - phase).div_ceil(season);
        for k in 0..count {
            let near = k.saturating_sub(SEASONS_ASIDE)..(k + SEASONS_ASIDE + 1).min(count);
            let width = real(near.len());
            let mean = near.map(|j| detrended[phase + j * season]).sum::<f64>() / width;
            rest[phase + k * season] -= mean;
        }
    }
    let (whole, left) = (variance(&detrended), variance(&rest));
    if whole > 0.0 {
        (1.0 - left / whole).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn variance(series: &[f64]) -> f64 {
    let n = real(series.len().max(1));
    let mean = series.iter().sum::<f64>() / n;
    series.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: u32) -> Vec<f64> {
        let mut random = crate::testing::Random::new(5);
        (0..n).map(|_| random.normal()).collect()
    }

    #[test]
    fn differences_undo_sums() {
        let order = Order::new(0, 2, 0).seasonal(0, 1, 0, 4);
        let cubic: Vec<f64> = (0..20_i32).map(|t| f64::from(t.pow(3))).collect();
        // The third difference of t^3 over 1, 1 and 4 steps is 3! * 4.
        assert!(difference(&cubic, &order).iter().all(|x| *x == 24.0));
        assert_eq!(difference(&cubic, &order).len(), 14);
    }

    #[test]
    fn noise_needs_none_a_walk_one_and_its_sum_two() {
        let mut series = noise(300);
        for expected in 0..=2 {
            assert_eq!(regular_differences(&series, 2), expected);
            let mut sum = 0.0;
            for x in &mut series {
                sum += *x;
                *x = sum;
            }
        }
        assert_eq!(regular_differences(&[3.3; 50], 2), 0);
    }

    #[test]
    fn a_clear_season_is_seen_and_noise_is_not() {
        let mut series = noise(240);
        assert!(!needs_seasonal_difference(&series, 12));
        for (t, x) in series.iter_mut().enumerate() {
            *x += (real(t) / 12.0 * std::f64::consts::TAU).sin() * 2.0;
        }
        assert!(needs_seasonal_difference(&series, 12));
    }
}
