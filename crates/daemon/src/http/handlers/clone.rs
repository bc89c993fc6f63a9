//! The clone: its generations, and what people ask of its keeper.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use evenkeel_api::wire;
use evenkeel_core::generation::{Choice, choose};
use evenkeel_core::state::Phase;
use evenkeel_core::{Brief, GenerationId};
use evenkeel_ports::{AuditEntry, StoreError};

use crate::engine::Snapshot;
use crate::http::AppState;
use crate::http::convert::acting::planned;
use crate::http::convert::clone as convert;
use crate::http::extract::{Actor, Body, Names, Resource};
use crate::http::problem::{Answer, Refused, bad_request, conflict, problem, unknown};

pub(in crate::http) async fn generations(resource: Resource) -> Answer<wire::GenerationList> {
    let snapshot = resource.snapshot();
    Ok(Json(wire::GenerationList {
        resource: resource.name.to_string(),
        generations: snapshot
            .generations
            .iter()
            .rev()
            .map(convert::generation)
            .collect(),
    }))
}

pub(in crate::http) async fn diff(
    resource: Resource,
    names: Names,
) -> Answer<wire::GenerationDiff> {
    let (older, newer): (GenerationId, GenerationId) = (names.id("older")?, names.id("newer")?);
    let snapshot = resource.snapshot();
    known(&resource, &snapshot, older)?;
    known(&resource, &snapshot, newer)?;
    let changes = resource.handle.driver.compare(older, newer).await?;
    Ok(Json(wire::GenerationDiff {
        resource: resource.name.to_string(),
        older: older.to_string(),
        newer: newer.to_string(),
        changes: changes.into_iter().map(convert::file_change).collect(),
    }))
}

pub(in crate::http) async fn sync(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Actor(by): Actor,
    Body(body): Body<wire::ActRequest>,
) -> Answer<wire::Acted> {
    let snapshot = resource.snapshot();
    let plan = sync_plan(&snapshot);
    let refusal = busy(&snapshot);
    if body.dry_run {
        return Ok(Json(not_done(plan, refusal)));
    }
    let keeper = resource.handle.keeper.clone();
    let work = async move {
        let generation = keeper.sync().await?;
        Ok(format!(
            "{} is as {} is now: {}",
            generation.id, generation.from, generation.verdict
        ))
    };
    let acting = Acting {
        resource,
        by,
        action: "operator.sync",
        reason: body.reason,
    };
    let message = acting.carry_out(&state, work).await?;
    Ok(Json(answer(true, plan, message)))
}

pub(in crate::http) async fn rehearse(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Actor(by): Actor,
    Body(body): Body<wire::RehearseRequest>,
) -> Answer<wire::Acted> {
    let snapshot = resource.snapshot();
    let generation = match &body.generation {
        None => None,
        Some(text) => {
            let id = text.parse().map_err(|e: evenkeel_core::ids::IdError| {
                bad_request("generation", e.to_string())
            })?;
            known(&resource, &snapshot, id)?;
            Some(id)
        }
    };
    let (plan, refusal) = rehearse_plan(&resource, &snapshot, generation);
    if body.dry_run || refusal.is_some() {
        return Ok(Json(not_done(plan, refusal)));
    }
    let keeper = resource.handle.keeper.clone();
    let work = async move {
        let rehearsal = keeper.rehearse(generation).await?;
        let (id, took) = (rehearsal.choice.config_from, Brief(rehearsal.activation));
        match rehearsal.result {
            Ok(()) => Ok(format!("rehearsed {id}: up and well in {took}")),
            Err(why) => Err(format!("the rehearsal of {id} failed: {why}")),
        }
    };
    let acting = Acting {
        resource,
        by,
        action: "operator.rehearse",
        reason: body.reason,
    };
    let message = acting.carry_out(&state, work).await?;
    Ok(Json(answer(true, plan, message)))
}

/// Something that a person asked of the keeper.
struct Acting {
    resource: Resource,
    by: String,
    action: &'static str,
    reason: Option<String>,
}

