//! A part of a mini-batch: lanes that walk through series, and the gradient of what they meet.
//!
//! A lane draws a series and a place in its training range, and runs on from there stretch by stretch,
//! carrying its state (truncated backpropagation through time; Williams and Peng 1990). So the network is
//! trained on states as old as those that it will forecast from, and on fresh ones too, and nothing is
//! copied but the stretch at hand. Parts share nothing: they may run on any thread, in any order.

use super::cell::Tape;
use super::gemm::{View, multiply_add, multiply_transposed_add};
use super::head::{self, OUTPUTS, Place};
use super::network::Sizes;
use super::random::Random;
use super::track::{Candidates, Context, Track};
use super::{Architecture, Config};

/// Lanes in a part. Fixed, so that results do not depend on the number of threads.
pub(crate) const LANES: usize = 16;
/// A target further from the last value, in units, counts as this far.
const TARGET_MAX: f64 = 1e4;

/// One series to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// What is known besides the values.
    pub context: Context,
    /// The values at equal steps; NaN is a gap.
    pub values: &'a [f64],
}

impl Series<'_> {
    /// Where the range for training ends, and that for validation begins.
    pub(crate) fn split(&self, validation_share: f64) -> usize {
        let count = self.values.len();
        // Counts stay far below 2^52; the share is in [0, 1].
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let kept_out = (count as f64 * validation_share).round() as usize;
        count - kept_out.min(count)
    }
}

/// Where a lane is.
#[derive(Clone, Debug)]
struct Lane {
    series: usize,
    /// The next step of the series.
    at: usize,
    /// Nothing from here on is seen.
    end: usize,
    /// Forecasts made before here are not scored.
    score_from: usize,
    stretches_left: usize,
    /// That of the series, moved to where the lane began.
    context: Context,
    track: Track,
    /// Draws the horizons that are scored.
    random: Random,
    hidden: Vec<f32>,
    cell: Vec<f32>,
}

impl Lane {
    fn begin(series: &Series<'_>, index: usize, at: usize, hidden: usize) -> Self {
        let mut context = series.context;
        let steps = i64::try_from(at).unwrap_or(i64::MAX);
        let passed = steps.saturating_mul(i64::from(context.step_s));
        context.start_s = context.start_s.saturating_add(passed);
        Self {
            series: index,
            at,
            end: series.values.len(),
            score_from: at,
            stretches_left: 1,
            track: Track::new(&context),
            context,
            random: Random::new(0, u64::try_from(index).unwrap_or(0)),
            hidden: vec![0.0; hidden],
            cell: vec![0.0; hidden],
        }
    }

    fn is_finished(&self) -> bool {
        self.stretches_left == 0 || self.at >= self.end
    }
}

/// One forecast whose outcome is known.
#[derive(Clone, Copy, Debug)]
struct Term {
    /// Row of the scored hidden states.
    row: usize,
    place: Place,
    candidates: Candidates,
    actual: f32,
}

/// Sum of losses, and how many there were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    pub(crate) sum: f64,
    pub(crate) count: u32,
}

/// A part of a mini-batch with its working memory; see the module's header. What is in it is the
/// trainer's business; an [`super::Executor`] only carries it to a thread.
#[derive(Clone, Debug)]
pub struct Part {
    config: Config,
    sizes: Sizes,
    number: usize,
    random: Random,
    lanes: Vec<Lane>,
    tape: Tape,
    terms: Vec<Term>,
    states: Vec<f32>,
    outputs: Vec<f32>,
    slopes: Vec<f32>,
    transposed: Vec<f32>,
    pub(crate) gradient: Vec<f32>,
    pub(crate) training: Score,
    pub(crate) validation: Score,
}

impl Part {
    pub(crate) fn new(config: &Config, seed: u64, number: usize) -> Self {
        let sizes = Sizes::new(&config.architecture);
        let rows = config.sequence.div_ceil(config.stride) * LANES;
        let stream = u64::try_from(number).unwrap_or(0) + 1;
        Self {
            config: config.clone(),
            sizes,
            number,
            random: Random::new(seed, stream),
            lanes: Vec::new(),
            tape: Tape::new(sizes.cell, LANES, config.sequence),
            terms: Vec::new(),
            states: vec![0.0; rows * sizes.cell.hidden],
            outputs: vec![0.0; rows * sizes.columns],
            slopes: vec![0.0; rows * sizes.columns],
            transposed: vec![0.0; sizes.columns * sizes.cell.hidden],
            gradient: vec![0.0; sizes.parameters()],
            training: Score::default(),
            validation: Score::default(),
        }
    }

