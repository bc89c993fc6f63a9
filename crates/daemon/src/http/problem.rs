//! What is answered when something is not done: problem documents, with place and way out.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use evenkeel_api::routes;
use evenkeel_api::wire::Problem;
use evenkeel_ports::{DriverError, HistoryError, StoreError};

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Box<Problem>);

/// What every handler gives.
pub(super) type Answer<T> = Result<Json<T>, Refused>;

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Box<Problem>> for Refused {
    fn from(problem: Box<Problem>) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store",
            "the store failed",
            error.to_string(),
        )
        .into()
    }
}

impl From<HistoryError> for Refused {
    fn from(error: HistoryError) -> Self {
        let title = "the history failed";
        problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "history",
            title,
            error.to_string(),
        )
        .into()
    }
}

impl From<DriverError> for Refused {
    fn from(error: DriverError) -> Self {
        problem(
            StatusCode::BAD_GATEWAY,
            "driver",
            "the driver failed",
            error.to_string(),
        )
        .into()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        let media_type = HeaderValue::from_static(Problem::MEDIA_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        response
    }
}

/// A problem of a kind that programs can tell from others.
pub(super) fn problem(
    status: StatusCode,
    kind: &str,
    title: &str,
    detail: impl Into<String>,
) -> Problem {
    let mut problem = Problem::new(status.as_u16(), title, detail);
    problem.kind = format!("urn:evenkeel:problem:{kind}");
    problem
}

/// The request is wrong at `place`.
pub(super) fn bad_request(place: &str, detail: impl Into<String>) -> Problem {
    problem(
        StatusCode::BAD_REQUEST,
        "bad-request",
        "the request is wrong",
        detail,
    )
    .at(place)
}

/// What was asked cannot be done as things stand.
pub(super) fn conflict(place: &str, detail: impl Into<String>) -> Problem {
    problem(StatusCode::CONFLICT, "conflict", "not done", detail).at(place)
}

/// The answer will be there later.
pub(super) fn not_yet(place: &str, detail: impl Into<String>) -> Problem {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "not-yet",
        "not known yet",
        detail,
    )
    .at(place)
}

/// There is no such thing; if a known name is near, it is offered.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Problem {
    let detail = format!("there is no {what} `{name}`");
    let kind = format!("unknown-{}", what.replace(' ', "-"));
    let problem = problem(
        StatusCode::NOT_FOUND,
        &kind,
        &format!("unknown {what}"),
        detail,
    );
    match nearest(name, known) {
        Some(near) => problem.with_remedy(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// The known name that is nearest to `name`, if it is near at all.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR: f64 = 0.6;
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(name, candidate),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// No route has this path.
pub(super) async fn no_route(uri: Uri) -> Refused {
    let templates = routes::ALL.iter().map(|route| route.template);
    unknown("route", uri.path(), templates).into()
}

/// The path is right, the method is not.
pub(super) async fn wrong_method(method: Method, uri: Uri) -> Refused {
    let detail = format!("{} is not asked by {method}", uri.path());
    let remedy = "reading routes are asked by GET, acting ones by POST";
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong-method",
        "wrong method",
        detail,
    )
    .with_remedy(remedy)
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        let known = ["web", "database"];
        let problem = unknown("resource", "databse", known);
        assert_eq!(
            problem.to_string(),
            "there is no resource `databse`: did you mean `database`?"
        );
        assert_eq!(unknown("resource", "xyz", known).remedy, None);
        assert_eq!(problem.kind, "urn:evenkeel:problem:unknown-resource");
    }
}
