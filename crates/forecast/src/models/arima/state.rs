//! The state of an ARIMA model: what the past says of the future, exactly, gaps included.
//!
//! The state space has Harvey's (1989, section 3.3) ARMA state, and beside it the last `d + s D`
//! values, from which `y_t = w_t + sum_j delta_j y_{t-j}` builds the series up again. The covariance
//! is kept as a *factor*, `P = U U'`, over and above the innovation to come: with everything
//! observed and the start forgotten it has no columns, an update costs O(r), and the filter is the
//! steady one. A missing step adds the column of the innovation nobody saw; an observation takes out,
//! by one Householder reflection of the columns (array form of the filter: Kailath, Sayed and Hassibi
//! 2000, chapter 12), what it told. Columns that have died out are dropped.
//!
//! Invariants: the state is the one *before* the next innovation (already moved on in time);
//! covariances are in units of the innovation variance; the factor never has more than twice as many
//! columns as the state has rows.

use serde::{Deserialize, Serialize};

use super::order::Order;
use super::polynomial::{Autocovariances, expand};
use super::small::dot;

/// The square root of the variance of a value about which nothing is known. In factor form rounding
/// leaves 1e-8 of it, which squares to 1e-16.
const DIFFUSE: f64 = 1e8;
/// An innovation variance above this is that of a value about which nothing was known.
pub(super) const DIFFUSE_VARIANCE: f64 = 1e12;
/// A column whose squared length (a share of the innovation variance) is less has died out. Several
/// differences blow up what is left of it over long horizons, so that it must be very little.
const COLUMN_LEAST: f64 = 1e-13;

/// The equations: order and polynomials, and the mean of the differenced series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Dynamics {
    pub(super) order: Order,
    phi: Box<[f64]>,
    theta: Box<[f64]>,
    pub(super) mean: f64,
}

impl Dynamics {
    /// Of the coefficients `flat` (see [`Order::split`]).
    pub(super) fn new(order: Order, flat: &[f64], mean: f64) -> Self {
        let (mut phi, mut theta) = (Vec::new(), Vec::new());
        expand(&order, flat, &mut phi, &mut theta);
        Self {
            order,
            phi: phi.into_boxed_slice(),
            theta: theta.into_boxed_slice(),
            mean,
        }
    }

    /// How far an innovation of one reaches into state element `i`.
    fn reach(&self, i: usize) -> f64 {
        if i == 0 { 1.0 } else { self.theta[i - 1] }
    }

    /// `sum_j delta_j y_{t-j}`, read off the ring of the last values.
    fn built_up(&self, lags: &[f64], head: usize) -> f64 {
        let at = |lag: usize| {
            let position = head + lag - 1;
            lags[if position < lags.len() {
                position
            } else {
                position - lags.len()
            }]
        };
        let season = usize::from(self.order.season);
        let regular = |from: usize| match (self.order.d, from) {
            (0, 0) => 0.0,
            (0, _) => at(from),
            (1, 0) => at(1),
            (1, _) => at(from) - at(from + 1),
            (_, 0) => 2.0 * at(1) - at(2),
            (..) => at(from) - 2.0 * at(from + 1) + at(from + 2),
        };
        // (1-B)^d (1-B^s) = (1-B)^d - B^s (1-B)^d.
        match self.order.seasonal_d {
            0 => regular(0),
            1.. => regular(0) + regular(season),
        }
    }

    /// Lets a step go by without an innovation: returns the value built up, and puts it into the ring.
    /// `head` is where the ring began; it begins one place earlier afterwards.
    fn walk(&self, state: &mut [f64], head: usize, constant: f64) -> f64 {
        let (arma, lags) = state.split_at_mut(self.phi.len());
        let first = arma[0];
        let value = constant + first + self.built_up(lags, head);
        self.shift(arma, first);
        if let Some(last) = lags.len().checked_sub(1) {
            lags[head.checked_sub(1).unwrap_or(last)] = value;
        }
        value
    }

    fn shift(&self, arma: &mut [f64], first: f64) {
        let r = arma.len();
        for i in 0..r - 1 {
            arma[i] = arma[i + 1] + self.phi[i] * first;
        }
        arma[r - 1] = self.phi[r - 1] * first;
    }

