//! Small texts: times, spans, sizes, values, deviations.

use std::time::Duration;

use evenkeel_api::wire::{self, Band, Breach, WireValue};
use evenkeel_core::harm::turned_back_text;
use evenkeel_core::property::number_text;
use evenkeel_core::surprise::Surprise;
use evenkeel_core::{Brief, Timestamp};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The text with control characters, and those that turn the direction of writing, as escapes.
pub fn clean(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_harmful) {
        return text.to_owned();
    }
    text.chars()
        .fold(String::with_capacity(text.len()), |mut cleaned, c| {
            if is_harmful(c) {
                cleaned.extend(c.escape_default());
            } else {
                cleaned.push(c);
            }
            cleaned
        })
}

/// The text on one line: its lines joined by spaces, the rest cleaned.
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    clean(&lines.join(" "))
}

/// The text in at most `columns` columns; what is too long loses its middle, since paths differ at
/// both ends.
pub fn elide(text: &str, columns: usize) -> String {
    let text = clean(text);
    if text.width() <= columns {
        return text;
    }
    let room = columns.saturating_sub(1);
    let head = take_columns(text.chars(), room / 2);
    let tail = take_columns(text.chars().rev(), room - room / 2);
    format!("{head}…{}", tail.chars().rev().collect::<String>())
}

