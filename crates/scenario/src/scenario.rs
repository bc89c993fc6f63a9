//! The description of made-up resources, as a person writes it or a family makes it.
//!
//! Keys that the daemon's configuration has too (those of `policy`, `tolerance`, `limits`, `severity`,
//! `unit`) are spelt as there and mean the same. Unknown keys are refused.

use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_core::policy::{ActOn, Mode, When};
use evenkeel_core::property::{Origin, Severity, Value};
use serde::Deserialize;

use crate::component::Component;
use crate::problem::Problems;
use crate::read;

/// Made-up resources over a stretch of time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The instant of the first probe; 2026-01-05T00:00:00Z, a Monday, by default.
    #[serde(default = "monday", deserialize_with = "read::instant")]
    pub start: Timestamp,
    /// How long it lasts.
    #[serde(deserialize_with = "read::long")]
    pub length: Duration,
    /// The time between two probes; 60s by default. It is the policy's `sample_every`.
    #[serde(default = "minute", deserialize_with = "read::long")]
    pub step: Duration,
    /// What its randomness is drawn from, where nothing else is said; 0 by default.
    #[serde(default)]
    pub seed: u64,
    /// What is asked for.
    #[serde(default)]
    pub policy: PolicyKeys,
    /// What a replay has to assume.
    #[serde(default)]
    pub assumed: Times,
    /// What is watched.
    #[serde(default)]
    pub resource: Vec<Resource>,
    /// Changes that people approve.
    #[serde(default)]
    pub approval: Vec<Approval>,
    /// Times in which changes are expected.
    #[serde(default)]
    pub window: Vec<Window>,
    /// What people ask for.
    #[serde(default)]
    pub command: Vec<Command>,
}

fn monday() -> Timestamp {
    Timestamp::from_millis(1_767_571_200_000)
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

impl Scenario {
    /// An empty one of this length and step.
    pub fn new(length: Duration, step: Duration) -> Self {
        Self {
            start: monday(),
            length,
            step,
            seed: 0,
            policy: PolicyKeys::default(),
            assumed: Times::default(),
            resource: Vec::new(),
            approval: Vec::new(),
            window: Vec::new(),
            command: Vec::new(),
        }
    }

    /// Reads and checks the text of a scenario file; `file` is what errors call it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, Problems> {
        let scenario: Self =
            toml::from_str(text).map_err(|error| Problems::of_toml(file, text, &error))?;
        let wrong = scenario.wrong();
        if wrong.is_empty() {
            Ok(scenario)
        } else {
            Err(Problems::located(file, text, wrong))
        }
    }

    /// Seconds from the start to `moment`; negative before it.
    pub(crate) fn seconds(&self, moment: Moment) -> f64 {
        moment.seconds_from(self.start)
    }

    /// The instant of `moment`.
    pub fn instant(&self, moment: Moment) -> Timestamp {
        match moment {
            Moment::After(span) => self.start + span,
            Moment::At(at) => at,
        }
    }

    /// The first instant after it; only a probe that is stamped late can come then.
    pub fn end(&self) -> Timestamp {
        self.start + self.length
    }
}

/// When: a span from the scenario's start, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after the start.
    After(Duration),
    /// Then.
    At(Timestamp),
}

impl Moment {
    /// Seconds from `start`; negative before it.
    #[allow(clippy::cast_precision_loss)] // milliseconds of centuries are exact in an f64
    pub(crate) fn seconds_from(self, start: Timestamp) -> f64 {
        match self {
            Self::After(span) => span.as_secs_f64(),
            Self::At(at) => (at.as_millis() - start.as_millis()) as f64 / 1000.0,
        }
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self::After(Duration::ZERO)
    }
}

