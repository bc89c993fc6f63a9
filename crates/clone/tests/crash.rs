//! Stops the world before every durable step in turn - once by an error, once by killing the process -
//! and looks at what is left.

#![allow(clippy::unwrap_used)] // A test may fail anywhere, its helpers too.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{capture, fast_directory, materialise, skip};
use evenkeel_clone::{CloneError, Hint, Manner, Observer, Store};
use evenkeel_core::GenerationId;

/// Without how many names a file has: what was built but not exchanged shares files for a while.
fn look_timeless(root: &Path) -> Look {
    let nameless = |text: String| {
        let mut words: Vec<&str> = text.split(' ').collect();
        if words[0] == "file" {
            words.remove(1);
        }
        words.join(" ")
    };
    common::look_timeless(root)
        .into_iter()
        .map(|(path, text)| (path, nameless(text)))
        .collect()
}

type Look = BTreeMap<OsString, String>;

/// More steps than any story has.
const STEPS_MAX: usize = 400;

/// Acts before step number `at`, counted from zero.
fn before_step(at: usize, act: fn() -> io::Error) -> Observer {
    let count = AtomicUsize::new(0);
    Arc::new(move |_step| {
        if count.fetch_add(1, Ordering::Relaxed) == at {
            Err(act())
        } else {
            Ok(())
        }
    })
}

fn fail() -> io::Error {
    io::Error::other("stopped by the test")
}

fn die() -> io::Error {
    std::process::abort()
}

struct Paths {
    store: PathBuf,
    primary: PathBuf,
    standby: PathBuf,
    aside: PathBuf,
}

impl Paths {
    fn in_directory(dir: &Path) -> Self {
        let at = |name: &str| dir.join(name);
        Self {
            store: at("s"),
            primary: at("p"),
            standby: at("b"),
            aside: at("aside"),
        }
    }
}

/// Two generations, the first of them on the standby; returns what the two look like.
fn prepare(paths: &Paths) -> (Look, Look) {
    fs::create_dir(&paths.primary).unwrap();
    fs::write(paths.primary.join("same"), "same").unwrap();
    fs::write(paths.primary.join("changed"), "old").unwrap();
    fs::write(paths.primary.join("removed"), "old").unwrap();
    let store = Store::open(&paths.store).unwrap();
    let first = capture(&store, &paths.primary, Hint::Everything).unwrap();
    materialise(&store, first.generation, &paths.standby, Manner::Swap).unwrap();
    let one = look_timeless(&paths.primary);
    fs::write(paths.primary.join("changed"), "new").unwrap();
    fs::remove_file(paths.primary.join("removed")).unwrap();
    fs::create_dir(paths.primary.join("d")).unwrap();
    fs::write(paths.primary.join("d/added"), "new").unwrap();
    (one, look_timeless(&paths.primary))
}

/// What is done, and interrupted.
#[derive(Clone, Copy)]
enum Story {
    Capture,
    Swap,
    InPlace,
    Remove,
}

impl Story {
    fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Swap => "swap",
            Self::InPlace => "in-place",
            Self::Remove => "remove",
        }
    }

    /// What has to be there before the part that is interrupted.
    fn ground(self, paths: &Paths) {
        match self {
            Self::Capture => {}
            Self::Swap | Self::InPlace | Self::Remove => {
                let store = Store::open(&paths.store).unwrap();
                capture(&store, &paths.primary, Hint::Everything).unwrap();
            }
        }
    }

    fn run(self, store: &Store, paths: &Paths) -> Result<(), CloneError> {
        let second = GenerationId(2);
        match self {
            Self::Capture => capture(store, &paths.primary, Hint::Everything).map(drop),
            Self::Swap => materialise(store, second, &paths.standby, Manner::Swap).map(drop),
            Self::InPlace => {
                let manner = Manner::InPlace {
                    aside: Some(paths.aside.clone()),
                };
                materialise(store, second, &paths.standby, manner).map(drop)
            }
            Self::Remove => store.remove(&BTreeSet::from([second])).map(drop),
        }
    }

    /// After the interruption, before anything is repeated.
    fn check(self, paths: &Paths, one: &Look, two: &Look, step: usize) {
        let name = self.name();
        let store = Store::open(&paths.store).unwrap();
        let report = store.verify(&|_| {}).unwrap();
        assert!(report.is_sound(), "{name} step {step}: {report:?}");
        assert!(
            store.generation(GenerationId(1)).is_ok(),
            "{name} step {step}"
        );
        let now = look_timeless(&paths.standby);
        match self {
            Self::Capture | Self::Remove => assert_eq!(now, *one, "{name} step {step}"),
            Self::Swap => assert!(now == *one || now == *two, "{name} step {step}: {now:?}"),
            // Every file is the old one or the new one.
            Self::InPlace => {
                let known = |path: &OsString, text: &String| {
                    [one, two].iter().any(|look| look.get(path) == Some(text))
                        || text.starts_with("dir")
                        || path.to_string_lossy().contains(".evenkeel-tmp-")
                };
                let strange: Vec<_> = now.iter().filter(|(p, t)| !known(p, t)).collect();
                assert!(strange.is_empty(), "{name} step {step}: {strange:?}");
                assert!(
                    now.keys().any(|path| path == "changed"),
                    "{name} step {step}"
                );
            }
        }
    }

    /// Repeating it finishes the work and leaves nothing lying about.
    fn finish(self, paths: &Paths, one: &Look, two: &Look, step: usize) {
        let store = Store::open(&paths.store).unwrap();
        self.run(&store, paths).unwrap();
        let wanted = match self {
            Self::Capture | Self::Remove => one,
            Self::Swap | Self::InPlace => two,
        };
        assert_eq!(
            look_timeless(&paths.standby),
            *wanted,
            "{} step {step}",
            self.name()
        );
        let beside = fs::read_dir(paths.standby.parent().unwrap()).unwrap();
        for entry in beside {
            let name = entry.unwrap().file_name();
            assert!(
                !name.to_string_lossy().contains("evenkeel"),
                "{name:?} remains, step {step}"
            );
        }
        if let Self::Remove = self {
            // The number is not given again, whenever the crash was.
            let next = capture(&store, &paths.primary, Hint::Everything).unwrap();
            assert_eq!(next.generation, GenerationId(3), "step {step}");
        }
        assert!(store.verify(&|_| {}).unwrap().is_sound());
        assert_eq!(fs::read_dir(paths.store.join("tmp")).unwrap().count(), 0);
    }
}

