//! Materialise in place: for putting a live primary back to its baseline under the feet of whoever uses
//! it. Only what differs is touched. A file is written whole beside its place and renamed over it, so a
//! reader sees the old content or the new one; a tree as a whole passes through mixtures. What is
//! replaced or removed goes to the caller's `aside` directory. Killed in the middle, the next run
//! finds what still differs and goes on.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;

use crate::beneath;
use crate::diff::{ChangeKind, FileChange};
use crate::entry::{Entry, Node};
use crate::error::{At, CloneError};
use crate::materialise::{Job, Materialised, skipped};
use crate::object::make_directory;
use crate::path::RelativePath;
use crate::place::{Placed, Placer};
use crate::scan::TEMPORARY_PREFIX;
use crate::source::{Progress, Stage};
use crate::store::Store;

impl Store {
    /// Makes the destination of `job` what is wanted, entry by entry.
    pub(crate) fn in_place(
        &self,
        job: &Job<'_>,
        aside: Option<&Path>,
        done: &mut Materialised,
        progress: &dyn Fn(Progress),
    ) -> Result<(), CloneError> {
        let destination = &job.destination;
        fs::create_dir_all(destination).at("make the directory", destination)?;
        let root = beneath::open_root(destination).at("open", destination)?;
        let aside = aside.map(|aside| aside.join(job.tree.name.to_string()));
        let placer = Placer {
            objects: &self.objects,
            substitutions: job.substitutions,
            ownership: job.tree.ownership,
            root: root.as_fd(),
            outer: destination.clone(),
        };
        let touched = BTreeSet::new();
        let count = Progress {
            stage: Stage::Write,
            files: 0,
            bytes: 0,
        };
        let mut work = InPlace {
            store: self,
            job,
            placer,
            aside,
            touched,
            done,
            count,
            progress,
        };
        work.run()
    }
}

struct InPlace<'a, 'j> {
    store: &'a Store,
    job: &'a Job<'j>,
    placer: Placer<'a>,
    aside: Option<PathBuf>,
    /// Directories to be flushed at the end.
    touched: BTreeSet<RelativePath>,
    done: &'a mut Materialised,
    count: Progress,
    progress: &'a dyn Fn(Progress),
}

impl InPlace<'_, '_> {
    /// What is in the way goes first, what is wanted comes next, and only then extra entries go: so a
    /// file that was renamed is never missing under both names.
    fn run(&mut self) -> Result<(), CloneError> {
        for path in &self.job.live.leftovers {
            let (directory, name) = self.parent(path)?;
            let _ = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
        }
        for change in self.job.changes.iter().rev() {
            if self.is_in_the_way(&change.path) {
                self.remove(&change.path)?;
            }
        }
        let changed = self
            .job
            .changes
            .iter()
            .filter(|change| change.kind != ChangeKind::Removed);
        let mut directories = Vec::new();
        let mut made = 0;
        for change in changed {
            let Some(entry) = self.job.wanted.get(&change.path) else {
                continue;
            };
            if entry.is_directory() {
                self.directory(entry)?;
                directories.push(entry);
            } else {
                self.replace(entry, change)?;
                made += 1;
            }
        }
        for change in self.job.changes.iter().rev() {
            let gone = change.kind == ChangeKind::Removed && !self.is_in_the_way(&change.path);
            if gone {
                self.remove(&change.path)?;
            }
        }
        for entry in directories.into_iter().rev() {
            let outer = self.outer(&entry.path);
            let directory =
                beneath::open_directory_at(self.placer.root, &entry.path).at("open", &outer)?;
            self.placer.finish_open(entry, directory.as_fd(), &outer)?;
        }
        self.done.files_kept += self.job.wanted.files().saturating_sub(made);
        self.flush()
    }

