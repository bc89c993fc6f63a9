//! Families of made-up drifts, and of courses that only look like one.
//!
//! A family and a seed make a scenario. What all of them share (`draw.rs`), each drawn for every scenario:
//!
//! | what | how it is drawn |
//! |---|---|
//! | step | 10 s, 60 s or 5 min; seasons only the latter two, weeks only the last |
//! | horizon | 30 to 180 steps, and between 30 min and 12 h: 30 min at 10 s, 30 min to 3 h at 60 s, 2.5 h to 12 h at 5 min |
//! | level | 10 to 10,000, even in the logarithm |
//! | limit | 0.3 to 3 times the level away; an upper one (two of three), or a tolerance to both sides |
//! | noise | normal (two of three) or half of it AR(1) with a memory of 2 to 20 steps; its standard deviation 1/6 to 1/50 of what is left to the limit where it is harmless (the whole distance where it is passed), even in the logarithm. At 1/6 a year of 60 s has 0.001 values beyond the limit by chance |
//! | quiet before | 300 to 3,000 steps, even in the logarithm |
//! | way to the limit, D | 0.5 to 6 horizons, even in the logarithm |
//!
//! In shares of the distance to the limit, and in horizons H:
//!
//! | family | what happens | harm |
//! |---|---|---|
//! | `white_noise` | 10,000 to 14,000 steps of noise | none |
//! | `mean_reverting` | the same of AR(1), memory 2 to 60 steps | none |
//! | `heavy_tails` | the same of Student's t, 5 to 12 degrees; the limit where one value in 10⁷, or fewer, is beyond | none |
//! | `variance_growth` | the same, its sd growing 2- to 4-fold, to 1/6 to 1/20 | none |
//! | `daily_season` | at least 10,000 steps and 7 days of a sine or a pulse of 0.1 to 0.6 | none |
//! | `weekly_season` | 6 weeks: 0.1 to 0.4 by the week, 0.1 to 0.25 by the day | none |
//! | `linear_ramp` | reaches the limit after D | gradual |
//! | `accelerating` | by the square of time, reaches it after D | gradual |
//! | `decelerating` | towards a plateau of 0.3 to 0.85, 95 % of it after D | none |
//! | `step` | of 0.3 to 0.8, or (half) of 1.05 to 2 | none, or sudden |
//! | `step_decay` | of 0.5 to 0.9, or (a third) of 1.05 to 1.5; falls to 37 % in 0.2 to 2 H | none, or sudden |
//! | `random_walk` | 3,000 to 8,000 steps, in all 0.3 to 1.2 sd wide; noise 1/50 to 1/200 | none, or gradual |
//! | `season_ramp` | 5 to 8 days (60 s) or 10 to 20 (5 min) of a season of 0.1 to 0.35, then a ramp by D | gradual |
//! | `sawtooth_leak` | 0.4 to 0.8 between restarts, 1 to 3 H apart, 8 to 15 times; then (half) no more restarts | none, or gradual |
//! | `staircase` | edits of 0.08 to 0.25 without noise, about D in all; a third stop at 0.85 or before | gradual, or none |
//! | `flapping` | to and fro by 0.3 to 0.8, or (a third) by 1.1 to 1.6; 1 to 20 steps away, 3 to 60 as before | none, or sudden |
//! | `counter_resets` | 0.1 to 0.2 between resets at random, 0.2 to 0.6 H apart; then (half) no more resets | none, or gradual |
//! | `gaps_and_late` | a ramp (two of three) or noise, with probes missing, late, lost and in gaps | gradual, or none |
//! | `quantised` | a ramp (two of three) or noise, in multiples of 0.04 to 0.2 | gradual, or none |
//! | `set_growth` | a set of 60 to 200 items, tolerance 0.1 to 0.4, grows over D; a third stop half way | gradual, or none |
//! | `text_edits` | a text of 40 to 120 lines, tolerance 0.15 to 0.4, is edited over D; a third stop half way | gradual, or none |
//! | `approved_rollout` | a change of 0.5 to 1.5 within a window, or of 0.3 to 0.9 without one, approved within 10 steps | none |
//! | `fleet_drift` | a ramp as in `linear_ramp` on 6 to 12 resources, up to 2 steps apart each; wanted is a hold | gradual |
//! | `two_together` | two properties with noise 1/6 to 1/20 go the same way, the second to 0.6 to 1.2 of its own limit by D | gradual |

