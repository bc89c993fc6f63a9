//! The watch over one resource: from a probe to the outlook of every property. Pure and
//! deterministic; the daemon, `simulate` and the tests drive the same code.
//!
//! What is learned (forecasts, half-widths, refinement) lives here, per property. Invariants:
//! - What could not be read is unknown: it gets no outlook and feeds no model.
//! - A property that has never moved costs one observation and no forecast.
//! - Half-widths and refinement learn only while the property is in control: inside its band and
//!   without a drift that has set in. So a slow drift cannot widen the band it is measured by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::band::{self, Refinement};
use crate::baseline::Baseline;
use crate::deviation::{Scale, deviation};
use crate::forecast::{Forecast, Forecaster, ForecasterFactory, HorizonGrid, ModelWeight};
use crate::ids::PropertyPath;
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::{Policy, Tolerance};
use crate::property::{Observed, Origin, Probe, Severity};

/// What was learned of one property.
#[derive(Debug)]
struct Tracker {
    forecaster: Box<dyn Forecaster>,
    refinement: Refinement,
    /// It deviated at least once since it is watched.
    moved: bool,
}

/// The watch over one resource.
#[derive(Debug)]
pub struct Watch {
    grid: HorizonGrid,
    trackers: BTreeMap<PropertyPath, Tracker>,
}

/// How the forecast of a property is made, for `forecast --explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastInsight {
    /// Which models speak, with what weight.
    pub weights: Vec<ModelWeight>,
    /// The measured coverage of past 90 % intervals, and over how many.
    pub coverage_90: Option<(f64, u64)>,
}

impl Watch {
    /// A watch that knows nothing yet.
    pub fn new(policy: &Policy) -> Self {
        Self {
            grid: HorizonGrid::new(policy.sample_every, policy.horizon),
            trackers: BTreeMap::new(),
        }
    }

    /// Whether the policy's step and horizon are those this watch forecasts for; otherwise a new
    /// watch is needed.
    pub fn fits(&self, policy: &Policy) -> bool {
        self.grid == HorizonGrid::new(policy.sample_every, policy.horizon)
    }

    /// Takes one probe, and says how every watched property stands, most urgent first.
    pub fn assess(
        &mut self,
        policy: &Policy,
        baseline: &Baseline,
        probe: &Probe,
        factory: &dyn ForecasterFactory,
    ) -> Vec<PropertyOutlook> {
        let paths: BTreeSet<&PropertyPath> = baseline
            .properties
            .keys()
            .chain(probe.properties.keys())
            .collect();
        self.trackers.retain(|path, _| paths.contains(path));
        let mut outlooks: Vec<PropertyOutlook> = paths
            .into_iter()
            .filter(|path| !policy.rule(path).is_some_and(|rule| rule.ignore))
            .filter(|path| probe.properties.contains_key(*path) || !probe.is_unreadable(path))
            .map(|path| self.assess_one(policy, baseline, probe, path, factory))
            .collect();
        outlooks.sort_by(|a, b| urgency(b).total_cmp(&urgency(a)));
        outlooks
    }

    /// Forgets what was seen of every property, but not how it scatters in control: the resource
    /// was put back, or another instance serves now.
    pub fn restart(&mut self) {
        for tracker in self.trackers.values_mut() {
            tracker.forecaster.restart();
            tracker.moved = false;
        }
    }

    /// The same for some properties: their baseline moved.
    pub fn restart_where(&mut self, moved: impl Fn(&PropertyPath) -> bool) {
        for (_, tracker) in self.trackers.iter_mut().filter(|(path, _)| moved(path)) {
            tracker.forecaster.restart();
            tracker.moved = false;
        }
    }

    /// How the forecast of a property is made.
    pub fn insight(&self, path: &PropertyPath) -> Option<ForecastInsight> {
        let tracker = self.trackers.get(path)?;
        Some(ForecastInsight {
            weights: tracker.forecaster.weights(),
            coverage_90: tracker.forecaster.measured_coverage(0.9),
        })
    }

