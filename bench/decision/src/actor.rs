//! Acts on a detector's alarms as Evenkeel acts on its own: the same guards against flapping, the same
//! healing. So what is compared is when they call for a failover, and nothing else.
//!
//! - An alarm, or a deviation that is at the limit now, which lasts for the setting's evaluations in a row
//!   on one property calls for a failover.
//! - A property that called on at least the policy's number of other resources a moment ago is shared fate, and
//!   held (as in [`evenkeel_core::fleet`]).
//! - After a failover none follows for the policy's cool-down, and no more than its number within its time; none
//!   is made while a person has opened a window or paused.
//! - A failover heals the property that called for it and every other configuration that differs, until the
//!   record itself has come half of the way back (as in [`evenkeel_core::replay`]). All detectors start anew then,
//!   and those of a property whose baseline moved.

use evenkeel_core::fleet::remembered_for;
use evenkeel_core::policy::Policy;
use evenkeel_core::property::Origin;

use crate::detector::{Context, Detector, Method};
use crate::record::Record;

/// A move of clients that was started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Failover {
    /// When, in seconds since the start of the record.
    pub(crate) at: f64,
    /// Whether a prediction called for it, while no property was at its limit.
    pub(crate) predicted: bool,
}

/// What holds failovers back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Guards {
    cool_down: f64,
    failovers_max: usize,
    failovers_within: f64,
    shared_at: usize,
    shared_for: f64,
}

impl From<&Policy> for Guards {
    fn from(policy: &Policy) -> Self {
        Self {
            cool_down: policy.cool_down.as_secs_f64(),
            failovers_max: policy.max_failovers as usize,
            failovers_within: policy.max_failovers_within.as_secs_f64(),
            shared_at: policy.shared_fate_at as usize,
            shared_for: remembered_for(policy).as_secs_f64(),
        }
    }
}

impl Guards {
    fn allow(self, at: f64, before: &[Failover]) -> bool {
        let within = before
            .iter()
            .filter(|f| at - f.at < self.failovers_within)
            .count();
        let cooled = before.last().is_none_or(|f| at - f.at >= self.cool_down);
        cooled && within < self.failovers_max
    }

    /// Whether a property called on so many others of the fleet a moment ago.
    fn shared_by(self, fleet: &[Resource<'_>], number: usize, property: usize, at: f64) -> bool {
        let own = fleet[number].record;
        let path = &own.properties[property].path;
        let calls = |other: &Resource<'_>| {
            let offset = other.record.start.as_millis() - own.start.as_millis();
            let now = at - offset as f64 / 1000.0;
            let pairs = other.record.properties.iter().zip(&other.watched);
            let mut same = pairs.filter(|(property, _)| property.path == *path);
            same.any(|(_, one)| now - one.called_at <= self.shared_for)
        };
        let others = fleet.iter().enumerate().filter(|(i, _)| *i != number);
        others.filter(|(_, other)| calls(other)).count() >= self.shared_at
    }
}

/// What a method says of each property of a record if nothing is done: per probe, in the order of
/// [`Record::deviations`]. Until the first failover that is what every setting of it hears, so it is worked out once.
pub(crate) struct Undisturbed {
    method: Method,
    alarms: Vec<bool>,
}

impl Undisturbed {
    pub(crate) fn new(record: &Record, method: Method, context: Context) -> Self {
        let width = record.properties.len();
        let mut alarms = vec![false; record.deviations.len()];
        for property in 0..width {
            let mut detector = method.detector(context);
            for (probe, at) in record.at.iter().enumerate() {
                if record.recentred.contains(&probe) {
                    detector = method.detector(context);
                }
                let deviation = record.row(probe)[property];
                if !deviation.is_nan() {
                    alarms[probe * width + property] = detector.observe(*at, deviation);
                }
            }
        }
        Self { method, alarms }
    }
}

/// One property under a detector.
struct Watched {
    /// `None` before the first failover: it is undisturbed.
    detector: Option<Box<dyn Detector>>,
    /// How many evaluations in a row called for a failover.
    lasting: u32,
    /// When it last did.
    called_at: f64,
    /// The deviation that a failover healed.
    healed_from: Option<f64>,
}

