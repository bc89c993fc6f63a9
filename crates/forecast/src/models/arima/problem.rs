//! One series and the likelihood of any coefficients on it, with or without gaps; and the climb to the
//! best.
//!
//! The climb is Levenberg-Marquardt (Marquardt 1963) on the standardised innovations, whose sum of
//! squares is the likelihood (see [`Innovations::concentrate`]); mean and variance are concentrated
//! out, so that only lags are searched. Coefficients follow from partial autocorrelations (Monahan
//! 1984; Jones 1980), and those are hyperbolic tangents of what is searched for autoregressions, sines
//! for moving averages, whose best is often at the unit circle itself: every step is stationary and
//! invertible, and none gets nearer to a unit root than [`PARTIAL_MAX_AR`] and
//! [`PARTIAL_MAX_MA`].

use super::likelihood::{Filter, Innovations, Likelihood, Sums};
use super::order::{COEFFICIENTS_MAX, Order};
use super::polynomial::{draw_in, step_down, step_up};
use super::small::{dot, real, solve};
use super::state::{Before, DIFFUSE_VARIANCE, Dynamics, State};

/// The largest partial autocorrelation of the autoregression, whose variance then still is a number
/// to reckon with.
const PARTIAL_MAX_AR: f64 = 1.0 - 1e-6;
/// That of the moving average. A series differenced once too often has its best just at one.
const PARTIAL_MAX_MA: f64 = 1.0 - 1e-8;
/// Both, for the parts of [`Order::split`].
const PARTIALS_MAX: [f64; 4] = [
    PARTIAL_MAX_AR,
    PARTIAL_MAX_MA,
    PARTIAL_MAX_AR,
    PARTIAL_MAX_MA,
];
/// What is searched, from a partial autocorrelation, for the parts of [`Order::split`].
const FROM_PARTIAL: [fn(f64) -> f64; 4] = [f64::atanh, f64::asin, f64::atanh, f64::asin];
/// The way back.
const TO_PARTIAL: [fn(f64) -> f64; 4] = [f64::tanh, f64::sin, f64::tanh, f64::sin];
/// The step of a difference quotient, on the searched scale.
const PROBE: f64 = 1e-5;
/// What is added to the curvature in every direction times the damping, as a share of what white noise
/// has in that of a moving average: where a direction is level, its slope is rounding, and a step by it
/// would be as long as any.
const FLOOR: f64 = 0.01;
/// What is searched of a moving average counts as at its limit from here on, 0.07 short of it.
const AT_LIMIT: f64 = 1.5;
/// Where it is drawn inside to: a partial autocorrelation of 0.93.
const INSIDE: f64 = 1.2;
/// The longest step of anything searched.
const STEP_MAX: f64 = 1.0;
/// Steps of the grid of [`Data::rounded`] to a unit: to the standard deviation of the differences.
const GRID: f64 = (1_u64 << 24) as f64;

/// The values of a series, on a scale where its differences have about unit variance: already
/// differenced if it has no gaps, as it is (gaps are NaN) if it has.
#[derive(Clone, Debug)]
pub(super) struct Data {
    /// For orders without a constant.
    pub(super) plain: Vec<f64>,
    /// For orders with a constant: shifted so that rounding does little harm.
    pub(super) centred: Vec<f64>,
    /// Whether there are gaps.
    pub(super) gapped: bool,
}

impl Data {
    /// What an order is to be fitted to.
    pub(super) fn of(&self, order: &Order) -> &[f64] {
        if order.constant {
            &self.centred
        } else {
            &self.plain
        }
    }

    /// Rounded to a grid, much coarser than what a shift or a change of unit leaves behind of
    /// rounding, and much finer than what the series itself leaves open. Climbs that begin here take
    /// the same way to the same top in any unit.
    pub(super) fn rounded(&self) -> Self {
        let on_grid = |values: &[f64]| values.iter().map(|x| (x * GRID).round() / GRID).collect();
        Self {
            plain: on_grid(&self.plain),
            centred: on_grid(&self.centred),
            gapped: self.gapped,
        }
    }
}

/// A series, and room to work.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) data: Data,
    filter: Filter,
    out: Innovations,
    base: Vec<f64>,
    jacobian: Vec<f64>,
}

