//! The built-in TCP proxy: the redirector that needs nothing installed.
//!
//! It listens on one address per *route* and forwards every client to the route's current *target*. Pointing
//! a route elsewhere is atomic: once [`ProxyHandle::point`] has returned, every new connection goes to the new
//! target. Connections to the old one are then ended by [`ProxyHandle::drain`], as its policy says. While a
//! target refuses, is fenced off or is being switched, accepted clients wait for the hold time; they
//! are not reset.
//!
//! Leaves out on purpose: protocols (bytes are bytes), TLS, load balancing, health checks and every decision
//! *when* to switch. It runs on the caller's runtime and keeps nothing on disk: the caller stores the highest
//! fencing token and gives it back at the next start.
//!
//! Read in this order: [`config`](RouteConfig), `route` (the shared state and its invariants), `connection` (the
//! life of one client), `dial` (hold), `relay` (bytes), `drain`, `fence`.

mod config;
mod connection;
mod dial;
mod drain;
mod error;
mod fence;
mod handle;
mod listener;
mod relay;
mod route;
mod stats;
#[cfg(test)]
mod tests;

pub use config::{Limits, RouteConfig, RouteName, Target, TargetError};
pub use drain::{DrainPolicy, DrainReport};
pub use error::ProxyError;
pub use handle::{PointPlan, Proxy, ProxyHandle, ProxyTask};
pub use stats::{ProxyStats, RouteStats};
