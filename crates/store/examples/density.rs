//! How many bytes a sample takes and how fast samples are taken in, on made-up data like a
//! configuration's: 60 % constants with a few changes, 10 % flags, 15 % counters, 10 % gauges of two
//! decimals, 5 % noise in full precision; one append call per tick of ten seconds.
//!
//! `cargo run --release -p evenkeel-store --example density [series] [ticks]`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement that a person runs: it reads the clock and prints"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use evenkeel_core::Timestamp;
use evenkeel_ports::{Aggregation, History, Range, RetentionPolicy, Sample, SeriesKey, Stream};
use evenkeel_store::Store;

const TICK: Duration = Duration::from_secs(10);

/// A small generator (SplitMix64): the same numbers on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ mixed >> 31
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn step(kind: usize, value: f64, ticks: u32, noise: &mut Noise) -> f64 {
    let chance = noise.unit();
    match kind {
        0..12 if chance < 3.0 / f64::from(ticks) => (noise.unit() * 100.0).round(),
        0..12 => value,
        12..14 if chance < 0.01 => 1.0 - value,
        12..14 => value,
        14..17 => value + (chance * 50.0).round(),
        17..19 => ((value + chance - 0.5) * 100.0).round() / 100.0,
        _ => chance,
    }
}

/// One sample of every series, to be filled in tick by tick.
fn blank(series: usize) -> Vec<Sample> {
    (0..series)
        .map(|number| Sample {
            series: SeriesKey {
                resource: "web".into(),
                property: format!("nginx.conf/http/property_{number}").as_str().into(),
                stream: Stream::Value,
            },
            at: Timestamp::from_millis(0),
            value: 0.0,
        })
        .collect()
}

/// Appends `ticks` ticks from `start` on and returns the instant of the last one.
async fn write(
    store: &Store,
    samples: &mut [Sample],
    ticks: u32,
    start: Timestamp,
) -> Result<Timestamp, Box<dyn Error>> {
    let mut noise = Noise(1);
    let (mut spent, mut slowest) = (Duration::ZERO, Duration::ZERO);
    let mut at = start;
    for _ in 0..ticks {
        at = at + TICK;
        for (number, sample) in samples.iter_mut().enumerate() {
            sample.at = at;
            sample.value = step(number % 20, sample.value, ticks, &mut noise);
        }
        let before = Instant::now();
        store.append(samples).await?;
        let took = before.elapsed();
        spent += took;
        slowest = slowest.max(took);
    }
    let (mean, count) = (spent / ticks, samples.len() as f64 * f64::from(ticks));
    println!(
        "append: {:.2} M samples/s",
        count / spent.as_secs_f64() / 1e6
    );
    println!("append of one tick: mean {mean:?}, slowest {slowest:?}");
    let share = mean.as_secs_f64() / TICK.as_secs_f64();
    println!(
        "share of one core at one tick per {TICK:?}: {:.4} %",
        share * 100.0
    );
    Ok(at)
}

/// Reads the first sixty series.
async fn read(
    what: &str,
    store: &Store,
    samples: &[Sample],
    range: Range,
) -> Result<(), Box<dyn Error>> {
    let before = Instant::now();
    let (mut series, mut points) = (0, 0);
    for sample in samples.iter().take(60) {
        points += store.range(&sample.series, range).await?.len();
        series += 1;
    }
    let took = before.elapsed() / series;
    println!(
        "read of one series, {what}: {took:?} ({} points)",
        points / series as usize
    );
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let series = arguments.next().transpose()?.unwrap_or(1000);
    let ticks = arguments.next().transpose()?.unwrap_or(8640);
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;
    let mut samples = blank(series as usize);
    let start = Timestamp::from_millis(1_795_564_800_000);
    println!("{series} series, {ticks} ticks");
    let end = write(&store, &mut samples, ticks, start).await?;
    let every_point = Range {
        from: start,
        until: end + TICK,
        step: None,
    };
    read("every point", &store, &samples, every_point).await?;
    let a_day = Some((Duration::from_secs(86_400), Aggregation::Mean));
    let stepped = Range {
        step: a_day,
        ..every_point
    };
    read("a point a day", &store, &samples, stepped).await?;

    drop(store);
    let count = f64::from(series) * f64::from(ticks);
    let size = || std::fs::metadata(dir.path().join("history.db")).map(|file| file.len() as f64);
    println!(
        "size with the room of the head: {:.3} bytes/sample",
        size()? / count
    );
    let before = Instant::now();
    let store = Store::open(dir.path())?;
    println!("opening: {:?}", before.elapsed());
    // Nothing is past its age yet; it only gives free pages back.
    store.retain(&RetentionPolicy::default(), end).await?;
    drop(store);
    println!("size without it: {:.3} bytes/sample", size()? / count);
    let store = Store::open(dir.path())?;
    let policy = RetentionPolicy {
        raw: Duration::ZERO,
        ..RetentionPolicy::default()
    };
    let before = Instant::now();
    store
        .retain(&policy, end + Duration::from_secs(3600))
        .await?;
    println!("retention of all raw points: {:?}", before.elapsed());
    drop(store);
    println!(
        "size in five-minute steps: {:.3} bytes/sample",
        size()? / count
    );
    Ok(())
}
