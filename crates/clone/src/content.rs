//! Reading one regular file of a live tree: content, substitution, and whether it held still.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::Stat;

use crate::beneath;
use crate::digest::Digest;
use crate::entry::{Entry, Node};
use crate::error::CloneError;
use crate::object::{CHUNK_BYTES, Staging, pump};
use crate::path::RelativePath;
use crate::scan::Scanner;
use crate::source::{SkipReason, TornFile};
use crate::stat_cache::{FileTimeNs, Observed, StatCache};
use crate::xattr;

/// A config file up to this size is substituted if it is text.
pub const SUBSTITUTED_BYTES_MAX: u64 = 1024 * 1024;
/// A file that changes under every one of so many readings is recorded as torn.
const READ_ATTEMPTS: u32 = 3;

/// Where contents go.
pub(crate) enum Sink<'a, 's> {
    /// Into the store; files that the cache knows are not read.
    Store {
        staging: &'a mut Staging<'s>,
        cache: &'a mut StatCache,
        now: FileTimeNs,
        rehash: bool,
    },
    /// Nowhere: the tree is only compared.
    Compare,
}

/// One reading of a file.
struct Reading {
    entry: Entry,
    before: Stat,
    /// It was the same before and after.
    stable: bool,
}

impl Scanner<'_, '_> {
    pub(crate) fn regular(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: RelativePath,
        stat: &Stat,
    ) -> Result<(), CloneError> {
        if let Some(entry) = self.known(&path, &Observed::of(stat)) {
            self.insert(entry, stat);
            return Ok(());
        }
        for attempt in 1..=READ_ATTEMPTS {
            match self.read_once(parent, name, &path)? {
                Ok(None) => {
                    tracing::debug!(%path, attempt, "a file became something else while it was read");
                }
                Ok(Some(Reading {
                    entry,
                    before,
                    stable,
                })) => {
                    if stable {
                        self.remember(&before, &entry);
                    } else if attempt < READ_ATTEMPTS {
                        continue;
                    } else {
                        self.live.torn.push(TornFile {
                            tree: self.source.name,
                            path,
                        });
                    }
                    self.count.bytes += entry.size();
                    self.insert(entry, &before);
                    return Ok(());
                }
                Err(error) => {
                    self.unreadable(path, &error);
                    return Ok(());
                }
            }
        }
        self.skip(
            path,
            SkipReason::Unreadable("it kept turning into something else".to_owned()),
        );
        Ok(())
    }

    /// One reading, and whether the file was the same before and after. `None` if it is no regular
    /// file any more.
    fn read_once(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: &RelativePath,
    ) -> Result<io::Result<Option<Reading>>, CloneError> {
        let opened = beneath::open_file(parent, name).and_then(|file| {
            let before = rustix::fs::fstat(&file)?;
            Ok((File::from(file), before))
        });
        let (mut file, before) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        let Some(mut entry) = self.entry(path.clone(), &before) else {
            return Ok(Ok(None));
        };
        if !matches!(entry.node, Node::File { .. }) {
            return Ok(Ok(None));
        }
        let (node, read_bytes) = match self.content(&mut file, path, &before)? {
            Ok(content) => content,
            Err(error) => return Ok(Err(error)),
        };
        entry.node = node;
        let after =
            xattr::read(file.as_fd()).and_then(|xattrs| Ok((xattrs, rustix::fs::fstat(&file)?)));
        let (xattrs, after) = match after {
            Ok(after) => after,
            Err(error) => return Ok(Err(error)),
        };
        entry.xattrs = xattrs;
        let (was, is) = (Observed::of(&before), Observed::of(&after));
        let stable = was == is && read_bytes == was.size();
        Ok(Ok(Some(Reading {
            entry,
            before,
            stable,
        })))
    }

    /// The content, substituted where that applies, and how many bytes were read for it.
    fn content(
        &mut self,
        file: &mut File,
        path: &RelativePath,
        stat: &Stat,
    ) -> Result<io::Result<(Node, u64)>, CloneError> {
        let expected = Observed::of(stat).size();
        let substitute = !self.substitutions.is_empty() && expected <= SUBSTITUTED_BYTES_MAX;
        let whole_max = if substitute {
            SUBSTITUTED_BYTES_MAX
        } else {
            CHUNK_BYTES as u64
        };
        if expected > whole_max {
            return self.stream(file, allocated_bytes(stat));
        }
        let mut bytes = Vec::new();
        if let Err(error) = file.take(whole_max + 1).read_to_end(&mut bytes) {
            return Ok(Err(error));
        }
        if bytes.len() as u64 > whole_max {
            // It grew past the limit since it was looked at.
            return self.stream(&mut Cursor::new(bytes).chain(file), expected);
        }
        let read_bytes = bytes.len() as u64;
        if substitute && is_text(&bytes) {
            bytes = self.canonical(path, &bytes)?;
        }
        let digest = match &mut self.sink {
            Sink::Store { staging, .. } => staging.put(&bytes)?,
            Sink::Compare => Digest::of(&bytes),
        };
        Ok(Ok((
            Node::File {
                digest,
                size: bytes.len() as u64,
            },
            read_bytes,
        )))
    }

    fn stream(
        &mut self,
        reader: &mut impl Read,
        allocated_bytes: u64,
    ) -> Result<io::Result<(Node, u64)>, CloneError> {
        let (read, digest) = match &mut self.sink {
            Sink::Store { staging, .. } => {
                let mut writer = staging.writer(allocated_bytes)?;
                match pump(reader, |chunk| writer.write(chunk))? {
                    Ok(read) => (read, staging.adopt(writer)?),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Sink::Compare => {
                let mut hasher = blake3::Hasher::new();
                let read = pump(reader, |chunk| {
                    hasher.update(chunk);
                    Ok(())
                })?;
                match read {
                    Ok(read) => (read, hasher.finalize().into()),
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        Ok(Ok((Node::File { digest, size: read }, read)))
    }

    /// The canonical form. In a comparison a text that has none is different from anything stored.
    pub(crate) fn canonical(
        &self,
        path: &RelativePath,
        local: &[u8],
    ) -> Result<Vec<u8>, CloneError> {
        if self.substitutions.is_empty() {
            return Ok(local.to_vec());
        }
        let outer = self.source.root.join(path.as_path());
        match (self.substitutions.canonicalise(&outer, local), &self.sink) {
            (Err(CloneError::NotReversible { .. }), Sink::Compare) => {
                Ok([b"\0not reversible\0", local].concat())
            }
            (canonical, _) => canonical,
        }
    }

    fn known(&self, path: &RelativePath, seen: &Observed) -> Option<Entry> {
        match &self.sink {
            Sink::Store {
                staging,
                cache,
                rehash: false,
                ..
            } => {
                let entry = cache.get(self.source.name, path, seen)?;
                // An object that was lost since is stored again from the live file.
                matches!(&entry.node, Node::File { digest, .. } if staging.has(digest))
                    .then(|| entry.clone())
            }
            Sink::Store { .. } | Sink::Compare => None,
        }
    }

    fn remember(&mut self, stat: &Stat, entry: &Entry) {
        if let Sink::Store { cache, now, .. } = &mut self.sink {
            cache.put(self.source.name, Observed::of(stat), entry, *now);
        }
    }
}

/// Only text is substituted: replacing bytes in anything else would break it.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0)
}

/// What the file takes on its disk: less than its size where it has holes.
#[allow(clippy::useless_conversion, clippy::cast_sign_loss)] // The types differ by architecture.
fn allocated_bytes(stat: &Stat) -> u64 {
    let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
    Observed::of(stat).size().min(blocks.saturating_mul(512))
}
