//! The one question for which starting a command would take too long: how far a run is just now.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use evenkeel_api::routes;
use evenkeel_api::wire::RunView;

/// The run as it stands; `None` while it is not there, or the daemon is not.
pub fn run_now(socket: &Path, run: &str) -> Option<RunView> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let path = routes::RUN.path(&[run]);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: evenkeel\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}
