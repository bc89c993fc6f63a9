//! What a tree holds: its files by relative path, found without opening any of them.
//!
//! Symbolic links to regular files inside the tree count as files; every other link is only named
//! with its target, so neither a loop nor a link out of the tree leads anywhere. FIFOs, sockets and
//! devices are named by their kind. File names that are not UTF-8 are percent-escaped.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::leaf::join;
use super::options::Filter;

/// Deeper directories are named as unreadable.
const DEPTH_MAX: usize = 64;

/// Something in the tree.
pub(super) enum Found {
    /// A regular file, at a path without links.
    File {
        location: PathBuf,
        metadata: Metadata,
    },
    /// A link that is not followed.
    Link { target: String },
    /// A FIFO, socket or device.
    Special { kind: &'static str },
}

/// The tree as found.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) entries: BTreeMap<String, Found>,
    /// Places that could not be listed, with the reason.
    pub(super) unreadable: BTreeMap<String, String>,
}

/// Lists the tree at `root`; a root which is a file is a tree of that file alone.
pub(super) fn list(root: &Path, filter: &Filter, files_max: usize) -> Listing {
    let mut walk = Walk {
        root: PathBuf::new(),
        filter,
        files_max,
        listing: Listing::default(),
    };
    let found = fs::canonicalize(root).and_then(|root| Ok((fs::metadata(&root)?, root)));
    match found {
        Ok((metadata, root)) if metadata.is_file() => {
            let relative = escaped(root.file_name().unwrap_or_default());
            let found = Found::File {
                location: root,
                metadata,
            };
            walk.listing.entries.insert(relative, found);
        }
        Ok((_, root)) => {
            walk.root = root;
            walk.directories();
        }
        Err(error) => {
            walk.listing
                .unreadable
                .insert(String::new(), error.to_string());
        }
    }
    walk.listing
}

struct Walk<'a> {
    root: PathBuf,
    filter: &'a Filter,
    files_max: usize,
    listing: Listing,
}

impl Walk<'_> {
    fn directories(&mut self) {
        let mut pending = vec![(String::new(), self.root.clone(), 0)];
        while let Some((relative, location, depth)) = pending.pop() {
            if let Err(error) = self.directory(&relative, &location, depth, &mut pending) {
                // A directory that went away between two steps is simply not there any more.
                if error.kind() != io::ErrorKind::NotFound || relative.is_empty() {
                    self.listing.unreadable.insert(relative, error.to_string());
                }
            }
            if self.listing.entries.len() > self.files_max {
                // What was not reached is unknown, and there is no telling what that is.
                let reason = format!("the tree has more than {} files", self.files_max);
                self.listing.unreadable.insert(String::new(), reason);
                return;
            }
        }
    }

    fn directory(
        &mut self,
        relative: &str,
        location: &Path,
        depth: usize,
        pending: &mut Vec<(String, PathBuf, usize)>,
    ) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(io::Error::other(format!(
                "deeper than {DEPTH_MAX} directories"
            )));
        }
        for entry in fs::read_dir(location)? {
            let entry = entry?;
            let relative = join(relative, &escaped(&entry.file_name()));
            if self.filter.excludes(&relative) {
                continue;
            }
            if self.listing.entries.len() > self.files_max {
                return Ok(());
            }
            let location = entry.path();
            if entry.file_type()?.is_dir() {
                pending.push((relative, location, depth + 1));
            } else if self.filter.includes(&relative) {
                match self.found(location) {
                    Ok(found) => drop(self.listing.entries.insert(relative, found)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => drop(self.listing.unreadable.insert(relative, error.to_string())),
                }
            }
        }
        Ok(())
    }

    fn found(&self, location: PathBuf) -> io::Result<Found> {
        let metadata = fs::symlink_metadata(&location)?;
        let kind = metadata.file_type();
        if kind.is_file() {
            return Ok(Found::File { location, metadata });
        }
        if !kind.is_symlink() {
            return Ok(Found::Special {
                kind: special_kind(kind),
            });
        }
        // Every failure to resolve (a loop, a missing end) leaves the link as a mere name.
        let resolved = fs::canonicalize(&location)
            .ok()
            .filter(|end| end.starts_with(&self.root))
            .and_then(|end| Some((fs::symlink_metadata(&end).ok()?, end)))
            .filter(|(metadata, _)| metadata.is_file());
        Ok(match resolved {
            Some((metadata, location)) => Found::File { location, metadata },
            None => Found::Link {
                target: fs::read_link(&location)?.to_string_lossy().into_owned(),
            },
        })
    }
}

fn special_kind(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "device"
    } else {
        "special"
    }
}

/// A file name as a path segment: bytes that are not UTF-8, control characters, `%` and a leading
/// `@` are percent-escaped, so that different names stay different.
fn escaped(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            let is_mark = character == '%' || (character == '@' && text.is_empty());
            if is_mark || character.is_control() {
                let mut buffer = [0; 4];
                push_escaped(character.encode_utf8(&mut buffer).as_bytes(), &mut text);
            } else {
                text.push(character);
            }
        }
        push_escaped(chunk.invalid(), &mut text);
    }
    text
}

fn push_escaped(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        text.push_str(&format!("%{byte:02X}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_escaped_so_that_they_stay_distinct() {
        let check =
            |name: &[u8], expected: &str| assert_eq!(escaped(OsStr::from_bytes(name)), expected);
        check(b"site.conf", "site.conf");
        check("größe".as_bytes(), "größe");
        check(b"a\xffb", "a%FFb");
        check(b"a%FFb", "a%25FFb");
        check(b"@tree", "%40tree");
        check(b"a\nb", "a%0Ab");
    }
}
