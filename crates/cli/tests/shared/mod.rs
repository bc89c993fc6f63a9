//! What the tests of commands that need no daemon have in common.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_api::Client;
use evenkeel_cli::render::Style;
use evenkeel_cli::{CliError, Invocation, Screen, Session, execute, try_parse_from};
use evenkeel_core::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// Where the project stands.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command answered.
pub(crate) struct Done {
    pub(crate) outcome: Result<(), CliError>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command, at a terminal where `at_terminal`.
pub(crate) async fn run_command(
    command: &str,
    socket: &Path,
    line: &[&str],
    at_terminal: bool,
) -> Done {
    let start = ["evenkeel", command];
    let line = start.iter().chain(line);
    let Ok(Invocation::Remote(command, _)) = try_parse_from(line.clone()) else {
        panic!("{:?} is not understood", line.collect::<Vec<_>>());
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut session = Session {
        client: Client::new(socket),
        out: &mut out,
        err: &mut err,
        input: &mut Cursor::new(Vec::new()),
        screen: Screen {
            style: Style::PLAIN,
            can_ask: at_terminal,
            live: at_terminal,
        },
        clock: &|| Timestamp::from_millis(1_795_562_045_000),
        poll: Duration::from_millis(1),
    };
    let outcome = execute(command, &mut session).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done {
        outcome,
        out: text(out),
        err: text(err),
    }
}

/// Files of a directory that goes with the test.
pub(crate) struct Files(pub(crate) TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// The commands of a page, each with what it is said to answer.
pub(crate) fn shown(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let (command, answer) = block.split_once('\n').unwrap();
        let command = command.strip_prefix("$ ").expect("a command first");
        found.push((command.to_owned(), answer.to_owned()));
    }
    found
}

/// A daemon that answers so many requests, each by its first line, and then says which they were.
pub(crate) fn daemon(
    requests: usize,
    answer: impl Fn(&str) -> String + Send + 'static,
) -> (TempDir, PathBuf, JoinHandle<Vec<String>>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let daemon = tokio::spawn(async move {
        let mut asked = Vec::new();
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let length = stream.read(&mut request).await.unwrap();
            let line = String::from_utf8_lossy(&request[..length]).into_owned();
            let line = line.lines().next().unwrap_or_default().to_owned();
            let answer = answer(&line);
            asked.push(line);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (directory, socket, daemon)
}
