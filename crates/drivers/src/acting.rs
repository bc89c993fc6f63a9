//! Acting calls of one resource: one at a time, each to its end.
//!
//! A caller may stop waiting (its deadline is over) and call again. The first act must then neither be
//! torn off half way nor run beside the second: it goes on as a task of its own, and the second waits.

use std::future::Future;
use std::sync::Arc;

use evenkeel_ports::DriverError;
use tracing::Instrument;

/// The right to act on one resource within this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acting(Arc<tokio::sync::Mutex<()>>);

impl Acting {
    /// Runs an act to its end, after those that were begun before it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, DriverError>> + Send + 'static,
    ) -> Result<T, DriverError> {
        let lock = Arc::clone(&self.0);
        let task = async move {
            let _one_at_a_time = lock.lock().await;
            act.await
        };
        match tokio::spawn(task.instrument(tracing::Span::current())).await {
            Ok(result) => result,
            Err(error) => Err(DriverError::maybe_effect(format!(
                "the work broke off: {error}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_act_whose_caller_left_is_finished_before_the_next_begins() {
        let acting = Acting::default();
        let steps = Arc::new(AtomicU32::new(0));
        let of_first = Arc::clone(&steps);
        let first = acting.run(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            of_first.store(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(1), first)
                .await
                .is_err()
        );
        let seen = acting
            .run(async move { Ok(steps.load(Ordering::SeqCst)) })
            .await;
        assert_eq!(seen, Ok(1));
    }
}
