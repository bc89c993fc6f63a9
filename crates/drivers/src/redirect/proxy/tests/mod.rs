//! Stories of the proxy over real sockets on loopback. This file has the world they play in: tagged echo
//! servers, clients, and waiting with a bound.

mod draining;
mod fencing;
mod limits;
mod relaying;
mod switching;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_core::FencingToken;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Proxy, ProxyHandle, RouteConfig, RouteName, RouteStats, Target};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// No step of a story takes this long, however busy the machine.
const STUCK: Duration = Duration::from_secs(20);

fn token(number: u64) -> FencingToken {
    FencingToken(number)
}

/// An instance: answers every line with its tag and the line, except `wait`, which it never answers.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(tag: &'static str) -> Self {
        Self::start_at(tag, ANY_PORT).await
    }

    async fn start_at(tag: &'static str, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(echo(tag, client));
            }
        });
        Self { address, task }
    }

    fn target(&self) -> Target {
        self.address.into()
    }

    /// Stops accepting: the address refuses connections from then on.
    async fn stop(self) {
        self.task.abort();
        let _aborted = self.task.await;
    }
}

async fn echo(tag: &'static str, client: TcpStream) {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    while matches!(client.read_line(&mut line).await, Ok(1..)) {
        if line != "wait\n" {
            let answer = format!("{tag} {line}");
            if client.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        line.clear();
    }
}

/// An address where nobody listens, and which stays free for the length of a test.
async fn vacant() -> SocketAddr {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    listener.local_addr().unwrap()
}

/// A proxy with one route, `web`.
struct World {
    proxy: ProxyHandle,
    web: RouteName,
    listen: SocketAddr,
}

impl World {
    fn start(target: impl Into<Target>) -> Self {
        Self::start_with(RouteConfig::new("web", ANY_PORT, target))
    }

    fn start_with(config: RouteConfig) -> Self {
        let (proxy, _task) = Proxy::bind(&[config]).unwrap();
        let web = RouteName::from("web");
        let listen = proxy.listen_address(&web).unwrap();
        Self { proxy, web, listen }
    }

    fn point(&self, to: Target, number: u64) {
        self.proxy.point(&self.web, to, token(number)).unwrap();
    }

    fn stats(&self) -> RouteStats {
        self.proxy.stats().routes.remove(0)
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&RouteStats) -> bool) {
        // Polled, with a bound: about 10 s.
        for _ in 0..5000 {
            if holds(&self.stats()) {
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
        panic!("never saw {what}: {:#?}", self.stats());
    }

    async fn connect(&self) -> Client {
        Client(BufReader::new(
            TcpStream::connect(self.listen).await.unwrap(),
        ))
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Sends a line and reads the answer; an empty one if the server closed.
    async fn ask(&mut self, line: &str) -> io::Result<String> {
        self.say(line).await?;
        let mut answer = String::new();
        self.0.read_line(&mut answer).await?;
        Ok(answer.trim_end().to_owned())
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes()).await
    }

    /// Reads to the end.
    async fn rest(&mut self) -> io::Result<String> {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await?;
        Ok(rest)
    }
}

async fn soon<T>(story: impl Future<Output = T>) -> T {
    timeout(STUCK, story).await.expect("the story is stuck")
}
