//! Calls that may take their time, on a thread where they do not keep other tasks waiting.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::{JoinError, spawn_blocking};
use tracing::Span;

/// Runs `call` to its end on a thread for blocking work. It goes on if nobody waits for it.
///
/// # Errors
/// When `call` panicked, or the runtime ends.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    let (runtime, span) = (Handle::current(), Span::current());
    spawn_blocking(move || span.in_scope(|| runtime.block_on(call))).await
}
