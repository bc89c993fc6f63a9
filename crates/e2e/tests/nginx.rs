//! A drifting nginx with clients: failovers that must happen, in time and unnoticed, and such as must
//! not happen.

#![allow(clippy::unwrap_used)] // A test may fail anywhere.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use evenkeel_api::wire::{BreachKind, Event, EventKind, Instance, PhaseKind, ResourceDetail};
use evenkeel_e2e::{
    Cli, Daemon, Drift, Load, Setup, Site, WORKER_CONNECTIONS, map_text, nginx_is_there,
};
use evenkeel_testing::poll_until;

/// One step of a drift for each probe.
const PACE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);

/// `worker_connections` is harmless up to twice what is approved.
const LIMIT: u64 = 2 * WORKER_CONNECTIONS;
const CONNECTIONS: &str = r#"
[[resource.property]]
match = "nginx.conf/events/worker_connections"
limits = { upper = 2048 }
severity = "critical"
"#;

/// A sixty-fourth of the way to the limit.
const STEP: u64 = 16;

fn guarded(site: &Site) -> Daemon {
    let daemon = site.daemon();
    daemon.cli().until_guarded(Instance::A);
    site.assert_served_by(Instance::A);
    daemon
}

/// A script that tunes a running nginx: once that is gone, it has nothing to tune.
fn drift_while_it_runs(
    site: &Site,
    path: &Path,
    text: impl Fn(u64) -> String + Send + 'static,
) -> Drift {
    let nginx = site.a;
    Drift::start(path, PACE, move |step| {
        TcpStream::connect(nginx).is_ok().then(|| text(step))
    })
}

fn connections_drift(site: &Site) -> Drift {
    let template = site.nginx_conf_text(WORKER_CONNECTIONS);
    let text = move |step: u64| {
        let count = (WORKER_CONNECTIONS + STEP * step).to_string();
        template.replace(&WORKER_CONNECTIONS.to_string(), &count)
    };
    drift_while_it_runs(site, &site.nginx_conf(), text)
}

fn decisions(cli: &Cli) -> Vec<Event> {
    let mut events = cli.events();
    events.retain(|event| event.kind == EventKind::Decision);
    events
}

/// Waits for the failover that a drift must bring; says how far the drift came.
fn failed_over_from(cli: &Cli, drift: Drift) -> u64 {
    cli.until_guarded(Instance::B);
    drift.stop()
}

/// The failover was decided on a prediction about `path`, and everything that follows one came.
fn assert_foreseen(site: &Site, cli: &Cli, path: &str) {
    let mut decided = decisions(cli).into_iter();
    let event = decided
        .find(|event| event.sentence.starts_with("failing over"))
        .unwrap();
    let detail = cli.explain(&event);
    let explanation = detail.explanation.unwrap();
    let outlook = explanation
        .outlooks
        .iter()
        .find(|o| o.property.path == path)
        .unwrap();
    assert_eq!(
        outlook.property.breach.kind,
        BreachKind::Predicted,
        "{}",
        explanation.sentence
    );
    assert!(
        outlook.property.breach.confidence >= 0.9,
        "{}",
        explanation.sentence
    );
    assert!(
        explanation.guards.iter().all(|check| !check.holds),
        "{:?}",
        explanation.guards
    );
    assert!(
        !detail.diagnosis.is_empty(),
        "evidence was collected before the revert"
    );
    poll_until("an alert was sent", PATIENCE, || {
        let alerts = site.alerts();
        if alerts.contains(path) {
            Ok(())
        } else {
            Err(alerts)
        }
    });
}

/// Still where it was.
fn unmoved(detail: &ResourceDetail) {
    let status = &detail.status;
    let is_unmoved = status.phase == PhaseKind::Guarded && status.serving == Instance::A;
    assert!(is_unmoved, "{:?}: {}", status.phase, status.sentence);
}

#[test]
fn a_setting_that_creeps_towards_its_limit_is_failed_over_before_and_nobody_notices() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup {
        properties: CONNECTIONS,
        ..Setup::default()
    });
    let approved = std::fs::read_to_string(site.nginx_conf()).unwrap();
    let daemon = guarded(&site);
    let clients = Load::start(site.entrance);
    let drift = connections_drift(&site);
    let steps = failed_over_from(daemon.cli(), drift);
    assert!(
        WORKER_CONNECTIONS + STEP * steps < LIMIT,
        "only after {steps} steps"
    );
    let tally = clients.stop_without_failure();
    assert!(tally.by(site.a) > 0 && tally.by(site.b) > 0, "{tally:?}");
    site.assert_served_by(Instance::B);
    assert_eq!(
        std::fs::read_to_string(site.nginx_conf()).unwrap(),
        approved,
        "reverted"
    );
    assert_foreseen(&site, daemon.cli(), "nginx.conf/events/worker_connections");
    assert!(daemon.terminate().success());
}

