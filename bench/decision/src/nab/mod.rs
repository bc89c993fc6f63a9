//! The observed-surprise check on the Numenta Anomaly Benchmark: an observation against what was forecast
//! for it one step before, scored by that benchmark's definition beside two detectors that people use.
//!
//! Settings and thresholds are chosen on one half of the files and the score is of the other, then the other
//! way round: every file is scored by what was chosen without it.

mod data;
mod detectors;
mod scorer;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::jobs;
pub(crate) use data::{Series, load};
use detectors::Candidate;
use scorer::{Normalised, Scored};

/// The score of one detector.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) detector: &'static str,
    /// 0 is that of a detector that never speaks, 100 that of a perfect one.
    pub(crate) score: f64,
    /// On each half, by what was chosen on the other.
    pub(crate) halves: [f64; 2],
    pub(crate) windows: usize,
    pub(crate) windows_found: usize,
    /// Detections outside windows.
    pub(crate) false_detections: usize,
    /// What was chosen, for each half.
    pub(crate) chosen: [String; 2],
}

/// Scores all detectors over the files below `directory`; empty where there is none.
pub(crate) fn run(directory: &Path, workers: usize) -> Result<Vec<Row>> {
    let series = load(directory)?;
    if series.is_empty() {
        return Ok(Vec::new());
    }
    Ok(detectors::families()
        .into_iter()
        .map(|(name, candidates)| row(name, &candidates, &series, workers))
        .collect())
}

fn row(name: &'static str, candidates: &[Candidate], series: &[Series], workers: usize) -> Row {
    let tasks: Vec<(usize, usize)> = (0..candidates.len())
        .flat_map(|candidate| (0..series.len()).map(move |file| (candidate, file)))
        .collect();
    let scored: Vec<Scored> = jobs::map(workers, &tasks, |(candidate, file)| {
        let series = &series[*file];
        let surprises = candidates[*candidate].surprises(series);
        Scored::new(&surprises, &series.windows)
    });
    let of = |candidate: usize, half: usize| -> Vec<&Scored> {
        let first = candidate * series.len();
        let files = scored[first..first + series.len()].iter().enumerate();
        files
            .filter(|(file, _)| file % 2 == half)
            .map(|(_, scored)| scored)
            .collect()
    };
    let mut row = Row {
        detector: name,
        score: 0.0,
        halves: [0.0; 2],
        windows: 0,
        windows_found: 0,
        false_detections: 0,
        chosen: [String::new(), String::new()],
    };
    let mut both = Normalised::default();
    for half in [0, 1] {
        let best = (0..candidates.len())
            .map(|candidate| (candidate, scorer::best_threshold(&of(candidate, 1 - half))))
            .max_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
        let Some((candidate, (threshold, _))) = best else {
            continue;
        };
        let tested = scorer::at_threshold(&of(candidate, half), threshold);
        row.halves[half] = tested.score();
        row.windows += tested.windows;
        row.windows_found += tested.found;
        row.false_detections += tested.false_detections;
        row.chosen[half] = format!("{}, threshold {threshold:.2}", candidates[candidate].name());
        both.add(&tested);
    }
    row.score = both.score();
    row
}
