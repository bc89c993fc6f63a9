//! Starting, signalling and stopping processes; running commands to their end.
//!
//! Signals go through process file descriptors, so that they cannot hit a process that got the id of
//! another in between. A started process leads a group of its own and outlives the daemon.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::identity::{ProcessIdentity, all_processes, family, with_environment};

/// The variable by which processes are found again that were started just before a crash.
pub(crate) const MARKER: &str = "EVENKEEL_STARTED";

const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
const POLL: Duration = Duration::from_millis(20);
/// How long a killed process may take to vanish before that counts as a failure.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// A command ready to run.
#[derive(Clone)]
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// Set on top of the daemon's own environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where it runs.
    pub(crate) directory: PathBuf,
}

impl std::fmt::Debug for Launch {
    /// Without the environment and with a masked command line: both may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Launch({})", self.describe())
    }
}

impl Launch {
    /// The command line for people.
    pub(crate) fn describe(&self) -> String {
        super::log::mask(&self.words.join(" "))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.words.first().map_or("", String::as_str));
        command.args(self.words.get(1..).unwrap_or_default());
        // What the service manager or an operator gave the daemon is not for its children.
        for (name, _) in std::env::vars_os() {
            let is_ours = name.to_str().is_some_and(|name| {
                name.starts_with("EVENKEEL_")
                    || matches!(
                        name,
                        "NOTIFY_SOCKET"
                            | "LISTEN_FDS"
                            | "LISTEN_PID"
                            | "LISTEN_FDNAMES"
                            | "WATCHDOG_USEC"
                            | "WATCHDOG_PID"
                    )
            });
            if is_ours {
                command.env_remove(name);
            }
        }
        command
            .envs(&self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .process_group(0);
        command
    }
}

/// Where an executable is, or why it cannot be run.
pub(crate) fn find_executable(program: &str) -> Result<PathBuf, String> {
    let is_executable = |path: &Path| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let path = PathBuf::from(program);
        return match path.metadata() {
            Err(error) => Err(format!("{program}: {error}")),
            Ok(_) if is_executable(&path) => Ok(path),
            Ok(_) => Err(format!("{program} is not an executable file")),
        };
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search)
        .map(|directory| directory.join(program))
        .find(|path| is_executable(path))
        .ok_or_else(|| format!("there is no `{program}` in {}", search.to_string_lossy()))
}

/// Starts a process that outlives this one, with its output at the end of `log`.
pub(crate) fn spawn_detached(
    launch: &Launch,
    log: &Path,
    marker: &str,
) -> io::Result<(Child, ProcessIdentity)> {
    let log = open_log(log)?;
    let mut command = launch.command();
    command
        .env(MARKER, marker)
        .stdout(log.try_clone()?)
        .stderr(log);
    let child = command.spawn()?;
    let identity = child.id().and_then(ProcessIdentity::now_at);
    // It may be over already; its exit status will say why.
    let gone = || ProcessIdentity {
        pid: child.id().unwrap_or_default(),
        start_ticks: 0,
        boot: String::new(),
    };
    let identity = identity.unwrap_or_else(gone);
    Ok((child, identity))
}

/// Opens a log for appending, readable by its owner alone. A large one becomes `log.1` first.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    if path
        .metadata()
        .is_ok_and(|found| found.len() > LOG_BYTES_MAX)
    {
        std::fs::rename(path, path.with_file_name("log.1"))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// What a command that was run to its end left.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// The last lines it wrote, masked.
    pub(crate) output: String,
}

impl Ended {
    /// The reason of a failure, in one sentence; `None` if it succeeded.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.status.success() {
            return None;
        }
        let said = self.output.trim();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        Some(format!("{}{said}", describe_status(self.status)))
    }
}

/// An exit status for people.
pub(crate) fn describe_status(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

/// Runs a command to its end, or kills it and all it started when `limit` is over. What it leaves in
/// the background goes on running, unless it took too long.
pub(crate) async fn run_to_end(launch: &Launch, limit: Duration) -> Result<Ended, String> {
    let mut command = launch.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, leader) = spawn_owned(launch, command)?;
    let out = child
        .stdout
        .take()
        .map(|pipe| tokio::spawn(read_some(pipe)));
    let err = child
        .stderr
        .take()
        .map(|pipe| tokio::spawn(read_some(pipe)));
    let status = wait_or_kill(launch, child, leader, limit).await?;
    let output = format!("{}{}", collect(out).await, collect(err).await);
    Ok(Ended {
        status,
        output: super::log::last_lines(&output, 10),
    })
}