#[test]
fn a_map_that_grows_towards_its_limit_is_failed_over_before() {
    if !nginx_is_there() {
        return;
    }
    let properties = r#"
[[resource.property]]
match = "conf.d/moved.map/@entries"
limits = { upper = 104 }
severity = "critical"

[[resource.property]]
match = "conf.d/moved.map"
severity = "info"
"#;
    let site = Site::new(&Setup {
        properties,
        ..Setup::default()
    });
    let daemon = guarded(&site);
    let clients = Load::start(site.entrance);
    let drift = drift_while_it_runs(&site, &site.map(), |step| map_text(40 + step));
    let steps = failed_over_from(daemon.cli(), drift);
    assert!(steps < 64, "only after {steps} steps");
    clients.stop_without_failure();
    assert_eq!(
        std::fs::read_to_string(site.map()).unwrap(),
        map_text(40),
        "reverted"
    );
    assert_foreseen(&site, daemon.cli(), "conf.d/moved.map/@entries");
}

#[test]
fn an_approved_change_is_no_drift() {
    if !nginx_is_there() {
        return;
    }
    let properties = r#"
[[resource.property]]
match = "nginx.conf/events/worker_connections"
tolerance = 1000
severity = "critical"
"#;
    let site = Site::new(&Setup {
        properties,
        ..Setup::default()
    });
    let daemon = guarded(&site);
    let cli = daemon.cli();
    // Half a tolerance at a time would be a trend; each is approved as it comes.
    for (value, version) in [(1500, "v2"), (2000, "v3"), (2500, "v4")] {
        site.set_worker_connections(value);
        cli.until("the change is seen", |detail| {
            detail
                .status
                .worst
                .as_ref()
                .is_some_and(|worst| worst.deviation > 0.1)
        });
        cli.done(&[
            "baseline",
            "accept",
            "web",
            "nginx.conf/**",
            "--note",
            "more",
            "--yes",
        ]);
        let detail = cli.until("it is approved", |detail| {
            detail
                .status
                .worst
                .as_ref()
                .is_none_or(|worst| worst.deviation == 0.0)
        });
        assert_eq!(detail.status.baseline.as_deref(), Some(version));
        cli.for_probes(8, unmoved);
    }
    // Not only is nothing done: the clone has what was approved.
    cli.done(&["clone", "sync", "web", "--yes"]);
    cli.done(&["switchover", "web", "--yes"]);
    cli.until_guarded(Instance::B);
    let standby = std::fs::read_to_string(site.nginx_conf_of_b()).unwrap();
    assert!(standby.contains("worker_connections 2500"), "{standby}");
}

/// A drift that is held back by a guard, then taken back by hand.
fn held_back(hold: &[&str], guard: &str) {
    let site = Site::new(&Setup {
        properties: CONNECTIONS,
        ..Setup::default()
    });
    let daemon = guarded(&site);
    let cli = daemon.cli();
    cli.done(hold);
    let drift = connections_drift(&site);
    poll_until("the drift is over the limit", PATIENCE, || {
        unmoved(&cli.status());
        let steps = drift.steps();
        if WORKER_CONNECTIONS + STEP * steps > LIMIT {
            Ok(())
        } else {
            Err(steps)
        }
    });
    drift.stop();
    cli.for_probes(5, unmoved);
    let held = decisions(cli).into_iter().any(|event| {
        let explained = cli.explain(&event).explanation;
        let mut guards = explained
            .into_iter()
            .flat_map(|explanation| explanation.guards);
        guards.any(|check| check.guard == guard && check.holds)
    });
    assert!(held, "{:?}", decisions(cli));
    site.assert_served_by(Instance::A);
}

#[test]
fn nothing_is_done_inside_a_maintenance_window() {
    if nginx_is_there() {
        held_back(
            &["window", "web", "--for", "10m", "--why", "upgrade", "--yes"],
            "window",
        );
    }
}

#[test]
fn nothing_is_done_while_paused() {
    if nginx_is_there() {
        held_back(
            &[
                "pause",
                "web",
                "--for",
                "10m",
                "--reason",
                "look first",
                "--yes",
            ],
            "pause",
        );
    }
}

#[test]
fn what_only_scatters_inside_its_band_moves_nobody() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup {
        properties: CONNECTIONS,
        ..Setup::default()
    });
    let daemon = guarded(&site);
    let texts: Vec<String> = [
        1024, 1040, 1029, 1056, 1035, 1024, 1048, 1061, 1030, 1043, 1052,
    ]
    .map(|value| site.nginx_conf_text(value))
    .into();
    // A step that shares no factor with the length: the same values, never in a row.
    let text = move |step: u64| texts[usize::try_from(step * 7).unwrap() % texts.len()].clone();
    let drift = drift_while_it_runs(&site, &site.nginx_conf(), text);
    daemon.cli().for_probes(40, unmoved);
    assert!(drift.stop() > 10);
    let acted: Vec<Event> = decisions(daemon.cli())
        .into_iter()
        .filter(|event| event.run.is_some())
        .collect();
    assert!(acted.is_empty(), "{acted:?}");
}
