//! Training over a history in memory and a clock that stands, or ticks when it is asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use evenkeel_core::forecast::{ForecasterFactory as _, HorizonGrid};
use evenkeel_core::property::Severity;
use evenkeel_core::record::EventRecord;
use evenkeel_forecast::lstm::{Architecture, Config, Network};
use evenkeel_ports::fake::FakeClock;
use evenkeel_ports::{Clock, EventFilter, Sample, SeriesKey, Stream};
use tokio::sync::oneshot;

use super::lessons::SERIES_MIN;
use super::*;
use crate::budget::Budget;
use crate::testing;
use crate::world::World;

const STEP: Duration = Duration::from_secs(60);
const POINTS: i64 = 520;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_040_000 + minute * 60_000)
}

/// A network so small, and trained so little, that it takes moments.
fn options() -> Options {
    Options {
        trainer: Config {
            architecture: Architecture {
                hidden: 8,
                horizons: vec![1, 4],
            },
            batch: 16,
            sequence: 16,
            validation_series: 16,
            evaluate_every: 10,
            ..Config::default()
        },
        steps_max: 30,
        ..Options::default()
    }
}

/// The values of a series that are a little different from one to the next.
fn values(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut level = 0.0;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let noise = f64::from(u32::try_from(state >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        level = 0.8 * level + noise - 0.5;
        level
    }
}

/// A daemon's world in which some kinds are watched, each as one resource of its own name.
struct Scene {
    dir: tempfile::TempDir,
    world: World,
    kinds: Vec<&'static str>,
}

impl Scene {
    /// With networks, nothing in the history, and time standing at the last minute that is to be written.
    async fn new(kinds: &[&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = FakeClock::at(at(POINTS - 1));
        let world = World {
            networks: Networks::below(dir.path()),
            budget: Budget::new(1.0),
            clock: Arc::new(clock),
            ..testing::world(dir.path()).await
        };
        let scene = Self {
            dir,
            world,
            kinds: kinds.to_vec(),
        };
        for kind in kinds {
            scene.world.networks.open(kind).await.unwrap();
        }
        scene
    }

    /// Writes `count` series of deviations of a kind, from minute `from` to before `until`.
    async fn write(&self, kind: &str, count: usize, from: i64, until: i64) {
        for number in 0..count {
            let mut value = values(u64::try_from(number).unwrap() + from.unsigned_abs());
            let series = SeriesKey {
                resource: kind.into(),
                property: format!("p{number}").as_str().into(),
                stream: Stream::Deviation,
            };
            let samples: Vec<Sample> = (from..until)
                .map(|minute| Sample {
                    series: series.clone(),
                    at: at(minute),
                    value: value(),
                })
                .collect();
            self.world.history.append(&samples).await.unwrap();
        }
    }

    fn training(&self, options: Options) -> Training {
        let kinds = self.kinds.clone();
        let watching = move || {
            let watched = |kind: &&str| Watched {
                resource: (*kind).into(),
                kind: (*kind).to_owned(),
                step: STEP,
            };
            kinds.iter().map(watched).collect()
        };
        Training::new(&self.world, options, Arc::new(watching))
    }

    async fn look(&self) {
        self.training(options()).look().await;
    }

    /// As another process finds it later: the same files, other networks in memory.
    fn later(&mut self, minutes: i64) {
        self.world.networks = Networks::below(self.dir.path());
        self.world.clock = Arc::new(FakeClock::at(at(POINTS - 1 + minutes)));
    }

    fn network(&self, kind: &str) -> Option<Arc<Network>> {
        self.world.networks.factory(kind).network.get()
    }

    fn stage(&self, kind: &str) -> Stage {
        let all = self.world.networks.status();
        all.iter().find(|status| status.kind == kind).unwrap().stage
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.dir.path().join("networks"))
    }

    async fn events(&self) -> Vec<EventRecord> {
        let filter = EventFilter {
            limit: 100,
            ..EventFilter::default()
        };
        let events = self.world.control.events(&filter).await;
        events.unwrap()
    }
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(directory) else {
        return BTreeMap::new();
    };
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

#[tokio::test]
async fn a_kind_with_series_enough_is_trained_stored_and_told_of() {
    let scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN - 1, 0, POINTS).await;
    scene.look().await;
    let (series, needed) = (SERIES_MIN - 1, SERIES_MIN);
    assert_eq!(scene.stage("service"), Stage::Waiting { series, needed });
    assert!(scene.files().is_empty() && scene.network("service").is_none());

    scene.write("service", SERIES_MIN, 0, POINTS).await;
    scene.look().await;
    assert_eq!(scene.stage("service"), Stage::Ready);
    let status = scene.world.networks.status().remove(0);
    let trained = status.trained.unwrap();
    assert_eq!((trained.at, trained.since), (at(POINTS - 1), at(0)));
    let values = u64::try_from(SERIES_MIN).unwrap() * POINTS.unsigned_abs();
    assert_eq!((trained.on.series, trained.on.values), (32, values));
    assert_eq!(trained.on.steps % 10, 0, "a validated network");
    let names: Vec<String> = scene.files().into_keys().collect();
    assert_eq!(names, ["service"]);
    let events = scene.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0].event.sentence,
        "a network for the properties of kind service was trained on 32 series with 16640 values: \
         their models are fitted anew"
    );
}

