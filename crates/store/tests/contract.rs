//! The store keeps to what the ports promise, freshly opened and opened again.

#![allow(clippy::unwrap_used, reason = "tests, with helpers of their own")]

use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_ports::{
    Aggregation, Audit, AuditEntry, History, HistoryError, Learned, Range, RetentionPolicy, Sample,
    SeriesKey, StoreError, Stream, contract,
};
use evenkeel_store::Store;

fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

#[tokio::test]
async fn it_is_a_control_store() {
    contract::control_store(&fresh().1).await;
    contract::events(&fresh().1).await;
    contract::leases(&fresh().1).await;
}

#[tokio::test]
async fn it_is_a_journal() {
    contract::journal(&fresh().1).await;
}

#[tokio::test]
async fn it_is_an_audit_log() {
    contract::audit(&fresh().1).await;
}

#[tokio::test]
async fn it_is_a_history() {
    contract::history(&fresh().1).await;
    contract::history_retention(&fresh().1).await;
}

fn key(stream: Stream) -> SeriesKey {
    SeriesKey {
        resource: "web".into(),
        property: "nginx.conf/http/keepalive_timeout".into(),
        stream,
    }
}

fn sample(series: &SeriesKey, ms: i64, value: f64) -> Sample {
    Sample {
        series: series.clone(),
        at: Timestamp::from_millis(ms),
        value,
    }
}

const ALWAYS: Range = Range {
    from: Timestamp::from_millis(i64::MIN),
    until: Timestamp::from_millis(i64::MAX),
    step: None,
};

#[tokio::test]
async fn everything_is_there_after_closing_and_opening() {
    let (dir, store) = fresh();
    let series = key(Stream::Value);
    // Enough for a sealed block, a head beside it, and a late point in each.
    for tick in 0..1000 {
        let point = sample(
            &series,
            tick * 10_000,
            f64::from(i32::try_from(tick % 7).unwrap()),
        );
        store.append(&[point]).await.unwrap();
    }
    store
        .append(&[sample(&series, 15_000, -0.0)])
        .await
        .unwrap();
    store
        .append(&[sample(&series, 9_005_000, 0.5)])
        .await
        .unwrap();
    let before = store.range(&series, ALWAYS).await.unwrap();
    assert_eq!(before.len(), 1002);
    assert!(before.is_sorted_by_key(|point| point.at));
    let latest = store.latest(&series).await.unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.range(&series, ALWAYS).await.unwrap(), before);
    assert_eq!(store.latest(&series).await.unwrap(), latest);
    // What was sealed before is known after, too.
    store
        .append(&[sample(&series, 15_000, 8.0), sample(&series, 20_000, 8.0)])
        .await
        .unwrap();
    assert_eq!(
        store.range(&series, ALWAYS).await.unwrap(),
        before,
        "the first stands"
    );
}

#[tokio::test]
async fn what_is_not_finite_is_refused_with_all_of_its_call() {
    let (_dir, store) = fresh();
    let series = key(Stream::Value);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let call = [sample(&series, 1, 1.0), sample(&series, 2, bad)];
        let error = store.append(&call).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("keepalive_timeout") && text.contains("not a finite"),
            "{text}"
        );
    }
    assert_eq!(store.range(&series, ALWAYS).await, Ok(vec![]));
    let none = Range {
        step: Some((Duration::ZERO, Aggregation::Mean)),
        ..ALWAYS
    };
    store.append(&[sample(&series, 1, 1.0)]).await.unwrap();
    assert!(store.range(&series, none).await.is_err());
}

#[tokio::test]
async fn a_second_opening_is_refused() {
    let (dir, store) = fresh();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let clone = store.clone();
    drop(store);
    assert!(Store::open(dir.path()).is_err(), "a clone still has it");
    drop(clone);
    Store::open(dir.path()).unwrap();
}

fn history_db(dir: &tempfile::TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.path().join("history.db")).unwrap()
}

#[tokio::test]
async fn a_damaged_block_is_named_and_hurts_no_other_series() {
    let (dir, store) = fresh();
    let (hurt, well) = (key(Stream::Value), key(Stream::Deviation));
    for tick in 0..720 {
        let at = tick * 10_000;
        store
            .append(&[sample(&hurt, at, 1.0), sample(&well, at, 2.0)])
            .await
            .unwrap();
    }
    drop(store);
    history_db(&dir)
        .execute(
            "UPDATE block SET data = zeroblob(length(data)) WHERE id = 1",
            [],
        )
        .unwrap();
    let store = Store::open(dir.path()).unwrap();
    let error = store.range(&hurt, ALWAYS).await.unwrap_err();
    let HistoryError::Damaged { place, .. } = &error else {
        panic!("{error}");
    };
    assert!(place.ends_with("history.db, table block, row 1"), "{place}");
    assert_eq!(store.range(&well, ALWAYS).await.unwrap().len(), 720);
    let late = [sample(&hurt, 5_000, 3.0), sample(&well, 5_000, 3.0)];
    store.append(&late).await.unwrap();
    let young = Range {
        from: Timestamp::from_millis(7_200_000),
        ..ALWAYS
    };
    store
        .append(&[sample(&hurt, 7_200_000, 4.0)])
        .await
        .unwrap();
    assert_eq!(store.range(&hurt, young).await.unwrap().len(), 1);
    // Retention does what it can, and still says that something is wrong.
    let now = Timestamp::from_millis(1000 * 86_400_000);
    let policy = RetentionPolicy::default();
    assert!(matches!(
        store.retain(&policy, now).await,
        Err(HistoryError::Damaged { .. })
    ));
    assert_eq!(store.range(&well, ALWAYS).await, Ok(vec![]));
}

