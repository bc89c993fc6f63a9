//! An instance's configuration as properties, in a's form and without secrets.
//!
//! What is b's own text reads as a's, so that equal configurations are equal property for property. The
//! exchange goes both ways: where b wrongly names *a's* address, the property shows b's, and differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use evenkeel_clone::Substitutions;
use evenkeel_core::property::{Observed, Origin, Value};
use evenkeel_core::{PropertyPath, Timestamp};

use crate::redact::redact;
use crate::tree::{TreeReader, TreeReading};

/// The properties of a tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) properties: BTreeMap<PropertyPath, Observed>,
    pub(crate) unreadable: BTreeMap<PropertyPath, String>,
    /// Which properties were redacted.
    pub(crate) secret: BTreeSet<PropertyPath>,
}

impl Reading {
    /// Whether the configuration was the same; capacity may differ.
    pub(super) fn same_configuration(&self, other: &Self) -> bool {
        fn written(reading: &Reading) -> impl Iterator<Item = (&PropertyPath, &Observed)> {
            reading
                .properties
                .iter()
                .filter(|(_, observed)| observed.origin == Origin::Configuration)
        }
        self.unreadable == other.unreadable && written(self).eq(written(other))
    }

    /// The configuration alone.
    pub(super) fn into_configuration(mut self) -> BTreeMap<PropertyPath, Observed> {
        self.properties
            .retain(|_, observed| observed.origin == Origin::Configuration);
        self.properties
    }
}

/// Reads one instance's tree again and again.
pub(super) struct Reader {
    tree: TreeReader,
    swap: Arc<Substitutions>,
    redaction_key: [u8; 32],
}

impl Reader {
    /// `literals`: pairs of a's text and this instance's.
    pub(super) fn new(
        tree: TreeReader,
        literals: &[(String, String)],
        redaction_key: [u8; 32],
    ) -> Result<Self, String> {
        let swap = Arc::new(both_ways(literals)?);
        // A digest cannot be rewritten afterwards, so what it is taken of is.
        let tree = if swap.is_empty() {
            tree
        } else {
            let swap = Arc::clone(&swap);
            tree.with_digested_form(move |content| {
                let canonical = swap.canonicalise(Path::new(""), content);
                canonical.unwrap_or_else(|_| content.to_owned())
            })
        };
        Ok(Self {
            tree,
            swap,
            redaction_key,
        })
    }

    pub(super) fn read(&mut self, root: &Path, now: Timestamp) -> Reading {
        let reading = self.tree.read(root, now);
        let canonical = self.in_as_form(reading);
        self.present_canonical(canonical)
    }

    fn in_as_form(&self, mut reading: TreeReading) -> TreeReading {
        if self.swap.is_empty() {
            return reading;
        }
        let path = |path: PropertyPath| match self.canonical(path.as_str()) {
            Some(text) => PropertyPath::new(text),
            None => path,
        };
        let leaves = std::mem::take(&mut reading.leaves)
            .into_iter()
            .map(|(name, mut observed)| {
                observed.value = self.value(observed.value, observed.unit.is_none());
                (path(name), observed)
            });
        reading.leaves = leaves.collect();
        reading.secret = std::mem::take(&mut reading.secret)
            .into_iter()
            .map(path)
            .collect();
        reading.unreadable = std::mem::take(&mut reading.unreadable)
            .into_iter()
            .map(|(name, why)| (path(name), why))
            .collect();
        reading
    }

    /// A reading that is in a's form already, without its secrets.
    pub(super) fn present_canonical(&self, reading: TreeReading) -> Reading {
        let TreeReading {
            leaves,
            unreadable,
            secret,
            ..
        } = reading;
        let properties = leaves.into_iter().map(|(name, mut observed)| {
            if secret.contains(&name) {
                observed.value = redact(&self.redaction_key, &observed.value);
            }
            (name, observed)
        });
        Reading {
            properties: properties.collect(),
            unreadable,
            secret,
        }
    }

    /// The text in a's form, if that is another one.
    fn canonical(&self, text: &str) -> Option<String> {
        if self.swap.is_empty() {
            return None;
        }
        // An exchange of texts can always be taken back, so this cannot be refused.
        let bytes = self
            .swap
            .canonicalise(Path::new(""), text.as_bytes())
            .ok()?;
        String::from_utf8(bytes)
            .ok()
            .filter(|canonical| canonical != text)
    }