#[tokio::test]
async fn series_that_are_short_or_hardly_vary_are_not_counted() {
    let scene = Scene::new(&["service"]).await;
    scene
        .write("service", SERIES_MIN, POINTS - 500, POINTS)
        .await;
    scene.look().await;
    let needed = SERIES_MIN;
    assert_eq!(scene.stage("service"), Stage::Waiting { series: 0, needed });
    let step = |minute: i64| f64::from(i32::from(minute > 300));
    for number in 0..SERIES_MIN {
        let series = SeriesKey {
            resource: "service".into(),
            property: format!("step{number}").as_str().into(),
            stream: Stream::Deviation,
        };
        let sample = |minute: i64| Sample {
            series: series.clone(),
            at: at(minute),
            value: step(minute),
        };
        let samples: Vec<Sample> = (0..POINTS).map(sample).collect();
        scene.world.history.append(&samples).await.unwrap();
    }
    scene.look().await;
    assert_eq!(scene.stage("service"), Stage::Waiting { series: 0, needed });
}

#[tokio::test]
async fn after_a_restart_it_is_there_before_anything_is_read_back_and_not_trained_again() {
    let mut scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    scene.look().await;
    let (network, files) = (scene.network("service").unwrap(), scene.files());
    let grid = HorizonGrid::new(STEP, STEP * 4);
    let history: Vec<(Timestamp, f64)> = (0..POINTS)
        .map(at)
        .zip(std::iter::repeat_with(values(99)))
        .collect();
    let mut forecaster = scene.world.networks.factory("service").forecaster(&grid, 0);
    for (at, value) in &history {
        forecaster.observe(*at, *value);
    }
    forecaster.refit(&history);
    let learned = forecaster.state().unwrap();

    scene.later(1);
    scene.world.networks.open("service").await.unwrap();
    let again = scene.network("service").unwrap();
    assert_eq!(again.fingerprint(), network.fingerprint());
    assert_eq!(scene.stage("service"), Stage::Ready);
    let restored = scene
        .world
        .networks
        .factory("service")
        .restore(&grid, &learned);
    let restored = restored.unwrap();
    assert_eq!(restored.weights(), forecaster.weights());
    assert_eq!(restored.wants_refit(), None);
    scene.look().await;
    assert_eq!(scene.files(), files);
    assert_eq!(scene.events().await.len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_a_network_trained_in_its_place() {
    let mut scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    scene.look().await;
    let good = scene.files()["service"].clone();
    let path = scene.dir.path().join("networks/service");
    let mut other_version = good.clone();
    other_version[7] = 9;
    let cases: [(&[u8], &str); 4] = [
        (&[], "is no network"),
        (b"something else", "is no network"),
        (&good[..good.len() - 1], "is damaged"),
        (&other_version, "has version 9; this build reads version 1"),
    ];
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        scene.later(1);
        let error = scene.world.networks.open("service").await.unwrap_err();
        let said = format!("{}: {expected}; a network is trained anew", path.display());
        assert_eq!(error.to_string(), said);
        assert!(scene.network("service").is_none());
        scene.look().await;
        assert_eq!(scene.stage("service"), Stage::Ready);
        assert!(scene.files()["service"].len() == good.len());
        scene.later(1);
        scene.world.networks.open("service").await.unwrap();
        assert!(scene.network("service").is_some());
    }
}

#[tokio::test]
async fn the_same_history_and_kind_give_the_same_network_and_another_kind_one_of_its_own() {
    let scene = Scene::new(&["files", "service"]).await;
    scene.write("files", SERIES_MIN, 0, POINTS).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    scene.look().await;
    let fingerprint = |kind: &str| scene.network(kind).unwrap().fingerprint();
    assert_ne!(fingerprint("files"), fingerprint("service"));
    assert_eq!(scene.files().len(), 2);

    let other = Scene::new(&["files", "service"]).await;
    other.write("service", SERIES_MIN, 0, POINTS).await;
    other.look().await;
    assert_eq!(
        other.network("service").unwrap().fingerprint(),
        fingerprint("service")
    );
    assert_eq!(other.files().keys().collect::<Vec<_>>(), ["service"]);
    let needed = SERIES_MIN;
    assert_eq!(other.stage("files"), Stage::Waiting { series: 0, needed });
    assert!(other.network("files").is_none());
}

#[tokio::test]
async fn it_is_trained_again_when_the_values_or_the_time_have_doubled() {
    let mut scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    scene.look().await;
    let first = scene.network("service").unwrap().fingerprint();
    let trained = |scene: &Scene| scene.world.networks.trained("service").unwrap();
    // One value less than twice as many.
    scene.write("service", 2 * SERIES_MIN - 1, 0, POINTS).await;
    scene.look().await;
    assert_eq!(scene.network("service").unwrap().fingerprint(), first);
    scene.write("service", 2 * SERIES_MIN, 0, POINTS).await;
    scene.look().await;
    assert_eq!(trained(&scene).on.series, 64);
    assert_ne!(scene.network("service").unwrap().fingerprint(), first);
    // And once more when as much time went by as the first history had reached back.
    for (minutes, trained_at) in [(POINTS - 2, POINTS - 1), (POINTS - 1, 2 * POINTS - 2)] {
        scene.later(minutes);
        scene.world.networks.open("service").await.unwrap();
        scene.look().await;
        assert_eq!(
            (trained(&scene).at, trained(&scene).since),
            (at(trained_at), at(0))
        );
        assert_eq!(scene.stage("service"), Stage::Ready);
    }
}

/// A clock on which each look takes ten milliseconds; remembers how the networks stood.
#[derive(Debug)]
struct Ticking {
    clock: FakeClock,
    networks: Networks,
    seen: Mutex<Vec<Stage>>,
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        self.look();
        at(POINTS - 1)
    }

    fn monotonic(&self) -> Duration {
        self.look();
        self.clock.advance(Duration::from_millis(10));
        self.clock.monotonic()
    }
}

