//! Configuration trees as properties: every file under a directory, read with the grammar that fits
//! it, one property for each value.
//!
//! A property's path is the file's path relative to the tree and the value's place in the file:
//! `nginx.conf/events/worker_connections`, `conf.d/site.conf/server[example.org]/listen`. Derived
//! properties have a leading `@`: `@tree/files`, `@tree/bytes`, and below a file `@entries` (tables),
//! `@bytes` (large files), `@days_to_expiry` (certificates). A file that no grammar takes is one
//! property at its own path: its text, or its digest where it is long, binary or secret.
//!
//! Left out on purpose: includes are not followed, since the whole tree is read; nothing is redacted
//! (see [`looks_secret`] and [`TreeReading::secret`]); owners and modes belong to the clone.
//!
//! Invariants: no file that cannot be read makes the rest unreadable, and what cannot be read is
//! named as such, never as gone; nothing is opened but regular files; an unchanged file is not read
//! again.

mod capacity;
mod file;
mod format;
mod leaf;
mod options;
mod parse;
mod secret;
mod value;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::property::{Observed, Value};
use evenkeel_core::{PropertyPath, Timestamp};

pub use format::Format;
pub use leaf::{Leaf, ParseFailure};
pub use options::{FormatHint, TreeOptions, TreeOptionsError};
pub use parse::parse;
pub use secret::looks_secret;

use file::{Context, DigestedForm, FileReading, Identity};
use options::Filter;
use walk::{Found, Listing};

/// A file changed so shortly before it was read may change again without a new time stamp.
const SETTLING: Duration = Duration::from_secs(2);

/// Everything read of a tree at one instant.
#[derive(Clone, Default)]
pub struct TreeReading {
    /// The properties. Values at the paths of `secret` are still as read.
    pub leaves: BTreeMap<PropertyPath, Observed>,
    /// Places that could not be read, with the reason: what stands there is unknown, not gone.
    pub unreadable: BTreeMap<PropertyPath, String>,
    /// Properties whose values must be redacted before they are kept, shown or logged.
    pub secret: BTreeSet<PropertyPath>,
    /// What a person may want to know: which files were not taken apart, and why.
    pub notes: Vec<String>,
    /// When a file of the tree was last modified. No property: the age of a tree always grows.
    pub newest_change: Option<Timestamp>,
    /// How many files had to be read; the others were known from before.
    pub files_read: usize,
}

/// Shows counts alone, since values may be secret.
impl fmt::Debug for TreeReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeReading")
            .field("leaves", &self.leaves.len())
            .field("unreadable", &self.unreadable)
            .field("secret", &self.secret.len())
            .field("notes", &self.notes)
            .field("newest_change", &self.newest_change)
            .field("files_read", &self.files_read)
            .finish()
    }
}

/// Reads a tree again and again, and remembers the files that have not changed.
pub struct TreeReader {
    options: TreeOptions,
    filter: Filter,
    /// What the remembered files depend on besides themselves.
    remembered_for: Option<(PathBuf, IsNginxTree)>,
    remembered: HashMap<String, Remembered>,
    digested_form: Option<Box<DigestedForm>>,
}

type IsNginxTree = bool;

struct Remembered {
    /// The state that was read; none where that may be outdated already.
    identity: Option<Identity>,
    reading: Arc<FileReading>,
}

impl TreeReader {
    /// A reader with an empty memory.
    pub fn new(options: TreeOptions) -> Result<Self, TreeOptionsError> {
        Ok(Self {
            filter: Filter::new(&options)?,
            options,
            remembered_for: None,
            remembered: HashMap::new(),
            digested_form: None,
        })
    }

    /// The same, with digests taken of contents in another form than the one they are found in.
    #[must_use]
    pub(crate) fn with_digested_form(
        mut self,
        form: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        self.digested_form = Some(Box::new(form));
        self
    }

