//! How large a data tree is: files and bytes, for forecasts of growth.
//!
//! A small tree is counted with every reading; counting a large one is work, so its numbers may be up
//! to a minute old.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use evenkeel_core::property::Observed;
use evenkeel_core::{PropertyPath, Timestamp};

use super::reading::Reading;

const LARGE_FILES: u64 = 5_000;
const LARGE_EVERY: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Count {
    files: u64,
    bytes: u64,
    /// Directories that could not be counted: the sums are then too low, hence unknown.
    unreadable: BTreeMap<PropertyPath, String>,
}

/// Counts one tree again and again.
#[derive(Debug, Default)]
pub(super) struct DataGauge {
    last: Option<(Timestamp, Count)>,
}

impl DataGauge {
    /// Adds `@data/files` and `@data/bytes` to a reading.
    pub(super) fn read(&mut self, root: &Path, now: Timestamp, reading: &mut Reading) {
        let is_fresh = self.last.as_ref().is_some_and(|(at, count)| {
            count.files >= LARGE_FILES && *at <= now && now.since(*at) < LARGE_EVERY
        });
        if !is_fresh {
            self.last = Some((now, count(root)));
        }
        let Some((_, count)) = &self.last else { return };
        if let Some((_, why)) = count.unreadable.iter().next() {
            reading.unreadable.insert("@data".into(), why.clone());
            return;
        }
        reading.properties.insert(
            "@data/files".into(),
            Observed::capacity(count.files as f64, None),
        );
        reading.properties.insert(
            "@data/bytes".into(),
            Observed::capacity(count.bytes as f64, Some("B")),
        );
    }
}

fn count(root: &Path) -> Count {
    let mut count = Count {
        files: 0,
        bytes: 0,
        unreadable: BTreeMap::new(),
    };
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            // Removed since it was listed; the root itself must be there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && directory != root => {
                continue;
            }
            Err(error) => {
                let why = format!("{}: {error}", directory.display());
                count
                    .unreadable
                    .insert(PropertyPath::new(directory.to_string_lossy()), why);
                continue;
            }
        };
        for entry in entries.filter_map(Result::ok) {
            // Links are not followed: what they lead to is counted where it is.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                directories.push(entry.path());
            } else {
                count.files += 1;
                count.bytes += metadata.size();
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(reading: &Reading, path: &str) -> Option<f64> {
        reading
            .properties
            .get(&path.into())
            .and_then(|observed| observed.value.as_number())
    }

    #[test]
    fn files_and_bytes_are_counted_without_following_links() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("d")).unwrap();
        std::fs::write(directory.path().join("d/x"), "12345").unwrap();
        std::os::unix::fs::symlink(directory.path(), directory.path().join("d/loop")).unwrap();
        let mut reading = Reading::default();
        DataGauge::default().read(directory.path(), Timestamp::from_millis(0), &mut reading);
        assert_eq!(number(&reading, "@data/files"), Some(2.0));
    }

    #[test]
    fn a_tree_that_is_not_there_is_unknown_not_empty() {
        let mut reading = Reading::default();
        DataGauge::default().read(
            Path::new("/no/such/place"),
            Timestamp::from_millis(0),
            &mut reading,
        );
        assert!(reading.unreadable.contains_key(&"@data".into()));
        assert_eq!(number(&reading, "@data/files"), None);
    }
}
