//! The band by its equations, at its edges.

use evenkeel_core::band::{Band, Judgement, Refinement, band, coverage, share};
use evenkeel_core::policy::{Policy, RiskTolerance};

fn at(r: f64) -> Policy {
    Policy {
        risk_tolerance: RiskTolerance::new(r).unwrap(),
        ..Policy::default()
    }
}

#[track_caller]
fn assert_is(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
}

#[test]
fn coverage_and_share_rise_with_risk_tolerance() {
    let of = |r| (coverage(at(r).risk_tolerance), share(at(r).risk_tolerance));
    assert_eq!(of(0.0), (0.90, 0.5));
    assert_is(of(1.0).0, 0.99);
    assert_eq!(of(1.0).1, 2.0);
}

#[test]
fn the_end_of_a_band_is_inside_it() {
    let band = Band {
        lower: 0.25,
        upper: 0.5,
    };
    assert!(!band.is_breached_by(0.5) && !band.is_breached_by(-0.25));
    assert!(band.is_breached_by(0.501) && band.is_breached_by(-0.251));
}

#[test]
fn the_floor_lies_between_floor_and_ceiling_on_the_scale_of_ratios() {
    let policy = Policy {
        band_floor: 0.5,
        band_ceiling: 2.0,
        ..at(0.5)
    };
    let floor = band(&policy, None, Refinement::default());
    assert_is(floor.upper, 1.0);
    assert_is(floor.lower, 1.0);
    let relieved = Refinement::default().judged(Judgement::FalseAlarm);
    assert_is(band(&policy, None, relieved).upper, 0.45_f64.exp());
    // Neither a relieved floor nor a wide interval passes the ceiling.
    let thrice = relieved
        .judged(Judgement::FalseAlarm)
        .judged(Judgement::FalseAlarm);
    let widest = band(&policy, Some((9.0, 9.0)), thrice);
    assert_eq!((widest.lower, widest.upper), (2.0, 2.0));
    assert_eq!(band(&policy, None, thrice).upper, 2.0);
}

/// By what one deviation multiplies the band of half-widths 0.4 below and 0.8 above.
fn moved_by(r: f64, deviation: f64) -> f64 {
    let policy = Policy {
        band_floor: 1e-9,
        band_ceiling: 10.0,
        ..at(r)
    };
    let half_widths = (0.4, 0.8);
    let before = Refinement::default();
    let after = before.refine(&policy, half_widths, deviation);
    let of = |refinement| band(&policy, Some(half_widths), refinement);
    assert_is(
        of(after).lower / of(before).lower,
        of(after).upper / of(before).upper,
    );
    of(after).upper / of(before).upper
}

#[test]
fn a_hit_narrows_the_band_and_a_miss_widens_it_by_what_coverage_says() {
    // The band is half of the interval: from -0.2 to +0.4.
    let (hit, miss) = ((-0.1_f64 * 0.1).exp(), (0.1_f64 * 0.9).exp());
    for (deviation, factor) in [
        (0.0, hit),
        (0.4, hit),
        (0.401, miss),
        (-0.2, hit),
        (-0.201, miss),
        (5.0, miss),
        (-5.0, miss),
    ] {
        assert_is(moved_by(0.0, deviation), factor);
    }
    // A greater coverage forgives fewer misses, and takes a hit for less news.
    let (hit, miss) = ((-0.1_f64 * 0.055).exp(), (0.1_f64 * 0.945).exp());
    assert_is(moved_by(0.5, 0.1), hit);
    assert_is(moved_by(0.5, -0.9), miss);
}
