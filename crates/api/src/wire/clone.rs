//! Generations of a clone.

use serde::{Deserialize, Serialize};

use super::{Id, Instance, Rfc3339};

words! {
    /// What is held of a generation.
    Verdict {
        /// Its configuration is the approved one.
        Good = "good",
        /// It is not, and nobody has said what to think of that.
        Suspect = "suspect",
        /// It belongs to a drift that was failed over from, or a person rejected it.
        Quarantined = "quarantined",
    }
}

words! {
    /// How a file differs between two generations.
    FileChangeKind {
        /// Only in the newer.
        Added = "added",
        /// Other content or type.
        Changed = "changed",
        /// Same content, other mode or owner.
        Metadata = "metadata",
        /// Only in the older.
        Removed = "removed",
    }
}

/// One immutable point-in-time state of a clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Rises with time.
    pub id: Id,
    /// When its content was read.
    pub at: Rfc3339,
    /// From which instance.
    pub from: Instance,
    /// What is held of it.
    pub verdict: Verdict,
    /// Why it is quarantined.
    pub why: Option<String>,
    /// The hash of its configuration.
    pub config: String,
    /// The hash of its data, where the resource has data.
    pub data: Option<String>,
    /// The baseline that its configuration is the content of.
    pub baseline: Option<Id>,
    /// Files changed under the reader: its data may be torn, and is not activated.
    pub torn: bool,
    /// Files in it.
    pub files: u64,
    /// Its size.
    pub size_bytes: u64,
    /// What the sync that made it had to move.
    pub moved_bytes: u64,
}

/// The generations of a clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationList {
    /// Of which resource.
    pub resource: String,
    /// Newest first.
    pub generations: Vec<Generation>,
}

/// One file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Relative to the tree, with the tree's name in front: `config/nginx.conf`.
    pub path: String,
    /// How it differs.
    pub kind: FileChangeKind,
}

/// How two generations differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationDiff {
    /// Of which resource.
    pub resource: String,
    /// The older one.
    pub older: Id,
    /// The newer one.
    pub newer: Id,
    /// In order of paths.
    pub changes: Vec<FileChange>,
}
