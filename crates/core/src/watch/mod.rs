//! The watch over one resource: from a probe to the outlook of every property. Pure and
//! deterministic; the daemon, `simulate` and the tests drive the same code.
//!
//! What is learned (forecasts, half-widths, refinement) lives here, per property. Invariants:
//! - What could not be read is unknown: it gets no outlook and feeds no model.
//! - A property that has never moved costs one observation and no forecast.
//! - Half-widths and refinement learn only while the property is in control: inside its band (with the season of the
//!   moment) and without a drift that has set in. So a slow drift cannot widen the band it is measured by.
//!
//! How it survives a restart is in [`learned`], how models are refitted beside it in [`refit`].

mod jobs;
pub mod learned;
pub mod refit;
mod roster;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::band::{self, Judgement, Refinement};
use crate::baseline::Baseline;
use crate::company::{keep_company, together_within};
use crate::deviation::{Scale, deviation};
use crate::forecast::{
    Change, Forecast, Forecaster, ForecasterFactory, HorizonGrid, ModelWeight, Swing,
};
use crate::harm::Excursions;
use crate::ids::PropertyPath;
use crate::measure::{Measure, Measured};
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::{Policy, PropertyRule, Tolerance};
use crate::property::{Observed, Origin, Probe, Severity};
use crate::surprise::{self, Expected, Surprise};
use crate::time::Timestamp;

pub use self::jobs::{InTurn, Job, Workers};
use self::learned::Keeping;
use self::refit::Refitting;
use self::roster::Roster;

/// What was learned of one property.
#[derive(Debug)]
struct Tracker {
    forecaster: Box<dyn Forecaster>,
    refinement: Refinement,
    excursions: Excursions,
    /// It deviated at least once since it is watched.
    moved: bool,
    /// What a deviation of 1 was at the last observation.
    scale: Option<Scale>,
    /// How the last deviation came from a measured value, if it did.
    measure: Option<Measure>,
    /// The instant of the first observation, and of the last one.
    since: Option<Timestamp>,
    last_at: Option<Timestamp>,
    /// What was forecast at the last observation.
    expected: Option<Expected>,
    refitting: Refitting,
    keeping: Keeping,
}

/// One observation of a property.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    deviation: f64,
    measured: Option<Measured>,
}

impl Seen {
    fn tell(&self, forecaster: &mut dyn Forecaster, in_control: bool) {
        forecaster.set_in_control(in_control);
        match &self.measured {
            Some(measured) => forecaster.observe_measured(self.at, self.deviation, measured),
            None => forecaster.observe(self.at, self.deviation),
        }
    }
}

/// The watch over one resource.
#[derive(Debug)]
pub struct Watch {
    grid: HorizonGrid,
    trackers: BTreeMap<PropertyPath, Tracker>,
    /// What is watched, and the rule about each.
    roster: Roster,
    /// Properties that are not watched any longer, since this was last asked for.
    forgotten: BTreeSet<PropertyPath>,
    /// Given to the last fork. It never starts anew, so that no fork of a former course is adopted.
    last_ticket: u64,
}

/// How the forecast of a property is made, for `forecast --explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastInsight {
    /// Which models speak, with what weight.
    pub weights: Vec<ModelWeight>,
    /// The measured coverage of past 90 % intervals, and over how many.
    pub coverage_90: Option<(f64, u64)>,
    /// Half-widths `(below, above)` of the 90 % interval while in control.
    pub in_control_90: Option<(f64, f64)>,
    /// The change with which the present regime set in; its size is in tolerances.
    pub change: Option<Change>,
    /// The size of that change in the property's unit, where it is a number that is measured.
    pub change_measured: Option<f64>,
}

impl Watch {
    /// A watch that knows nothing yet.
    pub fn new(policy: &Policy) -> Self {
        Self {
            grid: grid(policy),
            trackers: BTreeMap::new(),
            roster: Roster::default(),
            forgotten: BTreeSet::new(),
            last_ticket: 0,
        }
    }

    /// Whether the policy's step and horizon are those this watch forecasts for; otherwise it has to
    /// [start anew](Watch::start_anew).
    pub fn fits(&self, policy: &Policy) -> bool {
        self.grid == grid(policy)
    }

    /// Forgets everything: what was learned no longer holds.
    pub fn start_anew(&mut self, policy: &Policy) {
        self.grid = grid(policy);
        let all = std::mem::take(&mut self.trackers);
        self.forgotten.extend(all.into_keys());
    }

