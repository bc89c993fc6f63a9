//! Asking an instance whether it is well. Every check has a time limit, whatever the other side does.

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_core::Brief;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::config::HealthConfig;
use crate::process::run::{Launch, run_to_end};

/// How health is checked.
#[derive(Debug)]
pub(super) enum Check<'a> {
    Tcp,
    Http { path: &'a str, expect: u16 },
    Command(Launch),
}

/// One check. `Err` says in one sentence why it is not well.
pub(super) async fn check(
    check: &Check<'_>,
    address: SocketAddr,
    limit: Duration,
) -> Result<(), String> {
    let asking = async {
        match check {
            Check::Tcp => connect(address).await.map(|_closed_at_once| ()),
            Check::Http { path, expect } => http(address, path, *expect).await,
            Check::Command(launch) => match run_to_end(launch, limit).await?.failure() {
                None => Ok(()),
                Some(why) => Err(format!("`{}`: {why}", launch.describe())),
            },
        }
    };
    // The command has its own limit, which also ends what it started.
    let hard_limit = limit + Duration::from_secs(1);
    let limit = if matches!(check, Check::Command(_)) {
        hard_limit
    } else {
        limit
    };
    match tokio::time::timeout(limit, asking).await {
        Ok(result) => result,
        Err(_) => Err(format!("{address} did not answer within {}", Brief(limit))),
    }
}

impl HealthConfig {
    /// The path and the status of a check over HTTP.
    pub(super) fn http_check(&self) -> Option<Check<'_>> {
        let path = self.http.as_deref()?;
        Some(Check::Http {
            path,
            expect: self.expect.unwrap_or(200),
        })
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address)
        .await
        .map_err(|error| format!("cannot connect to {address}: {error}"))
}

async fn http(address: SocketAddr, path: &str, expect: u16) -> Result<(), String> {
    const HEAD_BYTES_MAX: usize = 8 * 1024;
    let mut stream = connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: evenkeel\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let failed = |error: std::io::Error| format!("{address}{path}: {error}");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.contains(&b'\n') && head.len() < HEAD_BYTES_MAX {
        let count = stream.read(&mut buffer).await.map_err(failed)?;
        if count == 0 {
            break;
        }
        head.extend_from_slice(&buffer[..count]);
    }
    match status_of(&head) {
        Some(status) if status == expect => Ok(()),
        Some(status) => Err(format!(
            "{address}{path} answered {status}, expected {expect}"
        )),
        None if head.is_empty() => Err(format!("{address}{path}: closed without an answer")),
        None => Err(format!("{address}{path}: the answer is not HTTP")),
    }
}

fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|&byte| byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    async fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 256];
            let _ = stream.read(&mut buffer).await;
            stream.write_all(answer).await.unwrap();
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
        });
        address
    }

    async fn ask(answer: &'static [u8]) -> Result<(), String> {
        let http = Check::Http {
            path: "/healthz",
            expect: 200,
        };
        check(&http, server(answer).await, LIMIT).await
    }

    #[tokio::test]
    async fn the_status_decides() {
        assert_eq!(ask(b"HTTP/1.1 200 OK\r\n\r\n").await, Ok(()));
        assert!(
            ask(b"HTTP/1.0 503 no\r\n\r\n")
                .await
                .unwrap_err()
                .contains("answered 503, expected 200")
        );
        assert!(
            ask(b"SSH-2.0-x\r\n")
                .await
                .unwrap_err()
                .contains("not HTTP")
        );
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_unwell_in_time() {
        assert!(
            ask(b"")
                .await
                .unwrap_err()
                .contains("did not answer within 300 ms")
        );
    }

    #[tokio::test]
    async fn nobody_there_is_unwell() {
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(
            check(&Check::Tcp, address, LIMIT)
                .await
                .unwrap_err()
                .contains("cannot connect")
        );
    }
}
