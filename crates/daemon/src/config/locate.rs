//! From a value's keys to the line and column where it stands.

use serde::Serialize;
use toml_edit::{Document, Item, Value};

use super::problem::Key;

/// A place in a text, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The place of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The places where values stand; for one that is not there, the nearest table round it.
pub(super) fn positions<'k>(
    text: &str,
    all: impl Iterator<Item = &'k [Key]>,
) -> Vec<Option<Position>> {
    let Ok(document) = Document::parse(text) else {
        return all.map(|_| None).collect();
    };
    let root = Node::Item(document.as_item());
    all.map(|keys| offset(root, keys).map(|offset| position(text, offset)))
        .collect()
}

#[derive(Clone, Copy)]
enum Node<'d> {
    Item(&'d Item),
    Value(&'d Value),
    Table(&'d toml_edit::Table),
}

fn offset(root: Node<'_>, keys: &[Key]) -> Option<usize> {
    let mut node = root;
    let mut found = None;
    for key in keys {
        let Some((offset, next)) = step(node, key) else {
            break;
        };
        found = offset.or(found);
        node = next;
    }
    found
}

/// Where the value for `key` stands inside `node` (its key, where it has one), and the value.
fn step<'d>(node: Node<'d>, key: &Key) -> Option<(Option<usize>, Node<'d>)> {
    match (node, key) {
        (Node::Item(item), Key::Name(name)) => {
            let table = item.as_table_like()?;
            let (key, value) = table.get_key_value(name)?;
            let start = key.span().or(value.span()).map(|span| span.start);
            Some((start, Node::Item(value)))
        }
        (Node::Item(item), Key::Index(index)) => match item {
            Item::ArrayOfTables(tables) => {
                let table = tables.get(*index)?;
                Some((table.span().map(|span| span.start), Node::Table(table)))
            }
            Item::Value(Value::Array(array)) => {
                let value = array.get(*index)?;
                Some((value.span().map(|span| span.start), Node::Value(value)))
            }
            Item::None | Item::Value(_) | Item::Table(_) => None,
        },
        (Node::Table(table), Key::Name(name)) => {
            let (key, value) = table.get_key_value(name)?;
            Some((
                key.span().or(value.span()).map(|span| span.start),
                Node::Item(value),
            ))
        }
        (Node::Value(Value::InlineTable(table)), Key::Name(name)) => {
            let (key, item) = table.get_key_value(name)?;
            Some((
                key.span().or(item.span()).map(|span| span.start),
                Node::Item(item),
            ))
        }
        (Node::Value(Value::Array(array)), Key::Index(index)) => {
            let value = array.get(*index)?;
            Some((value.span().map(|span| span.start), Node::Value(value)))
        }
        (Node::Value(_) | Node::Table(_), Key::Name(_) | Key::Index(_)) => None,
    }
}