    /// Takes one probe, and says how every watched property stands, most urgent first.
    pub fn assess(
        &mut self,
        policy: &Policy,
        baseline: &Baseline,
        probe: &Probe,
        factory: &dyn ForecasterFactory,
    ) -> Vec<PropertyOutlook> {
        self.assess_by(&InTurn, policy, baseline, probe, factory)
    }

    /// The same, whoever does the work.
    pub fn assess_by(
        &mut self,
        workers: &dyn Workers,
        policy: &Policy,
        baseline: &Baseline,
        probe: &Probe,
        factory: &dyn ForecasterFactory,
    ) -> Vec<PropertyOutlook> {
        if self.roster.renew(policy, baseline, probe) {
            self.forget_others();
        }
        let Self {
            grid,
            trackers,
            roster,
            ..
        } = self;
        let fresh = |path: &PropertyPath| Tracker::new(factory.forecaster(grid, seed(path)));
        let mut ones = Vec::with_capacity(roster.len());
        for (watched, approved, found) in roster.side_by_side(baseline, probe) {
            let rule = watched.rule(policy);
            if rule.is_some_and(|rule| rule.ignore)
                || found.is_none() && probe.is_unreadable(&watched.path)
            {
                continue;
            }
            ones.push(One {
                policy,
                rule,
                learned: baseline.learned.get(&watched.path).copied(),
                path: &watched.path,
                at: probe.at,
                approved,
                found,
            });
        }
        for one in jobs::without(&ones, trackers) {
            trackers.insert(one.path.clone(), fresh(one.path));
        }
        let mut outlooks = jobs::run(ones, trackers, &fresh, workers);
        keep_company(&mut outlooks, together_within(policy));
        // Of numbers that are not negative the bits are in the same order.
        outlooks.sort_by_cached_key(|outlook| Reverse(urgency(outlook).to_bits()));
        outlooks
    }

    /// Forgets what is not on the roster any longer.
    fn forget_others(&mut self) {
        let (roster, forgotten) = (&self.roster, &mut self.forgotten);
        self.trackers.retain(|path, _| {
            let stays = roster.has(path);
            if !stays {
                forgotten.insert(path.clone());
            }
            stays
        });
    }

    /// Forgets what was seen of every property, but not how it scatters in control: the resource
    /// was put back, or another instance serves now.
    pub fn restart(&mut self) {
        self.restart_where(|_| true);
    }

    /// The same for some properties: their baseline moved.
    pub fn restart_where(&mut self, moved: impl Fn(&PropertyPath) -> bool) {
        for (_, tracker) in self.trackers.iter_mut().filter(|(path, _)| moved(path)) {
            tracker.restart();
        }
    }

    /// Lets the band of a property follow what an operator says of an alarm. Says whether it is watched.
    pub fn judge(&mut self, path: &PropertyPath, judgement: Judgement) -> bool {
        let Some(tracker) = self.trackers.get_mut(path) else {
            return false;
        };
        tracker.refinement = tracker.refinement.judged(judgement);
        tracker.keeping.changed();
        true
    }

    /// Whether a property is watched.
    pub fn watches(&self, path: &PropertyPath) -> bool {
        self.trackers.contains_key(path)
    }

    /// How the forecast of a property is made.
    pub fn insight(&self, path: &PropertyPath) -> Option<ForecastInsight> {
        let tracker = self.trackers.get(path)?;
        let change = tracker.forecaster.last_change().filter(|_| tracker.moved);
        Some(ForecastInsight {
            weights: tracker.forecaster.weights(),
            coverage_90: tracker.forecaster.measured_coverage(0.9),
            in_control_90: tracker.forecaster.in_control_half_widths(0.9),
            change,
            change_measured: change.and_then(|change| {
                let measure = tracker.measure?;
                Some(measure.difference(change.before, change.before + change.size))
            }),
        })
    }
}

/// One property at one probe.
#[derive(Clone, Copy, Debug)]
struct One<'a> {
    policy: &'a Policy,
    rule: Option<&'a PropertyRule>,
    learned: Option<f64>,
    path: &'a PropertyPath,
    at: Timestamp,
    approved: Option<&'a Observed>,
    found: Option<&'a Observed>,
}

