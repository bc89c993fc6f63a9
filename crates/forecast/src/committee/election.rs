//! The election of a committee: who did well on the newer part of the history, told only the older.
//!
//! Each candidate is fitted to the first [`HEAD`] of the history and then forecasts from rolling origins
//! through the rest, updated by each observation. At each anchor horizon its loss `L` is the mean pinball
//! loss over several levels, and its weight `exp(-TEMPER (L - L_min) / L_min)`: exponential weights
//! (Cesa-Bianchi and Lugosi 2006, 2.2) whose rate is small, because the outcomes of overlapping horizons
//! are few in truth, and because a mean of several good models beats the best of them more often than not
//! (Bates and Granger 1969; Makridakis et al. 2020 on the M4 competition).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Committee, Member, Seat};
use crate::experts::loss;
use crate::lstm::{Context, LstmModel, Network, Slot};
use crate::models::Moments;
use crate::models::adaptive_ar::AdaptiveAr;
use crate::models::arima::{self, Arima};
use crate::models::ets::Ets;
use crate::models::mstl::Mstl;
use crate::models::seasonal_naive::SeasonalNaive;
use crate::models::sparse_ar::{BEYOND, Past, Scale, Shape, SparseAr, finite_range, usual_lags};
use crate::models::theta::Theta;

/// Part of the history that candidates are told for the trial.
const HEAD: f64 = 0.7;

/// How strongly a relative difference in loss speaks.
const TEMPER: f64 = 5.0;

/// The network counts as so many candidates: most of the others are alike, and a dozen autoregressions that
/// do nearly as well must not drown the one that learned from other series. 4 was best of 1, 4, 8 and 16
/// (`docs/decisions/0008-own-lstm-cell.md`).
const NETWORK_COUNTS: f64 = 4.0;

/// Seats, at most.
pub(super) const SEATS: usize = 8;

/// Who has less weight than this at every anchor is not seated.
const LEAST_WEIGHT: f64 = 0.04;

/// Origins of the trial, at most.
const ORIGINS: usize = 256;

/// Observations without which no election is held.
pub const SHORTEST_HISTORY: usize = 48;

/// The longest season of models that fit a state of as many numbers: their time grows with both.
const LONGEST_STATE: usize = 48;

/// Older history than this says little of the present, and costs time.
const LONGEST_HISTORY: usize = 4096;

/// But so many of the longest season.
const SEASONS_OF_HISTORY: usize = 4;

/// A network that many series share, and what it is to know of this one.
#[derive(Clone, Debug)]
pub struct Global {
    /// The network.
    pub network: Arc<Network>,
    /// The series; it starts with the first step of the history.
    pub context: Context,
}

impl Global {
    /// The same for a history without its first `steps`.
    fn starting_after(mut self, steps: usize) -> Self {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        let passed = steps.saturating_mul(i64::from(self.context.step_s));
        self.context.start_s = self.context.start_s.saturating_add(passed);
        self
    }

    fn fit(&self, history: &[f64]) -> Option<Member> {
        let model = LstmModel::fit(Arc::clone(&self.network), self.context, history)?;
        Some(Member::Lstm(Box::new(Slot::Ready(model))))
    }
}

/// Held on one history; ends in a [`Committee`].
#[derive(Debug)]
pub struct Election<'a> {
    history: &'a [f64],
    cut: usize,
    seasons: Vec<usize>,
    steps: Vec<u32>,
    anchors: Vec<u32>,
    global: Option<Global>,
    winners: Vec<(Candidate, Member, Vec<f32>)>,
}

/// What can be fitted.
#[derive(Clone, Debug, PartialEq)]
enum Candidate {
    Autoregression(Shape),
    Adaptive(Shape),
    SeasonalNaive(usize),
    /// With the season in steps; 0: none.
    Ets(usize),
    Theta(usize),
    Arima(usize),
    Mstl(Vec<usize>),
    Lstm,
}

