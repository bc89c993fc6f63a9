//! Clients that ask all the time, as real ones do: some with one connection after another, some
//! keeping theirs.
//!
//! A kept connection may be closed by the other side while a request is on its way; RFC 9112
//! (section 9.3.1) has a client ask once more on a new one, and every browser does. Such a second
//! try is counted; only if that fails, too, has a client seen a failure.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::http::{Keep, Reply, connect, exchange};

/// Between two requests of a client that connects for each.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two requests on a kept connection: long enough for it to count as idle in between.
const PAUSE_KEPT: Duration = Duration::from_millis(100);

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Tally>>,
}

/// What clients saw.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Good answers, by the port of the instance that gave them.
    pub answered: BTreeMap<u16, u64>,
    /// Requests that were sent once more, on a new connection.
    pub retried: u64,
    /// What went wrong, each time.
    pub failures: Vec<String>,
}

impl Tally {
    /// Good answers of one instance.
    pub fn by(&self, address: SocketAddr) -> u64 {
        self.answered.get(&address.port()).copied().unwrap_or(0)
    }

    fn take(&mut self, result: io::Result<Reply>) {
        match result {
            Ok(Reply {
                status: 200,
                port: Some(port),
                ..
            }) => {
                *self.answered.entry(port).or_default() += 1;
            }
            Ok(other) => self.failures.push(format!("{other:?}")),
            Err(error) => self.failures.push(error.to_string()),
        }
    }
}

impl Load {
    /// Starts two clients of each sort.
    pub fn start(entrance: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = [Keep::Alive, Keep::Closed, Keep::Alive, Keep::Closed].map(|keep| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || client(entrance, keep, &stop))
        });
        Self {
            stop,
            clients: clients.into(),
        }
    }

    /// Stops them and adds up what they saw.
    pub fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients.drain(..) {
            let one = client.join().unwrap();
            all.retried += one.retried;
            all.failures.extend(one.failures);
            for (port, count) in one.answered {
                *all.answered.entry(port).or_default() += count;
            }
        }
        all
    }

    /// Stops them; nobody may have seen a failure.
    pub fn stop_without_failure(self) -> Tally {
        let tally = self.stop();
        assert!(tally.failures.is_empty(), "{tally:?}");
        tally
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn client(entrance: SocketAddr, keep: Keep, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut kept: Option<TcpStream> = None;
    while !stop.load(Ordering::Relaxed) {
        let is_reused = kept.is_some();
        let mut asked = ask(entrance, &mut kept, keep);
        let unanswered = asked
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionAborted);
        if is_reused && unanswered {
            tally.retried += 1;
            asked = ask(entrance, &mut kept, keep);
        }
        tally.take(asked);
        std::thread::sleep(match keep {
            Keep::Alive => PAUSE_KEPT,
            Keep::Closed => PAUSE,
        });
    }
    tally
}

fn ask(entrance: SocketAddr, kept: &mut Option<TcpStream>, keep: Keep) -> io::Result<Reply> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => connect(entrance)?,
    };
    let reply = exchange(&mut stream, "/", keep)?;
    if keep == Keep::Alive {
        *kept = Some(stream);
    }
    Ok(reply)
}
