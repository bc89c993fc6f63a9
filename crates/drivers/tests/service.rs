//! The service driver against real processes: this test program, started again as a small HTTP server.
#![cfg(feature = "service")]

mod common;

use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use common::{World, choice, key, now, quiet, record_pid, serve_if_asked};
use evenkeel_core::Instance::{A, B};
use evenkeel_core::property::{Origin, Value};
use evenkeel_ports::{ChangeHint, DriverError, FileChangeKind, Health};
use serde_json::json;

/// Asks until it is so, for at most ten seconds.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not become so within ten seconds");
}

/// Not a test: the service. Returns at once unless a driver started it.
#[test]
fn service_child() {
    serve_if_asked();
}

#[tokio::test]
async fn a_service_is_started_and_found_again_by_the_next_daemon() {
    let world = World::new();
    let driver = world.driver(json!({"adopt": true}));
    let warnings = driver.prepare().await.unwrap();
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("a did not run and was started")),
        "{warnings:?}"
    );
    assert_eq!(driver.health(A).await, Ok(Health::Well));
    let pid = record_pid(&world, "a").unwrap();
    drop(driver);

    let driver = world.driver(json!({"adopt": true}));
    let warnings = driver.prepare().await.unwrap();
    assert!(
        !warnings.iter().any(|w| w.contains("was started")),
        "{warnings:?}"
    );
    assert_eq!(
        (driver.health(A).await, record_pid(&world, "a")),
        (Ok(Health::Well), Some(pid))
    );

    let probe = driver.probe(A, now()).await.unwrap();
    let number = |path: &str| {
        probe
            .properties
            .get(&path.into())
            .and_then(|found| found.value.as_number())
    };
    assert!(number("@process/rss").unwrap() > 0.0 && number("@process/open_files").unwrap() > 0.0);
    assert_eq!(number("@process/restarts"), Some(0.0));
    assert_eq!(number("@data/files"), Some(1.0));
    assert!(matches!(
        probe.properties[&"app.toml/password".into()].value,
        Value::Redacted(_)
    ));
    assert!(
        probe
            .properties
            .keys()
            .all(|path| path.as_str() != "@process")
    );
}

#[tokio::test]
async fn one_that_ends_by_itself_is_started_again_but_not_at_once_and_not_when_fenced() {
    let world = World::new();
    let driver = world.driver(json!({"adopt": true}));
    driver.prepare().await.unwrap();
    assert_eq!(driver.tend(A).await, Ok(None), "it runs");
    let kill = async || {
        let pid = record_pid(&world, "a").unwrap();
        let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
        until(async || driver.health(A).await == Ok(Health::Down)).await;
        pid
    };
    let killed = kill().await;
    let done = driver.tend(A).await.unwrap().unwrap();
    assert!(
        done.contains("a ended by itself (killed by signal 9)"),
        "{done}"
    );
    assert_ne!(record_pid(&world, "a"), Some(killed));
    until(async || driver.health(A).await == Ok(Health::Well)).await;
    let probe = driver.probe(A, now()).await.unwrap();
    assert_eq!(
        probe.properties[&"@process/restarts".into()].value,
        Value::Number(1.0)
    );
    kill().await;
    assert_eq!(driver.tend(A).await, Ok(None), "not at once");
    driver.fence(A, key(1)).await.unwrap();
    assert_eq!(driver.tend(A).await, Ok(None), "and not while it is fenced");
}

#[tokio::test]
async fn a_fence_stops_holds_over_a_restart_and_refuses_late_actors() {
    let world = World::new();
    let driver = world.driver(json!({"adopt": true}));
    driver.prepare().await.unwrap();
    driver.fence(A, key(5)).await.unwrap();
    driver.fence(A, key(5)).await.unwrap();
    assert_eq!(driver.health(A).await, Ok(Health::Down));
    assert!(quiet(world.a));
    let probe = driver.probe(A, now()).await.unwrap();
    assert!(probe.unreadable.contains_key(&"@process".into()));
    drop(driver);

    let driver = world.driver(json!({"adopt": true}));
    driver.prepare().await.unwrap();
    assert_eq!(
        driver.health(A).await,
        Ok(Health::Down),
        "a fenced instance is not started"
    );
    for late in [
        driver.unfence(A, key(4)).await,
        driver.deactivate(A, key(4)).await,
    ] {
        assert!(matches!(late, Err(DriverError::Stale { .. })), "{late:?}");
    }
    assert!(quiet(world.a), "a late actor has no effect");
    driver.unfence(A, key(5)).await.unwrap();
    driver.unfence(A, key(5)).await.unwrap();
    assert_eq!(driver.health(A).await, Ok(Health::Well));
}

