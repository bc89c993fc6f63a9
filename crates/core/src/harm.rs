//! How probable harm is: that the deviation comes to its limit (the band's ceiling) within the horizon.
//!
//! A deviation that leaves its band is a deviation; one that comes to its limit is harm. Most of what leaves a
//! band turns back by itself: a cache is emptied, a job is over, a process is restarted, somebody tidies up. So
//! two things are multiplied, for each side of the baseline:
//!
//! ```text
//! harm = passage * goes_on
//! passage   the forecast's probability of a first passage through the limit (Forecast::passage)
//! goes_on   how far one may believe that it will not turn back before
//! ```
//!
//! `goes_on` comes from the property's own past. An *excursion* begins when the level (the forecast's median for
//! the next step, so that noise is none, less what its season explains) passes a quarter of the band's floor, and is
//! over when the level has lost half of its peak.
//! With `n` former excursions, none of which came to the limit, and `m` of them as far as this one has come (its
//! peak `y`), it is either still as it always was or no longer so:
//!
//! ```text
//! goes_on = w + (1 - w) * S(limit) / S(y)        w = p / (p + S(y))        goes_on = 1 where n = 0
//! p       = 1/2 / (n + 2)                        it is no longer so: nothing holds it
//! S(y)    = (m + 1) / (n + 2)                    m > 0: it is, and comes as far as y
//! S(y)    = exp((top - y) / sigma) / (n + 2)     m = 0: it is, and comes further than the greatest peak, top
//! sigma^2 = (start^2 + sum of (peak - mean)^2) / n
//! ```
//!
//! `(m + 1) / (n + 2)` is the rule of succession (Laplace 1774): what never happened in `n` trials happens in the next
//! with probability `1 / (n + 2)`. That something changes its nature is held for half as probable as that it sets a
//! record. `w` is Bayes' rule. The tail beyond the greatest peak falls as an exponential does, the least that is known
//! of a tail of finite mean; its scale is the scatter of the peaks, with where excursions start as if seen once.
//!
//! Invariants: `goes_on` is 1 without a past and 1 at the limit. For what came no further than former ones it falls
//! with each that did; beyond them it rises with each bit that this one goes further. So what turned back again and
//! again is no alarm the next time, but cannot hide what goes on. An excursion that was ended by us (a failover, a
//! revert, a new baseline) teaches nothing: nobody knows how it would have ended.

use serde::{Deserialize, Serialize};

use crate::forecast::Forecast;
use crate::policy::{Policy, RiskTolerance};

/// How many former excursions are remembered on each side; the oldest is forgotten.
const REMEMBERED: usize = 32;

/// The part of the band's floor at which an excursion begins.
const STARTS_AT: f64 = 0.25;

/// How probable it is that the property is no longer what it was, against that it sets a record.
const NATURE_CHANGES: f64 = 0.5;

/// The share of its peak that an excursion has to lose to be over.
const OVER_AT: f64 = 0.5;

/// How probable harm has to be for a predicted breach to be acted on, where
/// [`ActOn::Harm`](crate::policy::ActOn) is asked for: `0.5 + 0.45 r`. At a risk tolerance of 0 that is as soon as
/// harm is more likely than not.
pub fn acted_on_at(r: RiskTolerance) -> f64 {
    0.5 + 0.45 * r.get()
}

/// The excursions of one property, on both sides of its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Excursions {
    above: Side,
    below: Side,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Side {
    /// How far the present excursion has come; `None` while there is none.
    running: Option<f64>,
    /// How far those that are over came, the oldest first.
    peaks: Vec<f64>,
}

impl Excursions {
    /// Takes one more level, as a deviation.
    pub fn take(&mut self, policy: &Policy, level: f64) {
        self.above.take(policy, level);
        self.below.take(policy, -level);
    }

    /// The present excursion does not end by itself.
    pub fn interrupt(&mut self) {
        self.above.running = None;
        self.below.running = None;
    }

    /// How probable harm is by this forecast.
    pub fn harm(&self, policy: &Policy, forecast: &Forecast) -> Harm {
        let limit = policy.band_ceiling;
        let above = self.above.harm(policy, forecast.passage(f64::MIN, limit));
        let below = self.below.harm(policy, forecast.passage(-limit, f64::MAX));
        if above.probability >= below.probability {
            above
        } else {
            below
        }
    }
}

