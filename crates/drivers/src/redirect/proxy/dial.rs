//! Finds a target for an accepted connection: the one aimed at now, however often that changes meanwhile.
//! While it refuses or is being switched, the connection waits, for the hold time at most.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::config::Target;
use super::route::{Aim, Entry, Route};

/// The first pause after a refused attempt; doubled up to `PAUSE_MAX`. A service that restarts is found
/// again within a tenth of a second, and a thousand waiting clients cost it 10,000 attempts a second at
/// the most, which loopback and local networks bear.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Why an accepted connection got no target.
#[derive(Debug)]
pub(super) enum Unserved {
    /// No target answered within the hold time.
    Held,
    /// The proxy stopped.
    Stopped,
}

/// What one attempt brought.
enum Attempt {
    Connected(TcpStream, Entry),
    /// The aim changed under way: try the new one at once.
    Overtaken,
    /// The target did not accept.
    Failed(io::Error),
    /// There is no target to try until the aim changes.
    Nowhere,
    Stopped,
}

/// Connects to the route's target and enters the connection in its books.
pub(super) async fn dial(route: &Arc<Route>) -> Result<(TcpStream, Entry), Unserved> {
    let mut aim = route.watch_aim();
    // The common case is kept apart, so that it pays for no timer but the attempt's own.
    let first = attempt(route, &mut aim).await;
    if let Attempt::Connected(server, entry) = first {
        return Ok((server, entry));
    }
    route.counters.held_total.add();
    let _held = route.counters.held.enter();
    timeout(route.limits.hold, keep_trying(route, &mut aim, first))
        .await
        .unwrap_or(Err(Unserved::Held))
}

async fn keep_trying(
    route: &Arc<Route>,
    aim: &mut watch::Receiver<Aim>,
    first: Attempt,
) -> Result<(TcpStream, Entry), Unserved> {
    let mut pause = PAUSE_MIN;
    let mut last = first;
    loop {
        match last {
            Attempt::Connected(server, entry) => return Ok((server, entry)),
            Attempt::Stopped => return Err(Unserved::Stopped),
            Attempt::Overtaken => pause = PAUSE_MIN,
            // The sender lives in the route, which `route` keeps alive: `changed` cannot fail.
            Attempt::Nowhere => drop(aim.changed().await),
            Attempt::Failed(error) => {
                tracing::debug!(route = %route.name, %error, "a target does not accept; the client waits");
                tokio::select! {
                    () = sleep(pause) => pause = PAUSE_MAX.min(pause * 2),
                    _ = aim.changed() => pause = PAUSE_MIN,
                }
            }
        }
        last = attempt(route, aim).await;
    }
}

async fn attempt(route: &Arc<Route>, aim: &mut watch::Receiver<Aim>) -> Attempt {
    let now = *aim.borrow_and_update();
    let (target, turn) = match now {
        Aim::At { target, turn } => (target, turn),
        Aim::Refused => return Attempt::Nowhere,
        Aim::Stopped => return Attempt::Stopped,
    };
    let connected = tokio::select! {
        biased;
        connected = connect(target, route.limits.connect_timeout) => connected,
        _ = aim.changed() => return Attempt::Overtaken,
    };
    match connected {
        Ok(server) => match route.enter(target, turn) {
            Some(entry) => Attempt::Connected(server, entry),
            None => Attempt::Overtaken,
        },
        Err(error) => {
            route.counters.failed_connects.add();
            Attempt::Failed(error)
        }
    }
}

/// Opens a connection to a target, tuned for relaying.
pub(super) async fn connect(target: Target, within: Duration) -> io::Result<TcpStream> {
    let address = target.address();
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    match timeout(within, socket.connect(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer from {target} in time"),
        )),
    }
}