impl Candidate {
    fn fit(&self, history: &[f64], reach: usize, global: Option<&Global>) -> Option<Member> {
        match self {
            Self::Lstm => global?.fit(history),
            Self::Autoregression(shape) => {
                SparseAr::fit(history, shape, reach).map(Member::Autoregression)
            }
            Self::Adaptive(shape) => AdaptiveAr::fit(history, shape, reach)
                .map(|adaptive| Member::Adaptive(Box::new(adaptive))),
            Self::SeasonalNaive(season) => {
                SeasonalNaive::fit(history, *season).map(Member::SeasonalNaive)
            }
            Self::Ets(season) => Ets::auto(history, *season).map(|ets| Member::Ets(Box::new(ets))),
            Self::Theta(season) => {
                Theta::auto(history, *season).map(|theta| Member::Theta(Box::new(theta)))
            }
            Self::Arima(season) => {
                let season = Some(*season).filter(|season| *season > 1);
                let mut arima = Arima::auto(history, season, &arima::Limits::default()).ok()?;
                arima.make_steady();
                Some(Member::Arima(Box::new(arima)))
            }
            Self::Mstl(seasons) => {
                Mstl::fit(history, seasons).map(|mstl| Member::Mstl(Box::new(mstl)))
            }
        }
    }
}

impl<'a> Election<'a> {
    /// Tries every candidate on `history` (equal steps, gaps NaN; the last [`LONGEST_HISTORY`] count) for
    /// the horizons `steps` (rising), of which `anchors` are judged. `seasons` are in steps, rising.
    ///
    /// With `global`, the network of all series is one of the candidates.
    ///
    /// `None` where the history is too short, or no candidate could be fitted.
    pub fn hold(
        history: &'a [f64],
        seasons: &[usize],
        steps: &[u32],
        anchors: &[u32],
        global: Option<Global>,
    ) -> Option<Self> {
        let cycles = SEASONS_OF_HISTORY * seasons.last().copied().unwrap_or_default();
        let counting = LONGEST_HISTORY.max(cycles);
        let dropped = history.len().saturating_sub(counting);
        let history = &history[dropped..];
        let known = history.iter().filter(|v| v.is_finite()).count();
        if known < SHORTEST_HISTORY {
            return None;
        }
        // Not negative, and below the length.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let cut = (history.len() as f64 * HEAD) as usize;
        let mut election = Self {
            history,
            cut,
            seasons: seasons.to_vec(),
            steps: steps.to_vec(),
            anchors: anchors.to_vec(),
            global: global.map(|global| global.starting_after(dropped)),
            winners: Vec::new(),
        };
        let tried: Vec<(Candidate, Member, Vec<f64>)> = election
            .candidates()
            .into_iter()
            .filter_map(|candidate| {
                let member =
                    candidate.fit(&history[..cut], election.reach(), election.global.as_ref())?;
                let losses = election.trial(&member);
                Some((candidate, member, losses))
            })
            .collect();
        election.winners = elected(tried, anchors.len());
        (!election.winners.is_empty()).then_some(election)
    }

