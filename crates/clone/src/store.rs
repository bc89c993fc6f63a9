//! The store of one resource's generations: its directory, its lock, and what reads from it.
//!
//! ```text
//! lock          held while open, so that there is one writer
//! objects/      contents and listings, each under its digest
//! generations/  g1, g2, …: one small file each, written last
//! last          the highest number given so far, where that generation was removed
//! stat-cache    what was seen of live files; may be deleted
//! tmp/          contents on their way in; cleared on opening
//! ```
//!
//! One `Store` may be shared by threads: captures go one at a time, reading goes on meanwhile, and
//! removal waits for both.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use evenkeel_core::GenerationId;

use crate::TreeName;
use crate::digest::Digest;
use crate::entry::{Listing, Node};
use crate::error::{At, CloneError};
use crate::generation::{GenerationRecord, StoredGeneration};
use crate::object::{Objects, make_directory};
use crate::path::RelativePath;
use crate::stat_cache::{FileTimeNs, StatCache};
use crate::steps::{Observer, Steps};

/// The generations of one resource, in one directory. Holds the directory's lock until dropped.
pub struct Store {
    directory: PathBuf,
    lock: File,
    pub(crate) objects: Objects,
    pub(crate) steps: Steps,
    /// Shared by whoever reads or adds objects, exclusive for whoever removes them.
    gate: RwLock<()>,
    /// Held by the one capture.
    memory: Mutex<Memory>,
    /// Held by the one materialisation: two at the same destination would clear each other's work.
    writing: Mutex<()>,
}

