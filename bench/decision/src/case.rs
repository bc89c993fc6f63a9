//! Where scenarios come from: the families of made-up ones, and traces cut from the NAB series.
//!
//! A scenario with an even seed is of the training half, one with an odd seed of the testing half. NAB
//! series are halved too: those with an even number are cut for training, the others for testing.
//!
//! Two families are cut from NAB: `nab_quiet`, a stretch of a series between limits that it never reaches,
//! and `nab_ramp`, the same with a linear ramp laid over its end that takes it to the limit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use evenkeel_core::baseline::Baseline;
use evenkeel_core::ids::ResourceId;
use evenkeel_core::policy::Policy;
use evenkeel_core::replay::Entry;
use evenkeel_core::time::Timestamp;
use evenkeel_scenario::families::Wanted;
use evenkeel_scenario::random::Seeded;
use evenkeel_scenario::trace::{self, Cut};
use evenkeel_scenario::{Drift, Family, Limits, Made, Scenario, families, generate};
use serde::Serialize;

use crate::detector::Context;
use crate::nab;
use crate::record::Record;
use crate::score::{Course, Harm};

/// One scenario, made.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: Id,
    pub(crate) context: Context,
    pub(crate) resources: Vec<Resource>,
}

/// One of its resources.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) name: ResourceId,
    pub(crate) policy: Policy,
    pub(crate) baseline: Baseline,
    pub(crate) entries: Vec<Entry>,
    pub(crate) record: Record,
    pub(crate) harm: Option<Harm>,
}

/// Names a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Id {
    /// The number of its family.
    pub(crate) family: usize,
    pub(crate) seed: u64,
}

impl Id {
    /// Whether alternatives may be tuned on it.
    pub(crate) fn is_training(self) -> bool {
        self.seed.is_multiple_of(2)
    }
}

/// What families have in common, for the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    /// Nothing but noise and seasons.
    Noise,
    /// A drift in many small steps.
    Drift,
    /// A drift in edits.
    Edits,
    /// What grows until it is reset.
    Leaks,
    /// A drift that is badly sampled.
    Sampling,
    /// What comes at once, or to and fro.
    Jumps,
    /// What somebody approves, or does everywhere.
    Changes,
    /// Cut from real series.
    Real,
}

impl Group {
    pub(crate) const ALL: [Self; 8] = [
        Self::Noise,
        Self::Drift,
        Self::Edits,
        Self::Leaks,
        Self::Sampling,
        Self::Jumps,
        Self::Changes,
        Self::Real,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Drift => "drifts",
            Self::Edits => "edits",
            Self::Leaks => "leaks",
            Self::Sampling => "sampling",
            Self::Jumps => "jumps",
            Self::Changes => "changes",
            Self::Real => "real",
        }
    }

    fn of(family: &Family) -> Self {
        match family.name {
            _ if family.is_noise => Self::Noise,
            "staircase" | "set_growth" | "text_edits" => Self::Edits,
            "sawtooth_leak" | "counter_resets" => Self::Leaks,
            "gaps_and_late" | "quantised" => Self::Sampling,
            "step" | "step_decay" | "flapping" => Self::Jumps,
            "approved_rollout" | "fleet_drift" => Self::Changes,
            _ => Self::Drift,
        }
    }
}

/// All families that scenarios come from.
#[derive(Debug)]
pub(crate) struct Source {
    kinds: Vec<Kind>,
    series: Vec<nab::Series>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Made(&'static Family),
    NabQuiet,
    NabRamp,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Made(family) => family.name,
            Self::NabQuiet => "nab_quiet",
            Self::NabRamp => "nab_ramp",
        }
    }
}

impl Source {
    /// The families of these names (all, where none is named), with those cut from the series below `nab` if
    /// there is such a directory.
    pub(crate) fn new(names: &[String], nab: &Path) -> Result<Self> {
        let series = nab::load(nab)?;
        let mut kinds: Vec<Kind> = families().iter().map(Kind::Made).collect();
        // Either half needs a series.
        if series.len() >= 2 {
            kinds.extend([Kind::NabQuiet, Kind::NabRamp]);
        }
        for name in names {
            if !kinds.iter().any(|kind| kind.name() == name) {
                let all: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                bail!("there is no family `{name}`; there are {}", all.join(", "));
            }
        }
        kinds.retain(|kind| names.is_empty() || names.iter().any(|name| name == kind.name()));
        Ok(Self { kinds, series })
    }

