//! What is wrong with a scenario file, where, and what would be right.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// A place in a text, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Where, as far as that can be told.
    pub position: Option<Position>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Everything that is wrong; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// A problem before its place in a text is known: the keys that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) keys: Vec<Key>,
    pub(crate) what: String,
}

/// One step towards a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Name(&'static str),
    Index(usize),
}

impl Problems {
    /// The parser's own complaint.
    pub(crate) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        Self(vec![Problem {
            file: file.to_owned(),
            position: error.span().map(|span| position(text, span.start)),
            what: error.message().trim().replace('\n', "; "),
        }])
    }

    /// What was found after parsing, with the places looked up in `text`.
    pub(crate) fn located(file: &str, text: &str, wrong: Vec<Wrong>) -> Self {
        let table = DeTable::parse(text).ok();
        let place = |wrong: &Wrong| {
            let table = table.as_ref()?;
            offset(table.get_ref(), &wrong.keys).map(|offset| position(text, offset))
        };
        let problem = |wrong: Wrong| Problem {
            file: file.to_owned(),
            position: place(&wrong),
            what: wrong.what,
        };
        Self(wrong.into_iter().map(problem).collect())
    }

    /// What is wrong with a scenario that was not read from a text.
    pub(crate) fn nowhere(wrong: Vec<Wrong>) -> Self {
        let problem = |wrong: Wrong| Problem {
            file: "scenario".to_owned(),
            position: None,
            what: wrong.what,
        };
        Self(wrong.into_iter().map(problem).collect())
    }
}

/// The place of a byte offset.
fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// Where the value under `keys` starts (its key, where it has one); for one that is not there, the
/// nearest table round it.
fn offset(root: &DeTable<'_>, keys: &[Key]) -> Option<usize> {
    let mut found = None;
    let mut table = Some(root);
    let mut value: Option<&DeValue<'_>> = None;
    for key in keys {
        let next = match key {
            Key::Name(name) => {
                let mut entries = table?.iter();
                entries
                    .find(|(key, _)| key.get_ref() == name)
                    .map(|(key, value)| (key.span().start, value))
            }
            Key::Index(index) => value
                .and_then(DeValue::as_array)
                .and_then(|array| array.get(*index))
                .map(|value| (value.span().start, value)),
        };
        let Some((start, next)) = next else {
            break;
        };
        found = Some(start);
        value = Some(next.get_ref());
        table = next.get_ref().as_table();
    }
    found
}