    fn assess_one(
        &mut self,
        policy: &Policy,
        baseline: &Baseline,
        probe: &Probe,
        path: &PropertyPath,
        factory: &dyn ForecasterFactory,
    ) -> PropertyOutlook {
        let approved = baseline.properties.get(path);
        let found = probe.properties.get(path);
        let any = found.or(approved);
        let origin = any.map_or(Origin::Configuration, |p| p.origin);
        let rule = policy.rule(path);
        let tolerance = rule.map_or(Tolerance::Learned, |rule| rule.tolerance);
        let learned = baseline.learned.get(path).copied();
        let scale = Scale::resolve(tolerance, approved.map(|p| &p.value), origin, learned);
        let deviation = deviation(approved.map(|p| &p.value), found.map(|p| &p.value), scale);

        let grid = &self.grid;
        let tracker = self
            .trackers
            .entry(path.clone())
            .or_insert_with(|| Tracker {
                forecaster: factory.forecaster(grid, seed(path)),
                refinement: Refinement::default(),
                moved: false,
            });
        let (band, forecast, onset) = tracker.take(policy, probe, deviation);
        PropertyOutlook {
            path: path.clone(),
            severity: rule
                .and_then(|rule| rule.severity)
                .unwrap_or(default_severity(origin)),
            origin,
            unit: unit(rule.and_then(|rule| rule.unit.as_deref()), any),
            approved: approved.map(|p| p.value.clone()),
            found: found.map(|p| p.value.clone()),
            place: any.and_then(|p| p.place.clone()),
            deviation,
            band,
            breach: breach(policy, band, deviation, forecast.as_ref()),
            onset,
            forecast,
        }
    }
}

impl Tracker {
    /// Takes one more deviation: refines the band by it, then learns from it, then forecasts.
    fn take(
        &mut self,
        policy: &Policy,
        probe: &Probe,
        deviation: f64,
    ) -> (band::Band, Option<Forecast>, Option<crate::Timestamp>) {
        let coverage = band::coverage(policy.risk_tolerance);
        let half_widths = self.forecaster.in_control_half_widths(coverage);
        let band = band::band(policy, half_widths, self.refinement);
        let in_control = !band.is_breached_by(deviation) && self.forecaster.onset().is_none();
        if let (true, Some(half_widths)) = (in_control, half_widths) {
            self.refinement = self.refinement.refine(policy, half_widths, deviation);
        }
        self.forecaster.set_in_control(in_control);
        self.forecaster.observe(probe.at, deviation);
        self.moved |= deviation != 0.0;
        let forecast = if self.moved {
            self.forecaster.forecast()
        } else {
            None
        };
        let onset = if self.moved {
            self.forecaster.onset()
        } else {
            None
        };
        (band, forecast, onset)
    }
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
/// is predicted, sooner before later; the rest by how far the deviation has gone in its band.
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
mod tests {
    use super::*;
    use crate::forecast::Quantiles;
    use crate::ids::{BaselineVersion, Instance};
    use crate::policy::PropertyRule;
    use crate::property::Value;
    use crate::time::Timestamp;

    /// Goes on in a straight line through the last two observations, with a spread of 0.01.
    #[derive(Debug)]
    struct StraightLine {
        grid: HorizonGrid,
        seen: Vec<(Timestamp, f64)>,
        in_control: bool,
    }

    impl Forecaster for StraightLine {
        fn observe(&mut self, at: Timestamp, value: f64) {
            self.seen.push((at, value));
        }

        fn forecast(&self) -> Option<Forecast> {
            let [.., (_, before), (origin, last)] = self.seen[..] else {
                return None;
            };
            let quantiles = self.grid.steps().iter().map(|&steps| {
                let median = last + (last - before) * f64::from(steps);
                let offset = |i: i32| median + 0.01 * f64::from(i - 6);
                Quantiles::new(std::array::from_fn(|i| offset(i32::try_from(i).unwrap())))
            });
            let quantiles = quantiles.collect();
            Some(Forecast {
                origin,
                grid: self.grid.clone(),
                quantiles,
            })
        }

        fn in_control_half_widths(&self, _: f64) -> Option<(f64, f64)> {
            None
        }

        fn set_in_control(&mut self, in_control: bool) {
            self.in_control = in_control;
        }

        fn onset(&self) -> Option<Timestamp> {
            None
        }

        fn restart(&mut self) {
            self.seen.clear();
        }

        fn weights(&self) -> Vec<ModelWeight> {
            vec![ModelWeight {
                model: "straight line".into(),
                weight: 1.0,
            }]
        }

        fn measured_coverage(&self, _: f64) -> Option<(f64, u64)> {
            None
        }
    }

    #[derive(Debug)]
    struct StraightLines;

    impl ForecasterFactory for StraightLines {
        fn forecaster(&self, grid: &HorizonGrid, _: u64) -> Box<dyn Forecaster> {
            Box::new(StraightLine {
                grid: grid.clone(),
                seen: Vec::new(),
                in_control: true,
            })
        }
    }

