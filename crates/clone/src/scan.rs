//! Reads a live tree that others may be changing meanwhile.
//!
//! Links are recorded and never followed; FIFOs and devices are never opened; a tree ends where its
//! file system ends. A file is looked at before and after it was read, and read again if it changed.
//! What cannot be read is recorded and never stops the scan. The same scan serves capture (contents
//! go into the store) and comparison (contents are only hashed), so both see the same tree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Stat};

use crate::TreeName;
use crate::beneath;
use crate::content::Sink;
use crate::entry::{Entry, Node};
use crate::error::CloneError;
use crate::path::{Escaped, RelativePath};
use crate::source::{LiveTree, Ownership, Progress, SkipReason, Skipped, Stage, TornFile};
use crate::substitute::Substitutions;
use crate::xattr;

/// Files that `materialise` makes for a moment begin like this; no scan ever sees them as entries.
pub(crate) const TEMPORARY_PREFIX: &str = ".evenkeel-tmp-";
/// Each level of the walk holds a descriptor open.
const DEPTH_MAX: usize = 256;

/// One entry as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// Device and inode of a regular file that was looked at in this scan.
    pub(crate) inode: Option<(u64, u64)>,
    /// How many names the file has.
    pub(crate) names: u64,
}

/// A tree as it was found.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) found: BTreeMap<RelativePath, Found>,
    pub(crate) torn: Vec<TornFile>,
    pub(crate) skipped: Vec<Skipped>,
    /// Temporary files of an interrupted `materialise` in place.
    pub(crate) leftovers: Vec<RelativePath>,
}

pub(crate) struct Scanner<'a, 's> {
    pub(crate) source: &'a LiveTree,
    pub(crate) substitutions: &'a Substitutions,
    pub(crate) sink: Sink<'a, 's>,
    /// Device and inode of the store's directory.
    store: (u64, u64),
    root: OwnedFd,
    device: u64,
    progress: &'a dyn Fn(Progress),
    pub(crate) count: Progress,
    pub(crate) live: Live,
}

impl<'a, 's> Scanner<'a, 's> {
    /// Opens the root. Fails if it is not a directory that can be opened.
    pub(crate) fn open(
        source: &'a LiveTree,
        substitutions: &'a Substitutions,
        sink: Sink<'a, 's>,
        store: (u64, u64),
        progress: &'a dyn Fn(Progress),
    ) -> Result<Self, CloneError> {
        let refuse = |error: io::Error| CloneError::Root {
            tree: source.name,
            root: source.root.clone(),
            why: error.to_string(),
        };
        let root = beneath::open_root(&source.root).map_err(refuse)?;
        let device = rustix::fs::fstat(&root)
            .map_err(|e| refuse(e.into()))?
            .st_dev;
        let count = Progress {
            stage: Stage::Scan,
            files: 0,
            bytes: 0,
        };
        let substitutions = source.substituted_by(substitutions);
        let live = Live::default();
        Ok(Self {
            source,
            substitutions,
            sink,
            store,
            root,
            device,
            progress,
            count,
            live,
        })
    }

    /// Reads the whole tree.
    pub(crate) fn everything(mut self) -> Result<Live, CloneError> {
        let root = self
            .root
            .try_clone()
            .map_err(|error| self.root_error(&error))?;
        self.directory(root, RelativePath::ROOT, 0)?;
        Ok(self.finish())
    }

    /// Reads again only what lies at or beneath `changed`, and takes the rest from `known`. `None` if
    /// that cannot be told apart: a changed file has other names, which are not in `changed`.
    pub(crate) fn only(
        mut self,
        known: Live,
        changed: &[RelativePath],
    ) -> Result<Option<Live>, CloneError> {
        self.live = known;
        self.refresh_root()?;
        let links = self
            .live
            .found
            .values()
            .filter_map(|found| found.entry.hard_link_to.clone());
        let led: HashSet<RelativePath> = links.collect();
        for path in changed {
            let path = self.outermost_new(path);
            let gone: Vec<_> = (self.live.found.range(path.clone()..))
                .take_while(|(at, _)| at.as_bytes().starts_with(path.as_bytes()))
                .filter(|(at, _)| at.is_at_or_beneath(&path))
                .map(|(at, found)| (at.clone(), found.entry.hard_link_to.is_some()))
                .collect();
            if gone.iter().any(|(at, linked)| *linked || led.contains(at)) {
                return Ok(None);
            }
            for (at, _) in gone {
                self.live.found.remove(&at);
            }
            self.live
                .torn
                .retain(|torn| !torn.path.is_at_or_beneath(&path));
            self.live
                .skipped
                .retain(|skipped| !skipped.path.is_at_or_beneath(&path));
            self.visit_at(&path)?;
        }
        if self
            .live
            .found
            .values()
            .any(|found| found.inode.is_some() && found.names > 1)
        {
            return Ok(None);
        }
        Ok(Some(self.finish()))
    }

