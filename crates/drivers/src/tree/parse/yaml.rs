//! YAML 1.2, from the parser's events rather than from its ready-made tree: the tree is built by
//! recursion and copies every alias, so a hostile file of a few hundred bytes could overflow the
//! stack or fill the memory. Here depth and size have limits.
//!
//! Plain scalars are read like the words of a format without types (`30s`, `yes`), since YAML's own
//! types are guesses on the same words. Quoted ones stay strings. `<<` merges stay where they are
//! written. Several documents in a file are told apart by `document[0]`, `document[1]`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::super::leaf::{DEPTH_MAX, Entry, Leaf, Node, ParseFailure, flatten_root, line_number};
use super::super::value::{infer, infer_quoted, plain_text, typed_null, typed_text};

/// Places in one file, those repeated by aliases included.
const NODES_MAX: usize = 200_000;

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let mut builder = Builder {
        last_line: line_number(text.lines().count()),
        ..Builder::default()
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| failure(&error))?;
        builder.event(event, span)?;
    }
    builder.finish()
}

fn failure(error: &ScanError) -> ParseFailure {
    ParseFailure::new(line_number(error.marker().line()), error.info())
}

/// A node that may be shared by aliases until it is lowered.
enum Raw {
    Scalar { text: String, is_plain: bool },
    Map(Vec<(Rc<Placed>, Rc<Placed>)>),
    List(Vec<Rc<Placed>>),
}

struct Placed {
    line: u32,
    raw: Raw,
}

/// A collection that has begun and not ended.
struct Open {
    line: u32,
    anchor: usize,
    is_map: bool,
    items: Vec<Rc<Placed>>,
}

#[derive(Default)]
struct Builder {
    /// An empty value at the end of the text is said to be on the line after it.
    last_line: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Placed>>,
    documents: Vec<Rc<Placed>>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), ParseFailure> {
        let line = line_number(span.start.line()).min(self.last_line);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned();
                let target = target
                    .ok_or_else(|| ParseFailure::new(line, "an alias inside its own anchor"))?;
                self.place(target);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && !is_string_tag(tag.as_ref());
                let raw = Raw::Scalar {
                    text: text.into_owned(),
                    is_plain,
                };
                self.close(anchor, Placed { line, raw });
                Ok(())
            }
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, false),
            Event::MappingStart(anchor, _) => self.begin(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.end(open);
                }
                Ok(())
            }
        }
    }

    fn begin(&mut self, line: u32, anchor: usize, is_map: bool) -> Result<(), ParseFailure> {
        if self.open.len() >= DEPTH_MAX {
            return Err(ParseFailure::too_deep(line));
        }
        self.open.push(Open {
            line,
            anchor,
            is_map,
            items: Vec::new(),
        });
        Ok(())
    }

    fn end(&mut self, open: Open) {
        let raw = if open.is_map {
            let mut items = open.items.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Raw::Map(pairs)
        } else {
            Raw::List(open.items)
        };
        self.close(
            open.anchor,
            Placed {
                line: open.line,
                raw,
            },
        );
    }

    fn close(&mut self, anchor: usize, placed: Placed) {
        let placed = Rc::new(placed);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&placed));
        }
        self.place(placed);
    }

    fn place(&mut self, placed: Rc<Placed>) {
        match self.open.last_mut() {
            Some(open) => open.items.push(placed),
            None => self.documents.push(placed),
        }
    }

    fn finish(self) -> Result<Vec<Leaf>, ParseFailure> {
        let mut lowering = Lowering {
            nodes_left: NODES_MAX,
        };
        match self.documents.as_slice() {
            [] => Ok(Vec::new()),
            [only] => Ok(flatten_root(lowering.node("", only, DEPTH_MAX)?, only.line)),
            several => {
                let mut entries = Vec::new();
                for (index, document) in several.iter().enumerate() {
                    let node = lowering.node("", document, DEPTH_MAX)?;
                    let key = index.to_string();
                    entries.push(Entry::keyed("document", &key, document.line, node));
                }
                Ok(flatten_root(Node::Branch(entries), 1))
            }
        }
    }
}

