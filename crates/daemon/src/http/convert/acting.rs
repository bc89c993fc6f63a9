//! What people are answered when they act.

use evenkeel_api::wire;
use evenkeel_core::baseline::Difference;
use evenkeel_core::failover::{Plan, PlanKind};
use evenkeel_core::property::Value;

use super::words;
use crate::engine::Answer;

pub(in crate::http) fn acted(answer: &Answer) -> wire::Acted {
    let plan = answer.plan.as_ref();
    let steps = plan.into_iter().flat_map(|plan| {
        plan.steps
            .iter()
            .map(|step| planned(step.as_str(), step.describe(plan)))
    });
    let accepted = answer
        .accepted
        .iter()
        .map(|difference| planned("accept", told(difference)));
    wire::Acted {
        done: answer.done,
        plan: wire::PlanView {
            sentence: plan.map_or_else(|| answer.message.clone(), plan_sentence),
            steps: steps.chain(accepted).collect(),
            guards: words::guards(&answer.guards),
        },
        run: plan
            .filter(|_| answer.done)
            .map(|plan| plan.run.to_string()),
        event: answer.event.map(|event| event.to_string()),
        message: answer.message.clone(),
    }
}

pub(in crate::http) fn planned(name: &str, what: String) -> wire::PlannedStep {
    wire::PlannedStep {
        name: name.to_owned(),
        what,
    }
}

fn plan_sentence(plan: &Plan) -> String {
    let Plan {
        kind,
        resource,
        from,
        to,
        ..
    } = plan;
    match kind {
        PlanKind::Failover | PlanKind::Switchover | PlanKind::Failback => {
            format!("{kind} of {resource} from {from} to {to}")
        }
        PlanKind::Reinstatement => {
            format!("{kind} of {from}, while {to} serves {resource}")
        }
    }
}

/// One difference, as the step of accepting it.
fn told(difference: &Difference) -> String {
    let text = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or_else(|| "absent".to_owned(), Value::brief)
    };
    let (approved, found) = (text(&difference.approved), text(&difference.found));
    format!("{}: {approved} -> {found}", difference.path)
}
