//! What the user asked for: how far a property may go, and what may be done about it.
//!
//! A policy is passed to whoever needs it and never stored beside what was derived from it, so a
//! reload takes effect with the next evaluation.

use std::collections::BTreeMap;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::ids::PropertyPath;
use crate::property::Severity;
use crate::time::Timestamp;

/// What Evenkeel may do with a resource by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Watch, forecast, record.
    Observe,
    /// And say what it would do.
    #[default]
    Advise,
    /// And do it.
    Act,
}

impl Mode {
    /// `observe`, `advise` or `act`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Advise => "advise",
            Self::Act => "act",
        }
    }
}

/// When a predicted breach is acted on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At the first sustained trigger.
    #[default]
    Early,
    /// When the lead time has shrunk to the measured activation time times the safety factor.
    LatestSafe,
}

impl When {
    /// `early` or `latest-safe`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::LatestSafe => "latest-safe",
        }
    }

    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Early, Self::LatestSafe]
            .into_iter()
            .find(|when| when.as_str() == name)
    }
}

/// What a predicted breach is acted on for. What is not acted on is alerted on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActOn {
    /// The deviation leaves its band *and* is headed for its limit within the horizon.
    #[default]
    Harm,
    /// It leaves its band, wherever it goes from there.
    Band,
}

impl ActOn {
    /// `harm` or `band`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Harm => "harm",
            Self::Band => "band",
        }
    }

    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Harm, Self::Band]
            .into_iter()
            .find(|act_on| act_on.as_str() == name)
    }
}

/// A number in [0, 1]: how much risk the user tolerates. 0 acts on the least sign, 1 waits longest.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RiskTolerance(f64);

impl RiskTolerance {
    /// Checks the range.
    ///
    /// # Errors
    /// When `value` lies outside [0, 1].
    pub fn new(value: f64) -> Result<Self, OutOfRange> {
        unit_range(value, "risk tolerance").map(Self)
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A probability in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Probability(f64);

impl Probability {
    /// Checks the range.
    ///
    /// # Errors
    /// When `value` lies outside [0, 1].
    pub fn new(value: f64) -> Result<Self, OutOfRange> {
        unit_range(value, "a probability").map(Self)
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

fn unit_range(value: f64, what: &'static str) -> Result<f64, OutOfRange> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(OutOfRange { what, value })
    }
}

/// A number is outside [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{what} lies between 0 and 1; {value} does not")]
pub struct OutOfRange {
    what: &'static str,
    value: f64,
}

/// How far from the approved value is too far: the deviation is ±1 there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// A robust multiple of the scatter seen while settling; any change where there was none.
    #[default]
    Learned,
    /// This much in the property's own unit (for texts, sets and documents: this share changed).
    Absolute(f64),
    /// This share of the approved value, e.g. 0.2 for 20 %.
    Relative(f64),
    /// Up to these values, each side for itself; a side without a limit never deviates.
    Limits {
        /// The lowest harmless value.
        lower: Option<f64>,
        /// The highest harmless value.
        upper: Option<f64>,
    },
}

/// One rule about properties; the first that matches a path decides.
#[derive(Clone, Debug)]
pub struct PropertyRule {
    matcher: GlobMatcher,
    /// How far it may go.
    pub tolerance: Tolerance,
    /// What may be done about it; the origin's default where not said.
    pub severity: Option<Severity>,
    /// Not watched at all.
    pub ignore: bool,
    /// Kept only as a keyed hash.
    pub redact: bool,
    /// A unit for people, over the driver's.
    pub unit: Option<String>,
}

/// The pattern that matches `path` and nothing else.
pub fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for character in path.chars() {
        match character {
            '?' | '*' | '[' | ']' | '{' | '}' | '\\' => {
                pattern.extend(['[', character, ']']);
            }
            plain => pattern.push(plain),
        }
    }
    pattern
}

impl PropertyRule {
    /// A rule for the paths that `pattern` (a glob, `**` for any depth) matches.
    ///
    /// # Errors
    /// When the pattern is not a glob.
    pub fn new(pattern: &str, tolerance: Tolerance) -> Result<Self, globset::Error> {
        Ok(Self {
            matcher: Glob::new(pattern)?.compile_matcher(),
            tolerance,
            severity: None,
            ignore: false,
            redact: false,
            unit: None,
        })
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        self.matcher.glob().glob()
    }

