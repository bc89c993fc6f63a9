//! What the tests of this crate share: a store with a primary and a standby in a temporary directory,
//! and a full look at a tree to compare with.

// Each test binary uses a part of it; a test may fail anywhere.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use evenkeel_clone::{
    Capture, Captured, CloneError, Hint, LiveTree, Manner, Materialise, Materialised, Store,
    Substitutions, Target, TreeName,
};
use evenkeel_core::{GenerationId, Timestamp};
pub use evenkeel_testing::skip_or_fail as skip;

pub struct World {
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub primary: PathBuf,
    pub standby: PathBuf,
}

impl World {
    pub fn new() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap())
    }

    /// For tests that make hundreds of them.
    pub fn fast() -> Self {
        Self::in_directory(fast_directory())
    }

    fn in_directory(dir: tempfile::TempDir) -> Self {
        let (primary, standby) = (dir.path().join("primary"), dir.path().join("standby"));
        fs::create_dir(&primary).unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self {
            dir,
            store,
            primary,
            standby,
        }
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.primary.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn capture(&self) -> Captured {
        self.try_capture(Hint::Everything).unwrap()
    }

    pub fn try_capture(&self, hint: Hint) -> Result<Captured, CloneError> {
        capture(&self.store, &self.primary, hint)
    }

    pub fn materialise(&self, from: GenerationId) -> Materialised {
        materialise(&self.store, from, &self.standby, Manner::Swap).unwrap()
    }
}

pub fn capture(store: &Store, primary: &Path, hint: Hint) -> Result<Captured, CloneError> {
    let request = Capture {
        trees: &[LiveTree::new(TreeName::Config, primary)],
        substitutions: &Substitutions::default(),
        at: Timestamp::from_millis(1),
        hint,
        pinned_config: None,
    };
    store.capture(&request, &|_| {})
}

pub fn materialise(
    store: &Store,
    from: GenerationId,
    to: &Path,
    manner: Manner,
) -> Result<Materialised, CloneError> {
    let request = Materialise {
        targets: &[Target {
            from,
            to: LiveTree::new(TreeName::Config, to),
        }],
        substitutions: &Substitutions::default(),
        manner,
    };
    store.materialise(&request, &|_| {})
}

/// A directory in memory where there is one: there, making things durable costs nothing.
pub fn fast_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Kind, mode, content or target, and inode group of every entry.
pub fn look(root: &Path) -> BTreeMap<OsString, String> {
    let mut seen = BTreeMap::new();
    look_into(root, root, &mut seen);
    seen
}

fn look_into(root: &Path, at: &Path, seen: &mut BTreeMap<OsString, String>) {
    let found = at.symlink_metadata().unwrap();
    let kind = found.file_type();
    let what = if kind.is_file() {
        format!(
            "file {} {:?}",
            found.nlink(),
            String::from_utf8_lossy(&fs::read(at).unwrap())
        )
    } else if kind.is_symlink() {
        format!("link {:?}", fs::read_link(at).unwrap())
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else if kind.is_dir() {
        "dir".to_owned()
    } else {
        format!("device {}", found.rdev())
    };
    let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
    let (user, group, mode) = (found.uid(), found.gid(), found.permissions().mode());
    let text = format!("{what} {mode:o} {user}:{group} at {seconds}.{nanoseconds}");
    seen.insert(at.strip_prefix(root).unwrap().as_os_str().to_owned(), text);
    if kind.is_dir() {
        for entry in fs::read_dir(at).unwrap() {
            look_into(root, &entry.unwrap().path(), seen);
        }
    }
}

/// Without the times, which are no difference and so may lag behind.
pub fn look_timeless(root: &Path) -> BTreeMap<OsString, String> {
    let cut = |text: String| text.rsplit_once(" at ").unwrap().0.to_owned();
    look(root)
        .into_iter()
        .map(|(path, text)| (path, cut(text)))
        .collect()
}

pub fn odd_name(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
