//! TOML, by `toml_edit`, which knows where each value stands.

use toml_edit::{Array, Document, InlineTable, Item, Table, Value};

use super::super::leaf::{Entry, Leaf, Lines, Node, ParseFailure, flatten};
use super::super::value::{infer_quoted, typed_flag, typed_number, typed_text};

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let lines = Lines::of(text);
    let document = Document::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        ParseFailure::new(lines.at(at), error.message())
    })?;
    let reader = Reader { lines };
    Ok(flatten(reader.table(document.as_table(), 1)))
}

struct Reader {
    lines: Lines,
}

impl Reader {
    /// The line of a span; what has none (an implied table) stands where its parent stands.
    fn line(&self, span: Option<std::ops::Range<usize>>, parent: u32) -> u32 {
        span.map_or(parent, |span| self.lines.at(span.start))
    }

    fn table(&self, table: &Table, parent: u32) -> Vec<Entry> {
        table
            .iter()
            .map(|(name, item)| {
                let key_span = table.key(name).and_then(|key| key.span());
                let line = self.line(item.span().or(key_span), parent);
                Entry::named(name, line, self.item(name, item, line))
            })
            .collect()
    }

    fn item(&self, name: &str, item: &Item, line: u32) -> Node {
        match item {
            Item::None => Node::Branch(Vec::new()),
            Item::Value(value) => self.value(name, value, line),
            Item::Table(table) => Node::Branch(self.table(table, line)),
            Item::ArrayOfTables(tables) => Node::List(
                tables
                    .iter()
                    .map(|table| {
                        let line = self.line(table.span(), line);
                        (line, Node::Branch(self.table(table, line)))
                    })
                    .collect(),
            ),
        }
    }

    fn value(&self, name: &str, value: &Value, line: u32) -> Node {
        Node::Scalar(match value {
            Value::String(text) => infer_quoted(name, text.value()),
            // Beyond 2^53 a float rounds; no setting is that exact.
            Value::Integer(number) => typed_number(*number.value() as f64),
            Value::Float(number) => typed_number(*number.value()),
            Value::Boolean(flag) => typed_flag(*flag.value()),
            Value::Datetime(at) => typed_text(at.value().to_string()),
            Value::Array(array) => return self.array(name, array, line),
            Value::InlineTable(table) => return self.inline_table(table, line),
        })
    }

    fn array(&self, name: &str, array: &Array, parent: u32) -> Node {
        Node::List(
            array
                .iter()
                .map(|value| {
                    let line = self.line(value.span(), parent);
                    (line, self.value(name, value, line))
                })
                .collect(),
        )
    }

    fn inline_table(&self, table: &InlineTable, parent: u32) -> Node {
        Node::Branch(
            table
                .iter()
                .map(|(name, value)| {
                    let line = self.line(value.span(), parent);
                    Entry::named(name, line, self.value(name, value, line))
                })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::Toml;

    #[test]
    fn tables_arrays_and_types_are_read_with_their_lines() {
        check(
            Toml,
            "title = \"a b\"\n[pool]\nmax_connections = 100\ntimeout = \"30s\"\nratio = 0.5\n\n[[server]]\nname = \"x\"\n[[server]]\nname = \"y\"\nopt = { on = true, tags = [\"q\"] }\n",
            &[
                "1 title = Text(\"a b\")",
                "3 pool/max_connections = Number(100.0)",
                "4 pool/timeout = Number(30.0) s",
                "5 pool/ratio = Number(0.5)",
                "8 server[x]/name = Choice(\"x\")",
                "10 server[y]/name = Choice(\"y\")",
                "11 server[y]/opt/on = Flag(true)",
                "11 server[y]/opt/tags = Set({\"q\"})",
            ],
        );
    }

    #[test]
    fn a_failure_names_its_line() {
        check_failure(Toml, "a = 1\nb = \n", "line 2: ");
    }
}
