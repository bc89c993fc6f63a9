//! What was seen of each file when it was read last, so that it need not be read again.
//!
//! An observation is used again only if device, inode, size, time of modification and time of change
//! are all the same, **and** the file had been left alone for [`SETTLED_NS`] when it was read: a file
//! that changed just before may change once more within the same tick of the clock, same size and
//! all, and look unchanged ever after. Such a file is simply not remembered.
//!
//! It is a cache: its absence, its damage or a change of the tree's root, filter or substitutions
//! costs time and nothing else.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use crate::TreeName;
use crate::digest::Digest;
use crate::entry::Entry;
use crate::error::{At, CloneError};
use crate::path::RelativePath;

/// How long a file must have been left alone before an observation of it is remembered.
const SETTLED_NS: i128 = 2_000_000_000;

/// Nanoseconds since the epoch, on the clock that the file system stamps files with.
pub(crate) type FileTimeNs = i128;

/// Everything by which the system shows that a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observed {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Observed {
    // The field types of `stat` differ between architectures; on this one some casts are idle.
    #[allow(clippy::useless_conversion)]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            size: stat.st_size.into(),
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: (stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }

    pub(crate) fn changed_ns(&self) -> FileTimeNs {
        i128::from(self.changed.0) * 1_000_000_000 + i128::from(self.changed.1)
    }

    pub(crate) fn size(&self) -> u64 {
        u64::try_from(self.size).unwrap_or_default()
    }

    fn settled(&self, now: FileTimeNs) -> bool {
        self.changed_ns() + SETTLED_NS < now
    }
}

#[derive(Debug, Default)]
struct TreeCache {
    source: Option<Digest>,
    known: HashMap<RelativePath, (Observed, Entry)>,
}

/// The remembered observations of both trees.
#[derive(Debug)]
pub(crate) struct StatCache {
    path: PathBuf,
    trees: [TreeCache; 2],
    dirty: bool,
}

/// One line of the stored form.
#[derive(Serialize, Deserialize)]
enum Line {
    Source(TreeName, Digest),
    File(TreeName, Observed, Entry),
}

impl StatCache {
    /// Reads the cache at `path`, or starts an empty one.
    pub(crate) fn load(path: PathBuf) -> Self {
        let mut cache = Self {
            path,
            trees: Default::default(),
            dirty: false,
        };
        let Ok(bytes) = fs::read(&cache.path) else {
            return cache;
        };
        let Some(lines) = checked_body(&bytes) else {
            tracing::warn!(path = %cache.path.display(), "ignoring a damaged stat cache");
            return cache;
        };
        for line in lines
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                Ok(Line::Source(tree, source)) => cache.tree(tree).source = Some(source),
                Ok(Line::File(tree, observed, entry)) => {
                    cache
                        .tree(tree)
                        .known
                        .insert(entry.path.clone(), (observed, entry));
                }
                // Written by another version: what it does not tell is read again.
                Err(_) => {}
            }
        }
        cache
    }

    /// Writes the cache where it changed. Not flushed: a torn one is noticed and ignored.
    pub(crate) fn save(&mut self, tmp: &Path) -> Result<(), CloneError> {
        if !self.dirty {
            return Ok(());
        }
        let mut body = Vec::new();
        for name in TreeName::BOTH {
            let tree = &self.trees[name.index()];
            let source = tree.source.iter().map(|source| Line::Source(name, *source));
            let files = tree
                .known
                .values()
                .map(|(seen, e)| Line::File(name, *seen, e.clone()));
            for line in source.chain(files) {
                // Plain data with string keys: serialising cannot fail.
                body.extend(serde_json::to_vec(&line).expect("a cache line is plain data"));
                body.push(b'\n');
            }
        }
        let mut bytes = format!("{}\n", Digest::of(&body)).into_bytes();
        bytes.extend(body);
        fs::write(tmp, bytes).at("write", tmp)?;
        fs::rename(tmp, &self.path).at("rename into place", &self.path)?;
        self.dirty = false;
        Ok(())
    }

    fn tree(&mut self, name: TreeName) -> &mut TreeCache {
        &mut self.trees[name.index()]
    }

    /// From now on the tree is read from `source`; what was seen of another one is forgotten.
    pub(crate) fn begin(&mut self, name: TreeName, source: Digest) {
        let tree = self.tree(name);
        if tree.source != Some(source) {
            *tree = TreeCache {
                source: Some(source),
                known: HashMap::new(),
            };
            self.dirty = true;
        }
    }

    /// The entry as it was read when the file looked exactly like this.
    pub(crate) fn get(
        &self,
        name: TreeName,
        path: &RelativePath,
        seen: &Observed,
    ) -> Option<&Entry> {
        let (observed, entry) = self.trees[name.index()].known.get(path)?;
        (observed == seen).then_some(entry)
    }

    /// Remembers what was read, if the file had settled by `now`; else forgets it.
    pub(crate) fn put(&mut self, name: TreeName, seen: Observed, entry: &Entry, now: FileTimeNs) {
        let known = &mut self.tree(name).known;
        if seen.settled(now) {
            known.insert(entry.path.clone(), (seen, entry.clone()));
            self.dirty = true;
        } else if known.remove(&entry.path).is_some() {
            self.dirty = true;
        }
    }

    /// Forgets files that are there no more.
    pub(crate) fn retain(&mut self, name: TreeName, present: &HashSet<&RelativePath>) {
        let known = &mut self.tree(name).known;
        let before = known.len();
        known.retain(|path, _| present.contains(path));
        self.dirty |= self.tree(name).known.len() != before;
    }
}

