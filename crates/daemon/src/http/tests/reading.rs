//! Routes that change nothing.

use std::sync::atomic::Ordering;

use evenkeel_api::wire::{
    AuditQuery, BreachKind, ChangeQuery, EventKind, EventQuery, ForecastQuery, HistoryQuery,
    Instance, InstanceHealth, Network, NetworkStage, Stream, Verdict,
};

use super::{Site, bind};
use crate::networks::Networks;

fn history_of(property: &str) -> HistoryQuery {
    HistoryQuery {
        property: property.to_owned(),
        stream: Some(Stream::Value),
        from: None,
        until: Some("2999-01-01T00:00:00Z".to_owned()),
        step_s: None,
        aggregation: None,
    }
}

#[tokio::test]
async fn an_empty_fleet_has_a_status_and_a_healthy_daemon() {
    let site = Site::empty().await;
    assert!(site.client.status().await.unwrap().resources.is_empty());
    let health = site.client.health().await.unwrap();
    assert_eq!(health.pid, std::process::id());
    assert!(health.uptime_s >= 0.0);
    assert!(
        site.client
            .events(&EventQuery::default())
            .await
            .unwrap()
            .events
            .is_empty()
    );
    let report = site.client.audit_verify().await.unwrap();
    assert!(report.intact && report.records == 0, "{report:?}");
}

#[tokio::test]
async fn how_networks_stand_is_in_the_status_and_in_the_health() {
    let dir = tempfile::tempdir().unwrap();
    let networks = Networks::below(dir.path());
    networks.open("service").await.unwrap();
    let site = Site::start_with(&[], |state, _| state.world.networks = networks).await;
    let expected = [Network {
        kind: "service".to_owned(),
        stage: NetworkStage::Waiting,
        series: Some(0),
        series_needed: Some(32),
        done: None,
        trained: None,
    }];
    assert_eq!(site.client.status().await.unwrap().networks, expected);
    assert_eq!(site.client.health().await.unwrap().networks, expected);
}

#[tokio::test]
async fn a_resource_settles_and_is_guarded() {
    let site = Site::guarded().await;
    let detail = site.client.resource("web").await.unwrap();
    let status = &detail.status;
    assert_eq!(status.baseline.as_deref(), Some("v1"));
    assert_eq!((status.properties, status.breaching), (3, 0));
    assert_eq!(status.labels["team"], "edge");
    assert_eq!(status.clone.as_ref().unwrap().good, 1);
    assert_eq!(detail.instances[0].instance, Instance::A);
    assert!(detail.instances[0].serves && !detail.instances[1].serves);
    assert_eq!(detail.instances[0].health, InstanceHealth::Well);
    assert_eq!(detail.instances[1].health, InstanceHealth::Down);
    assert!(!detail.events.is_empty());

    let generations = site.client.generations("web").await.unwrap().generations;
    assert_eq!(generations.len(), 1);
    assert_eq!(generations[0].verdict, Verdict::Good);
    let diff = site.client.generation_diff("web", "g1", "1").await.unwrap();
    assert!(diff.changes.is_empty());

    let baseline = site.client.baseline("web").await.unwrap();
    assert_eq!(baseline.summary.pinned.as_deref(), Some("g1"));
    assert_eq!(baseline.values.len(), 3);
    let versions = site.client.baseline_history("web").await.unwrap().versions;
    assert_eq!(versions.len(), 1);
    assert!(
        site.client
            .baseline_diff("web")
            .await
            .unwrap()
            .differences
            .is_empty()
    );
}

