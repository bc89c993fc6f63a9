//! What is answered to nonsense.

use std::time::Duration;

use evenkeel_api::routes::{self, Method};
use evenkeel_api::wire::{EventQuery, HistoryQuery};

use super::Site;
use crate::http::extract::BODY_BYTES_MAX;

#[tokio::test]
async fn every_route_of_the_table_is_there() {
    let site = Site::with_web().await;
    for route in routes::ALL {
        let path = route
            .template
            .replace("{resource}", "web")
            .replace(['{', '}'], "");
        let (status, body) = site.raw(route.method.as_str(), &path, "").await;
        assert_ne!(status, 405, "{}", route.template);
        assert!(
            !body.contains("unknown-route"),
            "{}: {body}",
            route.template
        );
        let other = match route.method {
            Method::Get => "POST",
            Method::Post => "GET",
        };
        assert_eq!(
            site.raw(other, &path, "").await.0,
            405,
            "{}",
            route.template
        );
    }
}

#[tokio::test]
async fn an_unknown_name_is_told_with_the_nearest_known() {
    let site = Site::guarded().await;
    let check = |error: evenkeel_api::ClientError, text: &str| assert_eq!(error.to_string(), text);
    let error = site.client.resource("wed").await.unwrap_err();
    check(error, "there is no resource `wed`: did you mean `web`?");
    let query = EventQuery {
        resource: Some("wbe".to_owned()),
        ..EventQuery::default()
    };
    let error = site.client.events(&query).await.unwrap_err();
    check(error, "there is no resource `wbe`: did you mean `web`?");
    let query = HistoryQuery {
        property: "conf/worker".to_owned(),
        stream: None,
        from: None,
        until: None,
        step_s: None,
        aggregation: None,
    };
    let error = site.client.history("web", &query).await.unwrap_err();
    check(
        error,
        "web: there is no property `conf/worker`: did you mean `conf/workers`?",
    );
    let error = site.client.event("e999999").await.unwrap_err();
    check(error, "there is no event `e999999`");
    let error = site.client.run("x1").await.unwrap_err();
    check(error, "run: `x1` is not an id here; ids look like `r12`");
    let problem = site.problem("GET", "/v1/statuss", "").await;
    assert_eq!(problem.status, 404);
    assert_eq!(
        problem.remedy.as_deref(),
        Some("did you mean `/v1/status`?")
    );
}

#[tokio::test]
async fn a_query_that_is_wrong_names_its_field() {
    let site = Site::guarded().await;
    let of = "/v1/resources/web";
    for (path, says) in [
        ("/v1/events?limit=many", "limit: invalid digit"),
        ("/v1/events?kin=sync", "unknown field `kin`"),
        ("/v1/events?kind=loud", "unknown variant `loud`"),
        ("/v1/events?after=x", "after: `x` is not an id"),
        (&format!("{of}/history"), "missing field `property`"),
        (
            &format!("{of}/history?property=memory&from=noon"),
            "from: `noon` is not an instant",
        ),
        (
            &format!("{of}/history?property=memory&step_s=0"),
            "step_s: 0 s is not a span",
        ),
        (
            &format!("{of}/history?property=memory&aggregation=max"),
            "there is no step",
        ),
        (
            &format!("{of}/changes?from=2020-01-02T00:00:00Z&until=2020-01-01T00:00:00Z"),
            "is not before",
        ),
    ] {
        let problem = site.problem("GET", path, "").await;
        assert_eq!(problem.status, 400, "{path}");
        assert!(problem.to_string().contains(says), "{path}: {problem}");
    }
}

#[tokio::test]
async fn a_body_that_is_wrong_names_its_place() {
    let site = Site::with_web().await;
    let path = "/v1/resources/web/resume";
    for (body, says) in [
        ("", "body:1:0: EOF while parsing"),
        ("{\n  \"dry_run\": yes}", "body:2:"),
        (
            r#"{"dry_run":true,"dryrun":true}"#,
            "unknown field `dryrun`",
        ),
        (r#"{"reason":"x"}"#, "missing field `dry_run`"),
        (r#"{"dry_run":"true"}"#, "expected a boolean"),
    ] {
        let problem = site.problem("POST", path, body).await;
        assert_eq!(problem.status, 400, "{body}");
        assert!(problem.to_string().contains(says), "{body}: {problem}");
    }
    let long = format!("\"{}\"", "x".repeat(BODY_BYTES_MAX));
    let problem = site.problem("POST", path, &long).await;
    assert_eq!(
        (problem.status, problem.title.as_str()),
        (413, "the body is too large")
    );
}

#[tokio::test]
async fn a_resource_that_does_not_answer_is_not_waited_for_without_end() {
    let mut never_read = None;
    let site = Site::start_with(&["web"], |state, resources| {
        let (messages, inbox) = tokio::sync::mpsc::channel(8);
        resources[0].1.messages = messages;
        state.patience = Duration::from_millis(20);
        never_read = Some(inbox);
    })
    .await;
    let path = "/v1/resources/web/resume";
    let problem = site.problem("POST", path, r#"{"dry_run":false}"#).await;
    assert_eq!(problem.status, 503);
    assert!(
        problem.to_string().contains("may be done all the same"),
        "{problem}"
    );
    drop(never_read);
    let problem = site.problem("POST", path, r#"{"dry_run":false}"#).await;
    assert!(
        problem.to_string().contains("is being stopped"),
        "{problem}"
    );
    assert_eq!(site.raw("GET", "/v1/status", "").await.0, 200);
}
