//! The baseline, and how the resource differs from it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use evenkeel_api::wire;
use evenkeel_core::baseline::Baseline;

use super::property::probed_at;
use crate::engine::Snapshot;
use crate::http::AppState;
use crate::http::convert::{baseline as baselines, property};
use crate::http::extract::Resource;
use crate::http::problem::{Answer, Refused, problem};

pub(in crate::http) async fn baseline(resource: Resource) -> Answer<wire::BaselineView> {
    let baseline = in_force(&resource, &resource.snapshot())?;
    Ok(Json(baselines::view(&resource.name, &baseline)))
}

/// From the last probe: whoever needs to know of this instant asks again after the next one.
pub(in crate::http) async fn diff(resource: Resource) -> Answer<wire::BaselineDiff> {
    let snapshot = resource.snapshot();
    let baseline = in_force(&resource, &snapshot)?;
    let at = probed_at(&resource, &snapshot)?;
    let policy = &snapshot.settings.policy;
    let differences = snapshot.probe.iter().flat_map(|probe| baseline.diff(probe));
    Ok(Json(wire::BaselineDiff {
        resource: resource.name.to_string(),
        version: baseline.version.to_string(),
        at: at.to_string(),
        differences: differences
            .filter(|difference| {
                !policy
                    .rule(&difference.path)
                    .is_some_and(|rule| rule.ignore)
            })
            .map(|difference| property::difference(&difference))
            .collect(),
        unreadable: property::unreadable(&snapshot),
    }))
}

pub(in crate::http) async fn history(
    State(state): State<Arc<AppState>>,
    resource: Resource,
) -> Answer<wire::BaselineHistory> {
    let versions = state.world.control.baselines(&resource.name).await?;
    Ok(Json(wire::BaselineHistory {
        resource: resource.name.to_string(),
        versions: versions.iter().map(baselines::summary).collect(),
    }))
}

fn in_force(resource: &Resource, snapshot: &Snapshot) -> Result<Arc<Baseline>, Refused> {
    snapshot.baseline.clone().ok_or_else(|| {
        let what = "there is no baseline yet: it is taken when the resource has settled";
        problem(StatusCode::NOT_FOUND, "no-baseline", "no baseline", what)
            .at(resource.name.as_str())
            .with_remedy("its `settle` time in the configuration says how long that takes")
            .into()
    })
}
