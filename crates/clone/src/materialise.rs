//! Materialise: generations become trees again.
//!
//! *Swap* (for a standby): each tree is built beside its destination in `<destination>.evenkeel-new`,
//! made durable, and exchanged with it in one step (`renameat2`, `RENAME_EXCHANGE`); the old tree is then
//! removed. Killed at any instant, a destination is the old tree or the new one; what a killed run left
//! beside it is cleared by the next. Files that are right already are hard-linked from the present
//! destination. All trees are built before the first is exchanged, but the exchanges of two trees are
//! two steps. What the filter leaves out is not carried over.
//!
//! Where one exchange is not to be had: on a file system without it the old tree is renamed to
//! `<destination>.evenkeel-old` first, so for an instant there is none, and the next run puts it back if
//! it came to that; a destination that is a mount point is written in place, whole file by whole file.
//!
//! *In place* (for a live primary): see [`crate::in_place`].

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use evenkeel_core::GenerationId;
use rustix::fs::{AtFlags, CWD, Mode, RenameFlags};
use rustix::io::Errno;

use crate::TreeName;
use crate::beneath::{self, Parents};
use crate::content::Sink;
use crate::diff::{ChangeKind, FileChange, compare, difference};
use crate::entry::{Entry, Listing, Node};
use crate::error::{At, CloneError};
use crate::object::{SPACE_CHECK_BYTES, ensure_space, flush, flush_one};
use crate::place::{Placed, Placer};
use crate::scan::{Found, Live, Scanner, is_absent};
use crate::source::{LiveTree, Progress, Skipped, Stage};
use crate::store::Store;
use crate::substitute::Substitutions;

/// One tree to be written.
#[derive(Clone, Debug)]
pub struct Target {
    /// From which generation.
    pub from: GenerationId,
    /// Which tree, and where to.
    pub to: LiveTree,
}

/// How a tree gets to its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Built beside it and exchanged.
    Swap,
    /// Only what differs is replaced, file by file.
    InPlace {
        /// Where what is replaced or removed is moved to; without it, it is gone.
        aside: Option<PathBuf>,
    },
}

/// Trees to be written.
#[derive(Clone, Debug)]
pub struct Materialise<'a> {
    /// Which, and where to.
    pub targets: &'a [Target],
    /// What differs between instances, with the literals of the one that is written.
    pub substitutions: &'a Substitutions,
    /// How.
    pub manner: Manner,
}

/// The outcome of a materialisation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Materialised {
    /// Entries (directories not counted) that were made.
    pub files_written: u64,
    /// Bytes of content that were written.
    pub bytes_written: u64,
    /// Entries that are gone.
    pub files_removed: u64,
    /// Entries that were right already.
    pub files_kept: u64,
    /// What was different before.
    pub changes: Vec<FileChange>,
    /// Entries that could not be made here.
    pub skipped: Vec<Skipped>,
}

/// One target with all that is known before anything is written.
pub(crate) struct Job<'a> {
    pub(crate) tree: &'a LiveTree,
    /// The destination with links resolved.
    pub(crate) destination: PathBuf,
    pub(crate) wanted: Listing,
    pub(crate) live: Live,
    pub(crate) changes: Vec<FileChange>,
    pub(crate) substitutions: &'a Substitutions,
}

impl Store {
    /// What [`Store::materialise`] would change: leads from the live trees to the generations. The live
    /// trees are read, nothing is written.
    pub fn plan(&self, request: &Materialise<'_>) -> Result<Vec<FileChange>, CloneError> {
        let _reading = self.reading();
        let mut changes = Vec::new();
        for target in request.targets {
            changes.extend(self.job(target, request.substitutions)?.changes);
        }
        Ok(changes)
    }