/// When a climb may end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climb {
    /// The gain in log-likelihood below which a step counts as the last.
    pub(super) gain_least: f64,
    /// The most steps.
    pub(super) steps_max: usize,
    /// The most dampings that are tried for one step.
    pub(super) tries_max: usize,
    /// Whether slopes are taken from both sides: at twice the cost they are right to the square of
    /// the step, and a long flat ridge is followed to its top.
    pub(super) both_sides: bool,
}

impl Problem {
    pub(super) fn new(data: Data) -> Self {
        Self {
            data,
            filter: Filter::default(),
            out: Innovations::default(),
            base: Vec::new(),
            jacobian: Vec::new(),
        }
    }

    /// The likelihood of the coefficients `flat`. `None` if they are not stationary, or if the gaps
    /// leave some start value unknown.
    pub(super) fn likelihood(&mut self, order: &Order, flat: &[f64]) -> Option<Likelihood> {
        let values = self.data.of(order);
        let sums = if self.data.gapped {
            filter_gapped(order, flat, values, &mut self.out)?
        } else {
            self.filter.run(order, flat, values, &mut self.out)?
        };
        let likelihood = self.out.concentrate(&sums);
        likelihood.log.is_finite().then_some(likelihood)
    }

    /// Climbs from the coefficients `flat` to the nearest maximum of the likelihood, and leaves them
    /// there.
    pub(super) fn climb(
        &mut self,
        order: &Order,
        flat: &mut [f64],
        climb: Climb,
    ) -> Option<Likelihood> {
        let count = flat.len();
        let mut searched = [0.0; COEFFICIENTS_MAX];
        let searched = &mut searched[..count];
        searched.copy_from_slice(flat);
        to_searched(order, searched);
        to_coefficients(order, searched, flat);
        let mut best = self.likelihood(order, flat)?;
        let mut damping = 1e-3;
        for _ in 0..climb.steps_max {
            if count == 0 || !self.differentiate(order, searched, climb.both_sides) {
                break;
            }
            let mut gain = 0.0;
            for _ in 0..climb.tries_max {
                if let Some(reached) = self.advance(order, searched, flat, best.log, damping) {
                    gain = reached.log - best.log;
                    best = reached;
                    damping *= 0.1;
                    break;
                }
                damping = (damping * 10.0).max(1e-4);
            }
            if gain < climb.gain_least {
                break;
            }
        }
        to_coefficients(order, searched, flat);
        Some(best)
    }

    /// Climbs again from where moving averages at the limit are drawn inside, each by itself, and keeps
    /// what is higher; `found` is the likelihood of `flat`. The likelihood is level across the unit
    /// circle, so that a climb ends there even where the top lies inside.
    pub(super) fn climb_inside(
        &mut self,
        order: &Order,
        flat: &mut [f64],
        climb: Climb,
        mut found: Likelihood,
    ) -> Likelihood {
        let mut averages = [0.0; COEFFICIENTS_MAX];
        let averages = &mut averages[..flat.len()];
        let [_, regular, _, seasonal] = order.split_mut(averages);
        regular.fill(1.0);
        seasonal.fill(1.0);
        for k in 0..flat.len() {
            let mut searched = [0.0; COEFFICIENTS_MAX];
            let searched = &mut searched[..flat.len()];
            searched.copy_from_slice(flat);
            to_searched(order, searched);
            if averages[k] * searched[k].abs() < AT_LIMIT {
                continue;
            }
            searched[k] = INSIDE.copysign(searched[k]);
            let mut other = [0.0; COEFFICIENTS_MAX];
            let other = &mut other[..flat.len()];
            to_coefficients(order, searched, other);
            let reached = self.climb(order, other, climb);
            if let Some(reached) = reached.filter(|r| r.log > found.log) {
                found = reached;
                flat.copy_from_slice(other);
            }
        }
        found
    }

