//! The trained network and the state it keeps per series: one LSTM layer and the quantile head.
//!
//! A network never changes; series share it. Per series there is a [`State`]: hidden and cell values
//! (64 numbers at 32 cells), the scale of the series, and its seasonal profile if it has a season.
//! One observation updates it; quantiles for any horizons are made when asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cell::{self, Shape};
use super::gemm::{LANE, View, multiply_add};
use super::head::{LEVELS, OUTPUTS, Parts, Place, START, ratio};
use super::random::Random;
use super::track::{Context, Track, input_count};
use super::{Architecture, ArchitectureError, HIDDEN_MAX, HORIZONS_MAX};
use crate::VALUE_LIMIT;

const INPUTS_MAX: usize = input_count(HORIZONS_MAX);
const ROW_MAX: usize = INPUTS_MAX + HIDDEN_MAX;
const COLUMNS_MAX: usize = (OUTPUTS * HORIZONS_MAX).next_multiple_of(LANE);
/// Series that are updated together, so that each weight is read once for all of them.
const TOGETHER: usize = 16;

/// Sizes that follow from an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) cell: Shape,
    /// Columns of the head's matrix: its outputs, rounded up for the products.
    pub(crate) columns: usize,
}

impl Sizes {
    pub(crate) fn new(architecture: &Architecture) -> Self {
        let horizons = architecture.horizons.len();
        Self {
            cell: Shape {
                inputs: input_count(horizons),
                hidden: architecture.hidden,
            },
            columns: (OUTPUTS * horizons).next_multiple_of(LANE),
        }
    }

    /// How many numbers the network learns.
    pub(crate) fn parameters(self) -> usize {
        self.cell.parameters() + (self.cell.hidden + 1) * self.columns
    }

    /// The head's matrix and biases.
    pub(crate) fn head(self, weights: &[f32]) -> (&[f32], &[f32]) {
        weights[self.cell.parameters()..].split_at(self.cell.hidden * self.columns)
    }
}

/// A network with its weights. Made by a [`super::Trainer`] or from a [`super::Checkpoint`].
#[derive(Clone, PartialEq)]
pub struct Network {
    architecture: Architecture,
    sizes: Sizes,
    weights: Vec<f32>,
    fingerprint: u64,
}

impl fmt::Debug for Network {
    /// Thousands of weights tell nobody anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("architecture", &self.architecture)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// What a network knows of one series. It belongs to that network; see [`Network::adopt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    context: Context,
    track: Track,
    hidden: Vec<f32>,
    cell: Vec<f32>,
    /// Of the network that made `hidden` and `cell`.
    network: u64,
}

impl State {
    /// What is known of the series besides its values.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether `network` is the one that made its memory.
    pub fn belongs_to(&self, network: &Network) -> bool {
        self.network == network.fingerprint
    }

    /// How many values it has seen.
    pub fn seen(&self) -> u32 {
        self.track.seen()
    }

    /// Steps gone by, gaps included.
    pub fn steps(&self) -> u64 {
        self.track.steps()
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + 4 * (self.hidden.len() + self.cell.len()) + self.track.bytes()
    }
}

impl Network {
    /// A network of random weights, from which training starts.
    pub(crate) fn untrained(
        architecture: &Architecture,
        seed: u64,
    ) -> Result<Self, ArchitectureError> {
        architecture.check()?;
        let sizes = Sizes::new(architecture);
        let mut random = Random::new(seed, 0);
        let mut weights = vec![0.0; sizes.parameters()];
        let (cell, head) = weights.split_at_mut(sizes.cell.parameters());
        let (matrix, bias) = cell.split_at_mut(sizes.cell.row() * sizes.cell.gates());
        // Uniform within 1 / sqrt(hidden), and a forget gate that starts open (Jozefowicz et al. 2015).
        #[allow(clippy::cast_precision_loss)] // At most 128.
        let reach = 1.0 / (sizes.cell.hidden as f32).sqrt();
        matrix.fill_with(|| reach * random.signed());
        bias[sizes.cell.hidden..2 * sizes.cell.hidden].fill(1.0);
        let (matrix, bias) = head.split_at_mut(sizes.cell.hidden * sizes.columns);
        for row in matrix.chunks_exact_mut(sizes.columns) {
            row[..OUTPUTS * architecture.horizons.len()]
                .fill_with(|| 0.3 * reach * random.signed());
        }
        for horizon in bias
            .chunks_exact_mut(OUTPUTS)
            .take(architecture.horizons.len())
        {
            horizon.copy_from_slice(&START);
        }
        Ok(Self::new(architecture.clone(), weights))
    }

    /// Takes weights of the right number (the caller has checked it).
    pub(crate) fn new(architecture: Architecture, weights: Vec<f32>) -> Self {
        let sizes = Sizes::new(&architecture);
        debug_assert_eq!(weights.len(), sizes.parameters());
        let fingerprint = super::checkpoint::digest(&architecture, &weights);
        Self {
            architecture,
            sizes,
            weights,
            fingerprint,
        }
    }

    /// What it looks like.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// A digest of architecture and weights: the same only for the same network.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The state of a series of which nothing was seen yet.
    pub fn state(&self, context: Context) -> State {
        State {
            track: Track::new(&context),
            context,
            hidden: vec![0.0; self.sizes.cell.hidden],
            cell: vec![0.0; self.sizes.cell.hidden],
            network: self.fingerprint,
        }
    }