/// One resource of a fleet.
struct Resource<'a> {
    record: &'a Record,
    undisturbed: &'a Undisturbed,
    context: Context,
    watched: Vec<Watched>,
    failovers: Vec<Failover>,
}

/// The failovers that a setting makes on each resource of a fleet.
pub(crate) fn act(
    records: &[&Record],
    undisturbed: &[Undisturbed],
    sustain: u32,
    context: Context,
    guards: Guards,
) -> Vec<Vec<Failover>> {
    let mut fleet: Vec<Resource<'_>> = records
        .iter()
        .zip(undisturbed)
        .map(|(record, undisturbed)| Resource {
            record,
            undisturbed,
            context,
            watched: record.properties.iter().map(|_| Watched::new()).collect(),
            failovers: Vec::new(),
        })
        .collect();
    for (number, probe) in in_order(records) {
        let Some(path) = fleet[number].assess(probe, sustain) else {
            continue;
        };
        let at = records[number].at[probe];
        let held = records[number].is_held(at) || guards.shared_by(&fleet, number, path, at);
        let resource = &mut fleet[number];
        if !held && guards.allow(at, &resource.failovers) {
            resource.fail_over(probe, sustain);
        }
    }
    fleet
        .into_iter()
        .map(|resource| resource.failovers)
        .collect()
}

/// Resource and probe of every probe of a fleet, in order of time.
fn in_order(records: &[&Record]) -> Vec<(usize, usize)> {
    let all = records.iter().enumerate();
    let mut order: Vec<(usize, usize)> = all
        .flat_map(|(number, record)| (0..record.at.len()).map(move |probe| (number, probe)))
        .collect();
    if records.len() > 1 {
        let instant = |&(number, probe): &(usize, usize)| {
            let record = records[number];
            record.start.as_millis() as f64 / 1000.0 + record.at[probe]
        };
        order.sort_by(|a, b| instant(a).total_cmp(&instant(b)));
    }
    order
}

impl Resource<'_> {
    /// Takes one probe; the property that calls for a failover, if any does.
    fn assess(&mut self, probe: usize, sustain: u32) -> Option<usize> {
        let at = self.record.at[probe];
        if self.record.recentred.contains(&probe) {
            self.start_anew();
        }
        let undisturbed = &self.undisturbed.alarms[probe * self.watched.len()..];
        let mut calling = None;
        for (i, found) in self.record.row(probe).iter().enumerate() {
            let one = &mut self.watched[i];
            let Some(deviation) = one.seen(*found) else {
                continue;
            };
            let alarm = match &mut one.detector {
                Some(detector) => detector.observe(at, deviation),
                None => undisturbed[i],
            };
            let calls = alarm || deviation.abs() >= 1.0;
            one.lasting = if calls { one.lasting + 1 } else { 0 };
            if one.lasting >= sustain {
                one.called_at = at;
                calling = calling.or(Some(i));
            }
        }
        calling
    }

    fn fail_over(&mut self, probe: usize, sustain: u32) {
        let row = self.record.row(probe);
        let seen = self.watched.iter().zip(row);
        let at_limit =
            |(one, found): (&Watched, &f64)| one.healed_from.is_none() && found.abs() >= 1.0;
        self.failovers.push(Failover {
            at: self.record.at[probe],
            predicted: !seen.into_iter().any(at_limit),
        });
        for ((one, found), property) in self
            .watched
            .iter_mut()
            .zip(row)
            .zip(&self.record.properties)
        {
            let called = one.lasting >= sustain;
            let differs = property.origin == Origin::Configuration && *found != 0.0;
            if found.is_finite() && one.healed_from.is_none() && (called || differs) {
                one.healed_from = Some(*found);
            }
        }
        for one in &mut self.watched {
            one.detector = Some(self.undisturbed.method.detector(self.context));
        }
        self.start_anew();
    }

    fn start_anew(&mut self) {
        for one in &mut self.watched {
            one.lasting = 0;
            if let Some(detector) = &mut one.detector {
                *detector = self.undisturbed.method.detector(self.context);
            }
        }
    }
}