    /// One step from `searched`, in place, if that raises the log-likelihood above `from`. Tries the
    /// Gauss-Newton step, and where a parabola through value, slope and what was reached has its top
    /// well before or after it: near a ridge the plain step goes too far again and again.
    fn advance(
        &mut self,
        order: &Order,
        searched: &mut [f64],
        flat: &mut [f64],
        from: f64,
        damping: f64,
    ) -> Option<Likelihood> {
        let mut trial = [0.0; COEFFICIENTS_MAX];
        let trial = &mut trial[..searched.len()];
        let slope = self.step(order, searched, damping, trial);
        to_coefficients(order, trial, flat);
        let whole = self.likelihood(order, flat).filter(|l| l.log.is_finite());
        let share = whole.map_or(0.3, |l| 0.5 * slope / (slope - (l.log - from)));
        let share = if share > 0.0 {
            share.clamp(0.1, 2.0)
        } else {
            2.0
        };
        let mut reached = whole;
        if !(0.8..1.25).contains(&share) {
            let mut part = [0.0; COEFFICIENTS_MAX];
            let part = &mut part[..searched.len()];
            for ((p, t), x) in part.iter_mut().zip(trial.iter()).zip(searched.iter()) {
                *p = x + share * (t - x);
            }
            limit(order, part);
            to_coefficients(order, part, flat);
            let other = self.likelihood(order, flat);
            if let Some(other) = other.filter(|o| whole.is_none_or(|w| o.log > w.log)) {
                reached = Some(other);
                trial.copy_from_slice(part);
            }
        }
        let reached = reached.filter(|r| r.log > from)?;
        searched.copy_from_slice(trial);
        Some(reached)
    }

    /// Fills the Jacobian of the innovations by difference quotients. The innovations at `searched`
    /// go to `base`.
    fn differentiate(&mut self, order: &Order, searched: &[f64], both_sides: bool) -> bool {
        if !self.standardise(order, searched) {
            return false;
        }
        std::mem::swap(&mut self.base, &mut self.out.series);
        let n = self.base.len();
        self.jacobian.resize(n * searched.len(), 0.0);
        let mut moved = [0.0; COEFFICIENTS_MAX];
        let moved = &mut moved[..searched.len()];
        moved.copy_from_slice(searched);
        for k in 0..searched.len() {
            let probe = -PROBE.copysign(searched[k]); // Towards zero, away from any limit.
            moved[k] = searched[k] + probe;
            if !self.standardise(order, moved) {
                return false;
            }
            self.jacobian[k * n..(k + 1) * n].copy_from_slice(&self.out.series);
            moved[k] = searched[k] - probe;
            let both = both_sides && self.standardise(order, moved);
            moved[k] = searched[k];
            let (other, width) = if both {
                (&self.out.series, 2.0 * probe)
            } else {
                (&self.base, probe)
            };
            let column = &mut self.jacobian[k * n..(k + 1) * n];
            for (slope, before) in column.iter_mut().zip(other) {
                *slope = (*slope - before) / width;
            }
        }
        true
    }

    /// Leaves the standardised innovations at `searched` in `out`, if there is a likelihood.
    fn standardise(&mut self, order: &Order, searched: &[f64]) -> bool {
        let mut flat = [0.0; COEFFICIENTS_MAX];
        let flat = &mut flat[..searched.len()];
        to_coefficients(order, searched, flat);
        self.likelihood(order, flat).is_some()
    }

    /// Puts `trial` where the damped Gauss-Newton step from `searched` leads, inside the limits and no
    /// further than 1 in any direction: beyond, slopes mean nothing. What would leave that box stays at
    /// its border, and the others make the best of it. Returns by how much the log-likelihood would rise
    /// if it went on with its slope.
    fn step(&self, order: &Order, searched: &[f64], damping: f64, trial: &mut [f64]) -> f64 {
        let (count, n) = (searched.len(), self.base.len());
        let mut normal = [0.0; COEFFICIENTS_MAX * COEFFICIENTS_MAX];
        let normal = &mut normal[..count * count];
        let mut descent = [0.0; COEFFICIENTS_MAX];
        let floor = FLOOR * dot(&self.base, &self.base);
        for i in 0..count {
            let column = &self.jacobian[i * n..(i + 1) * n];
            for j in 0..=i {
                let product = dot(column, &self.jacobian[j * n..(j + 1) * n]);
                normal[i * count + j] = product;
                normal[j * count + i] = product;
            }
            normal[i * count + i] += damping * (normal[i * count + i] + floor);
            descent[i] = -dot(column, &self.base);
        }
        let mut limits = [0.0; COEFFICIENTS_MAX];
        limits_of(order, &mut limits[..count]);
        let border = |k: usize, step: f64| {
            let least = (-limits[k] - searched[k]).max(-STEP_MAX);
            step.clamp(least, (limits[k] - searched[k]).min(STEP_MAX))
        };
        let mut fixed = [None; COEFFICIENTS_MAX];
        let mut moves = [0.0; COEFFICIENTS_MAX];
        let moves = &mut moves[..count];
        for _ in 0..count {
            solve_free(normal, &descent[..count], &fixed[..count], moves);
            let mut inside = true;
            for (k, step) in moves.iter_mut().enumerate() {
                let kept = if step.is_finite() {
                    border(k, *step)
                } else {
                    0.0
                };
                if kept.total_cmp(step).is_ne() {
                    inside = false;
                    fixed[k] = Some(kept);
                    *step = kept;
                }
            }
            if inside {
                break;
            }
        }
        for ((t, x), step) in trial.iter_mut().zip(searched).zip(moves.iter()) {
            *t = x + step;
        }
        limit(order, trial);
        let rise: f64 = moves.iter().zip(descent).map(|(m, d)| m * d).sum();
        real(n) * rise / dot(&self.base, &self.base).max(f64::MIN_POSITIVE)
    }
}

