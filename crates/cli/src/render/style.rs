//! Colour, only where somebody sees it.

use std::ffi::OsStr;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How a piece of text stands out. Colour never says what the words do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// Not at all.
    #[default]
    Plain,
    /// Headings, and what is asked for.
    Bold,
    /// What may be passed over.
    Dim,
    /// Harm, now or to come.
    Red,
    /// As it should be.
    Green,
    /// Worth a look.
    Yellow,
    /// Under way.
    Cyan,
}

/// Whether text is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Without colour.
    pub const PLAIN: Self = Self { colour: false };
    /// With colour.
    pub const COLOUR: Self = Self { colour: true };

    /// What was chosen, seen with where the output goes and with the variable `NO_COLOR`, which
    /// counts when it is set to anything (no-color.org). An explicit choice outweighs both.
    pub fn choose(choice: ColourChoice, is_terminal: bool, no_color: Option<&OsStr>) -> Self {
        let colour = match choice {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto => is_terminal && no_color.is_none_or(OsStr::is_empty),
        };
        Self { colour }
    }

    /// The text with the paint's escape sequences round it, where there is colour.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Cyan => "36",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_unless_said_otherwise() {
        let check = |choice, terminal, no_color: Option<&str>, colour| {
            let style = Style::choose(choice, terminal, no_color.map(OsStr::new));
            assert_eq!(style.colour, colour, "{choice:?} {terminal} {no_color:?}");
        };
        check(ColourChoice::Auto, true, None, true);
        check(ColourChoice::Auto, true, Some(""), true);
        check(ColourChoice::Auto, true, Some("1"), false);
        check(ColourChoice::Auto, false, None, false);
        check(ColourChoice::Always, false, Some("1"), true);
        check(ColourChoice::Never, true, None, false);
    }
}
