//! The configuration file as its user writes it. Unknown keys are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use evenkeel_drivers::config::Span;
use evenkeel_drivers::files::FilesConfig;
use evenkeel_drivers::redirect::{LinkConfig, ProxyConfig};
use evenkeel_drivers::service::ServiceConfig;
use schemars::JsonSchema;
use serde::Deserialize;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Evenkeel configuration")]
pub struct File {
    /// The daemon itself.
    pub daemon: Daemon,
    /// By which models is forecast.
    pub forecast: Forecast,
    /// How long history is kept.
    pub history: History,
    /// Who is told.
    pub alerts: Alerts,
    /// The policy of every resource, where it does not say otherwise.
    pub defaults: Policy,
    /// What is watched and cloned.
    pub resource: Vec<Resource>,
}

/// The daemon itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Daemon {
    /// Where state, history and clones are kept; `/var/lib/evenkeel` by default.
    pub state_dir: Option<PathBuf>,
    /// The Unix socket of the API; `/run/evenkeel/evenkeel.sock` by default.
    pub socket: Option<PathBuf>,
    /// How much of one core fitting forecasting models anew may take, 0 (never) to 1; 0.1 by default.
    pub refit_cpu_share: Option<f64>,
}

/// By which models is forecast.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forecast {
    /// Whether a network for all properties of a kind is trained and used: `on` or `off` (the default).
    pub lstm: Option<Lstm>,
}

/// Whether networks are trained and used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lstm {
    /// Neither.
    Off,
    /// Both.
    On,
}

/// How long history is kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Every sample; 15d by default.
    pub raw: Option<Span>,
    /// Five-minute aggregates; 90d by default.
    pub five_minutes: Option<Span>,
    /// Hourly aggregates; 730d by default.
    pub hour: Option<Span>,
    /// Changes and stored forecasts; 730d by default.
    pub changes: Option<Span>,
}

/// Who is told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// A program and its arguments; gets each alert as a line of JSON on its standard input.
    pub command: Option<Vec<String>>,
}

/// One resource: exactly one of `service` and `files` says what it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Free labels, to tell resources apart by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// A process with a configuration tree, perhaps data, and an address.
    #[serde(default)]
    pub service: Option<Box<ServiceConfig>>,
    /// A tree of files.
    #[serde(default)]
    pub files: Option<Box<FilesConfig>>,
    /// How its clients are moved.
    #[serde(default)]
    pub redirect: Option<Redirect>,
    /// When its clone is synced, and what of it is kept.
    #[serde(default)]
    pub sync: Sync,
    /// How often its clone is rehearsed: a span, or `never`; 24h by default.
    #[serde(default)]
    pub rehearse: Option<Rehearse>,
    /// What may be done with it; the rest is as in `defaults`.
    #[serde(default)]
    pub policy: Policy,
    /// Rules about its properties; the first that matches decides.
    #[serde(default)]
    pub property: Vec<Property>,
}

/// How clients are moved: exactly one of these.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redirect {
    /// By the built-in TCP proxy.
    pub proxy: Option<ProxyConfig>,
    /// By a symbolic link to the tree in use.
    pub link: Option<LinkConfig>,
}

/// When the clone is synced, and what of it is kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sync {
    /// Whenever something changes; true by default.
    pub on_change: Option<bool>,
    /// And in any case this often; 5m by default.
    pub every: Option<Span>,
    /// At least so many generations are kept; 10 by default.
    pub keep: Option<usize>,
    /// And all that are younger than this; 7d by default.
    pub keep_for: Option<Span>,
    /// But never more than so many, whatever their age; 200 by default.
    pub keep_at_most: Option<usize>,
}

/// How often the clone is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub enum Rehearse {
    /// Not by itself.
    Never,
    /// This often, and once after the first sync.
    Every(Span),
}

impl<'de> Deserialize<'de> for Rehearse {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self::Never);
        }
        text.parse()
            .map(Self::Every)
            .map_err(|error: String| serde::de::Error::custom(format!("{error}, or `never`")))
    }
}

