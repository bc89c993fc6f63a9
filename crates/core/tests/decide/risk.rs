//! A wider risk tolerance never adds a failover.
//!
//! Precisely: given the same deviations, forecasts and refinement, and half-widths that are no narrower at a
//! greater coverage, a wider tolerance gives a band that is no narrower; so a predicted breach that is no
//! sooner and no surer; so no trigger that a narrower one does not give; so no failover at a state that is the
//! same, and no first failover that comes earlier.
//!
//! What is left out on purpose is not monotone. *After* a first failover the two histories differ: a cool-down
//! that the narrow one is in may have let the wide one through. And where two critical properties call, the wider
//! tolerance may hear another of them first, of which a guard may think otherwise.

use std::time::Duration;

use evenkeel_core::decide::{Input, decide};
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::{
    ActOn, Policy, Probability, PropertyRule, RiskTolerance, Tolerance, When,
};
use evenkeel_core::property::{Observed, Severity, Value};
use evenkeel_core::state::{Phase, State, Sustain};
use evenkeel_core::watch::Watch;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::case::*;
use crate::line::Lines;

const PATHS: [&str; 3] = ["heap", "pool", "threads"];

fn found(values: [f64; 3]) -> [(&'static str, Observed); 3] {
    std::array::from_fn(|i| (PATHS[i], Observed::configuration(Value::Number(values[i]))))
}

/// How every probe of a walk is assessed under a policy.
fn assessed(policy: &Policy, kind: Lines, walk: &[[f64; 3]]) -> Vec<Vec<PropertyOutlook>> {
    let baseline = approving(found([0.0; 3]));
    let mut watch = Watch::new(policy);
    let mut values = [0.0; 3];
    let steps = walk.iter().zip(1..).map(|(moves, step)| {
        values = std::array::from_fn(|i| values[i] + moves[i]);
        let probe = probed(NOON + 10 * SECOND * step, found(values));
        watch.assess(policy, &baseline, &probe, &kind)
    });
    steps.collect()
}

/// The first evaluation that fails over, from a guarded state that has seen nothing.
fn first_failover(case: &Case, outlooks: &[Vec<PropertyOutlook>]) -> Option<usize> {
    let mut state = State {
        phase: Phase::Guarded,
        ..State::new(NOON)
    };
    (outlooks.iter().zip(1_u32..)).position(|(outlooks, step)| {
        let input = Input::Assessed {
            outlooks,
            facts: &case.facts,
        };
        let decision = decide(&case.policy, &state, &input, NOON + 10 * SECOND * step);
        state = decision.state.clone();
        plan(&decision).is_some()
    })
}

prop_compose! {
    /// A policy under which one property, or all, may start a failover.
    fn any_policy()(
        criticals in 1_usize..=3,
        min_confidence in 0.5_f64..0.99,
        (k, n) in (1_u8..4, 3_u8..6),
        (latest_safe, on_band) in any::<(bool, bool)>(),
        floor in 0.05_f64..0.5,
    ) -> Policy {
        let rules = PATHS.into_iter().enumerate().map(|(i, path)| {
            let mut rule = PropertyRule::new(path, Tolerance::Absolute(1.0)).unwrap();
            rule.severity = Some(if i < criticals { Severity::Critical } else { Severity::Warn });
            rule
        });
        Policy {
            rules: rules.collect(),
            when: if latest_safe { When::LatestSafe } else { When::Early },
            act_on: if on_band { ActOn::Band } else { ActOn::Harm },
            warm_up: Some(Duration::ZERO),
            min_confidence: Probability::new(min_confidence).unwrap(),
            sustain_k: k,
            sustain_n: n,
            band_floor: floor,
            horizon: Duration::from_secs(120),
            ..Case::failing_over().policy
        }
    }
}

fn any_walk() -> impl Strategy<Value = Vec<[f64; 3]>> {
    // Small steps up and down, with a drift now and then.
    let step = prop_oneof![-0.05_f64..0.05, 0.0_f64..0.1, -0.3_f64..0.3];
    proptest::collection::vec(proptest::array::uniform3(step), 2..30)
}

prop_compose! {
    fn any_lines()(spread in 0.001_f64..0.1, half_width in 0.0_f64..0.8) -> Lines {
        // A drift runs, so that refinement rests.
        Lines { spread, half_width: Some(half_width), is_drift: true }
    }
}

/// The same case under another risk tolerance.
fn at_risk(case: &Case, r: f64) -> Case {
    let risk_tolerance = RiskTolerance::new(r).unwrap();
    case.clone()
        .with(|c| c.policy.risk_tolerance = risk_tolerance)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(41), ..ProptestConfig::default() })]

    #[test]
    fn a_breach_is_no_sooner_and_no_surer_under_a_wider_tolerance(
        policy in any_policy(), kind in any_lines(), walk in any_walk(),
        r in 0.0_f64..1.0, more in 0.0_f64..1.0,
    ) {
        let case = Case::failing_over().with(|c| c.policy = policy);
        let (narrow, wide) = (at_risk(&case, r), at_risk(&case, (r + more).min(1.0)));
        let of = |case: &Case| assessed(&case.policy, kind, &walk);
        for (narrow, wide) in of(&narrow).iter().flatten().zip(sorted_alike(&of(&narrow), of(&wide))) {
            prop_assert_eq!(&narrow.path, &wide.path);
            prop_assert_eq!(&narrow.forecast, &wide.forecast);
            prop_assert!(wide.band.upper >= narrow.band.upper && wide.band.lower >= narrow.band.lower);
            prop_assert!(wide.breach.confidence() <= narrow.breach.confidence());
            let lead = |breach: Breach| breach.lead_time().unwrap_or(Duration::MAX);
            prop_assert!(lead(wide.breach) >= lead(narrow.breach));
        }
    }

    #[test]
    fn a_wider_tolerance_adds_no_failover_to_any_state(
        policy in any_policy(), kind in any_lines(), walk in any_walk(),
        r in 0.0_f64..1.0, more in 0.0_f64..1.0, seen in any::<u8>(), forgotten in any::<u8>(),
    ) {
        let sustain = |bits: u8| (0..8).fold(Sustain::default(), |s, i| s.push(bits >> i & 1 == 1));
        let case = Case::failing_over().with(|c| c.policy = policy);
        let narrow = at_risk(&case, r).with(|c| c.state.sustain = sustain(seen));
        // What the wider one has seen in the past is no more than what the narrower one has.
        let wide = at_risk(&case, (r + more).min(1.0))
            .with(|c| c.state.sustain = sustain(seen & !forgotten));
        let steps = assessed(&narrow.policy, kind, &walk)
            .into_iter()
            .zip(assessed(&wide.policy, kind, &walk));
        for (narrowly, widely) in steps {
            let fails_over = |case: &Case, outlooks| {
                plan(&case.clone().with(|c| c.outlooks = outlooks).assess()).is_some()
            };
            prop_assert!(fails_over(&narrow, narrowly) || !fails_over(&wide, widely));
        }
    }

    #[test]
    fn under_a_wider_tolerance_the_first_failover_is_no_earlier(
        policy in any_policy(), kind in any_lines(), walk in any_walk(),
        r in 0.0_f64..1.0, more in 0.0_f64..1.0,
    ) {
        let case = Case::failing_over().with(|c| c.policy = policy);
        let first = |r: f64| {
            let case = at_risk(&case, r);
            first_failover(&case, &assessed(&case.policy, kind, &walk))
        };
        let never = usize::MAX;
        let (narrow, wide) = (first(r), first((r + more).min(1.0)));
        prop_assert!(wide.unwrap_or(never) >= narrow.unwrap_or(never), "{wide:?} before {narrow:?}");
    }
}

