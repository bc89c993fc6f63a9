//! Deviation: the signed distance of a value from the approved one, in units of its tolerance.
//! 0 is as approved, ±1 is at the limit.
//!
//! | kind | distance |
//! |---|---|
//! | number | `found - approved` |
//! | flag, choice, redacted | 0 if equal, else 1 |
//! | text | edit distance by lines (by characters for one line), as a share of the longer |
//! | set | Jaccard distance `1 - |A ∩ B| / |A ∪ B|` |
//! | document | share of leaves that differ |
//! | another kind, vanished, or new | 1 |

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::policy::Tolerance;
use crate::property::{Origin, Value};

/// The distance at which the deviation is 1, on either side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Any change at all is at the limit.
    AnyChange,
    /// These distances are; infinite on a side that never deviates.
    Sides {
        /// Below the approved value.
        lower: f64,
        /// Above it.
        upper: f64,
    },
}

/// How many times the robust scatter (1.4826 x MAD estimates a standard deviation) counts as the
/// limit where the tolerance is learned.
const SCATTER_MULTIPLE: f64 = 6.0;

/// A learned tolerance of a capacity is at least this share of its level: what was quiet for a minute
/// may still breathe.
const CAPACITY_SHARE: f64 = 0.25;

impl Scale {
    /// Resolves a tolerance for an approved value.
    pub fn resolve(
        tolerance: Tolerance,
        approved: Option<&Value>,
        origin: Origin,
        learned: Option<f64>,
    ) -> Self {
        let level = approved.and_then(Value::as_number);
        match (tolerance, level) {
            (Tolerance::Absolute(distance), _) => Self::even(distance),
            (Tolerance::Relative(share), Some(level)) => Self::even(share * level.abs()),
            (Tolerance::Relative(share), None) => Self::even(share),
            (Tolerance::Limits { lower, upper }, Some(level)) => Self::Sides {
                lower: lower.map_or(f64::INFINITY, |limit| (level - limit).max(0.0)),
                upper: upper.map_or(f64::INFINITY, |limit| (limit - level).max(0.0)),
            },
            (Tolerance::Limits { .. }, None) => Self::AnyChange,
            (Tolerance::Learned, Some(level)) => {
                let scatter = learned.unwrap_or(0.0) * SCATTER_MULTIPLE;
                match origin {
                    Origin::Configuration => Self::even(scatter),
                    Origin::Capacity => Self::even(scatter.max(CAPACITY_SHARE * level.abs())),
                }
            }
            (Tolerance::Learned, None) => Self::AnyChange,
        }
    }

    fn even(distance: f64) -> Self {
        if distance > 0.0 {
            Self::Sides {
                lower: distance,
                upper: distance,
            }
        } else {
            Self::AnyChange
        }
    }

    /// The deviation of a signed distance.
    pub(crate) fn deviation(self, distance: f64) -> f64 {
        if distance == 0.0 {
            return 0.0;
        }
        match self {
            Self::AnyChange => distance.signum(),
            Self::Sides { lower, upper } => {
                let side = if distance < 0.0 { lower } else { upper };
                // The approved value may stand at its limit: then any step over it is far beyond.
                // Bounded, so that forecasts stay finite.
                (distance / side.max(f64::MIN_POSITIVE)).clamp(-1e6, 1e6)
            }
        }
    }
}

/// The deviation of `found` from `approved`; `None` on either side for a property that is not there.
pub fn deviation(approved: Option<&Value>, found: Option<&Value>, scale: Scale) -> f64 {
    match (approved, found) {
        (None, None) => 0.0,
        (None, Some(_)) | (Some(_), None) => 1.0,
        (Some(approved), Some(found)) => match distance(approved, found) {
            Distance::Of(distance) => scale.deviation(distance),
            Distance::OtherKind => 1.0,
        },
    }
}

enum Distance {
    Of(f64),
    OtherKind,
}

