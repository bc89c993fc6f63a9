//! The committee: models fitted to a stretch of history, and how much each is believed at which horizon.
//!
//! It is elected ([`Election`]) by trial: every candidate is fitted to the older part of the history and
//! forecasts the newer part from rolling origins; those that did well at some horizon are seated and fitted
//! anew to all of it. From then on each is updated by one observation at a time, and to the mixture
//! (`crate::engine`) the committee is one model among others, which it may prefer or not.
//!
//! By itself a committee does not go where the series has never been (with a season: not much further). A fit
//! that saw a stretch of a random walk extrapolates it with confidence; going on in a direction is for the
//! trending models of the pool, which first ask for evidence (`crate::trend`). So far as these go on it,
//! the committee may go too.
//!
//! A member that shares the network of all series speaks only while it has that network ([`Committee::wake`]);
//! without it, its weight is the others'.
//!
//! Invariants: weights at every anchor sum to 1; there are at most [`election::SEATS`] seats. There may be none,
//! when all who sat there were dismissed: then it says nothing, and the next election seats others.

mod election;
mod member;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::lstm::Network;
use crate::models::sparse_ar::Past;
use crate::models::{Moments, VARIANCE_FLOOR};

pub use election::{Election, Global, SHORTEST_HISTORY};
pub use member::Member;

/// One member and how much it is believed at each anchor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seat {
    member: Member,
    weights: Vec<f32>,
}

/// Fitted models that forecast together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Committee {
    past: Past,
    seats: Vec<Seat>,
    /// The horizons, in steps, at which weights are held; rising.
    anchors: Vec<u32>,
    /// Where the series has been.
    range: (f64, f64),
    /// How far beyond that a mean may go, in ranges.
    beyond: f64,
}

impl Committee {
    /// Lets one step go by, with its observation or with none.
    pub fn update(&mut self, observed: Option<f64>) {
        let observed = observed.filter(|v| v.is_finite());
        if let Some(value) = observed {
            self.range = (self.range.0.min(value), self.range.1.max(value));
        }
        // Who misses a step is out: it would not know what time it is.
        self.dismiss_silent();
        let value = observed.unwrap_or_else(|| self.expected_next());
        for seat in &mut self.seats {
            seat.member.update(observed, &self.past);
        }
        self.past.push(value);
    }

    /// Mean and variance at each of `steps` (rising) after the last update. Disagreement between members
    /// is part of the variance. While nobody speaks it is where the series has been.
    ///
    /// `opened` is, for each step, the stretch into which there is evidence of a trend; empty where there is
    /// none at all.
    pub fn predict(&self, steps: &[u32], opened: &[(f64, f64)], out: &mut [Moments]) {
        if self.is_anyone_silent() {
            return self.without_silent().predict(steps, opened, out);
        }
        if self.seats.is_empty() {
            let (low, high) = self.range;
            let variance = (high - low).powi(2).max(VARIANCE_FLOOR);
            out.fill(Moments {
                mean: low + 0.5 * (high - low),
                variance,
            });
            return;
        }
        let mut path = Vec::new();
        let mut said = vec![Moments::default(); steps.len()];
        let beyond = self.beyond * (self.range.1 - self.range.0);
        let (low, high) = (self.range.0 - beyond, self.range.1 + beyond);
        // Means, and second moments round the first member's mean: no digits are lost to a far level.
        let mut first = Vec::with_capacity(steps.len());
        let places: Vec<Place> = steps.iter().map(|step| self.place(*step)).collect();
        for (index, seat) in self.seats.iter().enumerate() {
            seat.member.predict(&self.past, steps, &mut path, &mut said);
            for (slot, moments) in said.iter_mut().enumerate() {
                let (from, to) = opened.get(slot).copied().unwrap_or((low, high));
                moments.mean = moments.mean.clamp(low.min(from), high.max(to));
            }
            if index == 0 {
                first.extend(said.iter().map(|m| m.mean));
                out.fill(Moments::default());
            }
            for (slot, place) in places.iter().enumerate() {
                let weight = place.weight(&seat.weights);
                let distance = said[slot].mean - first[slot];
                out[slot].mean += weight * distance;
                out[slot].variance += weight * (said[slot].variance + distance * distance);
            }
        }
        for (slot, first) in out.iter_mut().zip(first) {
            slot.variance = (slot.variance - slot.mean * slot.mean).max(VARIANCE_FLOOR);
            slot.mean += first;
        }
    }

