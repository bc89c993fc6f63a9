//! Tests of `decide` from outside, by topic. Each starts from a case that fails over, and changes one
//! thing: so a test shows what that one thing does.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

mod alerts;
mod case;
mod commands;
mod guards;
mod line;
mod properties;
mod replays;
mod risk;
mod rules;
mod runs;
mod surprises;
mod thresholds;
mod triggers;
mod units;
mod watching;