/// The configuration of a probe, without capacity.
fn written(
    probe: evenkeel_core::property::Probe,
) -> std::collections::BTreeMap<evenkeel_core::PropertyPath, evenkeel_core::property::Observed> {
    let all = probe.properties.into_iter();
    all.filter(|(_, found)| found.origin == Origin::Configuration)
        .collect()
}

#[tokio::test]
async fn a_sync_tells_the_configuration_that_it_captured() {
    let world = World::new();
    let driver = world.driver(json!({"adopt": true}));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let configuration = synced.configuration.clone().unwrap();
    let probe = driver.probe(A, now()).await.unwrap();
    assert_eq!(
        configuration,
        written(probe),
        "a verdict compares like with like"
    );
    assert!(
        synced.torn.is_empty() && synced.skipped.is_empty() && synced.data.is_some(),
        "{synced:?}"
    );
    let again = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    assert!(again.unchanged && again.id == synced.id);
}

#[tokio::test]
async fn a_clone_is_staged_activated_and_taken_down() {
    let world = World::new();
    let driver = world.driver(json!({"adopt": true}));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let configuration = synced.configuration.clone().unwrap();
    let choice = choice(synced.id);
    driver.stage(&choice, B).await.unwrap();
    let staged = std::fs::read_to_string(world.path("b/config/app.toml")).unwrap();
    assert!(
        staged.contains(&world.b.to_string()) && !staged.contains(&world.a.to_string()),
        "{staged}"
    );
    let activated = driver.activate(&choice, B, key(1)).await.unwrap();
    assert!(
        activated.note.contains(&world.b.to_string()),
        "{}",
        activated.note
    );
    let pid = record_pid(&world, "b");
    driver.activate(&choice, B, key(1)).await.unwrap();
    assert_eq!(
        record_pid(&world, "b"),
        pid,
        "activating again changes nothing"
    );
    assert_eq!(
        (driver.health(A).await, driver.health(B).await),
        (Ok(Health::Well), Ok(Health::Well))
    );
    let on_b = driver.probe(B, now()).await.unwrap();
    assert_eq!(written(on_b), configuration, "b's own texts read as a's");
    assert!(
        driver.stage(&choice, B).await.is_err(),
        "nothing is replaced under a running instance"
    );

    world.write(
        "b/config/app.toml",
        &staged.replace("workers = 4", "workers = 9"),
    );
    let evidence = driver.diagnose(B, Some(synced.id), now()).await.unwrap();
    let all: String = evidence
        .iter()
        .map(|one| format!("{}\n", one.text))
        .collect();
    assert!(
        all.contains("app.toml/workers: approved 4, found 9") && all.contains("+workers = 9"),
        "{all}"
    );
    assert!(
        !all.contains("-address") && !all.contains("+root"),
        "b's own texts differ in nothing: {all}"
    );
    driver.revert(B, &choice, key(1)).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(world.path("b/config/app.toml")).unwrap(),
        staged
    );

    driver.deactivate(B, key(1)).await.unwrap();
    driver.deactivate(B, key(1)).await.unwrap();
    assert_eq!(driver.health(B).await, Ok(Health::Down));
    assert_eq!(
        driver.health(A).await,
        Ok(Health::Well),
        "the other instance is left alone"
    );
}

#[tokio::test]
async fn a_start_that_fails_says_why_without_its_secrets() {
    let world = World::new();
    let start = json!([
        "/bin/sh",
        "-c",
        "echo no license password=hunter2 >&2; exit 7"
    ]);
    let driver = world.driver(json!({ "start": start }));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let error = driver
        .activate(&choice(synced.id), B, key(1))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ended at once")
            && error.contains("no license")
            && !error.contains("hunter2"),
        "{error}"
    );

    let world = World::new();
    let driver = world.driver(json!({"start": ["/no/such/program"]}));
    let error = driver.prepare().await.unwrap_err();
    assert!(
        matches!(error, DriverError::Misconfigured { .. }),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("resource.service.start: /no/such/program"),
        "{error}"
    );
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up_and_can_be_taken_down() {
    let world = World::new();
    world.write("a/config/app.toml", &world.app("hang"));
    let health = json!({"http": "/", "timeout": "100ms", "interval": "20ms"});
    let driver = world.driver(json!({"start_timeout": "2s", "health": health}));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let error = driver
        .activate(&choice(synced.id), B, key(1))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("is not well after 2 s") && error.contains("did not answer within 100 ms"),
        "{error}"
    );
    assert!(matches!(driver.health(B).await, Ok(Health::Unwell(_))));
    driver.deactivate(B, key(1)).await.unwrap();
    assert!(quiet(world.b));
}

