//! The Evenkeel daemon: it watches, decides, journals, and acts.
//!
//! [`Running`] is the whole of it. Inside, every resource has a task ([`engine`]), its clone a keeper
//! ([`keeper`]), its sagas an executor ([`executor`]); people reach it through [`http`].

pub mod alerts;
mod blocking;
pub mod budget;
pub mod clock;
pub mod config;
pub mod engine;
mod events;
pub mod executor;
pub mod gate;
pub mod http;
pub mod keeper;
pub mod local;
pub mod networks;
pub mod refits;
mod running;
mod serve;
pub mod settings;
#[cfg(test)]
mod testing;
pub mod world;

pub use running::{ReloadError, Running, StartError};
pub use serve::{log_to_stderr, serve};
