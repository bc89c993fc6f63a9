//! What happens when something goes wrong at the worst moment: clients must never be sent to an
//! instance that is not well, and a mistake must change nothing.

#![allow(clippy::unwrap_used)] // A test may fail anywhere.

use std::net::TcpListener;

use evenkeel_api::wire::{Instance, InstanceHealth, Mode, RunOutcome};
use evenkeel_e2e::{Daemon, Load, Setup, Site, get, nginx_is_there};
use evenkeel_testing::poll_until;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn guarded(site: &Site) -> Daemon {
    let daemon = site.daemon();
    daemon.cli().until_guarded(Instance::A);
    daemon
}

/// Asks for a failover, which must be undone without a client noticing.
fn undone(site: &Site, daemon: &Daemon) -> String {
    let cli = daemon.cli();
    let clients = Load::start(site.entrance);
    let answer = cli.run(&["failover", "web", "--yes", "--reason", "a test"]);
    assert!(!answer.ok, "{}", answer.out);
    let detail = cli.until_guarded(Instance::A);
    let tally = clients.stop_without_failure();
    assert!(tally.by(site.a) > 0 && tally.by(site.b) == 0, "{tally:?}");
    assert_eq!(
        detail.instances[0].health,
        InstanceHealth::Well,
        "{detail:?}"
    );
    let run = cli.saga("r1");
    assert_eq!(run.outcome, Some(RunOutcome::Undone), "{run:?}");
    poll_until("an alert was sent", PATIENCE, || {
        let alerts = site.alerts();
        if alerts.contains("r1") {
            Ok(alerts)
        } else {
            Err(alerts)
        }
    })
}

#[test]
fn a_clone_whose_port_is_taken_gets_no_clients() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup::default());
    let daemon = guarded(&site);
    let thief = TcpListener::bind(site.b).unwrap();
    let alerts = undone(&site, &daemon);
    assert!(alerts.contains(&site.b.to_string()), "{alerts}");
    // Once that is mended, it works.
    drop(thief);
    daemon.cli().done(&["failover", "web", "--yes"]);
    daemon.cli().until_guarded(Instance::B);
    site.assert_served_by(Instance::B);
}

#[test]
fn a_clone_whose_health_check_hangs_gets_no_clients() {
    if !nginx_is_there() {
        return;
    }
    let health =
        r#"{ command = ["sh", "-c", "[ {instance} = a ] || exec sleep 60"], timeout = "500ms" }"#;
    let site = Site::new(&Setup {
        health,
        ..Setup::default()
    });
    let daemon = guarded(&site);
    undone(&site, &daemon);
    assert!(get(site.b, "/").is_err(), "b is stopped again");
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_and_told_who_has_it() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup::default());
    let daemon = guarded(&site);
    let second = site.daemon_to_end();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&daemon.pid().to_string()), "{said}");
    daemon.cli().for_probes(2, |_| ());
    site.assert_served_by(Instance::A);
}

#[test]
fn a_reload_takes_effect_as_a_whole_or_not_at_all() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup::default());
    let daemon = guarded(&site);
    let cli = daemon.cli();

    // A good change and a bad one in the same file.
    site.configure(&Setup {
        policy: "mode = \"observe\"\nrisk_tolerance = 7",
        ..Setup::default()
    });
    daemon.hang_up();
    let refusal = poll_until("the reload is refused", PATIENCE, || {
        let events = cli.all_events();
        let refusal = events
            .into_iter()
            .find(|event| event.sentence.contains("risk"));
        refusal.ok_or_else(|| daemon.log())
    });
    assert!(
        refusal.sentence.contains("evenkeel.toml"),
        "{}",
        refusal.sentence
    );
    assert_eq!(cli.status().status.mode, Mode::Act);

    site.configure(&Setup {
        policy: "mode = \"observe\"",
        ..Setup::default()
    });
    daemon.hang_up();
    let detail = cli.until("the reload is done", |detail| {
        detail.status.mode == Mode::Observe
    });
    assert_eq!(detail.status.serving, Instance::A);
    site.assert_served_by(Instance::A);
}

#[test]
fn a_stopped_daemon_leaves_the_service_running_and_finds_it_again() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup::default());
    let daemon = guarded(&site);
    assert!(daemon.terminate().success());
    assert_eq!(get(site.a, "/").unwrap().status, 200);
    let daemon = guarded(&site);
    daemon.cli().done(&["switchover", "web", "--yes"]);
    daemon.cli().until_guarded(Instance::B);
    site.assert_served_by(Instance::B);
}