impl Watched {
    fn new() -> Self {
        Self {
            detector: None,
            lasting: 0,
            called_at: f64::NEG_INFINITY,
            healed_from: None,
        }
    }

    /// The deviation as it is after what was healed; `None` in a gap.
    fn seen(&mut self, found: f64) -> Option<f64> {
        if found.is_nan() {
            return None;
        }
        match self.healed_from {
            Some(from) if found.abs() > from.abs() / 2.0 => Some(0.0),
            Some(_) | None => {
                self.healed_from = None;
                Some(found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    const CONTEXT: Context = Context {
        step: 60.0,
        horizon: 1200.0,
    };

    fn guards() -> Guards {
        Guards {
            cool_down: 600.0,
            failovers_max: 2,
            failovers_within: 86_400.0,
            shared_at: 2,
            shared_for: 600.0,
        }
    }

    fn run(records: &[&Record], fraction: f64, sustain: u32) -> Vec<Vec<Failover>> {
        let method = Method::StaticThreshold { fraction };
        let of = |record: &&Record| Undisturbed::new(record, method, CONTEXT);
        let undisturbed: Vec<Undisturbed> = records.iter().map(of).collect();
        act(records, &undisturbed, sustain, CONTEXT, guards())
    }

    fn at(record: &Record, fraction: f64, sustain: u32) -> Vec<f64> {
        let failovers = run(&[record], fraction, sustain);
        failovers[0].iter().map(|f| f.at / 60.0).collect()
    }

    #[test]
    fn an_alarm_has_to_last_and_what_it_heals_stays_healed() {
        let ramp: Vec<f64> = (0..40).map(|i| 0.1 * f64::from(i)).collect();
        assert_eq!(at(&record(60.0, &[&ramp]), 0.5, 1), [5.0]);
        assert_eq!(at(&record(60.0, &[&ramp]), 0.5, 3), [7.0]);
    }

    #[test]
    fn what_came_back_speaks_again_and_the_guards_hold() {
        let mut values = vec![0.0; 100];
        for episode in [10, 14, 40, 70] {
            values[episode] = 0.9;
        }
        // The second lies in the cool-down, the fourth is one too many.
        assert_eq!(at(&record(60.0, &[&values]), 0.5, 1), [10.0, 40.0]);
    }

    #[test]
    fn the_limit_itself_calls_for_a_failover_whatever_the_detector_says() {
        let mut values = vec![0.0; 30];
        values[20..].fill(1.0);
        let failovers = run(&[&record(60.0, &[&values])], 2.0, 2);
        assert_eq!(failovers[0].len(), 1);
        assert!(failovers[0][0].at == 21.0 * 60.0 && !failovers[0][0].predicted);
    }

    #[test]
    fn nothing_is_done_while_a_window_is_open() {
        let mut held = record(60.0, &[&[0.9; 20]]);
        held.holds.push((0.0, 600.0));
        assert_eq!(at(&held, 0.5, 1), [10.0]);
    }

    #[test]
    fn a_gap_is_neither_an_alarm_nor_the_end_of_one() {
        let values = [0.0, 0.9, f64::NAN, f64::NAN, 0.9, 0.0];
        assert_eq!(at(&record(60.0, &[&values]), 0.5, 2), [4.0]);
    }

    #[test]
    fn the_same_on_many_resources_at_once_is_held() {
        // No longer than the drift of the others is remembered.
        let (mut early, mut late) = ([0.0; 15], [0.0; 15]);
        early[5..].fill(0.9);
        late[6..].fill(0.9);
        let records = [&early, &early, &late].map(|course| record(60.0, &[course]));
        let all: Vec<&Record> = records.iter().collect();
        let counts = |records: &[&Record]| -> Vec<usize> {
            let failovers = run(records, 0.5, 1);
            failovers.iter().map(Vec::len).collect()
        };
        assert_eq!(counts(&all[..2]), [1, 1], "one other is not enough");
        assert_eq!(counts(&all), [1, 1, 0]);
    }
}
