//! The daemon is killed in the middle of a failover and of a reinstatement, at the begin of each of their
//! steps in turn, and started again. Whatever it makes of that, it ends with exactly one instance that
//! serves, and with a standby.

#![allow(clippy::unwrap_used)] // A test may fail anywhere.

use std::process::{Command, Stdio};
use std::time::Duration;

use evenkeel_api::wire::{Instance, PhaseKind, PlanKind, RunOutcome, RunView, StepStatus};
use evenkeel_e2e::{Daemon, Setup, Site, get, nginx_is_there, run_now};
use evenkeel_testing::poll_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a failover; its run.
fn start_failover(daemon: &Daemon) -> RunId {
    let acted = daemon
        .cli()
        .done(&["failover", "web", "--yes", "--no-wait", "--json"]);
    let acted: serde_json::Value = serde_json::from_str(&acted).unwrap();
    acted["run"].as_str().unwrap().to_owned()
}

/// Kills the daemon as soon as step number `step` of the run, or one after it, has begun: which one.
/// `None`, and nobody was killed, if the run has fewer steps.
fn kill_at(site: &Site, daemon: &mut Option<Daemon>, run: &str, step: usize) -> Option<String> {
    let socket = site.socket();
    let begun = |view: &RunView| {
        let steps = view.steps.iter().skip(step);
        steps
            .rev()
            .find(|step| step.status != StepStatus::Pending)
            .map(|step| step.name.clone())
    };
    for _ in 0..200_000 {
        let Some(view) = run_now(&socket, run) else {
            continue;
        };
        if view.steps.len() <= step {
            return None;
        }
        if let Some(name) = begun(&view) {
            daemon.take().unwrap().kill();
            return Some(name);
        }
    }
    panic!("{run} never came to step {step}");
}

/// The run as it ended.
fn ended(daemon: &Daemon, run: &str, killed_at: &str) -> RunView {
    let what = format!("{run} ends, killed at {killed_at}");
    poll_until(&what, PATIENCE, || {
        let view = daemon.cli().saga(run);
        if view.outcome.is_some() {
            Ok(view)
        } else {
            Err(format!("{view:?}"))
        }
    })
}

/// Guarded again, and served by this instance alone.
fn assert_well(site: &Site, daemon: &Daemon, serving: Instance, killed_at: &str) {
    let what = format!("guarded, killed at {killed_at}");
    let detail = daemon
        .cli()
        .until(&what, |detail| detail.status.phase == PhaseKind::Guarded);
    assert_eq!(detail.status.serving, serving, "killed at {killed_at}");
    site.assert_served_by(serving);
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
    let mut daemon = Some(site.daemon());
    for step in 0.. {
        let running = daemon.as_ref().unwrap();
        running.cli().until_guarded(serving);
        let run = start_failover(running);
        let Some(name) = kill_at(&site, &mut daemon, &run, step) else {
            assert!(step >= 8, "a failover has more steps than {step}");
            break;
        };
        let running = daemon.insert(site.daemon());
        let view = ended(running, &run, &name);
        serving = match view.outcome {
            Some(RunOutcome::Done) => other(serving),
            Some(RunOutcome::Undone) => serving,
            Some(RunOutcome::Stuck) | None => panic!("killed at {name}: {view:?}"),
        };
        assert_well(&site, running, serving, &name);
    }
}

#[test]
fn a_daemon_killed_at_any_step_of_a_reinstatement_ends_with_a_standby() {
    if !nginx_is_there() {
        return;
    }
    let site = Site::new(&Setup::default());
    let mut serving = Instance::A;
    let mut daemon = Some(site.daemon());
    for step in 0.. {
        let running = daemon.as_ref().unwrap();
        running.cli().until_guarded(serving);
        let failover = start_failover(running);
        serving = other(serving);
        // Its reinstatement gets the number that was reserved when it started.
        let number: u64 = failover.trim_start_matches('r').parse().unwrap();
        let run = format!("r{}", number + 1);
        let Some(name) = kill_at(&site, &mut daemon, &run, step) else {
            assert!(step >= 7, "a reinstatement has more steps than {step}");
            break;
        };
        let running = daemon.insert(site.daemon());
        let view = ended(running, &run, &name);
        assert_eq!(view.kind, PlanKind::Reinstatement, "{view:?}");
        assert_eq!(
            view.outcome,
            Some(RunOutcome::Done),
            "killed at {name}: {view:?}"
        );
        assert_well(&site, running, serving, &name);
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
