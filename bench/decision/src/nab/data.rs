//! NAB files: `timestamp,value`, and `combined_windows.json` with the labelled windows of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A labelled window, as indices, both ends inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Milliseconds since the epoch, not always rising: clocks were put back.
    pub(crate) at_ms: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) windows: Vec<Window>,
}

impl Series {
    /// The usual time between two values, in milliseconds.
    pub(crate) fn step_ms(&self) -> i64 {
        let mut gaps: Vec<i64> = self
            .at_ms
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().unwrap_or(1).max(1)
    }
}

/// All files below `directory`, by name; empty where there is no such directory.
pub(crate) fn load(directory: &Path) -> Result<Vec<Series>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let labels = directory.join("combined_windows.json");
    let text = fs::read_to_string(&labels).with_context(|| labels.display().to_string())?;
    let labels: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&text)
        .with_context(|| format!("{}: windows of each file are expected", labels.display()))?;
    let mut all = Vec::new();
    for path in files(directory)? {
        let name = path
            .strip_prefix(directory)
            .unwrap_or(&path)
            .display()
            .to_string();
        let text = fs::read_to_string(&path).with_context(|| name.clone())?;
        let windows = labels.get(&name).map(Vec::as_slice).unwrap_or_default();
        all.push(parse(&name, &text, windows)?);
    }
    Ok(all)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "csv") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn parse(name: &str, text: &str, labels: &[[String; 2]]) -> Result<Series> {
    let (mut at_ms, mut values) = (Vec::new(), Vec::new());
    for (line, number) in text
        .lines()
        .zip(1..)
        .skip(1)
        .filter(|(line, _)| !line.is_empty())
    {
        let parsed = line.split_once(',').and_then(|(at, value)| {
            let value: f64 = value.trim().parse().ok()?;
            Some((instant(at)?, value))
        });
        let Some((at, value)) = parsed else {
            bail!("{name}:{number}: `timestamp,value` is expected, not `{line}`");
        };
        at_ms.push(at);
        values.push(value);
    }
    let mut windows = Vec::new();
    for [from, until] in labels {
        let place = |text: &String| {
            let at = instant(text).with_context(|| format!("{name}: `{text}` is no instant"))?;
            at_ms
                .iter()
                .position(|t| *t == at)
                .with_context(|| format!("{name}: no value at {text}, where a window ends"))
        };
        windows.push(Window {
            first: place(from)?,
            last: place(until)?,
        });
    }
    windows.sort_by_key(|window| window.first);
    Ok(Series {
        name: name.to_owned(),
        at_ms,
        values,
        windows,
    })
}

/// `2014-04-10 07:15:00`, perhaps with a fraction, as UTC.
fn instant(text: &str) -> Option<i64> {
    let civil: DateTime = text.trim().parse().ok()?;
    let at = TimeZone::UTC.to_timestamp(civil).ok()?;
    Some(at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_windows_are_read() {
        let text = "timestamp,value\n2014-04-10 00:00:00,1.5\n2014-04-10 00:05:00,2\n2014-04-10 00:10:00,-3\n";
        let label = ["2014-04-10 00:05:00.000000", "2014-04-10 00:10:00.000000"].map(str::to_owned);
        let series = parse("x", text, &[label]).unwrap();
        assert_eq!(series.values, [1.5, 2.0, -3.0]);
        assert_eq!(series.step_ms(), 300_000);
        assert_eq!(series.windows, [Window { first: 1, last: 2 }]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = parse("x", "timestamp,value\nyesterday,2\n", &[]).unwrap_err();
        assert!(error.to_string().starts_with("x:2:"), "{error}");
    }
}
