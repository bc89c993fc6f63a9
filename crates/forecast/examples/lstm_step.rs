//! Measures one training step of the bare LSTM cell at the size at which libraries were compared:
//! batch 32, sequence 48, one input, hidden 32, a head of three quantiles at the last step, Adam.
//! Run with `cargo run --release -p evenkeel-forecast --example lstm_step`.
#![allow(clippy::print_stdout)] // The numbers are the point.

use std::time::Instant;

use evenkeel_forecast::lstm::cell::{Shape, Tape};

const BATCH: usize = 32;
const STEPS: usize = 48;
const LEVELS: [f32; 3] = [0.1, 0.5, 0.9];
const SHAPE: Shape = Shape {
    inputs: 1,
    hidden: 32,
};

/// The value of sequence `s` at step `t`: sines of different phase.
#[allow(clippy::cast_precision_loss)] // Small counts.
fn value(s: usize, t: usize) -> f32 {
    (t as f32 * 0.26 + s as f32).sin()
}

/// Loss of the head, with its gradients: by its weights and by the hidden states (into the tape).
#[allow(clippy::cast_precision_loss)] // Small counts.
fn head(weights: &[f32], tape: &mut Tape, gradient: &mut [f32]) -> f32 {
    let share = 1.0 / (BATCH * LEVELS.len()) as f32;
    let mut loss = 0.0;
    for s in 0..BATCH {
        let mut state = [0.0; 32];
        state.copy_from_slice(tape.state(STEPS - 1, s).0);
        for (q, level) in LEVELS.iter().enumerate() {
            let line = &weights[q * 33..(q + 1) * 33];
            let said = line[32] + state.iter().zip(line).map(|(h, w)| h * w).sum::<f32>();
            let over = value(s, STEPS) - said;
            let slope = share * if over >= 0.0 { -level } else { 1.0 - level };
            loss -= slope * over;
            let target = &mut gradient[q * 33..(q + 1) * 33];
            for n in 0..32 {
                target[n] += slope * state[n];
                tape.slope(STEPS - 1, s)[n] += slope * line[n];
            }
            target[32] += slope;
        }
    }
    loss
}

#[allow(clippy::cast_precision_loss, clippy::disallowed_methods)] // Small counts; measures the machine.
fn main() {
    let cell = SHAPE.parameters();
    let count = cell + 33 * LEVELS.len();
    let mut seed = 1_u32;
    let mut weights: Vec<f32> = (0..count)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.35
        })
        .collect();
    let (mut first, mut second) = (vec![0.0_f32; count], vec![0.0_f32; count]);
    let mut gradient = vec![0.0_f32; count];
    let mut tape = Tape::new(SHAPE, BATCH, STEPS);
    let mut times = Vec::new();
    for round in 1..=600_i32 {
        let start = Instant::now();
        for t in 0..STEPS {
            for s in 0..BATCH {
                tape.input(t, s)[0] = value(s, t);
            }
        }
        gradient.fill(0.0);
        tape.forward(&weights);
        let loss = head(&weights[cell..], &mut tape, &mut gradient[cell..]);
        tape.backward(&weights, &mut gradient);
        let (one, two) = (1.0 - 0.9_f32.powi(round), 1.0 - 0.999_f32.powi(round));
        for n in 0..count {
            first[n] += 0.1 * (gradient[n] - first[n]);
            second[n] += 0.001 * (gradient[n] * gradient[n] - second[n]);
            weights[n] -= 0.003 * (first[n] / one) / ((second[n] / two).sqrt() + 1e-8);
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if round == 1 || round == 140 {
            println!("loss at step {round}: {loss:.4}");
        }
    }
    times.sort_by(f64::total_cmp);
    let (median, least) = (times[times.len() / 2], times[0]);
    println!("{count} parameters, training step: median {median:.2} ms, least {least:.2} ms");
}
