//! A counter that may start anew, as one total that goes on.

use serde::{Deserialize, Serialize};

/// Turns a counter with resets into a total that goes on, as Prometheus' `rate()` does: a fall is a
/// reset, after which the counter has counted from 0 to its value.
///
/// The total starts at the first value's 0 and is kept as increments, so that a counter at 1e15 loses no
/// digit of a rise by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CounterUnwrap {
    last: Option<f64>,
    total: f64,
    resets: u32,
}

impl CounterUnwrap {
    /// Takes the counter's value and gives its increment since the last one; `None` for the first, and
    /// for a gap (not finite).
    pub fn observe(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let last = self.last.replace(value)?;
        let increment = if value >= last {
            value - last
        } else {
            self.resets = self.resets.saturating_add(1);
            value.max(0.0)
        };
        self.total = (self.total + increment).min(f64::MAX);
        Some(increment)
    }

    /// Everything counted since the first value.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Falls seen.
    pub fn resets(&self) -> u32 {
        self.resets
    }

    /// A future total as the counter would show it if it is not reset until then; `None` before the
    /// first value.
    pub fn wrap(&self, total: f64) -> Option<f64> {
        self.last.map(|last| last + (total - self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_at_a_thousand_million_millions_keeps_its_digits() {
        let mut unwrap = CounterUnwrap::default();
        assert_eq!(unwrap.observe(1e15), None);
        assert_eq!(unwrap.observe(1e15 + 1.0), Some(1.0));
        assert_eq!(unwrap.observe(f64::NAN), None);
        assert_eq!(unwrap.observe(1e15 + 4.0), Some(3.0));
        assert_eq!(unwrap.observe(7.0), Some(7.0), "a reset counts from 0");
        assert_eq!((unwrap.total(), unwrap.resets()), (11.0, 1));
        assert_eq!(unwrap.wrap(21.0), Some(17.0));
    }
}