    /// How many elements a state has: the ARMA part and the last values.
    fn rows(&self) -> usize {
        self.phi.len() + self.order.lost()
    }
}

/// Where the ring begins after one more step.
fn earlier(head: usize, length: usize) -> usize {
    head.checked_sub(1).unwrap_or(length.saturating_sub(1))
}

/// What is known of the `d + s D` values before the first one to be filtered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before<'a> {
    /// All of them, oldest first.
    Known(&'a [f64]),
    /// Nothing; this number is merely near, for the sake of rounding.
    Diffuse(f64),
}

/// What an observation brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Innovation {
    /// Observed minus expected.
    pub(super) value: f64,
    /// Its variance, in units of the steady innovation variance.
    pub(super) variance: f64,
    /// The same as `value` for the twin, if there is one.
    pub(super) twin: f64,
}

/// What the past says: expectation and factor of the covariance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// ARMA state, then the ring of the last values.
    expected: Box<[f64]>,
    head: usize,
    /// The columns of the factor, one after the other.
    spread: Vec<f64>,
}

impl State {
    /// Before the first value to be filtered, with the ARMA part stationary. `None` if it is not.
    pub(super) fn start(dynamics: &Dynamics, before: Before<'_>) -> Option<Self> {
        let (r, rows) = (dynamics.phi.len(), dynamics.rows());
        let mut expected = vec![0.0; rows];
        let mut spread = stationary_factor(dynamics)?;
        match before {
            Before::Known(values) => {
                for (place, value) in expected[r..].iter_mut().zip(values.iter().rev()) {
                    *place = *value;
                }
            }
            Before::Diffuse(around) => {
                expected[r..].fill(around);
                for i in r..rows {
                    let from = spread.len();
                    spread.resize(from + rows, 0.0);
                    spread[from + i] = DIFFUSE;
                }
            }
        }
        Some(Self {
            expected: expected.into_boxed_slice(),
            head: 0,
            spread,
        })
    }