/// What the past says, in brackets with a space before; the empty text where it says nothing.
pub fn turned_back_text(times: u32) -> String {
    match times {
        0 => String::new(),
        1 => " (once it came as far and turned back)".to_owned(),
        n => format!(" ({n} times it came as far and turned back)"),
    }
}

fn start(policy: &Policy) -> f64 {
    STARTS_AT * policy.band_floor
}

impl Side {
    fn take(&mut self, policy: &Policy, level: f64) {
        match self.running {
            Some(peak) if level <= peak * OVER_AT => {
                self.running = None;
                // What came to the limit did not turn back before it.
                if peak < policy.band_ceiling {
                    if self.peaks.len() == REMEMBERED {
                        self.peaks.remove(0);
                    }
                    self.peaks.push(peak);
                }
            }
            Some(peak) => self.running = Some(peak.max(level)),
            None if level >= start(policy) => self.running = Some(level),
            None => {}
        }
    }

    fn harm(&self, policy: &Policy, passage: f64) -> Harm {
        let come = self.running.unwrap_or(0.0).max(start(policy));
        let as_far = self.peaks.iter().filter(|peak| **peak >= come).count();
        Harm {
            probability: passage * self.goes_on(policy, come, as_far),
            turned_back: as_far as u32,
        }
    }

    fn goes_on(&self, policy: &Policy, come: f64, as_far: usize) -> f64 {
        let Some(top) = self.peaks.iter().copied().reduce(f64::max) else {
            return 1.0;
        };
        let sigma = self.scatter(start(policy));
        // Both survivals, and the probability that it is no longer so, as shares of 1 / (n + 2).
        let survives = |y: f64| ((top - y).min(0.0) / sigma).exp();
        let to_here = if as_far > 0 {
            as_far as f64 + 1.0
        } else {
            survives(come)
        };
        let to_limit = survives(policy.band_ceiling).min(to_here);
        let no_longer = NATURE_CHANGES / (NATURE_CHANGES + to_here);
        no_longer + (1.0 - no_longer) * to_limit / to_here
    }

    /// How far the peaks lie apart; `start` as if seen once.
    fn scatter(&self, start: f64) -> f64 {
        let n = self.peaks.len() as f64;
        let mean = self.peaks.iter().sum::<f64>() / n;
        let squares: f64 = self.peaks.iter().map(|peak| (peak - mean).powi(2)).sum();
        ((start * start + squares) / n).sqrt()
    }
}

/// How probable it is that the deviation comes to its limit within the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Harm {
    /// In [0, 1].
    pub probability: f64,
    /// How often a drift came as far as this one and turned back by itself.
    pub turned_back: u32,
}

