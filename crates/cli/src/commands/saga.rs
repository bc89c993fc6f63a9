//! `saga show`: one failover or reinstatement, step by step.

use crate::args::SagaShowArgs;
use crate::error::CliError;
use crate::follow::{Progress, conclude, follow_run};
use crate::render::{Page, run_lines};
use crate::session::Session;

pub(super) async fn show(session: &mut Session<'_>, args: &SagaShowArgs) -> Result<(), CliError> {
    if args.follow {
        let run = follow_run(session, &args.run, Progress::Shown).await?;
        return conclude(session, &run);
    }
    let run = session.client.run(&args.run).await?;
    if args.json {
        return session.json(&run);
    }
    let mut page = Page::new(session.screen.style);
    run_lines(&run).into_iter().for_each(|line| page.line(line));
    session.text(&page.finish())
}