    /// Writes the trees. After an error or a kill in the middle, calling it again finishes the work.
    pub fn materialise(
        &self,
        request: &Materialise<'_>,
        progress: &dyn Fn(Progress),
    ) -> Result<Materialised, CloneError> {
        let _reading = self.reading();
        let _writing = self.writing();
        let mut done = Materialised::default();
        refuse_nested(request)?;
        for target in request.targets {
            clear_leftovers(&resolve(&target.to.root)?)?;
        }
        let jobs = request
            .targets
            .iter()
            .map(|target| self.job(target, request.substitutions));
        let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
        match &request.manner {
            Manner::InPlace { aside } => {
                for job in &jobs {
                    self.in_place(job, aside.as_deref(), &mut done, progress)?;
                }
            }
            Manner::Swap => self.swap_all(&jobs, &mut done, progress)?,
        }
        for job in jobs {
            done.changes.extend(job.changes);
        }
        tracing::info!(
            files_written = done.files_written,
            bytes_written = done.bytes_written,
            files_removed = done.files_removed,
            "materialised"
        );
        Ok(done)
    }

    fn job<'a>(
        &self,
        target: &'a Target,
        substitutions: &'a Substitutions,
    ) -> Result<Job<'a>, CloneError> {
        let tree = &target.to;
        let wanted = self.listing(&self.load(target.from)?, tree.name)?;
        let destination = resolve(&tree.root)?;
        let store = self
            .directory()
            .canonicalize()
            .at("look at", self.directory())?;
        if store.starts_with(&destination) {
            let why = "the clone store lies inside it";
            return Err(CloneError::Destination {
                path: destination,
                why,
            });
        }
        let live = if is_absent(tree) {
            Live::default()
        } else {
            let place = self.place()?;
            Scanner::open(tree, substitutions, Sink::Compare, place, &|_| {})?.everything()?
        };
        let present: Vec<Entry> = live
            .found
            .values()
            .map(|found| found.entry.clone())
            .collect();
        let changes = compare(tree.name, &present, wanted.entries());
        let substitutions = tree.substituted_by(substitutions);
        Ok(Job {
            tree,
            destination,
            wanted,
            live,
            changes,
            substitutions,
        })
    }

    fn swap_all(
        &self,
        jobs: &[Job<'_>],
        done: &mut Materialised,
        progress: &dyn Fn(Progress),
    ) -> Result<(), CloneError> {
        let mut built = Vec::new();
        let swapped = self.build_and_exchange(jobs, &mut built, done, progress);
        if swapped.is_err() {
            for new in &built {
                // The error matters more than the clearing up, which the next run does as well.
                let _ = remove_tree(new);
            }
        }
        swapped
    }

    /// Notes in `built` what it leaves beside the destinations until they are exchanged.
    fn build_and_exchange(
        &self,
        jobs: &[Job<'_>],
        built: &mut Vec<PathBuf>,
        done: &mut Materialised,
        progress: &dyn Fn(Progress),
    ) -> Result<(), CloneError> {
        let mut ready = Vec::new();
        for job in jobs {
            if job.changes.is_empty() {
                done.files_kept += job.wanted.files();
            } else if is_mount_point(&job.destination)? {
                self.in_place(job, None, done, progress)?;
            } else {
                let new = beside(&job.destination, "new");
                built.push(new.clone());
                self.build(job, &new, done, progress)?;
                ready.push((job, new));
            }
        }
        for (job, new) in ready {
            self.exchange(job, &new, done, progress)?;
        }
        Ok(())
    }

    /// Builds the tree at `new` and makes it durable.
    fn build(
        &self,
        job: &Job<'_>,
        new: &Path,
        done: &mut Materialised,
        progress: &dyn Fn(Progress),
    ) -> Result<(), CloneError> {
        self.steps.before("build the new tree", new)?;
        let parent = new.parent().unwrap_or(new);
        fs::create_dir_all(parent).at("make the directory", parent)?;
        ensure_space("write a tree to", parent, self.bytes_to_write(job))?;
        rustix::fs::mkdir(new, Mode::from_raw_mode(0o700)).at("make the directory", new)?;
        let root = beneath::open_root(new).at("open", new)?;
        let old = beneath::open_root(&job.destination).ok();
        let placer = Placer {
            objects: &self.objects,
            substitutions: job.substitutions,
            ownership: job.tree.ownership,
            root: root.as_fd(),
            outer: new.to_owned(),
        };
        let mut parents = Parents::new(root.as_fd(), new);
        let mut old_parents = old
            .as_ref()
            .map(|old| Parents::new(old.as_fd(), &job.destination));
        let mut unflushed = vec![new.to_owned()];
        let mut count = Progress {
            stage: Stage::Write,
            files: 0,
            bytes: 0,
        };
        for entry in job.wanted.entries() {
            let Some(name) = entry.path.name() else {
                continue;
            };
            let directory = parents.of(&entry.path)?;
            if entry.is_directory() {
                let outer = new.join(entry.path.as_path());
                rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o700))
                    .at("make the directory", &outer)?;
                unflushed.push(outer);
                continue;
            }
            count.files += 1;
            if let Some(old) = old_parents.as_mut()
                && is_right(job.live.found.get(&entry.path), entry)
                && let Ok(old) = old.of(&entry.path)
                && rustix::fs::linkat(old, name, directory, name, AtFlags::empty()).is_ok()
            {
                done.files_kept += 1;
            } else {
                match placer.place(entry, directory, name)? {
                    Placed::Done(bytes) => {
                        done.files_written += 1;
                        done.bytes_written += bytes;
                        count.bytes += bytes;
                        if matches!(entry.node, Node::File { .. }) {
                            unflushed.push(new.join(entry.path.as_path()));
                        }
                    }
                    Placed::Skipped(why) => done.skipped.push(skipped(job.tree.name, entry, why)),
                }
            }
            progress(count);
        }
        finish_directories(&placer, job.wanted.entries())?;
        self.steps.before("flush the new tree", new)?;
        flush(new, &unflushed)
    }

    /// How much content the build will write at most. Objects may be sparse.
    fn bytes_to_write(&self, job: &Job<'_>) -> u64 {
        let missing = job.wanted.entries().iter().filter(|entry| {
            entry.hard_link_to.is_none() && !is_right(job.live.found.get(&entry.path), entry)
        });
        missing
            .map(|entry| match &entry.node {
                Node::File { digest, size } if *size >= SPACE_CHECK_BYTES => {
                    let found = self.objects.path(digest).metadata();
                    found.map_or(*size, |found| found.len().min(found.blocks() * 512))
                }
                _ => entry.size(),
            })
            .fold(0, u64::saturating_add)
    }

    /// Puts the built tree in the place of the destination.
    fn exchange(
        &self,
        job: &Job<'_>,
        new: &Path,
        done: &mut Materialised,
        progress: &dyn Fn(Progress),
    ) -> Result<(), CloneError> {
        let destination = &job.destination;
        self.steps.before("exchange the trees", destination)?;
        let (flags, absent) = match destination.symlink_metadata() {
            Ok(_) => (RenameFlags::EXCHANGE, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (RenameFlags::NOREPLACE, true),
            Err(error) => return Err(error).at("look at", destination),
        };
        match rustix::fs::renameat_with(CWD, new, CWD, destination, flags) {
            Ok(()) => {}
            Err(Errno::BUSY | Errno::XDEV) => {
                // A bind mount within one file system shows only now.
                remove_tree(new)?;
                return self.in_place(job, None, done, progress);
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                if !absent {
                    let old = beside(destination, "old");
                    fs::rename(destination, &old).at("rename", destination)?;
                }
                fs::rename(new, destination).at("rename", new)?;
            }
            Err(error) => return Err(error).at("exchange the tree at", destination),
        }
        let removed =
            |change: &&FileChange| change.kind == ChangeKind::Removed && !change.directory;
        done.files_removed += job.changes.iter().filter(removed).count() as u64;
        let parent = destination.parent().unwrap_or(destination);
        self.steps.before("flush the exchange", parent)?;
        flush_one(parent)?;
        self.steps.before("remove the old tree", new)?;
        for old in [new.to_owned(), beside(destination, "old")] {
            if let Err(error) = remove_tree(&old) {
                tracing::warn!(%error, "the old tree remains; the next materialisation removes it");
            }
        }
        Ok(())
    }
}

