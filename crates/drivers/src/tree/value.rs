//! Text to values: what a word in a configuration file means.
//!
//! - A quantity becomes a number in one unit: durations in seconds (`1h30m`, `500ms`), sizes in
//!   bytes (`64k`, `128MB`, `1GiB`), shares in percent. All size suffixes count in powers of 1024,
//!   as nginx, PostgreSQL and Redis read them.
//! - A lone `m` means minutes or mebibytes. The setting's name decides (`*_timeout`, `*_size`);
//!   where it does not, the text stays text, rather than a guess which is wrong by a factor of 10^5.
//! - What only looks like a number stays text: octal modes (`0644`), versions, addresses, dates.
//! - A quoted string of a format with types stays a string, except for a quantity with a unit:
//!   TOML and JSON have no other way to write `"30s"`.

use evenkeel_core::property::Value;

/// A value and its unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Typed {
    pub(super) value: Value,
    pub(super) unit: Option<&'static str>,
}

impl Typed {
    fn plain(value: Value) -> Self {
        Self { value, unit: None }
    }
}

/// What a setting's name says about its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    Unknown,
    Time,
    Size,
}

/// What a number without a suffix is counted in, where the program defines that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BareUnit {
    /// Each program its own: no unit.
    Unknown,
    /// nginx: times in seconds, sizes in bytes.
    SecondsOrBytes,
    /// HAProxy: times in milliseconds, sizes in bytes.
    MillisecondsOrBytes,
}

const TIME_WORDS: &[&str] = &[
    "age",
    "backoff",
    "cooldown",
    "delay",
    "downinter",
    "duration",
    "every",
    "expire",
    "expires",
    "expiry",
    "fastinter",
    "grace",
    "inactive",
    "inter",
    "interval",
    "lifetime",
    "maxage",
    "period",
    "sec",
    "slowstart",
    "time",
    "timeout",
    "timeouts",
    "ttl",
    "valid",
    "wait",
];
const SIZE_WORDS: &[&str] = &[
    "body",
    "buffer",
    "buffers",
    "bufsize",
    "bytes",
    "chunk",
    "disk",
    "heap",
    "maxmemory",
    "mem",
    "memory",
    "quota",
    "rate",
    "size",
    "storage",
];

impl Hint {
    /// The last telling word of a name decides: `client_body_timeout` is a time.
    pub(super) fn of(name: &str) -> Self {
        let mut hint = Self::Unknown;
        for word in words_of(name) {
            if TIME_WORDS.contains(&word.as_str()) {
                hint = Self::Time;
            } else if SIZE_WORDS.contains(&word.as_str()) {
                hint = Self::Size;
            }
        }
        hint
    }
}

/// The words of `snake_case`, `kebab-case`, `dotted.names` and `CamelCase`, in lower case.
pub(super) fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        let starts_word = character.is_uppercase() && after_lower;
        if starts_word || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        after_lower = character.is_lowercase() || character.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The value of bare words: of a format without types, or unquoted in one with types.
pub(super) fn infer(name: &str, text: &str) -> Typed {
    infer_as(Hint::of(name), BareUnit::Unknown, text)
}

/// [`infer`] where the program is known.
pub(super) fn infer_as(hint: Hint, bare: BareUnit, text: &str) -> Typed {
    let text = text.trim();
    if let Some(flag) = flag(text) {
        return Typed::plain(Value::Flag(flag));
    }
    match quantity(hint, text) {
        Some(Quantity { number, unit: None }) => {
            let (factor, unit) = bare.of(hint);
            numeric(number * factor, unit, text)
        }
        Some(Quantity { number, unit }) => numeric(number, unit, text),
        None => typed_word(text),
    }
}

/// The value of a quoted string in a format with types.
pub(super) fn infer_quoted(name: &str, text: &str) -> Typed {
    match quantity(Hint::of(name), text.trim()) {
        Some(Quantity {
            number,
            unit: Some(unit),
        }) => numeric(number, Some(unit), text),
        Some(Quantity { unit: None, .. }) => Typed::plain(Value::Text(text.to_owned())),
        None => typed_word(text),
    }
}

/// A number that the format itself gives as one.
pub(super) fn typed_number(number: f64) -> Typed {
    numeric(number, None, &number.to_string())
}

/// On or off.
pub(super) fn typed_flag(value: bool) -> Typed {
    Typed::plain(Value::Flag(value))
}

