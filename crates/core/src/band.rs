//! The adaptive threshold: how far a deviation may move without action.
//!
//! Inputs are the history of deviations (through the calibrated in-control half-widths `w` of the
//! forecaster), the confidence of the prediction (a low one means wide intervals and so a wide
//! band), and the user's risk tolerance `r` in [0, 1]. With `s` the refined scale:
//!
//! ```text
//! coverage(r) = 0.90 + 0.09 r                    which prediction interval is taken
//! share(r)    = 0.5 + 1.5 r                      how much of it is encompassed
//! floor(r)    = floor^(1-r) * ceiling^r          what is never alarmed on
//! upper       = min(season_upper + clamp(share(r) * s * w_upper(coverage(r)), floor(r), ceiling), ceiling)
//! ```
//!
//! and `lower` alike. Every one of the three rises with `r`, so the band does. The centre is the *baseline*, never the
//! forecast, and the ceiling is never passed: a slow drift cannot teach the band to accept it.
//!
//! The season is how far the property goes at this time of every day or week ([`crate::forecast::Forecaster::season`]), from now to the
//! horizon: a job that rewrites a value each night is no drift. It is not scaled by anything, for it is no doubt
//! but a habit. Only what was there in whole periods time after time is one: a drift, however slow, is none
//! (see `season/swing.rs` in `evenkeel-forecast`).
//!
//! Refinement by actual against predicted deviation, on in-control data only, is quantile tracking
//! on the log scale (the P term of conformal PID control: Angelopoulos, Candès, Tibshirani 2023),
//! with `alpha = 1 - coverage(r)`:
//!
//! ```text
//! log s += eta * (err - alpha)      err = 1 if the excess over the season left share(r) * s * w, else 0
//! ```
//!
//! bounded to [1/4, 4], so that no stretch of luck or of trouble can switch the band off.
//!
//! What operators say of alarms is tracked alike, by a relief `q` that widens floor and share:
//!
//! ```text
//! log q += 0.5 * (false - 0.1)      false = 1 for a false alarm, 0 for a right one; q in [1, 4]
//! floor(r) * q,  share(r) * q       in place of floor(r) and share(r)
//! ```
//!
//! So it settles where one alarm in ten is false. It never falls below 1: nobody's word makes the band narrower
//! than the policy's floor. The ceiling stays what it is, so nobody's word makes harm harmless either.

use serde::{Deserialize, Serialize};

use crate::forecast::Swing;
use crate::policy::{Policy, RiskTolerance};

const REFINEMENT_RATE: f64 = 0.1;
const SCALE_MIN: f64 = 0.25;
const SCALE_MAX: f64 = 4.0;

const RELIEF_RATE: f64 = 0.5;
const RELIEF_MAX: f64 = 4.0;

/// The share of false alarms that relief settles at.
const FALSE_SHARE: f64 = 0.1;

/// The interval `[-lower, upper]` of harmless deviation. Both are positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// How far below the approved value.
    pub lower: f64,
    /// How far above it.
    pub upper: f64,
}

impl Band {
    /// Whether `deviation` lies outside.
    pub fn is_breached_by(self, deviation: f64) -> bool {
        deviation > self.upper || deviation < -self.lower
    }

    /// The band with room for what the season does.
    #[must_use]
    pub fn with_season(self, policy: &Policy, season: Swing) -> Self {
        let side = |side: f64, season: f64| (side + season.max(0.0)).min(policy.band_ceiling);
        Self {
            lower: side(self.lower, -season.lower),
            upper: side(self.upper, season.upper),
        }
    }
}

/// What was learned about the band of one property.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    scale: f64,
    relief: f64,
}

impl Default for Refinement {
    fn default() -> Self {
        Self {
            scale: 1.0,
            relief: 1.0,
        }
    }
}

/// What an operator says of an alarm, or of a failover, afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It was harmless.
    FalseAlarm,
    /// It was, or would have become, harmful.
    Right,
}

