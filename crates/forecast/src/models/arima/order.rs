//! The order of a seasonal ARIMA model, and the limits to it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most lags of one kind: regular or seasonal, autoregressive or moving-average.
pub const LAGS_MAX: u8 = 8;
/// The most coefficients in all.
pub(super) const COEFFICIENTS_MAX: usize = 4 * LAGS_MAX as usize;
/// The longest season. State and work per step grow with it.
pub const SEASON_MAX: u16 = 1_000;

/// `(p,d,q)(P,D,Q)_s` of a seasonal ARIMA model, and whether the differenced series has a mean.
///
/// Made by [`Order::new`] and [`Order::seasonal`], which keep every part inside its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    pub(super) p: u8,
    pub(super) d: u8,
    pub(super) q: u8,
    pub(super) seasonal_p: u8,
    pub(super) seasonal_d: u8,
    pub(super) seasonal_q: u8,
    pub(super) season: u16,
    pub(super) constant: bool,
}

impl Order {
    /// `(p,d,q)` without a season and without a constant. Lags above [`LAGS_MAX`] and differences above
    /// two are cut off there.
    pub fn new(p: u8, d: u8, q: u8) -> Self {
        Self {
            p: p.min(LAGS_MAX),
            d: d.min(2),
            q: q.min(LAGS_MAX),
            seasonal_p: 0,
            seasonal_d: 0,
            seasonal_q: 0,
            season: 1,
            constant: false,
        }
    }

    /// With the seasonal part `(P,D,Q)` at lag `season`. A season of less than two steps or more than
    /// [`SEASON_MAX`] leaves the order without one; lags above [`LAGS_MAX`] and differences above one
    /// are cut off there.
    #[must_use]
    pub fn seasonal(self, p: u8, d: u8, q: u8, season: u16) -> Self {
        if !(2..=SEASON_MAX).contains(&season) || (p, d, q) == (0, 0, 0) {
            return Self {
                season: 1,
                seasonal_p: 0,
                seasonal_d: 0,
                seasonal_q: 0,
                ..self
            };
        }
        Self {
            seasonal_p: p.min(LAGS_MAX),
            seasonal_d: d.min(1),
            seasonal_q: q.min(LAGS_MAX),
            season,
            ..self
        }
        .with_constant(self.constant)
    }

    /// With or without a mean of the differenced series: the level of an undifferenced series, the
    /// drift of one that is differenced once. More than one difference takes none.
    #[must_use]
    pub fn with_constant(self, constant: bool) -> Self {
        Self {
            constant: constant && self.d + self.seasonal_d <= 1,
            ..self
        }
    }

    /// Regular autoregressive lags, differences, moving-average lags.
    pub fn regular(&self) -> (u8, u8, u8) {
        (self.p, self.d, self.q)
    }

    /// Seasonal autoregressive lags, differences, moving-average lags, and the season (1: none).
    pub fn season(&self) -> (u8, u8, u8, u16) {
        (
            self.seasonal_p,
            self.seasonal_d,
            self.seasonal_q,
            self.season,
        )
    }

    /// Whether the differenced series has a mean of its own.
    pub fn constant(&self) -> bool {
        self.constant
    }

    /// How many coefficients are estimated: lags of all kinds, without mean and variance.
    pub fn coefficients(&self) -> usize {
        usize::from(self.p)
            + usize::from(self.q)
            + usize::from(self.seasonal_p)
            + usize::from(self.seasonal_q)
    }

    /// How many parameters an information criterion counts: coefficients, mean and variance.
    pub fn parameters(&self) -> usize {
        self.coefficients() + usize::from(self.constant) + 1
    }

    /// The highest autoregressive lag of the product of both polynomials.
    pub(super) fn ar_degree(&self) -> usize {
        usize::from(self.p) + usize::from(self.seasonal_p) * usize::from(self.season)
    }

    /// The highest moving-average lag of the product of both polynomials.
    pub(super) fn ma_degree(&self) -> usize {
        usize::from(self.q) + usize::from(self.seasonal_q) * usize::from(self.season)
    }

    /// The dimension of Harvey's (1989, section 3.3) state of the ARMA part: `max(p, q + 1)`.
    pub(super) fn dimension(&self) -> usize {
        self.ar_degree().max(self.ma_degree() + 1)
    }

    /// How many first values differencing costs: `d + s D`.
    pub(super) fn lost(&self) -> usize {
        usize::from(self.d) + usize::from(self.seasonal_d) * usize::from(self.season)
    }

    /// A flat vector of coefficients, cut into its four parts: AR, MA, seasonal AR, seasonal MA.
    pub(super) fn split<'a>(&self, flat: &'a [f64]) -> [&'a [f64]; 4] {
        let (ar, rest) = flat.split_at(usize::from(self.p));
        let (ma, rest) = rest.split_at(usize::from(self.q));
        let (seasonal_ar, seasonal_ma) = rest.split_at(usize::from(self.seasonal_p));
        [ar, ma, seasonal_ar, seasonal_ma]
    }

    /// Like [`Self::split`], to be written to.
    pub(super) fn split_mut<'a>(&self, flat: &'a mut [f64]) -> [&'a mut [f64]; 4] {
        let (ar, rest) = flat.split_at_mut(usize::from(self.p));
        let (ma, rest) = rest.split_at_mut(usize::from(self.q));
        let (seasonal_ar, seasonal_ma) = rest.split_at_mut(usize::from(self.seasonal_p));
        [ar, ma, seasonal_ar, seasonal_ma]
    }

    /// The next simpler order to try where there are too few data for this one; `None` below the
    /// simplest. The season goes first, then lags, then differences.
    pub(super) fn simpler(&self) -> Option<Self> {
        if self.season > 1 {
            return Some(self.seasonal(0, 0, 0, 1));
        }
        if self.p.max(self.q) > 0 {
            let (p, q) = if self.p >= self.q {
                (self.p - 1, self.q)
            } else {
                (self.p, self.q - 1)
            };
            return Some(Self { p, q, ..*self });
        }
        // Where there are no differences any more, the level is unknown.
        (self.d > 0).then_some(Self {
            d: self.d.saturating_sub(1),
            constant: self.d == 1,
            ..*self
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ARIMA({},{},{})", self.p, self.d, self.q)?;
        if self.season > 1 {
            write!(
                f,
                "({},{},{}){}",
                self.seasonal_p, self.seasonal_d, self.seasonal_q, self.season
            )?;
        }
        match (self.constant, self.d + self.seasonal_d) {
            (false, _) => Ok(()),
            (true, 0) => f.write_str("+mean"),
            (true, 1..) => f.write_str("+drift"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_as_it_is_written_in_books() {
        let order = Order::new(2, 1, 1);
        assert_eq!(order.to_string(), "ARIMA(2,1,1)");
        assert_eq!(
            order.seasonal(0, 1, 1, 24).to_string(),
            "ARIMA(2,1,1)(0,1,1)24"
        );
        assert_eq!(
            Order::new(0, 0, 1).with_constant(true).to_string(),
            "ARIMA(0,0,1)+mean"
        );
    }

    #[test]
    fn simpler_orders_end() {
        let mut order = Order::new(8, 2, 8).seasonal(2, 1, 2, 24);
        let mut steps = 0;
        while let Some(next) = order.simpler() {
            order = next;
            steps += 1;
        }
        assert_eq!(order, Order::new(0, 0, 0).with_constant(true));
        assert_eq!(steps, 19);
    }
}
