//! Fills gaps for a decomposition, which needs a value at every step.
//!
//! What is filled in shapes trend and season a little, and nothing else: models are fitted to what was
//! seen, and no update is ever given a made-up value.

/// `y` with gaps (NaN) filled: with a season, by what a line between neighbours says plus how far the same
/// phase lay from such lines elsewhere; without, by the line alone. All NaN stays so.
pub(crate) fn filled(y: &[f64], season: usize) -> Vec<f64> {
    let line = interpolated(y);
    if season < 2 || y.iter().all(|v| v.is_finite()) {
        return line;
    }
    // How far each phase lies from the mean of the cycle around it, where that was seen whole.
    let half = season / 2;
    let mut offsets = vec![(0.0, 0.0); season];
    for t in half..y.len().saturating_sub(half) {
        let around = &y[t - half..=t + half];
        let mut sum: f64 = around.iter().sum();
        if season.is_multiple_of(2) {
            sum -= 0.5 * (around[0] + around[season]);
        }
        if sum.is_finite() {
            let offset = &mut offsets[t % season];
            *offset = (offset.0 + y[t] - sum / count(season), offset.1 + 1.0);
        }
    }
    let offset = |t: usize| match offsets[t % season] {
        (sum, count) if count > 0.0 => Some(sum / count),
        _ => None,
    };
    // The lines between neighbours, less and then plus the season.
    let adjusted: Vec<f64> = (0..y.len())
        .map(|t| y[t] - offset(t).unwrap_or_default())
        .collect();
    let adjusted = interpolated(&adjusted);
    (0..y.len())
        .map(|t| {
            if y[t].is_finite() {
                y[t]
            } else {
                adjusted[t] + offset(t).unwrap_or_default()
            }
        })
        .collect()
}

/// Lines between the neighbours of a gap; at the ends the nearest value.
fn interpolated(y: &[f64]) -> Vec<f64> {
    let mut out = y.to_vec();
    let mut last: Option<usize> = None;
    for t in 0..y.len() {
        if !y[t].is_finite() {
            continue;
        }
        match last {
            None => out[..t].fill(y[t]),
            Some(from) => {
                let slope = (y[t] - y[from]) / count(t - from);
                for (further, between) in out[from + 1..t].iter_mut().enumerate() {
                    *between = y[from] + slope * count(further + 1);
                }
            }
        }
        last = Some(t);
    }
    if let Some(last) = last {
        out[last + 1..].fill(y[last]);
    }
    out
}

#[allow(clippy::cast_precision_loss)] // Lengths of series are far below 2^52.
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f64 = f64::NAN;

    #[test]
    fn a_line_goes_between_neighbours() {
        let y = [GAP, 1.0, GAP, GAP, 4.0, GAP];
        assert_eq!(filled(&y, 0), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert!(filled(&[GAP, GAP], 0).iter().all(|v| v.is_nan()));
        assert!(filled(&[], 3).is_empty());
    }

    #[test]
    fn a_seasonal_gap_is_filled_with_its_season() {
        let season = [0.0, 9.0, -4.0, -5.0];
        let truth: Vec<f64> = (0..80).map(|t| 0.1 * count(t) + season[t % 4]).collect();
        let mut y = truth.clone();
        y[40..46].fill(GAP);
        for (t, (got, truth)) in filled(&y, 4).iter().zip(&truth).enumerate() {
            assert!((got - truth).abs() < 1e-9, "{t}: {got} {truth}");
        }
    }
}
