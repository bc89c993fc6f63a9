//! What kinds made of file trees share: a configuration tree, perhaps a data tree, on two instances, and
//! the clone of both.
//!
//! Content is stored in *canonical* form, which is how instance a writes it; what differs on instance b
//! (roots, addresses, the user's own pairs) is substituted on the way in and out. Instance b belongs to
//! Evenkeel, so its trees are exchanged whole; a is the user's place, so only what differs is touched
//! there, and what is replaced is kept aside.
//!
//! Everything here blocks on the file system inside, on threads meant for that.

mod evidence;
mod placing;
mod reading;
mod size;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_clone::{
    Capture, ChangeKind, CloneError, Filter, Hint, LiveTree, Ownership, Progress, Store,
    Substitutions, TreeName,
};
use evenkeel_core::generation::ContentHash;
use evenkeel_core::{GenerationId, Instance, Timestamp};
use evenkeel_ports::{
    ChangeHint, Clock, DriverError, FileChange, FileChangeKind, SyncProgress, Synced,
};

use crate::config::{PerInstance, TreeRules};
use crate::tree::{FormatHint, TreeOptions, TreeReader};

use reading::Reader;
pub(crate) use reading::Reading;
use size::DataGauge;

/// Where the trees of one instance are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roots {
    pub(crate) config: PathBuf,
    pub(crate) data: Option<PathBuf>,
}

/// What has to be known to work with the trees of a resource.
pub(crate) struct TreesPlan<'a> {
    /// A directory of the resource's own, for the clone and what is kept aside.
    pub(crate) state: PathBuf,
    pub(crate) roots: PerInstance<Roots>,
    /// What differs besides the roots: pairs of a's text and b's.
    pub(crate) literals: Vec<(String, String)>,
    pub(crate) config: &'a TreeRules,
    pub(crate) data: &'a TreeRules,
    pub(crate) redaction_key: [u8; 32],
    pub(crate) clock: Arc<dyn Clock>,
}

/// The trees of a resource and their clone. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ClonedTree {
    inner: Arc<Inner>,
}

struct Inner {
    state: PathBuf,
    roots: PerInstance<Roots>,
    /// a's text and b's, roots included.
    literals: Vec<(String, String)>,
    config_filter: Filter,
    data_filter: Filter,
    ownership: Ownership,
    options: TreeOptions,
    readers: PerInstance<Mutex<Reader>>,
    sizes: PerInstance<Mutex<DataGauge>>,
    store: Mutex<Option<Arc<Store>>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ClonedTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClonedTree")
            .field("roots", &self.inner.roots)
            .finish_non_exhaustive()
    }
}

impl ClonedTree {
    /// Checks the rules. Nothing is opened before it is needed.
    ///
    /// # Errors
    /// What is wrong with the rules, in one sentence.
    pub(crate) fn new(plan: TreesPlan<'_>) -> Result<Self, String> {
        let literals = all_literals(&plan.roots, plan.literals);
        // Both directions are built once here, so that contradictions are found before they are needed.
        substitutions(&literals)?;
        let options = tree_options(plan.config)?;
        let reader = |instance| -> Result<Mutex<Reader>, String> {
            let tree =
                TreeReader::new(options.clone()).map_err(|error| format!("config.{error}"))?;
            let swap = match instance {
                Instance::A => Vec::new(),
                Instance::B => literals.clone(),
            };
            Ok(Mutex::new(Reader::new(tree, &swap, plan.redaction_key)?))
        };
        let readers = PerInstance {
            a: reader(Instance::A)?,
            b: reader(Instance::B)?,
        };
        let is_root = rustix::process::geteuid().is_root();
        Ok(Self {
            inner: Arc::new(Inner {
                config_filter: plan
                    .config
                    .filter()
                    .map_err(|error| format!("config: {error}"))?,
                data_filter: plan
                    .data
                    .filter()
                    .map_err(|error| format!("data: {error}"))?,
                ownership: if is_root {
                    Ownership::Keep
                } else {
                    Ownership::Ignore
                },
                state: plan.state,
                roots: plan.roots,
                literals,
                options,
                readers,
                sizes: PerInstance::build(|_| Mutex::default()),
                store: Mutex::new(None),
                clock: plan.clock,
            }),
        })
    }

    /// Where an instance's trees are.
    pub(crate) fn roots(&self, instance: Instance) -> &Roots {
        self.inner.roots.of(instance)
    }

    /// a's texts and b's, roots included.
    pub(crate) fn literals(&self) -> &[(String, String)] {
        &self.inner.literals
    }

