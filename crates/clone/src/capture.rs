//! Capture: the live trees become the next generation, if they differ from the latest one.
//!
//! Order of durability: contents, listings, then the generation that names them. Killed at any
//! instant, the store has the new generation whole or not at all.

use std::collections::BTreeSet;
use std::path::PathBuf;

use evenkeel_core::{GenerationId, Timestamp};

use crate::TreeName;
use crate::content::Sink;
use crate::diff::{ChangeKind, compare};
use crate::digest::Digest;
use crate::entry::Listing;
use crate::error::CloneError;
use crate::generation::{StoredGeneration, StoredTree};
use crate::object::{Staging, write_atomically};
use crate::path::RelativePath;
use crate::scan::{Live, Scanner};
use crate::source::{LiveTree, Progress, Skipped, TornFile};
use crate::stat_cache::FileTimeNs;
use crate::store::{Memory, Store};
use crate::substitute::Substitutions;

/// What may have changed since the last capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Nothing is known: look at every entry, and read the files whose metadata changed.
    Everything,
    /// Nothing outside these absolute paths changed since the last capture. Taken on trust only while
    /// that can be right: the first capture of a `Store`, one after a failure, and one of another
    /// root, filter or substitutions look at everything; so does a hint at a file with many names, at
    /// a root itself, or at a place in no declared tree.
    Paths(BTreeSet<PathBuf>),
    /// Trust no metadata and read every file: also finds what changed without a trace.
    Rehash,
}

/// A capture to be made.
#[derive(Clone, Debug)]
pub struct Capture<'a> {
    /// The live trees: one config tree (none if it is pinned), at most one data tree.
    pub trees: &'a [LiveTree],
    /// What differs between instances, with the literals of the one that is captured.
    pub substitutions: &'a Substitutions,
    /// When, for the record.
    pub at: Timestamp,
    /// What may have changed.
    pub hint: Hint,
    /// Take over the config tree of this generation instead of reading the live one.
    pub pinned_config: Option<GenerationId>,
}

/// What a capture moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Entries (directories not counted) that the latest generation lacked.
    pub files_added: u64,
    /// Entries that differ in content or metadata.
    pub files_changed: u64,
    /// Entries that are gone.
    pub files_removed: u64,
    /// Entries in all.
    pub files_total: u64,
    /// Bytes of content that the store did not have.
    pub bytes_moved: u64,
    /// Bytes of content in all.
    pub bytes_total: u64,
}

/// The outcome of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The new generation, or the latest one if nothing changed.
    pub generation: GenerationId,
    /// Everything but times is as in the latest generation, so none was made.
    pub unchanged: bool,
    /// What was moved.
    pub delta: Delta,
    /// Files that kept changing while they were read.
    pub torn: Vec<TornFile>,
    /// Entries that are not in the generation.
    pub skipped: Vec<Skipped>,
    /// Fingerprint of the config tree.
    pub config_digest: Digest,
    /// Fingerprint of the data tree.
    pub data_digest: Option<Digest>,
}

impl Store {
    /// Captures the live trees. On an error nothing was added, and the next capture looks at
    /// everything whatever its hint.
    pub fn capture(
        &self,
        request: &Capture<'_>,
        progress: &dyn Fn(Progress),
    ) -> Result<Captured, CloneError> {
        let (config, data) = declared(request)?;
        let mut memory = self.memory();
        let _reading = self.reading();
        let latest = self.latest_whole()?;
        let followed = std::mem::take(&mut memory.followed);
        let work = Work {
            store: self,
            request,
            latest: latest.as_ref(),
            followed,
            now: self.file_time()?,
            progress,
        };
        let captured = work.run(&mut memory, config, data)?;
        memory.followed = [config.is_some(), data.is_some()];
        if let Err(error) = memory.cache.save(&self.objects.tmp_path()) {
            tracing::warn!(%error, "the stat cache was not saved; the next start reads more");
        }
        Ok(captured)
    }
}

/// The latest generation with its listings.
struct Latest {
    stored: StoredGeneration,
    listings: [Option<Listing>; 2],
}

impl Latest {
    fn listing(&self, name: TreeName) -> Option<&Listing> {
        self.listings[name.index()].as_ref()
    }
}

impl Store {
    /// The latest generation if it is whole. On a damaged one nothing can be built: the capture is then
    /// like a first one.
    fn latest_whole(&self) -> Result<Option<Latest>, CloneError> {
        let Some(stored) = self.latest_stored()? else {
            return Ok(None);
        };
        let mut listings = [None, None];
        for (name, _) in stored.trees() {
            match self.listing(&stored, name) {
                Ok(listing) => listings[name.index()] = Some(listing),
                Err(error) => {
                    tracing::warn!(generation = %stored.id, %error, "the latest generation is damaged");
                    return Ok(None);
                }
            }
        }
        Ok(Some(Latest { stored, listings }))
    }
}