    fn policy() -> Policy {
        let mut limit = PropertyRule::new(
            "pool",
            Tolerance::Limits {
                lower: None,
                upper: Some(1000.0),
            },
        )
        .unwrap();
        limit.severity = Some(Severity::Critical);
        let mut ignored = PropertyRule::new("noise/**", Tolerance::Learned).unwrap();
        ignored.ignore = true;
        Policy {
            rules: vec![limit, ignored],
            horizon: Duration::from_secs(100),
            ..Policy::default()
        }
    }

    fn probe(second: i64, values: &[(&str, f64)]) -> Probe {
        Probe {
            at: Timestamp::from_millis(second * 1000),
            instance: Instance::A,
            properties: values
                .iter()
                .map(|(path, v)| ((*path).into(), Observed::configuration(Value::Number(*v))))
                .collect(),
            unreadable: BTreeMap::new(),
        }
    }

    fn baseline(values: &[(&str, f64)]) -> Baseline {
        Baseline {
            version: BaselineVersion(1),
            at: Timestamp::from_millis(0),
            by: "test".into(),
            note: String::new(),
            properties: probe(0, values).properties,
            learned: BTreeMap::new(),
            pinned: None,
        }
    }

    fn assess(watch: &mut Watch, second: i64, values: &[(&str, f64)]) -> Vec<PropertyOutlook> {
        let approved = baseline(&[("pool", 400.0), ("other", 1.0)]);
        watch.assess(&policy(), &approved, &probe(second, values), &StraightLines)
    }

    #[test]
    fn a_drift_is_predicted_with_its_lead_time() {
        let mut watch = Watch::new(&policy());
        assess(&mut watch, 0, &[("pool", 400.0), ("other", 1.0)]);
        let outlooks = assess(&mut watch, 10, &[("pool", 430.0), ("other", 1.0)]);
        assert_eq!(outlooks[0].path.as_str(), "pool");
        let Breach::Predicted {
            lead_time,
            confidence,
            harm_after,
        } = outlooks[0].breach
        else {
            panic!("{:?}", outlooks[0].breach)
        };
        // Deviation 0.05 a step; the band at risk tolerance 0.3 is 0.2^0.7 = 0.324; 7 steps reach
        // 0.4, the grid's next horizon after 5 (0.3).
        assert_eq!(lead_time, Duration::from_secs(60));
        assert!(confidence > 0.99);
        assert_eq!(harm_after, None, "not within 10 steps");
        assert_eq!(outlooks[1].breach, Breach::None);
        assert_eq!(
            outlooks[1].forecast, None,
            "a property that never moved has no forecast"
        );
    }

    #[test]
    fn what_matters_more_comes_first_even_if_it_is_only_predicted() {
        let mut watch = Watch::new(&policy());
        assess(&mut watch, 0, &[("pool", 400.0), ("other", 1.0)]);
        // `other` is beyond its limit at once, but only worth a warning; `pool` may start a failover.
        let outlooks = assess(&mut watch, 10, &[("pool", 460.0), ("other", 2.0)]);
        assert_eq!(outlooks[0].path.as_str(), "pool");
        assert_eq!(
            (outlooks[1].breach, outlooks[1].severity),
            (Breach::Observed, Severity::Warn)
        );
    }

    #[test]
    fn the_ceiling_is_an_observed_breach() {
        let mut watch = Watch::new(&policy());
        let outlooks = assess(&mut watch, 0, &[("pool", 1000.0), ("other", 1.0)]);
        assert_eq!(outlooks[0].breach, Breach::Observed);
    }

    #[test]
    fn what_cannot_be_read_has_no_outlook_and_what_vanished_has() {
        let mut watch = Watch::new(&policy());
        let mut seen = probe(0, &[("pool", 400.0)]);
        let approved = baseline(&[("pool", 400.0), ("other", 1.0)]);
        let gone = watch.assess(&policy(), &approved, &seen, &StraightLines);
        assert_eq!(gone[0].path.as_str(), "other");
        assert_eq!((gone[0].deviation, gone[0].breach), (1.0, Breach::Observed));
        seen.unreadable
            .insert("other".into(), "permission denied".into());
        let unknown = watch.assess(&policy(), &approved, &seen, &StraightLines);
        assert_eq!(unknown.len(), 1);
    }

    #[test]
    fn ignored_properties_are_not_watched() {
        let mut watch = Watch::new(&policy());
        let values = [("pool", 400.0), ("other", 1.0), ("noise/x", 7.0)];
        assert_eq!(assess(&mut watch, 0, &values).len(), 2);
    }

    #[test]
    fn the_same_probes_give_the_same_outlooks() {
        let run = || {
            let mut watch = Watch::new(&policy());
            (0_u16..20)
                .map(|i| {
                    assess(
                        &mut watch,
                        i64::from(i),
                        &[("pool", 400.0 + f64::from(i * i))],
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