    /// Whether there is data beside configuration.
    pub(crate) fn has_data(&self) -> bool {
        self.inner.roots.a.data.is_some()
    }

    /// Reads the properties of an instance's configuration, and the size of its data.
    pub(crate) async fn read(
        &self,
        instance: Instance,
        now: Timestamp,
    ) -> Result<Reading, DriverError> {
        self.blocking(move |inner| {
            let mut reading = inner.read_config(instance, now);
            if let Some(data) = &inner.roots.of(instance).data {
                lock(inner.sizes.of(instance)).read(data, now, &mut reading);
            }
            Ok(reading)
        })
        .await
    }

    /// Opens the clone, so that a second process is turned away at once.
    pub(crate) async fn open(&self) -> Result<(), DriverError> {
        self.blocking(|inner| inner.store().map(|_| ())).await
    }

    /// Moves the delta since the newest generation into a new one.
    pub(crate) async fn sync(
        &self,
        from: Instance,
        hint: ChangeHint,
        now: Timestamp,
        progress: &(dyn Fn(SyncProgress) + Send + Sync),
    ) -> Result<Synced, DriverError> {
        let (sender, mut receiver) = tokio::sync::watch::channel(SyncProgress::default());
        let work = self.blocking(move |inner| inner.sync(from, hint, now, &sender));
        tokio::pin!(work);
        loop {
            tokio::select! {
                synced = &mut work => return synced,
                Ok(()) = receiver.changed() => {
                    let step = *receiver.borrow_and_update();
                    progress(step);
                }
            }
        }
    }

    /// How two generations differ.
    pub(crate) async fn compare(
        &self,
        older: GenerationId,
        newer: GenerationId,
    ) -> Result<Vec<FileChange>, DriverError> {
        self.blocking(move |inner| {
            let changes = inner.store()?.diff(older, newer).map_err(without_effect)?;
            Ok(changes.iter().map(file_change).collect())
        })
        .await
    }

    /// Forgets generations.
    pub(crate) async fn forget(&self, generations: &[GenerationId]) -> Result<(), DriverError> {
        let generations: BTreeSet<GenerationId> = generations.iter().copied().collect();
        self.blocking(move |inner| {
            inner
                .store()?
                .remove(&generations)
                .map(|_| ())
                .map_err(without_effect)
        })
        .await
    }

    /// Runs `work` on a thread that may block. It goes on to its end if the caller stops waiting.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let inner = Arc::clone(&self.inner);
        let span = tracing::Span::current();
        match tokio::task::spawn_blocking(move || span.in_scope(|| work(&inner))).await {
            Ok(result) => result,
            Err(error) => Err(DriverError::maybe_effect(format!(
                "the work on the trees broke off: {error}"
            ))),
        }
    }
}