/// Sets what directories shall be, innermost first: a directory may end up closed to its owner.
fn finish_directories(placer: &Placer<'_>, entries: &[Entry]) -> Result<(), CloneError> {
    for entry in entries.iter().rev().filter(|entry| entry.is_directory()) {
        let outer = placer.outer.join(entry.path.as_path());
        let directory = beneath::open_directory_at(placer.root, &entry.path)
            .at("open the directory", &outer)?;
        placer.finish_open(entry, directory.as_fd(), &outer)?;
    }
    Ok(())
}

pub(crate) fn skipped(tree: TreeName, entry: &Entry, why: crate::SkipReason) -> Skipped {
    tracing::warn!(%tree, path = %entry.path, %why, "not made at the destination");
    Skipped {
        tree,
        path: entry.path.clone(),
        why,
    }
}

/// The file at the destination is the one that is wanted, and nobody else has a name for it.
fn is_right(found: Option<&Found>, wanted: &Entry) -> bool {
    found.is_some_and(|found| {
        matches!(wanted.node, Node::File { .. })
            && found.names == 1
            && wanted.hard_link_to.is_none()
            && found.entry.modified == wanted.modified
            && difference(&found.entry, wanted).is_none()
    })
}

/// The destination with links resolved, so that what they point to is exchanged and not the link.
fn resolve(root: &Path) -> Result<PathBuf, CloneError> {
    let refuse = |why| {
        Err(CloneError::Destination {
            path: root.to_owned(),
            why,
        })
    };
    let resolved = match root.canonicalize() {
        Ok(resolved) if !resolved.is_dir() => return refuse("it is not a directory"),
        Ok(resolved) => resolved,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if root.symlink_metadata().is_ok() {
                return refuse("it is a symbolic link to nothing");
            }
            std::path::absolute(root).at("resolve", root)?
        }
        Err(error) => return Err(error).at("resolve", root),
    };
    if resolved.file_name().is_none() {
        refuse("it has no name")
    } else {
        Ok(resolved)
    }
}

