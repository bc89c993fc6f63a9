//! Estimates smoothing parameters and initial state by least squares.
//!
//! The likelihood of an additive-error model is a function of the sum of squared innovations alone
//! (Hyndman, Koehler, Ord and Snyder 2008, equation 5.3), and innovations are linear in the initial state
//! and smooth in the four smoothing parameters. So it is solved as what it is, nonlinear least squares:
//! Levenberg-Marquardt (Marquardt 1963) with exact derivatives, run along with the recursion, and with
//! parameters that would leave their boxes put on the bound. There often are two minima, one where the level hardly
//! learns and the start does it all, and one where it follows: the search begins at the best point of a
//! coarse grid on either side, and the better end is kept.
//!
//! A gap skips the update. The innovation after one of `g` steps is weighted by `1 / (1 + g)`, as that of
//! a random walk would be; the exact filter of [`super::state`] takes over when the parameters are known.
//!
//! A season of more than [`FREE_SEASON_MAX`] steps keeps the start it was given: estimating it would be
//! slow, and is little use when few cycles were seen.
//!
//! Invariants: the sum of squares never rises from one iteration to the next; the count of iterations is
//! bounded; the result is finite.

use super::form::{DAMPING, Form, GAMMA, SHARE, Shares, Smoothing, Start, Trend, admissible};
use super::normal::Normal;
use super::start;
use super::wake::{Layout, Row, Wake};

/// The longest season whose start is estimated.
pub(super) const FREE_SEASON_MAX: usize = 48;

/// Iterations at most; usual are five to fifteen.
const ITERATIONS_MAX: usize = 40;

/// A smaller relative gain is none.
const GAIN_LEAST: f64 = 1e-6;

/// Damping at the start, and its factors after a step that helped and one that did not.
const DAMP: f64 = 1e-3;
const DAMP_DOWN: f64 = 0.1;
const DAMP_UP: f64 = 8.0;
const DAMP_MAX: f64 = 1e6;

/// Where the search for `alpha` begins: a level that hardly learns, and one that follows.
const STEADY: [f64; 2] = [0.002, 0.05];
const LIVELY: [f64; 4] = [0.2, 0.5, 0.8, 0.97];

/// A steady level is not searched for where its sum of squares begins so many times above the other's.
const HOPELESS: f64 = 2.0;

/// How many parameters have bounds.
const BOUNDED: usize = 4;

/// What was estimated.
#[derive(Clone, Debug)]
pub(super) struct Estimate {
    pub(super) smoothing: Smoothing,
    pub(super) start: Start,
    /// Weighted sum of squared innovations.
    pub(super) squares: f64,
}

/// A point of the search.
#[derive(Clone, Debug)]
struct Point {
    shares: Shares,
    start: Start,
}

/// A series that begins with an observation, and the form to fit to it.
pub(super) struct Problem<'a> {
    pub(super) y: &'a [f64],
    pub(super) form: Form,
    /// The same form without a trend, where it was solved already.
    pub(super) known: Option<&'a Estimate>,
    /// A sum of squares that is no more than this is nothing but rounding.
    pub(super) nothing: f64,
}

