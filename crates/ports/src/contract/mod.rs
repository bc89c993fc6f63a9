//! The tests that every implementation of a port passes. They are plain asynchronous functions on the
//! traits, without a runtime: an implementation's own tests call them on a fresh, empty instance.
//!
//! They check what the traits' documentation promises and nothing else. What only one implementation
//! can be asked (a crash, a full disk, a damaged file) is tested where it is.

#![allow(
    clippy::unwrap_used,
    reason = "these are tests, although they are compiled as a library"
)]

mod history;
mod store;

pub use history::{history, history_retention};
pub use store::{audit, control_store, events, journal, leases};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fake::{FakeHistory, FakeStore, NoFaults, poll_once};

    #[test]
    fn the_fakes_keep_the_contracts() {
        let store = || FakeStore::new(Arc::new(NoFaults));
        poll_once(async {
            control_store(&store()).await;
            events(&store()).await;
            leases(&store()).await;
            journal(&store()).await;
            audit(&store()).await;
            history(&FakeHistory::new()).await;
            history_retention(&FakeHistory::new()).await;
        })
        .expect("no fault was asked for");
    }
}
