//! One file to properties: opened without ever blocking, read within limits, taken apart or kept
//! whole.
//!
//! Invariants: nothing but a regular file is read; no file is held in memory beyond
//! `max_file_bytes`; the text of a file that holds a secret and is not taken apart never becomes a
//! value, only its digest does.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use evenkeel_core::PropertyPath;
use evenkeel_core::Timestamp;
use evenkeel_core::property::{Observed, Origin, Place, Value, number_text};
use rustix::fs::OFlags;

use super::capacity;
use super::format::{Format, choose};
use super::leaf::{Leaf, join};
use super::options::{Filter, TreeOptions};
use super::parse::parse;
use super::secret::{is_secret_file, looks_secret, text_holds_secret, value_holds_secret};

/// Larger files are told by their size alone.
const DIGEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longer texts are told by their digest.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    pub(super) bytes: u64,
    modified_ns: (i64, i64),
    changed_ns: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified_ns: (metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// When the content last changed.
    pub(super) fn modified(&self) -> Timestamp {
        millis(self.modified_ns)
    }

    /// When the content or the inode last changed; no program can set it back.
    pub(super) fn changed(&self) -> Timestamp {
        millis(self.changed_ns)
    }
}

fn millis((seconds, nanoseconds): (i64, i64)) -> Timestamp {
    Timestamp::from_millis(
        seconds
            .saturating_mul(1000)
            .saturating_add(nanoseconds / 1_000_000),
    )
}

/// The properties of one file, without those that depend on the time.
pub(super) struct FileReading {
    pub(super) properties: Vec<(PropertyPath, Observed)>,
    pub(super) secret: Vec<PropertyPath>,
    /// When its first certificate expires, in seconds since the epoch.
    pub(super) expiry: Option<(PropertyPath, i64)>,
    pub(super) note: Option<String>,
    pub(super) is_table: bool,
}

/// What reading a file depends on besides the file.
pub(super) struct Context<'a> {
    pub(super) options: &'a TreeOptions,
    pub(super) filter: &'a Filter,
    pub(super) is_nginx_tree: bool,
    /// Whether the file counted as a table at the last reading.
    pub(super) was_table: bool,
    /// The form of a content in which its digest is taken.
    pub(super) digested_form: Option<&'a DigestedForm>,
}

/// Brings a content into the form in which its digest is taken: what differs between the places where
/// the same content may stand is told alike there.
pub(crate) type DigestedForm = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

impl Context<'_> {
    fn digest_of(&self, content: &[u8]) -> String {
        match self.digested_form {
            Some(form) => digest_of(&form(content)),
            None => digest_of(content),
        }
    }
}

/// Reads the file. The identity is none if the file changed meanwhile: it must be read again.
pub(super) fn read(
    relative: &str,
    location: &Path,
    context: &Context<'_>,
) -> io::Result<(Option<Identity>, FileReading)> {
    let file = open(location)?;
    let before = Identity::of(&file.metadata()?);
    let content = Content::read(&file, before.bytes, context.options.max_file_bytes)?;
    let after = Identity::of(&file.metadata()?);
    let mut draft = Draft::new(relative);
    draft.content(content, context);
    Ok(((before == after).then_some(after), draft.reading))
}

/// The file may have been swapped for something else since it was listed: `O_NOFOLLOW` refuses a
/// link, `O_NONBLOCK` keeps a FIFO or a device from holding us up, and then the kind is checked.
fn open(location: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(location)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file any more"))
    }
}

enum Content {
    Whole(Vec<u8>),
    Digest { digest: blake3::Hash, bytes: u64 },
    Size { bytes: u64 },
}

impl Content {
    fn read(file: &File, bytes: u64, max_bytes: u64) -> io::Result<Self> {
        if bytes > max_bytes.max(DIGEST_BYTES_MAX) {
            return Ok(Self::Size { bytes });
        }
        if bytes > max_bytes {
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut file.take(DIGEST_BYTES_MAX), &mut hasher)?;
            let (digest, bytes) = (hasher.finalize(), hasher.count());
            return Ok(Self::Digest { digest, bytes });
        }
        let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        // A file that grows under our hands is cut off, and read again next time.
        file.take(max_bytes).read_to_end(&mut content)?;
        Ok(Self::Whole(content))
    }
}

/// A reading in the making.
struct Draft<'a> {
    relative: &'a str,
    reading: FileReading,
}

impl<'a> Draft<'a> {
    fn new(relative: &'a str) -> Self {
        Self {
            relative,
            reading: FileReading {
                properties: Vec::new(),
                secret: Vec::new(),
                expiry: None,
                note: None,
                is_table: false,
            },
        }
    }

