//! The commands that act. All go the same way: show the plan, be confirmed, begin, follow to the end.
//!
//! Without `--yes` nothing is begun that a person at a terminal has not seen and confirmed; where
//! nobody is there to be asked, that is wrong usage, and the daemon is not even asked.

use evenkeel_api::ClientError;
use evenkeel_api::wire::{
    AcceptRequest, ActRequest, Acted, ApproveRequest, JudgeRequest, PauseRequest, RehearseRequest,
    RunOutcome, WindowRequest,
};

use crate::args::{
    AcceptArgs, ActArgs, ActFlags, ApproveArgs, JudgeArgs, PauseArgs, RehearseArgs, WindowArgs,
};
use crate::error::CliError;
use crate::follow::{Progress, conclude, follow_run};
use crate::render::{Page, Paint, Painted, plan_lines};
use crate::session::Session;

/// Whether the daemon is asked for the plan, or to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    DryRun,
    ForReal,
}

impl Call {
    fn is_dry_run(self) -> bool {
        match self {
            Self::DryRun => true,
            Self::ForReal => false,
        }
    }
}

/// The way of every command that acts; `call` asks the daemon.
async fn act(
    session: &mut Session<'_>,
    flags: &ActFlags,
    call: impl AsyncFn(&Session<'_>, Call) -> Result<Acted, ClientError>,
) -> Result<(), CliError> {
    if flags.dry_run {
        let plan = call(session, Call::DryRun).await?;
        return show_plan(session, flags, &plan);
    }
    if !flags.yes {
        if !session.screen.can_ask {
            return Err(CliError::Usage(
                "this acts, and nobody is at a terminal to confirm it: add --yes to do it, or \
                 --dry-run to see the plan"
                    .to_owned(),
            ));
        }
        let plan = call(session, Call::DryRun).await?;
        confirm(session, &plan)?;
    }
    let acted = call(session, Call::ForReal).await?;
    tell(session, flags, &acted).await
}

fn show_plan(session: &mut Session<'_>, flags: &ActFlags, acted: &Acted) -> Result<(), CliError> {
    if flags.json {
        return session.json(acted);
    }
    let mut page = Page::new(session.screen.style);
    plan_lines(&acted.plan)
        .into_iter()
        .for_each(|line| page.line(line));
    page.line(Painted::new(Paint::Dim, "dry run: nothing was done"));
    session.text(&page.finish())
}

/// Shows the plan and asks; anything but `y` or `yes` is a no.
fn confirm(session: &mut Session<'_>, acted: &Acted) -> Result<(), CliError> {
    let mut page = Page::new(session.screen.style);
    plan_lines(&acted.plan)
        .into_iter()
        .for_each(|line| page.line(line));
    write!(session.err, "{}Do it? [y/N] ", page.finish())?;
    session.err.flush()?;
    let mut answer = String::new();
    session.input.read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::Failed(
            "not confirmed: nothing was done".to_owned(),
        )),
    }
}

/// Tells what came of it, and follows a saga to its end unless told not to.
async fn tell(session: &mut Session<'_>, flags: &ActFlags, acted: &Acted) -> Result<(), CliError> {
    let followed = acted
        .run
        .as_deref()
        .filter(|_| acted.done && !flags.no_wait);
    if flags.json {
        let Some(run) = followed else {
            session.json(acted)?;
            return refused(acted);
        };
        let view = follow_run(session, run, Progress::Silent).await?;
        session.json(&serde_json::json!({ "acted": acted, "run": view }))?;
        return match view.outcome {
            Some(RunOutcome::Undone | RunOutcome::Stuck) => conclude(session, &view),
            Some(RunOutcome::Done) | None => Ok(()),
        };
    }
    if !acted.done {
        let mut page = Page::new(session.screen.style);
        plan_lines(&acted.plan)
            .into_iter()
            .for_each(|line| page.line(line));
        session.text(&page.finish())?;
        return refused(acted);
    }
    let mut page = Page::new(session.screen.style);
    page.line(acted.message.as_str());
    session.text(&page.finish())?;
    if let Some(run) = followed {
        let view = follow_run(session, run, Progress::Shown).await?;
        return conclude(session, &view);
    }
    Ok(())
}

