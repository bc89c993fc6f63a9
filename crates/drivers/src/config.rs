//! What the configuration tables of all kinds share: spans of time, filters, commands with placeholders.
//!
//! Everything here refuses what it does not know, with a sentence that says what would be right, because
//! a misspelled word in a failover's configuration is found too late when it is found by the failover.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use evenkeel_clone::Filter;
use evenkeel_core::time::parse_span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::tree::Format;

/// A span of time, written `10s`, `500ms`, `2m`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// From seconds, for defaults.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// From milliseconds, for defaults.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_span(text)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A span of time: 500ms, 10s, 2m, 1h30m, 1d.",
            "pattern": "^\\s*([0-9]+(ms|s|min|m|h|d)\\s*)+$"
        })
    }
}

/// Which files of a tree belong to the resource, and how they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TreeRules {
    /// Only these, in gitignore syntax; everything where empty.
    pub include: Vec<String>,
    /// Never these, in gitignore syntax; wins over `include`.
    pub exclude: Vec<String>,
    /// The grammar of files that the built-in rules would misjudge: a glob, and the grammar's name.
    pub formats: BTreeMap<String, Format>,
}

impl TreeRules {
    /// The compiled filter.
    ///
    /// # Errors
    /// When a pattern does not parse; the text names it.
    pub fn filter(&self) -> Result<Filter, String> {
        // `**` is how people write "everything"; an empty list is how the engine reads it.
        let include: Vec<&String> = self.include.iter().filter(|p| p.as_str() != "**").collect();
        let include = if include.len() < self.include.len() {
            Vec::new()
        } else {
            include
        };
        Filter::new(&include, &self.exclude).map_err(|error| error.to_string())
    }
}

/// One value for each instance.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerInstance<T> {
    /// Of the place where the resource was first found.
    pub a: T,
    /// Of the place that Evenkeel makes.
    pub b: T,
}

impl<T> PerInstance<T> {
    /// The one of `instance`.
    pub fn of(&self, instance: evenkeel_core::Instance) -> &T {
        match instance {
            evenkeel_core::Instance::A => &self.a,
            evenkeel_core::Instance::B => &self.b,
        }
    }

    /// One made for each.
    pub fn build(make: impl Fn(evenkeel_core::Instance) -> T) -> Self {
        Self {
            a: make(evenkeel_core::Instance::A),
            b: make(evenkeel_core::Instance::B),
        }
    }
}

/// Environment variables for a command. Their values may be secrets, so `Debug` shows only names.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Environment(pub BTreeMap<String, Template>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A program and its arguments, each with placeholders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Template>")]
pub struct CommandLine(Vec<Template>);

impl TryFrom<Vec<Template>> for CommandLine {
    type Error = String;

    fn try_from(words: Vec<Template>) -> Result<Self, String> {
        match words.first() {
            None => Err(
                "a command is empty; write the program and its arguments, like [\"nginx\", \"-t\"]"
                    .into(),
            ),
            Some(program) if program.0.trim().is_empty() => {
                Err("a command has no program; the first word is the program's path or name".into())
            }
            Some(_) => Ok(Self(words)),
        }
    }
}

impl JsonSchema for CommandLine {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CommandLine".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "description": "A program and its arguments. Placeholders: {config} {data} {address} {host} {port} {instance} {name} {run}.",
            "items": { "type": "string" },
            "minItems": 1
        })
    }
}

impl CommandLine {
    /// The words with their placeholders filled in.
    ///
    /// # Errors
    /// When a placeholder stands for something that the resource does not have.
    pub fn fill(&self, values: &Placeholders) -> Result<Vec<String>, String> {
        self.0.iter().map(|word| word.fill(values)).collect()
    }
}

/// Text with placeholders in braces: `{config}/nginx.conf`. `{{x}}` is a literal `{x}`; braces round
/// anything but a lower-case word, and a shell's `${x}`, are literal anyway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(String);

impl JsonSchema for Template {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Text with placeholders such as {config} and {port}." })
    }
}

/// What the placeholders stand for at one place.
#[derive(Clone, Debug, Default)]
pub struct Placeholders(BTreeMap<&'static str, String>);

/// All names that may stand in braces.
const PLACEHOLDERS: [&str; 8] = [
    "config", "data", "address", "host", "port", "instance", "name", "run",
];

impl Placeholders {
    /// Says what one stands for.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        debug_assert!(PLACEHOLDERS.contains(&name));
        self.0.insert(name, value.into());
        self
    }
}

