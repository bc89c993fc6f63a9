//! What it costs to keep what was learned: the same number of properties saved again and again, and read
//! once. States are incomprehensible bytes, as dense as a forecaster's.
//!
//! `cargo run --release -p evenkeel-store --example learned [properties] [bytes each] [in one call]`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement that a person runs: it reads the clock and prints"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use evenkeel_ports::{History, Learned};
use evenkeel_store::Store;

const ROUNDS: u64 = 10;

fn states(properties: usize, bytes: usize, round: u64) -> Vec<Learned> {
    let state = |number: usize| {
        let mut state = vec![0; bytes];
        let seed = blake3::hash(format!("{number} {round}").as_bytes());
        blake3::Hasher::new_keyed(seed.as_bytes())
            .finalize_xof()
            .fill(&mut state);
        state
    };
    (0..properties)
        .map(|number| Learned {
            property: format!("nginx.conf/http/property_{number}").as_str().into(),
            state: state(number),
        })
        .collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: usize| -> Result<usize, Box<dyn Error>> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (properties, bytes, in_one_call) = (argument(1000)?, argument(4096)?, argument(256)?);
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;
    let web = "web".into();
    let (mut total, mut longest) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let states = states(properties, bytes, round);
        for states in states.chunks(in_one_call) {
            let began = Instant::now();
            store.save_learned(&web, states, &[]).await?;
            let took = began.elapsed();
            total += took;
            longest = longest.max(took);
        }
    }
    let file = |name: &str| std::fs::metadata(dir.path().join(name)).map_or(0, |file| file.len());
    println!(
        "{properties} states of {bytes} bytes: {:.1} ms a save, {:.1} ms the longest call of {in_one_call}",
        total.as_secs_f64() * 1e3 / ROUNDS as f64,
        longest.as_secs_f64() * 1e3
    );
    println!(
        "history.db {} kB, its log {} kB",
        file("history.db") / 1024,
        file("history.db-wal") / 1024
    );
    let began = Instant::now();
    let found = store.load_learned(&web).await?;
    println!(
        "{} read in {:.1} ms",
        found.states.len(),
        began.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}
