//! Listens for one route and starts a task for each client.
//!
//! A client is accepted only when there is room for it: until then it waits in the system's backlog, where
//! it is connected as far as it can tell. Errors of the system (too many open files) pause the listener
//! rather than spin or end it.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::connection;
use super::route::{Aim, Route};

const BACKLOG: u32 = 4096;
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Listens at `address` with what accepted sockets inherit.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the old process's connections to time out.
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until the route stops.
pub(super) async fn accept(route: Arc<Route>, listener: TcpListener) {
    let mut aim = route.watch_aim();
    let mut stopped = pin!(aim.wait_for(|aim| matches!(aim, Aim::Stopped)));
    let mut pause = PAUSE_MIN;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopped => break,
            accepted = accept_one(&route, &listener) => accepted,
        };
        match accepted {
            Ok(()) => pause = PAUSE_MIN,
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                let errors = route.counters.accept_errors.add();
                tracing::warn!(
                    route = %route.name, listen = %route.listen, %error, errors, ?pause,
                    "cannot accept; new clients wait in the backlog"
                );
                tokio::select! {
                    biased;
                    _ = &mut stopped => break,
                    () = sleep(pause) => pause = PAUSE_MAX.min(pause * 2),
                }
            }
        }
    }
    tracing::info!(route = %route.name, listen = %route.listen, "stopped listening");
}

async fn accept_one(route: &Arc<Route>, listener: &TcpListener) -> io::Result<()> {
    let permit = room_for_one(route).await?;
    let (client, _peer) = listener.accept().await?;
    // Linux lets accepted sockets inherit this; elsewhere they do not. A client that is gone already is
    // found out by the relay.
    #[cfg(not(target_os = "linux"))]
    let _gone = client.set_nodelay(true);
    route.counters.accepted.add();
    tokio::spawn(connection::serve(Arc::clone(route), client, permit));
    Ok(())
}

async fn room_for_one(route: &Arc<Route>) -> io::Result<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(&route.permits).try_acquire_owned() {
        return Ok(permit);
    }
    let times = route.counters.limit_reached.add();
    // One line per power of two: a route at its limit meets it again with every client.
    if times.is_power_of_two() {
        tracing::warn!(
            route = %route.name, connections_max = route.limits.connections_max, times,
            "the route serves as many connections as it may; new clients wait in the backlog"
        );
    }
    let waited = Arc::clone(&route.permits).acquire_owned().await;
    waited.map_err(io::Error::other)
}

/// The client gave up between connecting and being accepted: no reason to pause.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
