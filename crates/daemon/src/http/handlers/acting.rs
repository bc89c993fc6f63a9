//! What people ask of a resource's task. A refusal is an answer like any other, with the guards that
//! hold; a problem is told when there is no answer.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use evenkeel_api::wire;
use evenkeel_core::EventId;
use evenkeel_core::band::Judgement;
use evenkeel_core::decide::Command;
use evenkeel_core::property::Severity;
use evenkeel_core::record::{EventKind, NewEvent};
use globset::Glob;
use tokio::sync::oneshot;

use crate::engine::{self, Message};
use crate::http::AppState;
use crate::http::convert::acting as convert;
use crate::http::extract::{Actor, Body, Resource, instant, span};
use crate::http::problem::{Answer, Refused, bad_request, conflict, problem, unknown};

/// How much longer than others an `accept` may take: it reads the resource first.
const ACCEPT_PATIENCE_FACTOR: u32 = 6;

/// Who asks for what, and what for.
struct Request {
    resource: Resource,
    by: String,
    dry_run: bool,
    reason: Option<String>,
}

macro_rules! plain_commands {
    ($($name:ident = $command:ident;)+) => {
        $(
            pub(in crate::http) async fn $name(
                State(state): State<Arc<AppState>>,
                resource: Resource,
                Actor(by): Actor,
                Body(body): Body<wire::ActRequest>,
            ) -> Answer<wire::Acted> {
                let wire::ActRequest { dry_run, reason } = body;
                let request = Request { resource, by, dry_run, reason };
                decide(&state, request, Command::$command).await
            }
        )+
    };
}

plain_commands! {
    failover = Failover;
    switchover = Switchover;
    failback = Failback;
    reinstate = Reinstate;
    resume = Resume;
    release = Release;
}

pub(in crate::http) async fn approve(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Actor(by): Actor,
    Body(body): Body<wire::ApproveRequest>,
) -> Answer<wire::Acted> {
    let wire::ApproveRequest {
        for_s,
        dry_run,
        reason,
    } = body;
    let until = state.now() + span("for_s", for_s)?;
    let request = Request {
        resource,
        by,
        dry_run,
        reason,
    };
    decide(&state, request, Command::Approve { until }).await
}

pub(in crate::http) async fn pause(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Actor(by): Actor,
    Body(body): Body<wire::PauseRequest>,
) -> Answer<wire::Acted> {
    let wire::PauseRequest {
        for_s,
        dry_run,
        reason,
    } = body;
    let length = for_s.map(|seconds| span("for_s", seconds)).transpose()?;
    let until = length.map(|length| state.now() + length);
    let why = reason.unwrap_or_else(|| "no reason given".to_owned());
    // The pause itself keeps the reason.
    let request = Request {
        resource,
        by,
        dry_run,
        reason: None,
    };
    decide(&state, request, Command::Pause { why, until }).await
}

pub(in crate::http) async fn judge(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Actor(by): Actor,
    Body(body): Body<wire::JudgeRequest>,
) -> Answer<wire::Acted> {
    let wire::JudgeRequest {
        event,
        judgement,
        dry_run,
        reason,
    } = body;
    let id: EventId = (event.parse())
        .map_err(|error: <EventId as FromStr>::Err| bad_request("event", error.to_string()))?;
    let found = state.world.control.event(id).await?;
    let Some(found) = found.filter(|e| e.event.resource.as_ref() == Some(&resource.name)) else {
        return Err(unknown("event", &event, []).into());
    };
    let explanation = found.event.explanation.as_ref();
    let Some(path) = explanation.and_then(|explanation| explanation.reason.path()) else {
        let what = format!("{id} is not an alarm about a property");
        return Err(bad_request("event", what)
            .with_remedy("name a decision: `evenkeel events --kind decision` lists them")
            .into());
    };
    let command = Command::Judge {
        event: id,
        path: path.clone(),
        judgement: match judgement {
            wire::Judgement::FalseAlarm => Judgement::FalseAlarm,
            wire::Judgement::Right => Judgement::Right,
        },
    };
    let request = Request {
        resource,
        by,
        dry_run,
        reason,
    };
    decide(&state, request, command).await
}