    /// Whether some value is still as good as unknown.
    pub(super) fn is_diffuse(&self) -> bool {
        self.spread.iter().any(|u| u.abs() > DIFFUSE * 1e-2)
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.expected.len() + self.spread.capacity()) * size_of::<f64>()
    }

    /// Takes what is expected for certain, and gives back the room of the covariance.
    pub(super) fn forget_spread(&mut self) {
        self.spread = Vec::new();
    }

    /// How much more than the steady innovation variance the next value has.
    pub(super) fn excess(&self, dynamics: &Dynamics) -> f64 {
        let seen = |column: &[f64]| {
            let (arma, lags) = column.split_at(dynamics.phi.len());
            arma[0] + dynamics.built_up(lags, self.head)
        };
        let columns = self.spread.chunks_exact(self.expected.len());
        columns.map(|c| seen(c).powi(2)).sum()
    }

    /// Gives back the room that was needed for a while.
    pub(super) fn shrink(&mut self) {
        self.spread.shrink_to_fit();
    }

    /// A second state under the same equations and gaps, for [`Self::observe`].
    pub(super) fn twin(&self) -> Vec<f64> {
        vec![0.0; self.expected.len()]
    }

    /// Takes an observation. The `twin` expects a mean of one and observes nothing but zeros: minus
    /// its innovation is what a unit of mean takes off this one's.
    pub(super) fn observe(
        &mut self,
        dynamics: &Dynamics,
        observed: f64,
        twin: Option<&mut [f64]>,
    ) -> Innovation {
        let rows = self.expected.len();
        let lags_at = dynamics.phi.len();
        let surprise = |state: &[f64], constant: f64, observed: f64| {
            let (arma, lags) = state.split_at(lags_at);
            observed - (constant + arma[0] + dynamics.built_up(lags, self.head))
        };
        let value = surprise(&self.expected, dynamics.mean, observed);
        let twin_value = twin.as_ref().map_or(0.0, |t| surprise(t, 1.0, 0.0));
        let variance = if self.spread.is_empty() {
            1.0
        } else {
            self.learn(dynamics)
        };
        // `learn` leaves the covariances with the observation as one more column.
        let told = &self.spread[self.spread.len().saturating_sub(rows)..];
        let apply = |state: &mut [f64], surprise: f64, observed: f64| {
            let weighed = surprise / variance;
            for (x, h) in state.iter_mut().zip(told) {
                *x += h * weighed;
            }
            let (arma, lags) = state.split_at_mut(lags_at);
            for (i, x) in arma.iter_mut().enumerate() {
                *x += dynamics.reach(i) * weighed;
            }
            dynamics.shift(arma, arma[0]);
            if !lags.is_empty() {
                lags[earlier(self.head, lags.len())] = observed;
            }
        };
        apply(&mut self.expected, value, observed);
        if let Some(twin) = twin {
            apply(twin, twin_value, 0.0);
        }
        if !self.spread.is_empty() {
            self.spread.truncate(self.spread.len() - rows);
            self.move_columns(dynamics, true);
            self.settle();
        }
        self.head = earlier(self.head, rows - lags_at);
        Innovation {
            value,
            variance,
            twin: twin_value,
        }
    }

    /// Takes out of the factor what an observation tells. Returns the variance of the innovation, and
    /// leaves `h`, the covariance of the state's factor part with the observation, as one more column.
    fn learn(&mut self, dynamics: &Dynamics) -> f64 {
        let rows = self.expected.len();
        let lags_at = dynamics.phi.len();
        let end = self.spread.len();
        self.spread.resize(end + rows, 0.0);
        let (columns, told) = self.spread.split_at_mut(end);
        let head = self.head;
        let seen = |column: &[f64]| {
            let (arma, lags) = column.split_at(lags_at);
            arma[0] + dynamics.built_up(lags, head)
        };
        let mut variance = 1.0;
        for column in columns.chunks_exact(rows) {
            let z = seen(column);
            variance += z * z;
            for (h, u) in told.iter_mut().zip(column) {
                *h += z * u;
            }
        }
        // The reflection that turns (1, z) into (-sqrt F, 0): every column loses z_j g / (F + sqrt F).
        let root = variance.sqrt();
        for column in columns.chunks_exact_mut(rows) {
            let part = seen(column) / (variance + root);
            for (i, (u, h)) in column.iter_mut().zip(told.iter()).enumerate() {
                let own = if i < lags_at { dynamics.reach(i) } else { 0.0 };
                *u -= part * ((1.0 + root) * own + h);
            }
        }
        variance
    }

    /// Moves every column one step on. After an observation no column may say anything of the newest
    /// value.
    fn move_columns(&mut self, dynamics: &Dynamics, observed: bool) {
        let rows = self.expected.len();
        let lags_at = dynamics.phi.len();
        for column in self.spread.chunks_exact_mut(rows) {
            dynamics.walk(column, self.head, 0.0);
            if observed && rows > lags_at {
                column[lags_at + earlier(self.head, rows - lags_at)] = 0.0;
            }
        }
    }

    /// Drops the columns that have died out.
    fn settle(&mut self) {
        let rows = self.expected.len();
        let mut at = 0;
        while at < self.spread.len() {
            let column = &self.spread[at..at + rows];
            if dot(column, column) < COLUMN_LEAST {
                let last = self.spread.len() - rows;
                self.spread.copy_within(last.., at);
                self.spread.truncate(last);
            } else {
                at += rows;
            }
        }
    }

    /// Lets a step go by that nobody observed.
    pub(super) fn skip(&mut self, dynamics: &Dynamics, twin: Option<&mut [f64]>) {
        let rows = self.expected.len();
        let lags_at = dynamics.phi.len();
        let end = self.spread.len();
        self.spread.resize(end + rows, 0.0);
        for i in 0..lags_at {
            self.spread[end + i] = dynamics.reach(i);
        }
        dynamics.walk(&mut self.expected, self.head, dynamics.mean);
        if let Some(twin) = twin {
            dynamics.walk(twin, self.head, 1.0);
        }
        self.move_columns(dynamics, false);
        self.settle();
        self.head = earlier(self.head, rows - lags_at);
        if self.spread.len() > 2 * rows * rows {
            self.compress();
        }
    }

    /// Rotates the columns so that no more are left than there are rows.
    fn compress(&mut self) {
        let rows = self.expected.len();
        let mut sum = vec![0.0; rows];
        for row in 0..rows {
            let columns = &mut self.spread[row * rows..];
            let square: f64 = columns.chunks_exact(rows).map(|c| c[row] * c[row]).sum();
            if square <= 0.0 {
                continue;
            }
            let root = square.sqrt().copysign(columns[row]);
            let scale = 1.0 / (square + root * columns[row]); // 2 / x'x
            let weight = |j: usize, c: &[f64]| c[row] + if j == 0 { root } else { 0.0 };
            sum.fill(0.0);
            for (j, c) in columns.chunks_exact(rows).enumerate() {
                let x = weight(j, c);
                sum.iter_mut().zip(c).for_each(|(s, u)| *s += x * u);
            }
            for (j, c) in columns.chunks_exact_mut(rows).enumerate() {
                let x = scale * weight(j, c);
                c.iter_mut().zip(&sum).for_each(|(u, s)| *u -= x * s);
            }
        }
        self.spread.truncate(rows * rows);
    }

    /// Expectation and variance (in units of the innovation variance) at each of `steps` ahead.
    pub(super) fn foresee(
        &self,
        dynamics: &Dynamics,
        steps: &[u32],
        mut put: impl FnMut(usize, f64, f64),
    ) {
        let rows = self.expected.len();
        let mut small = [[0.0; 64]; 2];
        let mut large = Vec::new();
        let (expected, impulse) = if rows <= 64 {
            let [a, b] = &mut small;
            (&mut a[..rows], &mut b[..rows])
        } else {
            large.resize(2 * rows, 0.0);
            large.split_at_mut(rows)
        };
        expected.copy_from_slice(&self.expected);
        for (i, x) in impulse.iter_mut().take(dynamics.phi.len()).enumerate() {
            *x = dynamics.reach(i);
        }
        let lost = dynamics.order.lost();
        let mut columns = self.spread.clone();
        let (mut head, mut variance, mut index) = (self.head, 0.0, 0);
        for step in 1..=steps.last().copied().unwrap_or(0) {
            let mean = dynamics.walk(expected, head, dynamics.mean);
            let weight = dynamics.walk(impulse, head, 0.0);
            variance += weight * weight;
            let mut unsure = 0.0;
            for column in columns.chunks_exact_mut(rows) {
                let part = dynamics.walk(column, head, 0.0);
                unsure += part * part;
            }
            head = earlier(head, lost);
            if steps[index] == step {
                put(index, mean, variance + unsure);
                index += 1;
            }
        }
    }
}