#[tokio::test]
async fn a_damaged_head_row_is_put_aside() {
    let (dir, store) = fresh();
    let series = key(Stream::Value);
    for tick in 0..10 {
        store.append(&[sample(&series, tick, 1.0)]).await.unwrap();
    }
    drop(store);
    history_db(&dir)
        .execute("UPDATE head SET data = x'0102030405' WHERE id = 4", [])
        .unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.range(&series, ALWAYS).await.unwrap().len(), 9);
    drop(store);
    let kept: i64 = history_db(&dir)
        .query_row("SELECT count(*) FROM damaged", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 1);
}

fn learned(property: &str) -> Learned {
    Learned {
        property: property.into(),
        state: property.repeat(1000).into_bytes(),
    }
}

#[tokio::test]
async fn what_was_learned_is_there_after_closing_and_opening() {
    let (dir, store) = fresh();
    let states = [learned("a"), learned("b")];
    store
        .save_learned(&"web".into(), &states, &[])
        .await
        .unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let found = store.load_learned(&"web".into()).await.unwrap();
    assert_eq!((found.states, found.damaged), (states.to_vec(), vec![]));
}

#[tokio::test]
async fn a_damaged_state_is_named_and_hurts_no_other() {
    let (dir, store) = fresh();
    let states = ["a", "b", "c", "d", "e", "f"].map(learned);
    store
        .save_learned(&"web".into(), &states, &[])
        .await
        .unwrap();
    drop(store);
    let damage = [
        "data = zeroblob(length(data)) WHERE property = 'a'",
        "data = substr(data, 1, 100) WHERE property = 'b'",
        "data = x'' WHERE property = 'c'",
        "data = 'text' WHERE property = 'd'",
        // A whole row under another name is damage, too.
        "property = 'g' WHERE property = 'e'",
    ];
    let file = history_db(&dir);
    for damage in damage {
        file.execute(&format!("UPDATE learned SET {damage}"), [])
            .unwrap();
    }
    drop(file);
    let store = Store::open(dir.path()).unwrap();
    let found = store.load_learned(&"web".into()).await.unwrap();
    assert_eq!(found.states, [learned("f")]);
    let places: Vec<String> = (found.damaged.into_iter())
        .map(|damage| match damage {
            HistoryError::Damaged { place, .. } => place,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(places.len(), 5, "{places:?}");
    assert!(
        places[0].ends_with("history.db, table learned, row 1"),
        "{places:?}"
    );
    // It is learned again, and kept in the same place.
    store
        .save_learned(&"web".into(), &states, &["g".into()])
        .await
        .unwrap();
    let found = store.load_learned(&"web".into()).await.unwrap();
    assert_eq!((found.states, found.damaged), (states.to_vec(), vec![]));
}

#[tokio::test]
async fn tampering_with_the_audit_log_is_seen_after_opening_again() {
    let (dir, store) = fresh();
    for number in 0..4 {
        let entry = AuditEntry {
            at: Timestamp::from_millis(number),
            actor: "alice".to_owned(),
            action: "failover.start".to_owned(),
            resource: None,
            result: Ok(()),
            before: None,
            after: None,
        };
        store.append_audit(entry).await.unwrap();
    }
    drop(store);
    let file = rusqlite::Connection::open(dir.path().join("control.db")).unwrap();
    file.execute(
        "UPDATE audit SET body = replace(body, 'alice', 'bob') WHERE number = 2",
        [],
    )
    .unwrap();
    drop(file);
    let store = Store::open(dir.path()).unwrap();
    let verdict = store.verify_audit().await.unwrap();
    assert!(matches!(
        verdict,
        evenkeel_ports::AuditVerdict::Broken { number: 2, .. }
    ));
}

#[tokio::test]
async fn freed_space_is_given_back() {
    let (dir, store) = fresh();
    let series = key(Stream::Value);
    // Scrambled, so that it cannot be packed away.
    let noise = |tick: i64| {
        let hash = blake3::hash(&tick.to_le_bytes());
        f64::from(u32::from_le_bytes(hash.as_bytes()[..4].try_into().unwrap()))
    };
    let ticks: Vec<Sample> = (0..40_000)
        .map(|t| sample(&series, t * 10_000, noise(t)))
        .collect();
    for ticks in ticks.chunks(500) {
        store.append(ticks).await.unwrap();
    }
    drop(store);
    let size = || {
        std::fs::metadata(dir.path().join("history.db"))
            .unwrap()
            .len()
    };
    let before = size();
    let store = Store::open(dir.path()).unwrap();
    let policy = RetentionPolicy::default();
    let now = Timestamp::from_millis(800 * 86_400_000);
    let plan = store.retain(&policy, now).await.unwrap();
    assert_eq!((plan.raw_points, plan.downsampled), (40_000, 0));
    drop(store);
    assert!(size() * 2 < before, "{} of {before}", size());
}