fn stopped_by_an_error(story: Story) {
    for step in 0..STEPS_MAX {
        let dir = fast_directory();
        let paths = Paths::in_directory(dir.path());
        let (one, two) = prepare(&paths);
        story.ground(&paths);
        let mut store = Store::open(&paths.store).unwrap();
        store.observe(before_step(step, fail));
        let ended = story.run(&store, &paths);
        drop(store);
        story.check(&paths, &one, &two, step);
        story.finish(&paths, &one, &two, step);
        if ended.is_ok() {
            assert!(step > 2, "{} has only {step} steps", story.name());
            return;
        }
    }
    panic!("{} has more steps than expected", story.name());
}

/// The same, in a process of its own which is killed: no destructor runs, no clearing up.
fn killed(story: Story, test: &str) {
    const AT: &str = "EVENKEEL_TEST_KILL_AT";
    const DIR: &str = "EVENKEEL_TEST_KILL_IN";
    if let (Ok(step), Ok(dir)) = (std::env::var(AT), std::env::var(DIR)) {
        let paths = Paths::in_directory(Path::new(&dir));
        let mut store = Store::open(&paths.store).unwrap();
        store.observe(before_step(step.parse().unwrap(), die));
        story.run(&store, &paths).unwrap();
        return;
    }
    for step in 0..STEPS_MAX {
        let dir = fast_directory();
        let paths = Paths::in_directory(dir.path());
        let (one, two) = prepare(&paths);
        story.ground(&paths);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(AT, step.to_string())
            .env(DIR, dir.path())
            .env("RUST_BACKTRACE", "0")
            .output();
        let Ok(child) = child else {
            return skip("a process cannot be started");
        };
        story.check(&paths, &one, &two, step);
        story.finish(&paths, &one, &two, step);
        if child.status.success() {
            assert!(step > 2, "{} has only {step} steps", story.name());
            return;
        }
    }
    panic!("{} has more steps than expected", story.name());
}

#[test]
fn an_error_at_any_step_of_a_capture_harms_nothing() {
    stopped_by_an_error(Story::Capture);
}

#[test]
fn an_error_at_any_step_of_a_swap_leaves_old_or_new() {
    stopped_by_an_error(Story::Swap);
}

#[test]
fn an_error_at_any_step_in_place_leaves_whole_files() {
    stopped_by_an_error(Story::InPlace);
}

#[test]
fn an_error_at_any_step_of_a_removal_harms_nothing_else() {
    stopped_by_an_error(Story::Remove);
}

#[test]
fn a_kill_at_any_step_of_a_capture_harms_nothing() {
    killed(
        Story::Capture,
        "a_kill_at_any_step_of_a_capture_harms_nothing",
    );
}

#[test]
fn a_kill_at_any_step_of_a_swap_leaves_old_or_new() {
    killed(
        Story::Swap,
        "a_kill_at_any_step_of_a_swap_leaves_old_or_new",
    );
}

#[test]
fn a_kill_at_any_step_in_place_leaves_whole_files() {
    killed(
        Story::InPlace,
        "a_kill_at_any_step_in_place_leaves_whole_files",
    );
}

#[test]
fn a_kill_at_any_step_of_a_removal_harms_nothing_else() {
    killed(
        Story::Remove,
        "a_kill_at_any_step_of_a_removal_harms_nothing_else",
    );
}
