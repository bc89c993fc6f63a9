//! Instants and spans as values. Nothing here reads a clock: `now` always comes in as an argument.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// This instant less `span`.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// Day of the week in UTC, 0 = Monday.
    pub fn weekday(self) -> u8 {
        let days = self.0.div_euclid(86_400_000);
        u8::try_from((days + 3).rem_euclid(7)).unwrap_or_default()
    }

    /// Time since midnight UTC.
    pub fn time_of_day(self) -> Duration {
        Duration::from_millis(self.0.rem_euclid(86_400_000).unsigned_abs())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(86_400_000));
        let ms = self.0.rem_euclid(86_400_000);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z",
            ms % 1000
        )
    }
}

/// Year, month and day of a day number counted from 1970-01-01 (the Gregorian calendar repeats every
/// 146,097 days; years are counted from March so that the leap day comes last).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Reads a span of time as it is written in files: `500ms`, `10s`, `2m`, `1h30m`, `7d`.
///
/// # Errors
/// When the text is not one.
pub fn parse_span(text: &str) -> Result<Duration, NotASpan> {
    let refuse = || NotASpan(text.to_owned());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refuse());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(refuse)?;
        let count: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refuse()),
        };
        let part = count
            .checked_mul(unit_ms)
            .map(Duration::from_millis)
            .ok_or_else(refuse)?;
        total = total.checked_add(part).ok_or_else(refuse)?;
        rest = rest[letters..].trim_start();
    }
    Ok(total)
}

/// A text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of time; write it like `500ms`, `10s`, `2m` or `1h30m`")]
pub struct NotASpan(String);

/// A span as a person says it: `850 ms`, `14 min`, `3.5 h`.
#[derive(Clone, Copy, Debug)]
pub struct Brief(pub Duration);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        let text = match seconds {
            s if s < 1.0 => format!("{:.0} ms", s * 1e3),
            s if s < 10.0 => format!("{} s", short(s)),
            s if s < 120.0 => format!("{s:.0} s"),
            s if s < 7200.0 => format!("{:.0} min", s / 60.0),
            s if s < 172_800.0 => format!("{} h", short(s / 3600.0)),
            s => format!("{} d", short(s / 86_400.0)),
        };
        f.pad(&text)
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants_are_written_in_rfc_3339() {
        let check = |ms, text: &str| assert_eq!(Timestamp::from_millis(ms).to_string(), text);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(1_795_564_799_123, "2026-11-24T23:59:59.123Z");
    }

    #[test]
    fn every_day_of_three_thousand_years_follows_the_one_before() {
        // 0000-01-01, by the calendar that we have now.
        let (mut year, mut month, mut day) = (0_i64, 1_i64, 1_i64);
        for number in -719_528..380_000 {
            assert_eq!(civil(number), (year, month, day), "day {number}");
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                4 | 6 | 9 | 11 => 30,
                2 if is_leap => 29,
                2 => 28,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert!(year > 3000);
    }

    #[test]
    fn the_time_of_day_is_counted_from_midnight_also_before_the_epoch() {
        let of = |ms| Timestamp::from_millis(ms).time_of_day();
        assert_eq!(of(86_400_000), Duration::ZERO);
        assert_eq!(of(86_399_999), Duration::from_millis(86_399_999));
        assert_eq!(of(-1), Duration::from_millis(86_399_999));
        assert_eq!(Timestamp::from_millis(-1).weekday(), 2, "a Wednesday");
    }

    #[test]
    fn spans_are_read_as_they_are_written_in_files() {
        let read = |text| parse_span(text).map(|span| span.as_millis());
        assert_eq!(read("500ms"), Ok(500));
        assert_eq!(read("10s"), Ok(10_000));
        assert_eq!(read("2m"), Ok(120_000));
        assert_eq!(read("2min"), Ok(120_000));
        assert_eq!(read("1h30m"), Ok(5_400_000));
        assert_eq!(read(" 7d 1h "), Ok(608_400_000));
        assert_eq!(read("0s"), Ok(0));
        for text in [
            "",
            " ",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5h",
            "5y",
            "5s!",
            "99999999999999999999s",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` is not a span of time")),
                "{error}"
            );
        }
        assert!(read("18446744073709551615d").is_err(), "too long");
    }

    #[test]
    fn weekdays_are_counted_from_monday() {
        assert_eq!(
            Timestamp::from_millis(0).weekday(),
            3,
            "1970-01-01 was a Thursday"
        );
        assert_eq!(
            Timestamp::from_millis(1_795_564_799_123).weekday(),
            1,
            "2026-11-24: Tuesday"
        );
    }

    #[test]
    fn spans_are_said_briefly() {
        let check = |ms, text: &str| {
            assert_eq!(Brief(Duration::from_millis(ms)).to_string(), text);
        };
        check(850, "850 ms");
        check(2500, "2.5 s");
        check(3000, "3 s");
        check(840_000, "14 min");
        check(12_600_000, "3.5 h");
        check(259_200_000, "3 d");
        // Where one unit gives way to the next.
        check(999, "999 ms");
        check(1000, "1 s");
        check(9900, "9.9 s");
        check(10_000, "10 s");
        check(119_000, "119 s");
        check(120_000, "2 min");
        check(7_140_000, "119 min");
        check(7_200_000, "2 h");
        check(172_800_000, "2 d");
        check(129_600_000, "36 h");
        check(216_000_000, "2.5 d");
    }

    proptest! {
        #[test]
        fn since_undoes_add(ms in -4_000_000_000_000_i64..4_000_000_000_000, span in 0_u64..4_000_000_000) {
            let at = Timestamp::from_millis(ms);
            let span = Duration::from_millis(span);
            prop_assert_eq!((at + span).since(at), span);
            prop_assert_eq!((at + span).before(span), at);
            prop_assert_eq!(at.since(at + span), Duration::ZERO);
        }
    }
}