    /// Where the part that the candidates were told ends.
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// The history that counted.
    pub fn history(&self) -> &'a [f64] {
        self.history
    }

    /// The committee as it stood at the cut: fitted to what lies before. What it forecasts behind the cut
    /// is honest, and good to calibrate by.
    pub fn at_cut(&self) -> Committee {
        let seats = self.winners.iter().map(|(_, member, weights)| Seat {
            member: member.clone(),
            weights: weights.clone(),
        });
        self.seated(seats.collect(), &self.history[..self.cut])
    }

    /// The committee fitted to all of the history.
    pub fn committee(&self) -> Committee {
        let reach = self.reach();
        let seats = self.winners.iter().map(|(candidate, member, weights)| {
            let refitted = candidate.fit(self.history, reach, self.global.as_ref());
            Seat {
                // What could be fitted to a part can nearly always be fitted to the whole.
                member: refitted.unwrap_or_else(|| self.caught_up(member.clone())),
                weights: weights.clone(),
            }
        });
        self.seated(seats.collect(), self.history)
    }

    fn caught_up(&self, mut member: Member) -> Member {
        let mut past = Past::new(&self.history[..self.cut], member.memory());
        for value in &self.history[self.cut..] {
            let known = Some(*value).filter(|v| v.is_finite());
            member.update(known, &past);
            past.take(known);
        }
        member
    }

    fn seated(&self, seats: Vec<Seat>, history: &[f64]) -> Committee {
        let keep = seats.iter().map(|seat| seat.member.memory()).max();
        Committee {
            past: Past::new(history, keep.unwrap_or(1)),
            seats,
            anchors: self.anchors.clone(),
            range: finite_range(history).unwrap_or_default(),
            beyond: if self.seasons.is_empty() { 0.0 } else { BEYOND },
        }
    }

    fn reach(&self) -> usize {
        self.steps.last().map_or(1, |step| *step as usize)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        candidates.extend(self.global.as_ref().map(|_| Candidate::Lstm));
        let mut add = |lags: &[usize], difference, scale| {
            let lags: BTreeSet<usize> = lags.iter().copied().collect();
            let shape = Shape {
                lags: lags.into_iter().collect(),
                difference,
                scale,
            };
            // With a season coefficients that follow do as well as those that keep to the fit, and better after the
            // day's course has changed. Without one there is little to follow but noise.
            candidates.push(if difference == 0 && !self.seasons.is_empty() {
                Candidate::Adaptive(shape)
            } else {
                Candidate::Autoregression(shape)
            });
        };
        let usual = usual_lags(&self.seasons);
        let Some(&day) = self.seasons.first() else {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                add(&usual, 0, scale);
                add(&[1, 2, 3], 1, scale);
            }
            add(&[1], 0, Scale::Linear);
            add(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 0, Scale::Linear);
            candidates.extend([Candidate::Ets(0), Candidate::Theta(0)]);
            return candidates;
        };
        let near = [1, 2, day, day + 1];
        let few: Vec<usize> = match self.seasons.get(1) {
            Some(week) => vec![1, 2, 3, day, day + 1, 2 * day, *week, week + 1],
            None => vec![1, 2, 3, day, day + 1, 2 * day, 2 * day + 1],
        };
        for scale in [Scale::Linear, Scale::Logarithmic] {
            add(&usual, 0, scale);
            add(&few, 0, scale);
        }
        add(&usual, day, Scale::Linear);
        add(&usual, 1, Scale::Linear);
        add(&near, 0, Scale::Linear);
        add(&near, day, Scale::Linear);
        candidates.extend(self.seasons.iter().map(|s| Candidate::SeasonalNaive(*s)));
        if day <= LONGEST_STATE {
            candidates.extend([Candidate::Ets(day), Candidate::Arima(day)]);
        }
        candidates.push(Candidate::Theta(day));
        candidates.push(Candidate::Mstl(self.seasons.clone()));
        candidates
    }

    /// The mean loss of `member` at each anchor; infinite where there was no outcome.
    #[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
    fn trial(&self, member: &Member) -> Vec<f64> {
        let mut member = member.clone();
        let mut past = Past::new(&self.history[..self.cut], member.memory());
        let stride = (self.history.len() - self.cut).div_ceil(ORIGINS).max(1);
        let mut path = Vec::new();
        let mut said = vec![Moments::default(); self.anchors.len()];
        let mut sums = vec![(0.0, 0_usize); self.anchors.len()];
        for origin in self.cut..self.history.len() {
            if (origin - self.cut).is_multiple_of(stride) {
                member.predict(&past, &self.anchors, &mut path, &mut said);
                for ((anchor, said), sum) in self.anchors.iter().zip(&said).zip(&mut sums) {
                    let outcome = self.history.get(origin - 1 + *anchor as usize);
                    if let Some(outcome) = outcome.filter(|v| v.is_finite()) {
                        *sum = (sum.0 + loss(*said, *outcome), sum.1 + 1);
                    }
                }
            }
            let known = Some(self.history[origin]).filter(|v| v.is_finite());
            member.update(known, &past);
            past.take(known);
        }
        sums.into_iter()
            .map(|(sum, count)| {
                if count == 0 {
                    f64::NAN
                } else {
                    sum / count as f64
                }
            })
            .collect()
    }
}

