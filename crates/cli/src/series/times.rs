//! Instants as files write them, and the equal steps that samples are laid on.

use super::cells::short;

/// Unix times from here on are milliseconds: as seconds they would lie after the year 5138.
const MILLIS_FROM: f64 = 1e11;

/// No time is further from 1970: as milliseconds this is the year 5138 again.
const MILLIS_MAX: f64 = 1e14;

/// A series with more steps than this for each of its samples is not one at equal steps.
const STEPS_PER_SAMPLE_MAX: i64 = 100;

/// Reads an instant, as milliseconds since 1970.
pub(crate) fn instant_ms(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let unix = text
        .chars()
        .next_back()
        .filter(char::is_ascii_digit)
        .and_then(|_| text.parse::<f64>().ok());
    if let Some(number) = unix {
        return unix_ms(number).ok_or_else(|| {
            format!(
                "`{}` is no Unix time in seconds or milliseconds",
                short(text)
            )
        });
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    // Without an offset it is taken as UTC: only differences matter.
    text.parse::<jiff::civil::DateTime>()
        .ok()
        .and_then(|at| jiff::tz::Offset::UTC.to_timestamp(at).ok())
        .map(jiff::Timestamp::as_millisecond)
        .ok_or_else(|| {
            format!(
                "`{}` is no instant: write `2026-11-24T23:14:05Z`, `2026-11-24 23:14:05` or a Unix time",
                short(text)
            )
        })
}

fn unix_ms(number: f64) -> Option<i64> {
    let ms = if number.abs() < MILLIS_FROM {
        number * 1000.0
    } else {
        number
    };
    // The cast is exact: the value is rounded and far below 2^53.
    #[allow(clippy::cast_possible_truncation)]
    (ms.abs() <= MILLIS_MAX).then(|| ms.round() as i64)
}

/// Samples at equal steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid {
    /// One per step; NaN where none fell on it.
    pub(crate) values: Vec<f64>,
    /// The instant of the first step.
    pub(crate) first_ms: i64,
    /// The step; 0 for a single sample.
    pub(crate) step_ms: i64,
    /// Samples that gave way to a later one on the same step.
    pub(crate) merged: usize,
}

/// Lays samples (milliseconds, value) on equal steps, the median gap between them. Each goes to its
/// nearest step; of several on one step the last counts; a step without one is a gap.
///
/// # Errors
/// When there is no sample, or the steps would be far more than the samples.
pub(crate) fn equal_steps(mut samples: Vec<(i64, f64)>) -> Result<Grid, String> {
    // Stable: of several at one instant the later in the file stays the later.
    samples.sort_by_key(|(at, _)| *at);
    let (Some((first, _)), Some((last, _))) = (samples.first(), samples.last()) else {
        return Err("has no samples".to_owned());
    };
    let (first, span) = (*first, last - first);
    let mut gaps: Vec<i64> = samples
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .filter(|gap| *gap > 0)
        .collect();
    gaps.sort_unstable();
    // Of an even number the lower of the two in the middle.
    let Some(step_ms) = gaps.get(gaps.len().saturating_sub(1) / 2).copied() else {
        return Ok(Grid {
            values: samples
                .last()
                .map(|(_, value)| *value)
                .into_iter()
                .collect(),
            first_ms: first,
            step_ms: 0,
            merged: samples.len() - 1,
        });
    };
    let steps = (span + step_ms / 2) / step_ms + 1;
    let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
    if steps / STEPS_PER_SAMPLE_MAX > count {
        return Err(format!(
            "is not at equal steps: {count} samples, mostly {} s apart, over {} s",
            seconds(step_ms),
            seconds(span)
        ));
    }
    let mut values = vec![f64::NAN; usize::try_from(steps).unwrap_or_default()];
    let (mut merged, mut taken) = (0, None);
    for (at, value) in samples {
        let slot = usize::try_from((at - first + step_ms / 2) / step_ms).unwrap_or_default();
        merged += usize::from(taken == Some(slot));
        taken = Some(slot);
        // In bounds: the last sample's slot is the last, see `steps`.
        values[slot] = value;
    }
    Ok(Grid {
        values,
        first_ms: first,
        step_ms,
        merged,
    })
}

#[allow(clippy::cast_precision_loss)] // Shown, not computed with.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_form() {
        let at = 1_396_310_400_000;
        for text in [
            "2014-04-01T00:00:00Z",
            "2014-04-01T02:00:00+02:00",
            "2014-04-01 00:00:00",
            "2014-04-01T00:00:00",
            "2014-04-01 00:00:00.000",
            "2014-04-01",
            "1396310400",
            "1396310400000",
            " 1396310400.0 ",
        ] {
            assert_eq!(instant_ms(text), Ok(at), "{text}");
        }
        assert_eq!(instant_ms("-1.5"), Ok(-1500));
        for wrong in [
            "",
            "noon",
            "01/04/2014",
            "2014-13-01",
            "1e300",
            "nan",
            "1396310400000000",
            "-",
        ] {
            assert!(instant_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn samples_are_laid_on_the_median_gap_and_what_is_missing_is_a_gap() {
        // 10 s apart with jitter, one missing, two on one step, out of order.
        let grid = equal_steps(vec![
            (20_400, 3.0),
            (0, 1.0),
            (9_900, 2.0),
            (40_000, 5.0),
            (50_000, 6.0),
            (50_100, 7.0),
        ])
        .unwrap();
        assert_eq!((grid.first_ms, grid.step_ms), (0, 10_000));
        assert_eq!(grid.merged, 1);
        let text = format!("{:?}", grid.values);
        assert_eq!(text, "[1.0, 2.0, 3.0, NaN, 5.0, 7.0]");
    }

    #[test]
    fn one_instant_is_one_value_and_none_is_an_error() {
        let grid = equal_steps(vec![(5, 1.0), (5, 2.0)]).unwrap();
        assert_eq!((grid.values, grid.step_ms, grid.merged), (vec![2.0], 0, 1));
        assert!(equal_steps(Vec::new()).is_err());
    }

    #[test]
    fn a_handful_of_samples_over_centuries_is_refused_and_not_allocated() {
        let error = equal_steps(vec![(0, 1.0), (1, 2.0), (100_000_000_000_000, 3.0)]).unwrap_err();
        assert!(error.contains("not at equal steps"), "{error}");
    }
}
