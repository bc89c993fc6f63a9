//! A forecast as a small plot: where the deviation was, the fan of where it goes, and the band and
//! limit that it must not pass.

use evenkeel_api::wire::{Band, HorizonForecast};
use evenkeel_core::forecast::{LEVELS, Quantiles};

use super::painted::Painted;
use super::style::Paint;
use super::table::{Column, Table};
use super::text;

/// Rows of the plot.
const ROWS: usize = 13;
/// Columns of the past and of the future.
const PAST_COLUMNS: usize = 24;
const FUTURE_COLUMNS: usize = 44;
/// Horizons in the table.
const TABLE_ROWS: usize = 6;
/// Nothing beyond this many limits is drawn: one wild tail would flatten everything else.
const REACH: f64 = 2.0;

/// What the daemon said is no forecast that can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the forecast cannot be drawn: {0}: is the daemon of the same version?")]
pub struct FanError(String);

/// A forecast, ready to be drawn.
#[derive(Clone, Debug)]
pub struct Fan {
    /// Seconds before the origin (negative) and deviation.
    past: Vec<(f64, f64)>,
    /// Seconds after the origin and distribution, in order of time.
    future: Vec<(f64, Quantiles)>,
    band: Band,
    ceiling: f64,
}

impl Fan {
    /// Checks that the quantiles are at the levels known here, finite, and in order of time. `past` is
    /// seconds from the origin (none positive, rising) and deviation.
    ///
    /// # Errors
    /// When they are not.
    pub fn new(
        levels: &[f64],
        horizons: &[HorizonForecast],
        past: Vec<(f64, f64)>,
        band: Band,
        ceiling: f64,
    ) -> Result<Self, FanError> {
        let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
        if levels.len() != LEVELS.len() || !levels.iter().zip(&LEVELS).all(same) {
            return Err(FanError(format!("its levels are {levels:?}")));
        }
        let future = horizons
            .iter()
            .map(|horizon| {
                let after = horizon.after_s;
                let values: [f64; LEVELS.len()] =
                    (horizon.quantiles.as_slice()).try_into().map_err(|_| {
                        FanError(format!(
                            "{after} s has {} quantiles",
                            horizon.quantiles.len()
                        ))
                    })?;
                if !values.iter().all(|v| v.is_finite()) || !after.is_finite() {
                    return Err(FanError(format!("{after} s has quantiles {values:?}")));
                }
                Ok((after, Quantiles::new(values)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if !future.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(FanError("its horizons do not rise".to_owned()));
        }
        let is_finite = |(at, deviation): &(f64, f64)| at.is_finite() && deviation.is_finite();
        let past = past.into_iter().filter(is_finite).collect();
        Ok(Self {
            past,
            future,
            band,
            ceiling,
        })
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.future.is_empty()
    }

    /// The lines of the plot; none without a forecast.
    pub fn plot(&self) -> Vec<Painted> {
        let Some(&(reach, _)) = self.future.last() else {
            return Vec::new();
        };
        let past_columns = if self.past.is_empty() {
            0
        } else {
            PAST_COLUMNS
        };
        let scale = self.scale();
        let mut lines: Vec<Painted> = (0..ROWS)
            .map(|row| self.row(&scale, row, past_columns, reach))
            .collect();
        let oldest = self.past.first().map_or(0.0, |(at, _)| -at);
        lines.push(axis(past_columns, oldest, reach));
        lines.push(legend());
        lines
    }

    fn scale(&self) -> Scale {
        let bound = self.ceiling * REACH;
        let fan = self.future.iter().flat_map(|(_, q)| {
            let (lower, upper) = q.interval(0.8);
            [lower, upper]
        });
        let seen = self.past.iter().map(|(_, deviation)| *deviation);
        let edges = [-self.band.lower, self.band.upper, 0.0];
        let (mut low, mut high) = fan
            .chain(seen)
            .chain(edges)
            .map(|d| d.clamp(-bound, bound))
            .fold((0.0_f64, 0.0_f64), |(low, high), d| {
                (low.min(d), high.max(d))
            });
        // A limit is shown once the deviation goes for it.
        if high > self.ceiling / 2.0 {
            high = high.max(self.ceiling);
        }
        if low < -self.ceiling / 2.0 {
            low = low.min(-self.ceiling);
        }
        Scale {
            low,
            high: if high > low { high } else { low + 1.0 },
        }
    }

    fn row(&self, scale: &Scale, row: usize, past_columns: usize, reach: f64) -> Painted {
        let (label, background) = self.ground(scale, row);
        let mut line = Painted::new(Paint::Dim, format!("{label:>6} "));
        for column in 0..past_columns {
            let hit = self
                .seen_at(column, past_columns)
                .is_some_and(|d| scale.row(d) == row);
            let (paint, character) = if hit {
                (Paint::Plain, '•')
            } else {
                background
            };
            line.push(paint, character);
        }
        line.push(Paint::Dim, '│');
        for column in 0..FUTURE_COLUMNS {
            let (paint, character) = self
                .fan_cell(scale, row, column, reach)
                .unwrap_or(background);
            line.push(paint, character);
        }
        match background.1 {
            '═' => line.then(Paint::Red, " limit"),
            '╌' => line.then(Paint::Yellow, " band"),
            '·' => line.then(Paint::Dim, " approved"),
            _ => line,
        }
    }

    /// What stands in a row where nothing else does, with the row's label.
    fn ground(&self, scale: &Scale, row: usize) -> (String, (Paint, char)) {
        let marks = [
            (self.ceiling, (Paint::Red, '═')),
            (-self.ceiling, (Paint::Red, '═')),
            (self.band.upper, (Paint::Yellow, '╌')),
            (-self.band.lower, (Paint::Yellow, '╌')),
            (0.0, (Paint::Dim, '·')),
        ];
        marks
            .into_iter()
            .find(|(at, _)| (scale.low..=scale.high).contains(at) && scale.row(*at) == row)
            .map_or((String::new(), (Paint::Plain, ' ')), |(at, mark)| {
                (text::deviation(at), mark)
            })
    }

    /// The deviation seen last in a column of the past.
    fn seen_at(&self, column: usize, columns: usize) -> Option<f64> {
        let oldest = self.past.first()?.0;
        let newest = self.past.last()?.0;
        let width = (newest - oldest).max(f64::MIN_POSITIVE);
        let column_of = |at: f64| position((at - oldest) / width, columns);
        let seen = self
            .past
            .iter()
            .rev()
            .find(|(at, _)| column_of(*at) == column);
        seen.map(|(_, deviation)| *deviation)
    }

    fn fan_cell(
        &self,
        scale: &Scale,
        row: usize,
        column: usize,
        reach: f64,
    ) -> Option<(Paint, char)> {
        let share = fraction(column + 1, FUTURE_COLUMNS);
        let distribution = self.at(share * reach)?;
        let median = distribution.median();
        if scale.row(median) == row {
            let paint = if self.band.is_breached_by(median) {
                Paint::Red
            } else {
                Paint::Bold
            };
            return Some((paint, '━'));
        }
        [(0.5, '▓'), (0.8, '▒'), (0.95, '░')]
            .into_iter()
            .find_map(|(coverage, shade)| {
                let (lower, upper) = distribution.interval(coverage);
                // Rows count downwards.
                let rows = scale.row(upper)..=scale.row(lower);
                rows.contains(&row).then_some((Paint::Cyan, shade))
            })
    }

    /// The distribution at any time: linear between two horizons, and opening from what was seen last
    /// towards the first one.
    fn at(&self, after: f64) -> Option<Quantiles> {
        let next = self.future.partition_point(|(at, _)| *at < after);
        let (at1, q1) = *self.future.get(next).or(self.future.last())?;
        let seen_last = self
            .past
            .last()
            .map(|(_, seen)| (0.0, Quantiles::certain(*seen)));
        let before = match next.checked_sub(1) {
            Some(before) => self.future.get(before).copied(),
            None => seen_last,
        };
        let Some((at0, q0)) = before.filter(|(at0, _)| *at0 < at1) else {
            return Some(q1);
        };
        let share = ((after - at0) / (at1 - at0)).clamp(0.0, 1.0);
        let mut values = *q0.values();
        for (value, target) in values.iter_mut().zip(q1.values()) {
            *value += share * (target - *value);
        }
        Some(Quantiles::new(values))
    }

    /// Some horizons in numbers, up to the last one; that of the breach is among them.
    pub fn table(&self) -> Table {
        let mut table = Table::new(&[
            Column::Right("AFTER"),
            Column::Right("MEDIAN"),
            Column::Left("50 %"),
            Column::Left("80 %"),
            Column::Left("95 %"),
            Column::Right("OUTSIDE BAND"),
        ]);
        let breach = self
            .future
            .iter()
            .position(|(_, q)| self.band.is_breached_by(q.median()));
        let count = self.future.len();
        for (index, (after, distribution)) in self.future.iter().enumerate() {
            let is_picked = count <= TABLE_ROWS
                || index + 1 == count
                || index % count.div_ceil(TABLE_ROWS) == 0;
            if !is_picked && breach != Some(index) {
                continue;
            }
            let median = distribution.median();
            let outside = self.band.is_breached_by(median);
            let paint = if outside { Paint::Red } else { Paint::Plain };
            let interval = |coverage| {
                let (lower, upper) = distribution.interval(coverage);
                Painted::plain(format!(
                    "{}..{}",
                    text::deviation(lower),
                    text::deviation(upper)
                ))
            };
            let probability = distribution.probability_outside(-self.band.lower, self.band.upper);
            table.row([
                text::span(*after).into(),
                Painted::new(paint, text::deviation(median)),
                interval(0.5),
                interval(0.8),
                interval(0.95),
                text::percent(probability).into(),
            ]);
        }
        table
    }
}

/// Deviations to rows; row 0 is the highest.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn row(&self, deviation: f64) -> usize {
        position((self.high - deviation) / (self.high - self.low), ROWS)
    }
}

/// The index among `count` for a share in [0, 1], both ends included.
fn position(share: f64, count: usize) -> usize {
    // The cast is exact: a small number that was clamped first.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let index = (share.clamp(0.0, 1.0) * (count - 1) as f64).round() as usize;
    index
}

fn fraction(part: usize, whole: usize) -> f64 {
    // Both are columns of a terminal.
    #[allow(clippy::cast_precision_loss)]
    let fraction = part as f64 / whole as f64;
    fraction
}

fn axis(past_columns: usize, oldest_s: f64, reach_s: f64) -> Painted {
    let past = if past_columns == 0 {
        String::new()
    } else {
        format!("-{}", text::span(oldest_s))
    };
    let half = format!("+{}", text::span(reach_s / 2.0));
    let end = format!("+{}", text::span(reach_s));
    let room = FUTURE_COLUMNS - 2;
    let first = room / 2;
    Painted::new(
        Paint::Dim,
        format!(
            "       {past:<past_columns$}now{half:>first$}{end:>width$}",
            width = room - first
        ),
    )
}

fn legend() -> Painted {
    Painted::new(
        Paint::Dim,
        "       • seen  ━ median  ▓ 50 %  ▒ 80 %  ░ 95 %",
    )
}

#[cfg(test)]
mod tests {
    use super::super::style::Style;
    use super::*;