/// Solves `normal x = right` for the unknowns that are not fixed, by the others.
fn solve_free(normal: &[f64], right: &[f64], fixed: &[Option<f64>], out: &mut [f64]) {
    let count = right.len();
    let mut system = [0.0; COEFFICIENTS_MAX * COEFFICIENTS_MAX];
    let system = &mut system[..count * count];
    system.copy_from_slice(normal);
    out.copy_from_slice(right);
    for (k, value) in fixed.iter().enumerate() {
        let Some(value) = *value else { continue };
        for i in 0..count {
            out[i] -= normal[i * count + k] * value;
            system[i * count + k] = 0.0;
            system[k * count + i] = 0.0;
        }
        system[k * count + k] = 1.0;
    }
    for (o, value) in out.iter_mut().zip(fixed) {
        if let Some(value) = value {
            *o = *value;
        }
    }
    solve(system, out);
}

/// The furthest that anything searched may go, by the parts of [`Order::split`].
fn limits_of(order: &Order, limits: &mut [f64]) {
    let parts = order.split_mut(limits).into_iter().zip(PARTIALS_MAX);
    for ((part, max), from_partial) in parts.zip(FROM_PARTIAL) {
        part.fill(from_partial(max));
    }
}

/// Keeps what is searched away from unit roots.
fn limit(order: &Order, searched: &mut [f64]) {
    let mut limits = [0.0; COEFFICIENTS_MAX];
    let limits = &mut limits[..searched.len()];
    limits_of(order, limits);
    for (x, limit) in searched.iter_mut().zip(limits) {
        *x = x.clamp(-*limit, *limit);
    }
}

/// From coefficients to the searched scale, in place. What is not stationary is drawn in first.
fn to_searched(order: &Order, flat: &mut [f64]) {
    let signs = [1.0, -1.0, 1.0, -1.0].into_iter().zip(PARTIALS_MAX);
    let parts = order.split_mut(flat).into_iter().zip(signs);
    for ((part, (sign, max)), from_partial) in parts.zip(FROM_PARTIAL) {
        draw_in(part, sign, 1.0);
        part.iter_mut().for_each(|c| *c *= sign);
        step_down(part);
        for c in part {
            *c = from_partial(c.clamp(-max, max));
        }
    }
}

/// From the searched scale to coefficients.
fn to_coefficients(order: &Order, searched: &[f64], flat: &mut [f64]) {
    let mut partials = [0.0; COEFFICIENTS_MAX];
    let partials = &mut partials[..searched.len()];
    partials.copy_from_slice(searched);
    for (part, to_partial) in order.split_mut(partials).into_iter().zip(TO_PARTIAL) {
        part.iter_mut().for_each(|x| *x = to_partial(*x));
    }
    from_partials(order, partials, flat);
}

/// From partial autocorrelations to coefficients.
pub(super) fn from_partials(order: &Order, partials: &[f64], flat: &mut [f64]) {
    let parts = order.split(partials).into_iter().zip(order.split_mut(flat));
    for ((from, to), sign) in parts.zip([1.0, -1.0, 1.0, -1.0]) {
        step_up(from, to);
        to.iter_mut().for_each(|c| *c *= sign);
    }
}

