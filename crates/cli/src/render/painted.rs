//! A line of text in pieces, each with its paint, whose width on the terminal is known.

use unicode_width::UnicodeWidthStr as _;

use super::style::{Paint, Style};
use super::text::clean;

/// Text in pieces. Control characters never get in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Painted(Vec<(Paint, String)>);

impl Painted {
    /// One piece.
    pub fn new(paint: Paint, text: impl AsRef<str>) -> Self {
        Self::default().then(paint, text)
    }

    /// One piece without paint.
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::new(Paint::Plain, text)
    }

    /// With one more piece.
    #[must_use]
    pub fn then(mut self, paint: Paint, text: impl AsRef<str>) -> Self {
        self.0.push((paint, clean(text.as_ref())));
        self
    }

    /// With all pieces of another.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// With one more character, in the last piece where the paint is the same: for plots.
    pub fn push(&mut self, paint: Paint, character: char) {
        match self.0.last_mut() {
            Some((last, text)) if *last == paint => text.push(character),
            Some(_) | None => self.0.push((paint, character.into())),
        }
    }

    /// The columns it takes on a terminal.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// As it is written.
    pub fn render(&self, style: Style) -> String {
        self.0
            .iter()
            .map(|(paint, text)| style.paint(*paint, text))
            .collect()
    }
}

impl From<&str> for Painted {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}

impl From<String> for Painted {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_counts_columns_and_not_paint() {
        let painted = Painted::new(Paint::Red, "äb").then(Paint::Bold, "漢");
        assert_eq!(painted.width(), 4);
        assert_eq!(
            painted.render(Style::COLOUR),
            "\x1b[31mäb\x1b[0m\x1b[1m漢\x1b[0m"
        );
        assert_eq!(painted.render(Style::PLAIN), "äb漢");
    }

    #[test]
    fn a_value_cannot_drive_the_terminal() {
        let painted = Painted::plain("a\x1b[2Jb\rc\u{202e}d");
        assert_eq!(painted.render(Style::PLAIN), r"a\u{1b}[2Jb\rc\u{202e}d");
    }
}
