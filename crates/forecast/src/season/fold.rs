//! The test that a season must pass: fold the series by the period, and ask whether its phases differ
//! by more than chance allows.
//!
//! The series is cut into blocks, up to [`BINS_MAX`] to a cycle, counted back from its end. The trend (a
//! centred moving mean of one cycle, as in classical decomposition) is taken out, so what remains has a
//! mean of about 0 in every cycle. One-way analysis of variance over the phases gives `F`; since noise
//! that hangs together in time has fewer independent phases than bins, its degrees of freedom are
//! divided by `1 + 2 sum rho_k^2` of the residual autocorrelation (Bartlett 1946), and `F` becomes a
//! normal score (Paulson 1942). A pseudo-cycle, which loses its phase after some periods, is told from
//! a season by the two halves of the history: the profile of the one must be found again in the other.
//!
//! Outliers: what is larger than the value of rank `cycles / 2` comes back less than every other cycle
//! and is cut down to it. A cycle with many times the energy of the typical one (a step, an outage) is
//! left out. Both look only at size, never at fit, so noise gains nothing by it.

use super::candidates::Candidate;
use super::dot;

/// Blocks to a cycle at most, and cycles looked at at most (the latest).
pub(super) const BINS_MAX: usize = 48;
pub(super) const CYCLES_MAX: usize = 64;

/// Normal scores that a period must reach: one that the calendar knows, and one that was picked from
/// some two hundred lags because it looked best.
const SCORE_CALENDAR: f64 = 3.3;
const SCORE_FOUND: f64 = 4.3;

/// The share of the profile's power that its two halves must have in common.
const IN_BOTH_HALVES: f64 = 0.5;

/// A cycle with more than so many times the median energy is left out.
const ENERGETIC: f64 = 6.0;

/// Passes of cutting down outliers. Each is smeared over its cycle by the moving mean at first.
const PASSES: usize = 3;

/// Sums of the first `i` values and how many of them there are: any block mean in constant time.
pub(super) struct Sums {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Sums {
    pub(super) fn new(values: &[f64]) -> Self {
        let mut sums = Vec::with_capacity(values.len() + 1);
        let mut counts = Vec::with_capacity(values.len() + 1);
        let (mut sum, mut count) = (0.0, 0.0);
        sums.push(sum);
        counts.push(count);
        for value in values {
            if value.is_finite() {
                sum += value;
                count += 1.0;
            }
            sums.push(sum);
            counts.push(count);
        }
        Self { sums, counts }
    }

    pub(super) fn len(&self) -> usize {
        self.sums.len() - 1
    }

    fn count(&self, from: usize, to: usize) -> f64 {
        self.counts[to] - self.counts[from]
    }

    /// The mean of what is there in `from..to`; NaN if nothing is.
    pub(super) fn mean(&self, from: usize, to: usize) -> f64 {
        (self.sums[to] - self.sums[from]) / self.count(from, to)
    }
}

/// A series folded by a period that passed the test.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) strength: f64,
    /// The season's variance.
    pub(super) variance: f64,
    pub(super) period: f64,
    score: f64,
    in_both_halves: f64,
    /// The seasonal offset at each phase, counted so that the series ends with a cycle.
    profile: Vec<f64>,
}

impl Folded {
    /// Takes the season out of the series it was found in.
    pub(super) fn subtract_from(&self, values: &mut [f64]) {
        let end = values.len();
        for (index, value) in values.iter_mut().enumerate() {
            *value -= self.profile[phase(end - index, self.period, self.profile.len())];
        }
    }
}

/// The phase of the sample `back` (from 1) steps before the end.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn phase(back: usize, period: f64, bins: usize) -> usize {
    // The middle of the sample, so that rounding does not decide between two bins.
    let left = ((back as f64 - 0.5) / period).fract();
    let bin = ((1.0 - left) * bins as f64) as usize;
    bin.min(bins - 1)
}