#[tokio::test]
async fn an_address_in_use_is_named_with_who_has_it() {
    let world = World::new();
    let driver = world.driver(json!({}));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let _other = TcpListener::bind(world.b).unwrap();
    let error = driver
        .activate(&choice(synced.id), B, key(1))
        .await
        .unwrap_err()
        .to_string();
    let me = format!("pid {}", std::process::id());
    assert!(
        error.contains(&world.b.to_string()) && error.contains(&me),
        "{error}"
    );
}

#[tokio::test]
async fn a_rehearsal_touches_neither_instance_and_leaves_nothing() {
    let world = World::new();
    let driver = world.driver(json!({"adopt": true}));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let rehearsal = driver.rehearse(&choice(synced.id), B, now()).await.unwrap();
    assert_eq!(rehearsal.result, Ok(()));
    assert!(rehearsal.activation > Duration::ZERO);
    assert!(!world.path("state/rehearsal").exists() && !world.path("b").exists());
    assert_eq!(
        (driver.health(A).await, driver.health(B).await),
        (Ok(Health::Well), Ok(Health::Down))
    );

    world.write("a/config/app.toml", &world.app("die"));
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let rehearsal = driver.rehearse(&choice(synced.id), B, now()).await.unwrap();
    let error = rehearsal.result.unwrap_err();
    assert!(error.contains("ended at once"), "{error}");
    assert!(!world.path("state/rehearsal").exists());
}

#[tokio::test]
async fn what_a_killed_daemon_left_of_a_rehearsal_is_cleared() {
    let world = World::new();
    let home = world.path("state/rehearsal");
    std::fs::create_dir_all(&home).unwrap();
    let marker = format!("{}#1", home.join("process.json").display());
    // As after a crash between the start and its record: only the marker tells.
    let mut left = std::process::Command::new("sleep")
        .arg("600")
        .env("EVENKEEL_STARTED", &marker)
        .spawn()
        .unwrap();
    world.write(
        "state/rehearsal/process.json",
        &json!({"marker": marker, "starts": 1}).to_string(),
    );
    let warnings = world.driver(json!({})).prepare().await.unwrap();
    assert!(
        warnings
            .iter()
            .any(|w| w.contains(&format!("pid {}", left.id()))),
        "{warnings:?}"
    );
    assert!(!left.wait().unwrap().success() && !home.exists());
}

#[tokio::test]
async fn a_process_that_got_a_recorded_id_is_left_alone() {
    let world = World::new();
    let me = json!({"pid": std::process::id(), "start_ticks": 1, "boot": "another"});
    world.write(
        "state/a/process.json",
        &json!({"process": me, "wanted": false}).to_string(),
    );
    let driver = world.driver(json!({}));
    driver.prepare().await.unwrap();
    assert_eq!(driver.health(A).await, Ok(Health::Down));
    // This would end the test program if it were taken for the service.
    driver.fence(A, key(1)).await.unwrap();
}

#[tokio::test]
async fn drift_is_diagnosed_and_reverted_and_nothing_is_lost() {
    let world = World::new();
    let driver = world.driver(json!({"adopt": true, "signal": "WINCH"}));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let drifted = world
        .app("ok")
        .replace("workers = 4", "workers = 64")
        .replace("hunter2", "hunter3");
    world.write("a/config/app.toml", &drifted);
    world.write("a/config/extra.toml", "debug = true\n");

    let evidence = driver.diagnose(A, Some(synced.id), now()).await.unwrap();
    let all: String = evidence
        .iter()
        .map(|one| format!("== {}\n{}\n", one.title, one.text))
        .collect();
    for expected in [
        "app.toml:2: app.toml/workers: approved 4, found 64",
        "-workers = 4",
        "+workers = 64",
        "app.toml was changed",
        "owner uid",
        "extra.toml",
        "runs as pid",
        "service is up",
    ] {
        assert!(all.contains(expected), "{expected} in\n{all}");
    }
    assert!(!all.contains("hunter"), "{all}");

    let planned = driver.plan_revert(A, &choice(synced.id)).await.unwrap();
    let kinds: Vec<_> = planned
        .iter()
        .map(|change| (change.path.as_str(), change.kind))
        .collect();
    assert!(
        kinds.contains(&("config/app.toml", FileChangeKind::Changed)),
        "{kinds:?}"
    );
    assert!(
        kinds.contains(&("config/extra.toml", FileChangeKind::Removed)),
        "{kinds:?}"
    );
    let reverted = driver.revert(A, &choice(synced.id), key(1)).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(world.path("a/config/app.toml")).unwrap(),
        world.app("ok")
    );
    assert!(!world.path("a/config/extra.toml").exists());
    let aside = reverted.kept_aside.unwrap();
    assert_eq!(
        std::fs::read_to_string(aside.join("config/app.toml")).unwrap(),
        drifted
    );
    let again = driver.revert(A, &choice(synced.id), key(1)).await.unwrap();
    assert!(again.changed.is_empty() && again.kept_aside == Some(aside));
    assert_eq!(driver.health(A).await, Ok(Health::Well));
}

