//! What a process and everything it started use: memory, threads, open files.

use evenkeel_core::Timestamp;

use super::identity::{Stat, family};

/// What a family of processes uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Memory in use; what processes share is counted for each.
    pub(crate) rss_bytes: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Open files; `None` where another user's may not be counted.
    pub(crate) open_files: Option<u64>,
    /// Processes.
    pub(crate) processes: u64,
}

/// Of the process and its descendants; `None` if it does not run.
pub(crate) fn usage_of(pid: u32) -> Option<Usage> {
    let family = family(pid);
    if family.is_empty() {
        return None;
    }
    let mut usage = Usage {
        open_files: Some(0),
        ..Usage::default()
    };
    for stat in &family {
        usage.processes += 1;
        usage.threads += stat.threads;
        usage.rss_bytes += rss_bytes(stat.pid);
        usage.open_files = usage
            .open_files
            .zip(open_files(stat.pid))
            .map(|(sum, more)| sum + more);
    }
    Some(usage)
}

/// When the process began; `None` if it does not run.
pub(crate) fn began_at(pid: u32) -> Option<Timestamp> {
    let ticks = Stat::of(pid).ok()?.start_ticks;
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot_seconds: u64 = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    let after_boot_ms = ticks * 1000 / rustix::param::clock_ticks_per_second().max(1);
    i64::try_from(boot_seconds * 1000 + after_boot_ms)
        .ok()
        .map(Timestamp::from_millis)
}

fn rss_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    kilobytes.unwrap_or(0) * 1024
}

fn open_files(pid: u32) -> Option<u64> {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()
        .map(|files| files.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something_and_began_before_the_end_of_time() {
        let usage = usage_of(std::process::id()).unwrap();
        assert!(
            usage.rss_bytes > 0
                && usage.threads > 0
                && usage.open_files.is_some_and(|files| files > 0)
        );
        assert!(began_at(std::process::id()).is_some_and(|at| at.as_millis() > 0));
        assert_eq!(usage_of(u32::MAX), None);
    }
}
