//! Text files of cells: lines, quotes, and where something stands in them.
//!
//! The format is that of RFC 4180 without line breaks inside quotes: cells between commas, round which
//! spaces do not count; a cell may stand in double quotes, a quote inside which is doubled. Any bytes
//! are either read or refused with their place.

use std::fmt;
use std::path::Path;

/// No value is larger: squares of what is read stay finite.
const VALUE_MAX: f64 = 1e30;

/// What stands for a missing sample, beside nothing.
const MISSING: [&str; 4] = ["na", "nan", "null", "none"];

/// A place in a file and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadError {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) what: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            what,
        } = self;
        write!(f, "{file}:{line}:{column}: {what}")
    }
}

/// A cell and the column of its first character, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) column: usize,
}

/// A line with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// From 1.
    pub(crate) line: usize,
    /// At least one.
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// An error at one of the cells.
    pub(crate) fn wrong(&self, file: &Path, cell: usize, what: String) -> ReadError {
        let column = self.cells.get(cell).map_or(1, |cell| cell.column);
        ReadError {
            file: file.display().to_string(),
            line: self.line,
            column,
            what,
        }
    }
}

/// The rows of a file, one by one; empty lines are passed over.
pub(crate) fn rows<'a>(
    file: &'a Path,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<Row, ReadError>> + 'a {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
    lines.filter_map(move |(line, number)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let cells = std::str::from_utf8(line)
            .map_err(|error| {
                let before = String::from_utf8_lossy(&line[..error.valid_up_to()]);
                let what = "not UTF-8: save the file in this encoding".to_owned();
                (before.chars().count() + 1, what)
            })
            .and_then(|line| {
                if line.trim().is_empty() {
                    return Ok(Vec::new());
                }
                split(line)
            });
        match cells {
            Ok(cells) if cells.is_empty() => None,
            Ok(cells) => Some(Ok(Row {
                line: number,
                cells,
            })),
            Err((column, what)) => Some(Err(ReadError {
                file: file.display().to_string(),
                line: number,
                column,
                what,
            })),
        }
    })
}

/// The cells of a line; an error is the column and what is wrong.
fn split(line: &str) -> Result<Vec<Cell>, (usize, String)> {
    let mut cells = Vec::new();
    let mut rest = line.chars().zip(1_usize..).peekable();
    loop {
        while rest.next_if(|(c, _)| c.is_whitespace()).is_some() {}
        let end = line.chars().count() + 1;
        let column = rest.peek().map_or(end, |(_, column)| *column);
        let mut text = String::new();
        if rest.next_if(|(c, _)| *c == '"').is_some() {
            loop {
                match rest.next() {
                    Some(('"', _)) if rest.next_if(|(c, _)| *c == '"').is_none() => break,
                    Some((c, _)) => text.push(c),
                    None => {
                        let what = "the quote that opens here is not closed on its line";
                        return Err((column, what.to_owned()));
                    }
                }
            }
            while rest.next_if(|(c, _)| c.is_whitespace()).is_some() {}
            if let Some((c, column)) = rest.peek().filter(|(c, _)| *c != ',') {
                let what = format!("`{c}` after a closing quote: write `,`, or double the quote");
                return Err((*column, what));
            }
        } else {
            while let Some((c, _)) = rest.next_if(|(c, _)| *c != ',') {
                text.push(c);
            }
            text.truncate(text.trim_end().len());
        }
        cells.push(Cell { text, column });
        if rest.next().is_none() {
            return Ok(cells);
        }
    }
}

/// A number; NaN for a sample that is missing.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    if text.is_empty() || MISSING.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(f64::NAN);
    }
    match text.parse::<f64>() {
        Ok(value) if value.abs() <= VALUE_MAX => Ok(value),
        Ok(_) => Err(format!(
            "`{}` is out of range: numbers go up to 1e30",
            short(text)
        )),
        Err(_) => Err(format!(
            "`{}` is no number: write one like `12.5`, or nothing where the sample is missing",
            short(text)
        )),
    }
}

/// As much of a cell as helps to find it.
pub(crate) fn short(text: &str) -> String {
    crate::render::text::elide(text, 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Result<Vec<String>, (usize, String)> {
        split(line).map(|cells| cells.into_iter().map(|cell| cell.text).collect())
    }

    #[test]
    fn cells_stand_between_commas_with_quotes_and_spaces() {
        let check = |line: &str, cells: &[&str]| assert_eq!(texts(line).unwrap(), cells, "{line}");
        check("a,b", &["a", "b"]);
        check(" a b , c ", &["a b", "c"]);
        check(r#""a,b", "say ""so""" ,c"#, &["a,b", "say \"so\"", "c"]);
        check("a,,", &["a", "", ""]);
        check(",", &["", ""]);
        check(r#""""#, &[""]);
        check("ä,ö\"", &["ä", "ö\""]);
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_stands() {
        assert_eq!(texts("a, \"b").unwrap_err().0, 4);
        assert_eq!(texts("\"ä\"x").unwrap_err().0, 4);
        let read: Vec<_> = rows(Path::new("f.csv"), b"\xef\xbb\xbfa,b\r\n\n \nc,\xff\n").collect();
        assert_eq!(read.len(), 2);
        let first = read[0].as_ref().unwrap();
        assert_eq!((first.line, first.cells[1].column), (1, 3));
        let error = read[1].as_ref().unwrap_err().to_string();
        assert!(error.starts_with("f.csv:4:3: not UTF-8"), "{error}");
    }

    #[test]
    fn numbers_are_finite_or_missing() {
        assert_eq!(number(" -1.5e3 "), Ok(-1500.0));
        for missing in ["", "NA", "NaN", "null", "None"] {
            assert!(number(missing).unwrap().is_nan(), "{missing}");
        }
        for wrong in ["x", "1,5", "inf", "-infinity", "1e31", "0x10", "1 000"] {
            let error = number(wrong).unwrap_err();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
