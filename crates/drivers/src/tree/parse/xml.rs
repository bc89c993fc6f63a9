//! XML: elements are places, attributes are leaves below them, text is the value of an element that
//! has neither attributes nor children, else its `text`.
//!
//! Siblings of one name are told apart by their `name`, `id` or `key` attribute, else counted.
//! Entities of a document type are never expanded.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::super::leaf::{DEPTH_MAX, Entry, Leaf, Lines, Node, ParseFailure, flatten};
use super::super::value::{infer, typed_flag};

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let lines = Lines::of(text);
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::new(String::new(), 1)];
    loop {
        let begins = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = reader.read_event().map_err(|error| {
            let at = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
            ParseFailure::new(lines.at(at), error.to_string())
        })?;
        let line = lines.at(begins);
        if matches!(event, Event::Eof) {
            return finish(open, line);
        }
        apply(event, line, &mut open)?;
    }
}

/// An element that has begun and not ended.
struct Element {
    name: String,
    key: Option<String>,
    line: u32,
    entries: Vec<Entry>,
    text: String,
}

impl Element {
    fn new(name: String, line: u32) -> Self {
        Self {
            name,
            key: None,
            line,
            entries: Vec::new(),
            text: String::new(),
        }
    }

    fn start(tag: &BytesStart<'_>, line: u32) -> Result<Self, ParseFailure> {
        let mut element = Self::new(tag.name().as_ref().to_owned(), line);
        for attribute in tag.attributes() {
            let attribute =
                attribute.map_err(|error| ParseFailure::new(line, error.to_string()))?;
            let name = attribute.key.as_ref();
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| ParseFailure::new(line, error.to_string()))?;
            if matches!(name, "name" | "id" | "key") && element.key.is_none() {
                element.key = Some(value.to_string());
            }
            element
                .entries
                .push(Entry::leaf(name, line, infer(name, &value)));
        }
        Ok(element)
    }

    fn into_entry(mut self) -> Entry {
        let text = self.text.trim();
        let node = if self.entries.is_empty() {
            Node::Scalar(if text.is_empty() {
                typed_flag(true)
            } else {
                infer(&self.name, text)
            })
        } else {
            if !text.is_empty() {
                self.entries
                    .push(Entry::leaf("text", self.line, infer(&self.name, text)));
            }
            Node::Branch(self.entries)
        };
        match self.key {
            Some(key) => Entry::keyed(&self.name, &key, self.line, node),
            None => Entry::named(&self.name, self.line, node),
        }
    }
}

/// `open[0]` is the document itself, so there is always a last element.
fn apply(event: Event<'_>, line: u32, open: &mut Vec<Element>) -> Result<(), ParseFailure> {
    match event {
        Event::Start(tag) => {
            if open.len() > DEPTH_MAX {
                return Err(ParseFailure::too_deep(line));
            }
            open.push(Element::start(&tag, line)?);
        }
        Event::Empty(tag) => {
            let entry = Element::start(&tag, line)?.into_entry();
            if let Some(parent) = open.last_mut() {
                parent.entries.push(entry);
            }
        }
        Event::End(_) => {
            if let Some(element) = open.pop()
                && let Some(parent) = open.last_mut()
            {
                parent.entries.push(element.into_entry());
            }
        }
        Event::Text(text) => push_text(open, &text.xml10_content()),
        Event::CData(text) => push_text(open, &text.xml10_content()),
        Event::GeneralRef(reference) => push_text(open, &entity(&reference)),
        Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Eof => {}
    }
    Ok(())
}

fn push_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// The five entities of XML and character references; any other stays as written.
fn entity(reference: &BytesRef<'_>) -> String {
    let name = reference.xml10_content();
    match name.as_ref() {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        other => match reference.resolve_char_ref() {
            Ok(Some(character)) => character.to_string(),
            Ok(None) | Err(_) => format!("&{other};"),
        },
    }
}

fn finish(mut open: Vec<Element>, line: u32) -> Result<Vec<Leaf>, ParseFailure> {
    if open.len() > 1 {
        let names: Vec<String> = open
            .drain(1..)
            .map(|element| format!("<{}>", element.name))
            .collect();
        let what = format!("the document ends inside {}", names.join(" "));
        return Err(ParseFailure::new(line, what));
    }
    let root = open
        .pop()
        .map(|root| (root.entries, root.text))
        .unwrap_or_default();
    if root.0.is_empty() || !root.1.trim().is_empty() {
        return Err(ParseFailure::new(
            line,
            "not one element with everything in it",
        ));
    }
    Ok(flatten(root.0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::Xml;

    #[test]
    fn elements_attributes_and_text_are_read_with_their_lines() {
        check(
            Xml,
            "<?xml version=\"1.0\"?>\n<server port=\"8005\">\n  <!-- c -->\n  <connector name=\"a\" timeout=\"20s\"/>\n  <host>\n    <alias>x &amp; y</alias>\n    <alias>z</alias>\n    <on/>\n  </host>\n</server>\n",
            &[
                "2 server/port = Number(8005.0)",
                "4 server/connector[a]/name = Choice(\"a\")",
                "4 server/connector[a]/timeout = Number(20.0) s",
                "6 server/host/alias = Text(\"x & y\")",
                "7 server/host/alias#2 = Choice(\"z\")",
                "8 server/host/on = Flag(true)",
            ],
        );
    }

    #[test]
    fn failures_name_the_line() {
        check_failure(Xml, "<a>\n<b></a>", "line 2: ");
        check_failure(Xml, "<a>\n<b>", "line 2: the document ends inside <a> <b>");
        check_failure(Xml, &"<a>".repeat(5000), "nested deeper than 100 levels");
    }
}