impl Ticking {
    fn look(&self) {
        let stages = self
            .networks
            .status()
            .into_iter()
            .map(|status| status.stage);
        self.seen.lock().unwrap().extend(stages);
    }
}

#[tokio::test(start_paused = true)] // The rests of the budget take no time.
async fn a_budget_of_time_ends_it_with_the_best_so_far_and_progress_is_shown() {
    let mut scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    let clock = Arc::new(Ticking {
        clock: FakeClock::at(at(0)),
        networks: scene.world.networks.clone(),
        seen: Mutex::default(),
    });
    scene.world.clock = clock.clone();
    scene.world.budget = Budget::new(0.5);
    let options = Options {
        steps_max: 1000,
        // A step is a look at the clock: 150 ms are fifteen, which is not when it is validated by itself.
        spent_max: Duration::from_millis(150),
        ..options()
    };
    scene.training(options).look().await;
    let steps = scene.world.networks.trained("service").unwrap().on.steps;
    assert!(steps == 10 || steps == 15, "{steps}");
    let seen = clock.seen.lock().unwrap();
    let done = |stage: &Stage| match stage {
        Stage::Training { done } => Some(*done),
        Stage::Off | Stage::Waiting { .. } | Stage::Ready => None,
    };
    let mut shares: Vec<f64> = seen.iter().filter_map(done).collect();
    shares.dedup();
    assert_eq!(
        shares,
        [0.0, 0.01, 0.015],
        "slices of 100 ms, at most 1000 steps"
    );
}