/// The config tree to be read (unless it is pinned) and the data tree.
fn declared<'a>(
    request: &'a Capture<'_>,
) -> Result<(Option<&'a LiveTree>, Option<&'a LiveTree>), CloneError> {
    let only = |name: TreeName, twice| {
        let mut named = request.trees.iter().filter(|tree| tree.name == name);
        let first = named.next();
        if named.next().is_some() {
            Err(CloneError::Trees { what: twice })
        } else {
            Ok(first)
        }
    };
    let config = only(TreeName::Config, "two config trees were given")?;
    let data = only(TreeName::Data, "two data trees were given")?;
    match (config, request.pinned_config) {
        (None, None) => Err(CloneError::Trees {
            what: "no config tree was given",
        }),
        (_, Some(_)) => Ok((None, data)),
        (Some(_), None) => Ok((config, data)),
    }
}

/// A tree as it goes into the generation.
struct Taken {
    tree: StoredTree,
    listing: Listing,
    torn: Vec<TornFile>,
    skipped: Vec<Skipped>,
}

struct Work<'a> {
    store: &'a Store,
    request: &'a Capture<'a>,
    latest: Option<&'a Latest>,
    followed: [bool; 2],
    now: FileTimeNs,
    progress: &'a dyn Fn(Progress),
}