    /// The families' names and groups, by number.
    pub(crate) fn families(&self) -> Vec<(&'static str, Group)> {
        let group = |kind: &Kind| match kind {
            Kind::Made(family) => Group::of(family),
            Kind::NabQuiet | Kind::NabRamp => Group::Real,
        };
        self.kinds
            .iter()
            .map(|kind| (kind.name(), group(kind)))
            .collect()
    }

    /// At least `count` scenarios, as many of each family, both halves alike; seeds from `offset` on.
    pub(crate) fn ids(&self, count: usize, offset: u64) -> Vec<Id> {
        let per_family = count.div_ceil(self.kinds.len().max(1)).next_multiple_of(2) as u64;
        (offset..offset + per_family)
            .flat_map(|seed| (0..self.kinds.len()).map(move |family| Id { family, seed }))
            .collect()
    }

    /// The scenario that is meant by `family:seed`.
    pub(crate) fn named(&self, text: &str) -> Result<Id> {
        let (name, seed) = text.split_once(':').unwrap_or((text, "0"));
        let family = self.kinds.iter().position(|kind| kind.name() == name);
        Ok(Id {
            family: family.with_context(|| format!("there is no family `{name}`"))?,
            seed: seed
                .parse()
                .with_context(|| format!("`{seed}` is no seed; say FAMILY:SEED"))?,
        })
    }

    /// Makes one of them.
    pub(crate) fn make(&self, id: Id) -> Result<Case> {
        let kind = self.kinds[id.family];
        let (scenario, wanted, ramp_from) = match kind {
            Kind::Made(family) => (family.scenario(id.seed), family.wanted, None),
            Kind::NabQuiet => (self.cut(id, false)?.0, Wanted::ByTruth, None),
            Kind::NabRamp => {
                let (scenario, from) = self.cut(id, true)?;
                (scenario, Wanted::ByTruth, Some(from))
            }
        };
        let at = || format!("{} {}", kind.name(), id.seed);
        let made = generate(&scenario, scenario.seed).with_context(at)?;
        let resources: Vec<Resource> = made
            .resources
            .iter()
            .map(|made| resource(made, wanted, ramp_from))
            .collect();
        let policy = &resources.first().with_context(at)?.policy;
        let context = Context {
            step: policy.sample_every.as_secs_f64(),
            horizon: policy.horizon.as_secs_f64(),
        };
        Ok(Case {
            id,
            context,
            resources,
        })
    }

    /// A stretch of a series as a scenario, and from when on a ramp lies over it.
    fn cut(&self, id: Id, ramp: bool) -> Result<(Scenario, Timestamp)> {
        const LENGTH: usize = 1600;
        let mut random = Seeded::named(id.seed, if ramp { "nab_ramp" } else { "nab_quiet" });
        let of_half = |(i, _): &(usize, &nab::Series)| (i % 2 == 0) == id.is_training();
        let half: Vec<&nab::Series> = self
            .series
            .iter()
            .enumerate()
            .filter(of_half)
            .map(|(_, s)| s)
            .collect();
        let series = half[random.below(half.len() as u64) as usize];
        let length = LENGTH.min(series.values.len());
        let from = random.below((series.values.len() - length + 1) as u64) as usize;
        let values = &series.values[from..from + length];
        let mut first = values[..length / 4].to_vec();
        first.sort_by(f64::total_cmp);
        let approved = first[first.len() / 2];
        let reach = values
            .iter()
            .map(|v| (v - approved).abs())
            .fold(0.0, f64::max);
        let limit = (reach * random.between(1.2, 2.0)).max(1e-3 * (1.0 + approved.abs()));
        let step_ms = series.step_ms();
        let onset = length / 2 + random.below(length as u64 / 4) as usize;
        let horizon_steps = 30 + random.below(91) as usize;
        let over = horizon_steps as f64 * random.magnitude(0.5, 4.0);
        let start = series.at_ms[from];
        let samples: Vec<(Timestamp, f64)> = (0..length)
            .map(|i| {
                let at = Timestamp::from_millis(start + step_ms * i as i64);
                let risen = i.saturating_sub(onset) as f64 / over;
                let by = if ramp { risen.min(1.5) * limit } else { 0.0 };
                (at, values[i] + by)
            })
            .collect();
        let cut = Cut {
            // A file's place is not a name.
            resource: series.name.replace('/', "."),
            path: "value".into(),
            approved,
            limits: Limits {
                lower: Some(approved - limit),
                upper: Some(approved + limit),
            },
        };
        let name = || anyhow!("{}: too few values to cut a trace of", series.name);
        let mut scenario = trace::cut(&samples, cut).map_err(|_| name())?;
        let step = Duration::from_millis(step_ms.unsigned_abs());
        scenario.policy.horizon = Some(step * horizon_steps as u32);
        Ok((scenario, samples[onset].0))
    }
}

