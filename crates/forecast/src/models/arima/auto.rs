//! The search for an order: differences by tests (`differencing`), lags by Akaike's corrected criterion
//! in the stepwise way of Hyndman and Khandakar (2008).
//!
//! Unlike theirs the search does not maximise the likelihood of every order it visits: it takes
//! coefficients that are near the maximum (`start`), at a hundredth of the cost, and asks for the
//! exact likelihood there. Only the best few then climb to their maximum, and the best of those wins.
//! With gaps the orders visited are judged on the series with its gaps bridged; those few (with a
//! season: the winner only) climb on what was observed.

use super::aicc;
use super::differencing::{needs_seasonal_difference, regular_differences};
use super::estimate::{Cleaned, Estimate, Scaled, estimate};
use super::likelihood::Likelihood;
use super::order::{COEFFICIENTS_MAX, Order, SEASON_MAX};
use super::polynomial::reaches;
use super::problem::{Climb, Problem};
use super::small::{dot, real};
use super::start::{Conditional, Regression};

/// No root of an autoregression of two or more lags may be nearer to the unit circle (as in R's
/// `auto.arima`): the order is then more than the data bear. R asks the same of moving averages; here
/// those without a season may go up to the circle, since a straight trend that was differenced leads there
/// and the filter is exact.
const ROOT_LEAST: f64 = 1.01;
/// A visited order further than this from the best does not climb.
const AICC_NEAR: f64 = 6.0;

/// A moving average whose roots come nearer is not judged by its conditional sum of squares alone.
const ROOT_FAR: f64 = 1.15;
/// How far such an order climbs at its visit.
const FIRST_CLIMB: Climb = Climb {
    gain_least: 0.1,
    steps_max: 3,
    tries_max: 2,
    both_sides: false,
};

/// How far the search looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most regular lags of each kind.
    pub lags_max: u8,
    /// The most seasonal lags of each kind.
    pub seasonal_lags_max: u8,
    /// The most regular differences.
    pub differences_max: u8,
    /// The most orders that are visited.
    pub visits_max: usize,
    /// The most orders that climb to their exact maximum.
    pub finalists_max: usize,
}

impl Default for Limits {
    /// Five regular lags of each kind, one seasonal one, two differences, 60 visits, three finalists.
    fn default() -> Self {
        Self {
            lags_max: 5,
            seasonal_lags_max: 1,
            differences_max: 2,
            visits_max: 60,
            finalists_max: 3,
        }
    }
}

/// The best estimate found; `None` if not even the simplest order can be estimated.
pub(super) fn search(
    cleaned: &Cleaned,
    season: Option<usize>,
    limits: &Limits,
) -> Option<Estimate> {
    let season = season
        .and_then(|s| u16::try_from(s).ok())
        .filter(|s| (2..=SEASON_MAX).contains(s) && cleaned.observed > 2 * usize::from(*s));
    let mut base = differences(cleaned, season, limits);
    while !cleaned.suffice(&base) {
        base = base.simpler()?;
    }
    let with_constant = base.with_constant(true);
    let constant = cleaned.suffice(&with_constant) && with_constant.constant();
    let mut search = Search::new(cleaned, base, season.unwrap_or(1), limits);
    if search.is_constant() {
        return estimate(cleaned, base.with_constant(constant));
    }
    search.walk(constant);
    search.finish()
}

/// The order `(0,d,0)(0,D,0)_s` that the tests ask for.
fn differences(cleaned: &Cleaned, season: Option<u16>, limits: &Limits) -> Order {
    let values = cleaned.bridged(season.map_or(1, usize::from));
    let mut base = Order::new(0, 0, 0);
    if let Some(season) = season
        && needs_seasonal_difference(&values, usize::from(season))
    {
        base = base.seasonal(0, 1, 0, season);
    }
    let values = super::differencing::difference(&values, &base);
    Order {
        d: regular_differences(&values, limits.differences_max.min(2)),
        ..base
    }
}

/// Room for the coefficients of any order.
type Flat = [f64; COEFFICIENTS_MAX];

/// The lags of a visited order, beside its differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    p: u8,
    q: u8,
    seasonal_p: u8,
    seasonal_q: u8,
    constant: bool,
}

