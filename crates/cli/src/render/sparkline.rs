//! A property's last deviations in one line of blocks.

use evenkeel_api::wire::Band;

use super::painted::Painted;
use super::style::Paint;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One block per deviation, oldest first. The scale runs from the band's lower to its upper edge, and
/// further where a deviation went further; one outside the band is red, a gap is a space. So a calm
/// property lies in the middle, and a drift is seen to climb to the edge.
pub fn sparkline(deviations: &[Option<f64>], band: Band) -> Painted {
    let known = || {
        deviations
            .iter()
            .flatten()
            .copied()
            .filter(|d| d.is_finite())
    };
    let lowest = known().fold(-band.lower, f64::min);
    let highest = known().fold(band.upper, f64::max);
    let mut line = Painted::default();
    for deviation in deviations {
        match deviation.filter(|d| d.is_finite()) {
            None => line.push(Paint::Plain, ' '),
            Some(deviation) => {
                let paint = if band.is_breached_by(deviation) {
                    Paint::Red
                } else {
                    Paint::Plain
                };
                line.push(paint, block((deviation - lowest) / (highest - lowest)));
            }
        }
    }
    line
}

/// The block for a share of the scale in [0, 1].
fn block(share: f64) -> char {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.5
    };
    // The cast is exact: 0 to 7.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = (share * 7.0).round() as usize;
    BLOCKS[index]
}

#[cfg(test)]
mod tests {
    use super::super::style::Style;
    use super::*;

    const BAND: Band = Band {
        lower: 0.2,
        upper: 0.4,
    };

    #[test]
    fn a_drift_climbs_and_turns_red_outside_its_band() {
        let deviations = [Some(0.0), Some(0.1), None, Some(0.3), Some(0.5), Some(0.6)];
        assert_eq!(sparkline(&deviations, BAND).render(Style::PLAIN), "▃▄ ▅▇█");
        assert_eq!(
            sparkline(&deviations, BAND).render(Style::COLOUR),
            "▃▄ ▅\x1b[31m▇█\x1b[0m"
        );
    }

    #[test]
    fn a_calm_property_lies_still_and_strange_numbers_are_gaps() {
        assert_eq!(sparkline(&[Some(0.1); 3], BAND).render(Style::PLAIN), "▅▅▅");
        assert_eq!(
            sparkline(&[Some(f64::NAN), None], BAND).render(Style::PLAIN),
            "  "
        );
        let nothing = Band {
            lower: 0.0,
            upper: 0.0,
        };
        assert_eq!(sparkline(&[Some(0.0)], nothing).render(Style::PLAIN), "▅");
        assert_eq!(sparkline(&[], BAND).width(), 0);
    }
}