fn refused(acted: &Acted) -> Result<(), CliError> {
    if acted.done {
        Ok(())
    } else {
        Err(CliError::Failed(acted.message.clone()))
    }
}

macro_rules! plain_actions {
    ($($(#[$doc:meta])* $name:ident;)+) => {
        $(
            $(#[$doc])*
            pub(super) async fn $name(session: &mut Session<'_>, args: &ActArgs) -> Result<(), CliError> {
                act(session, &args.flags, async |session, call| {
                    let request = ActRequest {
                        dry_run: call.is_dry_run(),
                        reason: args.reason.clone(),
                    };
                    session.client.$name(&args.resource, &request).await
                })
                .await
            }
        )+
    };
}

plain_actions! {
    /// `clone sync`
    sync;
    /// `failover`
    failover;
    /// `switchover`
    switchover;
    /// `failback`
    failback;
    /// `reinstate`
    reinstate;
    /// `resume`
    resume;
    /// `release`
    release;
}

/// `baseline accept`
pub(super) async fn accept(session: &mut Session<'_>, args: &AcceptArgs) -> Result<(), CliError> {
    let paths = if args.all {
        vec!["**".to_owned()]
    } else {
        args.paths.clone()
    };
    act(session, &args.flags, async |session, call| {
        let request = AcceptRequest {
            paths: paths.clone(),
            note: args.note.clone(),
            dry_run: call.is_dry_run(),
        };
        session
            .client
            .baseline_accept(&args.resource, &request)
            .await
    })
    .await
}

/// `clone rehearse`
pub(super) async fn rehearse(
    session: &mut Session<'_>,
    args: &RehearseArgs,
) -> Result<(), CliError> {
    act(session, &args.flags, async |session, call| {
        let request = RehearseRequest {
            generation: args.generation.clone(),
            dry_run: call.is_dry_run(),
            reason: args.reason.clone(),
        };
        session.client.rehearse(&args.resource, &request).await
    })
    .await
}

/// `approve`
pub(super) async fn approve(session: &mut Session<'_>, args: &ApproveArgs) -> Result<(), CliError> {
    act(session, &args.flags, async |session, call| {
        let request = ApproveRequest {
            for_s: args.for_.as_secs_f64(),
            dry_run: call.is_dry_run(),
            reason: args.reason.clone(),
        };
        session.client.approve(&args.resource, &request).await
    })
    .await
}

/// `pause`
pub(super) async fn pause(session: &mut Session<'_>, args: &PauseArgs) -> Result<(), CliError> {
    act(session, &args.flags, async |session, call| {
        let request = PauseRequest {
            for_s: args.for_.map(|span| span.as_secs_f64()),
            dry_run: call.is_dry_run(),
            reason: args.reason.clone(),
        };
        session.client.pause(&args.resource, &request).await
    })
    .await
}

/// `judge`
pub(super) async fn judge(session: &mut Session<'_>, args: &JudgeArgs) -> Result<(), CliError> {
    let event = session.client.event(&args.event).await?.event;
    let Some(resource) = event.resource else {
        let what = format!(
            "{} is about no resource: there is nothing to judge",
            event.id
        );
        return Err(CliError::Failed(what));
    };
    act(session, &args.flags, async |session, call| {
        let request = JudgeRequest {
            event: event.id.clone(),
            judgement: args.judgement,
            dry_run: call.is_dry_run(),
            reason: args.reason.clone(),
        };
        session.client.judge(&resource, &request).await
    })
    .await
}

/// `window`
pub(super) async fn window(session: &mut Session<'_>, args: &WindowArgs) -> Result<(), CliError> {
    // Once, so that the window which is confirmed is the one that is opened.
    let from = args.from.map(|from| from.ahead(session.now()).to_string());
    act(session, &args.flags, async |session, call| {
        let request = WindowRequest {
            from: from.clone(),
            for_s: args.for_.as_secs_f64(),
            why: args.why.clone(),
            dry_run: call.is_dry_run(),
        };
        session.client.window(&args.resource, &request).await
    })
    .await
}