    /// Whether the rule is about `path`.
    pub fn matches(&self, path: &PropertyPath) -> bool {
        self.matcher.is_match(path.as_str())
    }
}

impl PartialEq for PropertyRule {
    fn eq(&self, other: &Self) -> bool {
        self.pattern() == other.pattern()
            && self.tolerance == other.tolerance
            && self.severity == other.severity
            && self.ignore == other.ignore
            && self.redact == other.redact
            && self.unit == other.unit
    }
}

/// A recurring time in which changes are expected and nothing is acted on, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecurringWindow {
    /// Days on which it starts, 0 = Monday; empty means every day.
    pub weekdays: Vec<u8>,
    /// Start, since midnight UTC.
    pub start: Duration,
    /// Length; may reach into the next day.
    pub length: Duration,
}

impl RecurringWindow {
    /// Whether `now` lies inside.
    pub fn contains(&self, now: Timestamp) -> bool {
        const DAY: Duration = Duration::from_secs(86_400);
        let starts_on = |weekday: u8| self.weekdays.is_empty() || self.weekdays.contains(&weekday);
        let (today, since_midnight) = (now.weekday(), now.time_of_day());
        let yesterday = (today + 6) % 7;
        let from_today = since_midnight.checked_sub(self.start);
        let from_yesterday = (since_midnight + DAY).checked_sub(self.start);
        starts_on(today) && from_today.is_some_and(|t| t < self.length)
            || starts_on(yesterday) && from_yesterday.is_some_and(|t| t < self.length)
    }
}

/// A one-off time in which changes are expected, `from` inclusive to `until` exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant after it.
    pub until: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// What for.
    pub why: String,
}

impl Window {
    /// Whether `now` lies inside.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// Everything asked about one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What may be done.
    pub mode: Mode,
    /// When a prediction is acted on.
    pub when: When,
    /// What a predicted breach is acted on for.
    pub act_on: ActOn,
    /// How much risk is tolerated; the width of the band grows with it.
    pub risk_tolerance: RiskTolerance,
    /// How long a property is watched before a prediction of it is acted on; `None` for two horizons.
    pub warm_up: Option<Duration>,
    /// The least confidence on which a prediction is acted.
    pub min_confidence: Probability,
    /// A trigger counts when `sustain_k` of the last `sustain_n` evaluations saw it.
    pub sustain_k: u8,
    /// See `sustain_k`; at most 64.
    pub sustain_n: u8,
    /// How far ahead is forecast.
    pub horizon: Duration,
    /// The time between two probes, which is also the forecast's step.
    pub sample_every: Duration,
    /// How long is watched before the first baseline is taken.
    pub settle: Duration,
    /// The band is never narrower than this deviation, on either side.
    pub band_floor: f64,
    /// The band is never wider than this deviation; beyond it an observed breach is acted on at once.
    pub band_ceiling: f64,
    /// For `latest-safe`: act when lead time <= activation time x this.
    pub safety_factor: f64,
    /// After a failover, no other for this long.
    pub cool_down: Duration,
    /// At most this many failovers ...
    pub max_failovers: u32,
    /// ... within this time (flapping).
    pub max_failovers_within: Duration,
    /// A person must approve each failover.
    pub approval_required: bool,
    /// How old the newest data of the clone may be at a failover.
    pub max_data_age: Duration,
    /// How long a rehearsal's word is trusted; `None` means a rehearsal is not demanded.
    pub rehearsal_max_age: Option<Duration>,
    /// The same property drifting on at least this many other resources is a rollout: alert, hold.
    pub shared_fate_at: u32,
    /// Probes lost for this long make the resource unknown, which is alerted on.
    pub probe_lost_after: Duration,
    /// Put the old primary back to its baseline after a failover, and make it the standby.
    pub revert: bool,
    /// Recurring maintenance windows.
    pub windows: Vec<RecurringWindow>,
    /// Rules about properties, first match wins.
    pub rules: Vec<PropertyRule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Advise,
            when: When::Early,
            act_on: ActOn::Harm,
            risk_tolerance: RiskTolerance(0.3),
            warm_up: None,
            min_confidence: Probability(0.9),
            sustain_k: 3,
            sustain_n: 5,
            horizon: Duration::from_secs(1800),
            sample_every: Duration::from_secs(10),
            settle: Duration::from_secs(60),
            band_floor: 0.2,
            band_ceiling: 1.0,
            safety_factor: 3.0,
            cool_down: Duration::from_secs(600),
            max_failovers: 3,
            max_failovers_within: Duration::from_secs(86_400),
            approval_required: false,
            max_data_age: Duration::from_secs(300),
            rehearsal_max_age: None,
            shared_fate_at: 3,
            probe_lost_after: Duration::from_secs(60),
            revert: true,
            windows: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// How many horizons a property is watched before a prediction of it is acted on, where the policy does not say.
const WARM_UP_HORIZONS: u32 = 2;

impl Policy {
    /// How long a property is watched before a prediction of it is acted on.
    pub fn warm_up(&self) -> Duration {
        self.warm_up.unwrap_or(self.horizon * WARM_UP_HORIZONS)
    }

