//! An in-memory world: one fake of every port, for simulations and tests. Deterministic, without a
//! runtime: every future is ready at once.
//!
//! Trouble comes from a [`Faults`] script that is asked at every call: a call can fail with or
//! without its effect, lose its reply, be delivered twice, or kill the process that made it. A
//! process that was killed is a future that stays pending: see [`poll_once`].
//!
//! Left out: durability (memory is the disk here), time that passes by itself, and secrecy.

mod clock;
mod driver;
mod faults;
mod history;
mod journal;
mod redirector;
mod store;

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub use clock::FakeClock;
pub use driver::{FakeDriver, Place};
pub use faults::{Call, Fault, Faults, NoFaults};
pub use history::FakeHistory;
pub use redirector::FakeRedirector;
pub use store::FakeStore;

/// What a future over fakes comes to: `None` if the process that ran it was killed by a fault.
pub fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A panic in another test thread does not make the data wrong.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