    /// Makes a stored state this network's own. One of another network keeps its scale and season, and
    /// starts with an empty memory, which fills again within some tens of steps; one that is damaged
    /// starts anew. Returns whether it goes on exactly as it was.
    pub fn adopt(&self, state: &mut State) -> bool {
        let hidden = self.sizes.cell.hidden;
        let finite =
            |values: &[f32]| values.len() == hidden && values.iter().all(|v| v.is_finite());
        let sound = state.track.is_sound(&state.context);
        if !sound {
            state.track = Track::new(&state.context);
        }
        let own = state.network == self.fingerprint && finite(&state.hidden) && finite(&state.cell);
        if !own || !sound {
            state.hidden = vec![0.0; hidden];
            state.cell = vec![0.0; hidden];
            state.network = self.fingerprint;
        }
        own && sound
    }

    /// Lets one step of a series go by, with its value or with none. What is not finite is a gap.
    pub fn update(&self, state: &mut State, observed: Option<f64>) {
        if !self.owns(state) {
            self.adopt(state);
        }
        let Shape { inputs, hidden } = self.sizes.cell;
        let mut row = [0.0_f32; ROW_MAX];
        let row = &mut row[..inputs + hidden];
        state.track.observe(
            &state.context,
            observed,
            &self.architecture.horizons,
            &mut row[..inputs],
        );
        row[inputs..].copy_from_slice(&state.hidden);
        let mut gates = [0.0_f32; 4 * HIDDEN_MAX];
        cell::step(
            self.sizes.cell,
            &self.weights,
            row,
            &mut state.cell,
            &mut gates[..4 * hidden],
        );
        state.hidden.copy_from_slice(&row[inputs..]);
    }

    /// The same as [`Network::update`] on each state with its value (NaN for a gap), bit for bit, in
    /// less time. States beyond the shorter slice are left as they are.
    pub fn update_many(&self, states: &mut [State], observed: &[f64]) {
        let Shape { inputs, hidden } = self.sizes.cell;
        let (row, gates) = (inputs + hidden, 4 * hidden);
        let mut rows = [0.0_f32; TOGETHER * ROW_MAX];
        let mut sums = [0.0_f32; TOGETHER * 4 * HIDDEN_MAX];
        let (matrix, bias) = self.sizes.cell.split(&self.weights);
        for (states, observed) in states.chunks_mut(TOGETHER).zip(observed.chunks(TOGETHER)) {
            let count = states.len().min(observed.len());
            let lines = rows.chunks_exact_mut(row).zip(sums.chunks_exact_mut(gates));
            for ((state, value), (line, sums)) in states.iter_mut().zip(observed).zip(lines) {
                if !self.owns(state) {
                    self.adopt(state);
                }
                let horizons = &self.architecture.horizons;
                state
                    .track
                    .observe(&state.context, Some(*value), horizons, &mut line[..inputs]);
                line[inputs..].copy_from_slice(&state.hidden);
                sums.copy_from_slice(bias);
            }
            let (a, b) = (View::new(&rows, row), View::new(matrix, gates));
            multiply_add((count, row, gates), a, b, &mut sums, gates);
            for (state, sums) in states
                .iter_mut()
                .zip(sums.chunks_exact_mut(gates))
                .take(count)
            {
                cell::activate(sums, &mut state.cell, &mut state.hidden);
            }
        }
    }

    /// The quantiles (at [`LEVELS`]) of the value at each of `steps` (>= 1, rising) after the last update;
    /// `out` is as long. Beyond the last anchor horizon the median holds and the width grows with the
    /// root of the horizon. `false`, with `out` untouched, if no value was seen yet.
    #[must_use]
    pub fn quantiles(&self, state: &State, steps: &[u32], out: &mut [[f64; LEVELS.len()]]) -> bool {
        let mut slots = out.iter_mut();
        self.each_horizon(state, steps, |quantiles| {
            if let Some(slot) = slots.next() {
                *slot = quantiles;
            }
        })
    }

    /// The same, given to `take` one after the other.
    pub(crate) fn each_horizon(
        &self,
        state: &State,
        steps: &[u32],
        mut take: impl FnMut([f64; LEVELS.len()]),
    ) -> bool {
        if state.track.seen() == 0 || !self.owns(state) {
            return false;
        }
        let mut z = [0.0_f32; COLUMNS_MAX];
        let z = &mut z[..self.sizes.columns];
        let (matrix, bias) = self.sizes.head(&self.weights);
        z.copy_from_slice(bias);
        let (hidden, columns) = (self.sizes.cell.hidden, self.sizes.columns);
        let (a, b) = (View::new(&state.hidden, hidden), View::new(matrix, columns));
        multiply_add((1, hidden, columns), a, b, z, columns);
        for step in steps {
            let step = (*step).max(1);
            let candidates = state.track.candidates(step);
            let quantiles = self.parts(z, step).quantiles(&candidates.skips);
            take(quantiles.map(|quantile| {
                let value = state.track.last() + candidates.unit * f64::from(quantile);
                value.clamp(-VALUE_LIMIT, VALUE_LIMIT)
            }));
        }
        true
    }

    /// The head's answer at any horizon, from its numbers at the anchors.
    fn parts(&self, z: &[f32], step: u32) -> Parts {
        let parts = Parts::new(&Place::new(&self.architecture.horizons, step).mix(z));
        let last = self.architecture.horizons.last().copied();
        match last {
            Some(last) if last < step => parts.widened(ratio(step, last).sqrt()),
            Some(_) | None => parts,
        }
    }

    fn owns(&self, state: &State) -> bool {
        state.network == self.fingerprint
            && state.hidden.len() == self.sizes.cell.hidden
            && state.cell.len() == self.sizes.cell.hidden
    }
}
