//! The Evenkeel daemon: it watches, decides, journals, and acts.

pub mod alerts;
pub mod clock;
pub mod engine;
mod events;
pub mod executor;
pub mod gate;
pub mod keeper;
pub mod settings;
pub mod world;
