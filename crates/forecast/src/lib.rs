#![doc = include_str!("../README.md")]

pub mod changepoint;
pub mod conformal;
pub mod experts;
pub mod metrics;
pub mod models;
pub mod trend;

mod engine;
mod horizon;
mod in_control;
mod mixture;
#[cfg(test)]
mod testing;

pub use mixture::{Mixture, MixtureFactory, VALUE_LIMIT};
