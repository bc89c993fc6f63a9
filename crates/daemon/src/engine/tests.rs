//! What was learned outlives its process: a resource's task over the embedded store and real models, with
//! a property that breathes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::failover::Capabilities;
use evenkeel_core::property::{Observed, Value};
use evenkeel_core::watch::{ForecastInsight, Watch};
use evenkeel_core::{Instance, PropertyPath, ResourceId};
use evenkeel_ports::fake::{FakeDriver, NoFaults};
use evenkeel_ports::{Commit, Learned};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::{Message, Parts, ResourceHandle, learned, start};
use crate::budget::Budget;
use crate::refits::Refits;
use crate::settings::Settings;
use crate::testing::{self, world};
use crate::world::World;

/// How often something is looked at until it is so.
const LOOKS: usize = 20_000;

/// One-step intervals that were scored before anything is asserted: enough for a fit.
const SCORED: u64 = 150;

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within {LOOKS} looks");
}

fn web() -> ResourceId {
    "web".into()
}

fn load() -> PropertyPath {
    "load".into()
}

const SECRET: &str = "correct horse battery staple";

/// A driver whose `load` is another at every look, round 100.
fn breathing() -> Arc<FakeDriver> {
    let observed = |value: f64| Observed::capacity(value, None);
    let capabilities = Capabilities {
        single_writer: false,
        has_traffic: false,
        has_data: false,
        can_rehearse: true,
    };
    let secret = Observed::configuration(Value::Text(SECRET.to_owned()));
    let properties = [
        (load(), observed(100.0)),
        ("secret".into(), secret),
        ("still".into(), observed(1.0)),
    ];
    let driver = Arc::new(FakeDriver::new(
        capabilities,
        properties.into(),
        Arc::new(NoFaults),
    ));
    let inside = driver.clone();
    tokio::spawn(async move {
        let mut random = 1_u64;
        loop {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let noise = f64::from(u16::try_from(random >> 48).unwrap()) / 65536.0;
            inside.alter(Instance::A, |place| {
                place.properties.insert(load(), observed(100.0 + noise));
            });
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    driver
}

async fn watched(world: &World) -> ResourceHandle {
    let parts = Parts {
        settings: Arc::new(settings()),
        driver: breathing(),
        redirector: None,
        world: world.clone(),
    };
    start(parts, Vec::new()).await.unwrap()
}

/// The horizon has few steps: long ones cost long forecasts.
fn settings() -> Settings {
    let mut settings = testing::settings("web");
    settings.policy.horizon = Duration::from_millis(300);
    settings
}

/// What is known of `load` at present.
fn insight(handle: &ResourceHandle) -> Option<ForecastInsight> {
    let snapshot = handle.snapshot.borrow();
    let mut all = snapshot.insights.iter();
    let (_, insight) = all.find(|(path, _)| *path == load())?;
    Some(insight.clone())
}

fn scored(insight: Option<&ForecastInsight>) -> u64 {
    insight
        .and_then(|insight| insight.coverage_90)
        .map_or(0, |(_, scored)| scored)
}

/// What a task that starts now would begin with.
async fn stored(world: &World) -> Watch {
    let record = world.control.load(&web()).await.unwrap().unwrap();
    learned::restored(world, &settings(), &record).await
}

async fn stop(handle: ResourceHandle) {
    handle.messages.send(Message::Stop).await.unwrap();
    handle.messages.closed().await;
}

/// A store in which `load` was learned, by a task that was stopped.
async fn stopped(dir: &Path) -> (World, ForecastInsight) {
    let world = world(dir).await;
    let handle = watched(&world).await;
    until("enough is scored", async || {
        scored(insight(&handle).as_ref()) >= SCORED
    })
    .await;
    stop(handle.clone()).await;
    (world, insight(&handle).unwrap())
}

#[tokio::test]
async fn a_stopped_task_goes_on_with_refitted_models_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let world = World {
        refits: Refits::new(Budget::new(1.0)),
        ..world(dir.path()).await
    };
    let (stop_refits, stopped) = oneshot::channel();
    let (history, clock) = (world.history.clone(), world.clock.clone());
    let refits = tokio::spawn(world.refits.clone().run(history, clock, stopped));
    let handle = watched(&world).await;
    until("models were fitted and judged", async || {
        world.refits.counts().done > 0 && scored(insight(&handle).as_ref()) >= SCORED
    })
    .await;
    let counts = world.refits.counts();
    assert!(!counts.spent.is_zero(), "{counts:?}");
    stop_refits.send(()).unwrap();
    refits.await.unwrap();
    stop(handle.clone()).await;

    let before = insight(&handle).unwrap();
    assert!(before.in_control_90.is_some());
    assert_eq!(stored(&world).await.insight(&load()), Some(before.clone()));

    let handle = watched(&world).await;
    until("it goes on", async || insight(&handle).is_some()).await;
    let after = insight(&handle).unwrap();
    // What was awaited over the stop is a gap, and not scored.
    assert!(scored(Some(&after)) >= scored(Some(&before)));
    let names = |insight: &ForecastInsight| -> Vec<String> {
        let weights = insight.weights.iter();
        weights.map(|weight| weight.model.clone()).collect()
    };
    assert_eq!(names(&after), names(&before));
    stop(handle).await;
}

fn new_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_task_that_dies_has_kept_what_it_knew_a_moment_ago() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = new_runtime();
    runtime.block_on(async {
        let world = World {
            keep_learned_every: Duration::from_millis(20),
            ..world(dir.path()).await
        };
        watched(&world).await;
        until("something is kept", async || {
            let kept = world.control.load(&web()).await.unwrap().is_some();
            kept && scored(stored(&world).await.insight(&load()).as_ref()) >= SCORED
        })
        .await;
    });
    drop(runtime); // no task comes to its end
    new_runtime().block_on(async {
        let world = world(dir.path()).await;
        let handle = watched(&world).await;
        until("it goes on", async || insight(&handle).is_some()).await;
        assert!(scored(insight(&handle).as_ref()) >= SCORED);
        stop(handle).await;
    });
}

#[tokio::test]
async fn a_restart_that_the_store_does_not_know_of_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let (world, before) = stopped(dir.path()).await;
    let record = world.control.load(&web()).await.unwrap().unwrap();
    // As if clients had been moved, and the process had died before it kept anything again.
    let mut state = record.state.clone();
    state.token = state.token.next();
    state.serving = Instance::B;
    let commit = Commit {
        state: Some(state),
        ..Commit::default()
    };
    let committed = world.control.commit(&web(), record.revision, commit).await;
    committed.unwrap();
    let after = stored(&world).await.insight(&load()).unwrap();
    assert_eq!(after.in_control_90, before.in_control_90);
    assert_eq!(after.coverage_90, None, "another instance's course");
}

