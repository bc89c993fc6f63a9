//! One route: its target, its fence, and the connections that it has open. All that is shared between
//! the operator's calls, the listener and the connections is here, behind one short lock.
//!
//! Invariants:
//! - A connection is entered only if the target it reached is still the one aimed at, checked under the
//!   same lock under which the target is switched. So once `point` or `refuse` has returned, no new
//!   connection goes to the old target, however far its connecting had come.
//! - The lock is never held across an await.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::FencingToken;
use tokio::sync::{Semaphore, mpsc, watch};

use super::config::{Limits, RouteConfig, RouteName, Target};
use super::drain::{DrainPolicy, Ended, Line, Order};
use super::error::ProxyError;
use super::fence::{Fence, Stale};
use super::relay::Meter;
use super::stats::{Counters, RouteStats};

/// Where new connections go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To this target. The turn tells one aiming from the next, even at the same target.
    At { target: Target, turn: u64 },
    /// Nowhere: the target is refused. They wait.
    Refused,
    /// Nowhere, and nothing will come.
    Stopped,
}

#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: RouteName,
    pub(super) listen: SocketAddr,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) permits: Arc<Semaphore>,
    desk: Mutex<Desk>,
    aim: watch::Sender<Aim>,
}

/// What the lock protects.
#[derive(Debug)]
struct Desk {
    target: Target,
    turn: u64,
    fence: Fence,
    stopped: bool,
    lines: HashMap<u64, Arc<Line>>,
    next_line: u64,
    /// What connections that have ended moved.
    past: Meter,
}

impl Desk {
    fn open(&self) -> BTreeMap<Target, u64> {
        let mut open = BTreeMap::new();
        for line in self.lines.values() {
            *open.entry(line.target).or_insert(0) += 1;
        }
        open
    }

    fn order(
        &self,
        policy: DrainPolicy,
        concerned: impl Fn(&Line) -> bool,
    ) -> (u64, mpsc::UnboundedReceiver<Ended>) {
        let (report, ends) = mpsc::unbounded_channel();
        let order = Order { policy, report };
        let concerned = self.lines.values().filter(|line| concerned(line));
        let given = concerned.map(|line| line.give(order.clone())).count();
        (given as u64, ends)
    }
}

impl Route {
    /// A route that listens at `listen`, which is `config.listen` with its port made real.
    pub(super) fn new(config: &RouteConfig, listen: SocketAddr) -> Self {
        let aim = Aim::At {
            target: config.target,
            turn: 0,
        };
        Self {
            name: config.name.clone(),
            listen,
            limits: config.limits,
            counters: Counters::default(),
            permits: Arc::new(Semaphore::new(
                config.limits.connections_max.min(Semaphore::MAX_PERMITS),
            )),
            desk: Mutex::new(Desk {
                target: config.target,
                turn: 0,
                fence: Fence::new(config.token),
                stopped: false,
                lines: HashMap::new(),
                next_line: 0,
                past: Meter::default(),
            }),
            aim: watch::Sender::new(aim),
        }
    }

    pub(super) fn current(&self) -> Target {
        self.desk().target
    }

    pub(super) fn token(&self) -> FencingToken {
        self.desk().fence.highest()
    }

    pub(super) fn refused_by(&self, target: Target) -> Option<FencingToken> {
        self.desk().fence.refused_by(target)
    }

    /// Follows where new connections go.
    pub(super) fn watch_aim(&self) -> watch::Receiver<Aim> {
        self.aim.subscribe()
    }

    /// Points new connections at `to` and says where they went before.
    pub(super) fn point(&self, to: Target, token: FencingToken) -> Result<Target, ProxyError> {
        let mut desk = self.open_desk()?;
        desk.fence
            .admit(token)
            .map_err(|stale| self.stale(token, stale))?;
        if let Some(by) = desk.fence.refused_by(to) {
            return Err(self.refused(to, by));
        }
        let from = std::mem::replace(&mut desk.target, to);
        if from != to {
            self.take_aim(&mut desk);
        }
        Ok(from)
    }

    pub(super) fn refuse(&self, target: Target, token: FencingToken) -> Result<(), ProxyError> {
        let mut desk = self.open_desk()?;
        desk.fence
            .refuse(target, token)
            .map_err(|stale| self.stale(token, stale))?;
        if desk.target == target {
            self.take_aim(&mut desk);
        }
        Ok(())
    }

