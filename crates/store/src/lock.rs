//! One process per store. The lock is the operating system's, on an open file, so it ends with its
//! process however that ends; what is written in the file only tells whom to ask, and whether the
//! last one closed the store in order.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use evenkeel_ports::StoreError;

use crate::fault::io_error;

/// The lock on a store's directory, held until dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
    /// The holder before did not [`DirectoryLock::close`]: it was killed, or the power was cut.
    pub(crate) was_left_open: bool,
}

impl DirectoryLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        let failed = |error: std::io::Error| io_error(&path, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let locked = lock_or_outwait(&file, &path);
        let mut holder = String::new();
        // A holder writes its process id only after it has the lock; text that is not UTF-8 is not ours.
        let read = file.read_to_string(&mut holder);
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = holder.trim();
                return Err(StoreError::Locked {
                    place: dir.display().to_string(),
                    pid: if pid.is_empty() { "unknown" } else { pid }.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let was_left_open = read.is_err() || !holder.is_empty();
        let mut lock = Self {
            file,
            was_left_open,
        };
        lock.write(&format!("{}\n", std::process::id()))
            .map_err(failed)?;
        Ok(lock)
    }

    /// Notes that the store was closed in order, so that the next opening need not check the files.
    pub(crate) fn close(&mut self) {
        if let Err(error) = self.write("") {
            tracing::warn!(%error, "the lock file could not be emptied: the next start checks the store");
        }
    }

    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()
    }
}

/// How often, and how long apart, a lock is tried again whose holder is dead.
const RETRIES: u32 = 100;
const BETWEEN_RETRIES: Duration = Duration::from_millis(20);

/// Tries to lock. A process that was killed while it started another may be survived for a moment by
/// the child's copy of the open file, until that executes its program: the lock of a holder that is no more is
/// tried again for two seconds.
fn lock_or_outwait(file: &File, path: &Path) -> Result<(), TryLockError> {
    for _ in 0..RETRIES {
        let locked = file.try_lock();
        let holder = std::fs::read_to_string(path).unwrap_or_default();
        let is_dead = holder
            .trim()
            .parse::<u32>()
            .is_ok_and(|pid| !Path::new("/proc").join(pid.to_string()).exists());
        if !matches!(locked, Err(TryLockError::WouldBlock)) || !is_dead {
            return locked;
        }
        std::thread::sleep(BETWEEN_RETRIES);
    }
    file.try_lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_learns_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirectoryLock::take(dir.path()).unwrap();
        let error = DirectoryLock::take(dir.path()).unwrap_err();
        let pid = std::process::id().to_string();
        assert!(matches!(&error, StoreError::Locked { pid: p, .. } if *p == pid));
        drop(held);
        DirectoryLock::take(dir.path()).unwrap();
    }

    #[test]
    fn the_lock_of_a_dead_holder_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirectoryLock::take(dir.path()).unwrap();
        // As if a child of a killed process still had the file: locked, by a process that is no more.
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        std::fs::write(dir.path().join("lock"), format!("{}\n", ended.id())).unwrap();
        let waiting = std::thread::spawn({
            let dir = dir.path().to_owned();
            move || DirectoryLock::take(&dir).map(drop)
        });
        drop(held);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn only_an_orderly_close_leaves_no_mark() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = DirectoryLock::take(dir.path()).unwrap();
        assert!(!first.was_left_open);
        first.close();
        drop(first);
        let second = DirectoryLock::take(dir.path()).unwrap();
        assert!(!second.was_left_open);
        drop(second);
        assert!(DirectoryLock::take(dir.path()).unwrap().was_left_open);
    }
}