impl One<'_> {
    /// How it stands; a tracker that counts in another tolerance makes room for a `fresh` one.
    fn assess(&self, tracker: &mut Tracker, fresh: impl FnOnce() -> Tracker) -> PropertyOutlook {
        let Self {
            approved, found, ..
        } = *self;
        let any = found.or(approved);
        let origin = any.map_or(Origin::Configuration, |p| p.origin);
        let rule = self.rule;
        let tolerance = rule.map_or(Tolerance::Learned, |rule| rule.tolerance);
        let (approved_value, found_value) = (approved.map(|p| &p.value), found.map(|p| &p.value));
        let scale = Scale::resolve(tolerance, approved_value, origin, self.learned);
        let deviation = deviation(approved_value, found_value, scale);
        let unit = unit(rule.and_then(|rule| rule.unit.as_deref()), any);
        let seen = Seen {
            at: self.at,
            deviation,
            measured: Measured::new(approved_value, found_value, scale, unit.as_deref()),
        };
        if !tracker.keeping.holds_under(tracker.scale, scale) {
            *tracker = fresh();
        }
        tracker.scale = Some(scale);
        let Taken {
            band,
            season,
            surprise,
            forecast,
            onset,
        } = tracker.take(self.policy, seen);
        let breach = breach(self.policy, band, deviation, forecast.as_ref());
        PropertyOutlook {
            path: self.path.clone(),
            severity: rule
                .and_then(|rule| rule.severity)
                .unwrap_or(default_severity(origin)),
            origin,
            unit,
            approved: approved_value.cloned(),
            limit: (seen.measured.as_ref())
                .map(|measured| measured.measure.limit(deviation, self.policy.band_ceiling)),
            found: found_value.cloned(),
            place: any.and_then(|p| p.place.clone()),
            deviation,
            band,
            harm: match (breach, &forecast) {
                (Breach::Predicted { .. }, Some(forecast)) => {
                    Some(tracker.excursions.harm(self.policy, forecast))
                }
                (Breach::None | Breach::Predicted { .. } | Breach::Observed, _) => None,
            },
            breach,
            onset,
            since: tracker.since,
            forecast,
            company: None,
            surprise,
            season,
        }
    }
}

/// What one observation comes to.
#[derive(Debug)]
struct Taken {
    band: band::Band,
    season: Option<Swing>,
    surprise: Option<Surprise>,
    forecast: Option<Forecast>,
    onset: Option<Timestamp>,
}

impl Tracker {
    fn new(forecaster: Box<dyn Forecaster>) -> Self {
        Self {
            forecaster,
            refinement: Refinement::default(),
            excursions: Excursions::default(),
            moved: false,
            scale: None,
            measure: None,
            since: None,
            last_at: None,
            expected: None,
            refitting: Refitting::default(),
            keeping: Keeping::default(),
        }
    }

    fn restart(&mut self) {
        self.forecaster.restart();
        self.excursions.interrupt();
        self.moved = false;
        self.last_at = None;
        self.expected = None;
        self.refitting.stop();
        self.keeping.changed();
    }

    /// Takes one more deviation: holds it against what was forecast for it, refines the band by it, then learns
    /// from it, then forecasts.
    fn take(&mut self, policy: &Policy, seen: Seen) -> Taken {
        let deviation = seen.deviation;
        let surprise = self.surprise(&seen);
        let coverage = band::coverage(policy.risk_tolerance);
        let half_widths = self.forecaster.in_control_half_widths(coverage);
        let unseasonal = band::band(policy, half_widths, self.refinement);
        // Room is made for what the season does up to the horizon; learned is only by what it explains now.
        let now = (self.forecaster.season(seen.at, seen.at)).unwrap_or_default();
        let season = (self.forecaster).season(seen.at, seen.at + policy.horizon);
        let band = unseasonal.with_season(policy, season.unwrap_or_default());
        let is_inside = !unseasonal
            .with_season(policy, now)
            .is_breached_by(deviation);
        let in_control = is_inside && self.forecaster.onset().is_none();
        if let (true, Some(half_widths)) = (in_control, half_widths) {
            let unexplained = now.excess(deviation);
            self.refinement = self.refinement.refine(policy, half_widths, unexplained);
        }
        seen.tell(self.forecaster.as_mut(), in_control);
        self.refitting.observed(seen, in_control);
        self.measure = seen.measured.map(|measured| measured.measure);
        self.since = self.since.or(Some(seen.at));
        self.last_at = Some(seen.at);
        self.keeping.changed();
        self.moved |= deviation != 0.0;
        let (forecast, onset) = if self.moved {
            (self.forecaster.forecast(), self.forecaster.onset())
        } else {
            (None, None)
        };
        if let Some(forecast) = &forecast {
            // What its season does at its time takes it nowhere.
            let level = now.excess(forecast.quantiles[0].median());
            self.excursions.take(policy, level);
        }
        self.expect(forecast.as_ref(), policy);
        Taken {
            band,
            season,
            surprise,
            forecast,
            onset,
        }
    }

