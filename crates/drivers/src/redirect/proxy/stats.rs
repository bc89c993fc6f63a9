//! What the proxy has done and is doing, as numbers.
//!
//! Invariant: every counter only rises, so that rates can be taken from two readings; the gauges (`open`,
//! `held`) go up and down.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::config::{RouteName, Target};

/// A reading of the whole proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStats {
    /// Every route, in the order in which they were given.
    pub routes: Vec<RouteStats>,
}

/// A reading of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStats {
    /// The route.
    pub name: RouteName,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it points now.
    pub target: Target,
    /// Connections being relayed, by the target they go to.
    pub open: BTreeMap<Target, u64>,
    /// Connections accepted and not yet connected to a target, after a first attempt has failed.
    pub held: u64,
    /// Connections that were held at some time.
    pub held_total: u64,
    /// Connections given up after the hold time, or because the proxy stopped.
    pub unserved: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Attempts to connect to a target that failed.
    pub failed_connects: u64,
    /// Errors of the system while accepting, such as too many open files.
    pub accept_errors: u64,
    /// Times that accepting paused because `connections_max` was reached.
    pub limit_reached: u64,
    /// Bytes from clients to targets.
    pub bytes_to_target: u64,
    /// Bytes from targets to clients.
    pub bytes_to_client: u64,
}

/// The counters behind a reading. `Relaxed` throughout: each is read alone, for people and graphs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: Counter,
    pub(super) held: Counter,
    pub(super) held_total: Counter,
    pub(super) unserved: Counter,
    pub(super) failed_connects: Counter,
    pub(super) accept_errors: Counter,
    pub(super) limit_reached: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds one and says how many there were with it.
    pub(super) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one in until the guard is dropped.
    pub(super) fn enter(&self) -> Entered<'_> {
        self.add();
        Entered(self)
    }
}

/// One that is counted in a gauge.
pub(super) struct Entered<'a>(&'a Counter);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
