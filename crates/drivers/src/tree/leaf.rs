//! From a parsed document to leaves: every grammar builds [`Entry`] trees, and this file alone
//! decides how a place in such a tree is written as a path.
//!
//! Invariants: the paths of one document are unique; a segment outside brackets holds no `/`, `[`,
//! control character or leading `@` (percent-escaped where the document has one), so that derived
//! properties (`@entries`) never collide with written ones; no segment is longer than
//! [`SEGMENT_CHARS_MAX`] and its suffix.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use evenkeel_core::property::Value;

use super::secret::looks_secret;
use super::value::{Typed, plain_text};

/// Deeper documents are refused by every parser: recursion stays within the stack.
pub(super) const DEPTH_MAX: usize = 100;

/// Longer segments keep their beginning and get a digest of the whole.
const SEGMENT_CHARS_MAX: usize = 160;

/// One value of a document.
#[derive(Clone, PartialEq)]
pub struct Leaf {
    /// Below the file: `events/worker_connections`. List items by a natural key where all have one
    /// (`server[web1]/port`), else by index (`server[0]/port`); repeated names get `#2`, `#3`. Empty
    /// when the whole document is one value.
    pub path: String,
    /// The value.
    pub value: Value,
    /// Where it is written, counted from 1.
    pub line: u32,
    /// `s`, `B` or `%`, where the text says so.
    pub unit: Option<String>,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_deref().unwrap_or("");
        if looks_secret(&self.path) {
            write!(f, "{}: {} = (secret)", self.line, self.path)
        } else {
            write!(f, "{}: {} = {:?}{unit}", self.line, self.path, self.value)
        }
    }
}

/// Why a text is not of the format it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseFailure {
    /// Counted from 1.
    pub line: u32,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl ParseFailure {
    pub(super) fn new(line: u32, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }

    pub(super) fn too_deep(line: u32) -> Self {
        Self::new(line, format!("nested deeper than {DEPTH_MAX} levels"))
    }
}

/// A place in a document.
pub(super) enum Node {
    Scalar(Typed),
    Branch(Vec<Entry>),
    /// Items with the line of each.
    List(Vec<(u32, Node)>),
}

/// A named place in a document.
pub(super) struct Entry {
    /// A finished path segment, except for the `#2` of a repetition.
    segment: String,
    pub(super) line: u32,
    pub(super) node: Node,
}

impl Entry {
    /// An entry under an ordinary name.
    pub(super) fn named(name: &str, line: u32, node: Node) -> Self {
        Self {
            segment: segment(name),
            line,
            node,
        }
    }

    /// An entry which is one of several of its name, told apart by `key`: `name[key]`.
    pub(super) fn keyed(name: &str, key: &str, line: u32, node: Node) -> Self {
        Self {
            segment: format!("{}[{}]", segment(name), bracketed(key)),
            line,
            node,
        }
    }

    /// An entry two levels down, of which the upper has many lines of its own: `timeout/client`.
    pub(super) fn nested(outer: &str, inner: &str, line: u32, node: Node) -> Self {
        Self {
            segment: format!("{}/{}", segment(outer), segment(inner)),
            line,
            node,
        }
    }

    /// A leaf under an ordinary name.
    pub(super) fn leaf(name: &str, line: u32, typed: Typed) -> Self {
        Self::named(name, line, Node::Scalar(typed))
    }
}

/// Writes a document's entries as leaves, in document order.
pub(super) fn flatten(entries: Vec<Entry>) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    flatten_branch("", entries, &mut leaves);
    leaves
}

/// Writes a document which need not be a map at its root.
pub(super) fn flatten_root(root: Node, line: u32) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    flatten_node(String::new(), line, root, &mut leaves);
    leaves
}

fn flatten_branch(prefix: &str, entries: Vec<Entry>, leaves: &mut Vec<Leaf>) {
    let mut used = HashMap::new();
    for entry in entries {
        let segment = unused(&mut used, entry.segment);
        let path = join(prefix, &segment);
        flatten_node(path, entry.line, entry.node, leaves);
    }
}

fn flatten_node(path: String, line: u32, node: Node, leaves: &mut Vec<Leaf>) {
    let mut push = |path, value, unit: Option<&str>| {
        leaves.push(Leaf {
            path,
            value,
            line,
            unit: unit.map(str::to_owned),
        });
    };
    match node {
        Node::Scalar(typed) => push(path, typed.value, typed.unit),
        Node::Branch(entries) if entries.is_empty() => {
            push(path, Value::Document(Default::default()), None);
        }
        Node::Branch(entries) => flatten_branch(&path, entries, leaves),
        Node::List(items) => match as_set(&items) {
            Some(set) => push(path, Value::Set(set), None),
            None => flatten_list(&path, items, leaves),
        },
    }
}

fn flatten_list(path: &str, items: Vec<(u32, Node)>, leaves: &mut Vec<Leaf>) {
    let keys: Option<Vec<String>> = items.iter().map(|(_, node)| natural_key(node)).collect();
    let mut used = HashMap::new();
    for (index, (line, node)) in items.into_iter().enumerate() {
        let key = keys
            .as_ref()
            .map_or_else(|| index.to_string(), |keys| bracketed(&keys[index]));
        let suffix = unused(&mut used, format!("[{key}]"));
        flatten_node(format!("{path}{suffix}"), line, node, leaves);
    }
}

