//! The record: events with what they were decided on, sagas, the audit log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use evenkeel_api::wire;
use evenkeel_core::failover::{Outcome, PlanKind};
use evenkeel_core::reason::Reason;
use evenkeel_core::record::{EventKind, EventRecord};
use evenkeel_core::{EventId, ResourceId, RunId};
use evenkeel_ports::{EventFilter, RunRecord, StoreError};

use crate::blocking::on_a_thread;
use crate::http::AppState;
use crate::http::convert::{record, run as runs, words};
use crate::http::extract::{Asked, Names, limit};
use crate::http::problem::{Answer, Refused, bad_request, unknown};

/// The most events, or lines of the audit log, in one answer.
const LIMIT_MAX: usize = 1000;

/// Within so many events after a failover its reinstatement begins.
const REINSTATEMENT_WITHIN: usize = 50;

pub(in crate::http) async fn events(
    State(state): State<Arc<AppState>>,
    Asked(query): Asked<wire::EventQuery>,
) -> Answer<wire::EventList> {
    let resource = query.resource.as_deref();
    if let Some(name) = resource {
        recorded_resource(&state, name).await?;
    }
    let after = query.after.as_deref().map(|id| {
        id.parse::<EventId>()
            .map_err(|error| Refused::from(bad_request("after", error.to_string())))
    });
    let filter = EventFilter {
        resource: resource.map(ResourceId::from),
        kind: query.kind.map(words::asked_event_kind),
        run: None,
        after: after.transpose()?,
        limit: limit(query.limit, 50, LIMIT_MAX),
    };
    let events = state.world.control.events(&filter).await?;
    Ok(Json(wire::EventList {
        events: events.iter().map(record::event).collect(),
    }))
}

pub(in crate::http) async fn event(
    State(state): State<Arc<AppState>>,
    names: Names,
) -> Answer<wire::EventDetail> {
    let id: EventId = names.id("event")?;
    let Some(found) = state.world.control.event(id).await? else {
        return Err(unknown("event", &id.to_string(), []).into());
    };
    let runs = runs_of(&state, &found).await?;
    Ok(Json(wire::EventDetail {
        event: record::event(&found),
        explanation: found.event.explanation.as_ref().map(record::explanation),
        diagnosis: diagnosis(&state, &runs).await?,
        runs: runs.iter().map(runs::view).collect(),
        detail: found.event.detail,
    }))
}

pub(in crate::http) async fn run(
    State(state): State<Arc<AppState>>,
    names: Names,
) -> Answer<wire::RunView> {
    let id: RunId = names.id("run")?;
    match state.world.journal.run(id).await? {
        Some(found) => Ok(Json(runs::view(&found))),
        None => Err(unknown("run", &id.to_string(), []).into()),
    }
}

pub(in crate::http) async fn audit(
    State(state): State<Arc<AppState>>,
    Asked(query): Asked<wire::AuditQuery>,
) -> Answer<wire::AuditList> {
    let limit = limit(query.limit, 100, LIMIT_MAX);
    let records = state
        .world
        .audit
        .audit(query.after.unwrap_or(0), limit)
        .await?;
    Ok(Json(wire::AuditList {
        records: records.into_iter().map(record::audit).collect(),
    }))
}

pub(in crate::http) async fn audit_verify(
    State(state): State<Arc<AppState>>,
) -> Answer<wire::AuditReport> {
    // Every line is read and hashed: on a thread where that may take its time.
    let audit = state.world.audit.clone();
    let checking = on_a_thread(async move { audit.verify_audit().await });
    let verdict = checking.await.map_err(|error| StoreError::Failed {
        place: "audit".to_owned(),
        what: format!("the check ended early: {error}"),
    })?;
    Ok(Json(record::verdict(verdict?)))
}

/// Fails if no resource of this name is, or was, watched.
async fn recorded_resource(state: &AppState, name: &str) -> Result<(), Refused> {
    if state.registry.get(name).is_some() {
        return Ok(());
    }
    let recorded = state.world.control.resources().await?;
    if recorded.iter().any(|known| known.as_str() == name) {
        return Ok(());
    }
    let mut known = state.registry.names();
    known.extend(recorded.iter().map(ToString::to_string));
    Err(unknown("resource", name, known.iter().map(String::as_str)).into())
}

/// The sagas that came of an event: its own, and the reinstatement that followed from that.
async fn runs_of(state: &AppState, event: &EventRecord) -> Result<Vec<RunRecord>, StoreError> {
    let Some(id) = event.event.run else {
        return Ok(Vec::new());
    };
    let Some(first) = state.world.journal.run(id).await? else {
        return Ok(Vec::new());
    };
    let may_be_followed = first.outcome == Some(Outcome::Done)
        && match first.plan.kind {
            PlanKind::Failover | PlanKind::Switchover | PlanKind::Failback => true,
            PlanKind::Reinstatement => false,
        };
    let mut runs = vec![first];
    if !may_be_followed {
        return Ok(runs);
    }
    let filter = EventFilter {
        resource: event.event.resource.clone(),
        kind: Some(EventKind::Decision),
        after: Some(event.id),
        run: None,
        limit: REINSTATEMENT_WITHIN,
    };
    let later = state.world.control.events(&filter).await?;
    // The decision on the end of a move belongs to the saga which it starts.
    let follower = later.iter().find(|later| ended(later) == Some(id));
    if let Some(next) = follower
        .and_then(|later| later.event.run)
        .filter(|next| *next != id)
    {
        runs.extend(state.world.journal.run(next).await?);
    }
    Ok(runs)
}

/// The move whose end was decided on.
fn ended(event: &EventRecord) -> Option<RunId> {
    match &event.event.explanation.as_ref()?.reason {
        Reason::Moved { run, .. } => Some(*run),
        Reason::Quiet
        | Reason::Watched { .. }
        | Reason::Surprised { .. }
        | Reason::NotSustained { .. }
        | Reason::HeldBack { .. }
        | Reason::FailOver { .. }
        | Reason::Unknown { .. }
        | Reason::BaselineTaken
        | Reason::Seeded
        | Reason::MoveUndone { .. }
        | Reason::Stuck { .. }
        | Reason::Reinstated { .. }
        | Reason::ReinstatementFailed { .. }
        | Reason::Commanded { .. }
        | Reason::Refused { .. } => None,
    }
}

/// What was found on the old primary by these sagas.
async fn diagnosis(
    state: &AppState,
    runs: &[RunRecord],
) -> Result<Vec<wire::Evidence>, StoreError> {
    let mut evidence = Vec::new();
    for run in runs {
        let filter = EventFilter {
            kind: Some(EventKind::Diagnosis),
            run: Some(run.plan.run),
            limit: 1,
            ..EventFilter::default()
        };
        let found = state.world.control.events(&filter).await?;
        let details = found.into_iter().filter_map(|event| event.event.detail);
        evidence.extend(details.flat_map(|detail| record::evidence(&detail)));
    }
    Ok(evidence)
}