/// A factor of the stationary covariance of the ARMA part, less the innovation to come.
fn stationary_factor(dynamics: &Dynamics) -> Option<Vec<f64>> {
    let (r, rows) = (dynamics.phi.len(), dynamics.rows());
    let degrees = (dynamics.order.ar_degree(), dynamics.order.ma_degree());
    let mut column = Vec::new();
    Autocovariances::default().first_column(
        (&dynamics.phi, &dynamics.theta),
        degrees,
        &mut column,
    )?;
    let phi = &dynamics.phi;
    let cross = |i: usize| if i + 1 < r { column[i + 1] } else { 0.0 };
    // P = T P T' + R R', element by element from the end: P_ij needs P_{i+1,j+1} and the first column.
    let mut p = vec![0.0; r * r];
    for i in (0..r).rev() {
        for j in (0..=i).rev() {
            let next = if i + 1 < r {
                p[(i + 1) * r + j + 1] + dynamics.reach(i + 1) * dynamics.reach(j + 1)
            } else {
                0.0
            };
            p[i * r + j] =
                phi[i] * phi[j] * column[0] + phi[i] * cross(j) + phi[j] * cross(i) + next;
        }
    }
    let mut spread = Vec::new();
    for j in 0..r {
        let whole = p[j * r + j];
        let left = (0..j).fold(whole, |v, k| v - p[j * r + k] * p[j * r + k]);
        let root = if left > 1e-14 * column[0] {
            left.sqrt()
        } else {
            0.0
        };
        p[j * r + j] = root;
        for i in j + 1..r {
            let rest = (0..j).fold(p[i * r + j], |v, k| v - p[i * r + k] * p[j * r + k]);
            p[i * r + j] = if root > 0.0 { rest / root } else { 0.0 };
        }
        if root > 0.0 {
            let from = spread.len();
            spread.resize(from + rows, 0.0);
            for i in j..r {
                spread[from + i] = p[i * r + j];
            }
        }
    }
    Some(spread)
}