impl Judgement {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FalseAlarm => "a false alarm",
            Self::Right => "right",
        }
    }
}

/// Which prediction interval the band is derived from.
pub fn coverage(r: RiskTolerance) -> f64 {
    0.90 + 0.09 * r.get()
}

/// Which part of the prediction interval the band encompasses.
pub fn share(r: RiskTolerance) -> f64 {
    0.5 + 1.5 * r.get()
}

/// The band for in-control half-widths `(below, above)` at [`coverage`]; `None` where too little was
/// seen to have any, which leaves the floor. Without a season.
pub fn band(policy: &Policy, half_widths: Option<(f64, f64)>, refinement: Refinement) -> Band {
    let r = policy.risk_tolerance.get();
    let ceiling = policy.band_ceiling;
    let floor =
        (policy.band_floor.powf(1.0 - r) * ceiling.powf(r) * refinement.relief).min(ceiling);
    let (below, above) = half_widths.unwrap_or((0.0, 0.0));
    let side = |half_width: f64| (refinement.reach(policy) * half_width).clamp(floor, ceiling);
    Band {
        lower: side(below),
        upper: side(above),
    }
}

impl Refinement {
    /// How many half-widths of the prediction interval the band encompasses.
    fn reach(self, policy: &Policy) -> f64 {
        share(policy.risk_tolerance) * self.scale * self.relief
    }

    /// Moves the relief by what an operator says of an alarm.
    #[must_use]
    pub fn judged(self, judgement: Judgement) -> Self {
        let is_false = match judgement {
            Judgement::FalseAlarm => 1.0,
            Judgement::Right => 0.0,
        };
        let relief = self.relief * (RELIEF_RATE * (is_false - FALSE_SHARE)).exp();
        Self {
            relief: relief.clamp(1.0, RELIEF_MAX),
            ..self
        }
    }