    /// A directory that is not known yet has to be read as a whole: its first entries may have come
    /// before anybody watched it. So has one that is no directory any more.
    fn outermost_new(&self, path: &RelativePath) -> RelativePath {
        let mut ancestor = RelativePath::ROOT;
        for component in path.components() {
            ancestor = ancestor.join(component);
            let known = self
                .live
                .found
                .get(&ancestor)
                .is_some_and(|f| f.entry.is_directory());
            if !known || beneath::open_directory_at(&self.root, &ancestor).is_err() {
                return ancestor;
            }
        }
        path.clone()
    }

    fn refresh_root(&mut self) -> Result<(), CloneError> {
        let stat = rustix::fs::fstat(&self.root).map_err(|e| self.root_error(&e.into()))?;
        if let Some(mut entry) = self.entry(RelativePath::ROOT, &stat) {
            entry.xattrs = xattr::read(self.root.as_fd()).map_err(|e| self.root_error(&e))?;
            self.insert(entry, &stat);
        }
        Ok(())
    }

    fn root_error(&self, error: &io::Error) -> CloneError {
        let (tree, root) = (self.source.name, self.source.root.clone());
        CloneError::Root {
            tree,
            root,
            why: error.to_string(),
        }
    }

    fn visit_at(&mut self, path: &RelativePath) -> Result<(), CloneError> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Ok(());
        };
        if self.source.filter.excludes_with_parents(path, false) {
            return Ok(());
        }
        match beneath::open_directory_at(&self.root, &parent) {
            Ok(directory) => {
                let depth = path.components().count();
                self.visit(directory.as_fd(), name, path.clone(), depth)
            }
            Err(error) => {
                self.unreadable(path.clone(), &error);
                Ok(())
            }
        }
    }

    fn visit(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: RelativePath,
        depth: usize,
    ) -> Result<(), CloneError> {
        let stat = match beneath::stat(parent, name) {
            Ok(stat) => stat,
            Err(error) => {
                self.unreadable(path, &error);
                return Ok(());
            }
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_directory = kind == FileType::Directory;
        if self.source.filter.excludes(&path, is_directory) {
            return Ok(());
        }
        if name.as_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
            self.live.leftovers.push(path);
            return Ok(());
        }
        if is_directory {
            return match beneath::open_directory(parent, name) {
                Ok(directory) => self.directory(directory, path, depth),
                Err(error) => {
                    if let Some(entry) = self.entry(path.clone(), &stat) {
                        self.insert(entry, &stat);
                    }
                    self.unreadable(path, &error);
                    Ok(())
                }
            };
        }
        if !self.source.filter.includes(&path, false) {
            return Ok(());
        }
        match kind {
            FileType::RegularFile => self.regular(parent, name, path, &stat)?,
            FileType::Symlink => self.symlink(parent, name, path, &stat)?,
            FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
                if let Some(entry) = self.entry(path, &stat) {
                    self.insert(entry, &stat);
                }
            }
            FileType::Socket | FileType::Directory | FileType::Unknown => {
                self.skip(path, SkipReason::Socket);
            }
        }
        Ok(())
    }

    fn directory(
        &mut self,
        directory: OwnedFd,
        path: RelativePath,
        depth: usize,
    ) -> Result<(), CloneError> {
        let stat = match rustix::fs::fstat(&directory) {
            Ok(stat) => stat,
            Err(error) => {
                self.unreadable(path, &error.into());
                return Ok(());
            }
        };
        if (stat.st_dev, stat.st_ino) == self.store {
            self.skip(path, SkipReason::StoreItself);
            return Ok(());
        }
        let Some(mut entry) = self.entry(path.clone(), &stat) else {
            return Ok(());
        };
        match xattr::read(directory.as_fd()) {
            Ok(xattrs) => entry.xattrs = xattrs,
            Err(error) => self.unreadable(path.clone(), &error),
        }
        self.insert(entry, &stat);
        if stat.st_dev != self.device {
            self.skip(path, SkipReason::OtherFileSystem);
            return Ok(());
        }
        if depth >= DEPTH_MAX {
            self.skip(path, SkipReason::TooDeep);
            return Ok(());
        }
        let names = match names_in(directory.as_fd()) {
            Ok(names) => names,
            Err(error) => {
                self.unreadable(path, &error);
                return Ok(());
            }
        };
        for name in names {
            let name = OsStr::from_bytes(&name);
            self.visit(directory.as_fd(), name, path.join(name), depth + 1)?;
        }
        Ok(())
    }

    fn symlink(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: RelativePath,
        stat: &Stat,
    ) -> Result<(), CloneError> {
        let Some(mut entry) = self.entry(path.clone(), stat) else {
            return Ok(());
        };
        match rustix::fs::readlinkat(parent, name, Vec::new()) {
            Ok(target) => {
                let target = self.canonical(&path, target.as_bytes())?;
                entry.node = Node::Symlink {
                    target: Escaped(target),
                };
                self.insert(entry, stat);
            }
            Err(error) => self.unreadable(path, &error.into()),
        }
        Ok(())
    }

    pub(crate) fn entry(&self, path: RelativePath, stat: &Stat) -> Option<Entry> {
        Entry::from_stat(path, stat, self.source.ownership == Ownership::Keep)
    }

    pub(crate) fn insert(&mut self, entry: Entry, stat: &Stat) {
        let file = matches!(entry.node, Node::File { .. });
        let inode = file.then_some((stat.st_dev, stat.st_ino));
        let names = names_of(stat);
        if !entry.is_directory() {
            self.count.files += 1;
            (self.progress)(self.count);
        }
        self.live.found.insert(
            entry.path.clone(),
            Found {
                entry,
                inode,
                names,
            },
        );
    }

    /// An entry that vanished meanwhile was never there; any other trouble is recorded.
    pub(crate) fn unreadable(&mut self, path: RelativePath, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.skip(path, SkipReason::Unreadable(error.to_string()));
        }
    }

    pub(crate) fn skip(&mut self, path: RelativePath, why: SkipReason) {
        tracing::debug!(tree = %self.source.name, %path, %why, "left out of the scan");
        self.live.skipped.push(Skipped {
            tree: self.source.name,
            path,
            why,
        });
    }

    fn finish(mut self) -> Live {
        self.drop_empty_ways();
        link_names(&mut self.live.found);
        if let Sink::Store { cache, .. } = &mut self.sink {
            cache.retain(self.source.name, &self.live.found.keys().collect());
        }
        self.live.torn.sort();
        self.live.skipped.sort();
        self.live
    }

    /// With an include list, a directory that is not included itself is there only for what it holds.
    fn drop_empty_ways(&mut self) {
        let filter = &self.source.filter;
        if filter.includes_everything() {
            return;
        }
        let mut needed = HashSet::new();
        for (path, found) in self.live.found.iter().rev() {
            let directory = found.entry.is_directory();
            if !directory || needed.contains(path) || filter.includes(path, true) {
                needed.insert(path.clone());
                needed.extend(path.parent());
            }
        }
        self.live
            .found
            .retain(|path, _| path.is_root() || needed.contains(path));
    }
}