fn is_string_tag(tag: Option<&Cow<'_, Tag>>) -> bool {
    tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str")
}

/// Turns shared nodes into a plain tree, within the limits.
struct Lowering {
    nodes_left: usize,
}

impl Lowering {
    /// `depth_left` counts again here: an alias can put a deep node below another deep one.
    fn node(
        &mut self,
        name: &str,
        placed: &Placed,
        depth_left: usize,
    ) -> Result<Node, ParseFailure> {
        if depth_left == 0 {
            return Err(ParseFailure::too_deep(placed.line));
        }
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or_else(|| {
            let what = format!("more than {NODES_MAX} values, counting what aliases repeat");
            ParseFailure::new(placed.line, what)
        })?;
        Ok(match &placed.raw {
            Raw::Scalar { text, is_plain } => Node::Scalar(scalar(name, text, *is_plain)),
            Raw::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push((item.line, self.node(name, item, depth_left - 1)?));
                }
                Node::List(list)
            }
            Raw::Map(pairs) => {
                let mut entries = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let name = key_text(key);
                    let node = self.node(&name, value, depth_left - 1)?;
                    entries.push(Entry::named(&name, key.line, node));
                }
                Node::Branch(entries)
            }
        })
    }
}

fn scalar(name: &str, text: &str, is_plain: bool) -> super::super::value::Typed {
    match (is_plain, text) {
        (true, "" | "~" | "null" | "Null" | "NULL") => typed_null(),
        (true, _) => infer(name, text),
        (false, _) if text.contains('\n') => typed_text(text),
        (false, _) => infer_quoted(name, text),
    }
}

/// A key as text; a collection as a key is rare enough to be named by its place alone.
fn key_text(key: &Placed) -> String {
    match &key.raw {
        Raw::Scalar { text, .. } => text.clone(),
        Raw::Map(_) | Raw::List(_) => plain_text(&typed_text(format!("key at line {}", key.line))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::Yaml;

    #[test]
    fn maps_lists_and_scalars_are_read_with_their_lines() {
        check(
            Yaml,
            "# c\nservices:\n  - name: web\n    interval: 10s\n    port: 80\n    image: \"1.2\"\n  - name: db\n    on: yes\nlist: [a, b]\nnothing:\nmode: 0644\n",
            &[
                "3 services[web]/name = Choice(\"web\")",
                "4 services[web]/interval = Number(10.0) s",
                "5 services[web]/port = Number(80.0)",
                "6 services[web]/image = Text(\"1.2\")",
                "7 services[db]/name = Choice(\"db\")",
                "8 services[db]/on = Flag(true)",
                "9 list = Set({\"a\", \"b\"})",
                "10 nothing = Choice(\"null\")",
                "11 mode = Text(\"0644\")",
            ],
        );
    }

    #[test]
    fn aliases_repeat_what_they_name_and_documents_are_counted() {
        check(
            Yaml,
            "---\na: &x {b: 1}\nc: *x\n---\nd: 2\n",
            &[
                "2 document[0]/a/b = Number(1.0)",
                "2 document[0]/c/b = Number(1.0)",
                "5 document[1]/d = Number(2.0)",
            ],
        );
    }

    #[test]
    fn hostile_files_are_refused_within_the_limits() {
        let mut laughs = String::from("a0: &a0 [x, 1]\n");
        for level in 1..40 {
            let below = level - 1;
            laughs += &format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n");
        }
        check_failure(Yaml, &laughs, "more than 200000 values");
        check_failure(Yaml, &"- ".repeat(5000), "nested deeper than 100 levels");
        check_failure(Yaml, "a: [1\nb: 2\n", "line ");
    }
}
