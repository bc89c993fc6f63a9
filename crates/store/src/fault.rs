//! What goes wrong inside this crate, before it is told to a caller. Inside, a place is a table and a
//! row; the file's name is put in front where the fault leaves the crate, as a [`StoreError`] or a
//! [`HistoryError`].

use std::io::ErrorKind;
use std::path::Path;

use evenkeel_core::ResourceId;
use evenkeel_ports::{HistoryError, Revision, StoreError};
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Anything that can go wrong between a call and its answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite says no.
    Sqlite(rusqlite::Error),
    /// A row cannot be understood.
    Damaged {
        /// Table and row.
        row: String,
        /// What is wrong.
        what: String,
    },
    /// The call asks for something that cannot be.
    Refused(String),
    /// The record is not at the revision the caller has read.
    Conflict {
        /// Whose record.
        resource: ResourceId,
        /// What the caller had read.
        expected: Revision,
        /// What is stored.
        found: Revision,
    },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What SQLite's error means to an operator.
enum Meaning {
    NoSpace,
    Damaged,
    Other,
}

fn meaning(error: &rusqlite::Error) -> Meaning {
    match error.sqlite_error() {
        // The shared-memory index of the log is the one file whose growth SQLite reports as an I/O
        // error when the disk is full.
        Some(e)
            if e.code == ErrorCode::DiskFull || e.extended_code == ffi::SQLITE_IOERR_SHMSIZE =>
        {
            Meaning::NoSpace
        }
        Some(e) if matches!(e.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Meaning::Damaged
        }
        Some(_) | None => Meaning::Other,
    }
}

/// What the operating system said about `place`, as the store tells it.
pub(crate) fn io_error(place: &Path, error: &std::io::Error) -> StoreError {
    let place = place.display().to_string();
    if error.kind() == ErrorKind::StorageFull {
        return StoreError::NoSpace { place };
    }
    StoreError::Failed {
        place,
        what: error.to_string(),
    }
}

impl Fault {
    /// As the control store tells it.
    pub(crate) fn into_store_error(self, file: &str) -> StoreError {
        let place = file.to_owned();
        match self {
            Self::Sqlite(error) => {
                let what = error.to_string();
                match meaning(&error) {
                    Meaning::NoSpace => StoreError::NoSpace { place },
                    Meaning::Damaged => StoreError::Damaged { place, what },
                    Meaning::Other => StoreError::Failed { place, what },
                }
            }
            Self::Damaged { row, what } => StoreError::Damaged {
                place: format!("{place}, {row}"),
                what,
            },
            Self::Refused(what) => StoreError::Failed { place, what },
            Self::Conflict {
                resource,
                expected,
                found,
            } => StoreError::Conflict {
                resource,
                expected,
                found,
            },
        }
    }

    /// As the history tells it.
    pub(crate) fn into_history_error(self, file: &str) -> HistoryError {
        match self.into_store_error(file) {
            StoreError::NoSpace { place } => HistoryError::NoSpace { place },
            StoreError::Damaged { place, what } => HistoryError::Damaged { place, what },
            StoreError::Failed { place, what } => HistoryError::Failed { place, what },
            other @ (StoreError::Locked { .. }
            | StoreError::Conflict { .. }
            | StoreError::Newer { .. }) => HistoryError::Failed {
                place: file.to_owned(),
                what: other.to_string(),
            },
        }
    }
}