/// Names of one file become links to its first name.
fn link_names(found: &mut BTreeMap<RelativePath, Found>) {
    let mut first: HashMap<(u64, u64), Entry> = HashMap::new();
    for found in found.values_mut().filter(|found| found.names > 1) {
        let Some(inode) = found.inode else { continue };
        match first.get(&inode) {
            // If it changed between the two readings, each name keeps what was read.
            Some(leader) if leader.node == found.entry.node => {
                found.entry.hard_link_to = Some(leader.path.clone());
            }
            Some(_) => {}
            None => {
                found.entry.hard_link_to = None;
                first.insert(inode, found.entry.clone());
            }
        }
    }
}

/// How many names a file has; the type of the field differs between architectures.
#[allow(clippy::useless_conversion)]
fn names_of(stat: &Stat) -> u64 {
    stat.st_nlink.into()
}

fn names_in(directory: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort();
    Ok(names)
}

/// A tree that is not there at all: every entry of a generation is yet to be made.
pub(crate) fn is_absent(source: &LiveTree) -> bool {
    matches!(source.root.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

impl Live {
    /// What is known of a tree from a generation, as the ground on which changes are laid.
    pub(crate) fn known(
        entries: &[Entry],
        torn: &[TornFile],
        skipped: &[Skipped],
        tree: TreeName,
    ) -> Self {
        let found = entries.iter().map(|entry| {
            (
                entry.path.clone(),
                Found {
                    entry: entry.clone(),
                    inode: None,
                    names: 1,
                },
            )
        });
        Self {
            found: found.collect(),
            torn: torn
                .iter()
                .filter(|torn| torn.tree == tree)
                .cloned()
                .collect(),
            skipped: skipped
                .iter()
                .filter(|skipped| skipped.tree == tree)
                .cloned()
                .collect(),
            leftovers: Vec::new(),
        }
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.found.into_values().map(|found| found.entry).collect()
    }
}
