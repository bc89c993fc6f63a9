//! What a command runs with: the daemon, the writers, the terminal, the time.

use std::io::{BufRead, Write};
use std::time::Duration;

use evenkeel_api::Client;
use evenkeel_core::Timestamp;
use serde::Serialize;

use crate::error::CliError;
use crate::render::Style;

/// How often a run or the events are asked for while they are followed.
pub(crate) const POLL: Duration = Duration::from_millis(300);

/// What is known of the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Whether to use colour.
    pub style: Style,
    /// Whether a person is there to answer a question.
    pub can_ask: bool,
    /// Whether a line may be written over: the output is a terminal.
    pub live: bool,
}

/// What a command runs with.
pub struct Session<'a> {
    /// The daemon.
    pub client: Client,
    /// Takes the answer.
    pub out: &'a mut dyn Write,
    /// Takes questions and notices.
    pub err: &'a mut dyn Write,
    /// Gives answers to questions.
    pub input: &'a mut dyn BufRead,
    /// The terminal.
    pub screen: Screen,
    /// Tells the time.
    pub clock: &'a dyn Fn() -> Timestamp,
    /// The time between two looks at something that is followed.
    pub poll: Duration,
}

impl Session<'_> {
    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Writes an answer as JSON, for programs.
    pub(crate) fn json<A: Serialize>(&mut self, answer: &A) -> Result<(), CliError> {
        serde_json::to_writer_pretty(&mut *self.out, answer)?;
        Ok(writeln!(self.out)?)
    }

    /// Writes an answer as JSON on one line, for a stream of them.
    pub(crate) fn json_line<A: Serialize>(&mut self, answer: &A) -> Result<(), CliError> {
        serde_json::to_writer(&mut *self.out, answer)?;
        Ok(writeln!(self.out)?)
    }

    /// Writes rendered text.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        Ok(self.out.write_all(text.as_bytes())?)
    }
}

/// The machine's clock.
#[allow(
    clippy::disallowed_methods,
    reason = "the edge of the command line: everything below takes the time as an argument"
)]
pub(crate) fn machine_clock() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