fn distance(approved: &Value, found: &Value) -> Distance {
    Distance::Of(match (approved, found) {
        (Value::Number(a), Value::Number(b)) => b - a,
        (Value::Flag(a), Value::Flag(b)) => differs(a, b),
        (Value::Choice(a), Value::Choice(b)) => differs(a, b),
        (Value::Redacted(a), Value::Redacted(b)) => differs(a, b),
        // What is one word today and several tomorrow is text all the same.
        (Value::Text(a) | Value::Choice(a), Value::Text(b) | Value::Choice(b)) => {
            text_distance(a, b)
        }
        (Value::Set(a), Value::Set(b)) => jaccard(a, b),
        (Value::Document(a), Value::Document(b)) => document_distance(a, b),
        (
            Value::Number(_)
            | Value::Flag(_)
            | Value::Choice(_)
            | Value::Text(_)
            | Value::Set(_)
            | Value::Document(_)
            | Value::Redacted(_),
            _,
        ) => return Distance::OtherKind,
    })
}

fn differs<T: PartialEq>(a: &T, b: &T) -> f64 {
    if a == b { 0.0 } else { 1.0 }
}

fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let all = a.union(b).count();
    if all == 0 {
        0.0
    } else {
        1.0 - ratio(a.intersection(b).count(), all)
    }
}

fn document_distance(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> f64 {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    leaves("", a, &mut left);
    leaves("", b, &mut right);
    let all: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let changed = all
        .iter()
        .filter(|path| left.get(**path) != right.get(**path))
        .count();
    if all.is_empty() {
        0.0
    } else {
        ratio(changed, all.len())
    }
}

fn leaves<'a>(
    prefix: &str,
    tree: &'a BTreeMap<String, Value>,
    into: &mut BTreeMap<String, &'a Value>,
) {
    for (name, value) in tree {
        let path = format!("{prefix}/{name}");
        match value {
            Value::Document(below) => leaves(&path, below, into),
            Value::Number(_)
            | Value::Flag(_)
            | Value::Choice(_)
            | Value::Text(_)
            | Value::Set(_)
            | Value::Redacted(_) => {
                into.insert(path, value);
            }
        }
    }
}

/// Beyond this many lines (or characters) a text is compared by position and not aligned, so that
/// the cost stays bounded.
const ALIGNED_MAX: usize = 1000;

fn text_distance(a: &str, b: &str) -> f64 {
    if a == b {
        return 0.0;
    }
    if a.contains('\n') || b.contains('\n') {
        let lines = |text: &'_ str| text.lines().map(str::to_owned).collect::<Vec<String>>();
        normalised_edit_distance(&lines(a), &lines(b))
    } else {
        let characters = |text: &str| text.chars().collect::<Vec<char>>();
        normalised_edit_distance(&characters(a), &characters(b))
    }
}

/// Levenshtein distance (one row of the table at a time), as a share of the longer; at least a trace
/// for texts that differ only in line ends.
fn normalised_edit_distance<T: PartialEq>(a: &[T], b: &[T]) -> f64 {
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 0.0;
    }
    if longer > ALIGNED_MAX {
        let same = a.iter().zip(b).filter(|(x, y)| x == y).count();
        return ratio(longer - same, longer).max(f64::EPSILON);
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    ratio(row[b.len()], longer).max(f64::EPSILON)
}

