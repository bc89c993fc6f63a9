//! The gate of a resource's clone: its reconciler works only while the gate is open, and one piece
//! of work at a time. A saga shuts it before it moves anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    shut: Arc<AtomicBool>,
    work: Arc<Mutex<()>>,
}

/// While this lives, a piece of work is under way.
#[derive(Debug)]
pub struct Pass(#[allow(dead_code)] OwnedMutexGuard<()>); // held for its drop

impl Gate {
    /// Shuts the gate, and returns when nobody is inside. Idempotent.
    pub async fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        drop(self.work.lock().await);
    }

    /// Opens the gate. Idempotent.
    pub fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }

    /// Goes in, when nobody else is; `None` when the gate is shut.
    pub async fn enter(&self) -> Option<Pass> {
        let guard = self.work.clone().lock_owned().await;
        // Asked after the lock: whoever shuts waits for the lock, and so for us.
        (!self.shut.load(Ordering::SeqCst)).then_some(Pass(guard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shut_gate_lets_nobody_in_and_shutting_waits_for_who_is_inside() {
        let gate = Gate::default();
        let pass = gate.enter().await.unwrap();
        let shutting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.shut().await }
        });
        tokio::task::yield_now().await;
        assert!(!shutting.is_finished());
        drop(pass);
        shutting.await.unwrap();
        assert!(gate.enter().await.is_none());
        gate.open();
        assert!(gate.enter().await.is_some());
    }
}
