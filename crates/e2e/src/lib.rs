//! End-to-end tests of the built binary: a real nginx with a real configuration tree, real clients,
//! and the command line as a user types it. This library is their harness; the tests are in `tests/`.
//!
//! Left out on purpose: anything that looks inside the daemon. What is asserted is what a user could
//! see: answers of the command line, files, processes, ports, and what clients got.

#![allow(
    clippy::unwrap_used,
    reason = "the harness of tests: where it cannot go on, the test fails"
)]

mod api;
mod binary;
mod cli;
mod clients;
mod daemon;
mod drift;
mod http;
mod site;

use std::process::{Command, Stdio};

pub use api::run_now;
pub use cli::{Answer, Cli};
pub use clients::{Load, Tally};
pub use daemon::Daemon;
pub use drift::Drift;
pub use http::{Reply, get};
pub use site::{Setup, Site, WORKER_CONNECTIONS, map_text};

/// Whether nginx is installed; where it is not, says that the test is skipped, or fails.
#[must_use]
pub fn nginx_is_there() -> bool {
    let asked = Command::new("nginx")
        .arg("-v")
        .stderr(Stdio::null())
        .status();
    let is_there = asked.is_ok_and(|status| status.success());
    if !is_there {
        evenkeel_testing::skip_or_fail("nginx is not installed (apt-get install nginx)");
    }
    is_there
}