    /// The live entry is a directory where a file is wanted or the other way round, or lies in one.
    fn is_in_the_way(&self, path: &RelativePath) -> bool {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let (Some(live), Some(wanted)) =
                (self.job.live.found.get(&path), self.job.wanted.get(&path))
                && live.entry.is_directory() != wanted.is_directory()
            {
                return true;
            }
            at = path.parent();
        }
        false
    }

    fn outer(&self, path: &RelativePath) -> PathBuf {
        self.job.destination.join(path.as_path())
    }

    fn parent<'p>(&self, path: &'p RelativePath) -> Result<(OwnedFd, &'p OsStr), CloneError> {
        let parent = path.parent().unwrap_or_default();
        let directory = beneath::open_directory_at(self.placer.root, &parent)
            .at("open the directory", self.outer(&parent))?;
        Ok((directory, path.name().unwrap_or_default()))
    }

    fn directory(&mut self, entry: &Entry) -> Result<(), CloneError> {
        if entry.path.is_root() {
            return Ok(());
        }
        let outer = self.outer(&entry.path);
        self.store.steps.before("make a directory", &outer)?;
        let (directory, name) = self.parent(&entry.path)?;
        match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).at("make the directory", outer),
        }
        self.touch(&entry.path);
        Ok(())
    }

    fn replace(&mut self, entry: &Entry, change: &FileChange) -> Result<(), CloneError> {
        let outer = self.outer(&entry.path);
        self.store.steps.before("replace a file", &outer)?;
        let (directory, name) = self.parent(&entry.path)?;
        if change.kind == ChangeKind::Changed && !self.is_in_the_way(&entry.path) {
            self.copy_aside(directory.as_fd(), name, &entry.path)?;
        }
        let temporary = self.temporary_name();
        let written = self.write(entry, directory.as_fd(), &temporary, name);
        match written {
            Ok(Placed::Done(bytes)) => {
                self.done.files_written += 1;
                self.done.bytes_written += bytes;
                self.count.bytes += bytes;
                self.touch(&entry.path);
            }
            Ok(Placed::Skipped(why)) => {
                self.done
                    .skipped
                    .push(skipped(self.job.tree.name, entry, why));
            }
            Err(error) => {
                // The error matters more than the leftover, which the next run removes.
                let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
                return Err(error);
            }
        }
        self.count.files += 1;
        (self.progress)(self.count);
        Ok(())
    }

    fn write(
        &self,
        entry: &Entry,
        directory: BorrowedFd<'_>,
        temporary: &OsStr,
        name: &OsStr,
    ) -> Result<Placed, CloneError> {
        let outer = self.outer(&entry.path);
        let placed = self.placer.place(entry, directory, temporary)?;
        if let Placed::Skipped(_) = placed {
            return Ok(placed);
        }
        if matches!(entry.node, Node::File { .. }) && entry.hard_link_to.is_none() {
            match beneath::open_file(directory, temporary) {
                Ok(file) => rustix::fs::fsync(&file).at("flush", &outer)?,
                // Its mode shuts its owner out: flush its whole file system instead.
                Err(_) => rustix::fs::syncfs(directory).at("flush the file system of", &outer)?,
            }
        }
        self.store
            .steps
            .before("rename over the old file", &outer)?;
        rustix::fs::renameat(directory, temporary, directory, name).at("replace", &outer)?;
        if entry.hard_link_to.is_some() {
            // Renaming one name of a file over another one does nothing and leaves both.
            let _ = rustix::fs::unlinkat(directory, temporary, AtFlags::empty());
        }
        Ok(placed)
    }

    fn temporary_name(&self) -> OsString {
        let unique = self.store.objects.tmp_path();
        let mut name = OsString::from(TEMPORARY_PREFIX);
        name.push(unique.file_name().unwrap_or_default());
        name
    }

    fn touch(&mut self, path: &RelativePath) {
        self.touched.insert(path.parent().unwrap_or_default());
    }

    fn remove(&mut self, path: &RelativePath) -> Result<(), CloneError> {
        let outer = self.outer(path);
        let Some(live) = self.job.live.found.get(path) else {
            return Ok(());
        };
        if path.is_root() {
            return Ok(());
        }
        self.store.steps.before("remove an extra entry", &outer)?;
        let (directory, name) = self.parent(path)?;
        if live.entry.is_directory() {
            match rustix::fs::unlinkat(&directory, name, AtFlags::REMOVEDIR) {
                Ok(()) => {}
                // It still holds what the filter leaves out: not ours to remove.
                Err(Errno::NOTEMPTY | Errno::EXIST) if self.job.wanted.get(path).is_none() => {}
                Err(error) => return Err(error).at("remove the directory", outer),
            }
        } else {
            self.move_aside(directory.as_fd(), name, path)?;
            self.done.files_removed += 1;
        }
        self.touch(path);
        Ok(())
    }

    /// Moves an entry, not a directory, out of the tree.
    fn move_aside(
        &self,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        path: &RelativePath,
    ) -> Result<(), CloneError> {
        let outer = self.outer(path);
        if let Some(aside) = self.free_name_aside(path)? {
            match rustix::fs::renameat(directory, name, CWD, &aside) {
                Ok(()) => return Ok(()),
                Err(Errno::XDEV) => copy(directory, name, &aside, &outer)?,
                Err(error) => return Err(error).at("move aside", outer),
            }
        }
        rustix::fs::unlinkat(directory, name, AtFlags::empty()).at("remove", outer)
    }

    /// Keeps what is about to be replaced.
    fn copy_aside(
        &self,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        path: &RelativePath,
    ) -> Result<(), CloneError> {
        let Some(aside) = self.free_name_aside(path)? else {
            return Ok(());
        };
        if rustix::fs::linkat(directory, name, CWD, &aside, AtFlags::empty()).is_ok() {
            return Ok(());
        }
        copy(directory, name, &aside, &self.outer(path))
    }

    /// A name beneath `aside` that nothing has, so that a second run loses nothing of the first.
    fn free_name_aside(&self, path: &RelativePath) -> Result<Option<PathBuf>, CloneError> {
        let Some(aside) = &self.aside else {
            return Ok(None);
        };
        let wanted = aside.join(path.as_path());
        make_directory(wanted.parent().unwrap_or(aside))?;
        let mut free = wanted.clone();
        let mut number = 1;
        while free.symlink_metadata().is_ok() {
            let mut name = wanted.as_os_str().to_os_string();
            name.push(format!("~{number}"));
            free = PathBuf::from(name);
            number += 1;
        }
        Ok(Some(free))
    }

    fn flush(&self) -> Result<(), CloneError> {
        self.store
            .steps
            .before("flush the changed directories", &self.job.destination)?;
        for path in &self.touched {
            // One that was removed since needs no flush; the one that held it is flushed as well.
            if let Ok(directory) = beneath::open_directory_at(self.placer.root, path) {
                rustix::fs::fsync(&directory).at("flush", self.outer(path))?;
            }
        }
        Ok(())
    }
}

/// Copies a file or a link to another file system. FIFOs, sockets and devices hold nothing to keep.
fn copy(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    to: &Path,
    outer: &Path,
) -> Result<(), CloneError> {
    use rustix::fs::FileType;
    let stat = beneath::stat(directory, name).at("look at", outer)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let mut from = File::from(beneath::open_file(directory, name).at("open", outer)?);
            let mut new = fs::OpenOptions::new();
            let mut to_file = new
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(to)
                .at("create", to)?;
            io::copy(&mut from, &mut to_file)
                .and_then(|_| to_file.sync_all())
                .at("write", to)
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new()).at("read", outer)?;
            std::os::unix::fs::symlink(OsStr::from_bytes(target.as_bytes()), to).at("create", to)
        }
        FileType::Directory
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Ok(()),
    }
}
