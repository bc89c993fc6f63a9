//! Real clients, all at once, through the entrance of the resource: half of them keep their
//! connection, half open one for each request.
//!
//! What counts as failed is what a user would call so: anything but a complete answer with status
//! 200. One case is not: a *kept* connection that the server closed between two requests, noticed
//! before one byte of an answer came. HTTP allows that at any time, and every HTTP client opens
//! another connection and asks once more; so does this one, and counts it as a reconnect.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_ports::Clock;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::{After, Answer, Broken, Connection, Request};

/// The pause of a client between two requests ...
const THINK_TIME: Duration = Duration::from_millis(8);
/// ... longer where there are many clients, so that all of them together ask no more often: the
/// machine has other things to do than to be measured.
const REQUESTS_PER_SECOND_MAX: u32 = 2000;
/// After a failure, so that a refused connection does not become a storm of them.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);
/// The first client also writes, this often.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// So many failures are kept word for word.
const FAILURES_KEPT: usize = 5;

/// What all clients saw together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Requests that were made.
    pub(crate) total: u64,
    /// Requests that failed.
    pub(crate) failed: u64,
    /// The first failures, as sentences.
    pub(crate) failures: Vec<String>,
    /// Kept connections that were closed between two requests and opened again.
    pub(crate) reconnects: u64,
    /// The longest time from one success of a client to its next, think time included.
    pub(crate) longest_gap: Duration,
    /// How many requests each instance answered.
    pub(crate) answered_by: BTreeMap<String, u64>,
    /// Who gave the last answer.
    pub(crate) last_by: Option<String>,
    /// The highest setting that a served answer reported.
    pub(crate) highest_served: u64,
    /// Numbers whose writing was acknowledged.
    pub(crate) written: BTreeSet<u64>,
}

/// What the service says in every answer.
#[derive(Debug, Deserialize)]
struct Said {
    instance: String,
    max_connections: u64,
}

/// A success, as a client saw it.
#[derive(Debug)]
struct Success {
    said: Said,
    reconnected: bool,
}

/// The clients at work.
#[derive(Debug)]
pub(crate) struct Clients {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<()>,
    tasks: JoinSet<()>,
    think_time: Duration,
}

impl Clients {
    /// Sends `count` clients to `entrance`.
    pub(crate) fn start(count: u32, entrance: SocketAddr, clock: Arc<dyn Clock>) -> Self {
        let spread = Duration::from_secs(1) * count / REQUESTS_PER_SECOND_MAX;
        let think_time = THINK_TIME.max(spread);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (stop, stopping) = watch::channel(());
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let client = Client {
                entrance,
                after: if number % 2 == 0 {
                    After::Close
                } else {
                    After::Keep
                },
                writes: number == 0,
                think_time,
                tally: Arc::clone(&tally),
                clock: Arc::clone(&clock),
                kept: None,
            };
            // Not all in step.
            let wait = think_time * number / count;
            tasks.spawn(client.work(wait, stopping.clone()));
        }
        Self {
            tally,
            stop,
            tasks,
            think_time,
        }
    }

    /// What they saw up to now.
    pub(crate) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// The pause of each between two requests.
    pub(crate) fn think_time(&self) -> Duration {
        self.think_time
    }

    /// Lets each finish its request, and says what all of them saw.
    pub(crate) async fn stop(mut self) -> Tally {
        let _ = self.stop.send(());
        while self.tasks.join_next().await.is_some() {}
        self.tally()
    }
}

struct Client {
    entrance: SocketAddr,
    after: After,
    writes: bool,
    think_time: Duration,
    tally: Arc<Mutex<Tally>>,
    clock: Arc<dyn Clock>,
    kept: Option<Connection>,
}

