//! Paths inside a tree, as bytes, and the text form of bytes.
//!
//! A [`RelativePath`] can only name something inside its tree: no `..`, no `.`, no empty component, no
//! NUL, not absolute. Whatever a damaged or forged listing says, it can therefore not lead outside.
//! Linux file names are bytes; [`Escaped`] is how they are written into text without loss.

use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A path inside a tree; the empty one is the tree's root. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RelativePath(Vec<u8>);

/// Why bytes are not a path inside a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path inside a tree: {why}")]
pub struct PathError {
    path: String,
    why: &'static str,
}

impl RelativePath {
    /// The root of the tree.
    pub const ROOT: Self = Self(Vec::new());

    /// Checks that the bytes name something inside a tree. Empty bytes are the root.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, PathError> {
        let bytes = bytes.into();
        let refuse = |why| {
            Err(PathError {
                path: Escaped(bytes.clone()).to_string(),
                why,
            })
        };
        if bytes.is_empty() {
            return Ok(Self::ROOT);
        }
        if bytes.contains(&0) {
            return refuse("it contains a NUL byte");
        }
        if bytes[0] == b'/' {
            return refuse("it is absolute");
        }
        for component in bytes.split(|&byte| byte == b'/') {
            match component {
                b"" => return refuse("it has an empty component"),
                b"." | b".." => return refuse("it has a `.` or `..` component"),
                _ => {}
            }
        }
        Ok(Self(bytes))
    }

    /// The path as the operating system wants it.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Is this the tree's root?
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last component; `None` for the root.
    pub fn name(&self) -> Option<&OsStr> {
        self.0
            .rsplit(|&byte| byte == b'/')
            .next()
            .filter(|n| !n.is_empty())
            .map(OsStr::from_bytes)
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &OsStr> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|c| !c.is_empty())
            .map(OsStr::from_bytes)
    }

    /// Is this `other`, or something beneath it?
    pub fn is_at_or_beneath(&self, other: &Self) -> bool {
        other.is_root()
            || self
                .0
                .strip_prefix(other.0.as_slice())
                .is_some_and(|r| r.is_empty() || r[0] == b'/')
    }

    /// The path of the entry `name` (one that the kernel gave: never empty, without slash) in this
    /// directory.
    pub(crate) fn join(&self, name: &OsStr) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name.as_bytes());
        Self(bytes)
    }
}

impl fmt::Display for RelativePath {
    /// The escaped form; `.` for the root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            f.pad(".")
        } else {
            escape(&self.0, f)
        }
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelativePath({self})")
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.to_string()
    }
}

impl FromStr for RelativePath {
    type Err = PathError;

    /// Reads the form that `Display` writes.
    fn from_str(text: &str) -> Result<Self, PathError> {
        if text == "." {
            return Ok(Self::ROOT);
        }
        match unescape(text) {
            // The root has one spelling only, so that equal listings are equal bytes.
            Some(bytes) if !bytes.is_empty() => Self::new(bytes),
            _ => Err(PathError {
                path: text.to_owned(),
                why: "it is empty or badly escaped",
            }),
        }
    }
}

impl TryFrom<String> for RelativePath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl TryFrom<&Path> for RelativePath {
    type Error = PathError;

    fn try_from(path: &Path) -> Result<Self, PathError> {
        Self::new(path.as_os_str().as_bytes())
    }
}

/// Any bytes as text: UTF-8 stays readable; a backslash, control characters and bytes that are not
/// UTF-8 become `\\` and `\xNN`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Escaped(pub Vec<u8>);

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(&self.0, f)
    }
}

impl fmt::Debug for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<Escaped> for String {
    fn from(bytes: Escaped) -> Self {
        bytes.to_string()
    }
}

impl TryFrom<String> for Escaped {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        unescape(&text).map(Self).ok_or(PathError {
            path: text,
            why: "it is badly escaped",
        })
    }
}

fn escape(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                bytes.push(b'\\');
                tail
            }
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                tail
            }
            (b'\\', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_lead_outside_are_refused() {
        for bad in ["/etc", "..", "a/../b", "a//b", "a/", "./a", "a\0b"] {
            assert!(RelativePath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_knows_its_parts() {
        let path = RelativePath::new("a/b/c").unwrap();
        assert_eq!(path.parent(), Some(RelativePath::new("a/b").unwrap()));
        assert_eq!(path.name(), Some(OsStr::new("c")));
        assert_eq!(
            RelativePath::new("a").unwrap().parent(),
            Some(RelativePath::ROOT)
        );
        assert!(path.is_at_or_beneath(&RelativePath::new("a").unwrap()));
        assert!(
            !RelativePath::new("ab")
                .unwrap()
                .is_at_or_beneath(&RelativePath::new("a").unwrap())
        );
        assert_eq!(
            (RelativePath::ROOT.parent(), RelativePath::ROOT.name()),
            (None, None)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_survive_the_text_form(bytes: Vec<u8>) {
            let text = Escaped(bytes.clone()).to_string();
            prop_assert_eq!(Escaped::try_from(text).unwrap().0, bytes.clone());
            if let Ok(path) = RelativePath::new(bytes) {
                prop_assert_eq!(path.to_string().parse::<RelativePath>().unwrap(), path);
            }
        }

        #[test]
        fn any_text_is_a_path_or_an_error(text: String) {
            if let Ok(path) = text.parse::<RelativePath>() {
                prop_assert!(path.components().all(|c| c != ".." && c != "."));
            }
        }
    }
}
