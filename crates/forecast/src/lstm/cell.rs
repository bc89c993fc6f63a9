//! One LSTM layer over a batch of sequences, with backpropagation through time.
//!
//! Equations (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), for input
//! `x`, hidden state `h`, cell state `c`, `a = [x, h_prev]`:
//! ```text
//! [i f g o] = a W + b            c = sigmoid(f) c_prev + sigmoid(i) tanh(g)
//!                                h = sigmoid(o) tanh(c)
//! ```
//! The four gates are packed side by side, so that one product of matrices makes them all; a sequence's
//! rows `[x, h_prev]` are kept next to each other, so that one more product makes the whole gradient of `W`.
//!
//! Invariants: `hidden` is a multiple of 8; the order of every sum is fixed, so the same input gives the
//! same bits; `|h| <= 1`, and everything stays finite for finite input.

use super::gemm::{LANE, View, multiply_add, multiply_transposed_add};
use super::math::{sigmoid_all, tanh_all};

/// The sizes of a layer. Weights are `(inputs + hidden) x 4 hidden` row-major, then `4 hidden` biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many numbers come in per step.
    pub inputs: usize,
    /// How many cells there are: a multiple of 8.
    pub hidden: usize,
}

impl Shape {
    /// How many numbers the layer learns.
    pub fn parameters(self) -> usize {
        (self.row() + 1) * self.gates()
    }

    /// Inputs and hidden state side by side.
    pub(crate) fn row(self) -> usize {
        self.inputs + self.hidden
    }

    /// The four gates side by side.
    pub(crate) fn gates(self) -> usize {
        4 * self.hidden
    }

    /// The matrix and the biases.
    pub(crate) fn split(self, weights: &[f32]) -> (&[f32], &[f32]) {
        weights[..self.parameters()].split_at(self.row() * self.gates())
    }
}

/// One step of one sequence: `row` holds the inputs and the hidden state, `cell` the cell state, and
/// `gates` is room for four times `hidden`. Hidden and cell state are overwritten by their successors.
pub(crate) fn step(
    shape: Shape,
    weights: &[f32],
    row: &mut [f32],
    cell: &mut [f32],
    gates: &mut [f32],
) {
    let (matrix, bias) = shape.split(weights);
    gates.copy_from_slice(bias);
    let size = (1, shape.row(), shape.gates());
    multiply_add(
        size,
        View::new(row, shape.row()),
        View::new(matrix, shape.gates()),
        gates,
        shape.gates(),
    );
    let state = &mut row[shape.inputs..];
    activate(gates, cell, state);
}

/// Makes the new cell and hidden state from the sums of the gates; the gates become their activations.
/// One function after the other over whole slices, so that each loop becomes vector instructions.
pub(crate) fn activate(gates: &mut [f32], cell: &mut [f32], state: &mut [f32]) {
    let hidden = cell.len();
    let (open, rest) = gates.split_at_mut(2 * hidden);
    let (candidate, output) = rest.split_at_mut(hidden);
    sigmoid_all(open);
    tanh_all(candidate);
    sigmoid_all(output);
    let (input, forget) = open.split_at(hidden);
    for (n, c) in cell.iter_mut().enumerate() {
        *c = forget[n] * *c + input[n] * candidate[n];
    }
    state.copy_from_slice(cell);
    tanh_all(state);
    for (h, o) in state.iter_mut().zip(output) {
        *h *= *o;
    }
}

#[inline(always)]
fn chunk(slice: &mut [f32], at: usize) -> &mut [f32; LANE] {
    slice[at..at + LANE]
        .first_chunk_mut()
        .expect("the slice has just this length")
}