    /// The members' descriptions with their weights, means over the anchors.
    pub fn weights(&self) -> Vec<(String, f64)> {
        if self.is_anyone_silent() {
            return self.without_silent().weights();
        }
        let describe = |seat: &Seat| {
            let total: f64 = seat.weights.iter().map(|w| f64::from(*w)).sum();
            // Exact: a handful of anchors.
            #[allow(clippy::cast_precision_loss)]
            let count = seat.weights.len().max(1) as f64;
            (seat.member.describe(), total / count)
        };
        self.seats.iter().map(describe).collect()
    }

    /// Hands its network to a member that waits for it, and dismisses those that wait for another one.
    pub fn wake(&mut self, network: Option<&Arc<Network>>) {
        if let Some(network) = network {
            self.seats
                .iter_mut()
                .for_each(|seat| seat.member.wake(network));
        }
        self.dismiss_silent();
    }

    /// Whether there is a member that can forecast.
    pub fn speaks(&self) -> bool {
        self.seats.iter().any(|seat| seat.member.speaks())
    }

    fn is_anyone_silent(&self) -> bool {
        !self.seats.iter().all(|seat| seat.member.speaks())
    }

    fn without_silent(&self) -> Self {
        let mut heard = self.clone();
        heard.dismiss_silent();
        heard
    }

    /// Dismisses the members that cannot speak, and shares their weight out in proportion.
    fn dismiss_silent(&mut self) {
        if !self.is_anyone_silent() {
            return;
        }
        self.seats.retain(|seat| seat.member.speaks());
        for anchor in 0..self.anchors.len() {
            let mut weights: Vec<&mut f32> = self
                .seats
                .iter_mut()
                .filter_map(|seat| seat.weights.get_mut(anchor))
                .collect();
            let total: f32 = weights.iter().map(|weight| **weight).sum();
            // Exact: a handful of seats.
            #[allow(clippy::cast_precision_loss)]
            let even = 1.0 / weights.len() as f32;
            for weight in &mut weights {
                **weight = if total >= f32::MIN_POSITIVE {
                    **weight / total
                } else {
                    even
                };
            }
        }
    }

    /// Whether its parts fit together.
    pub(crate) fn is_sound(&self) -> bool {
        let fits = |seat: &Seat| seat.weights.len() == self.anchors.len() && seat.member.is_sound();
        !self.anchors.is_empty()
            && self.anchors.windows(2).all(|pair| pair[0] < pair[1])
            && self.seats.iter().all(fits)
            && self.range.0 <= self.range.1
            && self.past.is_sound()
    }

    fn expected_next(&self) -> f64 {
        let mut next = [Moments::default()];
        self.predict(&[1], &[], &mut next);
        next[0].mean
    }

    /// Where `step` lies among the anchors; before the first and beyond the last it is there.
    fn place(&self, step: u32) -> Place {
        let last = self.anchors.len() - 1;
        let upper = self.anchors.partition_point(|anchor| *anchor < step);
        if upper == 0 || upper > last {
            let nearest = upper.min(last);
            return Place {
                lower: nearest,
                upper: nearest,
                share: 0.0,
            };
        }
        let (from, to) = (self.anchors[upper - 1], self.anchors[upper]);
        Place {
            lower: upper - 1,
            upper,
            share: f64::from(step - from) / f64::from(to - from),
        }
    }
}

/// A step between two anchors, and its share of the way from the lower one. The same for all members.
#[derive(Clone, Copy, Debug)]
struct Place {
    lower: usize,
    upper: usize,
    share: f64,
}