/// What may be done with a resource.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// `observe`, `advise` (the default) or `act`.
    pub mode: Option<Mode>,
    /// `early` (the default) or `latest-safe`.
    pub when: Option<When>,
    /// `harm` (the default): for leaving the band on the way to the limit. `band`: for leaving the band.
    pub act_on: Option<ActOn>,
    /// How long a property is watched before a prediction of it is acted on; two horizons by default.
    pub warm_up: Option<Span>,
    /// 0 acts on the least sign, 1 waits longest; 0.3 by default.
    pub risk_tolerance: Option<f64>,
    /// The least confidence on which a prediction is acted, 0 to 1; 0.9 by default.
    pub min_confidence: Option<f64>,
    /// `[k, n]`: a prediction counts when k of the last n evaluations saw it; `[3, 5]` by default.
    pub sustain: Option<[u8; 2]>,
    /// How far ahead is forecast; 30m by default.
    pub horizon: Option<Span>,
    /// The time between two probes; 10s by default.
    pub sample_every: Option<Span>,
    /// How long a resource must stand still before its first baseline is taken; 1m by default.
    pub settle: Option<Span>,
    /// The band is never narrower than this deviation; 0.2 by default.
    pub band_floor: Option<f64>,
    /// The band is never wider than this deviation, and reaching it is acted on at once; 1 by default.
    pub band_ceiling: Option<f64>,
    /// For `latest-safe`: act when the lead time is down to the activation time times this; 3 by default.
    pub safety_factor: Option<f64>,
    /// After a failover, no other for this long; 10m by default.
    pub cool_down: Option<Span>,
    /// At most so many failovers within `max_failovers_within`; 3 by default.
    pub max_failovers: Option<u32>,
    /// See `max_failovers`; 24h by default.
    pub max_failovers_within: Option<Span>,
    /// A person must approve each failover; false by default.
    pub approval: Option<bool>,
    /// How old the clone's data may be at a failover; 5m by default.
    pub max_data_age: Option<Span>,
    /// How old the last good rehearsal may be at a failover; not asked for by default.
    pub rehearsal_max_age: Option<Span>,
    /// The same property drifting on so many other resources is a rollout, and held; 3 by default, 0 never.
    pub shared_fate_at: Option<u32>,
    /// A resource that cannot be probed for this long is alerted on; 1m by default.
    pub probe_lost_after: Option<Span>,
    /// Put the old primary back to its baseline, and make it the standby; true by default.
    pub revert: Option<bool>,
    /// Recurring maintenance windows in UTC: `Mon-Fri 02:00-04:00`, `daily 23:30-00:30`.
    pub windows: Option<Vec<String>>,
}

/// What Evenkeel may do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Watch, forecast, record.
    Observe,
    /// And say what it would do.
    Advise,
    /// And do it.
    Act,
}

/// When a prediction is acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At the first sustained trigger.
    Early,
    /// When the lead time has shrunk to the activation time times the safety factor.
    LatestSafe,
}

/// What a predicted breach is acted on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActOn {
    /// For leaving the band on the way to the limit.
    Harm,
    /// For leaving the band.
    Band,
}

/// A rule about properties.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// Which: a glob of property paths, `**` for any depth.
    #[serde(rename = "match")]
    pub pattern: String,
    /// How far it may go from the approved value: a number in its own unit, or `"20%"`.
    #[serde(default)]
    pub tolerance: Option<Tolerance>,
    /// Or: up to which values it is harmless.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// What may be done about it: `info`, `warn` or `critical`; only `critical` may start a failover.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Not watched at all.
    #[serde(default)]
    pub ignore: bool,
    /// Kept only as a keyed hash.
    #[serde(default)]
    pub redact: bool,
    /// Its unit, for people.
    #[serde(default)]
    pub unit: Option<String>,
}

/// What may be done about a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Recorded and forecast.
    Info,
    /// And alerted on.
    Warn,
    /// And may start a failover.
    Critical,
}

/// How far a property may go from its approved value.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema)]
#[schemars(with = "ToleranceAsWritten")]
pub enum Tolerance {
    /// In its own unit.
    Absolute(f64),
    /// As a share of the approved value.
    Relative(f64),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ToleranceAsWritten {
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |text: &dyn std::fmt::Display| {
            let what =
                format!("`{text}` is not a tolerance: a number above 0, or a share like \"20%\"");
            serde::de::Error::custom(what)
        };
        match ToleranceAsWritten::deserialize(deserializer)? {
            ToleranceAsWritten::Number(n) if n.is_finite() && n > 0.0 => Ok(Self::Absolute(n)),
            ToleranceAsWritten::Number(n) => Err(wrong(&n)),
            ToleranceAsWritten::Text(text) => {
                let share = text
                    .strip_suffix('%')
                    .and_then(|n| n.trim().parse::<f64>().ok());
                match share.filter(|share| share.is_finite() && *share > 0.0) {
                    Some(share) => Ok(Self::Relative(share / 100.0)),
                    None => Err(wrong(&text)),
                }
            }
        }
    }
}

/// The values up to which a property is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The lowest.
    #[serde(default)]
    pub lower: Option<f64>,
    /// The highest.
    #[serde(default)]
    pub upper: Option<f64>,
}