    /// Holds an observation against what was forecast for it. What never moved is expected where it is approved.
    fn surprise(&self, seen: &Seen) -> Option<Surprise> {
        let expected = if self.moved {
            self.expected.as_ref()?.at(seen.at)?
        } else {
            (0.0, 0.0)
        };
        let measure = seen.measured.as_ref().map(|measured| &measured.measure);
        let surprise = Surprise::of(seen.deviation, expected, measure)?;
        let (_, scored) = self.forecaster.measured_coverage(0.9)?;
        (scored >= surprise::ENOUGH).then_some(surprise)
    }

    /// Keeps what was forecast for the next observation.
    fn expect(&mut self, forecast: Option<&Forecast>, policy: &Policy) {
        self.expected = forecast.map(|forecast| Expected::new(forecast, policy.risk_tolerance));
    }
}

fn grid(policy: &Policy) -> HorizonGrid {
    HorizonGrid::new(policy.sample_every, policy.horizon)
}

/// What may be done about a property of which no rule says more. Nothing is failed over for unless
/// somebody asked for that.
pub fn default_severity(origin: Origin) -> Severity {
    match origin {
        Origin::Configuration => Severity::Warn,
        Origin::Capacity => Severity::Info,
    }
}

fn unit(by_rule: Option<&str>, observed: Option<&Observed>) -> Option<String> {
    by_rule
        .map(str::to_owned)
        .or_else(|| observed.and_then(|p| p.unit.clone()))
}

/// A seed of the property's own, the same in every process (FNV-1a).
fn seed(path: &PropertyPath) -> u64 {
    path.as_str()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
}

/// Whether, when and how surely the deviation is outside its band.
fn breach(
    policy: &Policy,
    band: band::Band,
    deviation: f64,
    forecast: Option<&Forecast>,
) -> Breach {
    if deviation.abs() >= policy.band_ceiling {
        return Breach::Observed;
    }
    let Some(forecast) = forecast else {
        return Breach::None;
    };
    let mut lead_time: Option<Duration> = None;
    let mut confidence = 0.0_f64;
    let mut harm_after = None;
    for (i, quantiles) in forecast.quantiles.iter().enumerate() {
        let median = quantiles.median();
        if !band.is_breached_by(median) {
            continue;
        }
        lead_time = lead_time.or(Some(forecast.grid.span(i)));
        confidence = confidence.max(quantiles.probability_outside(-band.lower, band.upper));
        if harm_after.is_none() && median.abs() >= policy.band_ceiling {
            harm_after = Some(forecast.grid.span(i));
        }
    }
    lead_time.map_or(Breach::None, |lead_time| Breach::Predicted {
        lead_time,
        confidence,
        harm_after,
    })
}

/// Orders outlooks: what breaches before what does not, then by severity, what is observed before what
/// is predicted, sooner before later; the rest by how far the deviation has gone in its band. Never negative.
fn urgency(outlook: &PropertyOutlook) -> f64 {
    let severity = match outlook.severity {
        Severity::Info => 0.0,
        Severity::Warn => 1.0,
        Severity::Critical => 2.0,
    };
    let side = if outlook.deviation < 0.0 {
        outlook.band.lower
    } else {
        outlook.band.upper
    };
    let breaching = 100.0 * (1.0 + severity);
    match outlook.breach {
        Breach::Observed => breaching + 50.0,
        Breach::Predicted {
            lead_time,
            confidence,
            ..
        } => breaching + 10.0 * confidence + 1.0 / (1.0 + lead_time.as_secs_f64()),
        Breach::None => (outlook.deviation.abs() / side).min(1.0) * (0.5 + 0.25 * severity),
    }
}

#[cfg(test)]
mod tally;
#[cfg(test)]
mod tests;
