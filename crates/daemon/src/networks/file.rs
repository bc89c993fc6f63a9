//! A network where it is stored: `networks/KIND` in the state directory.
//!
//! The file is a mark with a version, a hash of what follows, and that in `postcard`'s format. It is written
//! beside its place, flushed and renamed: after a crash it is the old one or the new one, whole. It can be
//! done without: whoever cannot read it trains anew.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use evenkeel_core::Timestamp;
use evenkeel_forecast::lstm::{Checkpoint, CheckpointError};
use serde::{Deserialize, Serialize};

/// How every such file begins; the version comes after it.
const MARK: &[u8; 7] = b"evk-net";
/// Raised when the form of what follows changes.
const VERSION: u8 = 1;
/// Bytes before the content: mark, version, hash.
const HEADER: usize = MARK.len() + 1 + blake3::OUT_LEN;
/// The largest network that can be built is a tenth of this.
const BYTES_MAX: u64 = 4 << 20;

/// What is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    /// The kind of resource whose properties it learned from.
    pub(super) kind: String,
    /// When training ended.
    pub(super) at: Timestamp,
    /// The oldest instant that the first network of this kind learned from.
    pub(super) since: Timestamp,
    /// The network, with what it was trained on.
    pub(super) checkpoint: Checkpoint,
}

/// Why a file is not gone on from.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("is no network")]
    Foreign,
    /// Another build wrote it.
    #[error("has version {found}; this build reads version {VERSION}")]
    Version {
        /// The version it has.
        found: u8,
    },
    /// It is not what was written.
    #[error("is damaged")]
    Damaged,
    /// It was moved here.
    #[error("is the network of kind `{found}`")]
    Kind {
        /// The kind it is of.
        found: String,
    },
    /// Its network is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Reads the network of `kind`; `None` if there is no file.
pub(super) fn read(path: &Path, kind: &str) -> Result<Option<Stored>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let stored = decode(&bytes)?;
    if stored.kind != kind {
        return Err(FileError::Kind { found: stored.kind });
    }
    Ok(Some(stored))
}

/// Puts a network in the place of the one that was there.
pub(super) fn write(path: &Path, stored: &Stored) -> io::Result<()> {
    let bytes = encode(stored).map_err(io::Error::other)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let beside = path.with_extension("new");
    let written = write_new(&beside, &bytes).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        fs::remove_file(&beside).ok(); // the error matters more than what remains
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

fn write_new(beside: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::remove_file(beside).ok(); // of a process that was killed
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn encode(stored: &Stored) -> postcard::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(stored, vec![0; HEADER])?;
    let hash = blake3::hash(&bytes[HEADER..]);
    bytes[..MARK.len()].copy_from_slice(MARK);
    bytes[MARK.len()] = VERSION;
    bytes[MARK.len() + 1..HEADER].copy_from_slice(hash.as_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Stored, FileError> {
    let rest = bytes.strip_prefix(MARK).ok_or(FileError::Foreign)?;
    let (version, rest) = rest.split_first().ok_or(FileError::Damaged)?;
    if *version != VERSION {
        return Err(FileError::Version { found: *version });
    }
    let (hash, content) = rest
        .split_at_checked(blake3::OUT_LEN)
        .ok_or(FileError::Damaged)?;
    if hash != blake3::hash(content).as_bytes() {
        return Err(FileError::Damaged);
    }
    postcard::from_bytes(content).map_err(|_| FileError::Damaged)
}

#[cfg(test)]
mod tests {
    use evenkeel_forecast::lstm::{Architecture, TrainedOn};

    use super::*;

    fn stored() -> Stored {
        Stored {
            kind: "service".to_owned(),
            at: Timestamp::from_millis(1_700_000_000_000),
            since: Timestamp::from_millis(1_600_000_000_000),
            checkpoint: Checkpoint {
                version: 1,
                architecture: Architecture::default(),
                trained_on: TrainedOn::default(),
                validation_loss: 0.5,
                weights: vec![0.25, -1.0e-7, 3.0],
                digest: 7,
            },
        }
    }

    #[test]
    fn what_was_written_is_read_and_a_second_network_takes_the_place_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("networks/service");
        assert_eq!(read(&path, "service").unwrap(), None);
        for loss in [0.5, 0.25] {
            let mut stored = stored();
            stored.checkpoint.validation_loss = loss;
            write(&path, &stored).unwrap();
            assert_eq!(read(&path, "service").unwrap(), Some(stored));
        }
        let left = fs::read_dir(dir.path().join("networks")).unwrap();
        assert_eq!(left.count(), 1, "nothing is left beside it");
        let error = read(&path, "files").unwrap_err();
        assert_eq!(error.to_string(), "is the network of kind `service`");
    }

    #[test]
    fn no_byte_may_be_another_or_missing() {
        let bytes = encode(&stored()).unwrap();
        assert!(decode(&bytes).is_ok());
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {place}");
            assert!(decode(&bytes[..place]).is_err(), "only {place} bytes");
        }
        let mut newer = bytes;
        newer[MARK.len()] = VERSION + 1;
        let error = decode(&newer).unwrap_err().to_string();
        assert_eq!(error, "has version 2; this build reads version 1");
    }

    #[test]
    fn a_directory_in_its_place_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path(), "x"), Err(FileError::Io(_))));
        assert!(write(dir.path(), &stored()).is_err());
    }
}
