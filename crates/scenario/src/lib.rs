//! Made-up resources: from a description ([`Scenario`]) and a seed to what a replay reads
//! ([`generate`]), with the truth about it: when a property's systematic course does harm, and when
//! what leads there set in.
//!
//! A scenario is written by a person as a TOML file ([`Scenario::from_toml`]), made by one of the
//! [`families()`], or cut from a record of real values ([`trace::cut`]).
//!
//! Invariants:
//! - Nothing here reads a file, a clock or a random device; a scenario and a seed determine everything.
//! - Every component of every property draws from a stream of its own, named by resource, path and
//!   place: adding one changes no other's course. Samples that are missing change none either.
//! - Entries are made one by one; a year of a hundred properties is never in memory.

pub mod component;
mod contents;
mod course;
mod entries;
pub mod families;
mod generate;
mod problem;
pub mod random;
mod read;
mod running;
mod scenario;
pub mod trace;
mod truth;
mod verify;

pub use component::Component;
pub use entries::Entries;
pub use families::{Family, families};
pub use generate::{Generated, Made, generate};
pub use problem::{Position, Problem, Problems};
pub use scenario::{
    Approval, Asked, Clamp, Command, Gap, Kind, Late, Limits, Lost, Moment, PolicyKeys, Property,
    Resource, Scenario, Times, Tolerance, Window, Written,
};
pub use truth::{Drift, Truth};