impl Acting {
    /// Does it, and puts it into the audit log. It goes on to its end, and is recorded, even if
    /// whoever asked has hung up.
    async fn carry_out(
        self,
        state: &AppState,
        work: impl Future<Output = Result<String, String>> + Send + 'static,
    ) -> Result<String, Refused> {
        let Self {
            resource,
            by,
            action,
            reason,
        } = self;
        let (world, name) = (state.world.clone(), resource.name.clone());
        let task = tokio::spawn(async move {
            let result = work.await;
            let entry = AuditEntry {
                at: world.now(),
                actor: by,
                action: action.to_owned(),
                resource: Some(name),
                result: result.clone().map(drop),
                before: reason.map(|reason| format!("asked for: {reason}")),
                after: result.clone().ok(),
            };
            world.audit.append_audit(entry).await?;
            Ok::<_, StoreError>(result)
        });
        let ended = task.await.map_err(|error| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            problem(status, "ended-early", "it ended early", error.to_string())
        })?;
        ended?.map_err(|why| conflict(resource.name.as_str(), why).into())
    }
}

/// The answer to a dry run, and to what would be refused.
fn not_done(plan: wire::PlanView, refusal: Option<String>) -> wire::Acted {
    let message = match refusal {
        Some(why) => format!("refused: {why}"),
        None => plan.sentence.clone(),
    };
    answer(false, plan, message)
}

/// What the keeper does is no saga, and its events are the task's.
fn answer(done: bool, plan: wire::PlanView, message: String) -> wire::Acted {
    wire::Acted {
        done,
        plan,
        run: None,
        event: None,
        message,
    }
}

fn known(resource: &Resource, snapshot: &Snapshot, id: GenerationId) -> Result<(), Refused> {
    if snapshot
        .generations
        .iter()
        .any(|generation| generation.id == id)
    {
        return Ok(());
    }
    Err(unknown("generation", &id.to_string(), [])
        .at(resource.name.as_str())
        .with_remedy("`evenkeel clone list` shows those that are kept")
        .into())
}

/// Why the clone is not to be worked on now, if so.
fn busy(snapshot: &Snapshot) -> Option<String> {
    match &snapshot.state.phase {
        Phase::Moving { run } | Phase::Reinstating { run } => {
            Some(format!("{run} is under way: its end is to be waited for"))
        }
        Phase::Settling { .. }
        | Phase::Seeding
        | Phase::Guarded
        | Phase::Unprotected { .. }
        | Phase::Held { .. } => None,
    }
}

fn phase_guard(snapshot: &Snapshot) -> wire::GuardCheck {
    let refusal = busy(snapshot);
    wire::GuardCheck {
        guard: evenkeel_core::guard::Guard::Phase.as_str().to_owned(),
        holds: refusal.is_some(),
        sentence: refusal.unwrap_or_else(|| "no saga is under way".to_owned()),
    }
}

fn sync_plan(snapshot: &Snapshot) -> wire::PlanView {
    let serving = snapshot.state.serving;
    let newest = snapshot
        .generations
        .iter()
        .map(|generation| (generation.id, generation.at))
        .max();
    let since = newest.map_or_else(
        || "everything, for there is no generation yet".to_owned(),
        |(id, at)| format!("what changed since {id} of {at}"),
    );
    let stage = format!(
        "put what a failover would activate in place at {}, if that changed",
        snapshot.state.standby()
    );
    wire::PlanView {
        sentence: format!("move the newest delta of {serving} to the clone"),
        steps: vec![
            planned(
                "sync",
                format!("read {since}, and keep it as a new generation"),
            ),
            planned("stage", stage),
        ],
        guards: vec![phase_guard(snapshot)],
    }
}

/// What a rehearsal would do, and why it would be refused, if so.
fn rehearse_plan(
    resource: &Resource,
    snapshot: &Snapshot,
    generation: Option<GenerationId>,
) -> (wire::PlanView, Option<String>) {
    let driver = &resource.handle.driver;
    let choice = match generation {
        None => choose(&snapshot.generations, None).map(
            |Choice {
                 config_from,
                 data_from,
                 ..
             }| { (config_from, data_from) },
        ),
        Some(id) => Some((id, id)),
    };
    let refusal = if !driver.capabilities().can_rehearse {
        Some(format!("a {} cannot be rehearsed", driver.kind()))
    } else if choice.is_none() {
        Some("no generation is good".to_owned())
    } else {
        busy(snapshot)
    };
    let standby = snapshot.state.standby();
    let steps = choice.map_or_else(Vec::new, |(config_from, data_from)| {
        let activate =
            format!("start configuration of {config_from} and data of {data_from} at {standby}");
        vec![
            planned("activate", activate),
            planned("health check", format!("measure until {standby} is well")),
            planned("deactivate", "put everything back".to_owned()),
        ]
    });
    let plan = wire::PlanView {
        sentence: format!("activate the clone at {standby} in isolation, and measure it"),
        steps,
        guards: vec![phase_guard(snapshot)],
    };
    (plan, refusal)
}
