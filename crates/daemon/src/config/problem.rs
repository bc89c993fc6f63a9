//! What is wrong with a configuration file, where, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use super::locate::{self, Position};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line and column, counted from 1, where they can be told.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub remedy: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        self.remedy
            .iter()
            .try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

/// Everything that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// A problem before its place in the text is known: the keys that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) keys: Vec<Key>,
    pub(super) what: String,
    pub(super) remedy: String,
}

/// One step towards a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Name(&'static str),
    Index(usize),
}

impl Problems {
    pub(super) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    pub(super) fn of_file(path: &Path, what: String, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self::one(Problem {
            file: path.to_owned(),
            position: None,
            what,
            remedy,
        })
    }

    pub(super) fn located(path: &Path, text: &str, wrong: Vec<Wrong>) -> Self {
        let positions = locate::positions(text, wrong.iter().map(|w| w.keys.as_slice()));
        let problems = wrong
            .into_iter()
            .zip(positions)
            .map(|(wrong, position)| Problem {
                file: path.to_owned(),
                position,
                what: wrong.what,
                remedy: Some(wrong.remedy),
            });
        Self(problems.collect())
    }
}

impl Problem {
    /// From the parser's own error, with the nearest right name where one is unknown.
    pub(super) fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let position = error.span().map(|span| locate::position(text, span.start));
        let message = error.message().trim().replace('\n', "; ");
        Self {
            file: path.to_owned(),
            position,
            remedy: nearest_right_name(&message),
            what: message,
        }
    }
}

/// For messages such as ``unknown field `x`, expected one of `a`, `b` ``: the nearest of them.
fn nearest_right_name(message: &str) -> Option<String> {
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let (wrong, expected) = message.split_once(", expected ").filter(|_| unknown)?;
    let wrong = wrong.split('`').nth(1)?;
    let names = expected.split('`').skip(1).step_by(2);
    let nearest = names
        .map(|name| (strsim::normalized_damerau_levenshtein(wrong, name), name))
        .filter(|(similarity, _)| *similarity >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!("did you mean `{}`?", nearest.1))
}
