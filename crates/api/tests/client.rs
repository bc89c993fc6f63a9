//! The client against a server of canned answers, over a real Unix socket.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_api::wire::{ActRequest, EventKind, EventQuery};
use evenkeel_api::{Client, ClientError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// What the canned server does with one connection.
enum Canned {
    /// Answers these bytes.
    Bytes(String),
    /// Reads, and never answers.
    Silence,
}

fn json(status: &str, body: &str) -> Canned {
    Canned::Bytes(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Serves one connection and gives back the request it read.
fn serve(canned: Canned) -> io::Result<(TempDir, Client, JoinHandle<io::Result<String>>)> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("evenkeel.sock");
    let listener = UnixListener::bind(&socket)?;
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        while !is_whole(&request) {
            match stream.read(&mut chunk).await? {
                0 => break,
                n => request.extend_from_slice(&chunk[..n]),
            }
        }
        match canned {
            Canned::Bytes(bytes) => stream.write_all(bytes.as_bytes()).await?,
            Canned::Silence => {
                // Ends when the client gives up.
                while stream.read(&mut chunk).await? > 0 {}
            }
        }
        Ok(String::from_utf8_lossy(&request).into_owned())
    });
    Ok((directory, Client::new(socket), served))
}

/// Whether head and body of a request are there.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0);
    body.len() >= length
}

#[tokio::test]
async fn a_reading_call_asks_its_route_and_understands_the_answer() {
    let (_directory, client, served) = serve(json("200 OK", r#"{"events":[],"new":1}"#)).unwrap();
    let query = EventQuery {
        kind: Some(EventKind::Decision),
        ..EventQuery::default()
    };
    assert!(client.events(&query).await.unwrap().events.is_empty());
    let request = served.await.unwrap().unwrap();
    assert!(
        request.starts_with("GET /v1/events?kind=decision HTTP/1.1\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn an_acting_call_posts_its_body() {
    let answer = r#"{"done":true,"plan":{"sentence":"s","steps":[],"guards":[]},
        "run":"r12","event":"e7","message":"begun"}"#;
    let (_directory, client, served) = serve(json("202 Accepted", answer)).unwrap();
    let request = ActRequest {
        dry_run: false,
        reason: Some("disk".into()),
    };
    let acted = client.failover("we/b", &request).await.unwrap();
    assert_eq!(acted.run.as_deref(), Some("r12"));
    let sent = served.await.unwrap().unwrap();
    assert!(
        sent.starts_with("POST /v1/resources/we%2Fb/failover HTTP/1.1\r\n"),
        "{sent}"
    );
    assert!(
        sent.ends_with(r#"{"dry_run":false,"reason":"disk"}"#),
        "{sent}"
    );
}

#[tokio::test]
async fn without_a_socket_the_daemon_is_not_running() {
    let directory = tempfile::tempdir().unwrap();
    let client = Client::new(directory.path().join("none.sock"));
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("none.sock: no daemon is running there: start it with")
    );
}

#[tokio::test]
async fn a_socket_file_that_a_dead_daemon_left_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let socket: PathBuf = directory.path().join("dead.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let error = Client::new(socket).health().await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error:?}");
    assert!(error.may_pass());
}

#[tokio::test]
async fn a_problem_document_is_told_with_its_way_out() {
    let body = r#"{"type":"about:blank","title":"not found","status":404,
        "detail":"no resource `wbe`","remedy":"did you mean `web`?"}"#;
    let (_directory, client, _served) = serve(json("404 Not Found", body)).unwrap();
    let error = client.resource("wbe").await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(problem) if problem.status == 404),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "no resource `wbe`: did you mean `web`?");
}

#[tokio::test]
async fn an_error_without_a_problem_document_is_told_as_far_as_it_goes() {
    let (_directory, client, _served) = serve(json("500 Internal Server Error", "oops")).unwrap();
    let error = client.status().await.unwrap_err();
    assert_eq!(error.to_string(), "/v1/status: oops");
}

#[tokio::test]
async fn garbage_is_a_malformed_answer() {
    let garbage = [
        Canned::Bytes("SSH-2.0-OpenSSH\r\n\r\n".into()),
        json("200 OK", r#"{"pid":"x"}"#),
    ];
    for canned in garbage {
        let (_directory, client, _served) = serve(canned).unwrap();
        let error = client.health().await.unwrap_err();
        assert!(matches!(error, ClientError::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains("/v1/health"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_broken() {
    let (_directory, client, _served) = serve(Canned::Bytes(String::new())).unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends_with_the_time_limit_and_says_that_an_action_may_have_been_done() {
    let (_directory, client, served) = serve(Canned::Silence).unwrap();
    let client = client.with_timeout(Duration::from_millis(20));
    let request = ActRequest {
        dry_run: false,
        reason: None,
    };
    let error = client.sync("web", &request).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    assert!(error.to_string().contains("may have been done"), "{error}");
    // The connection was closed with the call: the server's read ends.
    served.await.unwrap().unwrap();
}