/// Like [`run_to_end`], with the output at the end of `log`, where it may go on after the command's
/// end: for commands that start something in the background.
pub(crate) async fn run_logged(
    launch: &Launch,
    log: &Path,
    limit: Duration,
    marker: &str,
) -> Result<Ended, String> {
    let open = || open_log(log).map_err(|error| format!("{}: {error}", log.display()));
    let mut command = launch.command();
    command.env(MARKER, marker).stdout(open()?).stderr(open()?);
    let (child, leader) = spawn_owned(launch, command)?;
    let status = wait_or_kill(launch, child, leader, limit).await?;
    let output = if status.success() {
        String::new()
    } else {
        super::log::tail(log, 10)
    };
    Ok(Ended { status, output })
}

fn spawn_owned(
    launch: &Launch,
    mut command: Command,
) -> Result<(Child, Option<ProcessIdentity>), String> {
    let child = command
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run `{}`: {error}", launch.describe()))?;
    let leader = child.id().and_then(ProcessIdentity::now_at);
    Ok((child, leader))
}

async fn wait_or_kill(
    launch: &Launch,
    mut child: Child,
    leader: Option<ProcessIdentity>,
    limit: Duration,
) -> Result<ExitStatus, String> {
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(format!("cannot wait for `{}`: {error}", launch.describe())),
        Err(_) => {
            if let Some(leader) = leader {
                signal_all(&crew(&leader, None), Signal::KILL);
            }
            let _ = child.kill().await;
            Err(format!(
                "`{}` did not end within {}",
                launch.describe(),
                evenkeel_core::Brief(limit)
            ))
        }
    }
}

/// Reads to the end, keeps the beginning.
async fn read_some(mut pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let _ = (&mut pipe)
        .take(OUTPUT_BYTES_MAX)
        .read_to_end(&mut kept)
        .await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    kept
}

/// What was read. Whoever was left in the background may hold the pipe open for ever: that is not
/// waited for.
async fn collect(reader: Option<tokio::task::JoinHandle<Vec<u8>>>) -> String {
    const STRAGGLERS: Duration = Duration::from_millis(200);
    let Some(reader) = reader else {
        return String::new();
    };
    let abort = reader.abort_handle();
    match tokio::time::timeout(STRAGGLERS, reader).await {
        Ok(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(Err(_)) => String::new(),
        Err(_) => {
            abort.abort();
            String::new()
        }
    }
}

/// Everybody who goes when `leader` is stopped: itself, its descendants, its group if it leads one,
/// and those that carry its marker.
pub(crate) fn crew(leader: &ProcessIdentity, marker: Option<&str>) -> Vec<ProcessIdentity> {
    let mut pids = Vec::new();
    if leader.pid <= 1 {
        return Vec::new();
    }
    if leader.is_alive() {
        pids.extend(family(leader.pid).iter().map(|stat| stat.pid));
    }
    // A group keeps its number from being given out again for as long as it has members.
    let began_after = |start: u64| start >= leader.start_ticks;
    let group = all_processes().into_iter().filter(|stat| {
        stat.group == leader.pid && stat.is_alive() && began_after(stat.start_ticks)
    });
    pids.extend(group.map(|stat| stat.pid));
    if let Some(marker) = marker {
        pids.extend(with_environment(MARKER, marker));
    }
    pids.sort_unstable();
    pids.dedup();
    let me = std::process::id();
    pids.into_iter()
        .filter(|pid| *pid != me)
        .filter_map(ProcessIdentity::now_at)
        .collect()
}

/// Signals every one of them that is still the process meant.
pub(crate) fn signal_all(processes: &[ProcessIdentity], signal: Signal) {
    for process in processes {
        if let Err(error) = send_signal(process, signal) {
            tracing::debug!(pid = process.pid, %error, "not signalled");
        }
    }
}

/// Signals this very process.
pub(crate) fn send_signal(process: &ProcessIdentity, signal: Signal) -> io::Result<()> {
    let no_such = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("process {} has ended", process.pid),
        )
    };
    let pid = i32::try_from(process.pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(no_such)?;
    let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
    // Checked after opening: from here on the descriptor means the process that was found alive.
    if !process.is_alive() {
        return Err(no_such());
    }
    Ok(pidfd_send_signal(&descriptor, signal)?)
}

