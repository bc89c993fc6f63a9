//! Following a saga to its end, by asking again and again. The saga runs in the daemon: whatever
//! happens here, it goes on.

use std::collections::BTreeSet;

use evenkeel_api::ClientError;
use evenkeel_api::wire::{RunOutcome, RunView, StepStatus};

use crate::error::CliError;
use crate::render::text::elide;
use crate::render::{Paint, Painted, step_line};
use crate::session::Session;

/// How many looks in a row may fail before it is given up: a daemon that is started anew takes up
/// its sagas, and answers again within that.
const FAILED_LOOKS_MAX: u32 = 60;

/// Columns of the line that is written over.
const LIVE_COLUMNS: usize = 72;

/// What is shown while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Every step as it ends, and on a terminal the one under way.
    Shown,
    /// Nothing.
    Silent,
}

/// Counts failures that may pass.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failed_looks: u32,
}

impl Patience {
    /// The answer; `None` if there was none and it is worth asking again.
    pub(crate) fn judge<A>(
        &mut self,
        answer: Result<A, ClientError>,
    ) -> Result<Option<A>, ClientError> {
        match answer {
            Ok(answer) => {
                self.failed_looks = 0;
                Ok(Some(answer))
            }
            Err(error) if error.may_pass() && self.failed_looks < FAILED_LOOKS_MAX => {
                self.failed_looks += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Follows a saga to its end and gives it back as it was then.
pub(crate) async fn follow_run(
    session: &mut Session<'_>,
    run: &str,
    progress: Progress,
) -> Result<RunView, CliError> {
    let mut patience = Patience::default();
    let mut told = BTreeSet::new();
    loop {
        let answer = session.client.run(run).await;
        let seen = match patience.judge(answer) {
            Ok(seen) => seen,
            Err(error) => {
                clear_line(session)?;
                return Err(CliError::Failed(format!(
                    "{error}; {run} goes on in the daemon, look with `evenkeel saga show {run}`"
                )));
            }
        };
        if let Some(view) = seen {
            if progress == Progress::Shown {
                tell(session, &view, &mut told)?;
            }
            if view.outcome.is_some() {
                return Ok(view);
            }
        }
        tokio::time::sleep(session.poll).await;
    }
}

/// Writes the steps that ended since the last look. A step is told once per way of ending: one that
/// was done and is undone later is told twice.
fn tell(
    session: &mut Session<'_>,
    run: &RunView,
    told: &mut BTreeSet<(usize, StepStatus)>,
) -> Result<(), CliError> {
    let style = session.screen.style;
    clear_line(session)?;
    // What was done stands in the plan's order; undoing goes backwards.
    let indices = 0..run.steps.len();
    let forward = indices
        .clone()
        .filter(|index| !is_undoing(run.steps[*index].status));
    let backward = indices
        .rev()
        .filter(|index| is_undoing(run.steps[*index].status));
    let mut under_way = None;
    for index in forward.chain(backward) {
        let step = &run.steps[index];
        match step.status {
            StepStatus::Pending => {}
            StepStatus::Running | StepStatus::Undoing => under_way = Some(step),
            StepStatus::Done
            | StepStatus::Skipped
            | StepStatus::Failed
            | StepStatus::Undone
            | StepStatus::UndoFailed => {
                if told.insert((index, step.status)) {
                    let line = Painted::plain("  ").join(step_line(run, step));
                    writeln!(session.out, "{}", line.render(style).trim_end())?;
                }
            }
        }
    }
    if let (true, Some(step)) = (session.screen.live, under_way) {
        // Short enough for any terminal: a line that wraps cannot be cleared.
        let text = elide(&format!("  … {}: {}", step.name, step.what), LIVE_COLUMNS);
        write!(session.out, "{}", style.paint(Paint::Cyan, &text))?;
    }
    Ok(session.out.flush()?)
}

fn is_undoing(status: StepStatus) -> bool {
    match status {
        StepStatus::Undoing | StepStatus::Undone | StepStatus::UndoFailed => true,
        StepStatus::Pending
        | StepStatus::Running
        | StepStatus::Done
        | StepStatus::Skipped
        | StepStatus::Failed => false,
    }
}

/// Takes away the line of the step under way.
fn clear_line(session: &mut Session<'_>) -> Result<(), CliError> {
    if session.screen.live {
        write!(session.out, "\r\x1b[2K")?;
        session.out.flush()?;
    }
    Ok(())
}

/// How a saga ended, as a line and as the command's end.
pub(crate) fn conclude(session: &mut Session<'_>, run: &RunView) -> Result<(), CliError> {
    let way_out = format!("look with `evenkeel saga show {}`", run.id);
    match run.outcome {
        Some(RunOutcome::Done) => {
            let line = Painted::new(Paint::Green, format!("{} {} is done", run.id, run.kind));
            Ok(writeln!(
                session.out,
                "{}",
                line.render(session.screen.style)
            )?)
        }
        None => Ok(()),
        Some(RunOutcome::Undone) => Err(CliError::Failed(format!(
            "{} {} failed and was undone, everything is as it was: {way_out}",
            run.id, run.kind
        ))),
        Some(RunOutcome::Stuck) => Err(CliError::Failed(format!(
            "{} {} is stuck and holds {}: {way_out}, and `evenkeel release {}` when you have put it \
             right",
            run.id, run.kind, run.resource, run.resource
        ))),
    }
}
