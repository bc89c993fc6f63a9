//! Evidence on a configuration that drifted: which values differ and where they are written, the text
//! differences file by file, and what the file system knows about who changed them.
//!
//! The approved side is read from the clone, in a's form; so is the live side, so that what differs only
//! because it is another instance is no difference here.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use evenkeel_clone::{
    ChangeKind, FileChange, LiveTree, Manner, Materialise, Ownership, Store, Substitutions,
    TreeName,
};
use evenkeel_core::property::{Observed, Origin};
use evenkeel_core::{GenerationId, Instance, PropertyPath, Timestamp};
use evenkeel_ports::{DriverError, Evidence};
use similar::TextDiff;

use super::reading::{Reading, both_ways};
use super::{ClonedTree, Inner, lock, without_effect};
use crate::process::log::mask;
use crate::tree::read_tree;

const TEXT_BYTES_MAX: u64 = 256 * 1024;
const DIFF_BYTES_MAX: usize = 64 * 1024;
const LINES_MAX: usize = 200;

impl ClonedTree {
    /// How an instance's configuration differs from the approved one.
    pub(crate) async fn diagnose(
        &self,
        instance: Instance,
        approved: GenerationId,
        now: Timestamp,
    ) -> Result<Vec<Evidence>, DriverError> {
        self.blocking(move |inner| inner.diagnose(instance, approved, now))
            .await
    }
}

impl Inner {
    fn diagnose(
        &self,
        instance: Instance,
        approved: GenerationId,
        now: Timestamp,
    ) -> Result<Vec<Evidence>, DriverError> {
        let store = self.store()?;
        let live = self.live(TreeName::Config, &self.roots.of(instance).config);
        let substitutions = self.substitutions(instance)?;
        let changes = store
            .compare_with_live(approved, &live, &substitutions)
            .map_err(without_effect)?;
        let found = self.read_config(instance, now);
        let expected = self.approved_properties(&store, approved, instance, now)?;
        let diffs = TextDiffs::new(self, &store, approved, instance, &[&found, &expected])?;
        let mut evidence = Vec::new();
        let mut add = |title: &str, text: String| {
            if !text.is_empty() {
                evidence.push(Evidence {
                    title: title.to_owned(),
                    text,
                });
            }
        };
        add("configuration values", value_differences(&expected, &found));
        add("configuration diff", diffs.all(&changes));
        add("changed files", file_facts(&changes, &live.root));
        if changes.is_empty() {
            add("configuration", format!("every file is as in {approved}"));
        }
        let unread: Vec<String> = found
            .unreadable
            .iter()
            .map(|(path, why)| format!("{path}: {why}"))
            .collect();
        add("unreadable", unread.join("\n"));
        Ok(evidence)
    }

    /// The properties of the approved configuration, read the way a live tree is.
    fn approved_properties(
        &self,
        store: &Store,
        approved: GenerationId,
        instance: Instance,
        now: Timestamp,
    ) -> Result<Reading, DriverError> {
        // The lock of the reader also keeps two diagnoses from using the scratch directory at once.
        let reader = lock(self.readers.of(instance));
        let scratch = self.state.join("diagnose").join(instance.as_str());
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).map_err(|error| {
            DriverError::without_effect(format!("cannot make {}: {error}", scratch.display()))
        })?;
        let to = LiveTree {
            ownership: Ownership::Ignore,
            ..LiveTree::new(TreeName::Config, scratch.join("config"))
        };
        let root = to.root.clone();
        let targets = [evenkeel_clone::Target { from: approved, to }];
        let request = Materialise {
            targets: &targets,
            substitutions: &Substitutions::default(),
            manner: Manner::Swap,
        };
        let placed = store.materialise(&request, &|_| {}).map_err(without_effect);
        let read = placed.and_then(|_| {
            read_tree(&root, &self.options, now)
                .map_err(|error| DriverError::without_effect(error.to_string()))
        });
        let _ = std::fs::remove_dir_all(&scratch);
        Ok(reader.present_canonical(read?))
    }
}

/// One line for each value that differs: `nginx.conf:12: http/keepalive_timeout: 65 -> 5`.
fn value_differences(approved: &Reading, found: &Reading) -> String {
    let written = |observed: &&Observed| observed.origin == Origin::Configuration;
    let paths: BTreeSet<&PropertyPath> = approved
        .properties
        .keys()
        .chain(found.properties.keys())
        .collect();
    let mut lines = Vec::new();
    for path in paths {
        let was = approved.properties.get(path).filter(written);
        let is = found.properties.get(path).filter(written);
        if was.map(|o| &o.value) == is.map(|o| &o.value) {
            continue;
        }
        let place = is
            .or(was)
            .and_then(|o| o.place.as_ref())
            .map(|place| format!("{place}: "))
            .unwrap_or_default();
        let text = |side: Option<&Observed>| {
            side.map_or("(absent)".to_owned(), |o| one_line(&o.value.to_string()))
        };
        lines.push(format!(
            "{place}{path}: approved {}, found {}",
            text(was),
            text(is)
        ));
    }
    let hidden = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if hidden > 0 {
        lines.push(format!("... and {hidden} more"));
    }
    lines.join("\n")
}

fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    let masked = mask(text).replace('\n', "\\n");
    match masked.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &masked[..cut]),
        None => masked,
    }
}

/// Makes the text differences of files, with secrets hidden.
struct TextDiffs<'a> {
    store: &'a Store,
    approved: GenerationId,
    root: &'a Path,
    to_canonical: Substitutions,
    /// Files with a secret in them, by their path in the tree.
    secret_files: BTreeSet<String>,
    /// Lines on which a secret stands, by file.
    secret_lines: BTreeSet<(String, u32)>,
}