/// Who is seated, with weights per anchor.
fn elected(
    tried: Vec<(Candidate, Member, Vec<f64>)>,
    anchors: usize,
) -> Vec<(Candidate, Member, Vec<f32>)> {
    let mut weights: Vec<Vec<f64>> = vec![vec![0.0; anchors]; tried.len()];
    for anchor in 0..anchors {
        let losses: Vec<f64> = tried.iter().map(|(_, _, losses)| losses[anchor]).collect();
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        for (weights, loss) in weights.iter_mut().zip(losses) {
            weights[anchor] = if !least.is_finite() {
                // A horizon longer than the trial: the next shorter one tells, see below.
                f64::NAN
            } else if !loss.is_finite() {
                // It said nothing of which a loss could be told.
                0.0
            } else if least > 0.0 {
                (-TEMPER * (loss - least) / least).exp()
            } else {
                f64::from(u8::from(loss == least))
            };
        }
    }
    for weights in &mut weights {
        let mut known = 1.0;
        for weight in weights {
            known = if weight.is_nan() { known } else { *weight };
            *weight = known;
        }
    }
    for ((candidate, _, _), weights) in tried.iter().zip(&mut weights) {
        if *candidate == Candidate::Lstm {
            weights
                .iter_mut()
                .for_each(|weight| *weight *= NETWORK_COUNTS);
        }
    }
    let share = |weights: &[Vec<f64>], anchor: usize, who: usize| {
        let total: f64 = weights.iter().map(|w| w[anchor]).sum();
        weights[who][anchor] / total
    };
    let mut strongest: Vec<(usize, f64)> = (0..tried.len())
        .map(|who| {
            let most = (0..anchors).map(|anchor| share(&weights, anchor, who));
            (who, most.fold(0.0, f64::max))
        })
        .filter(|(_, most)| *most >= LEAST_WEIGHT)
        .collect();
    strongest.sort_by(|a, b| b.1.total_cmp(&a.1));
    strongest.truncate(SEATS);
    let mut seated: Vec<usize> = strongest.into_iter().map(|(who, _)| who).collect();
    seated.sort_unstable();
    let kept: Vec<Vec<f64>> = seated.iter().map(|who| weights[*who].clone()).collect();
    tried
        .into_iter()
        .enumerate()
        .filter_map(|(who, (candidate, member, _))| {
            let place = seated.iter().position(|seat| *seat == who)?;
            // Single precision is enough for a weight.
            #[allow(clippy::cast_possible_truncation)]
            let shares = (0..anchors).map(|anchor| share(&kept, anchor, place) as f32);
            Some((candidate, member, shares.collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A candidate with its losses at two anchors. Who it is matters, the member does not.
    fn tried(candidate: Candidate, losses: [f64; 2]) -> (Candidate, Member, Vec<f64>) {
        let history: Vec<f64> = (0..40_i32).map(|i| f64::from(i % 4)).collect();
        let member = SeasonalNaive::fit(&history, 4).map(Member::SeasonalNaive);
        (candidate, member.unwrap(), losses.to_vec())
    }

    #[test]
    fn the_network_counts_as_several_and_no_more() {
        let equal = [1.0, 2.0];
        let all = vec![
            tried(Candidate::Lstm, equal),
            tried(Candidate::Ets(4), equal),
            tried(Candidate::Theta(4), equal),
        ];
        let elected = elected(all, 2);
        let shares: Vec<f32> = elected.iter().map(|(_, _, weights)| weights[1]).collect();
        assert_eq!(shares.len(), 3);
        for (share, expected) in shares.iter().zip([4.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0]) {
            assert!((share - expected).abs() < 1e-6, "{shares:?}");
        }
    }

    #[test]
    fn who_said_nothing_that_can_be_judged_is_not_seated() {
        let all = vec![
            tried(Candidate::Theta(4), [f64::NAN, f64::INFINITY]),
            tried(Candidate::Ets(4), [1.0, f64::NAN]),
        ];
        let elected = elected(all, 2);
        assert_eq!(elected.len(), 1);
        assert_eq!(
            (&elected[0].0, &elected[0].2[..]),
            (&Candidate::Ets(4), &[1.0; 2][..])
        );
    }

    #[test]
    fn an_outage_over_the_cut_leaves_every_candidate_a_loss() {
        let mut history: Vec<f64> = (0..400_i32).map(|i| f64::from(i * i % 12)).collect();
        // The older part ends with seven tenths.
        history[270..285].fill(f64::NAN);
        let election = Election::hold(&history, &[12], &[1, 2, 6], &[1, 6], None).unwrap();
        assert_eq!(election.cut, 280);
        for candidate in election.candidates() {
            let Some(member) = candidate.fit(&history[..280], 6, None) else {
                continue;
            };
            let losses = election.trial(&member);
            assert!(
                losses.iter().all(|l| l.is_finite()),
                "{candidate:?}: {losses:?}"
            );
        }
    }

    #[test]
    fn a_network_that_does_badly_is_not_seated() {
        let all = vec![
            tried(Candidate::Lstm, [3.0, 5.0]),
            tried(Candidate::Ets(4), [1.0, 2.0]),
        ];
        let names: Vec<Candidate> = elected(all, 2).into_iter().map(|(c, _, _)| c).collect();
        assert_eq!(names, [Candidate::Ets(4)]);
    }
}
