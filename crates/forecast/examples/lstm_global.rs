//! Trains one LSTM over many series and measures it on series that it never saw, one to 48 steps ahead,
//! against the last value and the seasonal naive forecast with their own Gaussian intervals.
//!
//! ```text
//! cargo run --release -p evenkeel-forecast --example lstm_global -- [OPTIONS]
//!   (nothing)         1,000 synthetic series x 2,000 points, and 200 more of each kind to measure on
//!   --csv DIR         every `timestamp,value` CSV below DIR: trained on every other one
//!   --m4 TRAIN TEST   rows `id,value,...`: trained on every other series; scored on the rows of TEST
//!   --minutes N       budget of training (default 10)      --threads N   (default 2)
//!   --hidden N        cells (default 32)                   --seed N      (default 1)
//!   --season N        steps in a season (default: 24 for M4 and the synthetic kinds that have one, else
//!                     a day if the CSV's step divides it)  --save FILE   writes the checkpoint as JSON
//! ```
#![allow(clippy::print_stdout, clippy::cast_precision_loss)] // The numbers are the point; counts are small.
#![allow(clippy::disallowed_methods)] // It measures the machine, and reads the files that it is told to.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_forecast::lstm::{
    Architecture, Config, Context, LEVELS, LstmModel, Network, Series, Trainer,
};
use evenkeel_forecast::metrics::{interval_score, pinball, seasonal_scale, symmetric_error};
use evenkeel_forecast::models::Fitted;

#[allow(dead_code)] // Shared by two examples, each of which uses a part.
mod lstm_data;
use lstm_data::{Owned, Threads, read_directory, read_m4, synthetic};

const HORIZONS: [u32; 7] = [1, 2, 4, 8, 16, 32, 48];
/// Standard normal quantiles at `LEVELS`.
const NORMAL: [f64; 7] = [
    -1.959_964, -1.281_552, -0.674_490, 0.0, 0.674_490, 1.281_552, 1.959_964,
];

fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, otherwise: u64| option(name).map_or(Ok(otherwise), |v| v.parse());
    let seed = number("--seed", 1)?;
    let season = option("--season").map(|s| s.parse::<u16>()).transpose()?;
    let all = if let Some(directory) = option("--csv") {
        read_directory(Path::new(&directory), season)?
    } else if let Some(at) = arguments.iter().position(|a| a == "--m4") {
        let path = |n: usize| arguments.get(at + n).ok_or("--m4 TRAIN TEST");
        read_m4(path(1)?, path(2)?, season.unwrap_or(24))?
    } else {
        synthetic(seed)
    };
    let (train, test) = all;
    let threads = usize::try_from(number("--threads", 2)?)?;
    let budget = Duration::from_secs(60 * number("--minutes", 10)?);
    let hidden = usize::try_from(number("--hidden", 32)?)?;
    let network = train_network(&train, seed, threads, budget, hidden, option("--save"))?;
    measure(&Arc::new(network), &test);
    Ok(())
}