/// A visited order.
#[derive(Debug)]
struct Visit {
    place: Place,
    flat: Flat,
    /// The criterion at coefficients near the best.
    aicc: f64,
}

#[derive(Debug)]
struct Search<'a> {
    cleaned: &'a Cleaned,
    limits: &'a Limits,
    base: Order,
    season: u16,
    largest: Order,
    scaled: Scaled,
    /// For judging visited orders: without gaps.
    quick: Problem,
    /// For orders without and with a constant; made when first needed.
    regressions: [Option<Regression>; 2],
    /// For the series before its last difference, where that seems to be one too many.
    levelled: Option<Regression>,
    conditional: Conditional,
    visits: Vec<Visit>,
}

impl<'a> Search<'a> {
    fn new(cleaned: &'a Cleaned, base: Order, season: u16, limits: &'a Limits) -> Self {
        let third = cleaned.observed / 3;
        let most = |limit: u8, unit: u16| {
            u8::try_from(third / usize::from(unit))
                .unwrap_or(u8::MAX)
                .min(limit)
        };
        let (mut lags, mut seasonal) = (most(limits.lags_max, 1), 0);
        if season > 1 {
            lags = lags.min(u8::try_from(season - 1).unwrap_or(u8::MAX));
            seasonal = most(limits.seasonal_lags_max, season);
        }
        let largest =
            Order::new(lags, base.d, lags).seasonal(seasonal, base.seasonal_d, seasonal, season);
        let scaled = Scaled::new(cleaned, &base);
        let quick = Problem::new(scaled.bridged.clone());
        let levelled = (base.d > 0 && season == 1)
            .then(|| levelled(&quick.data.centred))
            .flatten()
            .map(|sums| Regression::new(&sums, &largest));
        Self {
            cleaned,
            limits,
            base,
            season,
            largest,
            scaled,
            quick,
            regressions: [None, None],
            levelled,
            conditional: Conditional::default(),
            visits: Vec::new(),
        }
    }

    /// Whether the differences are all the same, but for rounding.
    fn is_constant(&self) -> bool {
        self.quick.data.centred.iter().all(|x| x.abs() < 1e-12)
    }

    fn order(&self, place: Place) -> Order {
        Order::new(place.p, self.base.d, place.q)
            .seasonal(
                place.seasonal_p,
                self.base.seasonal_d,
                place.seasonal_q,
                self.season,
            )
            .with_constant(place.constant)
    }

    /// Steps from place to neighbouring place while that lowers the criterion.
    fn walk(&mut self, constant: bool) {
        let place = |lags: (u8, u8), seasonal: (u8, u8), constant: bool| Place {
            p: lags.0.min(self.largest.p),
            q: lags.1.min(self.largest.q),
            seasonal_p: seasonal.0.min(self.largest.seasonal_p),
            seasonal_q: seasonal.1.min(self.largest.seasonal_q),
            constant,
        };
        let first = [
            place((2, 2), (1, 1), constant),
            place((0, 0), (0, 0), constant),
            place((1, 0), (1, 0), constant),
            place((0, 1), (0, 1), constant),
            place((0, 0), (0, 0), false),
        ];
        let mut best = (first[1], f64::INFINITY);
        for place in first {
            if let Some(aicc) = self.visit(place, None).filter(|a| *a < best.1) {
                best = (place, aicc);
            }
        }
        while self.visits.len() < self.limits.visits_max {
            let from = best.0;
            let better = self.neighbours(from, constant).find_map(|place| {
                let aicc = self.visit(place, Some(from)).filter(|a| *a < best.1)?;
                Some((place, aicc))
            });
            let Some(better) = better else {
                return;
            };
            best = better;
        }
    }

