//! The daemon, the fleet, one resource in full.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use evenkeel_api::wire;
use evenkeel_core::Instance;
use evenkeel_ports::EventFilter;
use futures::future::join_all;

use crate::http::AppState;
use crate::http::convert::{network, property, record, status, words};
use crate::http::extract::Resource;
use crate::http::problem::Answer;

/// How long an instance has to say whether it is well.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// How many events one resource is shown with.
const EVENTS_SHOWN: usize = 10;

pub(in crate::http) async fn health(State(state): State<Arc<AppState>>) -> Json<wire::Health> {
    let uptime = state.world.clock.monotonic().saturating_sub(state.started);
    let refits = state.world.refits.counts();
    Json(wire::Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_s: uptime.as_secs_f64(),
        since: state.since.to_string(),
        refits: wire::Refits {
            done: refits.done,
            given_up: refits.given_up,
            waiting: refits.waiting as u64,
            spent_s: refits.spent.as_secs_f64(),
        },
        networks: network::networks(&state.world.networks),
    })
}

pub(in crate::http) async fn status(
    State(state): State<Arc<AppState>>,
) -> Answer<wire::FleetStatus> {
    let resources: Vec<Resource> = (state.registry.all().into_iter())
        .map(|(name, handle)| Resource { name, handle })
        .collect();
    let statuses = resources.iter().map(|resource| one(&state, resource));
    Ok(Json(wire::FleetStatus {
        at: state.now().to_string(),
        resources: statuses.collect(),
        networks: network::networks(&state.world.networks),
    }))
}

pub(in crate::http) async fn resource(
    State(state): State<Arc<AppState>>,
    resource: Resource,
) -> Answer<wire::ResourceDetail> {
    let snapshot = resource.snapshot();
    let filter = EventFilter {
        resource: Some(resource.name.clone()),
        limit: EVENTS_SHOWN,
        ..EventFilter::default()
    };
    let events = state.world.control.events(&filter).await?;
    let instances = Instance::BOTH.map(|instance| instance_status(&resource, instance));
    Ok(Json(wire::ResourceDetail {
        status: one(&state, &resource),
        instances: join_all(instances).await,
        policy: status::policy(&snapshot.settings.policy),
        unreadable: property::unreadable(&snapshot),
        guards: words::guards(&snapshot.guards),
        events: events.iter().map(record::event).collect(),
    }))
}

fn one(state: &AppState, resource: &Resource) -> wire::ResourceStatus {
    let redirector = resource.handle.redirector.as_ref();
    let entrance = redirector.map(|redirector| redirector.entrance());
    status::resource(&resource.name, &resource.snapshot(), entrance, state.now())
}

async fn instance_status(resource: &Resource, instance: Instance) -> wire::InstanceStatus {
    let driver = &resource.handle.driver;
    let answer = match tokio::time::timeout(HEALTH_PATIENCE, driver.health(instance)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "it did not answer within {} s",
            HEALTH_PATIENCE.as_secs()
        )),
    };
    let (health, health_why) = status::health(answer);
    wire::InstanceStatus {
        instance: words::instance(instance),
        serves: resource.snapshot().state.serving == instance,
        endpoint: driver
            .endpoint(instance)
            .map(|endpoint| endpoint.to_string()),
        health,
        health_why,
    }
}