impl Problem<'_> {
    /// Fits. The series is not empty.
    pub(super) fn solve(&self) -> Estimate {
        let start = start::of(self.y, self.form);
        let mut best = self.descend(match self.known {
            Some(known) => {
                let Smoothing { alpha, gamma, .. } = known.smoothing;
                self.best_of_grid(&known.start, &[alpha], &[gamma, 0.0])
            }
            None => self.best_of_grid(&start, &LIVELY, self.gammas()),
        });
        let steady = self.best_of_grid(&start, &STEADY, self.gammas());
        if steady.1 < best.1 * HOPELESS {
            let steady = self.descend(steady);
            if steady.1 < best.1 {
                best = steady;
            }
        }
        let (Point { shares, start }, squares) = best;
        Estimate {
            smoothing: shares.smoothing(self.form),
            start: centred(start),
            squares,
        }
    }

    /// Goes down from a point to a minimum.
    fn descend(&self, mut best: (Point, f64)) -> (Point, f64) {
        let mut normal = Normal::new(self.parameters());
        let mut damp = DAMP;
        for _ in 0..ITERATIONS_MAX {
            if best.1 <= self.nothing {
                break;
            }
            let before = best.1;
            self.linearise(&best.0, &mut normal);
            self.hold_at_bounds(&best.0.shares, &mut normal);
            let held = normal.fixed();
            while damp <= DAMP_MAX {
                normal.restore(&held);
                let next = self.moved(&best.0, &mut normal, damp);
                let squares = self.squares_if_admissible(&next.shares, &next.start);
                if squares < best.1 {
                    best = (next, squares);
                    damp *= DAMP_DOWN;
                    break;
                }
                damp *= DAMP_UP;
            }
            if best.1 >= before * (1.0 - GAIN_LEAST) {
                break;
            }
        }
        best
    }

    fn gammas(&self) -> &'static [f64] {
        if self.form.seasonal() {
            &[0.0, 0.05, 0.5]
        } else {
            &[0.1]
        }
    }

    /// The point of a coarse grid with the least sum of squares.
    fn best_of_grid(&self, start: &Start, alphas: &[f64], gammas: &[f64]) -> (Point, f64) {
        let (betas, phi): (&[f64], f64) = match self.form.trend {
            Trend::None => (&[0.1], 0.9),
            Trend::Additive => (&[0.01, 0.15, 0.6], 0.9),
            Trend::Damped => (&[0.05, 0.5], 0.9),
        };
        let mut best = (
            Shares {
                alpha: alphas[0],
                beta: 0.1,
                gamma: 0.1,
                phi,
            },
            f64::INFINITY,
        );
        for &alpha in alphas {
            for &beta in betas {
                for &gamma in gammas {
                    let shares = Shares {
                        alpha,
                        beta,
                        gamma,
                        phi,
                    };
                    let squares = self.squares_if_admissible(&shares, start);
                    if squares < best.1 {
                        best = (shares, squares);
                    }
                }
            }
        }
        (
            Point {
                shares: best.0,
                start: start.clone(),
            },
            best.1,
        )
    }

    fn season_is_free(&self) -> bool {
        self.form.seasonal() && self.form.season <= FREE_SEASON_MAX
    }

    /// How many numbers the search moves. The start of the season's first phase is not among them: it
    /// and the level are the same thing.
    fn parameters(&self) -> usize {
        let season = if self.season_is_free() {
            self.form.season - 1
        } else {
            0
        };
        Layout::of(self.form).season + season
    }

    fn squares_if_admissible(&self, shares: &Shares, start: &Start) -> f64 {
        let by = shares.smoothing(self.form);
        if admissible(self.form, &by) {
            self.squares(&by, start)
        } else {
            f64::INFINITY
        }
    }

    /// The weighted sum of squared innovations.
    pub(super) fn squares(&self, by: &Smoothing, start: &Start) -> f64 {
        let Start {
            mut level,
            mut slope,
            ref season,
        } = *start;
        let mut season = season.clone();
        let (mut phase, mut gap, mut sum) = (0, 0.0, 0.0);
        for y in self.y {
            let ahead = level + by.phi * slope;
            slope *= by.phi;
            level = ahead;
            if y.is_nan() {
                gap += 1.0;
            } else {
                let e = y - ahead - season.get(phase).copied().unwrap_or_default();
                sum += if gap > 0.0 {
                    e * e / (1.0 + gap)
                } else {
                    e * e
                };
                gap = 0.0;
                level += by.alpha * e;
                slope += by.beta * e;
                if let Some(season) = season.get_mut(phase) {
                    *season += by.gamma * e;
                }
            }
            phase += 1;
            if phase >= season.len() {
                phase = 0;
            }
        }
        if sum.is_finite() { sum } else { f64::MAX }
    }

    /// Fills in the normal equations at `point`.
    fn linearise(&self, point: &Point, normal: &mut Normal) {
        // Without a season there are few parameters, and a fixed number of them is twice as fast.
        match self.parameters() {
            2 => self.gather::<[f64; 2]>(point, normal),
            4 => self.gather::<[f64; 4]>(point, normal),
            5 => self.gather::<[f64; 5]>(point, normal),
            _ => self.gather::<Vec<f64>>(point, normal),
        }
    }

    /// The derivatives of every innovation by every parameter,
    /// by the recursion's own chain rule.
    fn gather<R: Row>(&self, point: &Point, normal: &mut Normal) {
        let layout = Layout::of(self.form);
        let by = point.shares.smoothing(self.form);
        let Start {
            mut level,
            mut slope,
            ref season,
        } = point.start;
        let mut season = season.clone();
        let count = self.parameters();
        let mut wake = Wake::<R>::new(count, season.len(), &layout);
        normal.clear();
        let (mut phase, mut gap) = (0, 0.0);
        for y in self.y {
            let ahead = level + by.phi * slope;
            let before = slope;
            level = ahead;
            slope *= by.phi;
            if y.is_nan() {
                gap += 1.0;
                wake.skip(&by, &layout, before);
            } else {
                let e = y - ahead - season.get(phase).copied().unwrap_or_default();
                wake.step(&by, &layout, &point.shares, phase, before, e);
                let weight: f64 = 1.0 / (1.0 + gap);
                normal.add(&wake.innovation, e, weight.sqrt());
                gap = 0.0;
                level += by.alpha * e;
                slope += by.beta * e;
                if let Some(season) = season.get_mut(phase) {
                    *season += by.gamma * e;
                }
            }
            phase += 1;
            if phase >= season.len() {
                phase = 0;
            }
        }
        normal.finish();
    }

    /// The parameters that have bounds: where they are in the vector, their value and their bounds.
    fn bounded(&self, shares: &Shares) -> impl Iterator<Item = (usize, f64, (f64, f64))> {
        let layout = Layout::of(self.form);
        [
            (Some(layout.alpha), shares.alpha, SHARE),
            (layout.beta, shares.beta, SHARE),
            (layout.gamma, shares.gamma, GAMMA),
            (layout.phi, shares.phi, DAMPING),
        ]
        .into_iter()
        .filter_map(|(index, value, bounds)| Some((index?, value, bounds)))
    }

    /// A parameter at a bound that the gradient would push through it stays there.
    fn hold_at_bounds(&self, shares: &Shares, normal: &mut Normal) {
        for (index, value, (low, high)) in self.bounded(shares) {
            let down = normal.descent(index) < 0.0;
            if (value <= low && down) || (value >= high && !down) {
                normal.fix(index, 0.0);
            }
        }
    }

    /// The point a step further. A parameter that would leave its bounds goes to the bound, and the
    /// others take the step that is best then.
    fn moved(&self, from: &Point, normal: &mut Normal, damp: f64) -> Point {
        let layout = Layout::of(self.form);
        let mut step = self.bounded_step(from, normal, damp);
        let to = self.stepped(from, &step);
        let Some(gamma) = layout.gamma else { return to };
        if admissible(self.form, &to.shares.smoothing(self.form)) {
            return to;
        }
        // A season that learns a little is not admissible beside a lively slope; one that is fixed is.
        normal.fix(gamma, -from.shares.gamma);
        step = self.bounded_step(from, normal, damp);
        self.stepped(from, &step)
    }

    fn bounded_step(&self, from: &Point, normal: &mut Normal, damp: f64) -> Vec<f64> {
        let mut step = normal.solve(damp);
        for _ in 0..BOUNDED {
            let leaves = self
                .bounded(&from.shares)
                .find_map(|(index, value, (low, high))| {
                    let to = value + step[index];
                    let bound = to.clamp(low, high);
                    ((to - bound).abs() > 1e-12).then_some((index, bound - value))
                });
            let Some((index, by)) = leaves else { break };
            normal.fix(index, by);
            step = normal.solve(damp);
        }
        step
    }

    fn stepped(&self, from: &Point, step: &[f64]) -> Point {
        let layout = Layout::of(self.form);
        let within = |value: f64, index: Option<usize>, (low, high): (f64, f64)| match index {
            Some(index) => (value + step[index]).clamp(low, high),
            None => value,
        };
        let mut to = from.clone();
        to.shares.alpha = within(to.shares.alpha, Some(layout.alpha), SHARE);
        to.shares.beta = within(to.shares.beta, layout.beta, SHARE);
        to.shares.gamma = within(to.shares.gamma, layout.gamma, GAMMA);
        to.shares.phi = within(to.shares.phi, layout.phi, DAMPING);
        to.start.level += step[layout.level];
        if let Some(slope) = layout.slope {
            to.start.slope += step[slope];
        }
        for (season, step) in to
            .start
            .season
            .iter_mut()
            .skip(1)
            .zip(&step[layout.season..])
        {
            *season += step;
        }
        to
    }
}

/// The same start with a season that sums to zero.
fn centred(mut start: Start) -> Start {
    if !start.season.is_empty() {
        // A season is far below 2^52 steps.
        #[allow(clippy::cast_precision_loss)]
        let mean = start.season.iter().sum::<f64>() / start.season.len() as f64;
        start.season.iter_mut().for_each(|s| *s -= mean);
        start.level += mean;
    }
    start
}
