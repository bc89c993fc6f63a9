//! The NAB score: Lavin and Ahmad (2015), *Evaluating Real-time Anomaly Detection Algorithms — the Numenta
//! Anomaly Benchmark*, section II, standard profile; and the benchmark's own published rules where the paper is silent.
//!
//! ```text
//! sigma(y) = 2 / (1 + e^{5 y}) - 1,   -1 for y >= 3
//! inside a window:   the earliest detection counts  A_TP sigma(y) / sigma(-1),   y = -(right - i + 1) / width
//! a window without:  -A_FN
//! outside:           every detection counts  A_FP sigma(y),   y = (i - right) / (width - 1) of the window before
//!                    (3 where there is none before)
//! score = 100 (sum - null) / (perfect - null)
//! ```
//!
//! with `A_TP = 1`, `A_FN = 1`, `A_FP = 0.11`. The null detector never speaks: `-A_FN` per window; the perfect one
//! finds each window at its first instant: `A_TP` per window. What lies in the probationary part (the first 15 %, at most
//! 750 values) is not scored.

use super::data::Window;

const TRUE_POSITIVE: f64 = 1.0;
const FALSE_NEGATIVE: f64 = 1.0;
const FALSE_POSITIVE: f64 = 0.11;

/// The weight of a detection at a relative position: 1 early in a window, 0 at its end, -1 far behind it.
fn scaled_sigmoid(position: f64) -> f64 {
    if position >= 3.0 {
        return -1.0;
    }
    2.0 / (1.0 + (5.0 * position).exp()) - 1.0
}

/// How many of the first values are not scored.
pub(super) fn probationary(length: usize) -> usize {
    (length * 15 / 100).min(750)
}

/// One instant that is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    surprise: f64,
    worth: f64,
    /// The window it lies in.
    window: Option<usize>,
}

/// One series, each instant with what a detection there is worth; the most surprising first.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    points: Vec<Point>,
    windows: usize,
}

impl Scored {
    /// `surprises` one per value; `windows` rising, as indices.
    pub(super) fn new(surprises: &[f64], windows: &[Window]) -> Self {
        let skipped = probationary(surprises.len());
        let mut points: Vec<Point> = surprises
            .iter()
            .enumerate()
            .skip(skipped)
            .map(|(i, surprise)| {
                let window = windows.iter().position(|w| (w.first..=w.last).contains(&i));
                Point {
                    surprise: *surprise,
                    worth: worth(i, window, windows),
                    window,
                }
            })
            .collect();
        points.sort_by(|a, b| b.surprise.total_cmp(&a.surprise));
        Self {
            points,
            windows: windows.iter().filter(|w| w.last >= skipped).count(),
        }
    }
}

fn worth(i: usize, window: Option<usize>, windows: &[Window]) -> f64 {
    if let Some(window) = window.map(|w| windows[w]) {
        let width = (window.last - window.first + 1) as f64;
        let position = -((window.last - i + 1) as f64) / width;
        return TRUE_POSITIVE * scaled_sigmoid(position) / scaled_sigmoid(-1.0);
    }
    let before = windows.iter().rev().find(|w| w.last < i);
    let position = before.map_or(3.0, |window| {
        let width = (window.last - window.first).max(1) as f64;
        (i - window.last) as f64 / width
    });
    FALSE_POSITIVE * scaled_sigmoid(position)
}

/// What a threshold comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Normalised {
    sum: f64,
    pub(super) windows: usize,
    pub(super) found: usize,
    pub(super) false_detections: usize,
}

impl Normalised {
    /// 0 is the null detector's, 100 the perfect one's.
    pub(super) fn score(&self) -> f64 {
        if self.windows == 0 {
            return 0.0;
        }
        let null = -FALSE_NEGATIVE * self.windows as f64;
        let perfect = TRUE_POSITIVE * self.windows as f64;
        100.0 * (self.sum - null) / (perfect - null)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        self.windows += other.windows;
        self.found += other.found;
        self.false_detections += other.false_detections;
    }
}

/// What every surprise of at least `threshold` being a detection comes to.
pub(super) fn at_threshold(all: &[&Scored], threshold: f64) -> Normalised {
    let mut out = Normalised::default();
    for scored in all {
        let mut best: Vec<Option<f64>> = Vec::new();
        out.windows += scored.windows;
        let mut found = 0;
        for point in scored
            .points
            .iter()
            .take_while(|point| point.surprise >= threshold)
        {
            match point.window {
                None => {
                    out.sum += point.worth;
                    out.false_detections += 1;
                }
                Some(window) => {
                    if best.len() <= window {
                        best.resize(window + 1, None);
                    }
                    found += usize::from(best[window].is_none());
                    best[window] = Some(best[window].map_or(point.worth, |b| b.max(point.worth)));
                }
            }
        }
        out.found += found;
        out.sum += best.iter().flatten().sum::<f64>();
        out.sum -= FALSE_NEGATIVE * (scored.windows - found) as f64;
    }
    out
}