mod draw;
mod drifts;
mod quiet;
mod shapes;

use crate::random::Seeded;
use crate::scenario::Scenario;
use draw::Draw;

/// Scenarios of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, as in the table above.
    pub name: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    /// What a good decision is.
    pub wanted: Wanted,
    /// Nothing but noise and seasons: every failover is a false one, and no rate of false ones should depend on
    /// how long it lasts.
    pub is_noise: bool,
    make: fn(&mut Draw) -> Scenario,
}

/// What a good decision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A failover before the harm that the truth tells of, and none where it tells of none.
    ByTruth,
    /// None, harm or not: the same drift on many resources is a rollout, to be alerted on and held.
    Hold,
}

impl Family {
    /// One of its scenarios.
    pub fn scenario(&self, seed: u64) -> Scenario {
        let mut draw = Draw::new(Seeded::named(seed, self.name));
        let mut scenario = (self.make)(&mut draw);
        scenario.seed = draw.random.bits();
        scenario
    }
}

/// The family of this name.
pub fn family(name: &str) -> Option<&'static Family> {
    families().iter().find(|family| family.name == name)
}

/// All families, in the order of the table above.
pub fn families() -> &'static [Family] {
    &FAMILIES
}

const fn noise(name: &'static str, what: &'static str, make: fn(&mut Draw) -> Scenario) -> Family {
    Family {
        name,
        what,
        wanted: Wanted::ByTruth,
        is_noise: true,
        make,
    }
}

const fn drift(name: &'static str, what: &'static str, make: fn(&mut Draw) -> Scenario) -> Family {
    Family {
        is_noise: false,
        ..noise(name, what, make)
    }
}

static FAMILIES: [Family; 24] = [
    noise("white_noise", "noise without memory", quiet::white_noise),
    noise(
        "mean_reverting",
        "noise that is pulled back",
        quiet::mean_reverting,
    ),
    noise(
        "heavy_tails",
        "noise with rare large values",
        quiet::heavy_tails,
    ),
    noise(
        "variance_growth",
        "noise that grows",
        quiet::variance_growth,
    ),
    noise("daily_season", "a day like the other", quiet::daily_season),
    noise(
        "weekly_season",
        "a week like the other",
        quiet::weekly_season,
    ),
    drift(
        "linear_ramp",
        "an even drift to the limit",
        drifts::linear_ramp,
    ),
    drift(
        "accelerating",
        "a drift that speeds up",
        drifts::accelerating,
    ),
    drift(
        "decelerating",
        "a drift to a harmless plateau",
        drifts::decelerating,
    ),
    drift("step", "a sudden change that stays", shapes::step),
    drift(
        "step_decay",
        "a sudden change that wears off",
        shapes::step_decay,
    ),
    drift(
        "random_walk",
        "a value without a way back",
        shapes::random_walk,
    ),
    drift("season_ramp", "a drift under a season", drifts::season_ramp),
    drift(
        "sawtooth_leak",
        "a leak that restarts empty",
        drifts::sawtooth_leak,
    ),
    drift("staircase", "edits in one direction", drifts::staircase),
    drift(
        "flapping",
        "to and fro between two values",
        shapes::flapping,
    ),
    drift(
        "counter_resets",
        "a counter that is reset at random",
        drifts::counter_resets,
    ),
    drift(
        "gaps_and_late",
        "a drift or none, badly sampled",
        drifts::gaps_and_late,
    ),
    drift(
        "quantised",
        "a drift or none, in coarse values",
        drifts::quantised,
    ),
    drift("set_growth", "a set that grows", drifts::set_growth),
    drift(
        "text_edits",
        "a text that is edited line by line",
        drifts::text_edits,
    ),
    drift(
        "approved_rollout",
        "a change that somebody approves",
        shapes::approved_rollout,
    ),
    Family {
        wanted: Wanted::Hold,
        ..drift(
            "fleet_drift",
            "the same drift on a whole fleet",
            drifts::fleet_drift,
        )
    },
    drift(
        "two_together",
        "two properties drift together",
        drifts::two_together,
    ),
];