/// Text, never read as anything else.
pub(super) fn typed_text(text: impl Into<String>) -> Typed {
    Typed::plain(Value::Text(text.into()))
}

/// The explicit nothing of JSON and YAML.
pub(super) fn typed_null() -> Typed {
    Typed::plain(Value::Choice("null".to_owned()))
}

/// Things without order.
pub(super) fn typed_set<'a>(items: impl IntoIterator<Item = &'a str>) -> Typed {
    Typed::plain(Value::Set(items.into_iter().map(str::to_owned).collect()))
}

/// A value as the short text that it is in a set or in brackets.
pub(super) fn plain_text(typed: &Typed) -> String {
    match &typed.value {
        Value::Number(number) => format!("{number}{}", typed.unit.unwrap_or("")),
        Value::Flag(value) => value.to_string(),
        Value::Choice(text) | Value::Text(text) => text.clone(),
        Value::Set(_) | Value::Document(_) | Value::Redacted(_) => typed.value.to_string(),
    }
}

impl BareUnit {
    fn of(self, hint: Hint) -> (f64, Option<&'static str>) {
        match (self, hint) {
            (Self::Unknown, _) | (_, Hint::Unknown) => (1.0, None),
            (Self::SecondsOrBytes, Hint::Time) => (1.0, Some("s")),
            (Self::MillisecondsOrBytes, Hint::Time) => (1e-3, Some("s")),
            (Self::SecondsOrBytes | Self::MillisecondsOrBytes, Hint::Size) => (1.0, Some("B")),
        }
    }
}

/// A number too large to be one is text.
fn numeric(number: f64, unit: Option<&'static str>, text: &str) -> Typed {
    match Value::number(number) {
        Some(value) => Typed { value, unit },
        None => typed_text(text),
    }
}

fn flag(text: &str) -> Option<bool> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["on", "true", "yes"].iter().any(is) {
        Some(true)
    } else if ["off", "false", "no"].iter().any(is) {
        Some(false)
    } else {
        None
    }
}

fn typed_word(text: &str) -> Typed {
    const CHOICE_BYTES_MAX: usize = 64;
    let starts_as_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if starts_as_word && text.len() <= CHOICE_BYTES_MAX && text.chars().all(is_word) {
        Typed::plain(Value::Choice(text.to_owned()))
    } else {
        typed_text(text)
    }
}

struct Quantity {
    number: f64,
    unit: Option<&'static str>,
}

/// One number with or without a suffix, or a chain of durations (`1h30m`, `1min 30s`).
fn quantity(hint: Hint, text: &str) -> Option<Quantity> {
    const LONGEST: usize = 64;
    if text.len() > LONGEST {
        return None;
    }
    let (number, mut rest) = leading_number(text)?;
    if rest.is_empty() {
        return Some(Quantity { number, unit: None });
    }
    let (suffix, mut after) = leading_suffix(rest)?;
    if after.is_empty() {
        return scaled(hint, number, suffix);
    }
    // A chain: only durations, each shorter than the one before.
    let negative = number.is_sign_negative();
    let mut factor = time_factor(Hint::Time, suffix)?;
    let mut seconds = number.abs() * factor;
    while !after.is_empty() {
        rest = after.trim_start();
        let (number, tail) = leading_number(rest)?;
        let (suffix, tail) = leading_suffix(tail)?;
        let smaller = time_factor(Hint::Time, suffix)?;
        if smaller >= factor || rest.starts_with(['+', '-']) {
            return None;
        }
        (factor, after) = (smaller, tail);
        seconds += number * factor;
    }
    let number = if negative { -seconds } else { seconds };
    Some(Quantity {
        number,
        unit: Some("s"),
    })
}

fn scaled(hint: Hint, number: f64, suffix: &str) -> Option<Quantity> {
    if suffix == "%" {
        return Some(Quantity {
            number,
            unit: Some("%"),
        });
    }
    if let Some(factor) = time_factor(hint, suffix) {
        return Some(Quantity {
            number: number * factor,
            unit: Some("s"),
        });
    }
    let factor = size_factor(hint, suffix)?;
    Some(Quantity {
        number: number * factor,
        unit: Some("B"),
    })
}