    /// Bytes on the heap, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let floats =
            self.states.len() + self.outputs.len() + self.slopes.len() + self.transposed.len();
        let lanes = self
            .lanes
            .iter()
            .map(|l| size_of::<Lane>() + 8 * l.hidden.len() + l.track.bytes());
        self.tape.bytes()
            + 4 * (floats + self.gradient.len())
            + self.terms.capacity() * size_of::<Term>()
            + lanes.sum::<usize>()
    }

    /// Takes all lanes one stretch on; leaves the summed loss in `training`, its gradient in `gradient`.
    pub(crate) fn train(&mut self, weights: &[f32], data: &[Series<'_>]) {
        self.gradient.fill(0.0);
        self.training = Score::default();
        if data.is_empty() {
            return;
        }
        let mut lanes = std::mem::take(&mut self.lanes);
        lanes.resize_with(LANES, || self.draw(data));
        for lane in &mut lanes {
            let moved = data
                .get(lane.series)
                .is_none_or(|s| s.values.len() < lane.end);
            if moved || lane.is_finished() {
                *lane = self.draw(data);
            }
        }
        let offset = self.random.below(self.config.stride);
        self.stretch(weights, data, &mut lanes, offset);
        let mut score = Score::default();
        self.slopes.fill(0.0);
        for term in &self.terms {
            let row = term.row * self.sizes.columns;
            let z = term.place.mix(&self.outputs[row..]);
            let mut slopes = [0.0; OUTPUTS];
            let loss = head::loss(&z, &term.candidates, term.actual, &mut slopes);
            term.place.spread(&slopes, &mut self.slopes[row..]);
            score.sum += f64::from(loss);
            score.count += 1;
        }
        self.training = score;
        if score.count > 0 {
            self.backward(weights, offset);
        }
        self.lanes = lanes;
    }

    /// The summed loss on the later range of this part's share of the validated series, into `validation`.
    pub(crate) fn validate(&mut self, weights: &[f32], data: &[Series<'_>], parts: usize) {
        self.validation = Score::default();
        let count = self.config.validation_series.min(data.len());
        let groups = count.div_ceil(LANES);
        for group in (self.number..groups).step_by(parts) {
            let mut lanes: Vec<Lane> = (group * LANES..((group + 1) * LANES).min(count))
                .map(|n| self.validator(data, n * data.len() / count))
                .collect();
            while lanes.iter().any(|lane| !lane.is_finished()) {
                self.stretch(weights, data, &mut lanes, 0);
                for term in &self.terms {
                    let z = term
                        .place
                        .mix(&self.outputs[term.row * self.sizes.columns..]);
                    let loss = head::loss_only(&z, &term.candidates, term.actual);
                    self.validation.sum += f64::from(loss);
                    self.validation.count += 1;
                }
            }
        }
    }

    /// A lane at a random place of a random series.
    fn draw(&mut self, data: &[Series<'_>]) -> Lane {
        let index = self.random.below(data.len());
        let series = &data[index];
        let end = series.split(self.config.validation_share);
        let at = self
            .random
            .below((end + 1).saturating_sub(self.config.sequence));
        let mut lane = Lane::begin(series, index, at, self.sizes.cell.hidden);
        lane.end = end;
        lane.random = self.random.fork();
        lane.stretches_left = 1 + self.random.below(self.config.stretches_max);
        lane
    }

    /// A lane that comes to the validation range with a past, and scores four stretches of it.
    fn validator(&self, data: &[Series<'_>], index: usize) -> Lane {
        let split = data[index].split(self.config.validation_share);
        let past = self.config.sequence * (self.config.stretches_max / 2);
        let mut lane = Lane::begin(
            &data[index],
            index,
            split.saturating_sub(past),
            self.sizes.cell.hidden,
        );
        // A forecast made at the last step of the training range has all its outcomes behind it.
        lane.score_from = split.saturating_sub(1);
        lane.stretches_left = (split - lane.at).div_ceil(self.config.sequence) + 4;
        lane
    }

    /// Runs each lane over one stretch; leaves what can be scored in `terms` and the head's numbers in
    /// `outputs`.
    fn stretch(&mut self, weights: &[f32], data: &[Series<'_>], lanes: &mut [Lane], offset: usize) {
        let Config {
            sequence,
            stride,
            architecture,
            ..
        } = &self.config;
        self.terms.clear();
        for (n, lane) in lanes.iter_mut().enumerate() {
            let (hidden, cell) = self.tape.start(n);
            hidden.copy_from_slice(&lane.hidden);
            cell.copy_from_slice(&lane.cell);
            let values = data.get(lane.series).map_or(&[][..], |s| s.values);
            let values = &values[..lane.end.min(values.len())];
            for step in 0..*sequence {
                let observed = values.get(lane.at).copied();
                let inputs = self.tape.input(step, n);
                lane.track
                    .observe(&lane.context, observed, &architecture.horizons, inputs);
                if step % stride == offset && lane.at >= lane.score_from && observed.is_some() {
                    let row = step / stride * LANES + n;
                    collect(&mut self.terms, architecture, lane, values, row);
                }
                lane.at += 1;
            }
            lane.stretches_left = lane.stretches_left.saturating_sub(1);
        }
        self.tape.forward(weights);
        for (n, lane) in lanes.iter_mut().enumerate() {
            let (hidden, cell) = self.tape.state(sequence - 1, n);
            lane.hidden.copy_from_slice(hidden);
            lane.cell.copy_from_slice(cell);
        }
        self.answer(weights, offset);
    }

    /// The head's numbers for every scored step.
    fn answer(&mut self, weights: &[f32], offset: usize) {
        let Sizes { cell, columns } = self.sizes;
        let (matrix, bias) = self.sizes.head(weights);
        let mut rows = 0;
        for step in (offset..self.config.sequence).step_by(self.config.stride) {
            for n in 0..LANES {
                let (hidden, _) = self.tape.state(step, n);
                self.states[rows * cell.hidden..(rows + 1) * cell.hidden].copy_from_slice(hidden);
                self.outputs[rows * columns..(rows + 1) * columns].copy_from_slice(bias);
                rows += 1;
            }
        }
        let (a, b) = (
            View::new(&self.states, cell.hidden),
            View::new(matrix, columns),
        );
        multiply_add(
            (rows, cell.hidden, columns),
            a,
            b,
            &mut self.outputs,
            columns,
        );
    }

    /// From the slopes of the head's numbers to the gradient of all weights.
    fn backward(&mut self, weights: &[f32], offset: usize) {
        let Sizes { cell, columns } = self.sizes;
        let hidden = cell.hidden;
        let (matrix, _) = self.sizes.head(weights);
        for (h, line) in matrix.chunks_exact(columns).enumerate() {
            for (n, weight) in line.iter().enumerate() {
                self.transposed[n * hidden + h] = *weight;
            }
        }
        let steps: Vec<usize> = (offset..self.config.sequence)
            .step_by(self.config.stride)
            .collect();
        let rows = steps.len() * LANES;
        let slopes = View::new(&self.slopes, columns);
        let (by_cell, by_head) = self.gradient.split_at_mut(cell.parameters());
        let (by_matrix, by_bias) = by_head.split_at_mut(hidden * columns);
        let states = View::new(&self.states, hidden);
        multiply_transposed_add((hidden, rows, columns), states, slopes, by_matrix, columns);
        for line in self.slopes.chunks_exact(columns).take(rows) {
            for (sum, slope) in by_bias.iter_mut().zip(line) {
                *sum += slope;
            }
        }
        for (group, step) in steps.iter().enumerate() {
            let group = View::new(&self.slopes[group * LANES * columns..], columns);
            // The lanes of one step lie side by side in the tape.
            let target = self.tape.slopes(*step);
            multiply_add(
                (LANES, columns, hidden),
                group,
                View::new(&self.transposed, hidden),
                target,
                hidden,
            );
        }
        self.tape.backward(weights, by_cell);
    }
}

/// The forecasts made at a lane's present step whose outcomes lie before its end: one at a random horizon
/// of each stretch from anchor to anchor, so that what is interpolated is trained, too.
fn collect(
    terms: &mut Vec<Term>,
    architecture: &Architecture,
    lane: &mut Lane,
    values: &[f64],
    row: usize,
) {
    if lane.track.seen() == 0 {
        return;
    }
    let horizons = &architecture.horizons;
    let mut before = 0;
    for anchor in horizons {
        let width = usize::try_from(anchor - before).unwrap_or(usize::MAX);
        let back = u32::try_from(lane.random.below(width)).unwrap_or(0);
        let horizon = anchor - back;
        before = *anchor;
        let ahead = usize::try_from(horizon).unwrap_or(usize::MAX);
        let outcome = values.get(lane.at.saturating_add(ahead));
        if let Some(outcome) = outcome.filter(|value| value.is_finite()) {
            let outcome = outcome.clamp(-crate::VALUE_LIMIT, crate::VALUE_LIMIT);
            let candidates = lane.track.candidates(horizon);
            let moved = (outcome - lane.track.last()) / candidates.unit;
            #[allow(clippy::cast_possible_truncation)] // In range; its far digits do not matter.
            let actual = moved.clamp(-TARGET_MAX, TARGET_MAX) as f32;
            terms.push(Term {
                row,
                place: Place::new(horizons, horizon),
                candidates,
                actual,
            });
        }
    }
}