    /// Reads the tree at `root` as it is `now`.
    ///
    /// Blocks on the file system: call it off the asynchronous threads.
    pub fn read(&mut self, root: &Path, now: Timestamp) -> TreeReading {
        let Listing {
            entries,
            unreadable,
        } = walk::list(root, &self.filter, self.options.max_files);
        let is_nginx_tree = entries.contains_key("nginx.conf");
        let basis = Some((root.to_owned(), is_nginx_tree));
        if self.remembered_for != basis {
            self.remembered.clear();
            self.remembered_for = basis;
        }
        let mut before = std::mem::take(&mut self.remembered);
        let mut tree = Assembly::default();
        for (place, reason) in unreadable {
            tree.reading
                .unreadable
                .insert(PropertyPath::new(place), reason);
        }
        for (relative, found) in entries {
            match found {
                Found::Link { target } => {
                    tree.named(&relative, Value::Text(format!("-> {target}")));
                }
                Found::Special { kind } => tree.named(&relative, Value::Choice(kind.to_owned())),
                Found::File { location, metadata } => {
                    let identity = Identity::of(&metadata);
                    let known = before.remove(&relative);
                    match self.file(&relative, &location, identity, known, is_nginx_tree, now) {
                        Ok((remembered, is_new)) => {
                            tree.file(identity, &remembered.reading, is_new, now);
                            self.remembered.insert(relative, remembered);
                        }
                        // Deleted since it was listed.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => tree.unreadable(&relative, &error),
                    }
                }
            }
        }
        tree.finish()
    }

    /// The file's reading, and whether it was read anew.
    fn file(
        &self,
        relative: &str,
        location: &Path,
        identity: Identity,
        known: Option<Remembered>,
        is_nginx_tree: bool,
        now: Timestamp,
    ) -> io::Result<(Remembered, bool)> {
        let was_table = known.as_ref().is_some_and(|known| known.reading.is_table);
        if let Some(known) = known.filter(|known| known.identity == Some(identity)) {
            return Ok((known, false));
        }
        let context = Context {
            options: &self.options,
            filter: &self.filter,
            is_nginx_tree,
            was_table,
            digested_form: self.digested_form.as_deref(),
        };
        let (identity, reading) = file::read(relative, location, &context)?;
        let is_settled = |identity: &Identity| now.since(identity.changed()) >= SETTLING;
        let remembered = Remembered {
            identity: identity.filter(is_settled),
            reading: Arc::new(reading),
        };
        Ok((remembered, true))
    }
}

/// A tree's reading in the making.
#[derive(Default)]
struct Assembly {
    reading: TreeReading,
    files: u64,
    bytes: u64,
}

impl Assembly {
    fn named(&mut self, relative: &str, value: Value) {
        let path = PropertyPath::from(relative);
        self.reading
            .leaves
            .insert(path, Observed::configuration(value));
    }

    fn unreadable(&mut self, relative: &str, error: &io::Error) {
        let path = PropertyPath::from(relative);
        self.reading.unreadable.insert(path, error.to_string());
    }

    fn file(&mut self, identity: Identity, file: &FileReading, is_new: bool, now: Timestamp) {
        self.files += 1;
        self.bytes += identity.bytes;
        let reading = &mut self.reading;
        reading.files_read += usize::from(is_new);
        reading.newest_change = reading.newest_change.max(Some(identity.modified()));
        reading.leaves.extend(file.properties.iter().cloned());
        reading.secret.extend(file.secret.iter().cloned());
        reading.notes.extend(file.note.clone());
        if let Some((path, expiry)) = &file.expiry {
            let days = capacity::days_to(*expiry, now);
            reading
                .leaves
                .insert(path.clone(), Observed::capacity(days, Some("d")));
        }
    }

    /// Adds the totals; they would be wrong, hence unknown, where a part is unreadable.
    fn finish(mut self) -> TreeReading {
        if self.reading.unreadable.is_empty() {
            let mut total = |path: &str, value: u64, unit| {
                let observed = Observed::capacity(value as f64, unit);
                self.reading
                    .leaves
                    .insert(PropertyPath::from(path), observed);
            };
            total("@tree/files", self.files, None);
            total("@tree/bytes", self.bytes, Some("B"));
        } else {
            let reason = "a part of the tree could not be read".to_owned();
            self.reading
                .unreadable
                .insert(PropertyPath::from("@tree"), reason);
        }
        self.reading
    }
}

/// Reads a tree once, without memory.
pub fn read_tree(
    root: &Path,
    options: &TreeOptions,
    now: Timestamp,
) -> Result<TreeReading, TreeOptionsError> {
    Ok(TreeReader::new(options.clone())?.read(root, now))
}

#[cfg(test)]
mod tests;
