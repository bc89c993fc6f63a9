//! Properties: what a driver reads, and what everything downstream talks about.
//!
//! A property is one named value of a resource. A driver flattens documents into leaf paths, so
//! `Document` is only left where a tree has no stable leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Instance, PropertyPath};
use crate::time::Timestamp;

/// A property's value at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A measure, a count, a size, a duration; always finite (see [`Value::number`]).
    Number(f64),
    /// On or off.
    Flag(bool),
    /// One word out of a few: a log level, a mode.
    Choice(String),
    /// Free text, of one line or many.
    Text(String),
    /// Things without order.
    Set(BTreeSet<String>),
    /// A tree whose leaves are not properties of their own.
    Document(BTreeMap<String, Value>),
    /// A secret, known only by the keyed hash of its text: equal or not equal, never the text.
    Redacted(RedactedHash),
}

/// The keyed BLAKE3 hash of a secret, first 128 bits. The key never leaves the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedactedHash(pub [u8; 16]);

impl fmt::Debug for RedactedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactedHash({self})")
    }
}

impl fmt::Display for RedactedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted:")?;
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Value {
    /// A number, or `None` for NaN and infinities: those are no observation, but the lack of one.
    pub fn number(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self::Number(value))
    }

    /// The value in one line of at most some 60 characters, for sentences.
    pub fn brief(&self) -> String {
        const LENGTH: usize = 60;
        let text = self.to_string();
        let mut line: String = text
            .chars()
            .take(LENGTH)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if text.chars().nth(LENGTH).is_some() {
            line.push('\u{2026}');
        }
        line
    }

    /// The number, where it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Flag(_)
            | Self::Choice(_)
            | Self::Text(_)
            | Self::Set(_)
            | Self::Document(_)
            | Self::Redacted(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => f.pad(&number_text(*value)),
            Self::Flag(value) => f.pad(if *value { "on" } else { "off" }),
            Self::Choice(text) | Self::Text(text) => f.pad(text),
            Self::Set(items) => {
                let items: Vec<&str> = items.iter().map(String::as_str).collect();
                f.pad(&format!("{{{}}}", items.join(", ")))
            }
            Self::Document(tree) => f.pad(&format!("document of {} entries", tree.len())),
            Self::Redacted(hash) => f.pad(&hash.to_string()),
        }
    }
}

/// A number for people: at most six significant digits after the point, groups of three before it.
pub fn number_text(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    let decimals = match magnitude {
        m if m >= 1e5 || m.fract() == 0.0 => 0,
        m if m >= 100.0 => 2,
        m if m >= 1.0 => 4,
        _ => 6,
    };
    let text = format!("{magnitude:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 { "-" } else { "" };
    if fraction.is_empty() {
        format!("{sign}{grouped}")
    } else {
        format!("{sign}{grouped}.{fraction}")
    }
}

/// How much a property matters: what may be done when it breaches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Recorded and forecast.
    Info,
    /// And alerted on.
    #[default]
    Warn,
    /// And may start a failover.
    Critical,
}

impl Severity {
    /// `info`, `warn` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a property comes from, which decides how it is treated: configuration is approved and
/// pinned, capacity is only watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody wrote it: a value in a configuration tree.
    Configuration,
    /// It came about: memory in use, entries in a table, days to an expiry.
    Capacity,
}

/// The line that a configuration value stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, relative to the resource's tree.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One property as a driver found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The value.
    pub value: Value,
    /// Configuration or capacity.
    pub origin: Origin,
    /// A unit for people (`B`, `s`, `%`), where the driver knows one.
    pub unit: Option<String>,
    /// Where it is written, where that can be said.
    pub place: Option<Place>,
}

impl Observed {
    /// A configuration value without a known place.
    pub fn configuration(value: Value) -> Self {
        Self {
            value,
            origin: Origin::Configuration,
            unit: None,
            place: None,
        }
    }

    /// A capacity value.
    pub fn capacity(value: f64, unit: Option<&str>) -> Self {
        Self {
            value: Value::Number(value),
            origin: Origin::Capacity,
            unit: unit.map(str::to_owned),
            place: None,
        }
    }
}

/// Everything a driver read of one instance at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// When the reading was taken.
    pub at: Timestamp,
    /// Which instance was read.
    pub instance: Instance,
    /// The properties by path. A path that is absent here but was there before is a property that
    /// vanished, unless `unreadable` covers it.
    pub properties: BTreeMap<PropertyPath, Observed>,
    /// Places that could not be read this time, with the reason: what stood there is unknown, not
    /// gone. A path is covered by an entry that equals it or is a `/`-prefix of it.
    pub unreadable: BTreeMap<PropertyPath, String>,
}