impl Harm {
    /// In a few words.
    pub fn text(&self) -> String {
        let before = turned_back_text(self.turned_back);
        format!("harm with probability {:.2}{before}", self.probability)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::forecast::{HorizonGrid, Quantiles};
    use crate::time::Timestamp;

    /// The excursions begin at 0.05 and the limit is 1.
    fn policy() -> Policy {
        Policy::default()
    }

    /// Of one that rises to `peak` and falls to nothing, for each peak.
    fn past(peaks: &[f64]) -> Excursions {
        let mut excursions = Excursions::default();
        for peak in peaks {
            excursions.take(&policy(), *peak);
            excursions.take(&policy(), 0.0);
        }
        excursions
    }

    /// Sure to come to 2 within the horizon, or to -2.
    fn headed(for_: f64) -> Forecast {
        Forecast {
            origin: Timestamp::from_millis(0),
            grid: HorizonGrid::every_step(Duration::from_secs(60), 2),
            quantiles: vec![Quantiles::certain(0.0), Quantiles::certain(for_)],
        }
    }

    /// How far it goes on after having come to `now`.
    fn goes_on(excursions: &Excursions, now: f64) -> Harm {
        let mut excursions = excursions.clone();
        excursions.take(&policy(), now);
        excursions.harm(&policy(), &headed(2.0 * now.signum()))
    }

    #[test]
    fn without_a_past_harm_is_as_probable_as_the_forecast_says() {
        let none = past(&[]);
        let sure = Harm {
            probability: 1.0,
            turned_back: 0,
        };
        assert_eq!(goes_on(&none, 0.3), sure);
        let never = none.harm(&policy(), &headed(0.9));
        assert!(never.probability < 1e-6, "{never:?}");
    }

    #[test]
    fn the_sides_have_each_their_own_past() {
        let above = past(&[0.4, 0.4, 0.4]);
        assert_eq!(goes_on(&above, -0.4).probability, 1.0);
        let harm = goes_on(&above, 0.4);
        assert!(harm.probability < 0.2, "{harm:?}");
        assert_eq!(harm.turned_back, 3);
        let mirrored = past(&[-0.4, -0.4, -0.4]);
        assert_eq!(goes_on(&mirrored, -0.4), harm);
    }

    #[test]
    fn what_is_said_is_bayes_rule() {
        // Two of four came as far, the scatter is 0.1, and the start counts as seen once.
        let harm = goes_on(&past(&[0.2, 0.4, 0.2, 0.4]), 0.3);
        let sigma = ((0.05_f64.powi(2) + 4.0 * 0.01) / 4.0).sqrt();
        let to_limit = ((0.4 - 1.0) / sigma).exp();
        let no_longer = 0.5 / (0.5 + 3.0);
        let expected = no_longer + (1.0 - no_longer) * to_limit / 3.0;
        assert!((harm.probability - expected).abs() < 1e-12, "{harm:?}");
        assert_eq!(harm.turned_back, 2);
        assert_eq!(
            harm.text(),
            "harm with probability 0.14 (2 times it came as far and turned back)"
        );
        let once = goes_on(&past(&[0.4]), 0.3).text();
        assert!(
            once.ends_with("(once it came as far and turned back)"),
            "{once}"
        );
    }

    #[test]
    fn an_excursion_is_over_at_half_its_peak_and_teaches_only_if_it_turned_back_by_itself() {
        let follow = |levels: &[f64]| {
            let mut excursions = Excursions::default();
            levels
                .iter()
                .for_each(|level| excursions.take(&policy(), *level));
            excursions
        };
        assert_eq!(follow(&[0.1, 0.4, 0.21, 0.0]).above.peaks, [0.4]);
        assert!(follow(&[0.1, 0.4, 0.21]).above.peaks.is_empty(), "not over");
        assert!(follow(&[0.049, 0.0]).above.peaks.is_empty(), "none began");
        assert!(
            follow(&[0.5, 1.0, 0.0]).above.peaks.is_empty(),
            "at its limit"
        );
        let mut interrupted = follow(&[0.1, 0.4]);
        interrupted.interrupt();
        interrupted.take(&policy(), 0.0);
        assert!(interrupted.above.peaks.is_empty(), "ended by us");
        let many = vec![[0.2, 0.0]; REMEMBERED + 5].concat();
        assert_eq!(follow(&many).above.peaks.len(), REMEMBERED);
    }

    #[test]
    fn a_greater_tolerance_asks_for_surer_harm() {
        let at = |r| acted_on_at(RiskTolerance::new(r).unwrap());
        assert_eq!((at(0.0), at(1.0)), (0.5, 0.95));
        assert!(at(0.3) < at(0.31));
    }

    proptest! {
        #[test]
        fn each_time_it_turned_back_makes_the_next_time_less_of_an_alarm(
            peak in 0.06_f64..0.6, times in 1_usize..20,
        ) {
            let of = |times: usize| goes_on(&past(&vec![peak; times]), peak).probability;
            prop_assert!(of(times) <= 0.61);
            prop_assert!(of(times + 1) < of(times));
        }

        #[test]
        fn the_further_it_comes_beyond_all_others_the_surer(
            peaks in proptest::collection::vec(0.06_f64..0.6, 1..40),
            beyond in 0.001_f64..0.3, more in 0.001_f64..0.1,
        ) {
            let past = past(&peaks);
            let top = past.above.peaks.iter().copied().fold(0.0, f64::max);
            let of = |now: f64| goes_on(&past, now).probability;
            prop_assert!(of(top) < of(top + beyond));
            prop_assert!(of(top + beyond) <= of(top + beyond + more));
            prop_assert!((of(1.0) - 1.0).abs() < 1e-9);
        }
    }
}
