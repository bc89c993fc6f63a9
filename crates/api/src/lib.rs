//! The HTTP API of the Evenkeel daemon: the types on the wire, the table of routes, and a client.
//!
//! This crate names no other crate of Evenkeel. The wire types are twins of core types, converted by
//! hand where both are known (in the daemon), so that the core may change its shape without changing
//! what scripts and dashboards read. The server side is the daemon's.
//!
//! What every type keeps:
//! - field names are `snake_case`; a number carries its unit in its name (`_s`, `_ms`, `_bytes`);
//! - an instant is RFC 3339 text in UTC ([`wire::Rfc3339`]), an id is text with its letter
//!   (`r12`, `e7`, `g3`, `v2`: [`wire::Id`]);
//! - an answer may gain fields, so readers ignore those they do not know; a *request* with an unknown
//!   field is refused, because a misspelt `dry_run` must never act.

pub mod client;
pub mod routes;
pub mod wire;

pub use client::{Client, ClientError};
pub use routes::Route;
