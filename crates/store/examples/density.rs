//! How many bytes a sample takes and how fast samples are taken in, on made-up data like a
//! configuration's: 60 % constants with a few changes, 10 % flags, 15 % counters, 10 % gauges of two
//! decimals, 5 % noise in full precision; one append call per tick of ten seconds.
//!
//! `cargo run --release -p evenkeel-store --example density [series] [ticks]`

use std::error::Error;
use std::time::{Duration, Instant};

use evenkeel_core::Timestamp;
use evenkeel_ports::{Aggregation, History, Range, RetentionPolicy, Sample, SeriesKey, Stream};
use evenkeel_store::Store;

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

fn step(kind: usize, value: f64, ticks: usize, noise: &mut Noise) -> f64 {
    let chance = noise.unit();
    match kind {
        0..12 if chance < 3.0 / ticks as f64 => (noise.unit() * 100.0).round(),
        0..12 => value,
        12..14 if chance < 0.01 => 1.0 - value,
        12..14 => value,
        14..17 => value + (chance * 50.0).round(),
        17..19 => ((value + chance - 0.5) * 100.0).round() / 100.0,
        _ => chance,
    }
}

#[allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement that a person runs: it reads the clock and prints"
)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let series = arguments.next().transpose()?.unwrap_or(1000);
    let ticks = arguments.next().transpose()?.unwrap_or(8640);
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;
    let mut noise = Noise(1);
    let mut samples: Vec<Sample> = (0..series)
        .map(|number| Sample {
            series: SeriesKey {
                resource: "web".into(),
                property: format!("nginx.conf/http/property_{number}").as_str().into(),
                stream: Stream::Value,
            },
            at: Timestamp::from_millis(0),
            value: 0.0,
        })
        .collect();
    let (mut spent, mut slowest) = (Duration::ZERO, Duration::ZERO);
    let mut at = Timestamp::from_millis(1_795_564_800_000);
    let start = at;
    for _ in 0..ticks {
        at = at + Duration::from_secs(10);
        for (number, sample) in samples.iter_mut().enumerate() {
            sample.at = at;
            sample.value = step(number % 20, sample.value, ticks, &mut noise);
        }
        let before = Instant::now();
        store.append(&samples).await?;
        let took = before.elapsed();
        spent += took;
        slowest = slowest.max(took);
    }
    let count = (series * ticks) as f64;
    println!("{series} series, {ticks} ticks, {count} samples");
    println!(
        "append: {:.2} M samples/s",
        count / spent.as_secs_f64() / 1e6
    );
    println!(
        "append of one tick: mean {:?}, slowest {slowest:?}",
        spent / ticks as u32
    );
    println!(
        "share of one core at a tick per 10 s: {:.4} %",
        spent.as_secs_f64() / ticks as f64 * 10.0
    );
    let range = Range {
        from: start,
        until: at + Duration::from_secs(1),
        step: None,
    };
    let stepped = Range {
        step: Some((Duration::from_secs(86_400), Aggregation::Mean)),
        ..range
    };
    for (what, range) in [("every point", range), ("a point a day", stepped)] {
        let before = Instant::now();
        let mut points = 0;
        for sample in samples.iter().take(60) {
            points += store.range(&sample.series, range).await?.len();
        }
        println!(
            "read of one series, {what}: {:?} ({} points)",
            before.elapsed() / 60,
            points / 60
        );
    }
    drop(store);
    let size = || std::fs::metadata(dir.path().join("history.db")).map(|file| file.len() as f64);
    println!("size: {:.2} bytes/sample", size()? / count);
    let before = Instant::now();
    let store = Store::open(dir.path())?;
    println!("opening: {:?}", before.elapsed());
    let policy = RetentionPolicy {
        raw: Duration::ZERO,
        ..RetentionPolicy::default()
    };
    let before = Instant::now();
    store.retain(&policy, at).await?;
    println!("retention of all raw points: {:?}", before.elapsed());
    drop(store);
    println!(
        "size in five-minute steps: {:.3} bytes/sample",
        size()? / count
    );
    Ok(())
}
