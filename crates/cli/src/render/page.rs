//! An answer as it grows, line by line.

use super::painted::Painted;
use super::style::{Paint, Style};
use super::table::Table;
use super::text::clean;

/// Text under construction.
#[derive(Clone, Debug)]
pub struct Page {
    style: Style,
    text: String,
}

impl Page {
    /// An empty page.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            text: String::new(),
        }
    }

    /// One line.
    pub fn line(&mut self, line: impl Into<Painted>) {
        self.raw(&line.into().render(self.style));
    }

    /// One line, two columns in.
    pub fn item(&mut self, line: impl Into<Painted>) {
        self.line(Painted::plain("  ").join(line.into()));
    }

    /// Several lines, two columns in.
    pub fn items(&mut self, lines: impl IntoIterator<Item = Painted>) {
        lines.into_iter().for_each(|line| self.item(line));
    }

    /// A heading with an empty line before it, unless it stands first.
    pub fn heading(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(Painted::new(Paint::Bold, heading));
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A table, `indent` columns in.
    pub fn table(&mut self, table: &Table, indent: usize) {
        for line in table.lines(self.style, indent) {
            self.raw(&line);
        }
    }

    /// Text of several lines as it is, set off by a bar.
    pub fn block(&mut self, text: &str) {
        for line in text.trim_end().lines() {
            let bar = self.style.paint(Paint::Dim, "|");
            // Tabs stand in logs and diffs; they are no danger, but would break the bar's column.
            self.raw(&format!("    {bar} {}", clean(&line.replace('\t', "    "))));
        }
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.text
    }

    fn raw(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}
