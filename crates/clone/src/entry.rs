//! One entry of a tree, and the listing of a whole tree: what is stored of names and metadata.
//!
//! A listing is text, one JSON object a line, the root first, sorted by path bytes; it is kept as an
//! object like file contents, so generations with the same configuration share one listing. Parsing
//! trusts nothing: a listing which does not describe one tree (an entry whose parent is no directory,
//! a path twice, a link to nothing) is refused. The *content digest* of a tree covers all but times.

use std::collections::BTreeMap;

use rustix::fs::{FileType, Stat};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::path::{Escaped, RelativePath};

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t")]
pub enum Node {
    /// A regular file with its content (in canonical form for a substituted config file).
    #[serde(rename = "file")]
    File {
        /// Names the content in the object store.
        #[serde(rename = "h")]
        digest: Digest,
        /// Bytes of content.
        #[serde(rename = "s")]
        size: u64,
    },
    /// A directory.
    #[serde(rename = "dir")]
    Directory,
    /// A symbolic link, recorded and never followed.
    #[serde(rename = "link")]
    Symlink {
        /// Where it points, in canonical form for a config tree.
        #[serde(rename = "to")]
        target: Escaped,
    },
    /// A named pipe.
    #[serde(rename = "fifo")]
    Fifo,
    /// A device node; made again only by root.
    #[serde(rename = "dev")]
    Device {
        /// Block device, else character device.
        #[serde(rename = "b")]
        block: bool,
        /// Major number.
        #[serde(rename = "ma")]
        major: u32,
        /// Minor number.
        #[serde(rename = "mi")]
        minor: u32,
    },
}

/// User and group that own an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner(
    /// User id.
    pub u32,
    /// Group id.
    pub u32,
);

/// Time of last modification. Stored and restored, but no part of any comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModifiedAt {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds on top.
    pub nanoseconds: u32,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands in its tree.
    #[serde(rename = "p")]
    pub path: RelativePath,
    /// What it is.
    #[serde(flatten)]
    pub node: Node,
    /// Permission bits with set-user-id, set-group-id and sticky (`0o7777`).
    #[serde(rename = "m")]
    pub mode: u32,
    /// Absent where ownership is ignored.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Extended attributes, POSIX ACLs among them.
    #[serde(rename = "x", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<Escaped, Escaped>,
    /// Another name of the same file, where this is not the first name in order.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub hard_link_to: Option<RelativePath>,
    /// Last modification.
    #[serde(rename = "at", default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<ModifiedAt>,
}

impl Entry {
    /// Everything but content, target and extended attributes, from what the system says.
    /// `None` for a socket or a kind that this system does not have.
    pub(crate) fn from_stat(path: RelativePath, stat: &Stat, keep_owner: bool) -> Option<Self> {
        let node = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Node::File {
                digest: Digest::of(b""),
                size: u64::try_from(stat.st_size).ok()?,
            },
            FileType::Directory => Node::Directory,
            FileType::Symlink => Node::Symlink {
                target: Escaped::default(),
            },
            FileType::Fifo => Node::Fifo,
            kind @ (FileType::BlockDevice | FileType::CharacterDevice) => Node::Device {
                block: kind == FileType::BlockDevice,
                major: rustix::fs::major(stat.st_rdev),
                minor: rustix::fs::minor(stat.st_rdev),
            },
            FileType::Socket | FileType::Unknown => return None,
        };
        Some(Self {
            path,
            node,
            mode: stat.st_mode & 0o7777,
            owner: keep_owner.then_some(Owner(stat.st_uid, stat.st_gid)),
            xattrs: BTreeMap::new(),
            hard_link_to: None,
            modified: Some(ModifiedAt {
                seconds: stat.st_mtime,
                nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            }),
        })
    }

    /// Bytes of content; zero for anything but a file.
    pub fn size(&self) -> u64 {
        match &self.node {
            Node::File { size, .. } => *size,
            Node::Directory | Node::Symlink { .. } | Node::Fifo | Node::Device { .. } => 0,
        }
    }

    /// Is it a directory?
    pub fn is_directory(&self) -> bool {
        self.node == Node::Directory
    }
}

/// All entries of one tree, the root first, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    entries: Vec<Entry>,
}