impl<'a> TextDiffs<'a> {
    fn new(
        inner: &'a Inner,
        store: &'a Store,
        approved: GenerationId,
        instance: Instance,
        readings: &[&Reading],
    ) -> Result<Self, DriverError> {
        let literals: &[(String, String)] = match instance {
            Instance::A => &[],
            Instance::B => &inner.literals,
        };
        let mut secret_files = BTreeSet::new();
        let mut secret_lines = BTreeSet::new();
        for (reading, path) in readings
            .iter()
            .flat_map(|reading| reading.secret.iter().map(move |path| (reading, path)))
        {
            match reading
                .properties
                .get(path)
                .and_then(|observed| observed.place.as_ref())
            {
                Some(place) if place.file != path.as_str() => {
                    secret_lines.insert((place.file.clone(), place.line));
                }
                _ => {
                    secret_files.insert(path.as_str().to_owned());
                }
            }
        }
        Ok(Self {
            store,
            approved,
            root: &inner.roots.of(instance).config,
            to_canonical: both_ways(literals).map_err(DriverError::without_effect)?,
            secret_files,
            secret_lines,
        })
    }

    fn all(&self, changes: &[FileChange]) -> String {
        let mut text = String::new();
        for change in changes
            .iter()
            .filter(|change| !change.directory && change.kind != ChangeKind::Metadata)
        {
            if text.len() > DIFF_BYTES_MAX {
                text.push_str("... more files differ\n");
                break;
            }
            text.push_str(&self.one(change));
        }
        text
    }

    fn one(&self, change: &FileChange) -> String {
        let path = change.path.to_string();
        let before = self
            .store
            .read_file(self.approved, TreeName::Config, change.path.as_path())
            .ok()
            .flatten();
        let after = read_small(&self.root.join(change.path.as_path()));
        let after = after.map(|bytes| {
            self.to_canonical
                .canonicalise(Path::new(&path), &bytes)
                .unwrap_or(bytes)
        });
        if self.secret_files.contains(&path) {
            return format!("{path}: differs (its content is secret)\n");
        }
        let before = before.map(|bytes| self.masked(&path, bytes));
        let after = after.map(|bytes| self.masked(&path, bytes));
        let (Some(before), Some(after)) = (as_text(before), as_text(after)) else {
            return format!(
                "{path}: {}, and is no text or too large to show\n",
                verb(change.kind)
            );
        };
        let diff = TextDiff::from_lines(&before, &after);
        let (old, new) = (format!("approved/{path}"), format!("found/{path}"));
        let unified = diff
            .unified_diff()
            .context_radius(2)
            .header(&old, &new)
            .to_string();
        if unified.is_empty() {
            // Only lines that are hidden differ.
            return format!("{path}: differs in a secret value\n");
        }
        unified
    }

    /// Hides lines on which the tree's reader found a secret, and whatever else looks like one.
    fn masked(&self, path: &str, bytes: Vec<u8>) -> Vec<u8> {
        let Ok(text) = String::from_utf8(bytes.clone()) else {
            return bytes;
        };
        let mut masked = String::with_capacity(text.len());
        for (line, number) in text.split_inclusive('\n').zip(1_u32..) {
            if self.secret_lines.contains(&(path.to_owned(), number)) {
                let name = line
                    .split(['=', ':', ' ', '\t'])
                    .find(|word| !word.is_empty())
                    .unwrap_or("");
                let _ = writeln!(
                    masked,
                    "{}*** (a secret)",
                    if name.len() < line.trim().len() {
                        format!("{name} ")
                    } else {
                        String::new()
                    }
                );
            } else {
                masked.push_str(line);
            }
        }
        mask(&masked).into_bytes()
    }
}

fn verb(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "was added",
        ChangeKind::Changed => "was changed",
        ChangeKind::Removed => "was removed",
        ChangeKind::Metadata => "has other metadata",
    }
}

/// `None` for anything but a small regular file; nothing else is opened, since a pipe would block.
fn read_small(path: &Path) -> Option<Vec<u8>> {
    let metadata = path.symlink_metadata().ok()?;
    if !metadata.is_file() || metadata.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .ok()?
        .take(TEXT_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// The text; an absent file is an empty one.
fn as_text(bytes: Option<Vec<u8>>) -> Option<String> {
    let bytes = bytes.unwrap_or_default();
    if bytes.len() as u64 > TEXT_BYTES_MAX || bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// For each changed file what the file system knows: when, whose, and who may write it.
fn file_facts(changes: &[FileChange], root: &Path) -> String {
    let mut text = String::new();
    for change in changes.iter().take(LINES_MAX) {
        let path = root.join(change.path.as_path());
        let facts = match path.symlink_metadata() {
            Ok(found) => {
                let modified =
                    Timestamp::from_millis(found.mtime() * 1000 + found.mtime_nsec() / 1_000_000);
                let writers = match found.mode() & 0o022 {
                    0 => "only its owner (and root) may write it",
                    0o020 => "its group may write it",
                    _ => "anybody may write it",
                };
                format!(
                    "last modified {modified}, owner uid {} gid {}, mode {:04o}: {writers}",
                    found.uid(),
                    found.gid(),
                    found.mode() & 0o7777
                )
            }
            Err(error) => match path.parent().and_then(|parent| parent.metadata().ok()) {
                Some(parent) => format!(
                    "{error}; its directory was last changed {}",
                    Timestamp::from_millis(parent.mtime() * 1000 + parent.mtime_nsec() / 1_000_000)
                ),
                None => error.to_string(),
            },
        };
        let _ = writeln!(text, "{} {}: {facts}", change.path, verb(change.kind));
    }
    text
}
