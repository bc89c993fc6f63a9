//! Against bit rot and clutter: hashing everything again, putting damaged objects away, and removing
//! generations with what only they used.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::PathBuf;

use evenkeel_core::GenerationId;

use crate::digest::Digest;
use crate::entry::Node;
use crate::error::{At, CloneError};
use crate::object::{flush_one, make_directory, write_atomically};
use crate::source::{Progress, Stage};
use crate::store::Store;

/// An object that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadObject {
    /// Which.
    pub digest: Digest,
    /// Where it is, or should be.
    pub path: PathBuf,
    /// The generations that cannot be restored in full without it; none if nothing uses it.
    pub generations: BTreeSet<GenerationId>,
}

/// What [`Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects that were hashed again.
    pub objects_checked: u64,
    /// Bytes that were hashed again.
    pub bytes_checked: u64,
    /// Objects whose content is not what their name says, or that could not be read.
    pub damaged: Vec<BadObject>,
    /// Objects that a generation names and that are not there.
    pub missing: Vec<BadObject>,
    /// Generations that cannot be read, and why.
    pub unreadable: Vec<(GenerationId, String)>,
}

impl VerifyReport {
    /// Everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.missing.is_empty() && self.unreadable.is_empty()
    }

    /// The generations that cannot be trusted any more.
    pub fn generations_affected(&self) -> BTreeSet<GenerationId> {
        let bad = self.damaged.iter().chain(&self.missing);
        let unreadable = self.unreadable.iter().map(|(id, _)| *id);
        bad.flat_map(|object| object.generations.iter().copied())
            .chain(unreadable)
            .collect()
    }
}

/// What [`Store::prune`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The generations that are gone.
    pub generations: BTreeSet<GenerationId>,
    /// Objects that nothing used any more.
    pub objects_removed: u64,
    /// Their bytes.
    pub bytes_freed: u64,
}

impl Store {
    /// Hashes every object again and looks for every object that a generation names.
    pub fn verify(&self, progress: &dyn Fn(Progress)) -> Result<VerifyReport, CloneError> {
        let _reading = self.reading();
        let mut report = VerifyReport::default();
        let mut used: BTreeMap<Digest, BTreeSet<GenerationId>> = BTreeMap::new();
        for id in self.ids()? {
            let mut objects = HashSet::new();
            if let Err(error) = self.uses(id, &mut objects) {
                report.unreadable.push((id, error.to_string()));
            }
            for digest in objects {
                used.entry(digest).or_default().insert(id);
            }
        }
        let bad = |digest: Digest, path| {
            let generations = used.get(&digest).cloned().unwrap_or_default();
            BadObject {
                digest,
                path,
                generations,
            }
        };
        let mut present = HashSet::new();
        for (digest, path) in self.objects.all()? {
            present.insert(digest);
            report.objects_checked += 1;
            match self.objects.read_through(&digest, |_| Ok(())) {
                Ok(bytes) => report.bytes_checked += bytes,
                Err(error) => {
                    tracing::warn!(%error, "a damaged object was found");
                    report.damaged.push(bad(digest, path));
                }
            }
            progress(Progress {
                stage: Stage::Verify,
                files: report.objects_checked,
                bytes: report.bytes_checked,
            });
        }
        for digest in used.keys().filter(|digest| !present.contains(digest)) {
            report.missing.push(bad(*digest, self.objects.path(digest)));
        }
        Ok(report)
    }

    /// Moves damaged objects to `damaged/`, so that the next capture which meets their content stores it
    /// anew and the generations that need it become whole again. That capture takes no hints.
    pub fn put_away(&self, report: &VerifyReport) -> Result<(), CloneError> {
        self.memory().followed = [false; 2];
        let _removing = self.removing();
        let aside = self.directory().join("damaged");
        make_directory(&aside)?;
        for bad in &report.damaged {
            let to = aside.join(bad.digest.to_string());
            self.steps.before("put away a damaged object", &bad.path)?;
            match fs::rename(&bad.path, &to) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => renamed.at("put away", &bad.path)?,
            }
        }
        Ok(())
    }

    /// Removes all generations but `keep`, and what only they used.
    pub fn prune(&self, keep: &BTreeSet<GenerationId>) -> Result<Pruned, CloneError> {
        let present = self.ids()?;
        self.remove(&present.difference(keep).copied().collect())
    }

    /// Removes generations, and what only they used. Killed at any instant, a generation is there whole
    /// or gone; objects that nothing uses are found by the next removal. If a generation that stays
    /// cannot be read, no object is removed, since it might be one of its own.
    pub fn remove(&self, ids: &BTreeSet<GenerationId>) -> Result<Pruned, CloneError> {
        // In the order in which a capture takes them.
        let mut memory = self.memory();
        let _removing = self.removing();
        let present = self.ids()?;
        let gone: BTreeSet<GenerationId> = present.intersection(ids).copied().collect();
        if gone.last() == present.last() {
            // The ground for hints goes with the latest generation, and its number is never given again.
            memory.followed = [false; 2];
            if let Some(last) = gone.last().filter(|last| **last > GenerationId::default()) {
                let last = (*last).max(self.last_removed()?);
                let tmp = self.objects.tmp_path();
                write_atomically(
                    &self.steps,
                    &tmp,
                    &self.last_path(),
                    last.to_string().as_bytes(),
                )?;
            }
        }
        for id in &gone {
            let path = self.generation_path(*id);
            self.steps.before("remove a generation", &path)?;
            fs::remove_file(&path).at("remove", &path)?;
        }
        let directory = self.directory().join("generations");
        self.steps.before("flush the directory", &directory)?;
        // Before any object goes: a generation that came back after a crash must find its objects.
        flush_one(&directory)?;
        let mut pruned = Pruned {
            generations: gone,
            ..Pruned::default()
        };
        self.sweep(&mut pruned)?;
        tracing::info!(
            generations = pruned.generations.len(),
            objects = pruned.objects_removed,
            bytes = pruned.bytes_freed,
            "removed generations"
        );
        Ok(pruned)
    }

    fn sweep(&self, pruned: &mut Pruned) -> Result<(), CloneError> {
        let mut used = HashSet::new();
        for id in self.ids()? {
            self.uses(id, &mut used)?;
        }
        for (digest, path) in self.objects.all()? {
            if used.contains(&digest) {
                continue;
            }
            self.steps.before("remove an unused object", &path)?;
            let bytes = path.metadata().map_or(0, |found| found.len());
            fs::remove_file(&path).at("remove", &path)?;
            pruned.objects_removed += 1;
            pruned.bytes_freed += bytes;
        }
        Ok(())
    }

    /// Adds what the generation names: its listings and their contents.
    fn uses(&self, id: GenerationId, into: &mut HashSet<Digest>) -> Result<(), CloneError> {
        let stored = self.load(id)?;
        into.extend(stored.trees().map(|(_, tree)| tree.listing));
        for (name, _) in stored.trees() {
            for entry in self.listing(&stored, name)?.entries() {
                if let Node::File { digest, .. } = &entry.node {
                    into.insert(*digest);
                }
            }
        }
        Ok(())
    }
}
