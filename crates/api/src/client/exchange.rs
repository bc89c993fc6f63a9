//! One request and its answer on the wire.

use std::path::Path;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::ClientError;
use crate::routes::{Method, Route};
use crate::wire::Problem;

/// No answer of the daemon is longer: a history of every property for a year fits.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An answer in full.
pub(super) struct Answer {
    status: StatusCode,
    body: Bytes,
}

/// The task that drives a connection; it ends with whoever asked, also when that one ran out of time.
struct Driving(JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends one request on a connection of its own and collects the answer.
pub(super) async fn exchange(
    socket: &Path,
    route: Route,
    path_and_query: &str,
    body: Vec<u8>,
) -> Result<Answer, ClientError> {
    let broken = |what: String| ClientError::Broken {
        socket: socket.to_path_buf(),
        route,
        what,
    };
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| ClientError::connecting(socket, route, &error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.to_string()))?;
    // An error of the connection also fails the request below, which tells of it.
    let _driving = Driving(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let request = Request::builder()
        .method(match route.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
        })
        .uri(path_and_query)
        // HTTP/1.1 demands a host; a Unix socket has none.
        .header(HOST, "evenkeel")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| broken(format!("cannot ask for {path_and_query}: {error}")))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| told(&error, route, &broken))?;
    collect(response).await.map_err(broken)
}

/// Something that is no HTTP is a malformed answer, not a broken connection.
fn told(error: &hyper::Error, route: Route, broken: &dyn Fn(String) -> ClientError) -> ClientError {
    if error.is_parse() {
        ClientError::Malformed {
            route,
            what: format!("not HTTP: {error}"),
        }
    } else {
        broken(error.to_string())
    }
}

async fn collect(response: Response<Incoming>) -> Result<Answer, String> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| format!("the answer broke off: {error}"))?
        .to_bytes();
    Ok(Answer { status, body })
}

/// What the answer says: the value asked for, or a problem.
pub(super) fn understand<A: DeserializeOwned>(
    answer: &Answer,
    route: Route,
) -> Result<A, ClientError> {
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|error| ClientError::Malformed {
            route,
            what: error.to_string(),
        });
    }
    let problem = serde_json::from_slice(&answer.body).unwrap_or_else(|_| {
        // Not a problem document: say at least what HTTP says, with the start of what came.
        let text = String::from_utf8_lossy(&answer.body);
        let start: String = text.trim().chars().take(200).collect();
        let title = answer.status.canonical_reason().unwrap_or_default();
        Problem::new(answer.status.as_u16(), title, start).at(route.template)
    });
    Err(ClientError::Refused(Box::new(problem)))
}
