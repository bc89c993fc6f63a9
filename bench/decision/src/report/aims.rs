//! The aims, each as kept or missed with the figures it hangs on.

use serde::Serialize;

use super::Row;
use crate::case::Group;
use crate::score::Summary;
use crate::tune::{FALSE_PER_YEAR_MAX, dominates};

const RECALL_MIN: f64 = 0.97;
const LEAD_SHARE_MIN: f64 = 0.7;
const NOISE_FALSE_MAX: f64 = 0.1;

/// One aim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Aim {
    pub(crate) what: String,
    pub(crate) is_kept: bool,
    pub(crate) figures: String,
}

/// Judges all of them.
pub(crate) fn judge(rows: &[Row]) -> Vec<Aim> {
    vec![detection(rows), domination(rows), noise(rows), brier(rows)]
}

/// At some tolerance: few false failovers, high recall, most of the possible lead time.
fn detection(rows: &[Row]) -> Aim {
    let keeps = |s: &Summary| {
        s.false_per_year <= FALSE_PER_YEAR_MAX
            && s.recall.unwrap_or(0.0) >= RECALL_MIN
            && s.lead_share_median >= LEAD_SHARE_MIN
    };
    let ours: Vec<&Row> = rows.iter().filter(|row| row.is_evenkeel()).collect();
    let kept: Vec<&str> = ours
        .iter()
        .filter(|r| keeps(&r.all))
        .map(|r| r.name.as_str())
        .collect();
    let best = (ours.iter())
        .filter(|row| row.all.false_per_year <= FALSE_PER_YEAR_MAX)
        .max_by(|a, b| {
            a.all
                .recall
                .unwrap_or(0.0)
                .total_cmp(&b.all.recall.unwrap_or(0.0))
        })
        .or_else(|| {
            ours.iter()
                .min_by(|a, b| a.all.false_per_year.total_cmp(&b.all.false_per_year))
        });
    let figures = match (kept.is_empty(), best) {
        (false, _) => format!("kept by {}", kept.join("; ")),
        (true, Some(row)) => format!(
            "nearest {}: {:.2} false a year, recall {:.3}, lead share {:.2}",
            row.name,
            row.all.false_per_year,
            row.all.recall.unwrap_or(0.0),
            row.all.lead_share_median
        ),
        (true, None) => "nothing was run".into(),
    };
    Aim {
        what: format!(
            "at most {FALSE_PER_YEAR_MAX} false a resource-year with recall >= {RECALL_MIN} and median lead >= \
             {LEAD_SHARE_MIN} of the possible"
        ),
        is_kept: !kept.is_empty(),
        figures,
    }
}

/// No alternative is better in both recall and false rate, at any tolerance.
fn domination(rows: &[Row]) -> Aim {
    let mut beaten = Vec::new();
    for ours in rows.iter().filter(|row| row.is_evenkeel()) {
        for other in rows.iter().filter(|row| !row.is_evenkeel()) {
            let front = other.front.iter().map(|point| &point.summary);
            if std::iter::once(&other.all)
                .chain(front)
                .any(|s| dominates(s, &ours.all))
            {
                beaten.push(format!("{} by {}", ours.name, other.name));
            }
        }
    }
    Aim {
        what:
            "no alternative, at any setting of its front, is better in both recall and false rate"
                .into(),
        is_kept: beaten.is_empty(),
        figures: if beaten.is_empty() {
            "none is".into()
        } else {
            beaten.join("; ")
        },
    }
}

fn noise(rows: &[Row]) -> Aim {
    let rate = (rows.iter().find(|row| row.is_default()))
        .and_then(|row| row.of_group(Group::Noise))
        .filter(|summary| summary.resources > 0)
        .map(|summary| summary.false_per_year);
    Aim {
        what: format!("under {NOISE_FALSE_MAX} false a resource-year of pure noise, by default"),
        is_kept: rate.is_some_and(|rate| rate < NOISE_FALSE_MAX),
        figures: rate.map_or("no such family was run".into(), |rate| format!("{rate:.3}")),
    }
}

fn brier(rows: &[Row]) -> Aim {
    let score = |ours: bool| {
        let of = rows.iter().filter(move |row| row.is_evenkeel() == ours);
        of.filter_map(|row| row.limit_brier).reduce(f64::min)
    };
    let (ours, theirs) = (score(true), score(false));
    let text = |score: Option<f64>| score.map_or("none".into(), |s| format!("{s:.4}"));
    Aim {
        what: "a Brier score under that of every alternative that gives a probability".into(),
        is_kept: matches!((ours, theirs), (Some(ours), Some(theirs)) if ours < theirs),
        figures: format!("{}, the best of theirs {}", text(ours), text(theirs)),
    }
}
