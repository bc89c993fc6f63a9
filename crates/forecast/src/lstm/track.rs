//! What is kept of one series beside the network's hidden state: its scale, its level, its seasonal
//! profile. All of it is recursive, so that training and forecasting make the same inputs.
//!
//! Everything the network sees is a ratio to the series' own scale, and every answer is in that scale
//! counted from the last value; so a forecast follows a shift or a stretch of the series exactly (but
//! for rounding, and while there is one value only, whose scale can only be its distance from zero).
//!
//! - *scale* `s`: exponentially weighted mean of the absolute differences, memory 32 steps, kept above
//!   a tenth of the same with a memory of 512 steps, so that a calm hour does not make a burst infinite;
//! - *level*: exponentially weighted mean, memory 32; *stray*: the mean absolute distance from it;
//! - *profile*: per phase of a season a mean of the values there, weight 0.3 for the newest;
//! - *shift*: exponentially weighted mean of `value - profile`, weight 0.2, for each profile.
//!
//! A mean of fewer values than its memory is their plain mean. A gap changes none of these.

use serde::{Deserialize, Serialize};

use super::math::{sin_cos_turn, squash};
use super::random::mix;
use crate::VALUE_LIMIT;

/// The longest season that is kept, in steps: a week of ten minutes each. A longer one is ignored.
pub const SEASON_MAX: u16 = 1008;

/// What is known of a series besides its values. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// When its first step is, in seconds since 1970 (UTC).
    pub start_s: i64,
    /// How long a step is, in seconds.
    pub step_s: u32,
    /// How many steps make a season, for up to two of them (a day and a week, the order being the same for
    /// all series): 2 to [`SEASON_MAX`], anything else counts as none.
    pub seasons: [Option<u16>; SEASONS],
    /// Any number that is the same for like properties (a hash of the property's name), or 0 for none.
    pub family: u64,
}

/// How many seasons a series may have.
pub const SEASONS: usize = 2;
/// How many inputs have nothing to do with a season.
const FIXED: usize = 16;
/// How many candidates for the median there are besides the last value: the level, and three per season.
pub(crate) const SKIPS: usize = 1 + 3 * SEASONS;
/// Ratios are kept within this.
const RATIO_MAX: f64 = 1e6;

/// How many inputs a step has with so many horizons; rounded up to a multiple of 4 for the products.
pub(crate) const fn input_count(horizons: usize) -> usize {
    (FIXED + SEASONS * (1 + horizons)).next_multiple_of(4)
}

/// See the module's header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Track {
    /// Steps gone by, gaps included.
    steps: u64,
    /// Observations among them.
    seen: u32,
    /// Steps since the last observation.
    gap: u32,
    last: f64,
    level: f64,
    stray: f64,
    swing: f64,
    swing_long: f64,
    /// What the profiles are counted from: the first value, so that `f32` is fine enough.
    origin: f64,
    profiles: [Profile; SEASONS],
}

/// The mean course of one season; empty if there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Profile {
    values: Vec<f32>,
    /// How many values each phase has had, up to 255.
    filled: Vec<u8>,
    /// `value - profile` at the last observation, and its weighted mean.
    residual: f64,
    shift: f64,
}

impl Profile {
    fn new(season: Option<u16>) -> Self {
        let season = match season {
            Some(season) if (2..=SEASON_MAX).contains(&season) => usize::from(season),
            Some(_) | None => 0,
        };
        Self {
            values: vec![0.0; season],
            filled: vec![0; season],
            ..Self::default()
        }
    }

    fn is_sound(&self, season: Option<u16>) -> bool {
        let due = Self::new(season).values.len();
        let within = |x: f64| x.abs() <= 4.0 * VALUE_LIMIT;
        self.values.len() == due
            && self.filled.len() == due
            && self.values.iter().all(|value| within(f64::from(*value)))
            && within(self.residual)
            && within(self.shift)
    }

    fn phase(&self, step: u64) -> Option<usize> {
        let season = u64::try_from(self.values.len()).unwrap_or(0);
        usize::try_from(step.checked_rem(season)?).ok()
    }

