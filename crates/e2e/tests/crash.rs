//! The daemon is killed in the middle of a failover, at the begin of each of its steps in turn, and
//! started again. Whatever it makes of that, it ends with exactly one instance that serves.

#![allow(clippy::unwrap_used)] // A test may fail anywhere.

use std::process::{Command, Stdio};
use std::time::Duration;

use evenkeel_api::wire::{Instance, PhaseKind, RunOutcome, RunView, StepStatus};
use evenkeel_e2e::{Daemon, Setup, Site, get, nginx_is_there, run_now};
use evenkeel_testing::poll_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// What was seen of a run when the daemon was killed.
enum Killed {
    /// This step, or one after it, had begun.
    At(String),
    /// There is no such step: the run has fewer.
    NotAtAll,
}

/// Starts a failover and kills the daemon as soon as its step number `step` has begun.
fn kill_at(site: &Site, daemon: Daemon, step: usize) -> (RunId, Killed) {
    let cli = daemon.cli().clone();
    let acted = cli.done(&["failover", "web", "--yes", "--no-wait", "--json"]);
    let acted: serde_json::Value = serde_json::from_str(&acted).unwrap();
    let run = acted["run"].as_str().unwrap().to_owned();
    let socket = site.socket();
    let begun = |view: &RunView| {
        let steps = view.steps.iter().skip(step);
        steps
            .rev()
            .find(|step| step.status != StepStatus::Pending)
            .map(|step| step.name.clone())
    };
    for _ in 0..200_000 {
        let Some(view) = run_now(&socket, &run) else {
            continue;
        };
        if view.steps.len() <= step {
            return (run, Killed::NotAtAll);
        }
        if let Some(name) = begun(&view) {
            daemon.kill();
            return (run, Killed::At(name));
        }
    }
    panic!("{run} never came to step {step}");
}

type RunId = String;

fn other(instance: Instance) -> Instance {
    match instance {
        Instance::A => Instance::B,
        Instance::B => Instance::A,
    }
}

#[test]
fn a_daemon_killed_at_any_step_of_a_failover_ends_with_exactly_one_that_serves() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup::default());
    let mut serving = Instance::A;
    let mut daemon = site.daemon();
    for step in 0.. {
        daemon.cli().until_guarded(serving);
        let (run, killed) = kill_at(&site, daemon, step);
        let name = match killed {
            Killed::At(name) => name,
            Killed::NotAtAll => {
                assert!(step >= 8, "a failover has more steps than {step}");
                break;
            }
        };
        daemon = site.daemon();
        let view = poll_until(&format!("{run} ends, killed at {name}"), PATIENCE, || {
            let view = daemon.cli().saga(&run);
            if view.outcome.is_some() {
                Ok(view)
            } else {
                Err(format!("{view:?}"))
            }
        });
        serving = match view.outcome {
            Some(RunOutcome::Done) => other(serving),
            Some(RunOutcome::Undone) => serving,
            Some(RunOutcome::Stuck) | None => panic!("killed at {name}: {view:?}"),
        };
        let detail = daemon
            .cli()
            .until(&format!("guarded, killed at {name}"), |detail| {
                detail.status.phase == PhaseKind::Guarded
            });
        assert_eq!(detail.status.serving, serving, "killed at {name}: {view:?}");
        site.assert_served_by(serving);
    }
}

/// A small file system at the state directory, taken away in the end.
struct SmallDisk<'s>(&'s Site);

impl<'s> SmallDisk<'s> {
    fn mount(site: &'s Site) -> Option<Self> {
        std::fs::create_dir(site.state()).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=16m,mode=700", "evenkeel-e2e"])
            .arg(site.state());
        let mounted = mount.stderr(Stdio::null()).status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(site))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: the service that still runs has its log there.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.state())
            .status();
    }
}

#[test]
fn a_sync_that_finds_the_disk_full_keeps_the_generation_there_was() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup::default());
    let Some(_disk) = SmallDisk::mount(&site) else {
        return evenkeel_testing::skip_or_fail("a tmpfs cannot be mounted, which needs root");
    };
    let daemon = site.daemon();
    let cli = daemon.cli();
    let before = cli
        .until_guarded(Instance::A)
        .status
        .clone
        .unwrap()
        .newest_good;

    std::fs::write(site.page("large.bin"), noise(24 << 20)).unwrap();
    let answer = cli.run(&["clone", "sync", "web", "--yes"]);
    assert!(!answer.ok, "{}", answer.out);
    let detail = cli.until("the problem is told", |detail| {
        detail
            .status
            .clone
            .as_ref()
            .is_some_and(|clone| clone.sync_problem.is_some())
    });
    let clone = detail.status.clone.unwrap();
    assert_eq!(clone.newest_good, before, "{clone:?}");

    // The old generation still carries a failover.
    std::fs::remove_file(site.page("large.bin")).unwrap();
    cli.done(&["failover", "web", "--yes"]);
    cli.until_guarded(Instance::B);
    site.assert_served_by(Instance::B);
    assert_eq!(get(site.entrance, "/").unwrap().body, "hello\n");
}

/// Content that no compression and no sharing makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| step()).collect()
}
