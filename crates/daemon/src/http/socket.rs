//! The socket of the API: opened, with what a daemon that died has left cleared away first.
//!
//! The socket's file mode says who may connect: its owner and its group. There is no lock here; that
//! two daemons do not share one store is the store's business.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Owner and group may connect.
const SOCKET_MODE: u32 = 0o660;
/// A directory that is made for the socket: owner and group may enter.
const DIRECTORY_MODE: u32 = 0o750;

/// Why the API's socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A living process answers there.
    #[error(
        "{}: another evenkeel listens there: stop that one first, or give this one another \
         `socket` in [daemon]",
        .socket.display()
    )]
    Taken {
        /// Which socket.
        socket: PathBuf,
    },
    /// Something that is no socket stands there, and is not ours to remove.
    #[error(
        "{}: is not a socket: move it away, or give another `socket` in [daemon]",
        .socket.display()
    )]
    NotASocket {
        /// The path.
        socket: PathBuf,
    },
    /// It did not work out.
    #[error("{}: cannot {what}: {error}", .place.display())]
    Failed {
        /// The socket or its directory.
        place: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

/// Opens the socket at `path`, to be served. Needs a tokio runtime.
///
/// # Errors
/// When another process listens there, or the place cannot be used.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    if let Some(directory) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(failed(directory, "make the directory"))?;
    }
    clear(path)?;
    let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
        // Somebody was quicker.
        io::ErrorKind::AddrInUse => BindError::Taken {
            socket: path.to_path_buf(),
        },
        _ => failed(path, "open the socket")(error),
    })?;
    std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
        .map_err(failed(path, "set the socket's mode"))?;
    Ok(listener)
}

/// Removes a socket on which nobody answers.
fn clear(path: &Path) -> Result<(), BindError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, "look at the socket")(error)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket {
            socket: path.to_path_buf(),
        });
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            return Err(BindError::Taken {
                socket: path.to_path_buf(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => return Err(failed(path, "ask whether anybody listens")(error)),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(
            path,
            "remove the socket of a daemon that died",
        )(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(place: &Path, what: &'static str) -> impl FnOnce(io::Error) -> BindError {
    let place = place.to_path_buf();
    move |error| BindError::Failed { place, what, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_served_is_not_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/evenkeel.sock");
        let _listener = bind(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), SOCKET_MODE);
        assert_eq!(mode(path.parent().unwrap()) & !DIRECTORY_MODE, 0);
        let error = bind(&path).unwrap_err().to_string();
        assert!(error.contains("another evenkeel listens"), "{error}");
        assert!(
            UnixStream::connect(&path).is_ok(),
            "the first one still answers"
        );
    }

    #[tokio::test]
    async fn a_socket_that_nobody_serves_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evenkeel.sock");
        drop(bind(&path).unwrap());
        assert!(path.exists(), "a closed socket stays in its directory");
        let _listener = bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn a_file_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        let error = bind(&path).unwrap_err().to_string();
        assert!(error.contains("is not a socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