fn checked_body(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (digest, body) = (&bytes[..end], &bytes[end + 1..]);
    let digest: Digest = std::str::from_utf8(digest).ok()?.parse().ok()?;
    (Digest::of(body) == digest).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(dir: &Path) -> (Observed, Entry) {
        let path = dir.join("f");
        fs::write(&path, b"x").unwrap();
        let stat = rustix::fs::lstat(&path).unwrap();
        let relative = RelativePath::new("f").unwrap();
        (
            Observed::of(&stat),
            Entry::from_stat(relative, &stat, true).unwrap(),
        )
    }

    #[test]
    fn a_file_is_remembered_only_when_it_had_settled() {
        let dir = tempfile::tempdir().unwrap();
        let (seen, entry) = look(dir.path());
        let mut cache = StatCache::load(dir.path().join("cache"));
        cache.put(TreeName::Data, seen, &entry, seen.changed_ns() + SETTLED_NS);
        assert_eq!(cache.get(TreeName::Data, &entry.path, &seen), None);
        cache.put(
            TreeName::Data,
            seen,
            &entry,
            seen.changed_ns() + SETTLED_NS + 1,
        );
        assert_eq!(cache.get(TreeName::Data, &entry.path, &seen), Some(&entry));
        let other = Observed {
            inode: seen.inode + 1,
            ..seen
        };
        assert_eq!(cache.get(TreeName::Data, &entry.path, &other), None);
        assert_eq!(cache.get(TreeName::Config, &entry.path, &seen), None);
    }

    #[test]
    fn a_saved_cache_comes_back_and_a_damaged_one_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let (seen, entry) = look(dir.path());
        let path = dir.path().join("cache");
        let mut cache = StatCache::load(path.clone());
        cache.begin(TreeName::Data, Digest::of(b"source"));
        cache.put(TreeName::Data, seen, &entry, i128::MAX);
        cache.save(&dir.path().join("tmp")).unwrap();
        let mut again = StatCache::load(path.clone());
        assert_eq!(again.get(TreeName::Data, &entry.path, &seen), Some(&entry));
        again.begin(TreeName::Data, Digest::of(b"source"));
        assert!(again.get(TreeName::Data, &entry.path, &seen).is_some());
        again.begin(TreeName::Data, Digest::of(b"another"));
        assert_eq!(again.get(TreeName::Data, &entry.path, &seen), None);

        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(
            StatCache::load(path).get(TreeName::Data, &entry.path, &seen),
            None
        );
    }
}
