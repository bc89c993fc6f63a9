//! The one comparison of two trees; every list of changes in this crate comes from it. Times are no
//! difference; owners are one only where both sides know them.

use std::cmp::Ordering;

use evenkeel_core::GenerationId;

use crate::TreeName;
use crate::content::Sink;
use crate::entry::{Entry, Owner};
use crate::error::CloneError;
use crate::path::RelativePath;
use crate::scan::Scanner;
use crate::source::LiveTree;
use crate::store::Store;
use crate::substitute::Substitutions;

/// How an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Only the later side has it.
    Added,
    /// The content, the target or the kind differs.
    Changed,
    /// Only the earlier side has it.
    Removed,
    /// Mode, owner, extended attributes or names of the same file differ.
    Metadata,
}

/// One difference between two trees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileChange {
    /// In which tree.
    pub tree: TreeName,
    /// Which entry.
    pub path: RelativePath,
    /// How it differs.
    pub kind: ChangeKind,
    /// Both sides, or the one that has it, are a directory.
    pub directory: bool,
}

/// What leads from `before` to `after`; both sorted by path.
pub(crate) fn compare(tree: TreeName, before: &[Entry], after: &[Entry]) -> Vec<FileChange> {
    let mut changes = Vec::new();
    let mut note = |entry: &Entry, kind, directory| {
        changes.push(FileChange {
            tree,
            path: entry.path.clone(),
            kind,
            directory,
        });
    };
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        match (old, new) {
            (Some(old), Some(new)) => {
                if let Some(kind) = difference(old, new) {
                    note(new, kind, old.is_directory() && new.is_directory());
                }
            }
            (Some(old), None) => note(old, ChangeKind::Removed, old.is_directory()),
            (None, Some(new)) => note(new, ChangeKind::Added, new.is_directory()),
            (None, None) => break,
        }
    }
    changes
}

/// How two entries at the same path differ.
pub(crate) fn difference(old: &Entry, new: &Entry) -> Option<ChangeKind> {
    if old.node != new.node {
        return Some(ChangeKind::Changed);
    }
    let owners_differ = match (old.owner, new.owner) {
        (Some(Owner(old_user, old_group)), Some(Owner(user, group))) => {
            (old_user, old_group) != (user, group)
        }
        _ => false,
    };
    let differs = owners_differ
        || old.mode != new.mode
        || old.xattrs != new.xattrs
        || old.hard_link_to != new.hard_link_to;
    differs.then_some(ChangeKind::Metadata)
}

impl Store {
    /// What leads from generation `before` to generation `after`.
    pub fn diff(
        &self,
        before: GenerationId,
        after: GenerationId,
    ) -> Result<Vec<FileChange>, CloneError> {
        let _reading = self.reading();
        let (before, after) = (self.load(before)?, self.load(after)?);
        let mut changes = Vec::new();
        for name in TreeName::BOTH {
            let (old, new) = (before.tree(name), after.tree(name));
            if old.map(|tree| tree.content) == new.map(|tree| tree.content) {
                continue;
            }
            let entries = |tree: Option<_>, stored| match tree {
                Some(_) => self
                    .listing(stored, name)
                    .map(|listing| listing.entries().to_vec()),
                None => Ok(Vec::new()),
            };
            changes.extend(compare(
                name,
                &entries(old, &before)?,
                &entries(new, &after)?,
            ));
        }
        Ok(changes)
    }

    /// What leads from the generation to the live tree. The whole live tree is read.
    pub fn compare_with_live(
        &self,
        id: GenerationId,
        source: &LiveTree,
        substitutions: &Substitutions,
    ) -> Result<Vec<FileChange>, CloneError> {
        let _reading = self.reading();
        let stored = self.listing(&self.load(id)?, source.name)?;
        let place = self.place()?;
        let live = Scanner::open(source, substitutions, Sink::Compare, place, &|_| {})?;
        let live = live.everything()?.into_entries();
        Ok(compare(source.name, stored.entries(), &live))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Node;

    fn entry(path: &str, node: Node, mode: u32) -> Entry {
        Entry {
            path: RelativePath::new(path).unwrap(),
            node,
            mode,
            owner: None,
            xattrs: Default::default(),
            hard_link_to: None,
            modified: None,
        }
    }

    #[test]
    fn every_kind_of_change_is_told() {
        let dir = |path| entry(path, Node::Directory, 0o755);
        let fifo = |path| entry(path, Node::Fifo, 0o644);
        let before = [
            dir(""),
            fifo("changed"),
            fifo("mode"),
            fifo("removed"),
            fifo("same"),
        ];
        let after = [
            dir(""),
            dir("added"),
            dir("changed"),
            entry("mode", Node::Fifo, 0o600),
            fifo("same"),
        ];
        let told: Vec<_> = compare(TreeName::Data, &before, &after)
            .into_iter()
            .map(|change| (change.path.to_string(), change.kind, change.directory))
            .collect();
        assert_eq!(
            told,
            [
                ("added".to_owned(), ChangeKind::Added, true),
                ("changed".to_owned(), ChangeKind::Changed, false),
                ("mode".to_owned(), ChangeKind::Metadata, false),
                ("removed".to_owned(), ChangeKind::Removed, false),
            ]
        );
    }

    #[test]
    fn an_unknown_owner_is_no_difference_but_another_one_is() {
        let owned = |owner| Entry {
            owner,
            ..entry("f", Node::Fifo, 0o644)
        };
        assert_eq!(difference(&owned(None), &owned(Some(Owner(1, 1)))), None);
        let changed = difference(&owned(Some(Owner(0, 1))), &owned(Some(Owner(1, 1))));
        assert_eq!(changed, Some(ChangeKind::Metadata));
    }
}
