//! JSON with line numbers; comments and trailing commas are let pass, as editors' settings use them.
//!
//! Own scanner, because the serde one knows no lines of the values it has read.

use super::super::leaf::{DEPTH_MAX, Entry, Leaf, Node, ParseFailure, flatten_root};
use super::super::value::{infer_quoted, typed_flag, typed_null, typed_number, typed_text};

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let mut scanner = Scanner {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
    };
    scanner.skip_blank()?;
    let line = scanner.line;
    let root = scanner.value("", DEPTH_MAX)?;
    scanner.skip_blank()?;
    if scanner.rest.is_empty() {
        Ok(flatten_root(root, line))
    } else {
        Err(scanner.failure("text after the end of the document"))
    }
}

struct Scanner<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Scanner<'a> {
    fn failure(&self, what: &str) -> ParseFailure {
        ParseFailure::new(self.line, what)
    }

    /// Steps over `bytes` bytes of the text, which must end at a character.
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        let breaks = taken.bytes().filter(|byte| *byte == b'\n').count();
        self.line = self
            .line
            .saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.rest = rest;
        taken
    }

    fn take(&mut self, character: char) -> bool {
        let found = self.rest.starts_with(character);
        if found {
            self.advance(character.len_utf8());
        }
        found
    }

    fn skip_blank(&mut self) -> Result<(), ParseFailure> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if self.rest.starts_with("/*") {
                match self.rest.find("*/") {
                    Some(end) => self.advance(end + 2),
                    None => return Err(self.failure("a comment `/*` without `*/`")),
                };
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, name: &str, depth_left: usize) -> Result<Node, ParseFailure> {
        if depth_left == 0 {
            return Err(ParseFailure::too_deep(self.line));
        }
        match self.rest.chars().next() {
            Some('{') => self.object(depth_left),
            Some('[') => self.array(name, depth_left),
            Some('"') => {
                let text = self.string()?;
                Ok(Node::Scalar(infer_quoted(name, &text)))
            }
            Some(_) => self.word(),
            None => Err(self.failure("the document ends where a value should be")),
        }
    }

    fn object(&mut self, depth_left: usize) -> Result<Node, ParseFailure> {
        self.advance(1);
        let mut entries = Vec::new();
        loop {
            self.skip_blank()?;
            if self.take('}') {
                return Ok(Node::Branch(entries));
            }
            let line = self.line;
            let key = self.string()?;
            self.skip_blank()?;
            if !self.take(':') {
                return Err(self.failure("a `:` should follow the key"));
            }
            self.skip_blank()?;
            let node = self.value(&key, depth_left - 1)?;
            entries.push(Entry::named(&key, line, node));
            self.skip_blank()?;
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err(self.failure("a `,` or `}` should follow the value"));
            }
        }
    }

    fn array(&mut self, name: &str, depth_left: usize) -> Result<Node, ParseFailure> {
        self.advance(1);
        let mut items = Vec::new();
        loop {
            self.skip_blank()?;
            if self.take(']') {
                return Ok(Node::List(items));
            }
            let line = self.line;
            items.push((line, self.value(name, depth_left - 1)?));
            self.skip_blank()?;
            if !self.take(',') && !self.rest.starts_with(']') {
                return Err(self.failure("a `,` or `]` should follow the item"));
            }
        }
    }

    fn string(&mut self) -> Result<String, ParseFailure> {
        if !self.rest.starts_with('"') {
            return Err(self.failure("a string in double quotes should stand here"));
        }
        let mut escaped = false;
        let end = self.rest[1..].bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let Some(end) = end else {
            return Err(self.failure("a string without its closing quote"));
        };
        let quoted = &self.rest[..end + 2];
        // The rules of escapes and surrogates are serde_json's.
        let text = serde_json::from_str(quoted)
            .map_err(|_| self.failure("a string with a wrong escape or a raw line break"))?;
        self.advance(quoted.len());
        Ok(text)
    }

    fn word(&mut self) -> Result<Node, ParseFailure> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let typed = match word {
            "true" => typed_flag(true),
            "false" => typed_flag(false),
            "null" => typed_null(),
            _ if word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                match word.parse::<f64>() {
                    Ok(number) if number.is_finite() => typed_number(number),
                    Ok(_) => typed_text(word),
                    Err(_) => return Err(self.failure("a malformed number")),
                }
            }
            _ => {
                return Err(self.failure(
                    "a value should stand here: a string, a number, true, false, null, `{` or `[`",
                ));
            }
        };
        self.advance(end);
        Ok(Node::Scalar(typed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::Json;

    #[test]
    fn values_keep_their_types_and_lines() {
        check(
            Json,
            "{\n  \"pool\": {\"max\": 10, \"wait\": \"30s\"},\n  // why\n  \"port\": \"80\", \"on\": true, \"no\": null,\n}",
            &[
                "2 pool/max = Number(10.0)",
                "2 pool/wait = Number(30.0) s",
                "4 port = Text(\"80\")",
                "4 on = Flag(true)",
                "4 no = Choice(\"null\")",
            ],
        );
    }

    #[test]
    fn lists_are_sets_or_keyed_or_indexed() {
        check(
            Json,
            r#"{"tags": ["b", "a"], "ports": [1, 2], "hosts": [{"name": "x", "w": 1}], "n": [[1], []]}"#,
            &[
                "1 tags = Set({\"a\", \"b\"})",
                "1 ports[0] = Number(1.0)",
                "1 ports[1] = Number(2.0)",
                "1 hosts[x]/name = Choice(\"x\")",
                "1 hosts[x]/w = Number(1.0)",
                "1 n[0][0] = Number(1.0)",
                "1 n[1] = Set({})",
            ],
        );
    }

    #[test]
    fn failures_name_the_line() {
        check_failure(Json, "{\n\"a\" 1}", "line 2: a `:` should follow the key");
        check_failure(
            Json,
            "{\"a\": 1} x",
            "line 1: text after the end of the document",
        );
        check_failure(
            Json,
            &"[".repeat(10_000),
            "line 1: nested deeper than 100 levels",
        );
    }
}