/// What may be done with the resources; what is left out is as in the daemon's defaults.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyKeys {
    /// `observe`, `advise` or `act`; **`act` by default**, as the point is to see what would be done.
    pub mode: Option<Mode>,
    /// `early` or `latest-safe`.
    pub when: Option<When>,
    /// `harm` or `band`.
    pub act_on: Option<ActOn>,
    /// How long a property is watched before a prediction of it is acted on.
    #[serde(deserialize_with = "read::some_span")]
    pub warm_up: Option<Duration>,
    /// 0 acts on the least sign, 1 waits longest.
    #[serde(deserialize_with = "read::some_finite")]
    pub risk_tolerance: Option<f64>,
    /// The least confidence on which a prediction is acted, 0 to 1.
    #[serde(deserialize_with = "read::some_finite")]
    pub min_confidence: Option<f64>,
    /// `[k, n]`: a prediction counts when k of the last n evaluations saw it.
    pub sustain: Option<[u8; 2]>,
    /// How far ahead is forecast.
    #[serde(deserialize_with = "read::some_long")]
    pub horizon: Option<Duration>,
    /// The band is never narrower than this deviation.
    #[serde(deserialize_with = "read::some_positive")]
    pub band_floor: Option<f64>,
    /// The band is never wider than this deviation.
    #[serde(deserialize_with = "read::some_positive")]
    pub band_ceiling: Option<f64>,
    /// For `latest-safe`: act when the lead time is down to the activation time times this.
    #[serde(deserialize_with = "read::some_positive")]
    pub safety_factor: Option<f64>,
    /// After a failover, no other for this long.
    #[serde(deserialize_with = "read::some_span")]
    pub cool_down: Option<Duration>,
    /// At most so many failovers within `max_failovers_within`.
    pub max_failovers: Option<u32>,
    /// See `max_failovers`.
    #[serde(deserialize_with = "read::some_span")]
    pub max_failovers_within: Option<Duration>,
    /// A person must approve each failover.
    pub approval: Option<bool>,
    /// How old the clone's data may be at a failover.
    #[serde(deserialize_with = "read::some_span")]
    pub max_data_age: Option<Duration>,
    /// How old the last good rehearsal may be at a failover.
    #[serde(deserialize_with = "read::some_span")]
    pub rehearsal_max_age: Option<Duration>,
    /// The same property drifting on so many other resources is a rollout, and held; 0 never.
    pub shared_fate_at: Option<u32>,
    /// A resource that cannot be probed for this long is alerted on.
    #[serde(deserialize_with = "read::some_span")]
    pub probe_lost_after: Option<Duration>,
    /// Put the old primary back to its baseline, and make it the standby.
    pub revert: Option<bool>,
}

/// How long things take that no record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// An activation, as a rehearsal would have measured it; 5s by default.
    #[serde(deserialize_with = "read::span")]
    pub activation: Duration,
    /// Moving clients in all; 10s by default.
    #[serde(deserialize_with = "read::span")]
    pub moving: Duration,
    /// A reinstatement; 60s by default.
    #[serde(deserialize_with = "read::span")]
    pub reinstating: Duration,
    /// Bringing a generation to the clone; 5s by default.
    #[serde(deserialize_with = "read::span")]
    pub sync: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            activation: Duration::from_secs(5),
            moving: Duration::from_secs(10),
            reinstating: Duration::from_secs(60),
            sync: Duration::from_secs(5),
        }
    }
}

/// One resource, or a fleet of alike ones.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its name. The members of a fleet are `NAME-1`, `NAME-2`, ...
    pub name: String,
    /// How many there are; 1 by default.
    #[serde(default = "one")]
    pub count: u32,
    /// Each member's course is this much behind the one before it; 0s by default.
    #[serde(default, deserialize_with = "read::span")]
    pub stagger: Duration,
    /// The share of probes of which nothing is left; 0 by default.
    #[serde(default, deserialize_with = "read::share")]
    pub missing: f64,
    /// Probes that are stamped late.
    #[serde(default)]
    pub late: Option<Late>,
    /// Stretches without a probe.
    #[serde(default)]
    pub gap: Vec<Gap>,
    /// Stretches in which every probe fails.
    #[serde(default)]
    pub lost: Vec<Lost>,
    /// Its properties.
    #[serde(default)]
    pub property: Vec<Property>,
}