#[tokio::test]
async fn what_cannot_be_read_is_learned_again_and_the_task_starts() {
    let dir = tempfile::tempdir().unwrap();
    let (world, _) = stopped(dir.path()).await;
    for bytes in [vec![], vec![99, 1, 2], vec![1], vec![1; 300]] {
        let state = Learned {
            property: load(),
            state: bytes,
        };
        let saved = world.history.save_learned(&web(), &[state], &[]).await;
        saved.unwrap();
        let watch = stored(&world).await;
        assert!(watch.insight(&load()).is_none());
        assert!(
            watch.insight(&"still".into()).is_some(),
            "it hurts no other"
        );
    }
    let handle = watched(&world).await;
    until("it is learned again", async || {
        scored(insight(&handle).as_ref()) > 3
    })
    .await;
    stop(handle).await;
}

#[tokio::test]
async fn no_value_and_no_name_is_in_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (world, _) = stopped(dir.path()).await;
    let found = world.history.load_learned(&web()).await.unwrap();
    let names: Vec<&str> = (found.states.iter())
        .map(|learned| learned.property.as_str())
        .collect();
    assert_eq!(names, ["load", "secret", "still"]);
    for learned in &found.states {
        let holds = |text: &str| {
            let mut windows = learned.state.windows(text.len());
            windows.any(|window| window == text.as_bytes())
        };
        assert!(!holds(SECRET) && !holds(learned.property.as_str()));
    }
}