enum Piece<'t> {
    Literal(&'t str),
    Name(&'t str),
}

impl Template {
    /// The text with its placeholders filled in.
    ///
    /// # Errors
    /// When a placeholder stands for something that the resource does not have.
    pub fn fill(&self, values: &Placeholders) -> Result<String, String> {
        let mut filled = String::with_capacity(self.0.len());
        for piece in pieces(&self.0) {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Name(name) => filled.push_str(values.0.get(name).ok_or_else(|| {
                    format!(
                        "`{}` asks for {{{name}}}, which this resource does not have",
                        self.0
                    )
                })?),
            }
        }
        Ok(filled)
    }

    /// Whether `{name}` occurs.
    pub fn mentions(&self, name: &str) -> bool {
        pieces(&self.0)
            .iter()
            .any(|piece| matches!(piece, Piece::Name(found) if *found == name))
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        for piece in pieces(&text) {
            if let Piece::Name(name) = piece
                && !PLACEHOLDERS.contains(&name)
            {
                return Err(format!(
                    "`{text}`: {{{name}}} is not a placeholder; there are {}; write {{{{{name}}}}} for the \
                     braces themselves",
                    PLACEHOLDERS.map(|known| format!("{{{known}}}")).join(" ")
                ));
            }
        }
        Ok(Self(text))
    }
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut literal_from = 0;
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|offset| at + offset) {
        let inside = &text[open + 1..];
        let word = inside
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(inside.len());
        let is_shell = text[..open].ends_with('$');
        if let Some(escaped) = inside.strip_prefix('{')
            && let Some(end) = escaped.find("}}")
        {
            pieces.push(Piece::Literal(&text[literal_from..open]));
            pieces.push(Piece::Literal(&text[open + 1..open + 2 + end + 1]));
            literal_from = open + 2 + end + 2;
            at = literal_from;
        } else if word > 0 && inside[word..].starts_with('}') && !is_shell {
            pieces.push(Piece::Literal(&text[literal_from..open]));
            pieces.push(Piece::Name(&inside[..word]));
            literal_from = open + 1 + word + 1;
            at = literal_from;
        } else {
            at = open + 1;
        }
    }
    pieces.push(Piece::Literal(&text[literal_from..]));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(text: &str) -> Result<Template, String> {
        Template::try_from(text.to_owned())
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Span>().map(|span| span.0.as_millis());
        assert_eq!(read("500ms"), Ok(500));
        assert_eq!(read("1h30m"), Ok(5_400_000));
        assert_eq!(read(" 2m 5s "), Ok(125_000));
        for bad in [
            "",
            "10",
            "s",
            "10 parsecs",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(read(bad).unwrap_err().contains("1h30m"), "{bad}");
        }
    }

    #[test]
    fn placeholders_are_filled_and_other_braces_stay() {
        let values = Placeholders::default()
            .with("config", "/etc/web")
            .with("port", "8081");
        let fill = |text: &str| template(text).unwrap().fill(&values);
        assert_eq!(fill("{config}/x:{port}"), Ok("/etc/web/x:8081".into()));
        assert_eq!(
            fill("awk '{{print}} { print $1 }' ${HOME} {}"),
            Ok("awk '{print} { print $1 }' ${HOME} {}".into())
        );
        assert!(fill("{data}/x").unwrap_err().contains("{data}"));
        assert!(template("{config}{port}").unwrap().mentions("port"));
    }

    #[test]
    fn a_misspelled_placeholder_is_refused_with_the_right_ones() {
        let error = template("{confg}/x").unwrap_err();
        assert!(
            error.contains("{confg}") && error.contains("{config}") && error.contains("{{confg}}"),
            "{error}"
        );
    }

    #[test]
    fn an_empty_command_is_refused() {
        assert!(
            serde_json::from_str::<CommandLine>("[]")
                .unwrap_err()
                .to_string()
                .contains("empty")
        );
        assert!(serde_json::from_str::<CommandLine>("[\" \"]").is_err());
    }

    #[test]
    fn two_stars_include_everything() {
        let rules = TreeRules {
            include: vec!["**".into()],
            ..TreeRules::default()
        };
        assert!(rules.filter().is_ok());
    }

    #[test]
    fn the_debug_form_of_an_environment_hides_its_values() {
        let environment: Environment =
            serde_json::from_str(r#"{"DB_PASSWORD": "hunter2"}"#).unwrap();
        assert!(!format!("{environment:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_template_panic(text: String) {
            if let Ok(template) = template(&text) {
                let _ = template.fill(&Placeholders::default());
            }
        }
    }
}
