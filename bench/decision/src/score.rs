//! How well failovers served one resource, and how well a contender served them all.
//!
//! Definitions (also in docs/benchmarks.md):
//! - A *false* failover is one without harm to come: of a resource that never comes to harm, or before the onset
//!   of the drift that does harm. Its rate is per resource-year of *harmless* time: all of the record without harm,
//!   else until the onset.
//! - A harmful gradual drift is *caught* when the first failover since its onset comes before the harm.
//! - The *possible* lead time is `min(harm - onset, horizon)`: nobody is asked to speak before the drift is
//!   there, nor further ahead than the horizon that was asked for. The lead time is `harm - failover`, and counts up
//!   to the possible. Of a drift that was missed it is 0, and that 0 counts in medians and percentiles.
//! - *Late* is a failover after the harm, *never* none at all.
//! - *Time in harm* is the time, from the harm to the first failover since the onset, in which some property
//!   is at or beyond its limit.

use serde::Serialize;

use crate::actor::Failover;
use crate::case::Id;
use crate::record::Record;

/// How a drift comes to harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Course {
    /// So that it can be seen coming.
    Gradual,
    /// At once.
    Sudden,
}

/// What is true of one resource, in seconds since the start of its record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Harm {
    pub(crate) course: Course,
    pub(crate) onset: f64,
    pub(crate) at: f64,
}

/// One contender over one resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Score {
    pub(crate) id: Id,
    pub(crate) harm: Option<Harm>,
    /// The possible lead time in seconds.
    pub(crate) possible: f64,
    /// The lead time in seconds, up to the possible; 0 where it was missed.
    pub(crate) lead: f64,
    /// The first failover since the onset, if any.
    pub(crate) first: Option<f64>,
    pub(crate) false_failovers: u32,
    pub(crate) harmless_seconds: f64,
    pub(crate) harm_seconds: f64,
}

/// Scores `failovers` over a record.
pub(crate) fn score(
    id: Id,
    harm: Option<Harm>,
    horizon: f64,
    record: &Record,
    failovers: &[Failover],
) -> Score {
    let harmless_seconds = harm.map_or(record.end(), |harm| harm.onset);
    let is_false = |f: &&Failover| harm.is_none_or(|harm| f.at < harm.onset);
    let false_failovers = failovers.iter().filter(is_false).count() as u32;
    let first = harm.and_then(|harm| failovers.iter().map(|f| f.at).find(|at| *at >= harm.onset));
    let possible = harm.map_or(0.0, |harm| (harm.at - harm.onset).min(horizon).max(0.0));
    let lead = match (harm, first) {
        (Some(harm), Some(first)) => (harm.at - first).clamp(0.0, possible),
        (Some(_) | None, _) => 0.0,
    };
    Score {
        id,
        harm,
        possible,
        lead,
        first,
        false_failovers,
        harmless_seconds,
        harm_seconds: harm.map_or(0.0, |harm| in_harm(record, harm, first)),
    }
}

/// The seconds in which some property is beyond its limit, from the harm until `first`.
fn in_harm(record: &Record, harm: Harm, first: Option<f64>) -> f64 {
    let until = first.unwrap_or(f64::INFINITY);
    let mut seconds = 0.0;
    for (probe, pair) in record.at.windows(2).enumerate() {
        let beyond = record
            .row(probe)
            .iter()
            .any(|deviation| deviation.abs() >= 1.0);
        let (from, to) = (pair[0].max(harm.at), pair[1].min(until));
        if beyond && to > from {
            seconds += to - from;
        }
    }
    seconds
}

impl Score {
    /// Whether it is of a harmful gradual drift.
    pub(crate) fn is_gradual(&self) -> bool {
        self.harm.is_some_and(|harm| harm.course == Course::Gradual)
    }

    /// Whether the first failover since the onset came before the harm.
    pub(crate) fn is_caught(&self) -> bool {
        match (self.harm, self.first) {
            (Some(harm), Some(first)) => first < harm.at,
            (Some(_) | None, _) => false,
        }
    }
}

/// The figures of one contender over many resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) resources: usize,
    /// Harmful gradual drifts.
    pub(crate) gradual: usize,
    pub(crate) caught: usize,
    /// Caught of all gradual; `None` without any.
    pub(crate) recall: Option<f64>,
    /// Failovers after the harm of a gradual drift, of all gradual.
    pub(crate) late: usize,
    pub(crate) lead_median_seconds: f64,
    pub(crate) lead_p10_seconds: f64,
    pub(crate) lead_share_median: f64,
    pub(crate) lead_share_p10: f64,
    pub(crate) false_failovers: u32,
    pub(crate) harmless_years: f64,
    /// Per resource-year of harmless time.
    pub(crate) false_per_year: f64,
    /// Harmful ones, gradual or sudden.
    pub(crate) harmful: usize,
    pub(crate) harm_hours: f64,
}

const YEAR_SECONDS: f64 = 365.25 * 86_400.0;

