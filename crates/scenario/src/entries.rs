//! What happens to a resource, as a replay reads it: probes, lost probes, and what people do.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use evenkeel_core::decide::Command;
use evenkeel_core::property::{Observed, Probe};
use evenkeel_core::replay::Entry;
use evenkeel_core::{Instance, PropertyPath, Timestamp};

use crate::generate::{Made, observed};
use crate::random::Seeded;
use crate::running::{Course, Seen};
use crate::scenario::{self, Asked, Resource};

/// The entries of one resource, in order of time.
#[derive(Clone, Debug)]
pub struct Entries {
    made: Made,
    next_probe: u64,
    /// The probe that is due, or what came instead of it, where something else came first.
    waiting: Option<Entry>,
    /// What people do, in order of time.
    agenda: VecDeque<(Timestamp, Order, Entry)>,
    properties: BTreeMap<PropertyPath, Observed>,
    varying: Vec<Varying>,
    sampling: Sampling,
    lost_since: Option<Timestamp>,
}

/// What comes first at one instant: a window covers the probe at its first instant, and an approval is
/// of what that probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    BeforeProbe,
    AfterProbe,
}

#[derive(Clone, Debug)]
struct Varying {
    path: PropertyPath,
    observed: Observed,
    course: Course,
    unreadable: Option<(f64, Seeded)>,
}

#[derive(Clone, Debug)]
struct Sampling {
    random: Seeded,
    /// From, until, and what the probe says; gaps say nothing.
    stretches: Vec<(f64, f64, Option<String>)>,
}

impl Entries {
    pub(crate) fn new(made: &Made) -> Self {
        let within = made.surroundings();
        let mut varying = Vec::new();
        for property in &made.resource().property {
            for path in property.paths() {
                let course = Course::new(property, &path, &within, true);
                let unreadable = (property.unreadable > 0.0).then(|| {
                    let name = format!("{}\n{path}\nunreadable", within.resource);
                    (property.unreadable, Seeded::named(made.seed, &name))
                });
                if !course.is_constant() || unreadable.is_some() {
                    varying.push(Varying {
                        path: PropertyPath::new(path),
                        observed: observed(property),
                        course,
                        unreadable,
                    });
                }
            }
        }
        Self {
            next_probe: 0,
            waiting: None,
            agenda: agenda(made),
            properties: made.baseline.properties.clone(),
            varying,
            sampling: Sampling::new(made),
            lost_since: None,
            made: made.clone(),
        }
    }

    /// The next probe, or what came instead; `None` at the end.
    fn probe(&mut self) -> Option<Entry> {
        let probes = self.made.probes();
        while self.next_probe < probes {
            let due = self.made.due(self.next_probe);
            self.next_probe += 1;
            let at = self.made.scenario.start + Duration::from_secs_f64(due);
            let unreadable = self.advance(due);
            match self.sampling.at(due, self.made.resource()) {
                Sampled::Taken { late } => {
                    self.lost_since = None;
                    return Some(Entry::Probed(self.taken(at + late, &unreadable)));
                }
                Sampled::Lost(why) => {
                    let since = *self.lost_since.get_or_insert(at);
                    return Some(Entry::Lost { at, since, why });
                }
                Sampled::Missing => {}
            }
        }
        None
    }

    /// Brings all properties to `due`; which of them cannot be read.
    fn advance(&mut self, due: f64) -> Vec<PropertyPath> {
        let mut unreadable = Vec::new();
        for varying in &mut self.varying {
            if varying.course.advance(due) {
                match &varying.course.seen {
                    Seen::There(value) => {
                        let observed = Observed {
                            value: value.clone(),
                            ..varying.observed.clone()
                        };
                        self.properties.insert(varying.path.clone(), observed);
                    }
                    Seen::Gone | Seen::Unread => {
                        self.properties.remove(&varying.path);
                    }
                }
            }
            let is_hidden =
                (varying.unreadable.as_mut()).is_some_and(|(share, random)| random.unit() < *share);
            if is_hidden || varying.course.seen == Seen::Unread {
                unreadable.push(varying.path.clone());
            }
        }
        unreadable
    }

