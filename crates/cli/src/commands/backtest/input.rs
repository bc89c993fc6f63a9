//! Series from files: samples laid on equal steps, and the files of the M4 competition.
//!
//! Reading takes bytes, so that any can be tried. A file that cannot be understood is an error with its
//! place; a series that can be read but not used is left out with the reason.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use evenkeel_core::time::Timestamp;
use serde::Serialize;

use crate::series::cells::{ReadError, number, rows, short};
use crate::series::times::equal_steps;
use crate::series::{empty, samples};

/// One series at equal steps; NaN is a gap.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) values: Vec<f64>,
    pub(super) step: Duration,
    /// The instant of the first value; 1970 where the data do not say.
    pub(super) start: Timestamp,
    /// What came after `values`, where the data say so.
    pub(super) test: Option<Vec<f64>>,
}

/// Something that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Skipped {
    pub(super) series: String,
    pub(super) why: String,
}

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub(super) series: Vec<Input>,
    pub(super) skipped: Vec<Skipped>,
}

impl Read {
    pub(super) fn skip(&mut self, series: impl Into<String>, why: impl Into<String>) {
        self.skipped.push(Skipped {
            series: series.into(),
            why: why.into(),
        });
    }

    /// Lays samples on equal steps, and takes them in as a series.
    pub(super) fn lay(&mut self, name: String, samples: Vec<(i64, f64)>) {
        match equal_steps(samples) {
            Ok(grid) => self.series.push(Input {
                name,
                values: grid.values,
                // Of a single sample there is no step; any will do.
                step: Duration::from_millis(u64::try_from(grid.step_ms).unwrap_or_default().max(1)),
                start: Timestamp::from_millis(grid.first_ms),
                test: None,
            }),
            Err(why) => self.skip(name, why),
        }
    }
}

/// Reads a file of samples, and lays each of its series on equal steps.
pub(super) fn csv(file: &Path, bytes: &[u8], name: &str, into: &mut Read) -> Result<(), ReadError> {
    for (name, samples) in samples(file, bytes, name)? {
        into.lay(name, samples);
    }
    Ok(())
}

/// Reads the two files of an M4 data set: histories, and what came after each, by the id in the first
/// cell; they do not say how long a `step` is. Empty cells at the end of a row do not count; a line of headings (`V1,V2,...`) may stand first.
pub(super) fn m4(
    (train_file, train): (&Path, &[u8]),
    (test_file, test): (&Path, &[u8]),
    step: Duration,
    into: &mut Read,
) -> Result<(), ReadError> {
    let histories = m4_rows(train_file, train)?;
    let mut tests: BTreeMap<String, Vec<f64>> = m4_rows(test_file, test)?.into_iter().collect();
    for (name, values) in histories {
        match tests.remove(&name) {
            Some(test) => into.series.push(Input {
                name,
                values,
                step,
                start: Timestamp::from_millis(0),
                test: Some(test),
            }),
            None => into.skip(name, format!("has no row in {}", test_file.display())),
        }
    }
    for name in tests.into_keys() {
        into.skip(name, format!("has no row in {}", train_file.display()));
    }
    Ok(())
}

fn m4_rows(file: &Path, bytes: &[u8]) -> Result<Vec<(String, Vec<f64>)>, ReadError> {
    let mut found: Vec<(String, Vec<f64>)> = Vec::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    let mut is_first = true;
    for row in rows(file, bytes) {
        let row = row?;
        let Some((id, cells)) = row.cells.split_first() else {
            continue;
        };
        let is_heading = is_first
            && cells.iter().any(|cell| !cell.text.is_empty())
            && cells.iter().all(|cell| number(&cell.text).is_err());
        is_first = false;
        if is_heading {
            continue;
        }
        if let Some(line) = lines.insert(id.text.clone(), row.line) {
            let what = format!("`{}` stands on line {line} already", short(&id.text));
            return Err(row.wrong(file, 0, what));
        }
        let mut values = Vec::with_capacity(cells.len());
        for (cell, index) in cells.iter().zip(1..) {
            values.push(number(&cell.text).map_err(|what| row.wrong(file, index, what))?);
        }
        let length = values.iter().rposition(|value| !value.is_nan());
        values.truncate(length.map_or(0, |last| last + 1));
        if values.is_empty() {
            let what = "no values: write a row `id,value,value,...` for each series".to_owned();
            return Err(row.wrong(file, 0, what));
        }
        found.push((id.text.clone(), values));
    }
    if found.is_empty() {
        return Err(empty(
            file,
            "no series: write a row `id,value,value,...` for each",
        ));
    }
    Ok(found)
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