fn one() -> u32 {
    1
}

impl Resource {
    /// One of this name, with these properties.
    pub fn new(name: &str, property: Vec<Property>) -> Self {
        Self {
            name: name.to_owned(),
            count: 1,
            stagger: Duration::ZERO,
            missing: 0.0,
            late: None,
            gap: Vec::new(),
            lost: Vec::new(),
            property,
        }
    }
}

/// Probes whose values are read when they are due, but stamped later.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// The share of probes that are.
    #[serde(deserialize_with = "read::share")]
    pub share: f64,
    /// At most so much; never as much as a step, so that probes keep their order.
    #[serde(deserialize_with = "read::long")]
    pub by: Duration,
}

/// A stretch without a probe.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Its first instant.
    pub at: Moment,
    /// Its length.
    #[serde(rename = "for", deserialize_with = "read::long")]
    pub lasting: Duration,
}

/// A stretch in which every probe fails, and says so.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// Its first instant.
    pub at: Moment,
    /// Its length.
    #[serde(rename = "for", deserialize_with = "read::long")]
    pub lasting: Duration,
    /// What the probe says.
    #[serde(default = "no_answer")]
    pub why: String,
}

fn no_answer() -> String {
    "no answer".to_owned()
}

/// One property, or many alike ones.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// Its path. With a `count`, the paths are `PATH/1`, `PATH/2`, ...
    pub path: String,
    /// How many there are; one, under `path` itself, by default.
    #[serde(default)]
    pub count: Option<u32>,
    /// What it is; what `approved` looks like by default. A choice has to say so.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Its approved value, which it has as long as no component changes it.
    pub approved: Written,
    /// How far it may go: a number in its own unit, or `"20%"`.
    #[serde(default)]
    pub tolerance: Option<Tolerance>,
    /// Or: up to which values it is harmless.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// What may be done about it; `critical` by default here, as the point is to see what would be done.
    #[serde(default = "critical")]
    pub severity: Severity,
    /// Its unit, for people.
    #[serde(default)]
    pub unit: Option<String>,
    /// `configuration`, whose every difference makes a generation suspect, or `capacity`, which is only
    /// watched; `capacity` for numbers, else `configuration`, by default.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// The share of probes that cannot read it; 0 by default.
    #[serde(default, deserialize_with = "read::share")]
    pub unreadable: f64,
    /// Its values are multiples of this; as they are by default.
    #[serde(default, deserialize_with = "read::some_positive")]
    pub quantum: Option<f64>,
    /// Its values stay within.
    #[serde(default)]
    pub clamp: Option<Clamp>,
    /// What moves it; the parts add up.
    #[serde(default)]
    pub course: Vec<Component>,
}

fn critical() -> Severity {
    Severity::Critical
}

impl Property {
    /// A critical number, without a limit and without a course.
    pub fn number(path: &str, approved: f64) -> Self {
        Self::new(path, Value::Number(approved))
    }

