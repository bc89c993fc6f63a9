//! The files driver: a tree with data, moved between two places.
#![cfg(feature = "files")]

mod common;

use common::{World, choice, key, now};
use evenkeel_core::Instance::{A, B};
use evenkeel_ports::{ChangeHint, DriverError, Endpoint, Health};
use serde_json::json;

fn config(world: &World) -> serde_json::Value {
    json!({
        "a": world.path("a/config"),
        "b": world.path("b/config"),
        "data": {"a": world.path("a/data"), "b": world.path("b/data")},
        "reload": ["/bin/sh", "-c", format!("echo {{instance}} >> {}", world.path("reloads").display())],
        "health": {"command": ["/bin/sh", "-c", "grep -q {config} {config}/app.toml || { echo root is wrong; exit 1; }"]},
    })
}

#[tokio::test]
async fn files_are_cloned_checked_and_put_in_place() {
    let world = World::new();
    let driver = world.build("files", config(&world));
    driver.prepare().await.unwrap();
    assert_eq!(driver.health(B).await, Ok(Health::Down));
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let rehearsal = driver.rehearse(&choice(synced.id), B, now()).await.unwrap();
    assert_eq!(
        rehearsal.result,
        Ok(()),
        "roots are substituted at the scratch place too"
    );
    assert!(!world.path("b").exists() && !world.path("state/rehearsal").exists());

    driver.stage(&choice(synced.id), B).await.unwrap();
    driver
        .activate(&choice(synced.id), B, key(1))
        .await
        .unwrap();
    driver
        .activate(&choice(synced.id), B, key(1))
        .await
        .unwrap();
    assert_eq!(driver.health(B).await, Ok(Health::Well));
    assert!(
        std::fs::read_to_string(world.path("reloads"))
            .unwrap()
            .starts_with("b\n")
    );
    assert_eq!(
        driver.endpoint(B),
        Some(Endpoint(world.path("b/config").to_str().unwrap().into()))
    );
    driver.fence(A, key(2)).await.unwrap();
    assert!(matches!(
        driver.activate(&choice(synced.id), A, key(1)).await,
        Err(DriverError::Stale { .. })
    ));
    driver.unfence(A, key(2)).await.unwrap();
}

#[tokio::test]
async fn a_broken_configuration_fails_its_rehearsal_with_the_checks_words() {
    let world = World::new();
    world.write("a/config/app.toml", "root = \"/elsewhere\"\n");
    let driver = world.build("files", config(&world));
    let synced = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    let rehearsal = driver.rehearse(&choice(synced.id), B, now()).await.unwrap();
    assert!(rehearsal.result.unwrap_err().contains("root is wrong"));
}

#[tokio::test]
async fn what_the_user_had_on_a_is_kept_aside_when_a_becomes_the_standby() {
    let world = World::new();
    let driver = world.build("files", config(&world));
    let first = driver
        .sync(A, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    driver.activate(&choice(first.id), B, key(1)).await.unwrap();
    // Written after the last sync, on the side that no longer serves.
    world.write("a/data/rows", "late\n");
    world.write("b/data/rows", "newer\n");
    let second = driver
        .sync(B, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    driver.stage(&choice(second.id), A).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(world.path("a/data/rows")).unwrap(),
        "newer\n"
    );
    let aside = world.path(&format!("state/aside/a-{0}-{0}/data/rows", second.id));
    assert_eq!(std::fs::read_to_string(aside).unwrap(), "late\n");

    world.write("b/data/rows", "newest\n");
    let third = driver
        .sync(B, ChangeHint::Everything, now(), &|_| {})
        .await
        .unwrap();
    driver.stage(&choice(third.id), A).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(world.path("a/data/rows")).unwrap(),
        "newest\n"
    );
    assert!(
        !world
            .path(&format!("state/aside/a-{0}-{0}/data", third.id))
            .exists(),
        "it is in a generation"
    );
}