/// Signals a process and its crew, waits until all are gone, and kills those that stay longer than
/// `grace`. `Ok` means that none of them is alive.
pub(crate) async fn stop_crew(
    leader: &ProcessIdentity,
    marker: Option<&str>,
    signal: Signal,
    grace: Duration,
) -> Result<(), String> {
    signal_all(&crew(leader, marker), signal);
    if wait_gone(leader, marker, grace).await {
        return Ok(());
    }
    tracing::warn!(pid = leader.pid, ?grace, "did not end in time, killing it");
    signal_all(&crew(leader, marker), Signal::KILL);
    if wait_gone(leader, marker, KILL_WAIT).await {
        return Ok(());
    }
    let left: Vec<String> = crew(leader, marker)
        .iter()
        .map(|process| process.pid.to_string())
        .collect();
    Err(format!(
        "pid {} did not end, even when killed",
        left.join(", ")
    ))
}

/// Waits until nobody of the crew is alive.
pub(crate) async fn wait_gone(
    leader: &ProcessIdentity,
    marker: Option<&str>,
    limit: Duration,
) -> bool {
    let all_gone = async {
        while !crew(leader, marker).is_empty() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(limit, all_gone).await.is_ok()
}

/// The signal of this name, with or without `SIG`.
pub(crate) fn signal_named(name: &str) -> Option<Signal> {
    let upper = name.to_ascii_uppercase();
    Some(match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "WINCH" => Signal::WINCH,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Launch {
        Launch {
            words: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            environment: BTreeMap::new(),
            directory: "/".into(),
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_all_it_started() {
        let launch = shell("sleep 600 & sleep 600");
        let error = run_to_end(&launch, Duration::from_millis(100))
            .await
            .unwrap_err();
        assert!(error.contains("did not end within 100 ms"), "{error}");
    }

    #[tokio::test]
    async fn a_failed_command_says_why_and_hides_secrets() {
        let ended = run_to_end(
            &shell("echo password=hunter2 no such file >&2; exit 3"),
            Duration::from_secs(10),
        )
        .await;
        let failure = ended.unwrap().failure().unwrap();
        assert_eq!(failure, "exit status 3: password=*** no such file");
    }

    #[tokio::test]
    async fn a_command_that_leaves_something_in_the_background_ends() {
        let ended = run_to_end(&shell("sleep 5 & echo started"), Duration::from_secs(10))
            .await
            .unwrap();
        assert!(ended.failure().is_none());
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_signal_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let launch = shell("trap '' TERM; echo up; sleep 600 & while :; do sleep 0.05; done");
        let (mut child, leader) = spawn_detached(&launch, &log, "test-ignores").unwrap();
        let up = async {
            while super::super::log::tail(&log, 1) != "up" {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), up)
            .await
            .unwrap();
        assert!(crew(&leader, None).len() >= 2);
        stop_crew(
            &leader,
            Some("test-ignores"),
            Signal::TERM,
            Duration::from_millis(50),
        )
        .await
        .unwrap();
        assert!(!leader.is_alive());
        child.wait().await.unwrap();
        assert!(send_signal(&leader, Signal::TERM).is_err());
    }

    #[test]
    fn missing_programs_are_named() {
        assert!(
            find_executable("/no/such")
                .unwrap_err()
                .contains("/no/such")
        );
        assert!(
            find_executable("no-such-program")
                .unwrap_err()
                .contains("`no-such-program`")
        );
        let plain = tempfile::NamedTempFile::new().unwrap();
        let error = find_executable(plain.path().to_str().unwrap()).unwrap_err();
        assert!(error.contains("not an executable file"), "{error}");
        assert!(find_executable("sh").is_ok());
    }
}
