//! Which process is meant: a process id with the instant the process began and the boot it began in,
//! because ids are given out again. A zombie does not count as alive: it only waits for its parent.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One process, and no other that gets its id later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    /// Its id.
    pub(crate) pid: u32,
    /// When it began, in clock ticks since the boot.
    pub(crate) start_ticks: u64,
    /// The boot in which it began.
    pub(crate) boot: String,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) threads: u64,
    pub(crate) start_ticks: u64,
}

impl Stat {
    /// Reads it; an error where there is no such process (any more).
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let bytes = std::fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(pid, &bytes).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("/proc/{pid}/stat has another form"),
            )
        })
    }

    /// The name in parentheses may hold anything, also parentheses: fields are counted from the last.
    fn parse(pid: u32, bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(bytes.get(end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            pid,
            state: *fields.first()?.as_bytes().first()?,
            parent: u32::try_from(number(1)?).ok()?,
            group: u32::try_from(number(2)?).ok()?,
            threads: number(17)?,
            start_ticks: number(19)?,
        })
    }

    /// It runs, or will go on running.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

impl ProcessIdentity {
    /// The process that has this id now, if it is alive.
    pub(crate) fn now_at(pid: u32) -> Option<Self> {
        let stat = Stat::of(pid).ok().filter(Stat::is_alive)?;
        Some(Self {
            pid,
            start_ticks: stat.start_ticks,
            boot: boot_id(),
        })
    }

    /// This very process runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::now_at(self.pid).as_ref() == Some(self)
    }
}

/// Every process there is, as far as it may be read.
pub(crate) fn all_processes() -> Vec<Stat> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Stat::of(pid).ok())
        .collect()
}

/// The process, those it started, those they started: alive ones only, `pid` first.
pub(crate) fn family(pid: u32) -> Vec<Stat> {
    let all = all_processes();
    let mut family: Vec<Stat> = all.iter().copied().filter(|stat| stat.pid == pid).collect();
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|stat| stat.pid) {
        family.extend(
            all.iter()
                .filter(|stat| stat.parent == parent && stat.pid != parent),
        );
        next += 1;
    }
    family.retain(Stat::is_alive);
    family
}

/// The command line for people, at most 200 characters; empty where it may not be read.
pub(crate) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    text.trim().chars().take(200).collect()
}

/// Whether the process runs `program`: by its executable, or by the first word of its command line
/// (which also holds for scripts and for processes that name themselves, like `nginx: master`).
pub(crate) fn runs_program(pid: u32, program: &str) -> bool {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let Some(wanted) = name(Path::new(program)) else {
        return false;
    };
    let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    if executable
        .as_deref()
        .and_then(name)
        .is_some_and(|found| found.trim_end_matches(" (deleted)") == wanted)
    {
        return true;
    }
    let line = command_line(pid);
    let words = line
        .split_ascii_whitespace()
        .take(2)
        .map(|word| word.trim_end_matches(':'));
    words
        .filter_map(|word| name(Path::new(word)))
        .any(|found| found == wanted)
}

/// Whether the process was given an environment variable of this name, as far as that may be read.
pub(crate) fn has_variable(pid: u32, name: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let is_it = |variable: &[u8]| {
        variable
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="))
    };
    environment.split(|&byte| byte == 0).any(is_it)
}

/// The ids of processes whose environment holds `name=value`: how processes are found again that were
/// started just before a crash. Only those that may be read: one's own, or all for root.
pub(crate) fn with_environment(name: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{name}={value}");
    let has = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    };
    let alive = all_processes().into_iter().filter(Stat::is_alive);
    alive.map(|stat| stat.pid).filter(|pid| has(*pid)).collect()
}

fn boot_id() -> String {
    // Without it (a container that hides it) the start time alone has to do.
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let line = b"7 (a) S (b)) R 1 7 7 0 -1 4 0 0 0 0 1 2 0 0 20 0 3 0 12345 9 9";
        let stat = Stat::parse(7, line).unwrap();
        assert_eq!(
            (
                stat.state,
                stat.parent,
                stat.group,
                stat.threads,
                stat.start_ticks
            ),
            (b'R', 1, 7, 3, 12345)
        );
        assert_eq!(Stat::parse(7, b"7 (x"), None);
        assert_eq!(Stat::parse(7, b"7 (x) R 1"), None);
    }

    #[test]
    fn a_process_that_got_the_id_of_another_is_not_that_one() {
        let me = ProcessIdentity::now_at(std::process::id()).unwrap();
        assert!(me.is_alive());
        let earlier = ProcessIdentity {
            start_ticks: me.start_ticks.wrapping_sub(1),
            ..me.clone()
        };
        assert!(!earlier.is_alive());
        let before_boot = ProcessIdentity {
            boot: "another".into(),
            ..me
        };
        assert!(!before_boot.is_alive());
    }

    #[test]
    fn a_process_belongs_to_its_own_family() {
        assert!(
            family(std::process::id())
                .iter()
                .any(|stat| stat.pid == std::process::id())
        );
        assert!(family(u32::MAX).is_empty());
    }
}
