#![doc = include_str!("../README.md")]
//!
//! # For readers of the source
//!
//! Values first: `digest`, `path`, `entry` (a tree's listing), `generation`. Then what is said about
//! live trees: `filter`, `substitute`, `source`. Then I/O: `object` (contents), `beneath` and `scan`
//! (reading a tree that changes), `stat_cache`, `store`. Then the calls: `capture`, `diff`,
//! `materialise` with `place` and `in_place`, `verify`. `steps` is the seam of the crash tests.

mod beneath;
mod capture;
mod content;
mod diff;
mod digest;
mod entry;
mod error;
mod filter;
mod generation;
mod in_place;
mod materialise;
mod object;
mod path;
mod place;
mod scan;
mod source;
mod stat_cache;
mod steps;
mod store;
mod substitute;
mod verify;
mod xattr;

pub use capture::{Capture, Captured, Delta, Hint};
pub use content::SUBSTITUTED_BYTES_MAX;
pub use diff::{ChangeKind, FileChange};
pub use digest::{Digest, DigestError};
pub use entry::{Entry, Listing, ModifiedAt, Node, Owner};
pub use error::CloneError;
pub use filter::Filter;
pub use generation::GenerationRecord;
pub use materialise::{Manner, Materialise, Materialised, Target};
pub use path::{Escaped, PathError, RelativePath};
pub use source::{LiveTree, Ownership, Progress, SkipReason, Skipped, Stage, TornFile, TreeName};
#[doc(hidden)]
pub use steps::Observer;
pub use store::Store;
pub use substitute::Substitutions;
pub use verify::{BadObject, Pruned, VerifyReport};
