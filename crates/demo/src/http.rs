//! As much of an HTTP/1.1 client as the demonstration needs, with one thing that libraries hide: how
//! many bytes of an answer had come when a connection broke. Whether a request failed depends on it.
//!
//! It leaves out chunked bodies, redirects and TLS: the service of the demonstration has none.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Nobody waits longer for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The service's answers are far shorter; a longer one is a fault.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET` or `POST`.
    pub(crate) method: &'static str,
    /// Its path.
    pub(crate) path: &'static str,
    /// Its body; may be empty.
    pub(crate) body: String,
    /// What becomes of the connection.
    pub(crate) after: After,
}

/// What becomes of a connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It is kept for the next.
    Keep,
    /// The server is asked to close it.
    Close,
}

impl Request {
    /// A `GET` of `path`.
    pub(crate) fn get(path: &'static str, after: After) -> Self {
        Self {
            method: "GET",
            path,
            body: String::new(),
            after,
        }
    }

    fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let connection = match self.after {
            After::Keep => "keep-alive",
            After::Close => "close",
        };
        let Self {
            method, path, body, ..
        } = self;
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: Vec<u8>,
    /// What becomes of the connection, as the server says.
    pub(crate) after: After,
}

/// No answer, or half of one.
#[derive(Debug, thiserror::Error)]
#[error("{why}, after {bytes_received} bytes of the answer")]
pub(crate) struct Broken {
    /// How much of the answer had come.
    pub(crate) bytes_received: usize,
    /// What happened.
    pub(crate) why: io::Error,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    host: SocketAddr,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(host: SocketAddr) -> Result<Self, Broken> {
        let connected = tokio::time::timeout(ANSWER_TIMEOUT, TcpStream::connect(host)).await;
        let stream = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|why| Broken {
                bytes_received: 0,
                why,
            })?;
        Ok(Self {
            stream,
            host,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and reads its answer in full.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Result<Answer, Broken> {
        self.buffer.clear();
        let bytes = request.bytes(self.host);
        let exchanging = async {
            self.stream.write_all(&bytes).await?;
            self.read_answer().await
        };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchanging).await;
        answer
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|why| Broken {
                bytes_received: self.buffer.len(),
                why,
            })
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        let head = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break Head::parse(&self.buffer[..at], at + 4)?;
            }
            self.read_more().await?;
        };
        while self.buffer.len() < head.body_from + head.body_bytes {
            self.read_more().await?;
        }
        let body = self.buffer[head.body_from..head.body_from + head.body_bytes].to_vec();
        Ok(Answer {
            status: head.status,
            body,
            after: head.after,
        })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.buffer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer is too long"));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed",
            )),
            _ => Ok(()),
        }
    }
}

/// What the head of an answer says.
#[derive(Debug)]
struct Head {
    status: u16,
    after: After,
    body_from: usize,
    body_bytes: usize,
}

impl Head {
    fn parse(head: &[u8], body_from: usize) -> io::Result<Self> {
        let malformed = || io::Error::other("the answer is not HTTP/1.1 with a known length");
        let head = std::str::from_utf8(head).map_err(|_| malformed())?;
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .ok_or_else(malformed)?;
        let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
        let field = |name: &str| {
            fields
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let length = field("content-length").and_then(|value| value.parse().ok());
        Ok(Self {
            status,
            after: if closes { After::Close } else { After::Keep },
            body_from,
            body_bytes: length.ok_or_else(malformed)?,
        })
    }
}
