//! Plans, guards and sagas, as `--dry-run`, `saga show` and `explain` show them, and the demo too.

use evenkeel_api::wire::{Choice, GuardCheck, PlanView, RunOutcome, RunStep, RunView, StepStatus};

use super::painted::Painted;
use super::style::Paint;
use super::text;

/// Columns for the name of a step or a guard.
const NAME: usize = 15;

/// A plan: the sentence, the steps, and what the guards say.
pub fn plan_lines(plan: &PlanView) -> Vec<Painted> {
    let mut lines = vec![Painted::new(Paint::Bold, &plan.sentence)];
    for (index, step) in plan.steps.iter().enumerate() {
        let what = format!("{:>4}. {:NAME$} {}", index + 1, step.name, step.what);
        lines.push(Painted::plain(what));
    }
    if !plan.guards.is_empty() {
        lines.push(Painted::new(Paint::Dim, "guards:"));
        lines.extend(
            guard_lines(&plan.guards)
                .into_iter()
                .map(|line| Painted::plain("  ").join(line)),
        );
    }
    lines
}

/// What each guard says; ✗ is one that holds the failover back. Those come first.
pub fn guard_lines(guards: &[GuardCheck]) -> Vec<Painted> {
    let (holding, passing): (Vec<_>, Vec<_>) = guards.iter().partition(|check| check.holds);
    holding
        .into_iter()
        .chain(passing)
        .map(|check| {
            let mark = if check.holds {
                Painted::new(Paint::Red, "✗")
            } else {
                Painted::new(Paint::Green, "✓")
            };
            mark.then(
                Paint::Plain,
                format!(" {:NAME$} {}", check.guard, check.sentence),
            )
        })
        .collect()
}

/// One saga: what for, how it ended, every step with its time.
pub fn run_lines(run: &RunView) -> Vec<Painted> {
    let mut lines = vec![headline(run)];
    lines.push(Painted::plain(format!("  because {}", run.why)));
    if let Some(choice) = &run.choice {
        lines.push(Painted::plain(format!("  with {}", choice_text(choice))));
    }
    for step in &run.steps {
        if run.forward_from.as_deref() == Some(step.name.as_str()) {
            let note = "    ─── from here on there is no way back, only forward ───";
            lines.push(Painted::new(Paint::Dim, note));
        }
        lines.push(Painted::plain("  ").join(step_line(run, step)));
    }
    lines
}

fn headline(run: &RunView) -> Painted {
    let move_text = format!(" of {} from {} to {}: ", run.resource, run.from, run.to);
    let took = match (
        text::parse_time(&run.at),
        run.ended_at.as_deref().and_then(text::parse_time),
    ) {
        (Some(began), Some(ended)) => {
            format!(" after {}", evenkeel_core::Brief(ended.since(began)))
        }
        (None | Some(_), None) | (None, Some(_)) => String::new(),
    };
    let (paint, end) = match run.outcome {
        None => (Paint::Cyan, "running".to_owned()),
        Some(RunOutcome::Done) => (Paint::Green, format!("done{took}")),
        Some(RunOutcome::Undone) => (
            Paint::Yellow,
            format!("undone{took}: everything is as it was"),
        ),
        Some(RunOutcome::Stuck) => (Paint::Red, format!("stuck{took}: a person must look")),
    };
    Painted::new(Paint::Bold, format!("{} {}", run.id, run.kind))
        .then(Paint::Plain, move_text)
        .then(paint, end)
}

fn choice_text(choice: &Choice) -> String {
    let config = format!(
        "the configuration of {} ({})",
        choice.config_from,
        text::date_time(&choice.config_at)
    );
    format!(
        "{config} and the data of {} ({})",
        choice.data_from,
        text::date_time(&choice.data_at)
    )
}