/// Runs the filter of [`State`] over values with gaps, from a diffuse start.
fn filter_gapped(
    order: &Order,
    flat: &[f64],
    values: &[f64],
    out: &mut Innovations,
) -> Option<Sums> {
    let dynamics = Dynamics::new(*order, flat, 0.0);
    let mut state = State::start(&dynamics, Before::Diffuse(0.0))?;
    let mut twin = state.twin();
    out.series.clear();
    out.ones.clear();
    let mut log_determinant = 0.0;
    for &value in values {
        let twin = order.constant.then_some(twin.as_mut_slice());
        if value.is_nan() {
            state.skip(&dynamics, twin);
            continue;
        }
        let innovation = state.observe(&dynamics, value, twin);
        if innovation.variance < DIFFUSE_VARIANCE {
            let root = innovation.variance.sqrt();
            out.series.push(innovation.value / root);
            if order.constant {
                out.ones.push(-innovation.twin / root);
            }
            log_determinant += innovation.variance.ln();
        }
    }
    let usable = !state.is_diffuse() && !out.series.is_empty() && log_determinant.is_finite();
    usable.then_some(Sums {
        scored: out.series.len(),
        log_determinant,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(series: &[f64]) -> Problem {
        problem(series, false)
    }

    fn gapped(series: &[f64]) -> Problem {
        problem(series, true)
    }

    fn problem(series: &[f64], gapped: bool) -> Problem {
        Problem::new(Data {
            plain: series.to_vec(),
            centred: series.to_vec(),
            gapped,
        })
    }

    fn series() -> Vec<f64> {
        let mut state = 0.0;
        (0..120)
            .map(|i| {
                let shock = (f64::from(i * i * 7 % 113) / 56.5) - 1.0;
                state = 0.6 * state + shock;
                state
            })
            .collect()
    }

    #[test]
    fn both_filters_say_the_same_of_a_series_without_gaps() {
        let values = series();
        for (order, flat) in [
            (Order::new(2, 0, 1), vec![0.5, 0.2, -0.3]),
            (Order::new(1, 0, 2).with_constant(true), vec![0.9, 0.4, 0.3]),
            (
                Order::new(1, 0, 1).seasonal(1, 0, 1, 7),
                vec![0.5, 0.3, 0.4, -0.6],
            ),
        ] {
            let mut fast = complete(&values);
            let mut exact = gapped(&values);
            let fast = fast.likelihood(&order, &flat).unwrap();
            let exact = exact.likelihood(&order, &flat).unwrap();
            assert!(
                (fast.log - exact.log).abs() < 1e-8,
                "{order}: {fast:?} {exact:?}"
            );
            assert!((fast.mean - exact.mean).abs() < 1e-8);
        }
    }

    #[test]
    fn the_diffuse_start_of_an_integrated_series_is_its_differences() {
        let values = series();
        let sums: Vec<f64> = values
            .iter()
            .scan(0.0, |s, v| {
                *s += v;
                Some(*s)
            })
            .collect();
        let differences: Vec<f64> = sums.windows(2).map(|w| w[1] - w[0]).collect();
        let flat = [0.5, -0.3];
        let plain = Order::new(1, 0, 1).with_constant(true);
        let order = Order::new(1, 1, 1).with_constant(true);
        let fast = complete(&differences).likelihood(&plain, &flat).unwrap();
        let exact = gapped(&sums).likelihood(&order, &flat).unwrap();
        assert!((fast.log - exact.log).abs() < 1e-6, "{fast:?} {exact:?}");
        assert!((fast.mean - exact.mean).abs() < 1e-6);
    }

    #[test]
    fn a_climb_ends_where_no_neighbour_is_better() {
        let mut problem = complete(&series());
        let order = Order::new(1, 0, 1).with_constant(true);
        let mut flat = [0.0, 0.0];
        let climb = Climb {
            gain_least: 1e-9,
            steps_max: 50,
            tries_max: 8,
            both_sides: true,
        };
        let top = problem.climb(&order, &mut flat, climb).unwrap();
        for (i, step) in [(0, 1e-3), (0, -1e-3), (1, 1e-3), (1, -1e-3)] {
            let mut moved = flat;
            moved[i] += step;
            assert!(problem.likelihood(&order, &moved).unwrap().log < top.log);
        }
    }
}