    /// A critical property, without a limit and without a course.
    pub fn new(path: &str, approved: Value) -> Self {
        Self {
            path: path.to_owned(),
            count: None,
            kind: None,
            approved: Written(approved),
            tolerance: None,
            limits: None,
            severity: critical(),
            unit: None,
            origin: None,
            unreadable: 0.0,
            quantum: None,
            clamp: None,
            course: Vec::new(),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind.unwrap_or(match self.approved.0 {
            Value::Number(_) => Kind::Number,
            Value::Flag(_) => Kind::Flag,
            Value::Choice(_) => Kind::Choice,
            // A scenario has no secrets; one that was built with a hash is compared like a text.
            Value::Text(_) | Value::Redacted(_) => Kind::Text,
            Value::Set(_) => Kind::Set,
            Value::Document(_) => Kind::Document,
        })
    }

    /// Where it comes from.
    pub fn origin(&self) -> Origin {
        self.origin.unwrap_or(match self.kind() {
            Kind::Number => Origin::Capacity,
            Kind::Flag | Kind::Choice | Kind::Text | Kind::Set | Kind::Document => {
                Origin::Configuration
            }
        })
    }

    /// The paths it stands for.
    pub(crate) fn paths(&self) -> Vec<String> {
        match self.count {
            None => vec![self.path.clone()],
            Some(count) => (1..=count).map(|i| format!("{}/{i}", self.path)).collect(),
        }
    }
}

/// The kinds of properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A measure, a count, a size.
    Number,
    /// On or off.
    Flag,
    /// One word out of a few.
    Choice,
    /// Text of one line or many.
    Text,
    /// Things without order.
    Set,
    /// A tree.
    Document,
}

impl Kind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Flag => "flag",
            Self::Choice => "choice",
            Self::Text => "text",
            Self::Set => "set",
            Self::Document => "document",
        }
    }
}

/// A value as TOML writes it: a number, a flag, a text, a list of texts (a set), a table (a document).
#[derive(Clone, Debug, PartialEq)]
pub struct Written(pub Value);

/// How far a property may go from its approved value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// In its own unit; of texts, sets and documents the share that changed.
    Absolute(f64),
    /// As a share of the approved value.
    Relative(f64),
}

/// The values up to which a property is harmless; at least one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The lowest.
    #[serde(deserialize_with = "read::some_finite")]
    pub lower: Option<f64>,
    /// The highest.
    #[serde(deserialize_with = "read::some_finite")]
    pub upper: Option<f64>,
}

/// The values that a property cannot leave; at least one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clamp {
    /// The least.
    #[serde(deserialize_with = "read::some_finite")]
    pub lower: Option<f64>,
    /// The greatest.
    #[serde(deserialize_with = "read::some_finite")]
    pub upper: Option<f64>,
}

/// A person approves what the last probe found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// When.
    pub at: Moment,
    /// Of which resource, or of which whole fleet; of all by default.
    #[serde(default)]
    pub resource: Option<String>,
    /// Of which properties; of all by default.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Who.
    #[serde(default = "somebody")]
    pub by: String,
}

/// A time in which changes are expected: nothing is acted on, and nothing counts as harm.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its first instant.
    pub at: Moment,
    /// Its length.
    #[serde(rename = "for", deserialize_with = "read::long")]
    pub lasting: Duration,
    /// Of which resource, or of which whole fleet; of all by default.
    #[serde(default)]
    pub resource: Option<String>,
    /// What for.
    #[serde(default = "maintenance")]
    pub why: String,
    /// Who opened it.
    #[serde(default = "somebody")]
    pub by: String,
}

/// A person asks for something.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// When.
    pub at: Moment,
    /// Of which resource, or of which whole fleet; of all by default.
    #[serde(default)]
    pub resource: Option<String>,
    /// What.
    #[serde(rename = "do")]
    pub asked: Asked,
    /// For `pause` and `approve`: how long it holds. A pause without it lasts until resumed, an approval
    /// an hour.
    #[serde(default, rename = "for", deserialize_with = "read::some_long")]
    pub lasting: Option<Duration>,
    /// What for.
    #[serde(default = "maintenance")]
    pub why: String,
    /// Who.
    #[serde(default = "somebody")]
    pub by: String,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// Move clients to the standby now.
    Failover,
    /// Move them, planned.
    Switchover,
    /// Move them back.
    Failback,
    /// Put the instance that no longer serves in order.
    Reinstate,
    /// Do nothing by yourself.
    Pause,
    /// Go on.
    Resume,
    /// One failover is allowed.
    Approve,
    /// A resource that was held has been looked at.
    Release,
}

fn somebody() -> String {
    "somebody".to_owned()
}

fn maintenance() -> String {
    "maintenance".to_owned()
}
