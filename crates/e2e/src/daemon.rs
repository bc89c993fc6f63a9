//! A daemon: started on a configuration, told with signals, killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use evenkeel_testing::poll_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::binary;
use crate::cli::Cli;

/// `evenkeel run`, killed when it is dropped. What it supervises outlives it, as it does its crash;
/// see [`crate::Site`].
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    cli: Cli,
}

fn command(config: &Path) -> Command {
    let mut command = Command::new(binary::path());
    command.arg("run").arg("--config").arg(config);
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

impl Daemon {
    /// Starts it and waits until it answers.
    pub(crate) fn start(config: &Path, socket: &Path, log: PathBuf) -> Self {
        let append = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command(config)
            .stdout(Stdio::null())
            .stderr(append)
            .spawn()
            .unwrap();
        let mut daemon = Self {
            child,
            log,
            cli: Cli::new(socket),
        };
        poll_until("the daemon answers", Duration::from_secs(60), || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{}", daemon.log());
            }
            let answer = daemon.cli.run(&["status", "--json"]);
            if answer.ok { Ok(()) } else { Err(answer.err) }
        });
        daemon
    }

    /// Runs one that is expected to end by itself, at once.
    pub(crate) fn run_to_end(config: &Path) -> Output {
        command(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .unwrap()
    }

    /// The command line that asks it.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it logged, and those before it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Has it read its configuration again.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Ends it orderly.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        poll_until("the daemon ends", Duration::from_secs(30), || {
            self.child.try_wait().unwrap().ok_or("still running")
        })
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already gone after `kill` and `terminate`.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(60)..];
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("the daemon's last words:\n{}\n", tail.join("\n")),
            );
        }
    }
}
