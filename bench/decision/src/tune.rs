//! The best settings of an alternative, found on the training half alone.
//!
//! Best: of the settings with at most one false failover per resource-year the one with the highest recall of
//! gradual drifts; of equal ones that with the greater median share of the possible lead time. Where no
//! setting keeps the rate, the one with the lowest. The Pareto front holds every setting that no other
//! beats in recall and false rate at once.

use crate::score::Summary;

/// The false failovers per resource-year that a setting may make.
pub(crate) const FALSE_PER_YEAR_MAX: f64 = 1.0;

/// What came of tuning, as indices into the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tuned {
    pub(crate) best: usize,
    /// By rising false rate and so rising recall.
    pub(crate) front: Vec<usize>,
}

/// Chooses among the summaries of all settings; `None` of none.
pub(crate) fn tune(summaries: &[Summary]) -> Option<Tuned> {
    let recall = |i: usize| summaries[i].recall.unwrap_or(0.0);
    let rate = |i: usize| summaries[i].false_per_year;
    let lead = |i: usize| summaries[i].lead_share_median;
    let all = 0..summaries.len();
    let best = (all.clone())
        .filter(|i| rate(*i) <= FALSE_PER_YEAR_MAX)
        .max_by(|a, b| {
            recall(*a)
                .total_cmp(&recall(*b))
                .then(lead(*a).total_cmp(&lead(*b)))
                .then(rate(*b).total_cmp(&rate(*a)))
                .then(b.cmp(a))
        })
        .or_else(|| {
            all.clone().min_by(|a, b| {
                rate(*a)
                    .total_cmp(&rate(*b))
                    .then(recall(*b).total_cmp(&recall(*a)))
            })
        })?;
    let mut order: Vec<usize> = all.collect();
    order.sort_by(|a, b| {
        rate(*a)
            .total_cmp(&rate(*b))
            .then(recall(*b).total_cmp(&recall(*a)))
    });
    let mut front: Vec<usize> = Vec::new();
    for i in order {
        if front.last().is_none_or(|last| recall(i) > recall(*last)) {
            front.push(i);
        }
    }
    Some(Tuned { best, front })
}

/// Whether `one` beats `other` in both recall and false rate.
pub(crate) fn dominates(one: &Summary, other: &Summary) -> bool {
    one.recall > other.recall && one.false_per_year < other.false_per_year
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(recall: f64, rate: f64, lead: f64) -> Summary {
        Summary {
            recall: Some(recall),
            false_per_year: rate,
            lead_share_median: lead,
            ..Summary::default()
        }
    }

    #[test]
    fn the_best_keeps_the_rate_then_recalls_most_then_leads_most() {
        let tuned = tune(&[
            summary(0.9, 1.5, 0.9),
            summary(0.7, 0.9, 0.1),
            summary(0.8, 1.0, 0.2),
            summary(0.8, 0.8, 0.3),
            summary(0.1, 0.0, 1.0),
        ])
        .unwrap();
        assert_eq!(tuned.best, 3);
        assert_eq!(tuned.front, [4, 3, 0], "2 is beaten by 3, 1 by both");
    }

    #[test]
    fn where_none_keeps_the_rate_the_lowest_is_taken() {
        let tuned = tune(&[summary(0.9, 5.0, 0.9), summary(0.2, 2.0, 0.9)]).unwrap();
        assert_eq!((tuned.best, tuned.front), (1, vec![1, 0]));
        assert_eq!(tune(&[]), None);
    }

    #[test]
    fn to_dominate_is_to_be_better_in_both() {
        assert!(dominates(&summary(0.9, 0.5, 0.0), &summary(0.8, 0.6, 1.0)));
        assert!(!dominates(&summary(0.9, 0.6, 1.0), &summary(0.8, 0.6, 0.0)));
        assert!(!dominates(&summary(0.8, 0.5, 1.0), &summary(0.8, 0.6, 0.0)));
    }
}