    /// Where one lag, or one of each kind, comes or goes, and the same lags with or without constant.
    fn neighbours(&self, from: Place, constant: bool) -> impl Iterator<Item = Place> + use<> {
        const STEPS: [(i8, i8); 8] = [
            (-1, 0),
            (0, -1),
            (1, 0),
            (0, 1),
            (-1, -1),
            (-1, 1),
            (1, -1),
            (1, 1),
        ];
        let largest = self.largest;
        let moved = |lags: u8, step: i8, most: u8| {
            lags.checked_add_signed(step).filter(|lags| *lags <= most)
        };
        let seasonal = STEPS.into_iter().filter_map(move |(p, q)| {
            Some(Place {
                seasonal_p: moved(from.seasonal_p, p, largest.seasonal_p)?,
                seasonal_q: moved(from.seasonal_q, q, largest.seasonal_q)?,
                ..from
            })
        });
        let regular = STEPS.into_iter().filter_map(move |(p, q)| {
            Some(Place {
                p: moved(from.p, p, largest.p)?,
                q: moved(from.q, q, largest.q)?,
                ..from
            })
        });
        let other = constant.then_some(Place {
            constant: !from.constant,
            ..from
        });
        seasonal.chain(regular).chain(other)
    }

    /// Judges an order, unless that was done before or there are too few data.
    fn visit(&mut self, place: Place, parent: Option<Place>) -> Option<f64> {
        if self.visits.len() >= self.limits.visits_max
            || self.visits.iter().any(|v| v.place == place)
        {
            return None;
        }
        let order = self.order(place);
        if !self.cleaned.suffice(&order) {
            return None;
        }
        let count = order.coefficients();
        let (mut flat, mut found) = self.near(&order)?;
        if order.season > 1 {
            return Some(self.judged(place, flat, &found));
        }
        for other in self.other_starts(&order, parent).into_iter().flatten() {
            let mut other = other;
            let reached = self.quick.likelihood(&order, &other[..count]);
            if reached.is_some_and(|r| r.log > found.log)
                && let Some(top) = self.quick.climb(&order, &mut other[..count], FIRST_CLIMB)
            {
                (flat, found) = (other, top);
            }
        }
        Some(self.judged(place, flat, &found))
    }

    /// Notes what was found at a place, and returns the criterion there.
    fn judged(&mut self, place: Place, flat: Flat, found: &Likelihood) -> f64 {
        let order = self.order(place);
        let scored = self.quick.data.of(&order).len();
        // With a season the walk may pass through an unsound order; only the finalists may not be one.
        let aicc = if order.season > 1 || is_sound(&order, &flat[..order.coefficients()]) {
            aicc(found.log, order.parameters(), scored)
        } else {
            f64::INFINITY
        };
        self.visits.push(Visit { place, flat, aicc });
        aicc
    }

    /// Coefficients near the best, from the regression and the conditional sum of squares.
    fn near(&mut self, order: &Order) -> Option<(Flat, Likelihood)> {
        let series = self.quick.data.of(order);
        let regression = self.regressions[usize::from(order.constant)]
            .get_or_insert_with(|| Regression::new(series, &self.largest));
        let mut flat = [0.0; COEFFICIENTS_MAX];
        let near = &mut flat[..order.coefficients()];
        regression.coefficients(order, near);
        self.conditional.descend(series, order, near, (4, 0.05));
        let found = if order.season == 1 && is_near_unit_circle(order, near) {
            self.quick.climb(order, near, FIRST_CLIMB)?
        } else {
            self.quick.likelihood(order, near)?
        };
        Some((flat, found))
    }

    /// Where else an order may begin: at the coefficients of the order that it was reached from, and at
    /// those of the series before its last difference, if that was one too many.
    fn other_starts(&self, order: &Order, parent: Option<Place>) -> [Option<Flat>; 2] {
        let warm = parent.and_then(|parent| {
            let visit = self.visits.iter().find(|v| v.place == parent)?;
            let from = self.order(parent);
            let mut flat = [0.0; COEFFICIENTS_MAX];
            let parts = from.split(&visit.flat[..from.coefficients()]);
            let places = order.split_mut(&mut flat[..order.coefficients()]);
            for (from, to) in parts.into_iter().zip(places) {
                let both = from.len().min(to.len());
                to[..both].copy_from_slice(&from[..both]);
            }
            Some(flat)
        });
        let levelled = self.levelled.as_ref().filter(|_| order.q > 0).map(|sums| {
            let before = Order::new(order.p, 0, order.q - 1);
            let mut flat = [0.0; COEFFICIENTS_MAX];
            sums.coefficients(&before, &mut flat[..before.coefficients()]);
            // theta(B) (1 - B), with the root just outside the circle.
            let ma = &mut flat[usize::from(order.p)..order.coefficients()];
            for i in (0..ma.len()).rev() {
                let earlier = if i == 0 { 1.0 } else { ma[i - 1] };
                ma[i] -= earlier / ROOT_LEAST;
            }
            flat
        });
        [warm, levelled]
    }