    fn content(&mut self, content: Content, context: &Context<'_>) {
        match content {
            Content::Size { bytes } => self.capacity("@bytes", bytes as f64, Some("B")),
            Content::Digest { digest, bytes } => {
                self.whole(digest_text(&digest, bytes));
                self.capacity("@bytes", bytes as f64, Some("B"));
            }
            Content::Whole(content) => match str::from_utf8(&content) {
                Ok(text) => self.text(text, context),
                Err(_) => {
                    self.whole(context.digest_of(&content));
                    self.expiry(capacity::expiry_of_der(&content));
                }
            },
        }
        let name = self.relative.rsplit('/').next().unwrap_or(self.relative);
        if is_secret_file(name) {
            self.reading.secret.push(PropertyPath::from(self.relative));
        }
    }

    fn text(&mut self, text: &str, context: &Context<'_>) {
        self.expiry(capacity::first_expiry_of_pem(text));
        let name = self.relative.rsplit('/').next().unwrap_or(self.relative);
        if is_secret_file(name) {
            return self.whole(context.digest_of(text.as_bytes()));
        }
        let format = context
            .filter
            .format(self.relative)
            .unwrap_or_else(|| choose(self.relative, text, context.is_nginx_tree));
        let leaves = match parse(format, text) {
            Ok(leaves) => leaves,
            Err(failure) => {
                let relative = self.relative;
                self.reading.note = Some(format!("{relative} is kept whole: {failure}"));
                return self.whole_text(text, context);
            }
        };
        let entries = capacity::entries(self.relative, format, text, &leaves, context.was_table);
        let is_huge = leaves.len() > context.options.max_leaves_per_file;
        self.reading.is_table = entries.is_some() || is_huge;
        if let Some(count) = entries.or(is_huge.then_some(leaves.len())) {
            self.capacity("@entries", count as f64, None);
        }
        if is_huge {
            self.whole_digest(text, context);
            self.capacity("@bytes", text.len() as f64, Some("B"));
        } else if format == Format::Text {
            self.whole_text(text, context);
        } else if leaves.is_empty() {
            // A file of comments alone is still there.
            self.property(
                PropertyPath::from(self.relative),
                Value::Document(Default::default()),
                1,
                None,
            );
        } else {
            leaves.into_iter().for_each(|leaf| self.leaf(leaf));
        }
    }

    fn leaf(&mut self, leaf: Leaf) {
        let path = PropertyPath::new(join(self.relative, &leaf.path));
        if is_secret(&path, &leaf.value) {
            self.reading.secret.push(path.clone());
        }
        self.property(path, leaf.value, leaf.line, leaf.unit);
    }

    /// A text which is not taken apart: itself where it is short and holds no secret.
    fn whole_text(&mut self, text: &str, context: &Context<'_>) {
        if text.len() > TEXT_BYTES_MAX || text_holds_secret(text) {
            self.whole_digest(text, context);
        } else {
            self.whole(text.to_owned());
        }
    }

    /// The digest of a text that is known but for a weak secret would give the secret away, so it is
    /// to be redacted as well.
    fn whole_digest(&mut self, text: &str, context: &Context<'_>) {
        if text_holds_secret(text) {
            self.reading.secret.push(PropertyPath::from(self.relative));
        }
        self.whole(context.digest_of(text.as_bytes()));
    }

    fn whole(&mut self, text: String) {
        self.property(
            PropertyPath::from(self.relative),
            Value::Text(text),
            1,
            None,
        );
    }

    fn property(&mut self, path: PropertyPath, value: Value, line: u32, unit: Option<String>) {
        let place = Place {
            file: self.relative.to_owned(),
            line,
        };
        let observed = Observed {
            value,
            origin: Origin::Configuration,
            unit,
            place: Some(place),
        };
        self.reading.properties.push((path, observed));
    }

    fn capacity(&mut self, name: &str, value: f64, unit: Option<&str>) {
        let path = PropertyPath::new(join(self.relative, name));
        self.reading
            .properties
            .push((path, Observed::capacity(value, unit)));
    }

    fn expiry(&mut self, expiry: Option<i64>) {
        let path = || PropertyPath::new(join(self.relative, "@days_to_expiry"));
        self.reading.expiry = expiry.map(|seconds| (path(), seconds));
    }
}

/// A flag is no secret whatever its name says (`PasswordAuthentication yes`).
fn is_secret(path: &PropertyPath, value: &Value) -> bool {
    match value {
        Value::Flag(_) | Value::Document(_) => false,
        Value::Number(_) | Value::Choice(_) | Value::Redacted(_) => looks_secret(path.as_str()),
        Value::Text(text) => looks_secret(path.as_str()) || value_holds_secret(text),
        Value::Set(items) => {
            looks_secret(path.as_str()) || items.iter().any(|item| value_holds_secret(item))
        }
    }
}

fn digest_of(content: &[u8]) -> String {
    digest_text(&blake3::hash(content), content.len() as u64)
}

fn digest_text(digest: &blake3::Hash, bytes: u64) -> String {
    format!(
        "blake3:{} {} B",
        &digest.to_hex()[..16],
        number_text(bytes as f64)
    )
}