impl Client {
    async fn work(mut self, wait: Duration, mut stopping: watch::Receiver<()>) {
        tokio::time::sleep(wait).await;
        let mut last_success = self.clock.monotonic();
        let mut last_write = last_success;
        let mut number = 0;
        loop {
            let began = self.clock.monotonic();
            let writes = self.writes && began.saturating_sub(last_write) >= WRITE_EVERY;
            let request = if writes {
                (last_write, number) = (began, number + 1);
                Request {
                    method: "POST",
                    path: "/count",
                    body: number.to_string(),
                    after: self.after,
                }
            } else {
                Request::get("/", self.after)
            };
            let outcome = self.ask(&request).await;
            let now = self.clock.monotonic();
            let gap = now.saturating_sub(last_success);
            let pause = if outcome.is_ok() {
                last_success = now;
                self.think_time
            } else {
                self.kept = None;
                PAUSE_AFTER_FAILURE
            };
            self.note(outcome, gap, writes.then_some(number));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.changed() => return,
            }
        }
    }

    /// One request as a user makes it: with a second connection where the kept one had been closed.
    async fn ask(&mut self, request: &Request) -> Result<Success, String> {
        if let Some(connection) = self.kept.take() {
            match self.exchange(connection, request).await {
                Ok(answer) => return succeed(&answer, false),
                Err(broken) if broken.bytes_received == 0 && is_closed(&broken) => {}
                Err(broken) => return Err(broken.to_string()),
            }
            let answer = self.ask_anew(request).await?;
            return succeed(&answer, true);
        }
        let answer = self.ask_anew(request).await?;
        succeed(&answer, false)
    }

    async fn ask_anew(&mut self, request: &Request) -> Result<Answer, String> {
        let connection = Connection::open(self.entrance).await;
        let connection = connection.map_err(|broken| format!("cannot connect: {}", broken.why))?;
        self.exchange(connection, request)
            .await
            .map_err(|broken| broken.to_string())
    }

    async fn exchange(
        &mut self,
        mut connection: Connection,
        request: &Request,
    ) -> Result<Answer, Broken> {
        let answer = connection.exchange(request).await?;
        if request.after == After::Keep && answer.after == After::Keep {
            self.kept = Some(connection);
        }
        Ok(answer)
    }

    fn note(&self, outcome: Result<Success, String>, gap: Duration, written: Option<u64>) {
        let mut tally = lock(&self.tally);
        tally.total += 1;
        tally.longest_gap = tally.longest_gap.max(gap);
        match outcome {
            Ok(Success { said, reconnected }) => {
                tally.reconnects += u64::from(reconnected);
                tally.highest_served = tally.highest_served.max(said.max_connections);
                *tally.answered_by.entry(said.instance.clone()).or_default() += 1;
                tally.last_by = Some(said.instance);
                tally.written.extend(written);
            }
            Err(why) => {
                tally.failed += 1;
                if tally.failures.len() < FAILURES_KEPT {
                    let at = self.clock.now();
                    tally.failures.push(format!("{at}: {why}"));
                }
            }
        }
    }
}

/// Whether the other side had closed the connection; a time-out, for one, is something else.
fn is_closed(broken: &Broken) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        broken.why.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

fn succeed(answer: &Answer, reconnected: bool) -> Result<Success, String> {
    if answer.status != 200 {
        let body = String::from_utf8_lossy(&answer.body);
        return Err(format!("answered {}: {body}", answer.status));
    }
    let said = serde_json::from_slice(&answer.body);
    let said = said.map_err(|error| format!("the answer cannot be understood: {error}"))?;
    Ok(Success { said, reconnected })
}

/// A tally is whole after every line, so a panic elsewhere does not matter here.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use evenkeel_daemon::clock::SystemClock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that treats the requests of each connection as told, then closes it.
    async fn server(connection: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    for answer in connection {
                        let mut request = [0; 1024];
                        if stream.read(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n\
                        {\"instance\":\"a\",\"max_connections\":512}";
    const BAD: &str = "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}";
    const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n{\"inst";

    /// What `count` clients saw of the server once they have made at least `requests`.
    async fn seen(count: u32, server: SocketAddr, requests: u64) -> Tally {
        let clients = Clients::start(count, server, Arc::new(SystemClock::start()));
        for _ in 0..2000 {
            if clients.tally().total >= requests {
                return clients.stop().await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the clients are too slow: {:?}", clients.tally());
    }

    #[tokio::test]
    async fn a_kept_connection_that_was_closed_while_idle_is_no_failure() {
        let tally = seen(2, server(&[GOOD, GOOD]).await, 20).await;
        assert_eq!(
            (tally.failed, tally.failures.len()),
            (0, 0),
            "{:?}",
            tally.failures
        );
        assert!(tally.reconnects >= 2, "{tally:?}");
        assert_eq!(tally.highest_served, 512);
        assert_eq!(tally.answered_by["a"], tally.total);
        assert!(tally.longest_gap > Duration::ZERO);
    }

    #[tokio::test]
    async fn an_answer_that_is_not_200_or_breaks_off_is_a_failure() {
        for (server, why) in [
            (server(&[BAD]).await, "answered 503"),
            (server(&[HALF]).await, "bytes"),
        ] {
            let tally = seen(2, server, 4).await;
            assert_eq!(tally.failed, tally.total, "{tally:?}");
            assert!(tally.failures[0].contains(why), "{:?}", tally.failures);
        }
    }

    #[tokio::test]
    async fn a_new_connection_that_is_closed_without_an_answer_is_a_failure() {
        let tally = seen(1, server(&[""]).await, 2).await;
        assert_eq!((tally.failed, tally.reconnects), (tally.total, 0));
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure_and_one_client_may_be_alone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = listener.local_addr().unwrap();
        drop(listener);
        let tally = seen(1, nobody, 2).await;
        assert!(
            tally.failures[0].contains("cannot connect"),
            "{:?}",
            tally.failures
        );
    }
}