#[allow(clippy::cast_precision_loss)] // counts far below 2^52
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: f64) -> Value {
        Value::Number(value)
    }

    fn of(approved: &Value, found: &Value, tolerance: Tolerance) -> f64 {
        let scale = Scale::resolve(tolerance, Some(approved), Origin::Configuration, None);
        deviation(Some(approved), Some(found), scale)
    }

    #[test]
    fn a_number_deviates_in_units_of_its_tolerance() {
        assert_eq!(
            of(&number(400.0), &number(500.0), Tolerance::Absolute(200.0)),
            0.5
        );
        assert_eq!(
            of(&number(400.0), &number(300.0), Tolerance::Relative(0.5)),
            -0.5
        );
        let limits = Tolerance::Limits {
            lower: Some(300.0),
            upper: Some(1000.0),
        };
        assert_eq!(of(&number(400.0), &number(1000.0), limits), 1.0);
        assert_eq!(of(&number(400.0), &number(350.0), limits), -0.5);
        let upper = Tolerance::Limits {
            lower: None,
            upper: Some(1000.0),
        };
        assert_eq!(of(&number(400.0), &number(0.0), upper), 0.0);
    }

    #[test]
    fn without_scatter_any_change_is_at_the_limit() {
        assert_eq!(of(&number(65.0), &number(64.0), Tolerance::Learned), -1.0);
        let (on, off) = (Value::Flag(true), Value::Flag(false));
        assert_eq!(of(&on, &off, Tolerance::Learned), 1.0);
        assert_eq!(of(&on, &on, Tolerance::Learned), 0.0);
    }

    #[test]
    fn a_capacity_may_breathe() {
        let level = number(100.0);
        let scale = Scale::resolve(
            Tolerance::Learned,
            Some(&level),
            Origin::Capacity,
            Some(0.0),
        );
        assert_eq!(deviation(Some(&level), Some(&number(110.0)), scale), 0.4);
        let scale = Scale::resolve(
            Tolerance::Learned,
            Some(&level),
            Origin::Capacity,
            Some(10.0),
        );
        assert_eq!(deviation(Some(&level), Some(&number(130.0)), scale), 0.5);
    }

    #[test]
    fn texts_sets_and_documents_deviate_by_the_share_that_changed() {
        let all = Tolerance::Absolute(1.0);
        let text = |t: &str| Value::Text(t.to_owned());
        assert_eq!(of(&text("a\nb\nc\nd\n"), &text("a\nX\nc\nd\n"), all), 0.25);
        assert_eq!(of(&text("a\nb\n"), &text("0\na\nb\n"), all), 1.0 / 3.0);
        let set = |items: &[&str]| Value::Set(items.iter().map(|&s| s.to_owned()).collect());
        assert_eq!(
            of(&set(&["a", "b"]), &set(&["b", "c"]), all),
            1.0 - 1.0 / 3.0
        );
        let tree = |x: f64| {
            let below = [("x".to_owned(), number(x)), ("y".to_owned(), number(1.0))];
            let below = Value::Document(below.into());
            Value::Document([("t".to_owned(), below), ("z".to_owned(), number(2.0))].into())
        };
        assert_eq!(of(&tree(1.0), &tree(5.0), all), 1.0 / 3.0);
    }

    #[test]
    fn what_is_approved_at_or_beyond_its_limit_may_go_no_further() {
        let limits = Tolerance::Limits {
            lower: Some(300.0),
            upper: Some(1000.0),
        };
        let beyond = number(1200.0);
        assert_eq!(of(&beyond, &beyond, limits), 0.0);
        assert_eq!(of(&beyond, &number(1201.0), limits), 1e6, "bounded");
        assert_eq!(of(&beyond, &number(750.0), limits), -0.5);
        assert_eq!(of(&number(250.0), &number(249.0), limits), -1e6);
        // Limits are of numbers: any change of anything else is at the limit.
        let words = ["a", "b"].map(|t| Value::Text(t.to_owned()));
        assert_eq!(of(&words[0], &words[1], limits), 1.0);
    }

    #[test]
    fn a_relative_tolerance_of_what_is_no_number_is_a_share_of_change() {
        let set = |items: &[&str]| Value::Set(items.iter().map(|&s| s.to_owned()).collect());
        let half = Tolerance::Relative(0.5);
        assert_eq!(of(&set(&["a", "b"]), &set(&["a"]), half), 1.0);
        assert_eq!(of(&set(&[]), &set(&[]), half), 0.0);
        assert_eq!(of(&number(-400.0), &number(-300.0), half), 0.5);
    }

    #[test]
    fn a_learned_tolerance_of_configuration_is_six_times_its_scatter() {
        let scale = |origin| {
            let level = number(4.0);
            Scale::resolve(Tolerance::Learned, Some(&level), origin, Some(0.5))
        };
        let sides = Scale::Sides {
            lower: 3.0,
            upper: 3.0,
        };
        assert_eq!(scale(Origin::Configuration), sides);
        assert_eq!(
            scale(Origin::Capacity),
            sides,
            "more than a quarter of its level"
        );
        let no_number = Value::Flag(true);
        let learned = Scale::resolve(
            Tolerance::Learned,
            Some(&no_number),
            Origin::Capacity,
            Some(0.5),
        );
        assert_eq!(learned, Scale::AnyChange);
    }

    #[test]
    fn words_flags_and_secrets_are_equal_or_at_distance_one() {
        let all = Tolerance::Absolute(1.0);
        let choice = |t: &str| Value::Choice(t.to_owned());
        let secret = |byte| Value::Redacted(crate::property::RedactedHash([byte; 16]));
        assert_eq!(of(&choice("warn"), &choice("info"), all), 1.0);
        assert_eq!(of(&choice("warn"), &choice("warn"), all), 0.0);
        assert_eq!(of(&secret(1), &secret(2), all), 1.0);
        assert_eq!(of(&secret(1), &secret(1), all), 0.0);
        // One word that becomes several is text.
        let text = Value::Text("abcx".to_owned());
        assert_eq!(of(&choice("abcd"), &text, all), 0.25);
    }

    #[test]
    fn long_texts_are_compared_by_position() {
        let text =
            |length: usize| -> String { "abcdefghij".chars().cycle().take(length).collect() };
        assert_eq!(text_distance(&text(999), &format!("x{}", text(999))), 1e-3);
        assert!(text_distance(&text(1000), &format!("x{}", text(1000))) > 0.99);
        let changed = text(2000).replacen('a', "x", 5);
        assert_eq!(text_distance(&text(2000), &changed), 5.0 / 2000.0);
    }

    #[test]
    fn line_ends_alone_are_a_trace_of_a_distance() {
        assert_eq!(text_distance("a\n", "a"), f64::EPSILON);
        assert_eq!(text_distance("\n", ""), 1.0);
        assert_eq!(text_distance("a\nb", "a\nc"), 0.5, "by lines");
        assert_eq!(text_distance("ab", "ac"), 0.5, "by characters");
        assert_eq!(text_distance("kitten", "sitting"), 3.0 / 7.0);
        // One is gone, or came in, at either end.
        assert_eq!(text_distance("abcd", "bcd"), 0.25);
        assert_eq!(text_distance("bcd", "abcd"), 0.25);
        assert_eq!(text_distance("abcd", "abc"), 0.25);
        assert_eq!(text_distance("abc", "abcd"), 0.25);
    }

    #[test]
    fn documents_are_compared_leaf_by_leaf_at_any_depth() {
        let all = Tolerance::Absolute(1.0);
        let leaf = |name: &str, value: f64| (name.to_owned(), number(value));
        let tree = |leaves: Vec<(String, Value)>| Value::Document(leaves.into_iter().collect());
        let nested = |x: f64| {
            tree(vec![
                ("t".to_owned(), tree(vec![leaf("x", x)])),
                leaf("y", 1.0),
            ])
        };
        assert_eq!(of(&nested(1.0), &nested(1.0), all), 0.0);
        assert_eq!(of(&nested(1.0), &nested(2.0), all), 0.5);
        assert_eq!(
            of(&nested(1.0), &tree(vec![leaf("y", 1.0)]), all),
            0.5,
            "gone"
        );
        assert_eq!(of(&tree(vec![]), &tree(vec![]), all), 0.0);
    }

    #[test]
    fn what_vanishes_or_appears_is_at_the_limit() {
        let value = number(1.0);
        assert_eq!(deviation(Some(&value), None, Scale::AnyChange), 1.0);
        assert_eq!(deviation(None, Some(&value), Scale::AnyChange), 1.0);
        assert_eq!(
            of(&value, &Value::Flag(true), Tolerance::Absolute(100.0)),
            1.0
        );
    }

    proptest! {
        #[test]
        fn the_unit_of_a_number_does_not_matter(
            approved in -1e6_f64..1e6, found in -1e6_f64..1e6,
            tolerance in 1e-3_f64..1e6, unit in 1e-6_f64..1e6,
        ) {
            let one = of(&number(approved), &number(found), Tolerance::Absolute(tolerance));
            let other = of(
                &number(approved * unit),
                &number(found * unit),
                Tolerance::Absolute(tolerance * unit),
            );
            prop_assert!((one - other).abs() <= 1e-6 * one.abs().max(1.0), "{one} {other}");
        }

        #[test]
        fn a_text_is_at_no_distance_only_from_itself(a in "[ab\n]{0,12}", b in "[ab\n]{0,12}") {
            let d = text_distance(&a, &b);
            prop_assert!((0.0..=1.0).contains(&d));
            prop_assert_eq!(d == 0.0, a == b);
        }
    }
}