    pub(super) fn allow(&self, target: Target, token: FencingToken) -> Result<(), ProxyError> {
        let mut desk = self.open_desk()?;
        desk.fence
            .allow(target, token)
            .map_err(|stale| self.stale(token, stale))?;
        if desk.target == target {
            self.take_aim(&mut desk);
        }
        Ok(())
    }

    /// Orders every open connection to another target than the current one to end by `policy`. Returns how
    /// many there are, and where their ends will be told.
    pub(super) fn drain(
        &self,
        policy: DrainPolicy,
        token: FencingToken,
    ) -> Result<(u64, mpsc::UnboundedReceiver<Ended>), ProxyError> {
        let mut desk = self.open_desk()?;
        desk.fence
            .admit(token)
            .map_err(|stale| self.stale(token, stale))?;
        let current = desk.target;
        Ok(desk.order(policy, |line| line.target != current))
    }

    /// Ends the listener and every connection that is still waiting for a target, and orders the open
    /// ones to end by `policy`.
    pub(super) fn stop(&self, policy: DrainPolicy) -> (u64, mpsc::UnboundedReceiver<Ended>) {
        let mut desk = self.desk();
        desk.stopped = true;
        self.aim.send_replace(Aim::Stopped);
        desk.order(policy, |_line| true)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.desk().stopped
    }

    /// Enters a connection that has reached `target`, if that is still where `turn` aimed.
    pub(super) fn enter(self: &Arc<Self>, target: Target, turn: u64) -> Option<Entry> {
        let mut desk = self.desk();
        if desk.turn != turn || desk.stopped {
            return None;
        }
        let line = Arc::new(Line::new(target));
        let id = desk.next_line;
        desk.next_line += 1;
        desk.lines.insert(id, Arc::clone(&line));
        Some(Entry {
            route: Arc::clone(self),
            line,
            id,
        })
    }

    /// Open connections by target.
    pub(super) fn open(&self) -> BTreeMap<Target, u64> {
        self.desk().open()
    }

    pub(super) fn stats(&self) -> RouteStats {
        let desk = self.desk();
        let meters = || {
            desk.lines
                .values()
                .map(|line| &line.meter)
                .chain([&desk.past])
        };
        RouteStats {
            name: self.name.clone(),
            listen: self.listen,
            target: desk.target,
            open: desk.open(),
            held: self.counters.held.get(),
            held_total: self.counters.held_total.get(),
            unserved: self.counters.unserved.get(),
            accepted: self.counters.accepted.get(),
            failed_connects: self.counters.failed_connects.get(),
            accept_errors: self.counters.accept_errors.get(),
            limit_reached: self.counters.limit_reached.get(),
            bytes_to_target: meters().map(|m| m.to_target.load(Ordering::Relaxed)).sum(),
            bytes_to_client: meters().map(|m| m.to_client.load(Ordering::Relaxed)).sum(),
        }
    }

    /// Tells all who wait that the aim has changed. A new turn turns away every connection that is on its
    /// way to where the last one aimed.
    fn take_aim(&self, desk: &mut Desk) {
        desk.turn += 1;
        let (target, turn) = (desk.target, desk.turn);
        self.aim.send_replace(match desk.fence.refused_by(target) {
            Some(_) => Aim::Refused,
            None => Aim::At { target, turn },
        });
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing under this lock panics half-way through a change, so what a poisoned one protects is whole.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_desk(&self) -> Result<MutexGuard<'_, Desk>, ProxyError> {
        let desk = self.desk();
        if desk.stopped {
            return Err(self.has_stopped());
        }
        Ok(desk)
    }

    fn stale(&self, given: FencingToken, stale: Stale) -> ProxyError {
        ProxyError::StaleToken {
            route: self.name.clone(),
            given,
            highest: stale.highest,
        }
    }

    pub(super) fn has_stopped(&self) -> ProxyError {
        ProxyError::Stopped {
            route: self.name.clone(),
        }
    }

    pub(super) fn refused(&self, target: Target, by: FencingToken) -> ProxyError {
        ProxyError::Refused {
            route: self.name.clone(),
            target,
            by,
        }
    }
}

/// A connection's place in the books of its route; dropping it takes the connection out.
#[derive(Debug)]
pub(super) struct Entry {
    route: Arc<Route>,
    pub(super) line: Arc<Line>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut desk = self.route.desk();
        desk.lines.remove(&self.id);
        let (past, meter) = (&desk.past, &self.line.meter);
        for (sum, moved) in [
            (&past.to_target, &meter.to_target),
            (&past.to_client, &meter.to_client),
        ] {
            sum.fetch_add(moved.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
