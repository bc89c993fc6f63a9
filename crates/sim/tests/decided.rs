//! Stories of what is decided over longer courses, and of what is not: approvals, reverts, rollouts, flapping,
//! judgements. A record is replayed as `evenkeel simulate` does it, and Evenkeel itself tells what it thought.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_core::band::Judgement;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::Command;
use evenkeel_core::failover::{Capabilities, Outcome};
use evenkeel_core::forecast::ForecasterFactory;
use evenkeel_core::policy::{Mode, Policy, PropertyRule, Tolerance, When};
use evenkeel_core::property::{Observed, Probe, Severity, Value};
use evenkeel_core::replay::{Assumed, Entry, Fleet, Setting};
use evenkeel_core::{BaselineVersion, EventId, Instance, PropertyPath, ResourceId, Timestamp};
use evenkeel_forecast::MixtureFactory;
use evenkeel_scenario::random::Seeded;
use evenkeel_sim::trend::{Trends, TrendsWithOnset};
use evenkeel_sim::world::START;

mod golden;

const TICK: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// A policy that acts on `pool` when it goes from 400 to 1000, and speaks of `heap`, which may go to 2000.
fn acting() -> Policy {
    let rule = |path, upper, severity| {
        let limits = Tolerance::Limits {
            lower: None,
            upper: Some(upper),
        };
        let mut rule = PropertyRule::new(path, limits).unwrap();
        rule.severity = Some(severity);
        rule
    };
    Policy {
        mode: Mode::Act,
        warm_up: Some(Duration::ZERO),
        rules: vec![
            rule("pool", 1000.0, Severity::Critical),
            rule("heap", 2000.0, Severity::Warn),
        ],
        ..Policy::default()
    }
}

type Property = fn(f64) -> Observed;

fn setting(value: f64) -> Observed {
    Observed::configuration(Value::Number(value))
}

fn capacity(value: f64) -> Observed {
    Observed::capacity(value, None)
}

