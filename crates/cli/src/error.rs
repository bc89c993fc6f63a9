//! What can end a command, and with which exit code.

use std::io;

use evenkeel_api::ClientError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The daemon did not answer, or said no.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// It was answered, and it did not work out: a guard held, a saga was undone, a log is broken.
    #[error("{0}")]
    Failed(String),
    /// The output could not be written, or the answer to a question not be read.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// 2 for wrong usage, 1 for everything else; a reader that closed its pipe had enough.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Output(_) if self.is_closed_pipe() => 0,
            Self::Client(_) | Self::Failed(_) | Self::Output(_) => 1,
        }
    }

    /// Whether whoever read the output went away, as `head` does.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}