/// The threshold with the highest score, and that score: by walking down from the greatest surprise.
pub(super) fn best_threshold(all: &[&Scored]) -> (f64, f64) {
    let windows: usize = all.iter().map(|scored| scored.windows).sum();
    let mut events: Vec<(f64, usize, Point)> = all
        .iter()
        .enumerate()
        .flat_map(|(file, scored)| {
            scored
                .points
                .iter()
                .map(move |point| (point.surprise, file, *point))
        })
        .collect();
    events.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best_of: std::collections::BTreeMap<(usize, usize), f64> = Default::default();
    let mut sum = Normalised {
        sum: -FALSE_NEGATIVE * windows as f64,
        windows,
        ..Normalised::default()
    };
    let mut best = (f64::INFINITY, sum.score());
    for (i, (surprise, file, point)) in events.iter().enumerate() {
        match point.window {
            None => sum.sum += point.worth,
            Some(window) => {
                let held = best_of.entry((*file, window)).or_insert(-FALSE_NEGATIVE);
                if point.worth > *held {
                    sum.sum += point.worth - *held;
                    *held = point.worth;
                }
            }
        }
        let is_last_of_its_threshold = events.get(i + 1).is_none_or(|next| next.0 < *surprise);
        if is_last_of_its_threshold && sum.score() > best.1 {
            best = (*surprise, sum.score());
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 values, 15 of them probationary, one window of 10.
    const WINDOW: Window = Window {
        first: 50,
        last: 59,
    };

    fn scored(detections: &[usize]) -> Scored {
        let mut surprises = [0.0; 100];
        for i in detections {
            surprises[*i] = 1.0;
        }
        Scored::new(&surprises, &[WINDOW])
    }

    fn score(detections: &[usize]) -> f64 {
        at_threshold(&[&scored(detections)], 0.5).score()
    }

    #[test]
    fn the_sigmoid_is_that_of_the_paper() {
        assert!((scaled_sigmoid(-1.0) - 0.986_614).abs() < 1e-6);
        assert!((scaled_sigmoid(-0.5) - 0.848_284).abs() < 1e-6);
        assert_eq!(scaled_sigmoid(0.0), 0.0);
        assert!((scaled_sigmoid(1.0) + 0.986_614).abs() < 1e-6);
        assert_eq!(scaled_sigmoid(3.0), -1.0);
    }

    #[test]
    fn null_is_nought_and_perfect_a_hundred() {
        assert_eq!(score(&[]), 0.0);
        assert!((score(&[50]) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn only_the_earliest_detection_in_a_window_counts() {
        // At 55: y = -(59 - 55 + 1) / 10 = -0.5.
        let half = 100.0 * (0.848_284 / 0.986_614 + 1.0) / 2.0;
        assert!((score(&[55]) - half).abs() < 1e-3);
        assert!((score(&[55, 57, 59]) - half).abs() < 1e-3);
    }

    #[test]
    fn false_detections_cost_more_the_further_behind_they_are() {
        // Before every window: -0.11, so (1 - 0.11 + 1) / 2.
        assert!((score(&[30, 50]) - 94.5).abs() < 1e-9);
        // One behind: y = 1 / 9, 2 / (1 + e^0.5556) - 1 = -0.27084.
        assert!((score(&[50, 60]) - 100.0 * (2.0 - 0.11 * 0.270_84) / 2.0).abs() < 1e-3);
        // 27 behind: y = 3.
        assert!((score(&[50, 86]) - 94.5).abs() < 1e-9);
    }

    #[test]
    fn the_probationary_part_is_not_scored() {
        assert_eq!(probationary(100), 15);
        assert_eq!(probationary(22_000), 750);
        assert_eq!(score(&[3, 14, 50]), score(&[50]));
        assert!(score(&[15, 50]) < score(&[50]));
    }

    #[test]
    fn the_best_threshold_is_found_by_the_walk() {
        let mut surprises = [0.0; 100];
        (surprises[50], surprises[30], surprises[55]) = (0.7, 0.6, 0.9);
        let scored = Scored::new(&surprises, &[WINDOW]);
        let (threshold, best) = best_threshold(&[&scored]);
        assert_eq!(threshold, 0.7);
        assert!((best - 100.0).abs() < 1e-9);
        for threshold in [0.9, 0.8, 0.7, 0.65, 0.6, 0.1] {
            let here = at_threshold(&[&scored], threshold).score();
            assert!(here <= best + 1e-9, "{threshold}");
        }
    }
}
