//! What a call has returned from is there after the process was killed, and after the disk was full.
//!
//! The process that is killed is this test's own program, started again with [`CHILD`] set.

#![allow(clippy::unwrap_used, reason = "tests, with helpers of their own")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use evenkeel_core::property::Severity;
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::state::State;
use evenkeel_core::{ResourceId, Timestamp};
use evenkeel_ports::{
    Commit, ControlStore, EventFilter, History, HistoryError, Learned, Range, Revision, Sample,
    SeriesKey, StoreError, Stream,
};
use evenkeel_store::Store;

const CHILD: &str = "EVENKEEL_STORE_TEST_CHILD";

/// How often the child is heard of before it is killed.
const ROUNDS: u64 = 200;

fn series() -> SeriesKey {
    SeriesKey {
        resource: "web".into(),
        property: "p".into(),
        stream: Stream::Value,
    }
}

const ALWAYS: Range = Range {
    from: Timestamp::from_millis(i64::MIN),
    until: Timestamp::from_millis(i64::MAX),
    step: None,
};

fn samples(round: u64) -> Vec<Sample> {
    let first = i64::try_from(round).unwrap() * 10;
    (first..first + 10)
        .map(|ms| Sample {
            series: series(),
            at: Timestamp::from_millis(ms),
            value: 0.1 * ms as f64,
        })
        .collect()
}

fn web() -> ResourceId {
    ResourceId::from("web")
}

async fn commit(store: &Store, round: u64) -> Result<(), StoreError> {
    let at = Timestamp::from_millis(i64::try_from(round).unwrap());
    let event = NewEvent::new(
        at,
        EventKind::Daemon,
        Severity::Info,
        format!("round {round}"),
    );
    let commit = Commit {
        state: Some(State::new(at)),
        events: vec![event],
        ..Commit::default()
    };
    store
        .commit(&web(), Revision(round), commit)
        .await
        .map(drop)
}

fn learned(round: u64) -> [Learned; 2] {
    ["p", "q"].map(|property| Learned {
        property: property.into(),
        state: round.to_le_bytes().repeat(500),
    })
}

/// The child's part: writes, and says after each round that it was acknowledged, until it is killed.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let store = Store::open(Path::new(&dir)).unwrap();
    for round in 0.. {
        History::append(&store, &samples(round)).await.unwrap();
        commit(&store, round).await.unwrap();
        let states = learned(round);
        store.save_learned(&web(), &states, &[]).await.unwrap();
        println!("acknowledged {round}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = 0;
    for line in lines {
        let line = line.unwrap();
        // The test harness writes its own words in front of the first line.
        if let Some((_, round)) = line.split_once("acknowledged ") {
            acknowledged = round.parse().unwrap();
            if acknowledged == ROUNDS {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(
        acknowledged >= ROUNDS,
        "the child ended after {acknowledged} rounds"
    );

    let store = Store::open(dir.path()).unwrap();
    let record = store.load(&web()).await.unwrap().unwrap();
    assert!(record.revision.0 > acknowledged);
    let filter = EventFilter {
        limit: usize::MAX,
        ..EventFilter::default()
    };
    let events = store.events(&filter).await.unwrap();
    assert_eq!(
        events.len() as u64,
        record.revision.0,
        "a commit is whole or not there"
    );
    let found = store.load_learned(&web()).await.unwrap();
    let round = u64::from_le_bytes(found.states[0].state[..8].try_into().unwrap());
    assert!(round >= acknowledged);
    assert_eq!(found.states, learned(round), "a save is whole or not there");
    let points = store.range(&series(), ALWAYS).await.unwrap();
    let expected: Vec<Sample> = (0..=acknowledged).flat_map(samples).collect();
    assert!(points.len() >= expected.len());
    assert_eq!(points.len() % 10, 0, "an append is whole or not there");
    for (point, sample) in points.iter().zip(&expected) {
        assert_eq!((point.at, point.value), (sample.at, sample.value));
    }
}

/// Writes until there is no room, then checks that nothing of what was acknowledged is missing, and
/// that reading still works.
async fn fill(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let mut round = 0;
    let full = loop {
        match History::append(&store, &samples(round)).await {
            Ok(()) => round += 1,
            Err(error) => break error,
        }
        assert!(round < 1_000_000, "it never filled up");
    };
    assert!(matches!(full, HistoryError::NoSpace { .. }), "{full}");
    let mut revision = 0;
    let full = loop {
        match commit(&store, revision).await {
            Ok(()) => revision += 1,
            Err(error) => break error,
        }
        assert!(revision < 1_000_000, "it never filled up");
    };
    assert!(matches!(full, StoreError::NoSpace { .. }), "{full}");
    let points = store.range(&series(), ALWAYS).await.unwrap();
    assert_eq!(points.len() as u64, round * 10);
    let record = store.load(&web()).await.unwrap();
    assert_eq!(record.map_or(0, |record| record.revision.0), revision);
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_costs_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "evenkeel-test"])
        .arg(dir.path())
        .output();
    let why = match mounted {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = why {
        assert!(
            std::env::var_os("EVENKEEL_REQUIRE_ALL").is_none(),
            "no tmpfs: {why}"
        );
        println!("skipped: a small tmpfs cannot be mounted: {why}");
        return;
    }
    let unmount = Unmount(dir.path());
    fill(dir.path()).await;
    drop(unmount);
}

/// Takes the mount away whether the test passed or not.
struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}
