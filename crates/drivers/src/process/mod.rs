//! Processes of this machine: who they are, how they are started, stopped and asked.
//!
//! Everything is read from `/proc` and done through the system's own calls; nothing here knows what a
//! resource is.

pub(crate) mod identity;
pub(crate) mod listener;
pub(crate) mod log;
pub(crate) mod run;
pub(crate) mod usage;
