//! Makes single entries of a generation in an open directory: content, owner, attributes, mode, times.
//! Where the entry finally stands, and whether it replaces another one, is the caller's affair.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::process::geteuid;

use crate::beneath;
use crate::content::{SUBSTITUTED_BYTES_MAX, is_text};
use crate::digest::Digest;
use crate::entry::{Entry, ModifiedAt, Node, Owner};
use crate::error::{At, CloneError};
use crate::object::{Objects, SparseWriter};
use crate::source::{Ownership, SkipReason};
use crate::substitute::Substitutions;
use crate::xattr;

/// What became of an entry.
pub(crate) enum Placed {
    /// It is there; so many bytes of content were written.
    Done(u64),
    /// It cannot be made here.
    Skipped(SkipReason),
}

/// How entries of one tree are made.
pub(crate) struct Placer<'a> {
    pub(crate) objects: &'a Objects,
    /// Those that apply to this tree.
    pub(crate) substitutions: &'a Substitutions,
    pub(crate) ownership: Ownership,
    /// The root of the tree that is written, which hard links refer to.
    pub(crate) root: BorrowedFd<'a>,
    /// Its path, for errors.
    pub(crate) outer: PathBuf,
}

impl Placer<'_> {
    fn outer(&self, entry: &Entry) -> PathBuf {
        self.outer.join(entry.path.as_path())
    }

    /// Makes `entry`, which is not a directory, under `name` in `directory`; nothing may be there.
    pub(crate) fn place(
        &self,
        entry: &Entry,
        directory: BorrowedFd<'_>,
        name: &OsStr,
    ) -> Result<Placed, CloneError> {
        let outer = self.outer(entry);
        if entry.hard_link_to.is_some() {
            return self
                .hard_link(entry, directory, name)
                .map(|()| Placed::Done(0));
        }
        match &entry.node {
            Node::File { digest, size } => {
                let (file, written) = self.file(digest, *size, directory, name, &outer)?;
                self.finish_open(entry, file.as_fd(), &outer)?;
                Ok(Placed::Done(written))
            }
            Node::Symlink { target } => {
                let target = self.substitutions.localise(&outer, &target.0)?;
                rustix::fs::symlinkat(target.as_slice(), directory, name)
                    .at("make the symbolic link", &outer)?;
                self.finish_named(entry, directory, name, &outer)?;
                Ok(Placed::Done(0))
            }
            Node::Fifo => {
                let mode = Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(directory, name, FileType::Fifo, mode, 0)
                    .at("make the FIFO", &outer)?;
                self.special(entry, directory, name, &outer)?;
                Ok(Placed::Done(0))
            }
            Node::Device {
                block,
                major,
                minor,
            } => {
                if !geteuid().is_root() {
                    return Ok(Placed::Skipped(SkipReason::NeedsRoot));
                }
                let kind = if *block {
                    FileType::BlockDevice
                } else {
                    FileType::CharacterDevice
                };
                let device = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(directory, name, kind, Mode::from_raw_mode(0o600), device)
                    .at("make the device node", &outer)?;
                self.special(entry, directory, name, &outer)?;
                Ok(Placed::Done(0))
            }
            Node::Directory => Err(CloneError::Destination {
                path: outer,
                why: "a directory was about to be written as a file",
            }),
        }
    }

    /// Gives an open file or directory everything but its content.
    pub(crate) fn finish_open(
        &self,
        entry: &Entry,
        file: BorrowedFd<'_>,
        outer: &Path,
    ) -> Result<(), CloneError> {
        // In this order: a change of owner drops capabilities and set-id bits.
        if let Some(Owner(user, group)) = self.owner(entry) {
            let present = rustix::fs::fstat(file).at("look at", outer)?;
            if (present.st_uid, present.st_gid) != (user, group) {
                let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
                rustix::fs::fchown(file, Some(user), Some(group))
                    .at("give its owner to (root may; else ignore ownership)", outer)?;
            }
        }
        xattr::write(file, &entry.xattrs).at("set the extended attributes of", outer)?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode)).at("set the mode of", outer)?;
        if let Some(modified) = entry.modified {
            rustix::fs::futimens(file, &times(modified)).at("set the times of", outer)?;
        }
        Ok(())
    }

    fn owner(&self, entry: &Entry) -> Option<Owner> {
        match self.ownership {
            Ownership::Keep => entry.owner,
            Ownership::Ignore => None,
        }
    }

    fn hard_link(
        &self,
        entry: &Entry,
        directory: BorrowedFd<'_>,
        name: &OsStr,
    ) -> Result<(), CloneError> {
        let first = entry.hard_link_to.clone().unwrap_or_default();
        let outer = self.outer(entry);
        let parent = first.parent().unwrap_or_default();
        let from = beneath::open_directory_at(self.root, &parent)
            .at("open the directory", self.outer.join(parent.as_path()))?;
        let first = first.name().unwrap_or_default();
        rustix::fs::linkat(&from, first, directory, name, AtFlags::empty())
            .at("make the hard link", outer)
    }

    /// Writes the content, in local form, into a new file.
    fn file(
        &self,
        digest: &Digest,
        size: u64,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        outer: &Path,
    ) -> Result<(File, u64), CloneError> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NOCTTY;
        let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))
            .at("create", outer)?;
        let mut writer = SparseWriter::new(File::from(file));
        let written = if !self.substitutions.is_empty() && size <= SUBSTITUTED_BYTES_MAX {
            let mut bytes = self.objects.read(digest)?;
            if is_text(&bytes) {
                bytes = self.substitutions.localise(outer, &bytes)?;
            }
            writer.write(&bytes).at("write", outer)?;
            bytes.len() as u64
        } else {
            self.objects
                .read_through(digest, |chunk| writer.write(chunk).at("write", outer))?
        };
        Ok((writer.finish().at("write", outer)?, written))
    }

    /// Owner and times of a symbolic link, which has no mode of its own.
    fn finish_named(
        &self,
        entry: &Entry,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        outer: &Path,
    ) -> Result<(), CloneError> {
        if let Some(Owner(user, group)) = self.owner(entry) {
            let present = beneath::stat(directory, name).at("look at", outer)?;
            if (present.st_uid, present.st_gid) != (user, group) {
                let (user, group) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
                rustix::fs::chownat(directory, name, user, group, AtFlags::SYMLINK_NOFOLLOW)
                    .at("give its owner to (root may; else ignore ownership)", outer)?;
            }
        }
        if let Some(modified) = entry.modified {
            let nofollow = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(directory, name, &times(modified), nofollow)
                .at("set the times of", outer)?;
        }
        Ok(())
    }

    /// Owner, mode and times of a FIFO or device. It is held by a descriptor that does not open it:
    /// opening a device can have effects, and changing a mode by name would follow a link.
    fn special(
        &self,
        entry: &Entry,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        outer: &Path,
    ) -> Result<(), CloneError> {
        self.finish_named(entry, directory, name, outer)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held =
            rustix::fs::openat(directory, name, flags, Mode::empty()).at("look at", outer)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&held).at("look at", outer)?.st_mode);
        if matches!(
            kind,
            FileType::Symlink | FileType::RegularFile | FileType::Directory
        ) {
            let (path, why) = (outer.to_owned(), "somebody replaced what was just made");
            return Err(CloneError::Destination { path, why });
        }
        let by_descriptor = format!("/proc/self/fd/{}", held.as_raw_fd());
        let mode = Mode::from_raw_mode(entry.mode);
        rustix::fs::chmodat(CWD, by_descriptor, mode, AtFlags::empty()).at("set the mode of", outer)
    }
}

fn times(modified: ModifiedAt) -> Timestamps {
    let at = Timespec {
        tv_sec: modified.seconds,
        tv_nsec: modified.nanoseconds.into(),
    };
    Timestamps {
        last_access: at,
        last_modification: at,
    }
}