    /// Lets the best few climb and returns the best of them that has no root near the unit circle.
    fn finish(mut self) -> Option<Estimate> {
        let mut visits = std::mem::take(&mut self.visits);
        visits.sort_by(|a, b| a.aicc.total_cmp(&b.aicc));
        let nearest = visits.first()?.aicc;
        // With gaps and a season one likelihood costs some milliseconds: those few are judged on the
        // bridged series, too, and only the winner climbs on what was observed.
        let costly = self.scaled.problem.data.gapped && self.season > 1;
        let scored = if costly {
            self.quick.data.plain.len()
        } else {
            self.cleaned.observed - self.base.lost()
        };
        let climb = Climb {
            gain_least: 0.01,
            steps_max: if self.season > 1 { 5 } else { 12 },
            tries_max: 2,
            both_sides: false,
        };
        let mut best: Option<(f64, Place, Likelihood)> = None;
        for (climbed, visit) in visits.iter_mut().enumerate() {
            let enough = climbed >= self.limits.finalists_max || visit.aicc > nearest + AICC_NEAR;
            if enough && best.is_some() {
                break;
            }
            let order = self.order(visit.place);
            let flat = &mut visit.flat[..order.coefficients()];
            let problem = if costly {
                &mut self.quick
            } else {
                &mut self.scaled.problem
            };
            let Some(found) = problem.climb(&order, flat, climb) else {
                continue;
            };
            let reached = aicc(found.log, order.parameters(), scored);
            if best.as_ref().is_none_or(|b| reached < b.0) && is_sound(&order, flat) {
                best = Some((reached, visit.place, found));
            }
        }
        let (_, place, mut found) = best?;
        let visit = visits.iter_mut().find(|v| v.place == place)?;
        let order = self.order(place);
        let flat = &mut visit.flat[..order.coefficients()];
        if costly {
            let last = Climb {
                steps_max: 2,
                ..climb
            };
            found = self.scaled.problem.climb(&order, flat, last)?;
        }
        let scored = self.cleaned.observed - self.base.lost();
        Some(self.scaled.unscaled(order, flat, &found, scored))
    }
}

/// Whether polynomials of two or more lags have their roots well outside the unit circle; without a
/// season only the autoregression needs to.
fn is_sound(order: &Order, flat: &[f64]) -> bool {
    order
        .split(flat)
        .into_iter()
        .zip([1.0, -1.0, 1.0, -1.0])
        .filter(|(_, sign)| *sign > 0.0 || order.season > 1)
        .all(|(part, sign)| part.len() < 2 || reaches(part, sign, 1.0 / ROOT_LEAST))
}

/// Whether the moving average has a root where what was before the first value is hardly forgotten:
/// there the conditional sum of squares tells little of the likelihood. So it is with every series that
/// is differenced although its trend is a straight line.
fn is_near_unit_circle(order: &Order, flat: &[f64]) -> bool {
    !reaches(order.split(flat)[1], -1.0, 1.0 / ROOT_FAR)
}

/// The sums of the differences less a straight line, if they keep so near to it that one difference
/// may have been too many: a random walk's are `n / 15` times as large as its steps, in squares.
fn levelled(differences: &[f64]) -> Option<Vec<f64>> {
    let n = real(differences.len());
    let mut sum = 0.0;
    let mut sums: Vec<f64> = differences
        .iter()
        .map(|x| {
            sum += x;
            sum
        })
        .collect();
    let middle = (n - 1.0) / 2.0;
    let mean = sums.iter().sum::<f64>() / n;
    let tilt: f64 = (0..).zip(&sums).map(|(t, x)| (real(t) - middle) * x).sum();
    let slope = tilt / (n * (n * n - 1.0) / 12.0);
    for (t, x) in sums.iter_mut().enumerate() {
        *x -= mean + slope * (real(t) - middle);
    }
    (dot(&sums, &sums) < 0.03 * n * dot(differences, differences)).then_some(sums)
}