    /// The first rule about `path`.
    pub fn rule(&self, path: &PropertyPath) -> Option<&PropertyRule> {
        self.rules.iter().find(|rule| rule.matches(path))
    }
}

/// Tolerances learned while settling, by property: the deviation's unit where the policy says
/// [`Tolerance::Learned`].
pub type LearnedTolerances = BTreeMap<PropertyPath, f64>;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |pattern| PropertyRule::new(pattern, Tolerance::Learned).unwrap();
        let policy = Policy {
            rules: vec![rule("nginx.conf/**"), rule("**")],
            ..Policy::default()
        };
        let found = policy
            .rule(&"nginx.conf/events/worker_connections".into())
            .unwrap();
        assert_eq!(found.pattern(), "nginx.conf/**");
        assert_eq!(policy.rule(&"other".into()).unwrap().pattern(), "**");
    }

    #[test]
    fn a_literal_pattern_matches_its_path_alone() {
        for path in ["a/b", "a[1]*", "{x,y}?", "!z", "c:\\d"] {
            let rule = PropertyRule::new(&literal(path), Tolerance::Learned).unwrap();
            assert!(rule.matches(&path.into()), "{path}");
            assert!(!rule.matches(&format!("{path}x").as_str().into()), "{path}");
        }
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_starts_on() {
        // Monday 23:00 for two hours; 2026-11-23 was a Monday.
        let window = RecurringWindow {
            weekdays: vec![0],
            start: 23 * HOUR,
            length: 2 * HOUR,
        };
        let monday = Timestamp::from_millis(1_795_392_000_000);
        assert_eq!(monday.to_string(), "2026-11-23T00:00:00.000Z");
        assert!(
            !window.contains(monday + HOUR / 2),
            "Sunday's night is not Monday's"
        );
        assert!(!window.contains(monday + 22 * HOUR));
        assert!(window.contains(monday + 23 * HOUR));
        assert!(window.contains(monday + 24 * HOUR + HOUR / 2));
        assert!(!window.contains(monday + 25 * HOUR));
    }

    #[test]
    fn numbers_outside_the_unit_range_are_refused() {
        assert_eq!(
            RiskTolerance::new(1.5).unwrap_err().to_string(),
            "risk tolerance lies between 0 and 1; 1.5 does not"
        );
        assert!(Probability::new(f64::NAN).is_err());
    }
}
