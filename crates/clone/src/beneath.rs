//! Access to entries beneath a directory that somebody else may be changing meanwhile: every
//! component is opened by itself and no symbolic link is followed, so a link that is slipped in
//! between two looks cannot lead outside.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};

use crate::error::{At, CloneError};
use crate::path::RelativePath;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

/// Opens a directory by its outer path, which the operator wrote: links in it are followed.
pub(crate) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, DIRECTORY, Mode::empty())?)
}

/// Opens the directory `name` in `parent`.
pub(crate) fn open_directory(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(
        parent,
        name,
        DIRECTORY | OFlags::NOFOLLOW,
        Mode::empty(),
    )?)
}

/// Opens the directory at `path` beneath `root`.
pub(crate) fn open_directory_at(root: impl AsFd, path: &RelativePath) -> io::Result<OwnedFd> {
    let mut directory = root.as_fd().try_clone_to_owned()?;
    for component in path.components() {
        directory = open_directory(&directory, component)?;
    }
    Ok(directory)
}

/// Opens a file for reading. Does not block on a FIFO that took the file's place; the caller checks
/// what it got.
pub(crate) fn open_file(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// What `name` in `parent` is, without following a link.
pub(crate) fn stat(parent: impl AsFd, name: &OsStr) -> io::Result<Stat> {
    Ok(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Keeps the directory opened last, since entries come in order and most have the same parent as the
/// one before.
pub(crate) struct Parents<'a> {
    root: BorrowedFd<'a>,
    outer: PathBuf,
    last: Option<(RelativePath, OwnedFd)>,
}

impl<'a> Parents<'a> {
    /// `outer` is the root's path, for errors.
    pub(crate) fn new(root: BorrowedFd<'a>, outer: &Path) -> Self {
        Self {
            root,
            outer: outer.to_owned(),
            last: None,
        }
    }

    /// The directory that holds `path`, which must not be the root.
    pub(crate) fn of(&mut self, path: &RelativePath) -> Result<BorrowedFd<'_>, CloneError> {
        let parent = path.parent().unwrap_or_default();
        if self.last.as_ref().is_none_or(|(held, _)| *held != parent) {
            let directory = open_directory_at(self.root, &parent)
                .at("open the directory", self.outer.join(parent.as_path()))?;
            self.last = Some((parent, directory));
        }
        // Set just above where it was not.
        let (_, directory) = self.last.as_ref().expect("the parent was opened");
        Ok(directory.as_fd())
    }
}