    fn taken(&self, at: Timestamp, unreadable: &[PropertyPath]) -> Probe {
        let mut properties = self.properties.clone();
        for path in unreadable {
            properties.remove(path);
        }
        let reason = |path: &PropertyPath| (path.clone(), "cannot be read".to_owned());
        Probe {
            at,
            instance: Instance::A,
            properties,
            unreadable: unreadable.iter().map(reason).collect(),
        }
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let probe = self.waiting.take().or_else(|| self.probe());
        let comes_first = match (self.agenda.front(), &probe) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((at, Order::BeforeProbe, _)), Some(probe)) => *at <= probe.at(),
            (Some((at, Order::AfterProbe, _)), Some(probe)) => *at < probe.at(),
        };
        if comes_first {
            self.waiting = probe;
            return self.agenda.pop_front().map(|(_, _, entry)| entry);
        }
        probe
    }
}

enum Sampled {
    Taken { late: Duration },
    Lost(String),
    Missing,
}

impl Sampling {
    fn new(made: &Made) -> Self {
        let (within, resource) = (made.surroundings(), made.resource());
        let stretch = |at, lasting: Duration, why| {
            let from = within.scenario.seconds(at);
            (from, from + lasting.as_secs_f64(), why)
        };
        let gaps = resource
            .gap
            .iter()
            .map(|gap| stretch(gap.at, gap.lasting, None));
        let lost = (resource.lost.iter())
            .map(|lost| stretch(lost.at, lost.lasting, Some(lost.why.clone())));
        Self {
            random: Seeded::named(made.seed, &format!("{}\n\nsampling", within.resource)),
            stretches: gaps.chain(lost).collect(),
        }
    }

    /// What becomes of the probe that is due now. It always draws the same number of times.
    fn at(&mut self, due: f64, resource: &Resource) -> Sampled {
        let (missing, late, how_late) =
            (self.random.unit(), self.random.unit(), self.random.unit());
        let within = (self.stretches.iter()).find(|(from, until, _)| *from <= due && due < *until);
        match (within, resource.late) {
            (Some((_, _, Some(why))), _) => Sampled::Lost(why.clone()),
            (Some((_, _, None)), _) => Sampled::Missing,
            (None, _) if missing < resource.missing => Sampled::Missing,
            (None, Some(rule)) if late < rule.share => Sampled::Taken {
                late: rule.by.mul_f64(how_late),
            },
            (None, _) => Sampled::Taken {
                late: Duration::ZERO,
            },
        }
    }
}

/// What people do with a resource, in order of time.
fn agenda(made: &Made) -> VecDeque<(Timestamp, Order, Entry)> {
    let scenario = &made.scenario;
    let mut all = Vec::new();
    for command in scenario
        .command
        .iter()
        .filter(|c| made.is_meant(c.resource.as_ref()))
    {
        let at = scenario.instant(command.at);
        let entry = Entry::Commanded {
            at,
            command: asked(command, at),
            by: command.by.clone(),
        };
        all.push((at, Order::BeforeProbe, entry));
    }
    for (from, window) in made.windows() {
        let command = Command::OpenWindow {
            from,
            until: from + window.lasting,
            why: window.why.clone(),
        };
        let entry = Entry::Commanded {
            at: from,
            command,
            by: window.by.clone(),
        };
        all.push((from, Order::BeforeProbe, entry));
    }
    for (at, approval) in made.approvals() {
        all.push((at, Order::AfterProbe, accepted(at, approval)));
    }
    all.retain(|(at, _, _)| *at < scenario.end());
    all.sort_by_key(|(at, order, _)| (*at, *order));
    all.into()
}

/// An approval as a replay reads it.
fn accepted(at: Timestamp, approval: &scenario::Approval) -> Entry {
    let paths = approval.paths.iter().map(String::as_str);
    Entry::Accepted {
        at,
        paths: paths.map(PropertyPath::from).collect(),
        by: approval.by.clone(),
    }
}

fn asked(command: &scenario::Command, at: Timestamp) -> Command {
    const APPROVED_FOR: Duration = Duration::from_secs(3600);
    match command.asked {
        Asked::Failover => Command::Failover,
        Asked::Switchover => Command::Switchover,
        Asked::Failback => Command::Failback,
        Asked::Reinstate => Command::Reinstate,
        Asked::Pause => Command::Pause {
            why: command.why.clone(),
            until: command.lasting.map(|lasting| at + lasting),
        },
        Asked::Resume => Command::Resume,
        Asked::Approve => Command::Approve {
            until: at + command.lasting.unwrap_or(APPROVED_FOR),
        },
        Asked::Release => Command::Release,
    }
}