    /// Moves the scale by one in-control deviation, less what the season explains of it, against the half-widths
    /// predicted for it.
    #[must_use]
    pub fn refine(self, policy: &Policy, half_widths: (f64, f64), deviation: f64) -> Self {
        let reach = self.reach(policy);
        let missed = deviation > reach * half_widths.1 || deviation < -reach * half_widths.0;
        let alpha = 1.0 - coverage(policy.risk_tolerance);
        let error = if missed { 1.0 - alpha } else { -alpha };
        let scale = self.scale * (REFINEMENT_RATE * error).exp();
        Self {
            scale: scale.clamp(SCALE_MIN, SCALE_MAX),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(r: f64) -> Policy {
        Policy {
            risk_tolerance: RiskTolerance::new(r).unwrap(),
            ..Policy::default()
        }
    }

    #[test]
    fn a_season_is_given_room_on_its_side_unscaled_and_up_to_the_ceiling() {
        let nightly = |upper| Swing { lower: 0.0, upper };
        let without = band(&policy(0.0), None, Refinement::default());
        let with = |season| without.with_season(&policy(0.0), season);
        let wider = with(nightly(0.6));
        assert_eq!((wider.lower, wider.upper), (0.2, 0.6 + 0.2));
        assert_eq!(with(nightly(0.95)).upper, 1.0);
        let both = Swing {
            lower: -0.1,
            upper: 0.0,
        };
        assert!((with(both).lower - 0.3).abs() < 1e-12);
    }

    #[test]
    fn without_history_the_band_is_its_floor() {
        let narrow = band(&policy(0.0), None, Refinement::default());
        assert_eq!(
            narrow,
            Band {
                lower: 0.2,
                upper: 0.2
            }
        );
        let wide = band(&policy(1.0), None, Refinement::default());
        assert!((wide.upper - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_sides_are_apart() {
        let band = band(&policy(0.0), Some((0.1, 1.0)), Refinement::default());
        assert_eq!(
            band,
            Band {
                lower: 0.2,
                upper: 0.5
            }
        );
        assert!(band.is_breached_by(0.6) && !band.is_breached_by(0.4));
        assert!(band.is_breached_by(-0.3) && !band.is_breached_by(-0.1));
    }

    #[test]
    fn misses_widen_and_hits_narrow_within_bounds() {
        let policy = policy(0.5);
        let missed = (0..1000).fold(Refinement::default(), |s, _| {
            s.refine(&policy, (0.1, 0.1), 9.0)
        });
        assert!((missed.scale - SCALE_MAX).abs() < 1e-9);
        let hit = (0..1000).fold(Refinement::default(), |s, _| {
            s.refine(&policy, (0.1, 0.1), 0.0)
        });
        assert!((hit.scale - SCALE_MIN).abs() < 1e-9);
    }

    #[test]
    fn refinement_settles_where_the_share_of_misses_is_the_one_asked_for() {
        let policy = policy(0.0);
        let mut refinement = Refinement::default();
        let mut missed = 0;
        // A triangle wave visits every deviation in [-1, 1] equally often.
        for i in 0..20_000_i32 {
            let deviation = f64::from((i * 7919) % 2000) / 1000.0 - 1.0;
            let reach = share(policy.risk_tolerance) * refinement.scale;
            missed += u32::from(deviation.abs() > reach);
            refinement = refinement.refine(&policy, (1.0, 1.0), deviation);
        }
        let rate = f64::from(missed) / 20_000.0;
        assert!((rate - 0.10).abs() < 0.02, "{rate}");
    }

    #[test]
    fn a_false_alarm_widens_the_band_and_right_ones_bring_it_back_but_not_below_its_floor() {
        let policy = policy(0.0);
        let judged = |said: &[Judgement]| {
            let refinement = said
                .iter()
                .fold(Refinement::default(), |s, judgement| s.judged(*judgement));
            band(&policy, Some((0.0, 0.6)), refinement)
        };
        let (none, once) = (judged(&[]), judged(&[Judgement::FalseAlarm]));
        let factor = 0.45_f64.exp();
        assert!((once.upper - none.upper * factor).abs() < 1e-12);
        assert!((once.lower - 0.2 * factor).abs() < 1e-12, "the floor too");
        let mut then_right = vec![Judgement::FalseAlarm];
        then_right.extend([Judgement::Right; 9]);
        let back = judged(&then_right);
        assert!((back.upper - none.upper).abs() < 1e-12);
        assert_eq!(judged(&[Judgement::Right; 50]), none);
        assert_eq!(judged(&[Judgement::FalseAlarm; 50]).upper, 1.0);
    }

    proptest! {
        #[test]
        fn the_band_widens_with_risk_tolerance_and_stays_between_floor_and_ceiling(
            r in 0.0_f64..1.0,
            more in 0.0_f64..1.0,
            w in 0.0_f64..10.0,
            wider in 0.0_f64..1.0,
            misses in 0_u32..20,
            false_alarms in 0_u32..5,
            season in (-2.0_f64..0.0, 0.0_f64..2.0),
        ) {
            let season = Swing { lower: season.0, upper: season.1 };
            let r2 = (r + more).min(1.0);
            let refinement = (0..misses)
                .fold(Refinement::default(), |s, _| s.refine(&policy(r), (w, w), w + 100.0));
            let refinement =
                (0..false_alarms).fold(refinement, |s, _| s.judged(Judgement::FalseAlarm));
            let low = band(&policy(r), Some((w, w)), refinement).with_season(&policy(r), season);
            // A higher risk tolerance takes a wider interval, whose half-width is no smaller.
            let high = band(&policy(r2), Some((w + wider, w + wider)), refinement).with_season(&policy(r2), season);
            prop_assert!(high.upper >= low.upper - 1e-12);
            prop_assert!(high.lower >= low.lower - 1e-12);
            prop_assert!(low.upper >= 0.2 - 1e-12 && high.upper <= 1.0);
        }
    }
}
