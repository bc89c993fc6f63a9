//! The life of one accepted connection: find a target, relay, obey orders, end.
//!
//! How it ends matters to the client. An idle connection is closed in an orderly way: a keep-alive client
//! takes it as usual and connects again. A busy one is reset: a plain close in the middle of an answer would
//! look like the end of the answer to a protocol that marks the end by closing.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use super::dial::{Unserved, dial};
use super::drain::{DrainPolicy, Ended, Line, Order};
use super::relay::{Relay, RelayEnd, Step};
use super::route::Route;

/// How long a client may take to answer an orderly close.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes are thrown away meanwhile; a client that sends more has not noticed the close.
const LINGER_BYTES_MAX: u64 = 64 * 1024;

/// Serves one client. The permit is its share of the route's limit.
pub(super) async fn serve(route: Arc<Route>, client: TcpStream, permit: OwnedSemaphorePermit) {
    let (server, entry) = match dial(&route).await {
        Ok(connected) => connected,
        Err(why) => return turn_away(&route, &client, &why),
    };
    // Holding the route here would only keep its books alive twice: the entry does that.
    drop(route);
    let mut relay = Relay::new(client, server);
    let line = Arc::clone(&entry.line);
    let (ended, obeyed) = live(&mut relay, &line).await;
    let Relay { client, server, .. } = relay;
    let lingering = match ended {
        Ended::Finished => None,
        Ended::ClosedIdle => Some(client),
        Ended::Broken | Ended::Cut => {
            for side in [&client, &server] {
                // An error means that the socket is gone already, which is what the reset is for.
                let _gone = side.set_zero_linger();
            }
            None
        }
    };
    drop(server);
    // Out of the books first, so that whoever gets the report finds them in agreement with it.
    drop(entry);
    // An order that came too late to be obeyed is answered all the same.
    if let Some(Order { report, .. }) = line.take_order().or(obeyed) {
        // Nobody listens if the caller of the drain has gone away.
        let _unheard = report.send(ended);
    }
    if let Some(client) = lingering {
        close(client).await;
    }
    drop(permit);
}

fn turn_away(route: &Route, client: &TcpStream, why: &Unserved) {
    let unserved = route.counters.unserved.add();
    match why {
        // One line per power of two: an outage under load must not flood the log.
        Unserved::Held if unserved.is_power_of_two() => tracing::warn!(
            route = %route.name, target = %route.current(), hold = ?route.limits.hold, unserved,
            "no target answered within the hold time; the client is reset"
        ),
        Unserved::Held => {}
        Unserved::Stopped => {
            tracing::debug!(route = %route.name, "the proxy stops; a waiting client is reset");
        }
    }
    let _gone = client.set_zero_linger();
}

/// Relays until the end. Returns it together with the order that was in force.
async fn live(relay: &mut Relay, line: &Line) -> (Ended, Option<Order>) {
    // Not `select!`: two polls in one closure are cheaper, and this is where nearly all time is spent.
    let mut next = {
        let mut run = pin!(relay.run(&line.meter));
        poll_fn(|cx| match run.as_mut().poll(cx) {
            Poll::Ready(end) => Poll::Ready(Next::Ended(of(&end))),
            Poll::Pending => line.poll_order(cx).map(Next::Order),
        })
        .await
    };
    let mut in_force = None;
    loop {
        match next {
            Next::Ended(ended) => return (ended, in_force),
            Next::Order(order) => {
                let policy = order.policy;
                in_force = Some(order);
                next = obey(relay, line, policy).await;
            }
        }
    }
}

/// What ends a stretch of relaying.
enum Next {
    Ended(Ended),
    Order(Order),
}

/// Relays under an order until the end or until the next order.
async fn obey(relay: &mut Relay, line: &Line, policy: DrainPolicy) -> Next {
    let (idle, grace) = match policy {
        DrainPolicy::Drain { grace } => (None, grace),
        DrainPolicy::DrainIdle { idle, grace } => (Some(idle), grace),
        DrainPolicy::Move => return Next::Ended(end_now(relay)),
    };
    let mut deadline = pin!(sleep(grace));
    loop {
        // Counted anew from every byte that moves.
        let silence = async {
            match idle {
                Some(idle) => sleep(idle).await,
                None => std::future::pending().await,
            }
        };
        let may_close = idle.is_some() && relay.is_idle();
        tokio::select! {
            // Bytes first: a request that has arrived by now keeps its connection.
            biased;
            step = relay.step(&line.meter) => match step {
                Step::Moved => {}
                Step::Ended(end) => return Next::Ended(of(&end)),
            },
            order = poll_fn(|cx| line.poll_order(cx)) => return Next::Order(order),
            () = &mut deadline => return Next::Ended(end_now(relay)),
            () = silence, if may_close => return Next::Ended(Ended::ClosedIdle),
        }
    }
}

fn end_now(relay: &Relay) -> Ended {
    if relay.is_idle() {
        Ended::ClosedIdle
    } else {
        Ended::Cut
    }
}

fn of(end: &RelayEnd) -> Ended {
    match end {
        RelayEnd::Finished => Ended::Finished,
        RelayEnd::Broken(error) => {
            tracing::trace!(%error, "a connection broke");
            Ended::Broken
        }
    }
}

/// Closes towards the client and waits for its close. Closing outright would reset a client whose next
/// request is on its way: it would see an error where it should see an end, and not try again.
async fn close(mut client: TcpStream) {
    if client.shutdown().await.is_err() {
        return;
    }
    let mut rest = client.take(LINGER_BYTES_MAX);
    let mut waste = [0; 1024];
    let discard = async { while matches!(rest.read(&mut waste).await, Ok(1..)) {} };
    // Whether the client closes or not, there is nothing left to do for it.
    let _ended = timeout(LINGER, discard).await;
}