/// What a capture remembers for the next one.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) cache: StatCache,
    /// Which trees the last capture of this `Store` read, so that the latest generation is what they
    /// were like then: on that ground alone can hints be laid.
    pub(crate) followed: [bool; 2],
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing alone would leave it locked while a process that was just forked still has the
        // descriptor. It is closed all the same, so a failure here changes nothing.
        let _ = self.lock.unlock();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `directory`, which is made if need be, and clears what a killed process
    /// left in `tmp/`. A second opener gets [`CloneError::Locked`].
    pub fn open(directory: &Path) -> Result<Self, CloneError> {
        make_directory(directory)?;
        let path = directory.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(&path).at("open", &path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CloneError::Locked { path }),
            Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
        }
        make_directory(&directory.join("generations"))?;
        let objects = Objects::open(directory, Steps::default())?;
        let cache = StatCache::load(directory.join("stat-cache"));
        Ok(Self {
            directory: directory.to_owned(),
            lock,
            objects,
            steps: Steps::default(),
            gate: RwLock::new(()),
            memory: Mutex::new(Memory {
                cache,
                followed: [false; 2],
            }),
            writing: Mutex::new(()),
        })
    }

    /// For crash tests: `observer` is called before each step that changes the disk for good.
    #[doc(hidden)]
    pub fn observe(&mut self, observer: Observer) {
        self.steps = Steps::observed_by(observer);
        self.objects.observe(self.steps.clone());
    }

    /// The store's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All generations that can be read, oldest first. One that cannot is left out with a warning;
    /// [`Store::generation`] and [`Store::verify`] say what is wrong with it.
    pub fn generations(&self) -> Result<Vec<GenerationRecord>, CloneError> {
        let mut records = Vec::new();
        for id in self.ids()? {
            match self.load(id) {
                Ok(stored) => records.push(stored.record()),
                Err(error) => {
                    tracing::warn!(generation = %id, %error, "a generation is unreadable")
                }
            }
        }
        Ok(records)
    }

    /// One generation's record.
    pub fn generation(&self, id: GenerationId) -> Result<GenerationRecord, CloneError> {
        Ok(self.load(id)?.record())
    }

    /// The newest generation that can be read.
    pub fn latest(&self) -> Result<Option<GenerationRecord>, CloneError> {
        Ok(self.latest_stored()?.map(|stored| stored.record()))
    }

    /// All entries of a tree.
    pub fn tree(&self, id: GenerationId, name: TreeName) -> Result<Listing, CloneError> {
        let _reading = self.reading();
        self.listing(&self.load(id)?, name)
    }

    /// The stored content of a file, in canonical form; `None` if there is no such file. Meant for
    /// files that a person looks at: the content is held in memory.
    pub fn read_file(
        &self,
        id: GenerationId,
        name: TreeName,
        path: &Path,
    ) -> Result<Option<Vec<u8>>, CloneError> {
        let Ok(path) = RelativePath::try_from(path) else {
            return Ok(None);
        };
        let _reading = self.reading();
        let listing = self.listing(&self.load(id)?, name)?;
        match listing.get(&path).map(|entry| &entry.node) {
            Some(Node::File { digest, .. }) => self.objects.read(digest).map(Some),
            _ => Ok(None),
        }
    }

    // --- for the other modules ---

    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        // The gate guards no data: a panic elsewhere cannot have left it half changed.
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn removing(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(|poisoned| {
            // Whoever panicked may have left hints that are not true; the cache checks each use.
            let mut memory = poisoned.into_inner();
            memory.followed = [false; 2];
            memory
        })
    }

    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        // Guards no data of its own.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn generation_path(&self, id: GenerationId) -> PathBuf {
        self.directory.join("generations").join(id.to_string())
    }

    /// The numbers of all generations, readable or not, in order.
    pub(crate) fn ids(&self) -> Result<BTreeSet<GenerationId>, CloneError> {
        let directory = self.directory.join("generations");
        let mut ids = BTreeSet::new();
        for file in fs::read_dir(&directory).at("list", &directory)? {
            let name = file.at("list", &directory)?.file_name();
            let id = name
                .to_str()
                .and_then(|name| name.parse::<GenerationId>().ok());
            ids.extend(id.filter(|id| id.to_string().as_str() == name));
        }
        Ok(ids)
    }

    pub(crate) fn load(&self, id: GenerationId) -> Result<StoredGeneration, CloneError> {
        let path = self.generation_path(id);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CloneError::UnknownGeneration {
                    id,
                    store: self.directory.clone(),
                });
            }
            read => read.at("read", &path)?,
        };
        StoredGeneration::from_bytes(&bytes, id).map_err(|what| CloneError::Damaged { path, what })
    }

    pub(crate) fn latest_stored(&self) -> Result<Option<StoredGeneration>, CloneError> {
        for id in self.ids()?.into_iter().rev() {
            match self.load(id) {
                Ok(stored) => return Ok(Some(stored)),
                Err(error) => {
                    tracing::warn!(generation = %id, %error, "a generation is unreadable")
                }
            }
        }
        Ok(None)
    }

    /// The listing of a generation's tree, checked.
    pub(crate) fn listing(
        &self,
        stored: &StoredGeneration,
        name: TreeName,
    ) -> Result<Listing, CloneError> {
        let missing = CloneError::NoSuchTree {
            id: stored.id,
            tree: name,
        };
        let tree = stored.tree(name).ok_or(missing)?;
        self.listing_object(&tree.listing)
    }

    pub(crate) fn listing_object(&self, digest: &Digest) -> Result<Listing, CloneError> {
        let bytes = self.objects.read(digest)?;
        Listing::from_bytes(&bytes).map_err(|what| CloneError::Damaged {
            path: self.objects.path(digest),
            what,
        })
    }

    /// The number for the next generation: above every one that was ever given.
    pub(crate) fn next_id(&self) -> Result<GenerationId, CloneError> {
        let present = self.ids()?.last().copied().unwrap_or_default();
        Ok(present.max(self.last_removed()?).next())
    }

    /// The highest number among removed generations, where it had to be written down.
    pub(crate) fn last_removed(&self) -> Result<GenerationId, CloneError> {
        let path = self.last_path();
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(GenerationId::default())
            }
            read => read
                .at("read", &path)?
                .trim()
                .parse()
                .map_err(|error| CloneError::Damaged {
                    path,
                    what: format!("{error}; write the highest number that was ever given"),
                }),
        }
    }

    pub(crate) fn last_path(&self) -> PathBuf {
        self.directory.join("last")
    }

    /// Device and inode of the store's directory.
    pub(crate) fn place(&self) -> Result<(u64, u64), CloneError> {
        let found = fs::metadata(&self.directory).at("look at", &self.directory)?;
        Ok((found.dev(), found.ino()))
    }

    /// Now, as the store's file system stamps its files. Only ever compared with other such stamps;
    /// this crate reads no clock.
    pub(crate) fn file_time(&self) -> Result<FileTimeNs, CloneError> {
        use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        let path = self.directory.join("lock");
        rustix::fs::futimens(&self.lock, &times).at("stamp", &path)?;
        let stat = rustix::fs::fstat(&self.lock).at("look at", &path)?;
        Ok(crate::stat_cache::Observed::of(&stat).changed_ns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opener_is_told_who_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(&error, CloneError::Locked { path } if path.starts_with(dir.path())));
        drop(first);
        Store::open(dir.path()).unwrap();
    }

    #[test]
    fn an_unknown_generation_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.latest().unwrap(), None);
        let error = store.generation(GenerationId(3)).unwrap_err();
        assert!(error.to_string().contains("no generation g3"), "{error}");
    }

    #[test]
    fn opening_clears_what_a_killed_process_left() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        fs::write(dir.path().join("tmp/0"), b"half").unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(
            fs::read_dir(store.directory().join("tmp")).unwrap().count(),
            0
        );
    }

    #[test]
    fn files_of_other_names_are_no_generations() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for name in ["g01", "7", "g7.tmp", "gx"] {
            fs::write(dir.path().join("generations").join(name), b"").unwrap();
        }
        assert_eq!(store.ids().unwrap().len(), 0);
    }
}
