//! Series of samples from files, as `backtest` and `simulate` read them.
//!
//! Reading takes bytes, so that any can be tried. A file that cannot be understood is an error with its
//! place.

pub(crate) mod cells;
pub(crate) mod times;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use self::cells::{ReadError, Row, number, rows};
use self::times::instant_ms;
use crate::error::CliError;

/// A name, and samples as they stand in the file: milliseconds since 1970 and value.
pub(crate) type Series = (String, Vec<(i64, f64)>);

/// The bytes of a file.
pub(crate) fn bytes(file: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(file)
        .map_err(|error| CliError::Failed(format!("cannot read {}: {error}", file.display())))
}

/// The name of a series after its file; the whole path, where another file is called the same.
pub(crate) fn file_stem(file: &Path, all: &[PathBuf]) -> String {
    let same = all.iter().filter(|f| f.file_stem() == file.file_stem());
    match file.file_stem() {
        Some(stem) if same.count() == 1 => stem.to_string_lossy().into_owned(),
        Some(_) | None => file.display().to_string(),
    }
}

/// Reads `timestamp,value` or `series,timestamp,value`, with or without a line of headings: the series in the
/// order of their first samples, with milliseconds since 1970 and values, NaN where one is missing. The series
/// of a file with two columns is called `name`.
pub(crate) fn samples(file: &Path, bytes: &[u8], name: &str) -> Result<Vec<Series>, ReadError> {
    let mut names: Vec<String> = Vec::new();
    let mut samples: HashMap<String, Vec<(i64, f64)>> = HashMap::new();
    let mut width = None;
    for row in rows(file, bytes) {
        let mut row = row?;
        let is_first = width.is_none();
        let width = *width.get_or_insert(row.cells.len());
        if is_first && !(2..=3).contains(&width) {
            let what = format!(
                "{width} columns: write `timestamp,value` or `series,timestamp,value`, with commas between"
            );
            return Err(row.wrong(file, 0, what));
        }
        check_width(file, &mut row, width)?;
        let (at_cell, value_cell) = (width - 2, width - 1);
        let at = instant_ms(&row.cells[at_cell].text);
        let value = number(&row.cells[value_cell].text);
        if is_first && at.is_err() && value.is_err() {
            continue; // A line of headings: neither can be read.
        }
        let at = at.map_err(|what| row.wrong(file, at_cell, what))?;
        let value = value.map_err(|what| row.wrong(file, value_cell, what))?;
        let key = if width == 3 { &row.cells[0].text } else { name };
        match samples.get_mut(key) {
            Some(samples) => samples.push((at, value)),
            None => {
                names.push(key.to_owned());
                samples.insert(key.to_owned(), vec![(at, value)]);
            }
        }
    }
    if names.is_empty() {
        return Err(empty(
            file,
            "no samples: write a line `timestamp,value` for each",
        ));
    }
    Ok((names.into_iter())
        .map(|name| {
            let samples = samples.remove(&name).unwrap_or_default();
            (name, samples)
        })
        .collect())
}

/// Every row has as many cells as the first, but for empty ones at its end.
fn check_width(file: &Path, row: &mut Row, width: usize) -> Result<(), ReadError> {
    while row.cells.len() > width && row.cells.last().is_some_and(|cell| cell.text.is_empty()) {
        row.cells.pop();
    }
    if row.cells.len() == width {
        return Ok(());
    }
    let what = format!(
        "{} columns where the first line has {width}",
        row.cells.len()
    );
    Err(row.wrong(file, row.cells.len().min(width), what))
}

/// A file in which nothing stands.
pub(crate) fn empty(file: &Path, what: &str) -> ReadError {
    ReadError {
        file: file.display().to_string(),
        line: 1,
        column: 1,
        what: what.to_owned(),
    }
}