    const BAND: Band = Band {
        lower: 0.2,
        upper: 0.4,
    };

    /// A median that rises by 0.25 per 10 minutes, with a fan that opens.
    fn rising() -> Vec<HorizonForecast> {
        let z = [
            -2.6, -2.3, -1.96, -1.64, -1.28, -0.67, 0.0, 0.67, 1.28, 1.64, 1.96, 2.3, 2.6,
        ];
        [300.0, 600.0, 1200.0, 1800.0]
            .map(|after_s: f64| HorizonForecast {
                after_s,
                quantiles: z
                    .map(|z| 0.1 + 0.25 * after_s / 600.0 + z * 0.05 * (after_s / 600.0).sqrt())
                    .to_vec(),
            })
            .to_vec()
    }

    fn fan() -> Fan {
        let past = (0..12)
            .map(|i| (f64::from(i - 11) * 60.0, f64::from(i) * 0.01))
            .collect();
        Fan::new(&LEVELS, &rising(), past, BAND, 1.0).unwrap()
    }

    #[test]
    fn a_rising_fan_is_drawn_through_its_band_towards_the_limit() {
        let drawn: Vec<String> = fan()
            .plot()
            .iter()
            .map(|line| line.render(Style::PLAIN).trim_end().to_owned())
            .collect();
        let drawn = drawn.join("\n");
        let expected = include_str!("fan_rising.txt");
        assert_eq!(drawn, expected.trim_end_matches('\n'), "\n{drawn}");
    }

    #[test]
    fn the_table_says_when_the_median_leaves_the_band() {
        let lines = fan().table().lines(Style::PLAIN, 0);
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert_eq!(
            lines[3],
            "20 min   +0.60  +0.55..+0.65  +0.51..+0.69  +0.46..+0.74         >99 %"
        );
    }

    #[test]
    fn what_is_no_forecast_is_refused() {
        let refused = |levels: &[f64], horizons: &[HorizonForecast], what: &str| {
            let error = Fan::new(levels, horizons, Vec::new(), BAND, 1.0).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        };
        refused(&[0.5], &rising(), "levels");
        let mut short = rising();
        short[0].quantiles.pop();
        refused(&LEVELS, &short, "12 quantiles");
        let mut backwards = rising();
        backwards.reverse();
        refused(&LEVELS, &backwards, "do not rise");
    }

    #[test]
    fn without_a_forecast_nothing_is_drawn() {
        let fan = Fan::new(&LEVELS, &[], vec![(0.0, 0.1)], BAND, 1.0).unwrap();
        assert!(fan.is_empty() && fan.plot().is_empty());
    }
}
