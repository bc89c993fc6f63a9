//! What a handler takes out of a request: the resource, ids, the query, the body, who asked. Each fails
//! with a problem that names the part of the request which is wrong.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use evenkeel_core::{ResourceId, Timestamp};
use serde::de::DeserializeOwned;

use super::peer::Peer;
use super::problem::{Refused, bad_request, problem, unknown};
use super::{AppState, access};
use crate::engine::{ResourceHandle, Snapshot};

/// The longest body that is read.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// The names in a path, decoded.
#[derive(Debug)]
pub(super) struct Names(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let names = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| bad_request("path", error.body_text()))?;
        Ok(Self(
            names
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ))
    }
}

impl Names {
    /// The value of a name of the route's template.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The same, as an id.
    pub(super) fn id<I: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<I, Refused> {
        self.get(name)
            .parse()
            .map_err(|error: I::Err| bad_request(name, error.to_string()).into())
    }
}

/// The resource that a path names.
#[derive(Debug)]
pub(super) struct Resource {
    /// Its name.
    pub(super) name: ResourceId,
    /// What the daemon holds of it.
    pub(super) handle: ResourceHandle,
}

impl Resource {
    /// How it stands.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.snapshot.borrow().clone()
    }
}

impl FromRequestParts<Arc<AppState>> for Resource {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Refused> {
        let names = Names::from_request_parts(parts, state).await?;
        find(state, names.get("resource"))
    }
}

/// The resource of this name.
pub(super) fn find(state: &AppState, name: &str) -> Result<Resource, Refused> {
    let Some(handle) = state.registry.get(name) else {
        let known = state.registry.names();
        return Err(unknown("resource", name, known.iter().map(String::as_str)).into());
    };
    Ok(Resource {
        name: name.into(),
        handle,
    })
}

/// The query of a request.
#[derive(Debug)]
pub(super) struct Asked<Q>(pub(super) Q);

impl<Q: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<Q> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let Query(query) = Query::try_from_uri(&parts.uri).map_err(|error| {
            let text = error.body_text();
            // What the library puts in front says no more than the place.
            let what = text
                .split_once("query string: ")
                .map_or(text.as_str(), |(_, what)| what);
            bad_request("query", what)
        })?;
        Ok(Self(query))
    }
}

/// The JSON body of a request.
#[derive(Debug)]
pub(super) struct Body<B>(pub(super) B);

impl<B: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<B> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let detail = format!("the body is longer than {} KiB", BODY_BYTES_MAX / 1024);
                problem(
                    error.status(),
                    "body-too-large",
                    "the body is too large",
                    detail,
                )
            } else {
                bad_request("body", error.body_text())
            }
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let text = error.to_string();
            // The place stands in front; not at the end as well.
            let what = text.split(" at line ").next().unwrap_or(&text);
            bad_request(&format!("body:{line}:{column}"), what)
                .with_remedy(
                    "give a JSON object as the API describes it, `{\"dry_run\": true}` at least",
                )
                .into()
        })
    }
}

/// Whoever asks to act, and may.
#[derive(Debug)]
pub(super) struct Actor(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let ConnectInfo(peer) = ConnectInfo::<Peer>::from_request_parts(parts, state)
            .await
            .map_err(|error| {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                problem(status, "peer", "who asks is not known", error.body_text())
            })?;
        Ok(Self(access::may_act(peer)?))
    }
}

/// An instant of the request, if it was given.
pub(super) fn instant(place: &str, text: Option<&str>) -> Result<Option<Timestamp>, Refused> {
    let Some(text) = text else { return Ok(None) };
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        bad_request(place, format!("`{text}` is not an instant"))
            .with_remedy("write RFC 3339, such as 2026-11-24T23:14:46Z")
    })?;
    Ok(Some(Timestamp::from_millis(at.as_millisecond())))
}

/// A span of the request.
pub(super) fn span(place: &str, seconds: f64) -> Result<Duration, Refused> {
    const LONGEST_S: f64 = 10.0 * 366.0 * 86_400.0;
    if (0.001..=LONGEST_S).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(bad_request(
        place,
        format!("{seconds} s is not a span that can be asked for"),
    )
    .with_remedy("give seconds, from 0.001 to ten years")
    .into())
}

/// How many things are answered with: what was asked for, within reason.
pub(super) fn limit(asked: Option<u32>, default: usize, most: usize) -> usize {
    asked.map_or(default, |limit| {
        usize::try_from(limit).unwrap_or(most).min(most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_that_is_none_names_its_place_and_what_would_be_right() {
        let at = instant("from", Some("1970-01-01T01:00:00+01:00")).unwrap();
        assert_eq!(at, Some(Timestamp::from_millis(0)));
        assert_eq!(instant("from", None).unwrap(), None);
        let Refused(problem) = instant("from", Some("noon")).unwrap_err();
        assert_eq!(problem.status, 400);
        let text = problem.to_string();
        assert!(text.starts_with("from: `noon` is not an instant"), "{text}");
    }

    #[test]
    fn a_span_is_positive_and_finite() {
        assert_eq!(span("for_s", 1.5).unwrap(), Duration::from_millis(1500));
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e12] {
            assert!(span("for_s", seconds).is_err(), "{seconds}");
        }
    }
}