fn found(observed: Property, values: &[(&'static str, f64)]) -> BTreeMap<PropertyPath, Observed> {
    let all = values.iter();
    all.map(|(path, value)| ((*path).into(), observed(*value)))
        .collect()
}

/// A tale of one resource, or of several that are alike.
struct Tale {
    policy: Policy,
    /// Whether somebody sets the values, or they come about.
    property: Property,
    forecasts: Box<dyn ForecasterFactory>,
    activation: Duration,
    resources: Vec<ResourceId>,
    approved: Vec<(&'static str, f64)>,
    now: Timestamp,
    happened: Vec<(usize, Entry)>,
    headings: Vec<(Timestamp, &'static str)>,
}

impl Tale {
    fn of(policy: Policy) -> Self {
        Self {
            policy,
            property: capacity,
            forecasts: Box::new(Trends),
            activation: Duration::from_secs(5),
            resources: vec!["web".into()],
            approved: vec![("pool", 400.0)],
            now: START,
            happened: Vec::new(),
            headings: Vec::new(),
        }
    }

    fn heading(&mut self, what: &'static str) {
        self.headings.push((self.now, what));
    }

    /// Lets `ticks` pass in which the pool of each resource is as `level` says of its number and the tick.
    fn pass(&mut self, ticks: u32, mut level: impl FnMut(usize, u32) -> f64) {
        self.pass_with(ticks, |resource, tick| {
            vec![("pool", level(resource, tick))]
        });
    }

    /// The same with several properties.
    fn pass_with(
        &mut self,
        ticks: u32,
        mut values: impl FnMut(usize, u32) -> Vec<(&'static str, f64)>,
    ) {
        for tick in 0..ticks {
            for resource in 0..self.resources.len() {
                let probe = Probe {
                    at: self.now,
                    instance: Instance::A,
                    properties: found(self.property, &values(resource, tick)),
                    unreadable: BTreeMap::new(),
                };
                self.happened.push((resource, Entry::Probed(probe)));
            }
            self.now = self.now + TICK;
        }
    }

    /// Ann approves what is there now.
    fn approve(&mut self) {
        let entry = Entry::Accepted {
            at: self.now,
            paths: BTreeSet::new(),
            by: "ann".to_owned(),
        };
        self.happened.push((0, entry));
    }

    /// Ann asks for something.
    fn command(&mut self, command: Command) {
        let entry = Entry::Commanded {
            at: self.now,
            command,
            by: "ann".to_owned(),
        };
        self.happened.push((0, entry));
    }

    /// Replays it: what is told.
    fn told(self) -> Vec<String> {
        let baseline = Baseline {
            version: BaselineVersion(1),
            at: START,
            by: "ann".to_owned(),
            note: String::new(),
            properties: found(self.property, &self.approved),
            learned: BTreeMap::new(),
            pinned: None,
        };
        let told_of = |resource| Setting {
            resource,
            policy: &self.policy,
            baseline: &baseline,
            factory: self.forecasts.as_ref(),
            assumed: Assumed {
                capabilities: Capabilities::STATELESS,
                activation: self.activation,
                moving: Duration::from_secs(15),
                outcome: Outcome::Done,
                reinstating: MINUTE,
            },
        };
        let settings: Vec<Setting<'_>> = self.resources.iter().map(told_of).collect();
        let mut fleet = Fleet::new(&settings);
        for (resource, entry) in self.happened {
            fleet.take(resource, entry).unwrap();
        }
        let replayed = fleet.finish();
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        let is_fleet = self.resources.len() > 1;
        for (resource, replayed) in self.resources.iter().zip(&replayed) {
            let name = if is_fleet {
                format!("{resource}: ")
            } else {
                String::new()
            };
            let told = replayed.decisions.iter().map(|decided| {
                let sentence = decided.decision.explanation.reason.sentence();
                (
                    decided.at,
                    format!("{} {name}{sentence}", clock(decided.at)),
                )
            });
            lines.extend(told);
        }
        // What is told at one instant is told in the order of resources.
        lines.sort_by_key(|(at, _)| *at);
        let headings = self.headings.iter().rev();
        for (at, heading) in headings {
            let place = lines.partition_point(|(told, _)| told < at);
            lines.insert(place, (*at, format!("\n# {heading}")));
        }
        let mut told: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        told.push("\n# In the end".to_owned());
        for (resource, replayed) in self.resources.iter().zip(&replayed) {
            let (moves, in_time) = (replayed.moves, replayed.in_time);
            told.push(format!(
                "{resource}: failovers {moves}, before the limit {in_time}"
            ));
        }
        told
    }

    /// Compares what is told with what was committed.
    fn end(self, name: &str) {
        golden::compare(name, &self.told());
    }
}

/// The time of day; all tales end on the day they begin.
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// A scatter of ± `width`, the same every time.
fn noise(seed: u64, width: f64) -> impl FnMut() -> f64 {
    let mut random = Seeded::new(seed);
    move || random.between(-width, width)
}

#[test]
fn an_approved_rollout_is_the_new_normal() {
    let mut tale = Tale::of(acting());
    let mut noise = noise(1, 2.0);
    tale.heading("Ten quiet minutes");
    tale.pass(60, |_, _| 400.0 + noise());
    tale.heading("A rollout sets the pool to 700");
    tale.pass(2, |_, _| 700.0 + noise());
    tale.heading("Ann approves it, and an hour passes");
    tale.approve();
    tale.pass(360, |_, _| 700.0 + noise());
    tale.heading("From there it grows by 1 every ten seconds");
    tale.pass(200, |_, tick| 700.0 + f64::from(tick) + noise());
    tale.end("approved_rollout");
}

#[test]
fn a_change_that_is_taken_back_is_no_drift() {
    let mut tale = Tale::of(Policy {
        horizon: 15 * MINUTE,
        ..acting()
    });
    tale.property = setting;
    tale.heading("Somebody sets the pool from 400 to 550, and takes that back soon after");
    tale.pass(60, |_, _| 400.0);
    tale.pass(10, |_, _| 550.0);
    tale.heading("It is as approved again");
    tale.pass(120, |_, _| 400.0);
    tale.end("taken_back");
}

#[test]
fn with_the_real_forecaster_a_step_within_the_band_and_back_is_no_drift_either() {
    for up in [3, 30, 360] {
        let mut tale = Tale::of(acting());
        tale.property = setting;
        tale.forecasts = Box::new(MixtureFactory::default());
        tale.pass(60, |_, _| 400.0);
        tale.pass(up, |_, _| 550.0);
        tale.pass(360, |_, _| 400.0);
        let told = tale.told();
        assert!(
            !told.iter().any(|line| line.contains("failing over")),
            "{told:#?}"
        );
    }
}

#[test]
fn the_same_drift_on_many_resources_is_a_rollout_and_moves_nobody() {
    let mut tale = Tale::of(acting());
    tale.resources = ["web-1", "web-2", "web-3", "web-4", "web-5"]
        .map(Into::into)
        .to_vec();
    let mut noises: Vec<_> = (1..=5).map(|seed| noise(seed, 2.0)).collect();
    tale.heading("A change that reaches five machines at once makes their pools grow");
    tale.pass(60, |of, _| 400.0 + noises[of]());
    tale.pass(120, |of, tick| 400.0 + 5.0 * f64::from(tick) + noises[of]());
    tale.end("fleet");
}

#[test]
fn a_drift_of_one_resource_among_many_is_its_own() {
    let mut tale = Tale::of(acting());
    tale.resources = ["web-1", "web-2", "web-3", "web-4", "web-5"]
        .map(Into::into)
        .to_vec();
    let mut noises: Vec<_> = (1..=5).map(|seed| noise(seed, 2.0)).collect();
    tale.heading("The pool of one machine of five grows");
    tale.pass(60, |of, _| 400.0 + noises[of]());
    tale.pass(120, |of, tick| {
        let grown = if of == 2 { 5.0 * f64::from(tick) } else { 0.0 };
        400.0 + grown + noises[of]()
    });
    tale.end("one_of_many");
}

#[test]
fn two_properties_that_drift_together_are_acted_on_sooner() {
    let heap_grows_by = |grows_by: f64, heading: &'static str| {
        let mut tale = Tale::of(acting());
        tale.forecasts = Box::new(TrendsWithOnset);
        tale.approved = vec![("pool", 400.0), ("heap", 1000.0)];
        let (mut pool, mut heap) = (noise(1, 30.0), noise(2, 30.0));
        tale.heading(heading);
        let mut values = |grown: f64| {
            let pool = ("pool", 400.0 + 1.5 * grown + pool());
            vec![pool, ("heap", 1000.0 + grows_by * grown + heap())]
        };
        tale.pass_with(90, |_, _| values(0.0));
        tale.pass_with(240, |_, tick| values(f64::from(tick)));
        tale.told()
    };
    let alone = heap_grows_by(0.0, "The pool grows, and the heap does not");
    let together = heap_grows_by(4.0, "The pool grows, and the heap with it");
    golden::compare("together", &[alone, together].concat());
}

#[test]
fn flapping_is_held_back() {
    let mut tale = Tale::of(acting());
    let mut noise = noise(1, 2.0);
    for heading in [
        "The pool leaks, and is emptied by a restart after half an hour",
        "Again",
        "And again",
        "And once more",
    ] {
        tale.heading(heading);
        tale.pass(60, |_, _| 400.0 + noise());
        tale.pass(180, |_, tick| 400.0 + 4.0 * f64::from(tick) + noise());
    }
    tale.end("flapping");
}

#[test]
fn a_false_alarm_widens_the_band() {
    let mut tale = Tale::of(Policy {
        mode: Mode::Advise,
        horizon: 5 * MINUTE,
        ..acting()
    });
    let mut noise = noise(1, 2.0);
    let mut hump = |tick: u32| 400.0 + 2.0 * f64::from(tick.min(180 - tick)) + noise();
    tale.heading("The pool swells to 580 and shrinks again");
    tale.pass(60, |_, _| 400.0);
    tale.pass(180, |_, tick| hump(tick));
    tale.heading("Ann says that this was nothing, and it comes again");
    tale.command(Command::Judge {
        event: EventId(7),
        path: "pool".into(),
        judgement: Judgement::FalseAlarm,
    });
    tale.pass(180, |_, tick| hump(tick));
    tale.heading("A drift that does not end is told of all the same");
    tale.pass(200, |_, tick| 400.0 + 2.0 * f64::from(tick));
    tale.end("false_alarm");
}

#[test]
fn latest_safe_waits_as_long_as_an_activation_allows() {
    let mut tale = Tale::of(Policy {
        when: When::LatestSafe,
        ..acting()
    });
    tale.activation = 2 * MINUTE;
    let mut noise = noise(1, 2.0);
    tale.heading("The pool grows by 2 every ten seconds; an activation takes two minutes");
    tale.pass(60, |_, _| 400.0 + noise());
    tale.pass(300, |_, tick| 400.0 + 2.0 * f64::from(tick) + noise());
    tale.end("latest_safe");
}