fn train_network(
    data: &[Owned],
    seed: u64,
    threads: usize,
    budget: Duration,
    hidden: usize,
    save: Option<String>,
) -> Result<Network, Box<dyn Error>> {
    let horizons = HORIZONS.to_vec();
    let config = Config {
        architecture: Architecture { hidden, horizons },
        ..Config::default()
    };
    let series: Vec<Series<'_>> = data
        .iter()
        .map(|owned| Series {
            context: owned.context,
            values: &owned.values,
        })
        .collect();
    let points: usize = series.iter().map(|s| s.values.len()).sum();
    println!(
        "training on {} series, {points} points, {threads} thread(s)",
        series.len()
    );
    let mut trainer = Trainer::new(config, seed)?;
    let start = now();
    let mut shown = None;
    let progress = trainer.run(&series, &Threads(threads), |progress| {
        if progress.validation_loss != shown {
            shown = progress.validation_loss;
            println!(
                "  {:6.1} s  step {:6}  training {:.4}  validation {:.4}  best {:.4}",
                start.elapsed().as_secs_f64(),
                progress.steps,
                progress.training_loss.unwrap_or(f64::NAN),
                progress.validation_loss.unwrap_or(f64::NAN),
                progress.best_loss.unwrap_or(f64::NAN),
            );
        }
        start.elapsed() > budget
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "trained {:.1} min, {} steps of {:.2} ms (validation included), finished: {}, trainer holds {} kB",
        seconds / 60.0,
        progress.steps,
        1e3 * seconds / progress.steps as f64,
        progress.is_finished,
        trainer.bytes() / 1024,
    );
    let best = trainer.best().ok_or("nothing was learned")?;
    if let Some(path) = save {
        std::fs::write(path, serde_json::to_string(best)?)?;
    }
    Ok(best.network()?)
}

/// Pinball loss, misses of the 95 % interval and count, for one method at one horizon.
#[derive(Clone, Copy, Default)]
struct Tally {
    loss: f64,
    misses: f64,
    count: f64,
}

impl Tally {
    fn score(&mut self, quantiles: &[f64; 7], actual: f64, scale: f64) {
        let losses = LEVELS
            .iter()
            .zip(quantiles)
            .map(|(l, q)| pinball(*l, *q, actual) / scale);
        self.loss += losses.sum::<f64>() / 7.0;
        self.misses += f64::from(u8::from(actual < quantiles[0] || actual > quantiles[6]));
        self.count += 1.0;
    }
}

/// A Gaussian round a naive forecast, with the root mean square of its own past errors per horizon.
struct Naive {
    lag: Option<usize>,
    squares: [f64; 7],
    count: [f64; 7],
}

impl Naive {
    /// The forecast made at `at` for `ahead` steps later.
    fn point(&self, values: &[f64], at: usize, ahead: usize) -> Option<f64> {
        let from = match self.lag {
            None => at,
            Some(season) => (at + ahead).checked_sub(season * ahead.div_ceil(season))?,
        };
        values.get(from).copied().filter(|v| v.is_finite())
    }

    fn observe(&mut self, values: &[f64], at: usize) {
        for (n, horizon) in HORIZONS.iter().enumerate() {
            let ahead = *horizon as usize;
            let made = at
                .checked_sub(ahead)
                .and_then(|from| self.point(values, from, ahead));
            if let Some(point) = made.filter(|_| values[at].is_finite()) {
                self.squares[n] += (values[at] - point).powi(2);
                self.count[n] += 1.0;
            }
        }
    }

    fn quantiles(&self, values: &[f64], at: usize, n: usize) -> Option<[f64; 7]> {
        let point = self.point(values, at, HORIZONS[n] as usize)?;
        let deviation = (self.squares[n] / self.count[n].max(1.0)).sqrt();
        Some(NORMAL.map(|z| point + z * deviation))
    }
}

fn measure(network: &Arc<Network>, test: &[Owned]) {
    let groups: Vec<&str> = test.iter().fold(Vec::new(), |mut groups, owned| {
        if !groups.contains(&owned.group) {
            groups.push(owned.group);
        }
        groups
    });
    println!(
        "\npinball in units of the mean absolute difference; miss = share outside the 95 % interval"
    );
    println!("group            horizon |   LSTM   miss | last value  miss | seasonal  miss");
    let mut whole = [[Tally::default(); 7]; 3];
    for group in groups {
        let mut tallies = [[Tally::default(); 7]; 3];
        for owned in test.iter().filter(|owned| owned.group == group) {
            score_series(network, owned, &mut tallies);
        }
        show(group, &tallies);
        for (whole, part) in whole.iter_mut().flatten().zip(tallies.iter().flatten()) {
            whole.loss += part.loss;
            whole.misses += part.misses;
            whole.count += part.count;
        }
    }
    show("ALL", &whole);
    competition(network, test);
    inference(network, test);
}

/// The M4 measures over 48 steps from one origin per series: the whole path, between the anchors too.
fn competition(network: &Network, test: &[Owned]) {
    let steps: Vec<u32> = (1..=48).collect();
    let (mut sums, mut count) = ([0.0; 4], 0.0);
    for owned in test.iter().filter(|owned| owned.group == "M4") {
        let (past, rest) = owned.values.split_at(owned.score_from + 1);
        let mut state = network.state(owned.context);
        past.iter()
            .for_each(|value| network.update(&mut state, Some(*value)));
        let mut path = vec![[0.0; 7]; 48];
        let (true, Some(scale)) = (
            network.quantiles(&state, &steps, &mut path),
            seasonal_scale(past, 24),
        ) else {
            continue;
        };
        let number = rest.len().min(48) as f64;
        for (said, actual) in path.iter().zip(rest) {
            sums[0] += symmetric_error(*actual, said[3]) / number;
            sums[1] += (actual - said[3]).abs() / scale / number;
            sums[2] += interval_score(said[0], said[6], 0.95, *actual) / scale / number;
            sums[3] += f64::from(u8::from((said[0]..=said[6]).contains(actual))) / number;
        }
        count += 1.0;
    }
    if count > 0.0 {
        let [smape, mase, msis, coverage] = sums.map(|sum| sum / count);
        println!(
            "\nM4, {count} series never seen: sMAPE {smape:.2}  MASE {mase:.3}  MSIS {msis:.2}  coverage {coverage:.3}"
        );
    }
}

fn score_series(network: &Arc<Network>, owned: &Owned, tallies: &mut [[Tally; 7]; 3]) {
    let values = &owned.values;
    let pairs = values
        .windows(2)
        .map(|p| (p[1] - p[0]).abs())
        .filter(|d| d.is_finite());
    let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), d| (sum + d, count + 1.0));
    let scale: f64 = sum / f64::max(count, 1.0);
    if scale <= 0.0 {
        return;
    }
    let mut state = network.state(owned.context);
    let season = owned.context.seasons[0].map(usize::from);
    let naive = |lag| Naive {
        lag,
        squares: [0.0; 7],
        count: [0.0; 7],
    };
    let mut naives = [naive(None), naive(season)];
    let mut quantiles = [[0.0; 7]; 7];
    for at in 0..values.len() {
        network.update(&mut state, Some(values[at]));
        naives
            .iter_mut()
            .for_each(|naive| naive.observe(values, at));
        if at < owned.score_from || !(at - owned.score_from).is_multiple_of(owned.every) {
            continue;
        }
        if !network.quantiles(&state, &HORIZONS, &mut quantiles) {
            continue;
        }
        for (n, horizon) in HORIZONS.iter().enumerate() {
            let actual = values
                .get(at + *horizon as usize)
                .copied()
                .filter(|v| v.is_finite());
            let others = naives
                .each_ref()
                .map(|naive| naive.quantiles(values, at, n));
            if let (Some(actual), [Some(last), Some(seasonal)]) = (actual, others) {
                tallies[0][n].score(&quantiles[n], actual, scale);
                tallies[1][n].score(&last, actual, scale);
                tallies[2][n].score(&seasonal, actual, scale);
            }
        }
    }
}