fn take_columns(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    characters
        .take_while(|c| {
            let width = c.width().unwrap_or(0);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect()
}

/// An instant on the wire; `None` where it is none.
pub fn parse_time(instant: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = instant.parse().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

/// Date and time in UTC to the second: `2026-11-24 23:14:05Z`.
pub fn date_time(instant: &str) -> String {
    parse_time(instant).map_or_else(
        || clean(instant),
        |at| {
            let text = at.to_string();
            format!("{}Z", text.get(..19).unwrap_or(&text).replace('T', " "))
        },
    )
}

/// Time of day in UTC to the second: `23:14:05Z`.
pub fn time_of_day(instant: &str) -> String {
    let text = date_time(instant);
    text.split_once(' ')
        .map_or(text.clone(), |(_, time)| time.to_owned())
}

/// An instant seen from `now`: `3 min ago`, `in 2 h`, `now`.
pub fn from_now(now: Timestamp, instant: &str) -> String {
    let Some(at) = parse_time(instant) else {
        return clean(instant);
    };
    let (past, ahead) = (now.since(at), at.since(now));
    if past.max(ahead) < Duration::from_secs(1) {
        "now".to_owned()
    } else if past > ahead {
        format!("{} ago", Brief(past))
    } else {
        format!("in {}", Brief(ahead))
    }
}

/// A span in seconds as people say it; what is no span is zero.
pub fn span(seconds: f64) -> String {
    Brief(Duration::try_from_secs_f64(seconds).unwrap_or_default()).to_string()
}

/// A span in milliseconds as people say it.
pub fn span_ms(milliseconds: u64) -> String {
    Brief(Duration::from_millis(milliseconds)).to_string()
}

/// A size: `1.5 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Sizes are shown to two digits; what is lost above 2^53 is not seen.
    #[allow(clippy::cast_precision_loss)]
    let mut size = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if size < 1023.95 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    format!("{size:.1} {unit}")
}

/// A deviation with its sign: `+0.42`.
pub fn deviation(value: f64) -> String {
    // Not "-0.00".
    format!("{:+.2}", if value.abs() < 0.005 { 0.0 } else { value })
}

/// A band as the interval that it is: `-0.20..+0.35`.
pub fn band(band: Band) -> String {
    format!("{}..{}", deviation(-band.lower), deviation(band.upper))
}

/// A probability: `97 %`. What is not quite certain never looks as if it were.
pub fn percent(probability: f64) -> String {
    match probability * 100.0 {
        p if p > 99.0 && p < 100.0 => ">99 %".to_owned(),
        p if p > 0.0 && p < 1.0 => "<1 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// A probability that is no less than this: rounded down.
pub fn percent_at_least(probability: f64) -> String {
    // Lest 0.29 * 100 fall short of 29.
    percent((probability * 100.0 + 1e-9).floor() / 100.0)
}

/// A probability that is no more than this: rounded up.
pub fn percent_at_most(probability: f64) -> String {
    percent((probability * 100.0 - 1e-9).ceil() / 100.0)
}

/// When a predicted breach comes: by the median, and as a statement about the path.
pub fn breach_when(breach: &Breach) -> String {
    let lead = breach.lead_time_s.unwrap_or_default();
    let Some(bound) = breach.path_bound else {
        return format!(
            "in {} with confidence {}",
            span(lead),
            percent(breach.confidence)
        );
    };
    let surely = format!(
        "within {} with probability at least {}",
        span(bound.within_s),
        percent_at_least(bound.at_least)
    );
    // Drifts that set in together make it surer than the path is by itself.
    let company = if breach.confidence > bound.at_least + 1e-9 {
        format!(" (confidence {})", percent(breach.confidence))
    } else {
        String::new()
    };
    if bound.within_s <= lead {
        format!("{surely}{company}")
    } else {
        format!("in {}, {surely}{company}", span(lead))
    }
}

/// When and how probably a predicted breach comes to its limit: the empty text where it does not.
pub fn breach_harm(breach: &Breach) -> String {
    let after = (breach.harm_after_s)
        .map(|after| format!(", to reach its limit in {}", span(after)))
        .unwrap_or_default();
    let Some(harm) = breach.harm else {
        return after;
    };
    let before = turned_back_text(harm.turned_back);
    let percent = percent(harm.probability);
    format!("{after}; harm within the horizon: {percent}{before}")
}

/// What was expected where something else was found: `between 395 and 430 MiB`.
pub fn expected(surprise: &wire::Surprise, unit: Option<&str>) -> String {
    let surprise = Surprise {
        expected_lower: surprise.expected_lower,
        expected_upper: surprise.expected_upper,
        least: surprise.least,
        greatest: surprise.greatest,
    };
    clean(&surprise.expected_text(unit))
}

/// A change with its sign and unit, to three digits: `+120 connections`.
pub fn change(size: f64, unit: Option<&str>) -> String {
    let digits = 2.0 - size.abs().log10().floor();
    let scale = 10_f64.powf(digits);
    let rounded = (size * scale).round() / scale;
    let shown = if rounded.is_finite() { rounded } else { size };
    let sign = if shown > 0.0 { "+" } else { "" };
    format!("{sign}{}", number(shown, unit))
}

/// A value with its unit; `absent` where there is none.
pub fn value(value: Option<&WireValue>, unit: Option<&str>) -> String {
    match (value, unit) {
        (None, _) => "absent".to_owned(),
        (Some(value), None) => clean(&value.text),
        (Some(value), Some(unit)) => clean(&format!("{} {unit}", value.text)),
    }
}

/// A number with its unit.
pub fn number(value: f64, unit: Option<&str>) -> String {
    let number = number_text(value);
    unit.map_or(number.clone(), |unit| clean(&format!("{number} {unit}")))
}

/// `, limit 1,024 MiB`; the empty text where there is none.
pub fn limit(limit: Option<f64>, unit: Option<&str>) -> String {
    limit.map_or(String::new(), |limit| {
        format!(", limit {}", number(limit, unit))
    })
}

/// `1 thing`, `2 things`.
pub fn count(n: u64, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use evenkeel_api::wire::{BreachKind, PathBound};

    use super::*;

    #[test]
    fn instants_are_seen_from_now() {
        let now = parse_time("2026-11-24T23:14:05Z").unwrap();
        let check = |instant: &str, text: &str| assert_eq!(from_now(now, instant), text);
        check("2026-11-24T23:11:05.000Z", "3 min ago");
        check("2026-11-25T01:14:05Z", "in 2 h");
        check("2026-11-24T23:14:05.400Z", "now");
        check("soon", "soon");
        assert_eq!(
            date_time("2026-11-24T23:11:05.250Z"),
            "2026-11-24 23:11:05Z"
        );
        assert_eq!(time_of_day("2026-11-24T23:11:05.250Z"), "23:11:05Z");
    }

    #[test]
    fn what_is_too_long_loses_its_middle() {
        assert_eq!(
            elide("nginx.conf/http/keepalive_timeout", 15),
            "nginx.c…timeout"
        );
        assert_eq!(elide("short", 15), "short");
        assert_eq!(elide("漢字漢字漢字", 7).width(), 5);
    }

    #[test]
    fn sizes_and_probabilities_are_for_people() {
        assert_eq!(
            (bytes(17).as_str(), bytes(1536).as_str()),
            ("17 B", "1.5 KiB")
        );
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(
            (percent(0.97).as_str(), percent(0.9999).as_str()),
            ("97 %", ">99 %")
        );
        assert_eq!(
            (percent(1.0).as_str(), percent(0.0).as_str()),
            ("100 %", "0 %")
        );
        assert_eq!(deviation(-0.001), "+0.00");
        assert_eq!(
            (percent_at_least(0.969), percent_at_most(0.961)),
            ("96 %".into(), "97 %".into())
        );
        assert_eq!(
            (percent_at_least(0.29), percent_at_most(0.29)),
            ("29 %".into(), "29 %".into())
        );
    }

    #[test]
    fn a_change_has_three_digits_a_sign_and_its_unit() {
        let check = |size: f64, text: &str| assert_eq!(change(size, Some("B")), text);
        check(119.7, "+120 B");
        check(-0.012_345, "-0.0123 B");
        check(1_234_567.0, "+1,230,000 B");
        check(0.0, "0 B");
        assert_eq!(change(3.0, None), "+3");
    }

    #[test]
    fn a_breach_comes_by_the_median_and_surely() {
        let bound = |within_s, at_least| {
            Some(PathBound {
                within_s,
                at_least,
                at_most: 1.0,
            })
        };
        let check = |confidence, path_bound, text: &str| {
            let breach = Breach {
                kind: BreachKind::Predicted,
                lead_time_s: Some(840.0),
                confidence,
                path_bound,
                harm_after_s: None,
                harm: None,
            };
            assert_eq!(breach_when(&breach), text);
        };
        check(0.97, None, "in 14 min with confidence 97 %");
        let surely = "within 20 min with probability at least 96 %";
        check(0.968, bound(1200.0, 0.968), &format!("in 14 min, {surely}"));
        check(
            0.99,
            bound(840.0, 0.968),
            "within 14 min with probability at least 96 % (confidence 99 %)",
        );
    }

    #[test]
    fn harm_is_told_with_what_came_of_it_before() {
        let told = |harm_after_s, harm: Option<(f64, u32)>| {
            breach_harm(&Breach {
                harm_after_s,
                harm: harm.map(|(probability, turned_back)| wire::Harm {
                    probability,
                    turned_back,
                }),
                ..Breach::NONE
            })
        };
        assert_eq!(told(None, None), "");
        assert_eq!(told(Some(1860.0), None), ", to reach its limit in 31 min");
        assert_eq!(
            told(Some(1860.0), Some((0.714, 0))),
            ", to reach its limit in 31 min; harm within the horizon: 71 %"
        );
        assert_eq!(
            told(None, Some((0.2, 3))),
            "; harm within the horizon: 20 % (3 times it came as far and turned back)"
        );
    }

    #[test]
    fn several_lines_become_one() {
        assert_eq!(one_line("a\n  b\r\n\nc\x07"), "a b c\\u{7}");
    }
}
