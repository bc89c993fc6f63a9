//! The pure core of Evenkeel: no clock, no file, no socket, no thread, no randomness. Time and seeds
//! come in as arguments, answers go out as values.
//!
//! Read in this order: [`property`] (what is seen), `deviation` (how far from approved),
//! [`forecast`] (where it goes), `band` (how far it may go), `decide` (what to do), `failover`
//! (how it is done, as a plan).

pub mod band;
pub mod baseline;
pub mod company;
pub mod decide;
pub mod deviation;
pub mod failover;
pub mod fleet;
pub mod forecast;
pub mod generation;
pub mod guard;
mod guards;
pub mod harm;
pub mod ids;
pub mod measure;
pub mod outlook;
mod passage;
pub mod policy;
pub mod property;
pub mod reason;
pub mod record;
pub mod replay;
pub mod state;
pub mod surprise;
pub mod time;
pub mod watch;

pub use ids::{
    BaselineVersion, EventId, FencingToken, GenerationId, Instance, PropertyPath, ResourceId, RunId,
};
pub use time::{Brief, Timestamp};
