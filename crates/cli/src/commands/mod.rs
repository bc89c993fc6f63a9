//! What each command does: ask the daemon, render the answer. Rendering stands in pure functions
//! (`page`), so that it is tested on fixed values.

mod act;
mod audit;
mod backtest;
mod baseline;
mod clones;
mod events;
mod explain;
mod forecast;
mod history;
mod properties;
mod saga;
mod simulate;
mod status;

use crate::args::{AuditCommand, BaselineCommand, CloneCommand, RemoteCommand, SagaCommand};
use crate::error::CliError;
use crate::session::Session;

/// Does one command in a session.
///
/// # Errors
/// When the daemon does not answer or says no, when what was asked did not work out, or when the
/// output cannot be written.
pub async fn execute(command: RemoteCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        RemoteCommand::Status(args) => status::status(session, &args).await,
        RemoteCommand::Properties(args) => properties::properties(session, &args).await,
        RemoteCommand::Baseline(BaselineCommand::Show(args)) => {
            baseline::show(session, &args).await
        }
        RemoteCommand::Baseline(BaselineCommand::Diff(args)) => {
            baseline::diff(session, &args).await
        }
        RemoteCommand::Baseline(BaselineCommand::Accept(args)) => act::accept(session, &args).await,
        RemoteCommand::Baseline(BaselineCommand::History(args)) => {
            baseline::history(session, &args).await
        }
        RemoteCommand::History(args) => history::history(session, &args).await,
        RemoteCommand::Forecast(args) => forecast::forecast(session, &args).await,
        RemoteCommand::Backtest(args) => backtest::backtest(session, &args).await,
        RemoteCommand::Simulate(args) => simulate::simulate(session, &args).await,
        RemoteCommand::Clone(CloneCommand::List(args)) => clones::list(session, &args).await,
        RemoteCommand::Clone(CloneCommand::Sync(args)) => act::sync(session, &args).await,
        RemoteCommand::Clone(CloneCommand::Rehearse(args)) => act::rehearse(session, &args).await,
        RemoteCommand::Clone(CloneCommand::Diff(args)) => clones::diff(session, &args).await,
        RemoteCommand::Failover(args) => act::failover(session, &args).await,
        RemoteCommand::Switchover(args) => act::switchover(session, &args).await,
        RemoteCommand::Failback(args) => act::failback(session, &args).await,
        RemoteCommand::Reinstate(args) => act::reinstate(session, &args).await,
        RemoteCommand::Approve(args) => act::approve(session, &args).await,
        RemoteCommand::Pause(args) => act::pause(session, &args).await,
        RemoteCommand::Resume(args) => act::resume(session, &args).await,
        RemoteCommand::Judge(args) => act::judge(session, &args).await,
        RemoteCommand::Window(args) => act::window(session, &args).await,
        RemoteCommand::Release(args) => act::release(session, &args).await,
        RemoteCommand::Events(args) => events::events(session, &args).await,
        RemoteCommand::Explain(args) => explain::explain(session, &args).await,
        RemoteCommand::Saga(SagaCommand::Show(args)) => saga::show(session, &args).await,
        RemoteCommand::Audit(AuditCommand::List(args)) => audit::list(session, &args).await,
        RemoteCommand::Audit(AuditCommand::Verify { json }) => audit::verify(session, json).await,
    }
}
