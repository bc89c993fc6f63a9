//! A forecaster for tests: the straight line through the last two observations.

use evenkeel_core::Timestamp;
use evenkeel_core::forecast::{
    Change, ChangeKind, Forecast, Forecaster, ForecasterFactory, HorizonGrid, ModelWeight,
    Quantiles,
};

/// Makes straight lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// The distance between two neighbouring quantiles.
    pub(crate) spread: f64,
    /// The half-width of the in-control interval that would hold everything. None is known without.
    pub(crate) half_width: Option<f64>,
    /// Whether a drift runs, and since the first observation: then nothing is learned of control.
    pub(crate) is_drift: bool,
}

/// Lines that know nothing of control.
pub(crate) const STRAIGHT: Lines = Lines {
    spread: 0.01,
    half_width: None,
    is_drift: false,
};

#[derive(Debug)]
struct Line {
    kind: Lines,
    grid: HorizonGrid,
    seen: Vec<(Timestamp, f64)>,
}

impl ForecasterFactory for Lines {
    fn forecaster(&self, grid: &HorizonGrid, _: u64) -> Box<dyn Forecaster> {
        Box::new(Line {
            kind: *self,
            grid: grid.clone(),
            seen: Vec::new(),
        })
    }
}

impl Forecaster for Line {
    fn observe(&mut self, at: Timestamp, value: f64) {
        self.seen.push((at, value));
    }

    fn forecast(&self) -> Option<Forecast> {
        let [.., (_, before), (origin, last)] = self.seen[..] else {
            return None;
        };
        let quantiles = self.grid.steps().iter().map(|&steps| {
            let median = last + (last - before) * f64::from(steps);
            let spread = self.kind.spread;
            Quantiles::new(std::array::from_fn(|i| median + spread * (i as f64 - 6.0)))
        });
        Some(Forecast {
            origin,
            grid: self.grid.clone(),
            quantiles: quantiles.collect(),
        })
    }

    fn in_control_half_widths(&self, coverage: f64) -> Option<(f64, f64)> {
        let above = self.kind.half_width? * coverage;
        Some((above / 2.0, above))
    }

    fn set_in_control(&mut self, _: bool) {}

    fn onset(&self) -> Option<Timestamp> {
        let (first, _) = self.seen.first()?;
        self.kind.is_drift.then_some(*first)
    }

    fn last_change(&self) -> Option<Change> {
        let (&(onset, before), &(_, now)) = (self.seen.first()?, self.seen.last()?);
        self.kind.is_drift.then_some(Change {
            at: onset,
            onset,
            before,
            size: now - before,
            kind: ChangeKind::Trend,
        })
    }

    fn restart(&mut self) {
        self.seen.clear();
    }

    fn weights(&self) -> Vec<ModelWeight> {
        Vec::new()
    }

    fn measured_coverage(&self, coverage: f64) -> Option<(f64, u64)> {
        // Enough for what is found to surprise.
        Some((coverage, 100))
    }
}
