//! How innovations depend on the parameters: the recursion's own chain rule, run along with it.
//!
//! With `d` the derivative by one parameter, `de = -(dl + phi db + ds)` for the innovation, and the state's
//! derivatives follow the state's equations, plus what the parameter itself does to them.

use super::form::{Form, Shares, Smoothing, Trend};

/// A derivative by each parameter. Of fixed length where there are few, which a compiler unrolls.
pub(super) trait Row: AsRef<[f64]> + AsMut<[f64]> {
    /// Whether the length is known beforehand.
    const FIXED: bool;

    /// `count` zeros.
    fn zeros(count: usize) -> Self;
}

impl<const N: usize> Row for [f64; N] {
    const FIXED: bool = true;

    fn zeros(_: usize) -> Self {
        [0.0; N]
    }
}

impl Row for Vec<f64> {
    const FIXED: bool = false;

    fn zeros(count: usize) -> Self {
        vec![0.0; count]
    }
}

/// Where in the vector of parameters each is. The free starts of the season come last.
pub(super) struct Layout {
    pub(super) alpha: usize,
    pub(super) beta: Option<usize>,
    pub(super) gamma: Option<usize>,
    pub(super) phi: Option<usize>,
    pub(super) level: usize,
    pub(super) slope: Option<usize>,
    pub(super) season: usize,
}

impl Layout {
    pub(super) fn of(form: Form) -> Self {
        let mut next = 0;
        let mut take = |wanted: bool| {
            let index = next;
            next += usize::from(wanted);
            wanted.then_some(index)
        };
        let trending = form.trend != Trend::None;
        take(true);
        let beta = take(trending);
        let gamma = take(form.seasonal());
        let phi = take(form.trend == Trend::Damped);
        let level = take(true).unwrap_or_default();
        let slope = take(trending);
        Self {
            alpha: 0,
            beta,
            gamma,
            phi,
            level,
            slope,
            season: next,
        }
    }
}

/// The derivatives of innovation, level, slope and season by the parameters.
pub(super) struct Wake<R> {
    pub(super) innovation: R,
    level: R,
    slope: R,
    /// A row per phase.
    season: Vec<f64>,
}

impl<R: Row> Wake<R> {
    pub(super) fn new(count: usize, phases: usize, layout: &Layout) -> Self {
        let mut wake = Self {
            innovation: R::zeros(count),
            level: R::zeros(count),
            slope: R::zeros(count),
            season: vec![0.0; count * phases],
        };
        wake.level.as_mut()[layout.level] = 1.0;
        if let Some(slope) = layout.slope {
            wake.slope.as_mut()[slope] = 1.0;
        }
        for (phase, parameter) in (1..phases).zip(layout.season..count) {
            wake.season[phase * count + parameter] = 1.0;
        }
        wake
    }

    /// A step without an observation.
    pub(super) fn skip(&mut self, by: &Smoothing, layout: &Layout, slope_before: f64) {
        for (level, slope) in self.level.as_mut().iter_mut().zip(self.slope.as_mut()) {
            *slope *= by.phi;
            *level += *slope;
        }
        if let Some(phi) = layout.phi {
            self.level.as_mut()[phi] += slope_before;
            self.slope.as_mut()[phi] += slope_before;
        }
    }

    /// A step with innovation `e`.
    pub(super) fn step(
        &mut self,
        by: &Smoothing,
        layout: &Layout,
        shares: &Shares,
        phase: usize,
        slope_before: f64,
        e: f64,
    ) {
        self.skip(by, layout, slope_before);
        let count = self.innovation.as_ref().len();
        let Self {
            innovation,
            level,
            slope,
            season,
        } = self;
        let (innovation, level, slope) = (innovation.as_mut(), level.as_mut(), slope.as_mut());
        let seasonal = season.get_mut(phase * count..(phase + 1) * count);
        if let Some(season) = seasonal {
            for (((de, dl), db), ds) in innovation.iter_mut().zip(level).zip(slope).zip(season) {
                *de = -(*dl + *ds);
                *dl += by.alpha * *de;
                *db += by.beta * *de;
                *ds += by.gamma * *de;
            }
        } else {
            for ((de, dl), db) in innovation.iter_mut().zip(level).zip(slope) {
                *de = -*dl;
                *dl += by.alpha * *de;
                *db += by.beta * *de;
            }
        }
        // Beyond the state's own derivatives, the gains depend on the parameters.
        self.level.as_mut()[layout.alpha] += e;
        if let Some(beta) = layout.beta {
            self.slope.as_mut()[layout.alpha] += shares.beta * e;
            self.slope.as_mut()[beta] += shares.alpha * e;
        }
        if let Some(gamma) = layout.gamma {
            self.season[phase * count + gamma] += e;
        }
    }
}
