//! The daemon's API: HTTP over a Unix socket, one handler for every route of [`evenkeel_api::routes`].
//!
//! Reading routes look at snapshots and at the store, and never make a resource's task wait. Acting
//! routes ask the task, or the clone's keeper. What goes wrong is told as a problem document.
//!
//! Left out on purpose: decisions (they are the engine's), and who may do what beyond the socket's file
//! mode (see [`access`]).
//!
//! Invariants: no lock is held across an await; a handler that is given nonsense answers with a problem
//! and never panics; every acting route says who asked.

mod access;
mod convert;
mod extract;
mod handlers;
mod peer;
mod problem;
mod registry;
mod router;
mod socket;
#[cfg(test)]
mod tests;

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::Timestamp;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

pub use registry::Registry;
pub use socket::{BindError, bind};

use crate::world::World;

/// How long requests that are under way may go on when the daemon stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// What every handler reaches.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The resources.
    registry: Registry,
    /// The store, the clock.
    world: World,
    /// When the server was started.
    since: Timestamp,
    /// The same by the clock that never jumps.
    started: Duration,
    /// How long a resource's task is waited for.
    patience: Duration,
}

impl AppState {
    /// The state of a server that starts now.
    pub fn new(registry: Registry, world: World) -> Self {
        Self {
            since: world.now(),
            started: world.clock.monotonic(),
            patience: handlers::TASK_PATIENCE,
            registry,
            world,
        }
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }
}

/// Serves the API until `shutdown`; then what is under way has a few seconds to end.
pub async fn serve(
    listener: UnixListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let app = router::router(Arc::new(state)).into_make_service_with_connect_info::<peer::Peer>();
    let (stopping, told) = oneshot::channel();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
        shutdown.await;
        stopping.send(()).ok();
    });
    let grace_is_over = async {
        if told.await.is_err() {
            // The server has gone without being told to: it says so itself.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        result = serving.into_future() => match result {
            Ok(()) => info!("the API is closed"),
            Err(error) => error!(%error, "the API failed"),
        },
        () = grace_is_over => {
            warn!("the API is closed although requests are still under way");
        }
    }
}