fn resource(made: &Made, wanted: Wanted, ramp_from: Option<Timestamp>) -> Resource {
    let entries: Vec<Entry> = made.entries().collect();
    let record = Record::new(&made.policy, &made.baseline, &entries);
    let harm = match wanted {
        // Whoever fails over has done the wrong thing, harm or not.
        Wanted::Hold => None,
        Wanted::ByTruth => harm(made, &record, ramp_from),
    };
    Resource {
        name: made.id.clone(),
        policy: made.policy.clone(),
        baseline: made.baseline.clone(),
        entries,
        record,
        harm,
    }
}

fn harm(made: &Made, record: &Record, ramp_from: Option<Timestamp>) -> Option<Harm> {
    let (_, truth) = made.first_harm()?;
    let seconds = |at: Timestamp| at.since(record.start).as_secs_f64();
    let course = match truth.kind {
        Drift::None => return None,
        Drift::Gradual => Course::Gradual,
        Drift::Sudden if ramp_from.is_some() => Course::Gradual,
        Drift::Sudden => Course::Sudden,
    };
    Some(Harm {
        course,
        // A trace does not tell when what was laid over it began.
        onset: seconds(ramp_from.or(truth.onset)?),
        at: seconds(truth.harm_at?),
    })
}

#[cfg(test)]
impl Source {
    /// Only what is cut from two made-up series of this length.
    pub(crate) fn cut_from_made_up(length: u32) -> Self {
        let values: Vec<f64> = (0..length).map(|i| f64::from(i * i % 17)).collect();
        let series = |name: &str| nab::Series {
            name: name.into(),
            at_ms: (0..i64::from(length)).map(|i| i * 300_000).collect(),
            values: values.clone(),
            windows: Vec::new(),
        };
        Self {
            kinds: vec![Kind::NabQuiet, Kind::NabRamp],
            series: vec![series("real/a"), series("real/b")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(names: &[&str]) -> Source {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Source::new(&names, Path::new("no such directory")).unwrap()
    }

    #[test]
    fn both_halves_have_as_many_of_each_family() {
        let source = source(&["step", "linear_ramp", "white_noise"]);
        let ids = source.ids(20, 7);
        assert_eq!(ids.len(), 24);
        for family in 0..3 {
            let of = ids.iter().filter(|id| id.family == family);
            let (training, testing): (Vec<Id>, Vec<Id>) = of.partition(|id| id.is_training());
            assert_eq!((training.len(), testing.len()), (4, 4));
        }
    }

    #[test]
    fn an_unknown_family_is_refused_with_those_there_are() {
        let error = Source::new(&["ramp".into()], Path::new("no such directory")).unwrap_err();
        assert!(error.to_string().contains("linear_ramp"), "{error}");
    }

    #[test]
    fn a_ramp_is_made_with_its_truth_and_the_same_each_time() {
        let source = source(&["linear_ramp"]);
        let id = Id { family: 0, seed: 3 };
        let (one, two) = (source.make(id).unwrap(), source.make(id).unwrap());
        let (one, two) = (&one.resources[0], &two.resources[0]);
        assert_eq!(one.entries, two.entries);
        let harm = one.harm.unwrap();
        assert_eq!(harm.course, Course::Gradual);
        assert!(0.0 < harm.onset && harm.onset < harm.at && harm.at <= one.record.end());
        // The course is at its limit when the truth says so, but for the noise.
        let probe = one.record.at.iter().position(|at| *at >= harm.at).unwrap();
        assert!((one.record.row(probe)[0].abs() - 1.0).abs() < 0.7);
    }

    #[test]
    fn what_is_to_be_held_has_no_harm_to_be_caught() {
        let source = source(&["fleet_drift"]);
        let case = source.make(Id { family: 0, seed: 1 }).unwrap();
        assert!(case.resources.len() >= 6);
        assert!(
            case.resources
                .iter()
                .all(|resource| resource.harm.is_none())
        );
    }

    #[test]
    fn a_trace_stays_inside_its_limits_until_its_ramp_takes_it_out() {
        let source = Source::cut_from_made_up(3000);
        for seed in 0..4 {
            let quiet = source.make(Id { family: 0, seed }).unwrap();
            assert_eq!(quiet.resources[0].harm, None);
            let name = if seed % 2 == 0 { "real.a" } else { "real.b" };
            assert_eq!(quiet.resources[0].name.as_str(), name);
            let ramp = source.make(Id { family: 1, seed }).unwrap();
            let harm = ramp.resources[0].harm.unwrap();
            assert!(harm.course == Course::Gradual && harm.onset < harm.at);
        }
    }
}
