//! As much of HTTP/1.1 as a client of a static page needs.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any pause that a client would accept as none.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Which instance answered: the port in its `X-Served-By`.
    pub port: Option<u16>,
    /// The body.
    pub body: String,
}

/// Whether a connection may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Alive,
    Closed,
}

/// Gets a page on a connection of its own.
///
/// # Errors
/// When there is no whole answer.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Reply> {
    exchange(&mut connect(address)?, path, Keep::Closed)
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// One request and its answer. An error of kind `ConnectionAborted` means that the other side had
/// closed the connection before the first byte of an answer.
pub(crate) fn exchange(stream: &mut TcpStream, path: &str, keep: Keep) -> io::Result<Reply> {
    let connection = match keep {
        Keep::Alive => "keep-alive",
        Keep::Closed => "close",
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: web\r\nConnection: {connection}\r\n\r\n");
    let unanswered = |error: io::Error| match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            io::Error::new(io::ErrorKind::ConnectionAborted, error)
        }
        _ => error,
    };
    stream.write_all(request.as_bytes()).map_err(unanswered)?;
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(reply) = parse(&read)? {
            return Ok(reply);
        }
        let got = match stream.read(&mut chunk) {
            Err(error) if read.is_empty() => return Err(unanswered(error)),
            got => got?,
        };
        if got == 0 {
            let kind = if read.is_empty() {
                io::ErrorKind::ConnectionAborted
            } else {
                io::ErrorKind::UnexpectedEof
            };
            return Err(io::Error::new(
                kind,
                format!("closed after {} bytes", read.len()),
            ));
        }
        read.extend_from_slice(&chunk[..got]);
    }
}

/// The reply, once it is whole.
fn parse(read: &[u8]) -> io::Result<Option<Reply>> {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, head.to_owned());
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(wrong)?;
    let header = |name: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let length: usize = header("content-length")
        .and_then(|text| text.parse().ok())
        .ok_or_else(wrong)?;
    let port = header("x-served-by").and_then(|text| text.parse().ok());
    let is_whole = body.len() >= length;
    Ok(is_whole.then(|| Reply {
        status,
        port,
        body: body[..length].to_owned(),
    }))
}
