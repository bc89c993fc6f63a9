//! What becomes of connections to an old target: the policies, the order that carries one to a
//! connection, and the report of how it went.
//!
//! The deadline lives in each connection, not in the caller: a caller that goes away does not leave
//! connections to the old target behind.

use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::mpsc;

use super::config::Target;
use super::relay::Meter;

/// What to do with connections that go to another target than the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainPolicy {
    /// Leave them to finish; cut those that are left after `grace`.
    Drain {
        /// How long they may go on.
        grace: Duration,
    },
    /// Close each as soon as it has been idle for `idle`, so that a keep-alive client comes back and meets
    /// the new target; cut those that are left after `grace`.
    ///
    /// Idle means: nothing is under way, and the last bytes were the target's answer. The proxy does not
    /// read the protocol, so `idle` must be longer than the pauses within one answer.
    DrainIdle {
        /// How long a connection must be silent to be closed.
        idle: Duration,
        /// How long it may go on if it is never silent.
        grace: Duration,
    },
    /// End them at once: the idle ones are closed, the busy ones are cut.
    Move,
}

/// How one connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Client and target finished by themselves.
    Finished,
    /// One of them broke the connection.
    Broken,
    /// The proxy closed it while it was idle: both sides saw an orderly end.
    ClosedIdle,
    /// The proxy reset it while it was busy, so that neither side takes a part for the whole.
    Cut,
}

/// How a drain went. The numbers add up to the connections that it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Finished by themselves.
    pub finished: u64,
    /// Broken by the client or the target.
    pub broken: u64,
    /// Closed by the proxy while idle.
    pub closed_idle: u64,
    /// Reset by the proxy while busy, at the end of the grace.
    pub cut: u64,
    /// Taken over by a later drain, which reports them.
    pub superseded: u64,
}

impl DrainReport {
    /// All connections that the drain found.
    pub fn total(&self) -> u64 {
        self.finished + self.broken + self.closed_idle + self.cut + self.superseded
    }

    /// Waits until every connection that got an order of this drain has ended.
    pub(super) async fn collect(found: u64, mut ends: mpsc::UnboundedReceiver<Ended>) -> Self {
        let mut report = Self::default();
        // The channel closes when the last order has been obeyed or replaced by a later one.
        while let Some(ended) = ends.recv().await {
            match ended {
                Ended::Finished => report.finished += 1,
                Ended::Broken => report.broken += 1,
                Ended::ClosedIdle => report.closed_idle += 1,
                Ended::Cut => report.cut += 1,
            }
        }
        report.superseded = found.saturating_sub(report.total());
        report
    }
}

impl AddAssign for DrainReport {
    fn add_assign(&mut self, other: Self) {
        self.finished += other.finished;
        self.broken += other.broken;
        self.closed_idle += other.closed_idle;
        self.cut += other.cut;
        self.superseded += other.superseded;
    }
}

/// An order to one connection.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) policy: DrainPolicy,
    pub(super) report: mpsc::UnboundedSender<Ended>,
}

/// A connection as the rest of the proxy sees it: where it goes, how much it moved, and its letter box.
///
/// The box has a lock of its own which nobody else wants: the connection looks into it whenever it wakes,
/// so a lock shared by all connections would be felt.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) target: Target,
    pub(super) meter: Meter,
    letters: Mutex<Letters>,
}

#[derive(Debug, Default)]
struct Letters {
    order: Option<Order>,
    waker: Option<Waker>,
}

impl Line {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            meter: Meter::default(),
            letters: Mutex::default(),
        }
    }

    /// Gives the connection an order, which replaces an earlier one.
    pub(super) fn give(&self, order: Order) {
        let waker = {
            let mut letters = self.letters();
            letters.order = Some(order);
            letters.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next order, once there is one.
    pub(super) fn poll_order(&self, cx: &mut Context<'_>) -> Poll<Order> {
        let mut letters = self.letters();
        if let Some(order) = letters.order.take() {
            return Poll::Ready(order);
        }
        match &mut letters.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty @ None => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The order that has not been fetched yet, if there is one.
    pub(super) fn take_order(&self) -> Option<Order> {
        self.letters().order.take()
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        // Nothing under this lock can panic half-way.
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
