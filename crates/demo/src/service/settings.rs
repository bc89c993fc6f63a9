//! The service's configuration, read again whenever its file has become another one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What the service makes of its file. Other keys are allowed and passed over, as in any service
/// whose file is shared between versions of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Settings {
    /// The pool of connections to the database.
    pub(super) pool: Pool,
    /// What the machine allows.
    pub(super) limits: Limits,
    /// The HTTP side.
    pub(super) http: Http,
}

/// The pool of connections to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Pool {
    /// How many it may hold. Each costs an open file.
    pub(super) max_connections: u64,
}

/// What the machine allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Limits {
    /// How many files may be open: with as many connections nothing is left for clients.
    pub(super) open_files: u64,
}

/// The HTTP side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Http {
    /// A longer body is refused.
    pub(super) max_body_bytes: u64,
}

impl Settings {
    /// Whether the service can still serve with them.
    pub(super) fn is_exhausted(&self) -> bool {
        self.pool.max_connections >= self.limits.open_files
    }
}

/// What tells one state of a file from the next: an edit in place changes the time, a file that was
/// renamed over it the inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified_s: i64,
    modified_ns: i64,
    bytes: u64,
}

/// The settings in force and the file they come from.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    stamp: Option<Stamp>,
    settings: Settings,
}

/// What a look at the file showed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is as it was.
    Unchanged,
    /// It changed, and is in force.
    Changed(Settings),
    /// It changed and cannot be used; what was in force before still is.
    Refused(String),
}

impl Source {
    /// Reads the file for the first time.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let stamp = stamp(&path)?;
        let settings = read(&path)?;
        Ok(Self {
            path,
            stamp: Some(stamp),
            settings,
        })
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Reads the file again if it has become another one.
    pub(super) fn look(&mut self) -> Look {
        let found = match stamp(&self.path) {
            Ok(found) => Some(found),
            // Told once, not with every request.
            Err(why) if self.stamp.take().is_some() => return Look::Refused(why),
            Err(_) => return Look::Unchanged,
        };
        if found == self.stamp {
            return Look::Unchanged;
        }
        self.stamp = found;
        match read(&self.path) {
            Ok(settings) => {
                self.settings = settings;
                Look::Changed(settings)
            }
            Err(why) => Look::Refused(why),
        }
    }
}

fn stamp(path: &Path) -> Result<Stamp, String> {
    let found = std::fs::metadata(path);
    let found = found.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Stamp {
        inode: found.ino(),
        modified_s: found.mtime(),
        modified_ns: found.mtime_nsec(),
        bytes: found.len(),
    })
}

fn read(path: &Path) -> Result<Settings, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
    toml::from_str(&text).map_err(|error| told(&error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(connections: u64) -> String {
        format!(
            "[pool]\nmax_connections = {connections} # of all workers\nmin_idle = 8\n\
             [limits]\nopen_files = 1024\n[http]\nmax_body_bytes = 64\n"
        )
    }

    #[test]
    fn an_edit_takes_effect_and_a_broken_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.toml");
        std::fs::write(&path, text(400)).unwrap();
        let mut source = Source::open(path.clone()).unwrap();
        assert_eq!(source.look(), Look::Unchanged);
        // Renamed over it, as careful editors do: same size, another inode.
        std::fs::write(directory.path().join("new"), text(500)).unwrap();
        std::fs::rename(directory.path().join("new"), &path).unwrap();
        assert!(matches!(source.look(), Look::Changed(s) if s.pool.max_connections == 500));
        std::fs::write(&path, "[pool").unwrap();
        assert!(matches!(source.look(), Look::Refused(why) if why.contains("app.toml")));
        assert_eq!(source.look(), Look::Unchanged, "told once");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(source.look(), Look::Refused(_)));
        assert_eq!(
            (source.look(), source.settings().pool.max_connections),
            (Look::Unchanged, 500)
        );
        std::fs::write(&path, text(1024)).unwrap();
        assert!(matches!(source.look(), Look::Changed(s) if s.is_exhausted()));
    }

    #[test]
    fn without_a_usable_file_it_does_not_start() {
        let directory = tempfile::tempdir().unwrap();
        let error = Source::open(directory.path().join("app.toml")).unwrap_err();
        assert!(error.contains("app.toml"), "{error}");
    }
}