impl Summary {
    /// Sums up.
    pub(crate) fn of<'a>(scores: impl IntoIterator<Item = &'a Score>) -> Self {
        let mut summary = Self::default();
        let (mut leads, mut shares) = (Vec::new(), Vec::new());
        for score in scores {
            summary.resources += 1;
            summary.harmful += usize::from(score.harm.is_some());
            summary.false_failovers += score.false_failovers;
            summary.harmless_years += score.harmless_seconds / YEAR_SECONDS;
            summary.harm_hours += score.harm_seconds / 3600.0;
            if score.is_gradual() {
                summary.gradual += 1;
                summary.caught += usize::from(score.is_caught());
                summary.late += usize::from(score.first.is_some() && !score.is_caught());
                leads.push(score.lead);
                let share = if score.possible > 0.0 {
                    score.lead / score.possible
                } else {
                    0.0
                };
                shares.push(share);
            }
        }
        leads.sort_by(f64::total_cmp);
        shares.sort_by(f64::total_cmp);
        if summary.gradual > 0 {
            summary.recall = Some(summary.caught as f64 / summary.gradual as f64);
        }
        summary.lead_median_seconds = quantile(&leads, 0.5);
        summary.lead_p10_seconds = quantile(&leads, 0.1);
        summary.lead_share_median = quantile(&shares, 0.5);
        summary.lead_share_p10 = quantile(&shares, 0.1);
        if summary.harmless_years > 0.0 {
            summary.false_per_year = f64::from(summary.false_failovers) / summary.harmless_years;
        }
        summary
    }
}

/// The smallest value that at least this share of the sorted ones do not exceed; 0 of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    const HARM: Harm = Harm {
        course: Course::Gradual,
        onset: 1000.0,
        at: 4000.0,
    };

    /// 100 probes a minute apart, at the limit from 4020 s to the end.
    fn course() -> Record {
        let values: Vec<f64> = (0..100).map(|i| if i >= 67 { 1.5 } else { 0.0 }).collect();
        record(60.0, &[&values])
    }

    fn scored(harm: Option<Harm>, at: &[f64]) -> Score {
        let failovers: Vec<Failover> = at
            .iter()
            .map(|at| Failover {
                at: *at,
                predicted: true,
            })
            .collect();
        score(
            Id { family: 0, seed: 1 },
            harm,
            1800.0,
            &course(),
            &failovers,
        )
    }

    #[test]
    fn a_failover_between_onset_and_harm_catches_the_drift() {
        let score = scored(Some(HARM), &[500.0, 3000.0, 3500.0]);
        assert!(score.is_caught());
        assert_eq!((score.false_failovers, score.first), (1, Some(3000.0)));
        assert_eq!((score.lead, score.possible), (1000.0, 1800.0));
        assert_eq!((score.harmless_seconds, score.harm_seconds), (1000.0, 0.0));
    }

    #[test]
    fn a_lead_counts_up_to_the_horizon_or_the_onset() {
        assert_eq!(scored(Some(HARM), &[1500.0]).lead, 1800.0);
        let short = Harm {
            onset: 3400.0,
            ..HARM
        };
        let score = scored(Some(short), &[3400.0]);
        assert_eq!((score.lead, score.possible), (600.0, 600.0));
    }

    #[test]
    fn late_and_never_are_missed_and_cost_time_in_harm() {
        let late = scored(Some(HARM), &[4500.0]);
        assert!(!late.is_caught());
        // From 4020 to 4500.
        assert_eq!((late.lead, late.harm_seconds), (0.0, 480.0));
        let never = scored(Some(HARM), &[]);
        // The last probe is at 5940.
        assert_eq!(never.harm_seconds, 1920.0);
        let summary = Summary::of([&late, &never]);
        assert_eq!((summary.gradual, summary.caught, summary.late), (2, 0, 1));
    }

    #[test]
    fn without_harm_every_failover_is_false() {
        let score = scored(None, &[10.0, 4000.0]);
        assert_eq!((score.false_failovers, score.first), (2, None));
        assert_eq!(score.harmless_seconds, 5940.0);
        let summary = Summary::of([&score]);
        assert_eq!(summary.recall, None);
        let by_hand = 2.0 / (5940.0 / (365.25 * 86_400.0));
        assert!((summary.false_per_year - by_hand).abs() < 1e-6);
    }

    #[test]
    fn what_was_missed_counts_as_no_lead() {
        let scores: Vec<Score> = (0..10)
            .map(|i| {
                let at: &[f64] = if i < 2 { &[] } else { &[3100.0] };
                scored(Some(HARM), at)
            })
            .collect();
        let summary = Summary::of(&scores);
        assert_eq!(summary.recall, Some(0.8));
        assert_eq!(
            (summary.lead_median_seconds, summary.lead_p10_seconds),
            (900.0, 0.0)
        );
        assert_eq!(
            (summary.lead_share_median, summary.lead_share_p10),
            (0.5, 0.0)
        );
    }

    #[test]
    fn a_sudden_harm_asks_for_no_recall() {
        let sudden = Harm {
            course: Course::Sudden,
            onset: 4020.0,
            at: 4020.0,
        };
        let summary = Summary::of([&scored(Some(sudden), &[4080.0])]);
        assert_eq!(
            (summary.gradual, summary.harmful, summary.recall),
            (0, 1, None)
        );
        assert!((summary.harm_hours - 60.0 / 3600.0).abs() < 1e-12);
    }
}
