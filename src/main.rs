//! The binary `evenkeel`: arguments to `cli`, `daemon` or `demo`, nothing else.

use std::io::Write as _;
use std::process::ExitCode;

use evenkeel_cli::{Invocation, LocalCommand, RunArgs};

fn main() -> ExitCode {
    // The demo's own little service is this binary too, so that the demo needs nothing installed.
    let mut arguments = std::env::args();
    if arguments.nth(1).as_deref() == Some(evenkeel_demo::SERVICE_COMMAND) {
        return evenkeel_demo::run_service(arguments);
    }
    match evenkeel_cli::parse_from(std::env::args_os()) {
        Invocation::Remote(command, globals) => evenkeel_cli::run_remote(command, &globals),
        Invocation::Completions(shell) => told(evenkeel_cli::print_completions(
            shell,
            &mut std::io::stdout(),
        )),
        Invocation::Local(command, globals) => match command {
            LocalCommand::Demo(args) => evenkeel_demo::main(&args, &globals),
            LocalCommand::Run(args) => told(run(&args)),
            LocalCommand::Check(args) => {
                let good = evenkeel_daemon::local::check(
                    &args.config_path(),
                    args.schema,
                    args.json,
                    &mut std::io::stdout(),
                );
                match good {
                    Ok(true) => ExitCode::SUCCESS,
                    Ok(false) => ExitCode::FAILURE,
                    Err(error) => told(Err(error)),
                }
            }
            LocalCommand::Init(args) => told(evenkeel_daemon::local::init(
                &args.root,
                &args.output,
                args.force,
                args.json,
                &mut std::io::stdout(),
            )),
        },
    }
}

fn run(args: &RunArgs) -> anyhow::Result<()> {
    evenkeel_daemon::log_to_stderr(args.log.as_str());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    runtime.block_on(evenkeel_daemon::serve(&args.config_path()))
}

/// Success, or one line on stderr that says what is wrong.
fn told<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if stderr is closed.
            let _ = writeln!(std::io::stderr(), "evenkeel: {error:#}");
            ExitCode::FAILURE
        }
    }
}