/// What one pass over a batch of sequences leaves behind for the way back. Steps come first, then
/// sequences, then numbers; allocated once and used again.
#[derive(Clone, Debug)]
pub struct Tape {
    shape: Shape,
    batch: usize,
    steps: usize,
    /// `steps + 1` times `[x, h_prev]`; the last holds the final hidden state.
    rows: Vec<f32>,
    /// Activations of the gates; on the way back the gradients of their sums.
    gates: Vec<f32>,
    /// `steps + 1` cell states, the first being the one before the first step.
    cells: Vec<f32>,
    /// Gradient of the loss by each step's hidden state.
    slopes: Vec<f32>,
    /// The recurrent half of the matrix, transposed.
    transposed: Vec<f32>,
    cell_slope: Vec<f32>,
    /// `tanh` of the cell states of one step.
    squashed: Vec<f32>,
}

impl Tape {
    /// Room for `batch` sequences of `steps` steps, with all states at zero.
    pub fn new(shape: Shape, batch: usize, steps: usize) -> Self {
        let Shape { hidden, .. } = shape;
        Self {
            shape,
            batch,
            steps,
            rows: vec![0.0; (steps + 1) * batch * shape.row()],
            gates: vec![0.0; steps * batch * shape.gates()],
            cells: vec![0.0; (steps + 1) * batch * hidden],
            slopes: vec![0.0; steps * batch * hidden],
            transposed: vec![0.0; hidden * shape.gates()],
            cell_slope: vec![0.0; batch * hidden],
            squashed: vec![0.0; batch * hidden],
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let floats = self.rows.len() + self.gates.len() + self.cells.len() + self.slopes.len();
        4 * (floats + self.transposed.len() + 2 * self.cell_slope.len())
    }

    /// The inputs of one sequence at one step, to be written before [`Tape::forward`].
    pub fn input(&mut self, step: usize, sequence: usize) -> &mut [f32] {
        let from = (step * self.batch + sequence) * self.shape.row();
        &mut self.rows[from..from + self.shape.inputs]
    }

    /// The state that one sequence starts from: hidden, then cell.
    pub fn start(&mut self, sequence: usize) -> (&mut [f32], &mut [f32]) {
        let Shape { inputs, hidden } = self.shape;
        let row = sequence * self.shape.row() + inputs;
        let cell = sequence * hidden;
        (
            &mut self.rows[row..row + hidden],
            &mut self.cells[cell..cell + hidden],
        )
    }

    /// The hidden and cell state of one sequence after `step` (counted from 0).
    pub fn state(&self, step: usize, sequence: usize) -> (&[f32], &[f32]) {
        let Shape { inputs, hidden } = self.shape;
        let at = (step + 1) * self.batch + sequence;
        let row = at * self.shape.row() + inputs;
        (
            &self.rows[row..row + hidden],
            &self.cells[at * hidden..(at + 1) * hidden],
        )
    }

    /// The gradient of the loss by the hidden state of one sequence after `step`: added to before
    /// [`Tape::backward`].
    pub fn slope(&mut self, step: usize, sequence: usize) -> &mut [f32] {
        let from = (step * self.batch + sequence) * self.shape.hidden;
        &mut self.slopes[from..from + self.shape.hidden]
    }

    /// The same for all sequences of one step, one after the other.
    pub(crate) fn slopes(&mut self, step: usize) -> &mut [f32] {
        let size = self.batch * self.shape.hidden;
        &mut self.slopes[step * size..(step + 1) * size]
    }

    /// Runs all sequences over all steps, and clears the slopes.
    pub fn forward(&mut self, weights: &[f32]) {
        let (shape, batch) = (self.shape, self.batch);
        let (row, gates, hidden) = (shape.row(), shape.gates(), shape.hidden);
        let (matrix, bias) = shape.split(weights);
        self.slopes.fill(0.0);
        for step in 0..self.steps {
            let (now, next) = self.rows.split_at_mut((step + 1) * batch * row);
            let now = &now[step * batch * row..];
            let sums = &mut self.gates[step * batch * gates..(step + 1) * batch * gates];
            for line in sums.chunks_exact_mut(gates) {
                line.copy_from_slice(bias);
            }
            multiply_add(
                (batch, row, gates),
                View::new(now, row),
                View::new(matrix, gates),
                sums,
                gates,
            );
            let (before, after) = self.cells.split_at_mut((step + 1) * batch * hidden);
            let after = &mut after[..batch * hidden];
            after.copy_from_slice(&before[step * batch * hidden..]);
            let lines = sums
                .chunks_exact_mut(gates)
                .zip(after.chunks_exact_mut(hidden));
            for ((line, cell), target) in lines.zip(next.chunks_exact_mut(row)) {
                activate(line, cell, &mut target[shape.inputs..]);
            }
        }
    }

    /// Adds to `gradient` (laid out as the weights) what the slopes set since [`Tape::forward`] give.
    pub fn backward(&mut self, weights: &[f32], gradient: &mut [f32]) {
        let (shape, batch) = (self.shape, self.batch);
        let (row, gates, hidden) = (shape.row(), shape.gates(), shape.hidden);
        self.transpose(weights);
        self.cell_slope.fill(0.0);
        for step in (0..self.steps).rev() {
            self.gate_slopes(step);
            if step == 0 {
                break;
            }
            let sums = &self.gates[step * batch * gates..(step + 1) * batch * gates];
            let before = &mut self.slopes[(step - 1) * batch * hidden..step * batch * hidden];
            let transposed = View::new(&self.transposed, hidden);
            multiply_add(
                (batch, gates, hidden),
                View::new(sums, gates),
                transposed,
                before,
                hidden,
            );
        }
        let (matrix, bias) = gradient[..shape.parameters()].split_at_mut(row * gates);
        let all = self.steps * batch;
        let slopes = View::new(&self.gates, gates);
        multiply_transposed_add(
            (row, all, gates),
            View::new(&self.rows, row),
            slopes,
            matrix,
            gates,
        );
        for line in self.gates.chunks_exact(gates) {
            for (sum, slope) in bias.iter_mut().zip(line) {
                *sum += slope;
            }
        }
    }

    /// Turns the activations of one step into the gradients of the gates' sums, and takes the cell's
    /// gradient one step back.
    fn gate_slopes(&mut self, step: usize) {
        let (batch, hidden) = (self.batch, self.shape.hidden);
        let gates = self.shape.gates();
        let after = (step + 1) * batch * hidden;
        self.squashed
            .copy_from_slice(&self.cells[after..after + batch * hidden]);
        tanh_all(&mut self.squashed);
        for sequence in 0..batch {
            let at = step * batch + sequence;
            let line = &mut self.gates[at * gates..(at + 1) * gates];
            let (input, rest) = line.split_at_mut(hidden);
            let (forget, rest) = rest.split_at_mut(hidden);
            let (candidate, output) = rest.split_at_mut(hidden);
            let slope = &self.slopes[at * hidden..(at + 1) * hidden];
            let before = &self.cells[at * hidden..(at + 1) * hidden];
            let squashed = &self.squashed[sequence * hidden..(sequence + 1) * hidden];
            let carried = &mut self.cell_slope[sequence * hidden..(sequence + 1) * hidden];
            for from in (0..hidden).step_by(LANE) {
                let [slope, before, squashed] =
                    [slope, before, squashed].map(|slice| *fixed(slice, from));
                let [i, f] = [&*input, &*forget].map(|slice| *fixed(slice, from));
                let [g, o] = [&*candidate, &*output].map(|slice| *fixed(slice, from));
                let carried = chunk(carried, from);
                // Copies first: arrays that cannot overlap become vector instructions.
                let mut by_cell = *carried;
                for n in 0..LANE {
                    by_cell[n] += slope[n] * o[n] * (1.0 - squashed[n] * squashed[n]);
                }
                *carried = each(|n| by_cell[n] * f[n]);
                *chunk(input, from) = each(|n| by_cell[n] * g[n] * i[n] * (1.0 - i[n]));
                *chunk(forget, from) = each(|n| by_cell[n] * before[n] * f[n] * (1.0 - f[n]));
                *chunk(candidate, from) = each(|n| by_cell[n] * i[n] * (1.0 - g[n] * g[n]));
                *chunk(output, from) = each(|n| slope[n] * squashed[n] * o[n] * (1.0 - o[n]));
            }
        }
    }

    fn transpose(&mut self, weights: &[f32]) {
        let Shape { inputs, hidden } = self.shape;
        let gates = self.shape.gates();
        for h in 0..hidden {
            let line = &weights[(inputs + h) * gates..(inputs + h + 1) * gates];
            for (n, weight) in line.iter().enumerate() {
                self.transposed[n * hidden + h] = *weight;
            }
        }
    }
}

#[inline(always)]
fn each(of: impl FnMut(usize) -> f32) -> [f32; LANE] {
    std::array::from_fn(of)
}

#[inline(always)]
fn fixed(slice: &[f32], at: usize) -> &[f32; LANE] {
    slice[at..at + LANE]
        .first_chunk()
        .expect("the slice has just this length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| {
                f32::from(u16::try_from((i * 7919 + seed * 104_729) % 1009).unwrap()) / 1009.0 - 0.5
            })
            .collect()
    }

    /// The loss is a fixed linear function of the hidden states at some steps.
    fn loss(shape: Shape, weights: &[f32], tape: &mut Tape, targets: &[f32]) -> f32 {
        tape.forward(weights);
        let mut sum = 0.0;
        for step in [1, 4, 6] {
            for sequence in 0..tape.batch {
                let (h, _) = tape.state(step, sequence);
                let parts = h.iter().zip(&targets[(sequence + step) * shape.hidden..]);
                sum += parts.map(|(h, t)| h * t).sum::<f32>();
            }
        }
        sum
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let shape = Shape {
            inputs: 3,
            hidden: 8,
        };
        let (batch, steps) = (5, 7);
        let mut weights = numbers(shape.parameters(), 1);
        let targets = numbers((batch + steps) * shape.hidden, 2);
        let mut tape = Tape::new(shape, batch, steps);
        for step in 0..steps {
            for sequence in 0..batch {
                let inputs = numbers(shape.inputs, step * 31 + sequence);
                tape.input(step, sequence).copy_from_slice(&inputs);
            }
        }
        for sequence in 0..batch {
            let (h, c) = tape.start(sequence);
            h.copy_from_slice(&numbers(8, sequence));
            c.copy_from_slice(&numbers(8, sequence + 50));
        }
        loss(shape, &weights, &mut tape, &targets);
        for step in [1, 4, 6] {
            for sequence in 0..batch {
                let part = &targets[(sequence + step) * shape.hidden..][..shape.hidden];
                tape.slope(step, sequence).copy_from_slice(part);
            }
        }
        let mut gradient = vec![0.0; weights.len()];
        tape.backward(&weights, &mut gradient);
        let nudge = 4e-3;
        for at in (0..weights.len()).step_by(3) {
            let kept = weights[at];
            weights[at] = kept + nudge;
            let above = loss(shape, &weights, &mut tape, &targets);
            weights[at] = kept - nudge;
            let below = loss(shape, &weights, &mut tape, &targets);
            weights[at] = kept;
            let numeric = (above - below) / (2.0 * nudge);
            let error = (numeric - gradient[at]).abs();
            assert!(
                error < 2e-3 + 0.01 * numeric.abs(),
                "{at}: {} against {numeric}",
                gradient[at]
            );
        }
    }

    #[test]
    fn single_steps_give_the_bits_of_the_batch() {
        let shape = Shape {
            inputs: 3,
            hidden: 16,
        };
        let weights = numbers(shape.parameters(), 3);
        let mut tape = Tape::new(shape, 6, 9);
        let mut row = [0.0; 19];
        let (mut cell, mut gates) = ([0.0; 16], [0.0; 64]);
        for step in 0..9 {
            for sequence in 0..6 {
                tape.input(step, sequence)
                    .copy_from_slice(&numbers(3, step + 100 * sequence));
            }
        }
        tape.forward(&weights);
        for step in 0..9 {
            row[..3].copy_from_slice(&numbers(3, step + 200));
            super::step(shape, &weights, &mut row, &mut cell, &mut gates);
            assert_eq!(tape.state(step, 2), (&row[3..], &cell[..]));
        }
    }
}
