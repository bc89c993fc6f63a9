//! The load generator: a fixed number of clients, each sending its next request when the last one is
//! answered (a closed loop), for a fixed time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http::Reader;
use crate::report::Report;

/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure a client waits this long, so that a dead server does not make it spin.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to ask for, like `http://127.0.0.1:8082/`.
    #[arg(long)]
    url: String,
    /// Clients at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// How long to send.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=300))]
    seconds: u16,
    /// Stop earlier after this many requests.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    requests_max: u64,
    /// How connections are used.
    #[arg(long, value_enum, default_value_t = Mode::Keepalive)]
    mode: Mode,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// One connection per client, for all its requests.
    Keepalive,
    /// A new connection for every request.
    New,
}

/// Runs the load and prints the report.
#[expect(clippy::print_stdout, reason = "the report is this command's output")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let (address, path) = parse(&options.url)?;
    crate::ensure_loopback("--url", address)?;
    let connection = match options.mode {
        Mode::Keepalive => "keep-alive",
        Mode::New => "close",
    };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: {connection}\r\n\r\n");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(drive(options, address, request.as_bytes().into()));
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

fn parse(url: &str) -> Result<(SocketAddr, &str)> {
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("--url: `{url}` does not start with http://; give one like http://127.0.0.1:8082/");
    };
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = address.parse().with_context(|| {
        format!("--url: `{address}` is not an address and a port, like 127.0.0.1:8082")
    })?;
    Ok((address, if path.is_empty() { "/" } else { path }))
}

/// What one client has to keep to.
struct Task {
    address: SocketAddr,
    request: Arc<[u8]>,
    mode: Mode,
    end: Instant,
    left: Arc<AtomicU64>,
}

/// What one client found.
#[derive(Default)]
struct Found {
    latencies_us: Vec<u32>,
    failed: u64,
    first_error: Option<String>,
}

async fn drive(options: &Options, address: SocketAddr, request: Arc<[u8]>) -> Report {
    let left = Arc::new(AtomicU64::new(options.requests_max));
    let start = now();
    let end = start + Duration::from_secs(options.seconds.into());
    let mut clients = JoinSet::new();
    for _ in 0..options.connections {
        let (request, left) = (Arc::clone(&request), Arc::clone(&left));
        clients.spawn(client(Task {
            address,
            request,
            mode: options.mode,
            end,
            left,
        }));
    }
    let mut all = Found::default();
    while let Some(found) = clients.join_next().await {
        match found {
            Ok(found) => {
                all.latencies_us.extend(found.latencies_us);
                all.failed += found.failed;
                all.first_error = all.first_error.or(found.first_error);
            }
            Err(error) => all.first_error = Some(format!("a client ended in disorder: {error}")),
        }
    }
    Report::new(
        all.latencies_us,
        all.failed,
        start.elapsed(),
        all.first_error,
    )
}

async fn client(task: Task) -> Found {
    let mut found = Found::default();
    let mut open = None;
    loop {
        let start = now();
        let take = |left: u64| left.checked_sub(1);
        let taken = task
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if start >= task.end || taken.is_err() {
            return found;
        }
        let answered = timeout(REQUEST_TIMEOUT, ask(&task, open.take())).await;
        match answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(connection) => {
                let us = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
                found.latencies_us.push(us);
                open = connection;
            }
            Err(error) => {
                found.failed += 1;
                found.first_error.get_or_insert_with(|| error.to_string());
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
    }
}

type Connection = (TcpStream, Reader);

/// Sends one request and reads the answer. Gives the connection back if it can be used again.
async fn ask(task: &Task, open: Option<Connection>) -> io::Result<Option<Connection>> {
    let reused = open.is_some();
    let mut connection = match open {
        Some(connection) => connection,
        None => connect(task.address).await?,
    };
    if !exchange(&mut connection, &task.request).await? {
        if !reused {
            return Err(io::Error::other("the server closed without an answer"));
        }
        // What every HTTP client does when a kept connection turns out to be closed: once more, anew.
        connection = connect(task.address).await?;
        if !exchange(&mut connection, &task.request).await? {
            return Err(io::Error::other(
                "the server closed without an answer, twice",
            ));
        }
    }
    Ok(match task.mode {
        Mode::Keepalive => Some(connection),
        Mode::New => None,
    })
}

async fn connect(address: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok((stream, Reader::default()))
}

/// Whether there was an answer; `false` if the server closed before its first byte.
async fn exchange((stream, reader): &mut Connection, request: &[u8]) -> io::Result<bool> {
    stream.write_all(request).await?;
    if reader.head(stream).await?.is_none() {
        return Ok(false);
    }
    if !reader.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other("the answer is not `HTTP/1.1 200`"));
    }
    let length = reader
        .field("content-length")
        .and_then(|length| length.parse().ok());
    let length = length.ok_or_else(|| io::Error::other("the answer has no Content-Length"))?;
    reader.skip_body(stream, length).await?;
    Ok(true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "measuring time is this tool's purpose"
)]
fn now() -> Instant {
    Instant::now()
}
