//! Times as they are typed: `90s`, `1h30m`, `7d`, or an instant.

use std::time::Duration;

use evenkeel_core::Timestamp;

/// A point in time as typed: seen from now, or for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So far from now; the option says in which direction.
    FromNow(Duration),
    /// This instant.
    At(Timestamp),
}

impl Moment {
    /// The instant, read as so long ago.
    pub fn ago(self, now: Timestamp) -> Timestamp {
        match self {
            Self::FromNow(span) => now.before(span),
            Self::At(at) => at,
        }
    }

    /// The instant, read as so far ahead.
    pub fn ahead(self, now: Timestamp) -> Timestamp {
        match self {
            Self::FromNow(span) => now + span,
            Self::At(at) => at,
        }
    }
}

/// Reads a span, or an instant in RFC 3339.
///
/// # Errors
/// When the text is neither.
pub fn parse_moment(text: &str) -> Result<Moment, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Moment::At(Timestamp::from_millis(at.as_millisecond())));
    }
    parse_span(text)
        .map(Moment::FromNow)
        .map_err(|error| format!("{error}, or an instant like `2026-11-24T23:00:00Z`"))
}

/// Reads a span: numbers with `ms`, `s`, `m`, `h` or `d`, the greater first.
///
/// # Errors
/// When the text is no span, or one of nothing.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a span like `90s`, `15m`, `2h`, `1h30m` or `7d`".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = Duration::from_millis(number.checked_mul(unit_ms).ok_or_else(wrong)?);
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if total.is_zero() {
        Err(wrong())
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let check = |text: &str, ms| assert_eq!(parse_span(text), Ok(Duration::from_millis(ms)));
        check("850ms", 850);
        check("90s", 90_000);
        check("15min", 900_000);
        check("1h30m", 5_400_000);
        check("7d", 604_800_000);
    }

    #[test]
    fn what_is_no_span_is_refused_with_an_example() {
        for text in [
            "",
            "5",
            "h",
            "0s",
            "-1h",
            "1.5h",
            "3 h",
            "99999999999999999999d",
            "9999999999999999d",
        ] {
            let error = parse_span(text).unwrap_err();
            assert!(error.contains("`1h30m`"), "{text}: {error}");
        }
    }

    #[test]
    fn a_moment_is_a_span_or_an_instant() {
        let now = Timestamp::from_millis(10_000_000);
        assert_eq!(parse_moment("1h").unwrap().ago(now).as_millis(), 6_400_000);
        assert_eq!(
            parse_moment("1h").unwrap().ahead(now).as_millis(),
            13_600_000
        );
        let at = parse_moment("1970-01-01T00:00:01Z").unwrap();
        assert_eq!(at, Moment::At(Timestamp::from_millis(1000)));
        assert!(
            parse_moment("noon")
                .unwrap_err()
                .contains("2026-11-24T23:00:00Z")
        );
    }
}