pub(in crate::http) async fn window(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Actor(by): Actor,
    Body(body): Body<wire::WindowRequest>,
) -> Answer<wire::Acted> {
    let wire::WindowRequest {
        from,
        for_s,
        why,
        dry_run,
    } = body;
    let now = state.now();
    let from = instant("from", from.as_deref())?.unwrap_or(now);
    let until = from + span("for_s", for_s)?;
    if until <= now {
        let what = format!("the window is over: it ended at {until}");
        return Err(bad_request("from", what)
            .with_remedy("let it end in the future, or leave `from` out for now")
            .into());
    }
    let request = Request {
        resource,
        by,
        dry_run,
        reason: None,
    };
    decide(&state, request, Command::OpenWindow { from, until, why }).await
}

pub(in crate::http) async fn accept(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Actor(by): Actor,
    Body(body): Body<wire::AcceptRequest>,
) -> Answer<wire::Acted> {
    let wire::AcceptRequest {
        paths,
        note,
        dry_run,
    } = body;
    if paths.is_empty() {
        return Err(bad_request("paths", "it names nothing")
            .with_remedy("name at least one property, or `**` for all that differ")
            .into());
    }
    for path in &paths {
        Glob::new(path).map_err(|error| bad_request("paths", error.to_string()))?;
    }
    let request = Request {
        resource,
        by,
        dry_run,
        reason: None,
    };
    let asked = engine::Asked::Accept { paths, note };
    let patience = state.patience * ACCEPT_PATIENCE_FACTOR;
    let answer = ask(&request, asked, patience).await?;
    let answer = answer.map_err(|why| conflict(request.resource.name.as_str(), why))?;
    Ok(Json(convert::acted(&answer)))
}

async fn decide(state: &AppState, request: Request, command: Command) -> Answer<wire::Acted> {
    let answer = ask(&request, engine::Asked::Decide(command), state.patience).await?;
    let answer = answer.map_err(|why| {
        let title = "nothing was done";
        problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "not-recorded",
            title,
            why,
        )
        .at(request.resource.name.as_str())
    })?;
    if let (Some(reason), false) = (&request.reason, request.dry_run) {
        let sentence = format!("{}; {} says: {reason}", answer.message, request.by);
        let mut event = NewEvent::new(state.now(), EventKind::Operator, Severity::Info, sentence)
            .of(&request.resource.name)
            .by(&request.by);
        event.run = answer
            .plan
            .as_ref()
            .filter(|_| answer.done)
            .map(|plan| plan.run);
        state.world.control.record(vec![event]).await?;
    }
    Ok(Json(convert::acted(&answer)))
}

/// Asks the resource's task. The inner error is its refusal to do anything at all.
async fn ask(
    request: &Request,
    asked: engine::Asked,
    patience: Duration,
) -> Result<Result<engine::Answer, String>, Refused> {
    let Request {
        resource,
        by,
        dry_run,
        ..
    } = request;
    let (reply, answer) = oneshot::channel();
    let message = Message::Asked {
        asked,
        by: by.clone(),
        dry_run: *dry_run,
        reply,
    };
    let exchange = async {
        resource.handle.messages.send(message).await.ok()?;
        answer.await.ok()
    };
    let unavailable = |detail: String, remedy: &str| {
        problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "no-answer",
            "no answer",
            detail,
        )
        .at(resource.name.as_str())
        .with_remedy(remedy)
    };
    match tokio::time::timeout(patience, exchange).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(unavailable(
            "the resource is being stopped".to_owned(),
            "look whether it is still configured, and ask again",
        )
        .into()),
        Err(_) => Err(unavailable(
            format!("it did not answer within {} s", patience.as_secs_f64()),
            "it may be done all the same: look with `evenkeel events`",
        )
        .into()),
    }
}
