//! A drift: something changes a file step by step, at its own pace, until it is stopped.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A drift under way.
#[derive(Debug)]
pub struct Drift {
    stop: Arc<AtomicBool>,
    steps: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Drift {
    /// Writes `text(1)`, `text(2)`, ... to the file at `path`, one every `period`, as long as there
    /// is one.
    pub fn start(
        path: &Path,
        period: Duration,
        text: impl Fn(u64) -> Option<String> + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let steps = Arc::new(AtomicU64::new(0));
        let (is_stopped, counter, path) = (Arc::clone(&stop), Arc::clone(&steps), path.to_owned());
        let thread = std::thread::spawn(move || {
            for step in 1.. {
                std::thread::sleep(period);
                if is_stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Some(text) = text(step) else { return };
                replace(&path, &text);
                counter.store(step, Ordering::Relaxed);
            }
        });
        Self {
            stop,
            steps,
            thread: Some(thread),
        }
    }

    /// How many steps it has made.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Ends it where it is, after the step under way; says how many it made.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.steps()
    }
}

impl Drop for Drift {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Writes a file as careful tools do: nobody ever reads half of it.
pub(crate) fn replace(path: &Path, text: &str) {
    let scratch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(scratch.path(), text).unwrap();
    std::fs::set_permissions(scratch.path(), Permissions::from_mode(0o644)).unwrap();
    scratch.persist(path).unwrap();
}