impl Probe {
    /// Whether `path` lies under a place which could not be read.
    pub fn is_unreadable(&self, path: &PropertyPath) -> bool {
        self.unreadable
            .keys()
            .any(|place| is_under(path.as_str(), place.as_str()))
    }
}

/// Whether `path` is `place` or lies below it.
pub fn is_under(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| place.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let check = |value, text: &str| assert_eq!(number_text(value), text);
        check(1024.0, "1,024");
        check(-1_234_567.0, "-1,234,567");
        check(0.25, "0.25");
        check(0.0, "0");
        check(812.5, "812.5");
        check(1e-9, "1.00000e-9");
        check(1e18, "1.00000e18");
        // Where one way to write gives way to the next.
        check(1e15, "1.00000e15");
        check(999_999_999_999_999.0, "999,999,999,999,999");
        check(1e-4, "0.0001");
        check(0.000_099, "9.90000e-5");
        check(123.0, "123");
        check(-0.5, "-0.5");
        check(0.123_456_7, "0.123457");
        check(1.234_567, "1.2346");
        check(1.0, "1");
        check(99.123_46, "99.1235");
        check(100.123_46, "100.12");
        check(99_999.126, "99,999.13");
        check(100_000.4, "100,000");
        check(100_000.0, "100,000");
    }

    #[test]
    fn values_severities_and_places_are_written_for_people() {
        let set = Value::Set(["b", "a"].map(str::to_owned).into());
        let document = Value::Document([("x".to_owned(), Value::Flag(true))].into());
        let texts = [
            (Value::Number(1024.0), "1,024"),
            (Value::Flag(true), "on"),
            (Value::Flag(false), "off"),
            (Value::Choice("warn".into()), "warn"),
            (set, "{a, b}"),
            (document, "document of 1 entries"),
        ];
        for (value, text) in texts {
            assert_eq!(value.to_string(), text);
        }
        let all = [Severity::Info, Severity::Warn, Severity::Critical];
        assert_eq!(all.map(|s| s.to_string()), ["info", "warn", "critical"]);
        let place = Place {
            file: "nginx.conf".into(),
            line: 12,
        };
        assert_eq!(place.to_string(), "nginx.conf:12");
    }

    #[test]
    fn only_numbers_are_numbers() {
        assert_eq!(Value::number(2.5), Some(Value::Number(2.5)));
        assert_eq!(Value::Number(2.5).as_number(), Some(2.5));
        assert_eq!(Value::Text("2.5".into()).as_number(), None);
    }

    #[test]
    fn what_lies_under_an_unreadable_place_is_unreadable() {
        let probe = Probe {
            at: Timestamp::from_millis(0),
            instance: Instance::A,
            properties: BTreeMap::new(),
            unreadable: [("conf.d".into(), "permission denied".to_owned())].into(),
        };
        assert!(probe.is_unreadable(&"conf.d/a/b".into()));
        assert!(!probe.is_unreadable(&"nginx.conf".into()));
    }

    #[test]
    fn not_a_number_is_no_observation() {
        assert_eq!(Value::number(f64::NAN), None);
        assert_eq!(Value::number(f64::INFINITY), None);
    }

    #[test]
    fn a_brief_value_is_one_short_line() {
        assert_eq!(Value::Text("a\nb\t\u{1b}[31m".into()).brief(), "a b  [31m");
        assert_eq!(
            Value::Text("x".repeat(61)).brief(),
            format!("{}\u{2026}", "x".repeat(60))
        );
        assert_eq!(Value::Text("x".repeat(60)).brief(), "x".repeat(60));
    }

    #[test]
    fn a_redacted_value_shows_no_secret_and_only_part_of_its_hash() {
        let hash = RedactedHash([0xab; 16]);
        assert_eq!(Value::Redacted(hash).to_string(), "redacted:abababab");
        assert_eq!(format!("{hash:?}"), "RedactedHash(redacted:abababab)");
    }

    #[test]
    fn a_place_covers_itself_and_what_is_below() {
        assert!(is_under("a/b/c", "a/b"));
        assert!(is_under("a/b", "a/b"));
        assert!(!is_under("a/bc", "a/b"));
        assert!(is_under("a", ""));
    }
}
