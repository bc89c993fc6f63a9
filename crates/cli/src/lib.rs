//! The command line of Evenkeel: the tree of commands, and the ones that ask a running daemon.
//!
//! `demo`, `init`, `check` and `run` are only parsed here ([`LocalCommand`]); the binary hands them to
//! whoever does them. Everything else is a [`RemoteCommand`]: [`run_remote`] asks the daemon over its
//! socket, and renders the answer for an operator at three in the morning.
//!
//! Exit codes: 0 done, 1 failure (one line on stderr: what, and the way out), 2 wrong usage.
//!
//! Output goes through the writers of a [`Session`], so that tests read what an operator would.

pub mod args;
mod commands;
mod error;
mod follow;
pub mod render;
mod series;
mod session;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

pub use args::{
    CheckArgs, DemoArgs, Globals, InitArgs, Invocation, LocalCommand, RemoteCommand, RunArgs,
    parse_from, try_parse_from,
};
pub use commands::execute;
pub use error::CliError;
pub use session::{Screen, Session};

use render::Style;

/// Asks the daemon and renders its answer on this process's own stdout, with a runtime of its own.
pub fn run_remote(command: RemoteCommand, globals: &Globals) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report(&CliError::Output(error)),
    };
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let stdout_is_terminal = stdout.is_terminal();
    let screen = Screen {
        style: Style::choose(
            globals.color,
            stdout_is_terminal,
            std::env::var_os("NO_COLOR").as_deref(),
        ),
        // A question is asked on stderr, so that stdout may be redirected.
        can_ask: stdin.is_terminal() && stderr.is_terminal(),
        live: stdout_is_terminal,
    };
    let client = evenkeel_api::Client::new(globals.socket_path());
    let outcome = runtime.block_on(async {
        let mut out = stdout.lock();
        let mut session = Session {
            client,
            out: &mut out,
            err: &mut stderr.lock(),
            input: &mut stdin.lock(),
            screen,
            clock: &session::machine_clock,
            poll: session::POLL,
        };
        execute(command, &mut session).await?;
        Ok(out.flush()?)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// Writes the completion script of `shell`.
///
/// # Errors
/// When `out` does not take it.
pub fn print_completions(shell: clap_complete::Shell, out: &mut dyn Write) -> io::Result<()> {
    // Through a buffer: the generator panics on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "evenkeel", &mut script);
    out.write_all(&script)
}

/// Tells of an error on stderr in one line, and gives its exit code.
fn report(error: &CliError) -> ExitCode {
    if !error.is_closed_pipe() {
        // There is nobody left to tell if stderr is closed.
        let _ = writeln!(
            io::stderr(),
            "evenkeel: {}",
            render::one_line(&error.to_string())
        );
    }
    ExitCode::from(error.exit_code())
}