/// A list of scalars that are not all numbers has no stable index: one line more and every later
/// item has moved. It is a set. Numbers keep their index, since each may be forecast.
fn as_set(items: &[(u32, Node)]) -> Option<BTreeSet<String>> {
    let scalars: Vec<&Typed> = items
        .iter()
        .map(|(_, node)| match node {
            Node::Scalar(typed) => Some(typed),
            Node::Branch(_) | Node::List(_) => None,
        })
        .collect::<Option<_>>()?;
    let only_numbers = scalars
        .iter()
        .all(|typed| typed.value.as_number().is_some());
    (items.is_empty() || !only_numbers).then(|| scalars.into_iter().map(plain_text).collect())
}

/// What names a table in a list of tables: its `name`, `id` or `key`.
fn natural_key(node: &Node) -> Option<String> {
    let Node::Branch(entries) = node else {
        return None;
    };
    ["name", "id", "key"].iter().find_map(|wanted| {
        let entry = entries.iter().find(|entry| entry.segment == *wanted)?;
        match &entry.node {
            Node::Scalar(typed) => Some(plain_text(typed)).filter(|text| !text.is_empty()),
            Node::Branch(_) | Node::List(_) => None,
        }
    })
}

/// `wanted`, or the first of `wanted#2`, `wanted#3`, ... that no sibling has.
fn unused(used: &mut HashMap<String, u32>, wanted: String) -> String {
    let Some(mut count) = used.get(&wanted).copied() else {
        used.insert(wanted.clone(), 1);
        return wanted;
    };
    let found = loop {
        count += 1;
        let candidate = format!("{wanted}#{count}");
        if !used.contains_key(&candidate) {
            break candidate;
        }
    };
    used.insert(wanted, count);
    used.insert(found.clone(), 1);
    found
}

/// `prefix/segment`, without a slash at the root.
pub(super) fn join(prefix: &str, segment: &str) -> String {
    if prefix.is_empty() {
        segment.to_owned()
    } else if segment.is_empty() {
        prefix.to_owned()
    } else {
        format!("{prefix}/{segment}")
    }
}

fn segment(name: &str) -> String {
    if name.is_empty() {
        return "\"\"".to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for (at, character) in name.char_indices() {
        match character {
            '/' | '[' => escape(character, &mut text),
            '@' if at == 0 => escape(character, &mut text),
            other if other.is_control() => escape(other, &mut text),
            other => text.push(other),
        }
    }
    shortened(text)
}

/// A key inside brackets is kept readable (`location[/api]`); only what would end it is escaped.
fn bracketed(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    let mut characters = key.chars().peekable();
    while let Some(character) = characters.next() {
        let ends = character == ']' && matches!(characters.peek(), Some('/' | '#'));
        if ends || character.is_control() {
            escape(character, &mut text);
        } else {
            text.push(character);
        }
    }
    shortened(text)
}

fn escape(character: char, text: &mut String) {
    let mut bytes = [0; 4];
    for byte in character.encode_utf8(&mut bytes).bytes() {
        text.push_str(&format!("%{byte:02X}"));
    }
}

fn shortened(text: String) -> String {
    let Some((cut, _)) = text.char_indices().nth(SEGMENT_CHARS_MAX) else {
        return text;
    };
    let digest = blake3::hash(text.as_bytes()).to_hex();
    format!("{}~{}", &text[..cut], &digest[..16])
}

/// Finds lines from byte offsets, for the parsers that only know offsets.
pub(super) struct Lines {
    /// Offset at which each line begins.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            starts: std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        }
    }

    /// The line of the byte at `offset`, counted from 1.
    pub(super) fn at(&self, offset: usize) -> u32 {
        line_number(self.starts.partition_point(|start| *start <= offset))
    }
}

/// A line count as the type that leaves carry.
pub(super) fn line_number(count: usize) -> u32 {
    u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::value::typed_number;

    fn number(name: &str, value: f64) -> Entry {
        Entry::leaf(name, 1, typed_number(value))
    }

    fn paths(entries: Vec<Entry>) -> Vec<String> {
        flatten(entries).into_iter().map(|leaf| leaf.path).collect()
    }

    #[test]
    fn repeated_names_are_counted_and_never_collide() {
        let entries = vec![
            number("a", 1.0),
            number("a#2", 2.0),
            number("a", 3.0),
            number("a", 4.0),
        ];
        assert_eq!(paths(entries), ["a", "a#2", "a#3", "a#4"]);
    }

    #[test]
    fn slashes_and_leading_at_signs_are_escaped_outside_brackets() {
        let entries = vec![
            number("text/html", 1.0),
            number("@entries", 1.0),
            number("", 1.0),
            Entry::keyed(
                "location",
                "~ ^/[a-z]/x",
                1,
                Node::Branch(vec![number("b", 1.0)]),
            ),
        ];
        assert_eq!(
            paths(entries),
            [
                "text%2Fhtml",
                "%40entries",
                "\"\"",
                "location[~ ^/[a-z%5D/x]/b"
            ]
        );
    }

    #[test]
    fn long_segments_keep_their_beginning_and_stay_distinct() {
        let long = "x".repeat(5000);
        let found = paths(vec![
            number(&format!("{long}1"), 1.0),
            number(&format!("{long}2"), 1.0),
        ]);
        assert_ne!(found[0], found[1]);
        assert!(found[0].len() < 200, "{}", found[0]);
    }

    #[test]
    fn the_debug_form_of_a_secret_leaf_hides_its_value() {
        let leaf = Leaf {
            path: "db/password".into(),
            value: Value::Choice("hunter2".into()),
            line: 3,
            unit: None,
        };
        assert!(!format!("{leaf:?}").contains("hunter2"));
    }
}
