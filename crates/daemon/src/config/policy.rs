//! A policy as written, laid over the defaults and checked.

use std::time::Duration;

use evenkeel_core::policy::{self as core, Probability, PropertyRule, RiskTolerance, Tolerance};
use evenkeel_core::property::Severity;
use evenkeel_drivers::config::Span;

use super::file;
use super::problem::{Key, Wrong};
use super::window;

/// Collects what is wrong below some keys.
pub(super) struct Checker<'a> {
    pub(super) keys: Vec<Key>,
    pub(super) wrong: &'a mut Vec<Wrong>,
}

impl Checker<'_> {
    pub(super) fn refuse(&mut self, below: &[Key], what: String, remedy: impl Into<String>) {
        let keys = self.keys.iter().chain(below).cloned().collect();
        self.wrong.push(Wrong {
            keys,
            what,
            remedy: remedy.into(),
        });
    }

    pub(super) fn at(&mut self, name: &'static str) -> Checker<'_> {
        let mut keys = self.keys.clone();
        keys.push(Key::Name(name));
        Checker {
            keys,
            wrong: self.wrong,
        }
    }
}

/// The policy that `written` comes to, laid over `base`.
pub(super) fn policy(
    base: &core::Policy,
    written: &file::Policy,
    check: &mut Checker<'_>,
) -> core::Policy {
    let mut policy = base.clone();
    if let Some(mode) = written.mode {
        policy.mode = match mode {
            file::Mode::Observe => core::Mode::Observe,
            file::Mode::Advise => core::Mode::Advise,
            file::Mode::Act => core::Mode::Act,
        };
    }
    if let Some(when) = written.when {
        policy.when = match when {
            file::When::Early => core::When::Early,
            file::When::LatestSafe => core::When::LatestSafe,
        };
    }
    if let Some(act_on) = written.act_on {
        policy.act_on = match act_on {
            file::ActOn::Harm => core::ActOn::Harm,
            file::ActOn::Band => core::ActOn::Band,
        };
    }
    shares(&mut policy, written, check);
    spans(&mut policy, written, check);
    policy.max_failovers = written.max_failovers.unwrap_or(policy.max_failovers);
    policy.approval_required = written.approval.unwrap_or(policy.approval_required);
    policy.shared_fate_at = written.shared_fate_at.unwrap_or(policy.shared_fate_at);
    policy.revert = written.revert.unwrap_or(policy.revert);
    if let Some(windows) = &written.windows {
        policy.windows.clear();
        for (i, text) in windows.iter().enumerate() {
            match window::parse(text) {
                Ok(window) => policy.windows.push(window),
                Err(what) => check.refuse(
                    &[Key::Name("windows"), Key::Index(i)],
                    what,
                    "days, then start and end",
                ),
            }
        }
    }
    policy
}

fn shares(policy: &mut core::Policy, written: &file::Policy, check: &mut Checker<'_>) {
    if let Some(value) = written.risk_tolerance {
        match RiskTolerance::new(value) {
            Ok(value) => policy.risk_tolerance = value,
            Err(error) => refuse_share(check, "risk_tolerance", &error.to_string()),
        }
    }
    if let Some(value) = written.min_confidence {
        match Probability::new(value) {
            Ok(value) => policy.min_confidence = value,
            Err(error) => refuse_share(check, "min_confidence", &error.to_string()),
        }
    }
    if let Some([k, n]) = written.sustain {
        if k == 0 || k > n || n > 64 {
            let what = format!("sustain = [{k}, {n}]");
            check.refuse(
                &[Key::Name("sustain")],
                what,
                "write [k, n] with 1 <= k <= n <= 64",
            );
        } else {
            (policy.sustain_k, policy.sustain_n) = (k, n);
        }
    }
    policy.band_floor = written.band_floor.unwrap_or(policy.band_floor);
    policy.band_ceiling = written.band_ceiling.unwrap_or(policy.band_ceiling);
    let (floor, ceiling) = (policy.band_floor, policy.band_ceiling);
    if !(floor > 0.0 && floor <= ceiling && ceiling <= 1.0) {
        let key = if written.band_floor.is_some() {
            "band_floor"
        } else {
            "band_ceiling"
        };
        let what = format!("the band's floor is {floor} and its ceiling {ceiling}");
        check.refuse(
            &[Key::Name(key)],
            what,
            "0 < floor <= ceiling <= 1 is asked for",
        );
    }
    policy.safety_factor = written.safety_factor.unwrap_or(policy.safety_factor);
    if !(policy.safety_factor >= 1.0 && policy.safety_factor <= 1000.0) {
        let what = format!("a safety factor of {}", policy.safety_factor);
        check.refuse(
            &[Key::Name("safety_factor")],
            what,
            "it lies between 1 and 1000",
        );
    }
}