#[tokio::test]
async fn what_is_stopped_leaves_nothing_behind() {
    let scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    let endless = Options {
        steps_max: u64::MAX,
        trainer: Config {
            patience: u32::MAX,
            ..options().trainer
        },
        ..options()
    };
    let (stop, stopped) = oneshot::channel();
    let training = tokio::spawn(scene.training(endless).run(stopped));
    while !matches!(scene.stage("service"), Stage::Training { done } if done > 0.0) {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    training.await.unwrap();
    assert!(scene.files().is_empty() && scene.network("service").is_none());
    assert!(scene.events().await.is_empty());
}

#[tokio::test]
async fn without_a_share_of_the_processor_nothing_is_read() {
    let mut scene = Scene::new(&["service"]).await;
    scene.world.budget = Budget::new(0.0);
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    let (stop, stopped) = oneshot::channel();
    let training = tokio::spawn(scene.training(options()).run(stopped));
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let needed = SERIES_MIN;
    assert_eq!(scene.stage("service"), Stage::Waiting { series: 0, needed });
    stop.send(()).unwrap();
    training.await.unwrap();
}

#[tokio::test]
async fn a_training_that_fails_leaves_everything_as_it_was() {
    let scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    let mut impossible = options();
    impossible.trainer.architecture.hidden = 7;
    scene.training(impossible.clone()).look().await;
    let (series, needed) = (SERIES_MIN, SERIES_MIN);
    assert_eq!(scene.stage("service"), Stage::Waiting { series, needed });
    assert!(scene.files().is_empty());
    scene.look().await;
    let (files, network) = (scene.files(), scene.network("service").unwrap());
    scene.write("service", 2 * SERIES_MIN, 0, POINTS).await;
    scene.training(impossible).look().await;
    assert_eq!(
        (scene.stage("service"), scene.files()),
        (Stage::Ready, files)
    );
    let still = scene.network("service").unwrap();
    assert_eq!(still.fingerprint(), network.fingerprint());
}

#[tokio::test]
async fn off_there_is_no_network_though_a_file_is_there() {
    let mut scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    scene.look().await;
    scene.world.networks = Networks::off();
    scene.world.networks.open("service").await.unwrap();
    assert_eq!(scene.stage("service"), Stage::Off);
    assert!(scene.network("service").is_none());
}

#[tokio::test]
async fn a_network_that_cannot_be_stored_is_in_force_all_the_same() {
    let scene = Scene::new(&["service"]).await;
    scene.write("service", SERIES_MIN, 0, POINTS).await;
    fs::write(scene.dir.path().join("networks"), "in the way").unwrap();
    scene.look().await;
    assert_eq!(scene.stage("service"), Stage::Ready);
    assert!(scene.network("service").is_some());
    let warnings = scene.events().await.into_iter();
    let warnings = warnings.filter(|event| event.event.severity == Severity::Warn);
    assert_eq!(warnings.count(), 1);
}