    /// The mean at the phase of `step`, if there was a value yet.
    fn at(&self, step: u64) -> Option<f64> {
        let phase = self.phase(step)?;
        (self.filled[phase] > 0).then(|| f64::from(self.values[phase]))
    }

    fn take(&mut self, step: u64, value: f64) {
        let Some(phase) = self.phase(step) else {
            return;
        };
        let (mean, filled) = (f64::from(self.values[phase]), self.filled[phase]);
        if filled > 0 {
            self.residual = value - mean;
            self.shift += 0.2 * (self.residual - self.shift);
        }
        let weight = (1.0 / (f64::from(filled) + 1.0)).max(0.3);
        self.values[phase] = float(mean + weight * (value - mean));
        self.filled[phase] = filled.saturating_add(1);
    }
}

/// The candidates for the median at one horizon, as distances from the last value in `unit`s.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Candidates {
    /// Level; then for each season its profile, its residual and its shift.
    pub(crate) skips: [f32; SKIPS],
    /// How much the series may be expected to move over the horizon.
    pub(crate) unit: f64,
}

impl Track {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            steps: 0,
            seen: 0,
            gap: 0,
            last: 0.0,
            level: 0.0,
            stray: 0.0,
            swing: 0.0,
            swing_long: 0.0,
            origin: 0.0,
            profiles: context.seasons.map(Profile::new),
        }
    }

    /// How many values it has seen.
    pub(crate) fn seen(&self) -> u32 {
        self.seen
    }

    /// Steps gone by.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// The last value.
    pub(crate) fn last(&self) -> f64 {
        self.last
    }

    /// Whether this may be what [`Track::new`] for `context` has become (a stored one may be damaged).
    pub(crate) fn is_sound(&self, context: &Context) -> bool {
        let within = |x: f64| x.abs() <= 2.0 * VALUE_LIMIT;
        let positive = |x: f64| (0.0..=4.0 * VALUE_LIMIT).contains(&x);
        let mut profiles = self.profiles.iter().zip(context.seasons);
        profiles.all(|(profile, season)| profile.is_sound(season))
            && [self.last, self.level, self.origin].into_iter().all(within)
            && [self.stray, self.swing, self.swing_long]
                .into_iter()
                .all(positive)
            && u64::from(self.seen).saturating_add(u64::from(self.gap)) <= self.steps
    }

    /// Lets a step go by, and writes the network's inputs after it. A value that is not finite is a gap.
    pub(crate) fn observe(
        &mut self,
        context: &Context,
        observed: Option<f64>,
        horizons: &[u32],
        inputs: &mut [f32],
    ) {
        inputs.fill(0.0);
        match observed.filter(|value| value.is_finite()) {
            Some(value) => {
                let value = value.clamp(-VALUE_LIMIT, VALUE_LIMIT);
                if self.seen > 0 {
                    let scale = self.scale_of_next(value);
                    inputs[0] = squash(ratio(value - self.last, scale));
                    inputs[1] = squash(ratio(value - self.level, scale));
                }
                inputs[2] = squash(float(f64::from(self.gap)));
                self.take(value);
            }
            None => {
                inputs[3] = 1.0;
                self.gap = self.gap.saturating_add(1);
            }
        }
        self.steps = self.steps.saturating_add(1);
        if self.seen > 0 {
            self.describe(&mut inputs[4..8]);
            self.seasonal(horizons, &mut inputs[FIXED..]);
        }
        calendar(context, self.steps - 1, &mut inputs[8..12]);
        family(context.family, &mut inputs[12..16]);
    }

    /// Updates the statistics by a value.
    fn take(&mut self, value: f64) {
        let seen = f64::from(self.seen);
        if self.seen == 0 {
            (self.origin, self.level) = (value, value);
        } else {
            // A difference over a gap of g steps counts as one step of a random walk.
            let change = (value - self.last).abs() / (1.0 + f64::from(self.gap)).sqrt();
            self.swing += (change - self.swing) * (1.0 / seen).max(1.0 / 32.0);
            self.swing_long += (change - self.swing_long) * (1.0 / seen).max(1.0 / 512.0);
            let share = (1.0 / (seen + 1.0)).max(1.0 / 32.0);
            self.stray += ((value - self.level).abs() - self.stray) * (1.0 / seen).max(1.0 / 32.0);
            self.level += (value - self.level) * share;
        }
        for profile in &mut self.profiles {
            profile.take(self.steps, value - self.origin);
        }
        self.last = value;
        self.gap = 0;
        self.seen = self.seen.saturating_add(1);
    }

    /// The scale of the series' changes from step to step; always positive.
    fn scale(&self) -> f64 {
        if self.seen < 2 {
            // One value: nothing is known but its distance from zero.
            return if self.last == 0.0 {
                1.0
            } else {
                self.last.abs()
            };
        }
        // Below the digits of the value nothing can be told from rounding.
        let digits = (self.last.abs() * 4.0 * f64::EPSILON).max(1e-30);
        self.swing.max(0.1 * self.swing_long).max(digits)
    }

    /// What the next value's distances are counted in. The second value of a series is the first to tell of a
    /// change: counted in itself, it is a change of one, up or down, wherever zero lies.
    fn scale_of_next(&self, value: f64) -> f64 {
        let change = (value - self.last).abs();
        if self.seen == 1 && change > 0.0 {
            change
        } else {
            self.scale()
        }
    }

    /// Four ratios that tell kinds of series apart.
    fn describe(&self, out: &mut [f32]) {
        let scale = self.scale();
        out[0] =
            squash(ratio(self.swing, self.swing_long.max(0.05 * scale))) - std::f32::consts::LN_2;
        out[1] = squash(ratio(self.stray, scale));
        out[2] = squash(ratio(self.last - self.level, scale));
        let seen = f64::from(self.seen);
        out[3] = float(seen / (seen + 16.0));
    }

    /// For each season whether its next phase is known, and the distances to its profile at the horizons.
    fn seasonal(&self, horizons: &[u32], out: &mut [f32]) {
        for (n, profile) in self.profiles.iter().enumerate() {
            if profile.at(self.steps).is_none() {
                continue;
            }
            let out = &mut out[n * (1 + horizons.len())..][..=horizons.len()];
            out[0] = 1.0;
            for (slot, horizon) in out[1..].iter_mut().zip(horizons) {
                *slot = squash(self.candidates(*horizon).skips[1 + 3 * n]);
            }
        }
    }

    /// The candidates for the median `ahead` (>= 1) steps after the last one gone by.
    pub(crate) fn candidates(&self, ahead: u32) -> Candidates {
        let scale = self.scale();
        // `ahead` to the power of 3/4.
        let root = f64::from(ahead).sqrt();
        let reach = root * root.sqrt() * scale;
        let unit = scale.max(reach.min(1.5 * self.stray));
        let mut skips = [0.0; SKIPS];
        skips[0] = ratio(self.level - self.last, unit);
        let step = self
            .steps
            .saturating_add(u64::from(ahead.saturating_sub(1)));
        for (profile, skips) in self.profiles.iter().zip(skips[1..].chunks_exact_mut(3)) {
            if let Some(mean) = profile.at(step) {
                skips[0] = ratio(self.origin + mean - self.last, unit);
                skips[1] = ratio(profile.residual, unit);
                skips[2] = ratio(profile.shift, unit);
            }
        }
        Candidates { skips, unit }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.profiles
            .iter()
            .map(|profile| 5 * profile.values.len())
            .sum()
    }
}