impl Place {
    /// A seat's weight here: between the anchors' in proportion.
    fn weight(&self, weights: &[f32]) -> f64 {
        let (a, b) = (weights[self.lower], weights[self.upper]);
        let (a, b) = (f64::from(a), f64::from(b));
        a + self.share * (b - a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use proptest::prelude::*;

    const STEPS: [u32; 4] = [1, 6, 12, 24];

    /// A day's course of 24 steps with noise.
    #[allow(clippy::cast_precision_loss)] // Steps are few.
    fn days(count: usize, noise: f64) -> Vec<f64> {
        let mut random = Random::new(11);
        (0..24 * count)
            .map(|i| {
                5.0 + (std::f64::consts::TAU * i as f64 / 24.0).sin() + noise * random.normal()
            })
            .collect()
    }

    fn predict(committee: &Committee) -> Vec<Moments> {
        let mut out = vec![Moments::default(); STEPS.len()];
        committee.predict(&STEPS, &[], &mut out);
        out
    }

    #[test]
    fn weights_sum_to_one_and_seats_are_few() {
        let history = days(30, 0.2);
        let committee = Election::hold(&history, &[24], &STEPS, &STEPS, None)
            .unwrap()
            .committee();
        let total: f64 = committee.weights().iter().map(|(_, weight)| weight).sum();
        assert!((total - 1.0).abs() < 1e-5, "{:?}", committee.weights());
        assert!(committee.seats.len() <= election::SEATS);
    }

    #[test]
    fn without_the_season_the_day_is_not_foreseen_and_with_it_it_is() {
        let history = days(30, 0.2);
        let error = |seasons: &[usize]| {
            let election = Election::hold(&history[..700], seasons, &STEPS, &STEPS, None).unwrap();
            let said = predict(&election.committee());
            said[2].variance.sqrt()
        };
        assert!(error(&[24]) < 0.3, "{}", error(&[24]));
        assert!(error(&[]) > error(&[24]));
    }

    #[test]
    fn updated_hour_by_hour_it_still_foresees_the_day() {
        let history = days(40, 0.2);
        let (known, rest) = history.split_at(700);
        let election = Election::hold(known, &[24], &STEPS, &STEPS, None).unwrap();
        let mut committee = election.committee();
        let (mut squares, mut count) = (0.0, 0.0);
        for (index, value) in rest.iter().enumerate() {
            if let Some(outcome) = rest.get(index + 11) {
                squares += (predict(&committee)[2].mean - outcome).powi(2);
                count += 1.0;
            }
            committee.update(Some(*value));
        }
        let error: f64 = (squares / count).sqrt();
        assert!(
            error < 0.25,
            "the noise is 0.2, the error twelve hours ahead {error}"
        );
    }

    #[test]
    fn it_goes_where_the_series_never_was_only_so_far_as_a_trend_opens_the_way() {
        let slope: Vec<f64> = (0..400).map(|i| f64::from(i) * 0.5).collect();
        let committee = Election::hold(&slope, &[], &STEPS, &STEPS, None)
            .unwrap()
            .committee();
        let said = |opened: &[(f64, f64)]| {
            let mut out = vec![Moments::default(); STEPS.len()];
            committee.predict(&STEPS, opened, &mut out);
            out[3].mean
        };
        // The range ends at 199.5; the slope would be at 211.5.
        assert!(said(&[]) <= 199.5 + 1e-6, "{}", said(&[]));
        let half_way = [
            (199.5, 199.5),
            (199.5, 200.0),
            (199.5, 202.0),
            (199.5, 205.0),
        ];
        assert!((said(&half_way) - 205.0).abs() < 1.0, "{}", said(&half_way));
        let down = [(100.0, 199.5); 4];
        assert_eq!(said(&down), said(&[]));
    }

    #[test]
    fn what_is_missing_is_expected_and_not_made_up() {
        let history = days(30, 0.05);
        let mut committee = Election::hold(&history[..696], &[24], &STEPS, &STEPS, None)
            .unwrap()
            .committee();
        for _ in 0..6 {
            committee.update(None);
        }
        // Six hours on, the next hours of the day are still the day's.
        let expected = 5.0 + (std::f64::consts::TAU * 7.0 / 24.0).sin();
        assert!((predict(&committee)[0].mean - expected).abs() < 0.2);
    }

    /// As it comes back from where it was stored, with a member that has no network.
    fn with_silent(weights: [f32; STEPS.len()], others: bool) -> Committee {
        let history = days(30, 0.2);
        let mut committee = Election::hold(&history, &[24], &STEPS, &STEPS, None)
            .unwrap()
            .committee();
        let context = crate::lstm::Context {
            start_s: 0,
            step_s: 3600,
            seasons: [None; 2],
            family: 0,
        };
        let network = Network::untrained(&crate::lstm::Architecture::default(), 1).unwrap();
        let waiting = crate::lstm::Slot::Waiting(network.state(context));
        if !others {
            committee.seats.clear();
        }
        for seat in &mut committee.seats {
            for (own, taken) in seat.weights.iter_mut().zip(weights) {
                *own *= 1.0 - taken;
            }
        }
        committee.seats.push(Seat {
            member: Member::Lstm(Box::new(waiting)),
            weights: weights.to_vec(),
        });
        committee
    }

    #[test]
    fn the_weight_of_a_silent_member_is_the_others() {
        let heard = with_silent([0.0; 4], true).without_silent();
        for weights in [[0.0; 4], [0.25; 4], [0.9, 0.5, 0.0, 0.1]] {
            let mut committee = with_silent(weights, true);
            assert!(committee.speaks());
            for (a, b) in predict(&committee).iter().zip(predict(&heard)) {
                assert!((a.mean - b.mean).abs() < 1e-5, "{a:?} {b:?}");
                assert!((a.variance - b.variance).abs() < 1e-5, "{a:?} {b:?}");
            }
            let before = predict(&committee);
            committee.wake(None);
            assert_eq!(predict(&committee), before);
            assert_eq!(committee.weights().len(), heard.seats.len());
        }
        // The silent one had everything: the others are believed alike.
        let committee = with_silent([1.0; 4], true);
        let total: f64 = committee.weights().iter().map(|(_, weight)| weight).sum();
        assert!((total - 1.0).abs() < 1e-5);
        assert!(
            predict(&committee)
                .iter()
                .all(|m| m.mean.is_finite() && m.variance > 0.0)
        );
    }

    #[test]
    fn a_committee_in_which_nobody_speaks_says_so_and_nothing_wrong() {
        let mut committee = with_silent([1.0; 4], false);
        for _ in 0..3 {
            assert!(!committee.speaks());
            let said = predict(&committee);
            let inside = |m: &Moments| (2.0..8.0).contains(&m.mean) && m.variance > 1.0;
            assert!(said.iter().all(inside), "{said:?}");
            assert!(committee.weights().is_empty());
            committee.update(None);
            committee.update(Some(5.0));
        }
        assert!(committee.seats.is_empty() && committee.is_sound());
        let stored = postcard::to_allocvec(&committee).unwrap();
        let mut restored: Committee = postcard::from_bytes(&stored).unwrap();
        assert!(restored.is_sound());
        restored.wake(None);
        restored.update(Some(5.0));
        assert!(!restored.speaks());
        assert_eq!(predict(&restored), predict(&committee));
    }

    /// Days of twelve steps or nothing in particular, of which a part is lost, and all of `outage`.
    fn holed(seed: u64, kind: u8, lost: f64, outage: std::ops::Range<usize>) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut level = 0.0;
        (0..420_u32)
            .map(|t| {
                let (chance, noise) = (random.uniform(), random.normal());
                level += noise;
                let value = match kind {
                    0 => noise,
                    1 => level,
                    2 => f64::from(t % 12) + noise,
                    3 => f64::from(t % 12),
                    4 => 1e-9 * noise + f64::from(u8::from(chance > 0.99)) * 1e25,
                    _ => f64::from(u8::from(chance > 0.9)),
                };
                if random.uniform() < lost || outage.contains(&(t as usize)) {
                    f64::NAN
                } else {
                    value
                }
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn what_is_lost_never_becomes_no_number(
            seed in any::<u64>(),
            kind in 0_u8..6,
            lost in prop_oneof![Just(0.0), Just(0.05), Just(0.4), Just(0.7)],
            from in 0_usize..420,
            length in prop_oneof![Just(0_usize), 1_usize..40, 100_usize..200],
            seasons in prop_oneof![Just(vec![]), Just(vec![12]), Just(vec![12, 36]), Just(vec![7])],
        ) {
            let values = holed(seed, kind, lost, from..from + length);
            let (known, rest) = values.split_at(330);
            let Some(election) = Election::hold(known, &seasons, &STEPS, &STEPS, None) else {
                return Ok(());
            };
            for mut committee in [election.at_cut(), election.committee()] {
                for value in rest {
                    committee.update(Some(*value).filter(|v| v.is_finite()));
                    for (at, said) in predict(&committee).iter().enumerate() {
                        let sound = said.mean.is_finite() && said.variance.is_finite();
                        prop_assert!(sound && said.variance > 0.0, "{at}: {said:?} {:?}", committee.weights());
                    }
                    prop_assert!(committee.is_sound());
                }
            }
        }
    }

    #[test]
    fn a_short_history_elects_nobody() {
        assert!(Election::hold(&days(1, 0.1), &[24], &STEPS, &STEPS, None).is_none());
        assert!(Election::hold(&[], &[], &STEPS, &STEPS, None).is_none());
        assert!(Election::hold(&[f64::NAN; 500], &[], &STEPS, &STEPS, None).is_none());
    }
}
