//! The record of one generation and its stored form.
//!
//! A generation is a small file which names the listings of its trees; the listings and the contents
//! that they name are objects. The file is two lines: format and digest, then the record as JSON. It
//! never changes once it is there.

use evenkeel_core::{GenerationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::source::{Skipped, TornFile, TreeName};

const FORMAT: &str = "evenkeel-generation 1";

/// What is known of a generation without reading its trees. Verdicts are the caller's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRecord {
    /// Its number; later generations have higher ones, and none is used twice.
    pub id: GenerationId,
    /// When it was captured, as the caller said.
    pub at: Timestamp,
    /// Fingerprint of the config tree in canonical form: everything but times.
    pub config_digest: Digest,
    /// Fingerprint of the data tree; `None` if the resource has none.
    pub data_digest: Option<Digest>,
    /// Entries that are not directories, both trees.
    pub files: u64,
    /// Bytes of content, both trees; what is shared with other generations counts too.
    pub bytes: u64,
    /// The generation whose config tree was taken over instead of reading the live one.
    pub config_pinned_from: Option<GenerationId>,
    /// Files that changed while they were read.
    pub torn: Vec<TornFile>,
    /// Entries that are not in it.
    pub skipped: Vec<Skipped>,
}

impl GenerationRecord {
    /// Nothing that matters is torn or left out.
    pub fn is_complete(&self) -> bool {
        self.torn.is_empty() && self.skipped.iter().all(|skipped| skipped.why.is_harmless())
    }
}

/// One tree of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredTree {
    /// The object that holds the listing.
    pub(crate) listing: Digest,
    /// Fingerprint of everything but times.
    pub(crate) content: Digest,
    /// Under which root, filter and substitutions it was read.
    pub(crate) source: Digest,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// The stored twin of [`GenerationRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredGeneration {
    pub(crate) id: GenerationId,
    pub(crate) at: Timestamp,
    pub(crate) config: StoredTree,
    pub(crate) data: Option<StoredTree>,
    pub(crate) config_pinned_from: Option<GenerationId>,
    pub(crate) torn: Vec<TornFile>,
    pub(crate) skipped: Vec<Skipped>,
}

impl StoredGeneration {
    pub(crate) fn tree(&self, name: TreeName) -> Option<&StoredTree> {
        match name {
            TreeName::Config => Some(&self.config),
            TreeName::Data => self.data.as_ref(),
        }
    }

    pub(crate) fn trees(&self) -> impl Iterator<Item = (TreeName, &StoredTree)> {
        TreeName::BOTH
            .into_iter()
            .filter_map(|name| Some((name, self.tree(name)?)))
    }

    /// The same state of the resource, whenever it was captured.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        let content = |tree: Option<&StoredTree>| tree.map(|tree| tree.content);
        self.config.content == other.config.content
            && content(self.data.as_ref()) == content(other.data.as_ref())
            && self.torn == other.torn
            && self.skipped == other.skipped
    }

    pub(crate) fn record(&self) -> GenerationRecord {
        let sum = |of: fn(&StoredTree) -> u64| {
            self.trees()
                .map(|(_, tree)| of(tree))
                .fold(0, u64::saturating_add)
        };
        GenerationRecord {
            id: self.id,
            at: self.at,
            config_digest: self.config.content,
            data_digest: self.data.as_ref().map(|tree| tree.content),
            files: sum(|tree| tree.files),
            bytes: sum(|tree| tree.bytes),
            config_pinned_from: self.config_pinned_from,
            torn: self.torn.clone(),
            skipped: self.skipped.clone(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Plain data with string keys: serialising cannot fail.
        let body = serde_json::to_string(self).expect("a generation is plain data");
        format!("{FORMAT} {}\n{body}\n", Digest::of(body.as_bytes())).into_bytes()
    }

    /// Reads the stored form, or says what is wrong with it.
    pub(crate) fn from_bytes(bytes: &[u8], id: GenerationId) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
        let (head, body) = text.split_once('\n').ok_or("it is cut short")?;
        let body = body.strip_suffix('\n').ok_or("it is cut short")?;
        let digest = head
            .strip_prefix(FORMAT)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| format!("it does not begin with `{FORMAT}`"))?;
        if digest != Digest::of(body.as_bytes()).to_string() {
            return Err("its content does not have the digest in its first line".to_owned());
        }
        let stored: Self = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if stored.id != id {
            return Err(format!("it describes generation {}", stored.id));
        }
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> StoredGeneration {
        let digest = Digest::of(b"x");
        let tree = StoredTree {
            listing: digest,
            content: digest,
            source: digest,
            files: 1,
            bytes: 2,
        };
        StoredGeneration {
            id: GenerationId(7),
            at: Timestamp::from_millis(1),
            config: tree.clone(),
            data: Some(tree),
            config_pinned_from: Some(GenerationId(6)),
            torn: vec![],
            skipped: vec![],
        }
    }

    #[test]
    fn a_generation_reads_back_what_it_wrote() {
        let bytes = sample().to_bytes();
        assert_eq!(
            StoredGeneration::from_bytes(&bytes, GenerationId(7)),
            Ok(sample())
        );
        let renamed = StoredGeneration::from_bytes(&bytes, GenerationId(8)).unwrap_err();
        assert!(renamed.contains("describes generation g7"), "{renamed}");
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(at in 0usize..1000, flip in 1u8..=255) {
            let mut bytes = sample().to_bytes();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(StoredGeneration::from_bytes(&bytes, GenerationId(7)).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes: Vec<u8>) {
            prop_assert!(StoredGeneration::from_bytes(&bytes, GenerationId(7)).is_err());
        }
    }
}