/// The wide outlooks, each beside the narrow one of the same property.
fn sorted_alike(
    narrow: &[Vec<PropertyOutlook>],
    wide: Vec<Vec<PropertyOutlook>>,
) -> Vec<PropertyOutlook> {
    let of = |(narrow, wide): (&Vec<PropertyOutlook>, Vec<PropertyOutlook>)| {
        let beside = |n: &PropertyOutlook| wide.iter().find(|w| w.path == n.path).cloned().unwrap();
        narrow.iter().map(beside).collect::<Vec<_>>()
    };
    narrow.iter().zip(wide).flat_map(of).collect()
}

#[test]
fn walks_do_fail_over_and_later_under_a_wider_tolerance() {
    let case = Case::failing_over().with(|c| {
        // Nothing of the clone grows old meanwhile.
        c.facts.capabilities.has_data = false;
        c.policy.rules = vec![PropertyRule::new("pool", Tolerance::Absolute(1.0)).unwrap()];
        c.policy.rules[0].severity = Some(Severity::Critical);
        c.policy.horizon = Duration::from_secs(50);
        c.policy.act_on = ActOn::Band;
    });
    let kind = Lines {
        spread: 0.005,
        half_width: Some(0.1),
        is_drift: true,
    };
    let walk = vec![[0.0, 0.02, 0.0]; 60];
    let first = |r: f64| {
        let case = at_risk(&case, r);
        first_failover(&case, &assessed(&case.policy, kind, &walk)).unwrap()
    };
    assert!(first(0.0) < first(0.5) && first(0.5) < first(1.0));
    assert!(first(1.0) < 49, "before the limit");
}