/// `-12.5e3` and what follows it. A leading zero before a digit is an octal mode or an identifier.
fn leading_number(text: &str) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    let digits_from = |from: usize| {
        let count = bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        from + count
    };
    let start = usize::from(text.starts_with(['+', '-']));
    let mut end = digits_from(start);
    if end == start || (bytes[start] == b'0' && end - start > 1) {
        return None;
    }
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits_from(end + 1);
        if fraction == end + 1 {
            return None;
        }
        end = fraction;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits_from((end + 1 + sign).min(bytes.len()));
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    text[..end]
        .parse()
        .ok()
        .map(|number| (number, &text[end..]))
}

/// `min` of `min 30s`, with one space before it allowed.
fn leading_suffix(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let end = text
        .find(|c: char| !(c.is_alphabetic() || c == '%'))
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn time_factor(hint: Hint, suffix: &str) -> Option<f64> {
    Some(match suffix {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" | "msec" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" if hint == Hint::Time => 60.0,
        "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        // A month, as nginx counts it.
        "M" if hint == Hint::Time => 2_592_000.0,
        "y" | "year" | "years" => 31_536_000.0,
        _ => return None,
    })
}

fn size_factor(hint: Hint, suffix: &str) -> Option<f64> {
    const KIB: f64 = 1024.0;
    let lower = suffix.to_ascii_lowercase();
    Some(match lower.as_str() {
        "m" if hint == Hint::Time || (hint == Hint::Unknown && suffix == "m") => return None,
        "b" => 1.0,
        "k" | "kb" | "kib" | "ki" => KIB,
        "m" | "mb" | "mib" | "mi" => KIB * KIB,
        "g" | "gb" | "gib" | "gi" => KIB * KIB * KIB,
        "t" | "tb" | "tib" | "ti" => KIB * KIB * KIB * KIB,
        "p" | "pb" | "pib" | "pi" => KIB * KIB * KIB * KIB * KIB,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(name: &str, text: &str, number: f64, unit: Option<&'static str>) {
        let expected = Typed {
            value: Value::Number(number),
            unit,
        };
        assert_eq!(infer(name, text), expected, "{name} {text}");
    }

    #[test]
    fn quantities_become_numbers_in_one_unit() {
        check("x", "10", 10.0, None);
        check("x", "-2.5", -2.5, None);
        check("x", "10s", 10.0, Some("s"));
        check("x", "1h30m", 5400.0, Some("s"));
        check("TimeoutStopSec", "1min 30s", 90.0, Some("s"));
        check("x", "500ms", 0.5, Some("s"));
        check("x", "64k", 65_536.0, Some("B"));
        check("x", "1g", 1_073_741_824.0, Some("B"));
        check("x", "128MB", 134_217_728.0, Some("B"));
        check("x", "1GiB", 1_073_741_824.0, Some("B"));
        check("x", "50%", 50.0, Some("%"));
    }

    #[test]
    fn the_name_decides_what_a_lone_m_means() {
        check("client_max_body_size", "16m", 16_777_216.0, Some("B"));
        check("client_body_timeout", "5m", 300.0, Some("s"));
        assert_eq!(infer("cpu", "500m"), typed_text("500m"));
    }

    #[test]
    fn what_only_looks_like_a_number_stays_text() {
        for text in [
            "0644",
            "1.2.3",
            "10.0.0.1",
            "2024-01-02",
            "8 4k",
            "1,000",
            "1m1h",
            "5 apples",
            "",
        ] {
            assert_eq!(infer("x", text), typed_text(text), "{text}");
        }
    }

    #[test]
    fn flags_and_choices_are_told_apart() {
        assert_eq!(infer("x", "On"), typed_flag(true));
        assert_eq!(infer("x", "no"), typed_flag(false));
        assert_eq!(infer("x", "TLSv1.2").value, Value::Choice("TLSv1.2".into()));
        assert_eq!(infer("x", "http://a/b"), typed_text("http://a/b"));
    }

    #[test]
    fn a_quoted_number_stays_text_but_a_quoted_duration_is_one() {
        assert_eq!(infer_quoted("x", "10"), typed_text("10"));
        assert_eq!(
            infer_quoted("x", "true").value,
            Value::Choice("true".into())
        );
        assert_eq!(infer_quoted("x", "10s").value, Value::Number(10.0));
    }

    proptest! {
        #[test]
        fn numbers_round_trip(number in -1e12_f64..1e12) {
            prop_assert_eq!(infer("x", &number.to_string()).value, Value::Number(number));
        }

        #[test]
        fn any_text_has_a_value(name in ".{0,20}", text in ".{0,80}") {
            infer(&name, &text);
            infer_quoted(&name, &text);
        }
    }
}
