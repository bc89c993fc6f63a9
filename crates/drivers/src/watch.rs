//! A feed of changes below some directories, from the kernel's file notifications.
//!
//! It is a hint and no more: whoever follows it also compares everything now and then. Bursts come as
//! one: after the first event until 100 ms were quiet, at most 1 s. An overflow, an event without a path
//! and too many paths mean "compare everything". The first hint is that too, once the watch is in place,
//! so that nothing that changed before it is missed. The feed ends when a watched directory goes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_ports::{ChangeFeed, ChangeHint};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

const QUIET: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
const PATHS_MAX: usize = 10_000;

/// Changes below some directories.
#[derive(Debug)]
pub(crate) struct TreeFeed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// Woken by every event.
    events: Notify,
    /// Kept alive for as long as the feed is.
    watcher: Mutex<Option<RecommendedWatcher>>,
}

#[derive(Debug, Default)]
struct Pending {
    paths: BTreeSet<PathBuf>,
    everything: bool,
    ended: bool,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.pending());
        self.events.notify_one();
    }
}

impl TreeFeed {
    /// Watches `roots`. Setting up the watch of a large tree takes a while and is done in the background.
    pub(crate) fn open(roots: Vec<PathBuf>) -> Self {
        let shared = Arc::new(Shared::default());
        let of_setup = Arc::downgrade(&shared);
        tokio::task::spawn_blocking(move || {
            let of_events = of_setup.clone();
            let watched = roots.clone();
            let handler = move |event| {
                if let Some(shared) = of_events.upgrade() {
                    shared.note(|pending| take(pending, event, &watched));
                }
            };
            let set_up = notify::recommended_watcher(handler).and_then(|mut watcher| {
                roots
                    .iter()
                    .try_for_each(|root| watcher.watch(root, RecursiveMode::Recursive))?;
                Ok(watcher)
            });
            let Some(shared) = of_setup.upgrade() else {
                return;
            };
            match set_up {
                Ok(watcher) => {
                    *shared
                        .watcher
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(watcher);
                    shared.note(|pending| pending.everything = true);
                }
                Err(error) => {
                    tracing::warn!(%error, "changes cannot be watched; they are found by comparing");
                    shared.note(|pending| pending.ended = true);
                }
            }
        });
        Self { shared }
    }
}

#[async_trait]
impl ChangeFeed for TreeFeed {
    async fn next(&mut self) -> Option<ChangeHint> {
        loop {
            {
                let pending = self.shared.pending();
                if pending.everything || !pending.paths.is_empty() {
                    break;
                }
                if pending.ended {
                    return None;
                }
            }
            self.shared.events.notified().await;
        }
        let calm = async {
            while tokio::time::timeout(QUIET, self.shared.events.notified())
                .await
                .is_ok()
            {}
        };
        // After the longest time, a burst that goes on comes in parts.
        let _ = tokio::time::timeout(LONGEST, calm).await;
        let mut pending = self.shared.pending();
        let paths = std::mem::take(&mut pending.paths);
        if std::mem::take(&mut pending.everything) {
            return Some(ChangeHint::Everything);
        }
        Some(ChangeHint::Paths(paths.into_iter().collect()))
    }
}

fn take(pending: &mut Pending, event: notify::Result<notify::Event>, roots: &[PathBuf]) {
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(%error, "the watch for changes broke off");
            (pending.everything, pending.ended) = (true, true);
            return;
        }
    };
    if event.need_rescan() {
        pending.everything = true;
        return;
    }
    if !is_change(&event.kind) {
        return;
    }
    let is_root = |path: &Path| roots.iter().any(|root| root == path);
    let goes = matches!(
        event.kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    );
    if goes && event.paths.iter().any(|path| is_root(path)) {
        // The watch stays with what the directory was; what is there now is not watched.
        (pending.everything, pending.ended) = (true, true);
    }
    if event.paths.is_empty() || pending.paths.len() + event.paths.len() > PATHS_MAX {
        pending.everything = true;
        pending.paths.clear();
    } else if !pending.everything {
        pending.paths.extend(event.paths);
    }
}

/// Reading is none; being closed after writing is.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(feed: &mut TreeFeed) -> Option<ChangeHint> {
        tokio::time::timeout(Duration::from_secs(10), feed.next())
            .await
            .expect("a hint in time")
    }

    #[tokio::test]
    async fn a_same_size_edit_is_seen_and_reading_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.conf");
        std::fs::write(&file, "a 1").unwrap();
        let mut feed = TreeFeed::open(vec![directory.path().to_owned()]);
        assert_eq!(next(&mut feed).await, Some(ChangeHint::Everything));
        std::fs::read(&file).unwrap();
        std::fs::write(&file, "a 2").unwrap();
        assert_eq!(next(&mut feed).await, Some(ChangeHint::Paths(vec![file])));
    }

    #[tokio::test]
    async fn a_file_in_a_new_directory_is_seen_as_a_change_of_the_directory_at_least() {
        let directory = tempfile::tempdir().unwrap();
        let mut feed = TreeFeed::open(vec![directory.path().to_owned()]);
        assert_eq!(next(&mut feed).await, Some(ChangeHint::Everything));
        let new = directory.path().join("conf.d");
        std::fs::create_dir(&new).unwrap();
        std::fs::write(new.join("x"), "1").unwrap();
        let Some(ChangeHint::Paths(paths)) = next(&mut feed).await else {
            panic!("paths")
        };
        assert!(paths.iter().any(|path| path.starts_with(&new)), "{paths:?}");
    }

    #[tokio::test]
    async fn the_feed_ends_with_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mut feed = TreeFeed::open(vec![root.clone()]);
        assert_eq!(next(&mut feed).await, Some(ChangeHint::Everything));
        std::fs::remove_dir(&root).unwrap();
        assert_eq!(next(&mut feed).await, Some(ChangeHint::Everything));
        assert_eq!(next(&mut feed).await, None);
        let mut feed = TreeFeed::open(vec![root]);
        assert_eq!(next(&mut feed).await, None);
    }

    #[test]
    fn overflow_and_events_without_paths_mean_everything() {
        let mut pending = Pending::default();
        take(&mut pending, Ok(notify::Event::new(EventKind::Any)), &[]);
        assert!(pending.everything && !pending.ended);
        let mut pending = Pending::default();
        take(&mut pending, Err(notify::Error::generic("x")), &[]);
        assert!(pending.everything && pending.ended);
    }
}