fn show(group: &str, tallies: &[[Tally; 7]; 3]) {
    let mut means = [Tally::default(); 3];
    for (mean, row) in means.iter_mut().zip(tallies) {
        // Every horizon counts the same.
        for tally in row.iter().filter(|tally| tally.count > 0.0) {
            mean.loss += tally.loss / tally.count;
            mean.misses += tally.misses / tally.count;
            mean.count += 1.0;
        }
    }
    let line = |label: &str, cells: [Tally; 3]| {
        let cells = cells.map(|t| format!("{:8.4}  {:.3}", t.loss / t.count, t.misses / t.count));
        println!("{group:16} {label:>7} | {}", cells.join(" | "));
    };
    for n in [0, 3, 6] {
        line(
            &HORIZONS[n].to_string(),
            [tallies[0][n], tallies[1][n], tallies[2][n]],
        );
    }
    line("mean", means);
}

/// The least time of one call, in microseconds, over many rounds of `calls` calls: on a busy machine the
/// least is nearest to what it costs.
fn least(rounds: usize, calls: usize, mut round: impl FnMut()) -> f64 {
    let times = (0..rounds).map(|_| {
        let start = now();
        round();
        start.elapsed().as_secs_f64() * 1e6 / calls as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

/// What an update and a forecast cost.
fn inference(network: &Arc<Network>, test: &[Owned]) {
    let values = test.iter().flat_map(|owned| &owned.values);
    let values: Vec<f64> = values.take(96).copied().collect();
    for seasons in [[None; 2], [Some(24), Some(168)]] {
        let context = Context {
            seasons,
            ..test[0].context
        };
        let Some(mut model) = LstmModel::fit(Arc::clone(network), context, &values.repeat(6))
        else {
            return;
        };
        let mut state = model.state().clone();
        let single = least(500, values.len(), || {
            values
                .iter()
                .for_each(|value| network.update(&mut state, Some(*value)));
        });
        let mut states = vec![state; 96];
        let batched = least(500, 96, || network.update_many(&mut states, &values));
        let steps: Vec<u32> = (1..=24).collect();
        let mut quantiles = vec![[0.0; 7]; 24];
        let forecast = least(500, 20, || {
            for _ in 0..20 {
                model.quantiles(
                    std::hint::black_box(&steps),
                    std::hint::black_box(&mut quantiles),
                );
            }
        });
        model.update(None);
        println!(
            "seasons {seasons:?}: update {single:.2} us, in batches {batched:.2} us; 24 horizons {forecast:.2} us; state {} bytes",
            model.state().bytes()
        );
    }
}
