//! The boiling frog: a drift that is slower than any window, through the real forecaster and the real replay.
//!
//! A property creeps away from its approved value by a hundredth of its tolerance a day, under noise, for a
//! year; its limit is reached after a hundred days. No forecast of a week shows much of it, and every value is
//! like the one before. It must be caught all the same, whatever the risk tolerance is, because the band is
//! measured from the baseline, has a ceiling, and learns nothing from what drifts.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use evenkeel_core::band::Band;
use evenkeel_core::outlook::Breach;
use evenkeel_core::policy::{ActOn, Mode, Policy, PropertyRule, RiskTolerance, Tolerance};
use evenkeel_core::property::Severity;
use evenkeel_core::reason::Reason;
use evenkeel_core::replay::{Entry, Replay, Setting};
use evenkeel_forecast::MixtureFactory;
use evenkeel_scenario::random::Seeded;
use evenkeel_sim::world::START;

mod record;
use record::{ASSUMED, baseline, probe};

const DAY: Duration = Duration::from_secs(86_400);

/// The approved value, and how far the property may go from it.
const APPROVED: f64 = 400.0;
const TOLERANCE: f64 = 250.0;

/// What it drifts by a day, in tolerances.
const DRIFT: f64 = 0.01;

/// When a hundredth a day has come to the tolerance.
const LIMIT_DAYS: f64 = 100.0;

const SAMPLES_A_DAY: u32 = 12;
const YEAR: u32 = 365;

/// How it is watched.
#[derive(Clone, Copy, Debug)]
struct Watched {
    risk_tolerance: f64,
    act_on: ActOn,
    /// The standard deviation of the noise, in tolerances.
    noise: f64,
    band_floor: f64,
}

/// Over risk tolerances: a little noise, under which the band is at its floor, and much noise with a low floor,
/// under which its width is learned. Whatever is acted on.
fn all() -> impl Iterator<Item = Watched> {
    let little = [0.0, 0.3, 0.7, 1.0].map(|r| (r, 0.02, 0.2));
    let much = [0.3, 0.5, 0.7].map(|r| (r, 0.08, 0.02));
    let of = |(risk_tolerance, noise, band_floor)| {
        [ActOn::Harm, ActOn::Band].map(|act_on| Watched {
            risk_tolerance,
            act_on,
            noise,
            band_floor,
        })
    };
    little.into_iter().chain(much).flat_map(of)
}

impl Watched {
    fn policy(self, mode: Mode) -> Policy {
        let mut rule = PropertyRule::new("pool", Tolerance::Absolute(TOLERANCE)).unwrap();
        rule.severity = Some(Severity::Critical);
        Policy {
            mode,
            risk_tolerance: RiskTolerance::new(self.risk_tolerance).unwrap(),
            act_on: self.act_on,
            band_floor: self.band_floor,
            sample_every: DAY / SAMPLES_A_DAY,
            horizon: 7 * DAY,
            rules: vec![rule],
            ..Policy::default()
        }
    }

    /// A year of noise, with a drift of so many tolerances a day on top: what was seen at every evaluation,
    /// until `enough`.
    fn year(self, mode: Mode, drift: f64, enough: impl Fn(&Reason) -> bool) -> Vec<Seen> {
        let policy = self.policy(mode);
        let (baseline, resource) = (baseline(&[("pool", APPROVED)]), "web".into());
        let setting = Setting {
            resource: &resource,
            policy: &policy,
            baseline: &baseline,
            factory: &MixtureFactory::default(),
            assumed: ASSUMED,
        };
        let mut replay = Replay::new(&setting);
        let mut random = Seeded::new(11);
        let mut all = Vec::new();
        for sample in 0..YEAR * SAMPLES_A_DAY {
            let days = f64::from(sample) / f64::from(SAMPLES_A_DAY);
            let deviation = drift * days + self.noise * random.normal();
            let found = [("pool", APPROVED + TOLERANCE * deviation)];
            let at = START + DAY / SAMPLES_A_DAY * sample;
            let step = replay.take(Entry::Probed(probe(at, &found))).unwrap();
            let reason = &step.decision.explanation.reason;
            all.push(Seen {
                days,
                band: step.outlooks[0].band,
                breach: step.outlooks[0].breach,
                alerts: step.decision.alerts(),
            });
            if enough(reason) {
                break;
            }
        }
        all
    }
}

/// What was seen at one evaluation.
#[derive(Debug)]
struct Seen {
    /// Since the start.
    days: f64,
    band: Band,
    breach: Breach,
    alerts: bool,
}

fn widest(seen: &[Seen]) -> f64 {
    let sides = seen.iter().map(|seen| seen.band.upper.max(seen.band.lower));
    sides.fold(0.0, f64::max)
}

#[test]
fn it_is_left_before_its_limit() {
    for watched in all() {
        let is_failover = |reason: &Reason| matches!(reason, Reason::FailOver { .. });
        let seen = watched.year(Mode::Act, DRIFT, is_failover);
        let last = seen.last().unwrap();
        assert!(last.days <= LIMIT_DAYS, "{watched:?}: on day {}", last.days);
        // Noise may touch the ceiling first: where it is all that is acted on, or where noise is much.
        let ceiling_alone = watched.risk_tolerance == 1.0;
        let much_noise = watched.act_on == ActOn::Harm && watched.noise > 0.05;
        let is_foreseen = matches!(last.breach, Breach::Predicted { .. });
        assert!(is_foreseen || ceiling_alone || much_noise, "{last:?}");
    }
}

#[test]
fn whoever_is_only_advised_is_told_in_time_and_the_band_stays_what_it_is_without_the_drift() {
    for watched in all() {
        let drift = watched.year(Mode::Advise, DRIFT, |_| false);
        let quiet = watched.year(Mode::Advise, 0.0, |_| false);
        let told = drift.iter().find(|seen| seen.alerts).unwrap();
        assert!(told.days <= LIMIT_DAYS, "{watched:?}: on day {}", told.days);
        assert!(!quiet.iter().any(|seen| seen.alerts), "{watched:?}");
        let is_learned = quiet.iter().any(|seen| seen.band != quiet[0].band);
        assert_eq!(is_learned, watched.band_floor < 0.2, "{watched:?}");
        let (drift, quiet) = (widest(&drift), widest(&quiet));
        let ceiling = watched.policy(Mode::Advise).band_ceiling;
        assert!(
            drift <= ceiling && drift <= quiet,
            "{watched:?}: {drift} {quiet}"
        );
    }
}