/// Exchanging an outer tree would take the inner one away.
fn refuse_nested(request: &Materialise<'_>) -> Result<(), CloneError> {
    let roots = request
        .targets
        .iter()
        .map(|target| resolve(&target.to.root));
    let roots = roots.collect::<Result<Vec<_>, _>>()?;
    for (index, inner) in roots.iter().enumerate() {
        for (other, outer) in roots.iter().enumerate() {
            if index != other && inner == outer {
                let why = "two trees have this destination";
                return Err(CloneError::Destination {
                    path: inner.clone(),
                    why,
                });
            }
            if index != other && inner.starts_with(outer) && request.manner == Manner::Swap {
                let why = "it lies inside another tree that is exchanged; write them in place";
                return Err(CloneError::Destination {
                    path: inner.clone(),
                    why,
                });
            }
        }
    }
    Ok(())
}

fn is_mount_point(destination: &Path) -> Result<bool, CloneError> {
    let Some(parent) = destination.parent() else {
        return Ok(true);
    };
    match (destination.symlink_metadata(), parent.metadata()) {
        (Ok(inner), Ok(outer)) => Ok(inner.dev() != outer.dev()),
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        (Err(error), _) | (_, Err(error)) => Err(error).at("look at", destination),
    }
}

fn beside(destination: &Path, what: &str) -> PathBuf {
    let mut name = destination.file_name().unwrap_or_default().to_os_string();
    name.push(".evenkeel-");
    name.push(what);
    destination.with_file_name(name)
}

/// Clears what a killed run left beside the destination.
fn clear_leftovers(destination: &Path) -> Result<(), CloneError> {
    let old = beside(destination, "old");
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    if is_there(&old) && !is_there(destination) {
        tracing::warn!(path = %destination.display(), "putting back the tree of a killed run");
        fs::rename(&old, destination).at("put back", destination)?;
    }
    for left in [beside(destination, "new"), old] {
        if is_there(&left) {
            tracing::info!(path = %left.display(), "removing what a killed run left");
            remove_tree(&left)?;
        }
    }
    Ok(())
}

/// Removes a tree, also one whose directories are closed to their owner. Follows no link.
fn remove_tree(path: &Path) -> Result<(), CloneError> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir_all(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path).at("open up", path)?;
            gone(fs::remove_dir_all(path)).at("remove", path)
        }
        other => other.at("remove", path),
    }
}

fn open_up(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
