//! What a caller says about the live trees, and what is said back about files that could not be
//! captured as they are.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::filter::Filter;
use crate::path::RelativePath;
use crate::substitute::Substitutions;

/// Which of a resource's declared trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TreeName {
    /// Configuration: pinned to an approved generation by the caller, and substituted.
    Config,
    /// Data: followed, byte for byte.
    Data,
}

impl TreeName {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Config, Self::Data];

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Config => 0,
            Self::Data => 1,
        }
    }
}

impl fmt::Display for TreeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Config => "config",
            Self::Data => "data",
        })
    }
}

/// Whether user and group belong to what is captured, compared and restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// They do. Restoring those of somebody else needs root.
    #[default]
    Keep,
    /// They do not: right for a process that is not root, whose copies are all its own.
    Ignore,
}

/// A live tree.
#[derive(Clone, Debug)]
pub struct LiveTree {
    /// Which tree it is.
    pub name: TreeName,
    /// Its root directory. A symbolic link here is followed; inside the tree none is.
    pub root: PathBuf,
    /// Which entries belong to it.
    pub filter: Filter,
    /// Whether owners belong to it.
    pub ownership: Ownership,
}

impl LiveTree {
    /// A whole directory, owners and all.
    pub fn new(name: TreeName, root: impl Into<PathBuf>) -> Self {
        let (filter, ownership) = (Filter::default(), Ownership::Keep);
        Self {
            name,
            root: root.into(),
            filter,
            ownership,
        }
    }

    /// Observations made under one key say nothing about a tree with another one.
    pub(crate) fn key(&self, substitutions: &Substitutions) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let literals = self.substituted_by(substitutions).text();
        for part in [
            self.root.as_os_str().as_bytes(),
            self.filter.text().as_bytes(),
            format!("{:?}", self.ownership).as_bytes(),
            literals.as_bytes(),
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    /// The substitutions that apply to this tree: data is followed byte for byte.
    pub(crate) fn substituted_by<'s>(&self, given: &'s Substitutions) -> &'s Substitutions {
        match self.name {
            TreeName::Config => given,
            TreeName::Data => Substitutions::none(),
        }
    }
}

/// A file that kept changing while it was read; its stored content may be a mixture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TornFile {
    /// In which tree.
    pub tree: TreeName,
    /// Which file.
    pub path: RelativePath,
}

/// An entry that is not in the generation, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// In which tree.
    pub tree: TreeName,
    /// Which entry.
    pub path: RelativePath,
    /// Why.
    pub why: SkipReason,
}

/// Why an entry was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// A socket is alive only with the process that made it.
    Socket,
    /// The system would not let it be read; its reason.
    Unreadable(String),
    /// Another file system is mounted there; a tree ends where its file system ends.
    OtherFileSystem,
    /// More than 256 directories deep.
    TooDeep,
    /// The clone store itself.
    StoreItself,
    /// Making a device node needs root.
    NeedsRoot,
}

impl SkipReason {
    /// The generation is as good without it.
    pub fn is_harmless(&self) -> bool {
        match self {
            Self::Socket | Self::StoreItself => true,
            Self::Unreadable(_) | Self::OtherFileSystem | Self::TooDeep | Self::NeedsRoot => false,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("a socket is not copied"),
            Self::Unreadable(why) => write!(f, "it cannot be read: {why}"),
            Self::OtherFileSystem => f.write_str("another file system is mounted there"),
            Self::TooDeep => f.write_str("it lies more than 256 directories deep"),
            Self::StoreItself => f.write_str("it is the clone store itself"),
            Self::NeedsRoot => f.write_str("making a device node needs root"),
        }
    }
}

/// What a long call is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading a live tree.
    Scan,
    /// Writing a tree to its destination.
    Write,
    /// Hashing the store again.
    Verify,
}

/// How far a long call has come. Counts start again with each tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Files so far.
    pub files: u64,
    /// Bytes so far.
    pub bytes: u64,
}