fn refuse_share(check: &mut Checker<'_>, key: &'static str, error: &str) {
    check.refuse(
        &[Key::Name(key)],
        format!("{key}: {error}"),
        "write a number such as 0.3",
    );
}

fn spans(policy: &mut core::Policy, written: &file::Policy, check: &mut Checker<'_>) {
    const LEAST_PERIOD: Duration = Duration::from_millis(50);
    let set = |target: &mut Duration, span: Option<Span>| {
        if let Some(Span(span)) = span {
            *target = span;
        }
    };
    set(&mut policy.horizon, written.horizon);
    set(&mut policy.sample_every, written.sample_every);
    set(&mut policy.settle, written.settle);
    set(&mut policy.cool_down, written.cool_down);
    set(
        &mut policy.max_failovers_within,
        written.max_failovers_within,
    );
    set(&mut policy.max_data_age, written.max_data_age);
    set(&mut policy.probe_lost_after, written.probe_lost_after);
    policy.warm_up = written.warm_up.map(|span| span.0).or(policy.warm_up);
    policy.rehearsal_max_age = written
        .rehearsal_max_age
        .map(|span| span.0)
        .or(policy.rehearsal_max_age);
    if policy.sample_every < LEAST_PERIOD {
        let what = format!(
            "probing every {}",
            evenkeel_core::Brief(policy.sample_every)
        );
        check.refuse(
            &[Key::Name("sample_every")],
            what,
            "at least 50ms is asked for",
        );
    }
    if policy.horizon < policy.sample_every {
        let (horizon, step) = (policy.horizon, policy.sample_every);
        let what = format!(
            "a horizon of {} with a probe every {}",
            evenkeel_core::Brief(horizon),
            evenkeel_core::Brief(step)
        );
        let key = if written.horizon.is_some() {
            "horizon"
        } else {
            "sample_every"
        };
        check.refuse(
            &[Key::Name(key)],
            what,
            "the horizon is several probes long",
        );
    }
}

/// The rules about properties.
pub(super) fn rules(written: &[file::Property], check: &mut Checker<'_>) -> Vec<PropertyRule> {
    let mut rules = Vec::new();
    for (i, property) in written.iter().enumerate() {
        let key = |name| [Key::Index(i), Key::Name(name)];
        let tolerance = match (property.tolerance, property.limits) {
            (Some(_), Some(_)) => {
                let what = format!("`{}` has both a tolerance and limits", property.pattern);
                check.refuse(&key("limits"), what, "keep one of them");
                continue;
            }
            (None, None) => Tolerance::Learned,
            (Some(file::Tolerance::Absolute(distance)), None) => Tolerance::Absolute(distance),
            (Some(file::Tolerance::Relative(share)), None) => Tolerance::Relative(share),
            (None, Some(file::Limits { lower, upper })) => {
                let sides = [lower, upper].into_iter().flatten();
                let ordered = lower.zip(upper).is_none_or(|(lower, upper)| lower < upper);
                if sides.clone().count() == 0 || !sides.clone().all(f64::is_finite) || !ordered {
                    let what = format!("the limits of `{}`", property.pattern);
                    let remedy =
                        "write { upper = 1024 }, { lower = 10 }, or both with lower < upper";
                    check.refuse(&key("limits"), what, remedy);
                    continue;
                }
                Tolerance::Limits { lower, upper }
            }
        };
        match PropertyRule::new(&property.pattern, tolerance) {
            Ok(mut rule) => {
                rule.severity = property.severity.map(|severity| match severity {
                    file::Severity::Info => Severity::Info,
                    file::Severity::Warn => Severity::Warn,
                    file::Severity::Critical => Severity::Critical,
                });
                rule.ignore = property.ignore;
                rule.redact = property.redact;
                rule.unit.clone_from(&property.unit);
                rules.push(rule);
            }
            Err(error) => {
                let what = format!("`{}` is not a glob: {error}", property.pattern);
                check.refuse(
                    &key("match"),
                    what,
                    "write it like `nginx.conf/**/worker_connections`",
                );
            }
        }
    }
    rules
}