/// Puts one candidate to the test.
pub(super) fn test(sums: &Sums, candidate: &Candidate) -> Option<Folded> {
    let mut best = measure(sums, candidate.period)?;
    // A period read off blocks is known to a share of one: climb to the nearby period that fits best.
    // A short period is a whole number of steps.
    let stride_min = if candidate.period < 2.0 * BINS_MAX as f64 {
        1.0
    } else {
        0.5
    };
    let promising = best.score >= 0.3 * SCORE_FOUND;
    let mut stride = if promising { candidate.blur / 2.0 } else { 0.0 };
    while stride >= stride_min {
        for period in [best.period - stride, best.period + stride] {
            let nearby = measure(sums, period);
            best = nearby.filter(|n| n.score > best.score).unwrap_or(best);
        }
        stride /= 2.0;
    }
    let needed = if candidate.calendar {
        SCORE_CALENDAR
    } else {
        SCORE_FOUND
    };
    (best.score >= needed && best.in_both_halves >= IN_BOTH_HALVES).then_some(best)
}

/// Bins for a period: all its steps if they are few, else a divisor of it where there is one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 2 and 2^52.
fn bins(period: f64) -> usize {
    let whole = period.round().max(2.0) as usize;
    if whole <= BINS_MAX {
        return whole;
    }
    if (period - period.round()).abs() > 1e-9 {
        return BINS_MAX;
    }
    (BINS_MAX / 2..=BINS_MAX)
        .rev()
        .find(|bins| whole.is_multiple_of(*bins))
        .unwrap_or(BINS_MAX)
}

fn measure(sums: &Sums, period: f64) -> Option<Folded> {
    if period < 2.0 {
        return None;
    }
    let bins = bins(period);
    let (mut values, phases) = blocks(sums, period, bins);
    let cycles = values.len() / bins;
    if cycles < 2 {
        return None;
    }
    let mut detrended = vec![0.0; values.len()];
    let mut sizes = Vec::with_capacity(values.len());
    for _ in 0..PASSES {
        let trend = trend(&values, bins);
        for ((value, rest), level) in values.iter().zip(&mut detrended).zip(&trend) {
            *rest = value - level;
        }
        let cap = rank_cap(&detrended, &mut sizes, cycles / 2);
        let (mut before, mut after) = (0.0_f64, 0.0_f64);
        for ((value, rest), level) in values.iter_mut().zip(&mut detrended).zip(&trend) {
            before += if rest.is_finite() { *rest * *rest } else { 0.0 };
            *rest = rest.clamp(-cap, cap);
            after += if rest.is_finite() { *rest * *rest } else { 0.0 };
            *value = level + *rest;
        }
        if after >= 0.99 * before {
            break; // Nothing stood out that the mean could have smeared.
        }
    }
    drop_energetic(&mut detrended, bins);
    analyse(&detrended, &phases, bins, cycles, period)
}

/// Block means, oldest first, and the phase of each.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn blocks(sums: &Sums, period: f64, bins: usize) -> (Vec<f64>, Vec<usize>) {
    let width = period / bins as f64;
    let whole = (sums.len() as f64 / width + 1e-9) as usize;
    let count = whole.min(CYCLES_MAX * bins);
    let edge = |left: usize| sums.len() - ((left as f64 * width).round() as usize).min(sums.len());
    let means = (0..count).map(|k| {
        let (from, to) = (edge(count - k), edge(count - k - 1));
        sums.mean(from, to)
    });
    let phases = (0..count).map(|k| (bins - 1) - (count - 1 - k) % bins);
    (means.collect(), phases.collect())
}