/// One step: mark, name, when it was begun seen from the run's start, how long it took, what came of
/// it.
pub fn step_line(run: &RunView, step: &RunStep) -> Painted {
    let (mark, paint) = match step.status {
        StepStatus::Pending => ("·", Paint::Dim),
        StepStatus::Running => ("…", Paint::Cyan),
        StepStatus::Done => ("✓", Paint::Green),
        StepStatus::Skipped => ("–", Paint::Yellow),
        StepStatus::Failed | StepStatus::UndoFailed => ("✗", Paint::Red),
        StepStatus::Undoing => ("↶", Paint::Cyan),
        StepStatus::Undone => ("↶", Paint::Yellow),
    };
    let began = match (
        text::parse_time(&run.at),
        step.began_at.as_deref().and_then(text::parse_time),
    ) {
        (Some(start), Some(began)) => format!("+{}", evenkeel_core::Brief(began.since(start))),
        (None | Some(_), None) | (None, Some(_)) => String::new(),
    };
    let took = step.took_ms.map(text::span_ms).unwrap_or_default();
    // A step that was not begun says what it would do, another what came of it.
    let said = step
        .note
        .as_deref()
        .filter(|note| !note.is_empty())
        .unwrap_or(&step.what);
    let status = match step.status {
        StepStatus::Pending | StepStatus::Running | StepStatus::Done => String::new(),
        StepStatus::Skipped if said.starts_with("skipped") => String::new(),
        StepStatus::Skipped
        | StepStatus::Failed
        | StepStatus::UndoFailed
        | StepStatus::Undoing
        | StepStatus::Undone => format!("{}: ", step.status.as_str().replace('_', " ")),
    };
    let attempts = if step.attempts > 1 {
        format!(" (attempt {})", step.attempts)
    } else {
        String::new()
    };
    Painted::new(paint, mark)
        .then(
            Paint::Plain,
            format!(" {:NAME$} {began:>8} {took:>8}  ", step.name),
        )
        .then(Paint::Plain, format!("{status}{said}{attempts}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use evenkeel_api::wire::{Instance, PlanKind, PlannedStep};

    use super::super::style::Style;
    use super::*;

    fn step(name: &str, status: StepStatus, began: Option<&str>, note: Option<&str>) -> RunStep {
        RunStep {
            name: name.into(),
            what: format!("what {name} does"),
            status,
            attempts: u32::from(began.is_some()),
            began_at: began.map(str::to_owned),
            ended_at: None,
            took_ms: note.map(|_| 120),
            note: note.map(str::to_owned),
        }
    }

    pub(crate) fn run() -> RunView {
        RunView {
            id: "r12".into(),
            resource: "web".into(),
            kind: PlanKind::Failover,
            at: "2026-11-24T23:14:05.000Z".into(),
            why: "memory/used is predicted to leave its band in 14 min".into(),
            from: Instance::A,
            to: Instance::B,
            choice: Some(Choice {
                config_from: "g3".into(),
                config_at: "2026-11-24T20:00:00Z".into(),
                data_from: "g5".into(),
                data_at: "2026-11-24T23:13:00Z".into(),
            }),
            steps: vec![
                step(
                    "lease",
                    StepStatus::Done,
                    Some("2026-11-24T23:14:05.010Z"),
                    Some("token t4"),
                ),
                RunStep {
                    attempts: 2,
                    ..step(
                        "activate",
                        StepStatus::Done,
                        Some("2026-11-24T23:14:05.200Z"),
                        Some("pid 4711"),
                    )
                },
                step(
                    "redirect",
                    StepStatus::Done,
                    Some("2026-11-24T23:14:07.200Z"),
                    Some("8080 -> b"),
                ),
                step(
                    "drain",
                    StepStatus::Skipped,
                    Some("2026-11-24T23:14:08Z"),
                    Some("2 clients cut"),
                ),
                step("record", StepStatus::Pending, None, None),
            ],
            forward_from: Some("redirect".into()),
            outcome: Some(RunOutcome::Done),
            ended_at: Some("2026-11-24T23:14:13.400Z".into()),
        }
    }

    #[test]
    fn a_run_is_told_step_by_step_with_its_point_of_no_return() {
        let lines: Vec<String> = run_lines(&run())
            .iter()
            .map(|l| l.render(Style::PLAIN))
            .collect();
        assert_eq!(
            lines,
            [
                "r12 failover of web from a to b: done after 8.4 s",
                "  because memory/used is predicted to leave its band in 14 min",
                "  with the configuration of g3 (2026-11-24 20:00:00Z) and the data of g5 \
                 (2026-11-24 23:13:00Z)",
                "  ✓ lease             +10 ms   120 ms  token t4",
                "  ✓ activate         +200 ms   120 ms  pid 4711 (attempt 2)",
                "    ─── from here on there is no way back, only forward ───",
                "  ✓ redirect          +2.2 s   120 ms  8080 -> b",
                "  – drain               +3 s   120 ms  skipped: 2 clients cut",
                "  · record                             what record does",
            ]
        );
    }

    #[test]
    fn a_plan_shows_first_what_holds_it_back() {
        let guard = |guard: &str, holds, sentence: &str| GuardCheck {
            guard: guard.into(),
            holds,
            sentence: sentence.into(),
        };
        let plan = PlanView {
            sentence: "fail web over to b".into(),
            steps: vec![PlannedStep {
                name: "lease".into(),
                what: "take the lease".into(),
            }],
            guards: vec![
                guard("mode", false, "the mode is act"),
                guard("cool-down", true, "the last failover was 2 min ago"),
            ],
        };
        let lines: Vec<String> = plan_lines(&plan)
            .iter()
            .map(|l| l.render(Style::PLAIN))
            .collect();
        assert_eq!(
            lines,
            [
                "fail web over to b",
                "   1. lease           take the lease",
                "guards:",
                "  ✗ cool-down       the last failover was 2 min ago",
                "  ✓ mode            the mode is act",
            ]
        );
    }
}
