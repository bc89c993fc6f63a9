//! Many seeds: nothing that must never be, and everything that can be does occur.

use evenkeel_sim::schedule::{Tally, simulate};

/// Seeds of one run of the tests. `EVENKEEL_SEEDS` asks for more.
const SEEDS: u64 = 1500;

#[test]
fn no_seed_breaks_what_must_hold_and_every_outcome_occurs() {
    let seeds = std::env::var("EVENKEEL_SEEDS").map_or(SEEDS, |text| {
        text.parse().expect("EVENKEEL_SEEDS is a number of seeds")
    });
    let mut all = Tally::default();
    for seed in 0..seeds {
        let tally = simulate(seed).unwrap_or_else(|what| panic!("{what}"));
        all.done += tally.done;
        all.undone += tally.undone;
        all.stuck += tally.stuck;
        all.deaths += tally.deaths;
        all.late += tally.late;
    }
    let each = [all.done, all.undone, all.stuck, all.deaths, all.late];
    assert!(each.iter().all(|&n| n > 20), "{all:?}");
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 0..50 {
        assert_eq!(simulate(seed), simulate(seed));
    }
}