/// The centred moving mean over one cycle, carried on as a line at both ends; NaN where less than half
/// of it is there.
#[allow(clippy::cast_precision_loss)] // Lengths.
fn trend(values: &[f64], bins: usize) -> Vec<f64> {
    let sums = Sums::new(values);
    let window = |from: usize| {
        let to = from + bins;
        let enough = 2.0 * sums.count(from, to) >= bins as f64;
        if enough {
            sums.mean(from, to)
        } else {
            f64::NAN
        }
    };
    let half = bins / 2;
    let last = values.len() - bins + half;
    let centred = |i: usize| {
        // An even cycle has no middle: the mean of the two windows beside it.
        if bins % 2 == 1 {
            window(i - half)
        } else if i < last {
            f64::midpoint(window(i - half), window(i - half + 1))
        } else {
            window(i - half)
        }
    };
    let last = if bins % 2 == 1 { last } else { last - 1 };
    let inner: Vec<f64> = (half..=last).map(centred).collect();
    let reach = bins.min(inner.len() - 1);
    let slope = |from: f64, to: f64| {
        let slope = (to - from) / reach.max(1) as f64;
        if slope.is_finite() { slope } else { 0.0 }
    };
    let (first_value, last_value) = (inner[0], inner[inner.len() - 1]);
    let rise_first = slope(first_value, inner[reach]);
    let rise_last = slope(inner[inner.len() - 1 - reach], last_value);
    (0..values.len())
        .map(|i| {
            if i < half {
                first_value - rise_first * (half - i) as f64
            } else if i > last {
                last_value + rise_last * (i - last) as f64
            } else {
                inner[i - half]
            }
        })
        .collect()
}

/// The size of rank `rank` (0 the largest); `sizes` is room to sort in.
fn rank_cap(detrended: &[f64], sizes: &mut Vec<f64>, rank: usize) -> f64 {
    sizes.clear();
    sizes.extend(
        detrended
            .iter()
            .map(|rest| rest.abs())
            .filter(|size| size.is_finite()),
    );
    if sizes.is_empty() {
        return 0.0;
    }
    let rank = rank.min(sizes.len() - 1);
    *sizes.select_nth_unstable_by(rank, |a, b| b.total_cmp(a)).1
}

/// Makes gaps of cycles with many times the energy of the median one, of a third of all at most and
/// only while three are left.
fn drop_energetic(detrended: &mut [f64], bins: usize) {
    let energy = |cycle: &[f64]| {
        let there = cycle.iter().filter(|v| v.is_finite());
        let (n, sum) = there.fold((0.0, 0.0), |(n, sum), v| (n + 1.0, sum + v * v));
        if n > 0.0 { sum / n } else { 0.0 }
    };
    let energies: Vec<f64> = detrended.rchunks(bins).map(energy).collect();
    let mut sorted = energies.clone();
    sorted.sort_by(f64::total_cmp);
    let limit = ENERGETIC * sorted[sorted.len() / 2];
    let energetic = energies.iter().filter(|e| **e > limit).count();
    if energetic > energies.len() / 3 || energies.len() - energetic < 3 {
        return;
    }
    for (cycle, energy) in detrended.rchunks_mut(bins).zip(&energies) {
        if *energy > limit {
            cycle.fill(f64::NAN);
        }
    }
}

/// Means and counts by phase.
struct Phases {
    means: Vec<f64>,
    counts: Vec<f64>,
}

impl Phases {
    fn of(values: &[f64], phases: &[usize], bins: usize) -> Self {
        let (mut means, mut counts) = (vec![0.0; bins], vec![0.0; bins]);
        for (value, phase) in values.iter().zip(phases).filter(|(v, _)| v.is_finite()) {
            means[*phase] += value;
            counts[*phase] += 1.0;
        }
        for (mean, count) in means.iter_mut().zip(&counts) {
            *mean /= f64::max(*count, 1.0);
        }
        Self { means, counts }
    }
}