impl Work<'_> {
    fn run(
        &self,
        memory: &mut Memory,
        config: Option<&LiveTree>,
        data: Option<&LiveTree>,
    ) -> Result<Captured, CloneError> {
        let mut staging = Staging::new(&self.store.objects);
        let config = match (config, self.request.pinned_config) {
            (Some(source), _) => self.take(source, memory, &mut staging)?,
            (None, pinned) => self.pinned(pinned.unwrap_or_default())?,
        };
        let data = data
            .map(|source| self.take(source, memory, &mut staging))
            .transpose()?;
        let bytes_moved = staging.bytes;
        let taken: Vec<&Taken> = [Some(&config), data.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        let generation = StoredGeneration {
            id: self.store.next_id()?,
            at: self.request.at,
            config: config.tree.clone(),
            data: data.as_ref().map(|taken| taken.tree.clone()),
            config_pinned_from: self.request.pinned_config,
            torn: taken.iter().flat_map(|taken| taken.torn.clone()).collect(),
            skipped: taken
                .iter()
                .flat_map(|taken| taken.skipped.clone())
                .collect(),
        };
        let delta = Delta {
            bytes_moved,
            ..self.delta(&config, data.as_ref())
        };
        let same = self
            .latest
            .filter(|latest| latest.stored.same_content(&generation));
        let id = if let Some(latest) = same {
            // Contents that had been lost and were read again make the latest generation whole.
            staging.commit()?;
            latest.stored.id
        } else {
            for taken in taken {
                staging.put(&taken.listing.to_bytes())?;
            }
            self.commit(staging, &generation)?;
            generation.id
        };
        let record = generation.record();
        Ok(Captured {
            generation: id,
            unchanged: same.is_some(),
            delta,
            torn: record.torn,
            skipped: record.skipped,
            config_digest: record.config_digest,
            data_digest: record.data_digest,
        })
    }

    fn commit(
        &self,
        staging: Staging<'_>,
        generation: &StoredGeneration,
    ) -> Result<(), CloneError> {
        staging.commit()?;
        let path = self.store.generation_path(generation.id);
        let tmp = self.store.objects.tmp_path();
        write_atomically(&self.store.steps, &tmp, &path, &generation.to_bytes())?;
        let record = generation.record();
        tracing::info!(
            generation = %record.id,
            files = record.files,
            bytes = record.bytes,
            complete = record.is_complete(),
            "captured a generation"
        );
        Ok(())
    }

    fn pinned(&self, id: GenerationId) -> Result<Taken, CloneError> {
        let stored = self.store.load(id)?;
        let listing = self.store.listing(&stored, TreeName::Config)?;
        let of_config = |tree: TreeName| tree == TreeName::Config;
        Ok(Taken {
            torn: stored
                .torn
                .into_iter()
                .filter(|torn| of_config(torn.tree))
                .collect(),
            skipped: stored
                .skipped
                .into_iter()
                .filter(|s| of_config(s.tree))
                .collect(),
            tree: stored.config,
            listing,
        })
    }

    fn take(
        &self,
        source: &LiveTree,
        memory: &mut Memory,
        staging: &mut Staging<'_>,
    ) -> Result<Taken, CloneError> {
        let key = source.key(self.request.substitutions);
        memory.cache.begin(source.name, key);
        let live = match self.hinted(source, key, memory, staging)? {
            Some(live) => live,
            None => self.scanner(source, memory, staging)?.everything()?,
        };
        let (torn, skipped) = (live.torn.clone(), live.skipped.clone());
        let listing = Listing::new(live.into_entries()).map_err(|why| CloneError::Root {
            tree: source.name,
            root: source.root.clone(),
            why: format!("it changed too much while it was read: {why}"),
        })?;
        let tree = StoredTree {
            listing: Digest::of(&listing.to_bytes()),
            content: listing.content_digest(),
            source: key,
            files: listing.files(),
            bytes: listing.bytes(),
        };
        Ok(Taken {
            tree,
            listing,
            torn,
            skipped,
        })
    }

    /// The tree as the latest generation has it with the hinted paths read again; `None` where only a
    /// look at everything can be right.
    fn hinted(
        &self,
        source: &LiveTree,
        key: Digest,
        memory: &mut Memory,
        staging: &mut Staging<'_>,
    ) -> Result<Option<Live>, CloneError> {
        let (Hint::Paths(paths), Some(latest), true) = (
            &self.request.hint,
            self.latest,
            self.followed[source.name.index()],
        ) else {
            return Ok(None);
        };
        let stored = latest.stored.tree(source.name);
        let (Some(listing), true) = (
            latest.listing(source.name),
            stored.is_some_and(|tree| tree.source == key),
        ) else {
            return Ok(None);
        };
        let Some(mut changed) = self.changed_in(source, paths) else {
            return Ok(None);
        };
        let (torn, skipped) = (&latest.stored.torn, &latest.stored.skipped);
        let known = Live::known(listing.entries(), torn, skipped, source.name);
        // What could not be captured well the last time gets another chance.
        let doubtful = (known.torn.iter().map(|torn| &torn.path))
            .chain(known.skipped.iter().map(|skipped| &skipped.path));
        changed.extend(doubtful.cloned());
        if changed.contains(&RelativePath::ROOT) {
            return Ok(None);
        }
        let changed: Vec<RelativePath> = changed.into_iter().collect();
        self.scanner(source, memory, staging)?.only(known, &changed)
    }

    /// The hinted paths that lie in `source`. `None` if one is the root itself or lies in no tree that was
    /// declared: whoever gave it means another place than we do, so nothing can be built on it.
    fn changed_in(
        &self,
        source: &LiveTree,
        paths: &BTreeSet<PathBuf>,
    ) -> Option<BTreeSet<RelativePath>> {
        // Watchers may report a root by its own name or with links resolved.
        let resolved = |tree: &LiveTree| tree.root.canonicalize().ok();
        let roots: Vec<(bool, PathBuf)> = (self.request.trees.iter())
            .flat_map(|tree| {
                let ours = tree.name == source.name;
                [Some(tree.root.clone()), resolved(tree)]
                    .into_iter()
                    .flatten()
                    .map(move |r| (ours, r))
            })
            .collect();
        let mut changed = BTreeSet::new();
        for path in paths {
            let mut known = false;
            for (ours, root) in &roots {
                let Ok(path) = path.strip_prefix(root) else {
                    continue;
                };
                known = true;
                if *ours {
                    let path = RelativePath::try_from(path)
                        .ok()
                        .filter(|path| !path.is_root())?;
                    changed.insert(path);
                }
            }
            if !known {
                tracing::debug!(path = %path.display(), "a hint lies in no tree; looking at everything");
                return None;
            }
        }
        Some(changed)
    }

    fn scanner<'b, 's>(
        &'b self,
        source: &'b LiveTree,
        memory: &'b mut Memory,
        staging: &'b mut Staging<'s>,
    ) -> Result<Scanner<'b, 's>, CloneError> {
        let rehash = match &self.request.hint {
            Hint::Rehash => true,
            Hint::Everything | Hint::Paths(_) => false,
        };
        let sink = Sink::Store {
            staging,
            cache: &mut memory.cache,
            now: self.now,
            rehash,
        };
        let place = self.store.place()?;
        Scanner::open(
            source,
            self.request.substitutions,
            sink,
            place,
            self.progress,
        )
    }

    fn delta(&self, config: &Taken, data: Option<&Taken>) -> Delta {
        let mut delta = Delta::default();
        for (name, taken) in [(TreeName::Config, Some(config)), (TreeName::Data, data)] {
            let before = self.latest.and_then(|latest| latest.listing(name));
            let after = taken.map(|taken| &taken.listing);
            let [before, after] = [before, after].map(|l| l.map_or(&[][..], Listing::entries));
            for change in compare(name, before, after) {
                match change.kind {
                    _ if change.directory => {}
                    ChangeKind::Added => delta.files_added += 1,
                    ChangeKind::Changed | ChangeKind::Metadata => delta.files_changed += 1,
                    ChangeKind::Removed => delta.files_removed += 1,
                }
            }
            delta.files_total += taken.map_or(0, |taken| taken.tree.files);
            delta.bytes_total += taken.map_or(0, |taken| taken.tree.bytes);
        }
        delta
    }
}
