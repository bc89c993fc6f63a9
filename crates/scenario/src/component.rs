//! What moves a property. The components of a property add up; each belongs either to its *systematic*
//! course, which is the value itself, or to *noise*, which is how it is measured or breathes. Harm is
//! judged by the systematic course alone.
//!
//! | component | of | part | contribution, with `x = (t - at) / over` |
//! |---|---|---|---|
//! | `ramp`, linear | number | systematic | `by · x`, until `until` |
//! | `ramp`, accelerating | number | systematic | `by · x²`, until `until` |
//! | `ramp`, decelerating | number | systematic | `by · (1 - e^(-3x))`: 95 % of `by` after `over`, never all |
//! | `step` | number | systematic | `by`, or `by · e^(-(t - at) / decay)`; gone after `for` |
//! | `walk` | number | systematic | a sum of normal increments, one per step |
//! | `season` | number | systematic | sine, or a pulse |
//! | `leak` | number | systematic | rises evenly by `by` per `every`, back to 0 at each restart |
//! | `counter` | number | systematic | the same with uneven growth and restarts at random |
//! | `stairs` | number | systematic | one more `by` about every `every` |
//! | `flapping` | number, flag | systematic | to and fro |
//! | `trace` | number | systematic | given values |
//! | `reverting` | number | noise | AR(1) |
//! | `noise` | number | noise | independent; normal or Student's t; its scale may grow |
//! | `change`, `vanish` | any | systematic | another value, none |
//! | `add`, `remove`, `grow` | set | systematic | items |
//! | `edit` | text | systematic | lines |
//! | `leaf` | document | systematic | a leaf |
//!
//! AR(1) after Box, Jenkins (1970), section 3.2.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::read;
use crate::scenario::{Moment, Written};

/// One part of a property's course: `{ ramp = { at = "2d", by = 700, over = "10h" } }`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Going one way.
    Ramp(Ramp),
    /// A sudden change.
    Step(Step),
    /// A random walk.
    Walk(Walk),
    /// Noise that is pulled back: AR(1).
    Reverting(Reverting),
    /// Independent noise.
    Noise(Noise),
    /// What comes again and again.
    Season(Season),
    /// A leak that restarts empty.
    Leak(Sawtooth),
    /// A counter that is reset at random.
    Counter(Sawtooth),
    /// Edits in one direction.
    Stairs(Stairs),
    /// To and fro.
    Flapping(Flapping),
    /// Another value, for good.
    Change(Change),
    /// The property is gone.
    Vanish(Vanish),
    /// Items come in.
    Add(Items),
    /// Items go.
    Remove(Items),
    /// Made-up items come in, again and again.
    Grow(Repeated),
    /// Made-up lines are edited, again and again.
    Edit(Repeated),
    /// A leaf gets another value.
    Leaf(Leaf),
    /// Given values; not to be written in a file.
    #[serde(skip)]
    Trace(Trace),
}

impl Component {
    /// Whether it is noise, and so no part of what does harm.
    pub fn is_noise(&self) -> bool {
        match self {
            Self::Reverting(_) | Self::Noise(_) => true,
            Self::Ramp(_)
            | Self::Step(_)
            | Self::Walk(_)
            | Self::Season(_)
            | Self::Leak(_)
            | Self::Counter(_)
            | Self::Stairs(_)
            | Self::Flapping(_)
            | Self::Change(_)
            | Self::Vanish(_)
            | Self::Add(_)
            | Self::Remove(_)
            | Self::Grow(_)
            | Self::Edit(_)
            | Self::Leaf(_)
            | Self::Trace(_) => false,
        }
    }

    /// Its key in a file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ramp(_) => "ramp",
            Self::Step(_) => "step",
            Self::Walk(_) => "walk",
            Self::Reverting(_) => "reverting",
            Self::Noise(_) => "noise",
            Self::Season(_) => "season",
            Self::Leak(_) => "leak",
            Self::Counter(_) => "counter",
            Self::Stairs(_) => "stairs",
            Self::Flapping(_) => "flapping",
            Self::Change(_) => "change",
            Self::Vanish(_) => "vanish",
            Self::Add(_) => "add",
            Self::Remove(_) => "remove",
            Self::Grow(_) => "grow",
            Self::Edit(_) => "edit",
            Self::Leaf(_) => "leaf",
            Self::Trace(_) => "trace",
        }
    }
}

/// How a ramp goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bend {
    /// Evenly.
    #[default]
    Linear,
    /// Faster and faster.
    Accelerating,
    /// Slower and slower, towards a plateau.
    Decelerating,
}

/// Going one way. A linear or accelerating one goes on after `over` until `until`, where it stays.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// When it sets in; at the start by default.
    #[serde(default)]
    pub at: Moment,
    /// How far it has gone after `over`; the plateau of a decelerating one.
    #[serde(deserialize_with = "read::finite")]
    pub by: f64,
    /// See `by`.
    #[serde(deserialize_with = "read::long")]
    pub over: Duration,
    /// `linear` (the default), `accelerating` or `decelerating`.
    #[serde(default)]
    pub bend: Bend,
    /// When it stops; never by default.
    #[serde(default)]
    pub until: Option<Moment>,
}

/// A sudden change.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub at: Moment,
    /// By how much.
    #[serde(deserialize_with = "read::finite")]
    pub by: f64,
    /// It has lost 63 % after so long; it stays by default.
    #[serde(default, deserialize_with = "read::some_long")]
    pub decay: Option<Duration>,
    /// It is taken back after so long; never by default.
    #[serde(default, rename = "for", deserialize_with = "read::some_long")]
    pub lasting: Option<Duration>,
}