#[allow(clippy::cast_precision_loss)] // Lengths.
fn analyse(
    values: &[f64],
    phases: &[usize],
    bins: usize,
    cycles: usize,
    period: f64,
) -> Option<Folded> {
    let all = Phases::of(values, phases, bins);
    let points: f64 = all.counts.iter().sum();
    let seen = all.counts.iter().filter(|n| **n > 0.0).count();
    // A phase never seen says nothing; with many of them neither does the rest.
    if 2 * seen < bins || points < 1.6 * seen as f64 || seen < 2 {
        return None;
    }
    let grand = all
        .means
        .iter()
        .zip(&all.counts)
        .map(|(m, n)| m * n)
        .sum::<f64>()
        / points;
    let residuals: Vec<f64> = values
        .iter()
        .zip(phases)
        .map(|(v, p)| {
            if v.is_finite() {
                v - all.means[*p]
            } else {
                0.0
            }
        })
        .collect();
    let within: f64 = residuals.iter().map(|e| e * e).sum();
    let between: f64 = (all.means.iter().zip(&all.counts))
        .map(|(m, n)| n * (m - grand) * (m - grand))
        .sum();
    let (of_phases, of_noise) = (seen as f64 - 1.0, points - seen as f64);
    // Shapes down among the rounding errors of the standardised series are none.
    if between <= 1e-24 * points {
        return None;
    }
    let total = (within + between) / (points - 1.0);
    let noise = within / of_noise;
    let independent = of_phases / redundancy(&residuals, bins);
    let (freedom, freedom_noise) = (
        independent.max(1.0),
        (independent * of_noise / of_phases).max(1.0),
    );
    let f = (between / of_phases) / (noise * memory(&residuals, bins, cycles));
    let score = normal_score(f, freedom, freedom_noise);
    let half = values.len() / 2;
    let in_both_halves = if cycles >= 4 {
        let early = Phases::of(&values[..half], &phases[..half], bins);
        let late = Phases::of(&values[half..], &phases[half..], bins);
        in_common(&early, &late)
    } else {
        1.0
    };
    Some(Folded {
        strength: 1.0 - noise / total,
        variance: (total - noise).max(0.0),
        period,
        score,
        in_both_halves,
        profile: all.means,
    })
}

/// How many bins hang together: `1 + 2 sum rho_k^2` over lags to half a cycle, less what noise adds.
#[allow(clippy::cast_precision_loss)] // Lengths.
fn redundancy(residuals: &[f64], bins: usize) -> f64 {
    let power = dot(residuals, residuals);
    let squares = (1..=bins / 2).map(|lag| {
        let rho = correlation(residuals, lag, power);
        (rho * rho - 1.0 / residuals.len() as f64).max(0.0)
    });
    1.0 + 2.0 * squares.sum::<f64>()
}

/// How much the phase means owe to noise that outlives a cycle: `1 + 2 sum rho` over whole cycles, as
/// far as the history is long enough to tell.
fn memory(residuals: &[f64], bins: usize, cycles: usize) -> f64 {
    let power = dot(residuals, residuals);
    let lags = (1..=(cycles / 4).min(6)).map(|cycle| correlation(residuals, cycle * bins, power));
    1.0 + 2.0 * lags.take_while(|rho| *rho > 0.0).sum::<f64>()
}

/// The autocorrelation of residuals (mean 0, gaps 0) at one lag.
fn correlation(residuals: &[f64], lag: usize, power: f64) -> f64 {
    if power > 0.0 {
        dot(residuals, residuals.get(lag..).unwrap_or_default()) / power
    } else {
        0.0
    }
}

/// The standard normal score of an `F` with these degrees of freedom (Paulson 1942).
fn normal_score(f: f64, freedom: f64, freedom_noise: f64) -> f64 {
    if !f.is_finite() {
        return f64::INFINITY;
    }
    let (a, b) = (2.0 / (9.0 * freedom), 2.0 / (9.0 * freedom_noise));
    let root = f.cbrt();
    ((1.0 - b) * root - (1.0 - a)) / (a + b * root * root).sqrt()
}

/// The power that two profiles share, over their mean power: 1 if alike, 0 if unrelated.
fn in_common(early: &Phases, late: &Phases) -> f64 {
    let (mut shared, mut power) = (0.0, 0.0);
    for phase in 0..early.means.len() {
        if early.counts[phase] > 0.0 && late.counts[phase] > 0.0 {
            let (a, b) = (early.means[phase], late.means[phase]);
            shared += a * b;
            power += f64::midpoint(a * a, b * b);
        }
    }
    if power > 0.0 { shared / power } else { 0.0 }
}