/// The hour of the day and the day of the week as points on circles.
fn calendar(context: &Context, step: u64, out: &mut [f32]) {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let seconds = context
        .start_s
        .saturating_add(step.saturating_mul(i64::from(context.step_s)));
    for (period, out) in [86_400, 604_800].into_iter().zip(out.chunks_exact_mut(2)) {
        // Exact: below 604,800, and a share of one.
        #[allow(clippy::cast_precision_loss)]
        let turn = seconds.rem_euclid(period) as f64 / period as f64;
        (out[0], out[1]) = sin_cos_turn(float(turn));
    }
}

/// A point in four dimensions for each family: near none other by chance, and the same for ever.
fn family(number: u64, out: &mut [f32]) {
    if number == 0 {
        return;
    }
    let mixed = mix(number);
    for (place, out) in (0..4_u32).zip(out) {
        let byte = (mixed >> (8 * place)) & 0xff;
        // Exact: one byte.
        #[allow(clippy::cast_precision_loss)]
        let value = byte as f32 / 255.0 - 0.5;
        *out = value;
    }
}

fn ratio(of: f64, to: f64) -> f32 {
    float((of / to).clamp(-RATIO_MAX, RATIO_MAX))
}

/// Inputs and targets are of a size that `f32` holds; the digits beyond are not needed.
#[allow(clippy::cast_possible_truncation)]
fn float(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: Context = Context {
        start_s: 0,
        step_s: 3600,
        seasons: [Some(6), None],
        family: 9,
    };
    const HORIZONS: [u32; 3] = [1, 4, 8];

    fn run(values: &[f64]) -> (Track, Vec<f32>) {
        let mut track = Track::new(&CONTEXT);
        let mut inputs = vec![0.0; input_count(HORIZONS.len())];
        for value in values {
            track.observe(&CONTEXT, Some(*value), &HORIZONS, &mut inputs);
        }
        (track, inputs)
    }

    #[test]
    fn inputs_do_not_see_shift_nor_scale() {
        let values: Vec<f64> = (0..40_u32).map(|i| f64::from(i * 37 % 11)).collect();
        let moved: Vec<f64> = values.iter().map(|v| 1000.0 + 8.0 * v).collect();
        let ((one, inputs), (two, same)) = (run(&values), run(&moved));
        for (a, b) in inputs.iter().zip(&same) {
            assert!((a - b).abs() < 1e-5, "{inputs:?} {same:?}");
        }
        assert!((two.candidates(4).unit / one.candidates(4).unit - 8.0).abs() < 1e-9);
    }

    #[test]
    fn second_value_is_a_step_up_or_down_wherever_zero_lies() {
        for first in [-0.1, 0.0, 1e-9, 1000.0] {
            let of = |change: f64| run(&[first, first + change]).1[..8].to_vec();
            for (change, due) in [(3.0, squash(1.0)), (-0.5, squash(-1.0)), (0.0, 0.0)] {
                assert_eq!(of(change)[..2], [due; 2], "{first} {change}");
                for (a, b) in of(change).iter().zip(of(2.0 * change)) {
                    assert!((a - b).abs() < 1e-6, "{first} {change}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn profile_knows_the_value_of_each_phase() {
        let (track, _) = run(&[0.0, 1.0, 4.0, 9.0, 4.0, 1.0].repeat(20));
        for ahead in 1..=12_u32 {
            let candidates = track.candidates(ahead);
            let said = track.last + candidates.unit * f64::from(candidates.skips[1]);
            let due = [0.0, 1.0, 4.0, 9.0, 4.0, 1.0][usize::try_from((ahead - 1) % 6).unwrap()];
            assert!((said - due).abs() < 1e-4, "{ahead}: {said}");
        }
    }

    #[test]
    fn gap_changes_only_what_counts_time() {
        let (track, _) = run(&[1.0, 3.0, 2.0, 5.0, 4.0, 1.0, 2.0]);
        let mut later = track.clone();
        let mut inputs = vec![0.0; input_count(3)];
        for missing in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            later.observe(&CONTEXT, missing, &HORIZONS, &mut inputs);
            assert_eq!((inputs[0], inputs[1], inputs[3]), (0.0, 0.0, 1.0));
        }
        assert_eq!((later.gap, later.steps), (3, 10));
        later.gap = 0;
        later.steps = 7;
        assert_eq!(later, track);
    }
}