    fn value(&self, value: Value, is_bare: bool) -> Value {
        let text = |text: String| self.canonical(&text).unwrap_or(text);
        match value {
            Value::Choice(word) => Value::Choice(text(word)),
            Value::Text(words) => Value::Text(text(words)),
            Value::Set(items) => Value::Set(items.into_iter().map(text).collect()),
            Value::Document(tree) => Value::Document(
                tree.into_iter()
                    .map(|(name, value)| (text(name), self.value(value, true)))
                    .collect(),
            ),
            // A port of its own: `listen 8082;`
            Value::Number(number) if is_bare => {
                let canonical = self
                    .canonical(&number.to_string())
                    .and_then(|text| text.parse().ok());
                Value::Number(canonical.filter(|n: &f64| n.is_finite()).unwrap_or(number))
            }
            Value::Number(_) | Value::Flag(_) | Value::Redacted(_) => value,
        }
    }
}

/// a's text for this instance's, and the other way round.
pub(super) fn both_ways(literals: &[(String, String)]) -> Result<Substitutions, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (a, own) in literals {
        let forth = (a.clone(), own.clone());
        let back = (own.clone(), a.clone());
        for pair in [forth, back] {
            // A text that stands on both sides of the list would have two meanings.
            if !pairs
                .iter()
                .any(|known| known.0 == pair.0 || known.1 == pair.1)
            {
                pairs.push(pair);
            }
        }
    }
    Substitutions::new(pairs).map_err(|error| format!("substitute: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TreeOptions;

    fn reader(literals: &[(&str, &str)]) -> Reader {
        let literals: Vec<_> = literals
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        Reader::new(
            TreeReader::new(TreeOptions::default()).unwrap(),
            &literals,
            [7; 32],
        )
        .unwrap()
    }

    fn read(literals: &[(&str, &str)], text: &str) -> Reading {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("app.toml"), text).unwrap();
        reader(literals).read(directory.path(), Timestamp::from_millis(0))
    }

    const PAIRS: &[(&str, &str)] = &[
        ("127.0.0.1:81", "127.0.0.1:82"),
        ("/etc/web", "/srv/web"),
        ("81", "82"),
    ];

    #[test]
    fn the_same_configuration_reads_the_same_on_both_instances() {
        let a = read(
            &[],
            "listen = \"127.0.0.1:81\"\nroot = \"/etc/web/html\"\nport = 81\nworkers = 4\n",
        );
        let b = read(
            PAIRS,
            "listen = \"127.0.0.1:82\"\nroot = \"/srv/web/html\"\nport = 82\nworkers = 4\n",
        );
        assert!(a.same_configuration(&b), "{a:?}\n{b:?}");
    }

    #[test]
    fn a_file_that_is_told_by_its_digest_reads_the_same_on_both_instances() {
        // Too long to be kept as text, and told by its digest alone.
        let long = |address: &str| format!("# {address}\n{}", "some words and more\n".repeat(5000));
        let read = |literals, text: String| {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("notes.txt"), text).unwrap();
            reader(literals).read(directory.path(), Timestamp::from_millis(0))
        };
        let a = read(&[], long("127.0.0.1:81"));
        let digest = &a.properties[&PropertyPath::from("notes.txt")].value;
        assert!(digest.to_string().starts_with("blake3:"), "{digest}");
        assert!(a.same_configuration(&read(PAIRS, long("127.0.0.1:82"))));
        assert!(
            !a.same_configuration(&read(PAIRS, long("127.0.0.1:81"))),
            "a's address on b"
        );
    }

    #[test]
    fn the_other_instances_address_on_b_is_a_difference() {
        let a = read(&[], "listen = \"127.0.0.1:81\"\n");
        let b = read(PAIRS, "listen = \"127.0.0.1:81\"\n");
        assert!(!a.same_configuration(&b));
    }

    #[test]
    fn secrets_leave_only_as_keyed_hashes() {
        let reading = read(&[], "password = \"hunter2\"\n");
        let observed = &reading.properties[&PropertyPath::from("app.toml/password")];
        assert!(matches!(observed.value, Value::Redacted(_)), "{observed:?}");
        assert!(!format!("{reading:?}").contains("hunter2"));
        let same = read(&[], "password = \"hunter2\"\n");
        let other = read(&[], "password = \"hunter3\"\n");
        assert!(reading.same_configuration(&same) && !reading.same_configuration(&other));
    }
}
