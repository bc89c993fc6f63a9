//! Deterministic simulation: a small daemon over the fake world of `evenkeel-ports`, with the real
//! watch, the real decision and the real executor of sagas. From a seed comes a schedule of commands
//! and of faults; independent checks look at the world after every single effect.
//!
//! | module | what it is |
//! |---|---|
//! | [`script`] | the faults of a seed, and the checks after every effect |
//! | [`world`] | the fakes of one resource, its clients, and a person who repairs |
//! | [`controller`] | a small daemon: probe, decide, commit, execute, recover |
//! | [`schedule`] | seed to run, with the checks at every end |
//! | [`trend`] | a plain forecaster for stories |
//!
//! Not modelled: a torn write in the journal (the store's own tests), a clock that jumps back, two
//! processes that act with the *same* token at once (a token is its plan's), and networks between
//! several machines.

pub mod controller;
pub mod schedule;
pub mod script;
pub mod trend;
pub mod world;