impl Inner {
    fn store(&self) -> Result<Arc<Store>, DriverError> {
        let mut store = lock(&self.store);
        if let Some(store) = &*store {
            return Ok(Arc::clone(store));
        }
        let opened = Arc::new(Store::open(&self.state.join("clone")).map_err(without_effect)?);
        *store = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn read_config(&self, instance: Instance, now: Timestamp) -> Reading {
        lock(self.readers.of(instance)).read(&self.roots.of(instance).config, now)
    }

    fn substitutions(&self, instance: Instance) -> Result<Substitutions, DriverError> {
        match instance {
            Instance::A => Ok(Substitutions::default()),
            Instance::B => substitutions(&self.literals).map_err(DriverError::without_effect),
        }
    }

    fn live(&self, name: TreeName, root: &Path) -> LiveTree {
        let filter = match name {
            TreeName::Config => self.config_filter.clone(),
            TreeName::Data => self.data_filter.clone(),
        };
        LiveTree {
            name,
            root: root.to_owned(),
            filter,
            ownership: self.ownership,
        }
    }

    fn sync(
        &self,
        from: Instance,
        hint: ChangeHint,
        now: Timestamp,
        progress: &tokio::sync::watch::Sender<SyncProgress>,
    ) -> Result<Synced, DriverError> {
        let began = self.clock.monotonic();
        let store = self.store()?;
        let roots = self.roots.of(from);
        let mut trees = vec![self.live(TreeName::Config, &roots.config)];
        trees.extend(
            roots
                .data
                .as_deref()
                .map(|data| self.live(TreeName::Data, data)),
        );
        let substitutions = self.substitutions(from)?;
        let hint = match hint {
            ChangeHint::Everything => Hint::Everything,
            ChangeHint::Paths(paths) => Hint::Paths(paths.into_iter().collect()),
        };
        let request = Capture {
            trees: &trees,
            substitutions: &substitutions,
            at: now,
            hint,
            pinned_config: None,
        };
        let before = self.read_config(from, now);
        let captured = store
            .capture(&request, &|step: Progress| {
                progress.send_replace(SyncProgress {
                    files: step.files,
                    bytes: step.bytes,
                    files_total: None,
                });
            })
            .map_err(without_effect)?;
        let after = self.read_config(from, now);
        let is_whole = captured
            .torn
            .iter()
            .all(|torn| torn.tree != TreeName::Config);
        // Equal before and after, and not torn: it stood still, so this is what was captured.
        let configuration =
            (is_whole && before.same_configuration(&after)).then(|| after.into_configuration());
        let delta = captured.delta;
        let missing = captured
            .skipped
            .iter()
            .filter(|skipped| !skipped.why.is_harmless());
        Ok(Synced {
            id: captured.generation,
            unchanged: captured.unchanged,
            at: now,
            from,
            config: ContentHash(captured.config_digest.to_string()),
            data: captured
                .data_digest
                .map(|digest| ContentHash(digest.to_string())),
            configuration,
            torn: captured
                .torn
                .iter()
                .map(|torn| format!("{}/{}", torn.tree, torn.path))
                .collect(),
            skipped: missing
                .map(|s| (format!("{}/{}", s.tree, s.path), s.why.to_string()))
                .collect(),
            files_changed: delta.files_added + delta.files_changed + delta.files_removed,
            files: delta.files_total,
            bytes: delta.bytes_total,
            bytes_moved: delta.bytes_moved,
            took: self.clock.monotonic().saturating_sub(began),
        })
    }
}

/// The roots and the user's pairs, without repetitions and without what is the same on both sides.
fn all_literals(
    roots: &PerInstance<Roots>,
    others: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().trim_end_matches('/').to_owned();
    let mut literals = vec![(text(&roots.a.config), text(&roots.b.config))];
    if let (Some(a), Some(b)) = (&roots.a.data, &roots.b.data) {
        literals.push((text(a), text(b)));
    }
    for pair in others {
        if pair.0 != pair.1 && !literals.contains(&pair) {
            literals.push(pair);
        }
    }
    literals
}

fn substitutions(literals: &[(String, String)]) -> Result<Substitutions, String> {
    Substitutions::new(literals.to_vec()).map_err(|error| format!("substitute: {error}"))
}

fn tree_options(rules: &TreeRules) -> Result<TreeOptions, String> {
    let defaults = TreeOptions::default();
    // A directory is written `cache/` in gitignore syntax; the reader knows directories by themselves.
    let plain = |patterns: &[String]| -> Result<Vec<String>, String> {
        patterns.iter().map(|pattern| match pattern.strip_prefix('!') {
            Some(_) => Err(format!("config: `{pattern}`: exceptions with `!` are not supported; list what is meant in `include`")),
            None => Ok(pattern.trim_end_matches('/').trim_start_matches('/').to_owned()),
        }).collect()
    };
    let is_everything = rules.include.iter().any(|pattern| pattern == "**");
    let include = if is_everything {
        Vec::new()
    } else {
        plain(&rules.include)?
    };
    let mut exclude = defaults.exclude.clone();
    exclude.extend(plain(&rules.exclude)?);
    let formats = rules
        .formats
        .iter()
        .map(|(glob, format)| FormatHint {
            glob: glob.clone(),
            format: *format,
        })
        .collect();
    Ok(TreeOptions {
        include,
        exclude,
        formats,
        ..defaults
    })
}

pub(crate) fn file_change(change: &evenkeel_clone::FileChange) -> FileChange {
    let slash = if change.directory { "/" } else { "" };
    FileChange {
        path: format!("{}/{}{slash}", change.tree, change.path),
        kind: match change.kind {
            ChangeKind::Added => FileChangeKind::Added,
            ChangeKind::Changed => FileChangeKind::Changed,
            ChangeKind::Metadata => FileChangeKind::Metadata,
            ChangeKind::Removed => FileChangeKind::Removed,
        },
    }
}

fn without_effect(error: CloneError) -> DriverError {
    DriverError::without_effect(error.to_string())
}

fn maybe_effect(error: CloneError) -> DriverError {
    DriverError::maybe_effect(error.to_string())
}

/// Whoever panicked left at worst a memory that the next reading replaces.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
