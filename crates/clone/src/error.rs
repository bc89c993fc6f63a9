//! What can go wrong, with what an operator needs in order to act: the place, the fault, and what
//! would be right. Troubles with single files of a live tree are not here: they are recorded in the
//! generation as [`crate::Skipped`] or [`crate::TornFile`] and never stop a capture.

use std::io;
use std::path::{Path, PathBuf};

use evenkeel_core::GenerationId;

use crate::digest::Digest;

/// Why a call of this crate did not do what was asked. Unless a variant says otherwise, earlier
/// generations and destinations are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloneError {
    /// Another process (or another `Store` in this one) has the store open.
    #[error("the clone store {path} is in use by another process; stop that one first")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried, as a verb phrase.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A disk (or a quota) is full, or would be.
    #[error("no space to {doing} {path}{}; free some, or remove old generations", short(*.short_bytes))]
    NoSpace {
        /// What was tried, as a verb phrase.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// How many bytes are lacking, where it was found out before writing.
        short_bytes: Option<u64>,
    },
    /// A file of the store is not what was written.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The damaged file of the store.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An object that a generation needs is gone.
    #[error("{path} is missing, a generation needs it; `verify` lists which")]
    MissingObject {
        /// Where the object should be.
        path: PathBuf,
        /// Which object.
        digest: Digest,
    },
    /// There is no such generation.
    #[error("there is no generation {id} in {store}")]
    UnknownGeneration {
        /// The generation asked for.
        id: GenerationId,
        /// The store's directory.
        store: PathBuf,
    },
    /// The generation has no such tree.
    #[error("generation {id} has no {tree} tree")]
    NoSuchTree {
        /// The generation asked for.
        id: GenerationId,
        /// The tree it lacks.
        tree: crate::TreeName,
    },
    /// Neither a config tree nor a generation to pin it to was given, or a tree was given twice.
    #[error(
        "a capture needs one config tree or a pinned generation, and at most one data tree: {what}"
    )]
    Trees {
        /// What was given instead.
        what: &'static str,
    },
    /// The root of a tree is not a directory that can be read.
    #[error("the {tree} tree {root} cannot be read: {why}")]
    Root {
        /// Which tree.
        tree: crate::TreeName,
        /// Its root.
        root: PathBuf,
        /// Why not.
        why: String,
    },
    /// A filter's pattern does not parse.
    #[error("`{pattern}` is not a gitignore pattern: {why}")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// The list of substitutions contradicts itself.
    #[error("the substitution `{literal}` {why}")]
    Substitution {
        /// The literal at fault.
        literal: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file already contains, as its own text, a literal that substitution would put there; going
    /// to the other instance and back would change the file.
    #[error(
        "{path} cannot be moved between instances: it already contains `{literal}`, which would be \
         mistaken for a substituted text; choose another literal or exclude the file"
    )]
    NotReversible {
        /// The file.
        path: PathBuf,
        /// The literal at fault.
        literal: String,
    },
    /// The destination cannot be used.
    #[error("cannot write the tree to {path}: {why}")]
    Destination {
        /// The destination.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
}

fn short(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(" ({bytes} bytes short)"))
}

impl CloneError {
    /// The disk is full: worth another try once space was made.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

/// Adds the place to an error of the operating system.
pub(crate) trait At<T> {
    /// `doing` is a verb phrase which reads well before the path: `write`, `make the directory`.
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, CloneError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, CloneError> {
        self.map_err(|error| {
            let source = error.into();
            let path = path.as_ref().to_owned();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CloneError::NoSpace {
                    doing,
                    path,
                    short_bytes: None,
                },
                _ => CloneError::Io {
                    doing,
                    path,
                    source,
                },
            }
        })
    }
}