#[tokio::test]
async fn odd_entries_in_a_configuration_tree_neither_hang_nor_hide_the_rest() {
    let world = World::new();
    let config = world.path("a/config");
    let fifo = std::process::Command::new("mkfifo")
        .arg(config.join("pipe"))
        .status();
    assert!(fifo.unwrap().success());
    std::os::unix::fs::symlink("loop", config.join("loop")).unwrap();
    std::fs::write(
        config.join(std::ffi::OsStr::from_bytes(b"caf\xe9.toml")),
        "x = 1\n",
    )
    .unwrap();
    std::fs::write(config.join("binary"), [0, 159, 146, 150]).unwrap();
    let driver = world.driver(json!({}));
    driver.prepare().await.unwrap();
    let probe = driver.probe(A, now()).await.unwrap();
    assert!(probe.properties.contains_key(&"app.toml/workers".into()));
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    assert!(synced.configuration.is_some());
    driver
        .activate(&choice(synced.id), B, key(1))
        .await
        .unwrap();
    assert_eq!(driver.health(B).await, Ok(Health::Well));
    assert!(std::fs::read_dir(world.path("b/config")).unwrap().count() >= 5);
}

#[tokio::test]
async fn changes_are_fed_to_the_next_sync() {
    let world = World::new();
    let driver = world.driver(json!({}));
    driver.prepare().await.unwrap();
    let mut feed = driver.changes(A).unwrap();
    assert_eq!(feed.next().await, Some(ChangeHint::Everything));
    let first = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    world.write(
        "a/config/app.toml",
        &world.app("ok").replace("workers = 4", "workers = 5"),
    );
    let hint = tokio::time::timeout(Duration::from_secs(10), feed.next())
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(&hint, ChangeHint::Paths(paths) if paths.iter().all(|p| p.starts_with(world.path("a"))))
    );
    let second = driver.sync(A, hint, now(), &|_| {}).await.unwrap();
    assert!(!second.unchanged && second.files_changed == 1, "{second:?}");
    let changes = driver.compare(first.id, second.id).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].path, "config/app.toml");
    driver.forget(&[first.id]).await.unwrap();
    assert!(driver.compare(first.id, second.id).await.is_err());
}

#[tokio::test]
async fn a_service_that_puts_itself_into_the_background_is_looked_after_by_commands() {
    let world = World::new();
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "{} service_child --exact --nocapture >/dev/null 2>&1 & echo $! > {{run}}/pid",
        exe.display()
    );
    let driver = world.driver(json!({
        "supervise": "command", "start": ["/bin/sh", "-c", script], "pid_file": "{run}/pid", "stop_grace": "2s"
    }));
    driver.prepare().await.unwrap();
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    driver
        .activate(&choice(synced.id), B, key(1))
        .await
        .unwrap();
    assert_eq!(driver.health(B).await, Ok(Health::Well));
    let probe = driver.probe(B, now()).await.unwrap();
    assert!(probe.properties.contains_key(&"@process/rss".into()));
    driver.fence(B, key(2)).await.unwrap();
    assert!(quiet(world.b) && driver.health(B).await == Ok(Health::Down));
    driver.unfence(B, key(2)).await.unwrap();
    assert_eq!(driver.health(B).await, Ok(Health::Well));
    driver.deactivate(B, key(2)).await.unwrap();
    assert!(!driver.capabilities().can_rehearse);
    assert!(driver.rehearse(&choice(synced.id), B, now()).await.is_err());
    assert!(Path::new(&world.path("state/b/log")).exists());
}
