//! Why a call was not answered, each with the way out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::routes::{Effect, Route};
use crate::wire::Problem;

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at the socket.
    #[error(
        "{}: no daemon is running there: start it with `evenkeel run`, or name its socket with \
         --socket or EVENKEEL_SOCKET",
        .socket.display()
    )]
    NotRunning {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// The socket may not be opened by this user.
    #[error("{}: permission denied: {who}", .socket.display())]
    Denied {
        /// Which socket.
        socket: PathBuf,
        /// Who may open it.
        who: String,
    },
    /// There was no answer in time.
    #[error(
        "{}: no answer to {} within {} s: {}",
        .socket.display(), .route.template, .after.as_secs_f64(), advice(*.route)
    )]
    TimedOut {
        /// Which socket.
        socket: PathBuf,
        /// What was asked.
        route: Route,
        /// How long was waited.
        after: Duration,
    },
    /// The daemon said no, and why.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The answer cannot be understood.
    #[error(
        "{}: the answer cannot be understood: {what}: is this the daemon of the same version?",
        .route.template
    )]
    Malformed {
        /// What was asked.
        route: Route,
        /// What is wrong with the answer.
        what: String,
    },
    /// The connection failed or broke.
    #[error("{}: {what}: {}", .socket.display(), advice(*.route))]
    Broken {
        /// Which socket.
        socket: PathBuf,
        /// What was asked.
        route: Route,
        /// What went wrong.
        what: String,
    },
}

fn advice(route: Route) -> &'static str {
    match route.effect {
        Effect::Reading => "see the daemon's log",
        Effect::Acting => "it may have been done all the same, look with `evenkeel events`",
    }
}

impl ClientError {
    /// What a failed connect means.
    pub(super) fn connecting(socket: &Path, route: Route, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let socket = socket.to_path_buf();
        match error.kind() {
            // Refused: the file is there, left by a daemon that died.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Self::NotRunning { socket },
            ErrorKind::PermissionDenied => Self::Denied {
                who: who_may(&socket),
                socket,
            },
            // Other kinds (too many files open, a name too long for a socket) speak for themselves.
            _ => Self::Broken {
                what: format!("cannot connect: {error}"),
                socket,
                route,
            },
        }
    }

    /// Whether the daemon may simply be starting anew: worth asking again while following a run.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotRunning { .. } | Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Denied { .. } | Self::Refused(_) | Self::Malformed { .. } => false,
        }
    }
}

/// Who may open the socket, as far as its file shows that.
fn who_may(socket: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let way_out = "ask one of them, or use sudo";
    match std::fs::metadata(socket) {
        Ok(file) if file.mode() & 0o020 != 0 => format!(
            "root, user {} and members of group {} may connect: {way_out}",
            file.uid(),
            file.gid()
        ),
        Ok(file) => format!("root and user {} may connect: {way_out}", file.uid()),
        Err(_) => "its directory is closed to this user: use sudo".to_owned(),
    }
}
