//! Values as they are written in a scenario file, each refused with what would be right. The parser
//! adds the place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_core::property::Value;
use evenkeel_core::time::parse_span;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::scenario::{Moment, Tolerance, Written};

/// A finite number.
pub(crate) fn finite<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    number(from, f64::is_finite, "a finite number is asked for")
}

/// A finite number above 0.
pub(crate) fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let above = |n: f64| n.is_finite() && n > 0.0;
    number(from, above, "a number above 0 is asked for")
}

/// A finite number above 2: below, Student's t has no standard deviation.
pub(crate) fn degrees<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let above = |n: f64| n.is_finite() && n > 2.0;
    number(from, above, "degrees of freedom above 2 are asked for").map(Some)
}

/// A share, 0 to 1.
pub(crate) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let within = |n: f64| (0.0..=1.0).contains(&n);
    number(from, within, "a share between 0 and 1 is asked for")
}

/// [`finite`], where the key may be left out.
pub(crate) fn some_finite<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    finite(from).map(Some)
}

/// [`positive`], where the key may be left out.
pub(crate) fn some_positive<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    positive(from).map(Some)
}

fn number<'de, D: Deserializer<'de>>(
    from: D,
    fits: impl Fn(f64) -> bool,
    asked: &str,
) -> Result<f64, D::Error> {
    let found = f64::deserialize(from)?;
    if fits(found) {
        Ok(found)
    } else {
        Err(D::Error::custom(format!("{found} does not fit; {asked}")))
    }
}

/// A span of time, perhaps of nothing.
pub(crate) fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_span(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// A span of time that is longer than nothing.
pub(crate) fn long<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let found = span(from)?;
    if found.is_zero() {
        return Err(D::Error::custom(
            "a span of nothing; write one such as `10s` or `2h`",
        ));
    }
    Ok(found)
}

/// [`span`], where the key may be left out.
pub(crate) fn some_span<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    span(from).map(Some)
}

/// [`long`], where the key may be left out.
pub(crate) fn some_long<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    long(from).map(Some)
}

/// An instant: a TOML date-time, or the same as text.
pub(crate) fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    match Moment::deserialize(from)? {
        Moment::At(at) => Ok(at),
        Moment::After(_) => Err(D::Error::custom(
            "an instant is asked for; write it like `2026-01-05T00:00:00Z`",
        )),
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum AsWritten {
            Instant(toml::value::Datetime),
            Text(String),
        }
        const ASKED: &str =
            "write a span from the start (`2h30m`) or an instant (`2026-01-05T00:00:00Z`)";
        let wrong = |text: &dyn fmt::Display| {
            D::Error::custom(format!("`{text}` is not a moment; {ASKED}"))
        };
        let found = AsWritten::deserialize(from)
            .map_err(|_| D::Error::custom(format!("not a moment; {ASKED}")))?;
        match found {
            AsWritten::Instant(at) => of_datetime(&at).map(Self::At).ok_or_else(|| wrong(&at)),
            AsWritten::Text(text) => match (parse_span(&text), text.parse()) {
                (Ok(span), _) => Ok(Self::After(span)),
                (Err(_), Ok(at)) => of_datetime(&at).map(Self::At).ok_or_else(|| wrong(&text)),
                (Err(_), Err(_)) => Err(wrong(&text)),
            },
        }
    }
}

/// A date alone is its midnight, and what names no offset is in UTC.
fn of_datetime(found: &toml::value::Datetime) -> Option<Timestamp> {
    let date = found.date?;
    let (hour, minute, second, nanosecond) = found.time.map_or((0, 0, 0, 0), |time| {
        let second = time.second.unwrap_or_default();
        let nanosecond = time.nanosecond.unwrap_or_default();
        (time.hour, time.minute, second, nanosecond)
    });
    let offset_min = match found.offset {
        None | Some(toml::value::Offset::Z) => 0,
        Some(toml::value::Offset::Custom { minutes }) => i64::from(minutes),
    };
    let days = days_since_epoch(
        i64::from(date.year),
        i64::from(date.month),
        i64::from(date.day),
    );
    let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute) - offset_min;
    let ms = i64::from(second) * 1000 + i64::from(nanosecond / 1_000_000);
    Some(Timestamp::from_millis(minutes * 60_000 + ms))
}

/// The inverse of what `Timestamp`'s `Display` does: years are counted from March, so that the leap day
/// comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum AsWritten {
            Number(f64),
            Text(String),
        }
        const ASKED: &str = "a number above 0, or a share like \"20%\"";
        let found = AsWritten::deserialize(from)
            .map_err(|_| D::Error::custom(format!("not a tolerance: {ASKED}")))?;
        let (relative, value, text) = match found {
            AsWritten::Number(n) => (false, Some(n), n.to_string()),
            AsWritten::Text(text) => {
                let percent = text.strip_suffix('%').and_then(|n| n.trim().parse().ok());
                (true, percent.map(|n: f64| n / 100.0), text)
            }
        };
        match value.filter(|value| value.is_finite() && *value > 0.0) {
            Some(value) if relative => Ok(Self::Relative(value)),
            Some(value) => Ok(Self::Absolute(value)),
            None => Err(D::Error::custom(format!(
                "`{text}` is not a tolerance: {ASKED}"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WrittenVisitor).map(Self)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a number, true or false, a text, a list of texts (a set) or a table (a document)",
        )
    }

    fn visit_bool<E: Error>(self, found: bool) -> Result<Value, E> {
        Ok(Value::Flag(found))
    }

    #[allow(clippy::cast_precision_loss)] // the value is an f64 whatever was written
    fn visit_i64<E: Error>(self, found: i64) -> Result<Value, E> {
        Ok(Value::Number(found as f64))
    }

    fn visit_f64<E: Error>(self, found: f64) -> Result<Value, E> {
        Value::number(found).ok_or_else(|| E::custom(format!("{found} is not a value")))
    }

    fn visit_str<E: Error>(self, found: &str) -> Result<Value, E> {
        Ok(Value::Text(found.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = BTreeSet::new();
        while let Some(item) = list.next_element::<String>()? {
            items.insert(item);
        }
        Ok(Value::Set(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Value, A::Error> {
        let mut tree = BTreeMap::new();
        while let Some((name, Written(value))) = table.next_entry::<String, Written>()? {
            // This is how the parser hands on its dates.
            if name.starts_with("$__toml") {
                return Err(A::Error::custom(
                    "a date is no value here; write it as text",
                ));
            }
            tree.insert(name, value);
        }
        Ok(Value::Document(tree))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_instant_is_read_back_as_it_is_written(ms in -2_000_000_000_000_i64..4_000_000_000_000) {
            let at = Timestamp::from_millis(ms);
            let read: toml::value::Datetime = at.to_string().parse().unwrap();
            prop_assert_eq!(of_datetime(&read), Some(at));
        }
    }

    #[test]
    fn an_offset_is_taken_off() {
        let read = "2026-01-05T01:30:00+01:30".parse().unwrap();
        let at = of_datetime(&read).unwrap();
        assert_eq!(at.to_string(), "2026-01-05T00:00:00.000Z");
    }
}
