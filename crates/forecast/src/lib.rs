#![doc = include_str!("../README.md")]

pub mod backtest;
pub mod changepoint;
pub mod committee;
pub mod conformal;
pub mod experts;
pub mod lstm;
pub mod metrics;
pub mod models;
pub mod regime;
pub mod season;
pub mod support;
pub mod trend;

mod engine;
mod horizon;
mod in_control;
mod mixture;
mod refit;
mod state;
#[cfg(test)]
mod testing;

pub use mixture::{Mixture, MixtureFactory, VALUE_LIMIT};
