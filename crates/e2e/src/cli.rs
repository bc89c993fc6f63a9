//! The command line, used as a user does: `--json`, exit codes, standard error.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use evenkeel_api::wire::{
    Event, EventDetail, EventList, Instance, PhaseKind, ResourceDetail, RunView,
};
use evenkeel_testing::poll_until;
use serde::de::DeserializeOwned;

use crate::binary;

/// Longer than anything takes on a busy machine, where each look takes its time, too.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command line of one daemon.
#[derive(Clone, Debug)]
pub struct Cli {
    socket: PathBuf,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    /// Whether it exited with 0.
    pub ok: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Cli {
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_path_buf(),
        }
    }

    /// Runs a command.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        let output: Output = Command::new(binary::path())
            .arg("--socket")
            .arg(&self.socket)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Answer {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that must succeed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let answer = self.run(arguments);
        assert!(answer.ok, "{arguments:?}: {}{}", answer.out, answer.err);
        answer.out
    }

    /// Runs a reading command, `--json` added; what went wrong if it failed.
    fn ask<A: DeserializeOwned>(&self, arguments: &[&str]) -> Result<A, String> {
        let answer = self.run(&[arguments, &["--json"]].concat());
        if !answer.ok {
            return Err(answer.err);
        }
        serde_json::from_str(&answer.out).map_err(|error| format!("{error}: {}", answer.out))
    }

    /// How the resource `web` stands.
    pub fn status(&self) -> ResourceDetail {
        self.ask(&["status", "web"]).unwrap()
    }

    /// The last events of the resource, newest first.
    pub fn events(&self) -> Vec<Event> {
        let list: EventList = self.ask(&["events", "web", "-n", "500"]).unwrap();
        list.events
    }

    /// The events of every resource and of the daemon.
    pub fn all_events(&self) -> Vec<Event> {
        let list: EventList = self.ask(&["events", "-n", "500"]).unwrap();
        list.events
    }

    /// One event with what belongs to it.
    pub fn explain(&self, event: &Event) -> EventDetail {
        self.ask(&["explain", &event.id]).unwrap()
    }

    /// One saga.
    pub fn saga(&self, run: &str) -> RunView {
        self.ask(&["saga", "show", run]).unwrap()
    }

    /// Waits until the resource stands as `is_so` asks.
    pub fn until(&self, what: &str, is_so: impl Fn(&ResourceDetail) -> bool) -> ResourceDetail {
        poll_until(what, PATIENCE, || {
            let detail: ResourceDetail = self.ask(&["status", "web"])?;
            if is_so(&detail) {
                return Ok(detail);
            }
            let phase = detail.status.phase;
            Err(format!("{phase:?}, {}", detail.status.sentence))
        })
    }

    /// Waits until the resource is guarded, served by `instance`.
    pub fn until_guarded(&self, instance: Instance) -> ResourceDetail {
        self.until(&format!("{instance:?} serves and is guarded"), |detail| {
            detail.status.phase == PhaseKind::Guarded && detail.status.serving == instance
        })
    }

    /// Waits until the resource was probed `count` times more, asserting that `holds` all the while.
    pub fn for_probes(&self, count: usize, holds: impl Fn(&ResourceDetail)) {
        let mut last = self.status().status.probed_at;
        for _ in 0..count {
            let detail = self.until("it is probed again", |d| d.status.probed_at != last);
            holds(&detail);
            last = detail.status.probed_at;
        }
    }
}