/// A random walk.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    /// When it sets in; at the start by default.
    #[serde(default)]
    pub at: Moment,
    /// The standard deviation of its increment per step.
    #[serde(deserialize_with = "read::positive")]
    pub sd: f64,
}

/// AR(1) noise: `z' = φ z + ε`, with `φ = e^(-step / memory)` and `ε` so that `sd` holds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverting {
    /// Its standard deviation in the long run.
    #[serde(deserialize_with = "read::positive")]
    pub sd: f64,
    /// After so long its correlation has fallen to 37 %.
    #[serde(deserialize_with = "read::long")]
    pub memory: Duration,
}

/// Independent noise.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Its standard deviation, at the start.
    #[serde(deserialize_with = "read::positive")]
    pub sd: f64,
    /// Its standard deviation at the end, grown evenly; `sd` by default.
    #[serde(default, deserialize_with = "read::some_positive")]
    pub sd_end: Option<f64>,
    /// Degrees of freedom of Student's t, above 2: the fewer, the heavier the tails. Normal by default.
    #[serde(default, deserialize_with = "read::degrees")]
    pub tails: Option<f64>,
}

/// How a season goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wave {
    /// Smoothly, from `-amplitude` to `amplitude`.
    #[default]
    Sine,
    /// `amplitude` for a share of the period, else 0: what a cron job does.
    Pulse,
}

/// What comes again and again, counted from the scenario's start.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// From one time to the next.
    #[serde(deserialize_with = "read::long")]
    pub period: Duration,
    /// How far it goes.
    #[serde(deserialize_with = "read::finite")]
    pub amplitude: f64,
    /// `sine` (the default) or `pulse`.
    #[serde(default)]
    pub wave: Wave,
    /// The share of its period by which it is ahead; 0 by default.
    #[serde(default, deserialize_with = "read::share")]
    pub phase: f64,
    /// Of a pulse: the share of the period that it lasts; 0.1 by default.
    #[serde(default = "tenth", deserialize_with = "read::share")]
    pub width: f64,
}

fn tenth() -> f64 {
    0.1
}

/// Rising, and back to 0 at each restart.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sawtooth {
    /// When it sets in; at the start by default.
    #[serde(default)]
    pub at: Moment,
    /// How far it rises in `every`.
    #[serde(deserialize_with = "read::finite")]
    pub by: f64,
    /// The time between two restarts: of a leak about, of a counter on average.
    #[serde(deserialize_with = "read::long")]
    pub every: Duration,
    /// Of a leak: by which share of itself that time varies to either side; 0 by default.
    #[serde(default, deserialize_with = "read::share")]
    pub jitter: f64,
    /// There are no restarts from then on; there always are by default.
    #[serde(default)]
    pub until: Option<Moment>,
}

/// Edits in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stairs {
    /// When the first is; at the start by default.
    #[serde(default)]
    pub at: Moment,
    /// By how much each.
    #[serde(deserialize_with = "read::finite")]
    pub by: f64,
    /// The time between two.
    #[serde(deserialize_with = "read::long")]
    pub every: Duration,
    /// By which share of itself that time varies to either side; 0 by default.
    #[serde(default, deserialize_with = "read::share")]
    pub jitter: f64,
    /// How many there are; ever more by default.
    #[serde(default)]
    pub count: Option<u32>,
}

/// To and fro: first away, for `high`, then as before, for `low`, and again.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    /// When it sets in; at the start by default.
    #[serde(default)]
    pub at: Moment,
    /// Of a number: by how much. A flag is turned over.
    #[serde(default, deserialize_with = "read::some_finite")]
    pub by: Option<f64>,
    /// How long it is away.
    #[serde(deserialize_with = "read::long")]
    pub high: Duration,
    /// How long it is as before.
    #[serde(deserialize_with = "read::long")]
    pub low: Duration,
    /// By which share of themselves both vary to either side; 0 by default.
    #[serde(default, deserialize_with = "read::share")]
    pub jitter: f64,
    /// It stays as before from then on; never by default.
    #[serde(default)]
    pub until: Option<Moment>,
}

/// Another value.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// Which.
    pub to: Written,
}

/// No value.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vanish {
    /// When.
    pub at: Moment,
    /// It is back after so long; never by default.
    #[serde(default, rename = "for", deserialize_with = "read::some_long")]
    pub lasting: Option<Duration>,
}

/// Some items of a set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// When.
    pub at: Moment,
    /// Which.
    pub items: Vec<String>,
}

/// A change of contents, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// When the first is; at the start by default.
    #[serde(default)]
    pub at: Moment,
    /// The time between two.
    #[serde(deserialize_with = "read::long")]
    pub every: Duration,
    /// By which share of itself that time varies to either side; 0 by default.
    #[serde(default, deserialize_with = "read::share")]
    pub jitter: f64,
    /// How many items or lines at once; 1 by default.
    #[serde(default = "one")]
    pub size: u32,
    /// How many times; to the scenario's end by default.
    #[serde(default)]
    pub count: Option<u32>,
}

fn one() -> u32 {
    1
}

/// A leaf of a document.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// When.
    pub at: Moment,
    /// Which: names with `/` between them.
    pub leaf: String,
    /// Its value from then on.
    pub to: Written,
}

/// Given values of a number, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace(pub Arc<[(evenkeel_core::Timestamp, f64)]>);