impl Listing {
    /// Takes entries that are sorted and describe one tree; else says what is wrong.
    pub fn new(entries: Vec<Entry>) -> Result<Self, String> {
        let listing = Self { entries };
        match listing.entries.first() {
            Some(root) if root.path.is_root() && root.is_directory() => {}
            _ => return Err("it does not begin with the root directory".to_owned()),
        }
        for pair in listing.entries.windows(2) {
            let [before, entry] = pair else { continue };
            let path = &entry.path;
            if before.path >= *path {
                return Err(format!("`{path}` is twice or out of order"));
            }
            let parent = path.parent().and_then(|parent| listing.get(&parent));
            if !parent.is_some_and(Entry::is_directory) {
                return Err(format!("`{path}` stands in no directory of the tree"));
            }
            if entry.mode & !0o7777 != 0 {
                return Err(format!("`{path}` has the impossible mode {:o}", entry.mode));
            }
            if let Some(first) = &entry.hard_link_to {
                let same = listing.get(first).is_some_and(|leader| {
                    first < path
                        && leader.hard_link_to.is_none()
                        && leader.node == entry.node
                        && matches!(entry.node, Node::File { .. })
                });
                if !same {
                    return Err(format!(
                        "`{path}` is a hard link to `{first}`, which differs"
                    ));
                }
            }
        }
        Ok(listing)
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at `path`.
    pub fn get(&self, path: &RelativePath) -> Option<&Entry> {
        let index = self
            .entries
            .binary_search_by(|entry| entry.path.cmp(path))
            .ok()?;
        self.entries.get(index)
    }

    /// The fingerprint of everything but times.
    pub fn content_digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for entry in &self.entries {
            let timeless = Entry {
                modified: None,
                ..entry.clone()
            };
            hasher.update(&line(&timeless));
        }
        hasher.finalize().into()
    }

    /// The stored form.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.entries.iter().flat_map(line).collect()
    }

    /// Reads the stored form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let lines = bytes
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        let entries = lines
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_slice(line).map_err(|e| format!("line {}: {e}", index + 1))
            })
            .collect::<Result<Vec<Entry>, String>>()?;
        Self::new(entries)
    }

    /// How many entries are not directories.
    pub(crate) fn files(&self) -> u64 {
        self.entries
            .iter()
            .filter(|entry| !entry.is_directory())
            .count() as u64
    }

    /// Bytes of content.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries
            .iter()
            .map(Entry::size)
            .fold(0, u64::saturating_add)
    }
}

fn line(entry: &Entry) -> Vec<u8> {
    // Every key is a string and every value plain data: serialising cannot fail.
    let mut line = serde_json::to_vec(entry).expect("an entry is plain data");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(path: &str, node: Node) -> Entry {
        Entry {
            path: RelativePath::new(path).unwrap(),
            node,
            mode: 0o644,
            owner: Some(Owner(0, 0)),
            xattrs: BTreeMap::from([(Escaped(b"user.a".to_vec()), Escaped(vec![0, 255]))]),
            hard_link_to: None,
            modified: Some(ModifiedAt {
                seconds: -1,
                nanoseconds: 5,
            }),
        }
    }

    fn sample() -> Listing {
        let file = Node::File {
            digest: Digest::of(b"x"),
            size: 1,
        };
        let mut second = entry("d/b", file.clone());
        second.hard_link_to = Some(RelativePath::new("d/a").unwrap());
        Listing::new(vec![
            entry("", Node::Directory),
            entry("d", Node::Directory),
            entry("d/a", file),
            second,
            entry(
                "dev",
                Node::Device {
                    block: true,
                    major: 8,
                    minor: 1,
                },
            ),
            entry("fifo", Node::Fifo),
            entry(
                "s",
                Node::Symlink {
                    target: Escaped(b"../\xff".to_vec()),
                },
            ),
        ])
        .unwrap()
    }

    #[test]
    fn a_listing_reads_back_what_it_wrote() {
        let listing = sample();
        assert_eq!(Listing::from_bytes(&listing.to_bytes()), Ok(listing));
    }

    #[test]
    fn times_are_no_part_of_the_content_digest_but_modes_are() {
        let listing = sample();
        let mut later = listing.clone();
        later.entries[2].modified = None;
        assert_eq!(listing.content_digest(), later.content_digest());
        later.entries[2].mode = 0o600;
        assert_ne!(listing.content_digest(), later.content_digest());
    }

    #[test]
    fn listings_which_are_no_tree_are_refused() {
        let root = entry("", Node::Directory);
        let link = entry(
            "a",
            Node::Symlink {
                target: Escaped(b"/etc".to_vec()),
            },
        );
        for (bad, why) in [
            (vec![], "begin with the root"),
            (vec![entry("a", Node::Fifo)], "begin with the root"),
            (
                vec![root.clone(), entry("b", Node::Fifo), entry("a", Node::Fifo)],
                "out of order",
            ),
            (
                vec![root.clone(), entry("a", Node::Fifo), entry("a", Node::Fifo)],
                "twice",
            ),
            (
                vec![root.clone(), link, entry("a/passwd", Node::Fifo)],
                "no directory",
            ),
            (vec![root, entry("a/b", Node::Fifo)], "no directory"),
        ] {
            assert!(Listing::new(bad).unwrap_err().contains(why), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_parsing_panic_or_lead_outside(
            cut in 0usize..700, noise in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = sample().to_bytes();
            let cut = cut.min(bytes.len());
            bytes.splice(cut..(cut + noise.len()).min(bytes.len()), noise);
            if let Ok(listing) = Listing::from_bytes(&bytes) {
                for entry in listing.entries() {
                    prop_assert!(entry.path.components().all(|c| c != ".."));
                    prop_assert!(!entry.path.as_path().is_absolute());
                }
            }
        }
    }
}