#[tokio::test]
async fn a_drift_is_seen_everywhere() {
    let site = Site::guarded().await;
    site.set_workers(64.0);
    site.until("the drift breaches", async || {
        site.client.status().await.unwrap().resources[0].breaching == 1
    })
    .await;
    let worst = site.client.status().await.unwrap().resources[0]
        .worst
        .clone()
        .unwrap();
    assert_eq!(worst.path, "conf/workers");
    assert_eq!(worst.breach.kind, BreachKind::Observed);

    let properties = site.client.properties("web").await.unwrap().properties;
    let paths: Vec<&str> = properties
        .iter()
        .map(|property| property.path.as_str())
        .collect();
    assert_eq!(paths, ["conf/level", "conf/workers", "memory"]);
    let value = properties[1].value.as_ref().unwrap();
    assert_eq!(
        (value.value.as_f64(), value.text.as_str()),
        (Some(64.0), "64")
    );

    let differences = site.client.baseline_diff("web").await.unwrap().differences;
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].approved.as_ref().unwrap().text, "4");

    let changes = site
        .client
        .changes("web", &ChangeQuery::default())
        .await
        .unwrap()
        .changes;
    assert_eq!(changes.last().unwrap().new.as_ref().unwrap().text, "64");

    let series = site
        .client
        .history("web", &history_of("conf/workers"))
        .await;
    // An hour before the end of time there is nothing; the range is the query's.
    assert!(series.unwrap().points.is_empty());
    let from = Some("1970-01-01T00:00:00Z".to_owned());
    let query = HistoryQuery {
        from,
        ..history_of("conf/workers")
    };
    site.until("two probes are in the history", async || {
        let series = site.client.history("web", &query).await.unwrap();
        series.points.len() > 1 && series.points.last().unwrap().value == 64.0
    })
    .await;

    let query = ForecastQuery {
        property: "conf/workers".to_owned(),
    };
    site.until("there is a forecast", async || {
        !site
            .client
            .forecast("web", &query)
            .await
            .unwrap()
            .horizons
            .is_empty()
    })
    .await;
    let forecast = site.client.forecast("web", &query).await.unwrap();
    assert_eq!(forecast.levels.len(), forecast.horizons[0].quantiles.len());
    assert!(!forecast.models.is_empty());
    assert!(!forecast.recent.is_empty());
}

#[tokio::test]
async fn an_event_is_explained_by_what_it_was_decided_on() {
    let site = Site::guarded().await;
    site.set_workers(64.0);
    let query = EventQuery {
        resource: Some("web".to_owned()),
        kind: Some(EventKind::Decision),
        ..EventQuery::default()
    };
    let watched = async || {
        let events = site.client.events(&query).await.unwrap().events;
        events
            .into_iter()
            .find(|event| event.explained && event.sentence.contains("conf/workers"))
    };
    site.until("the drift is decided on", async || {
        watched().await.is_some()
    })
    .await;
    let event = watched().await.unwrap();
    let detail = site.client.event(&event.id).await.unwrap();
    let explanation = detail.explanation.unwrap();
    assert_eq!(explanation.reason, "watched");
    assert_eq!(explanation.outlooks[0].property.path, "conf/workers");
    let after = EventQuery {
        after: Some(event.id.clone()),
        ..EventQuery::default()
    };
    let later = site.client.events(&after).await.unwrap().events;
    assert!(later.iter().all(|later| later.id != event.id));
}

#[tokio::test]
async fn a_sync_that_fails_shows_in_the_status_until_one_ends_well() {
    let site = Site::guarded().await;
    let request = super::acting::act(false);
    let problem = async || {
        let status = site.client.status().await.unwrap();
        status.resources[0]
            .clone
            .as_ref()
            .unwrap()
            .sync_problem
            .clone()
    };
    assert_eq!(problem().await, None);
    site.trouble.sync.store(true, Ordering::SeqCst);
    site.client.sync("web", &request).await.unwrap_err();
    let why = problem().await.unwrap();
    assert!(why.contains("driver.sync did not work"), "{why}");
    site.trouble.sync.store(false, Ordering::SeqCst);
    site.until("a sync ends well after that", async || {
        site.client.sync("web", &request).await.unwrap();
        problem().await.is_none()
    })
    .await;
    let audit = site
        .client
        .audit(&AuditQuery::default())
        .await
        .unwrap()
        .records;
    let syncs: Vec<bool> = audit
        .iter()
        .filter(|r| r.action == "operator.sync")
        .map(|r| r.done)
        .collect();
    assert_eq!(syncs[..2], [false, true]);
}

#[tokio::test]
async fn the_server_stops_when_told_and_its_socket_can_be_opened_anew() {
    let site = Site::with_web().await;
    let socket = site.client.socket().to_path_buf();
    let error = bind(&socket).unwrap_err().to_string();
    assert!(error.contains("another evenkeel listens"), "{error}");
    site.stop.send(()).unwrap();
    site.server.await.unwrap();
    assert!(site.client.health().await.is_err());
    let _listener = bind(&socket).unwrap();
    assert!(site.dir.path().exists());
}
