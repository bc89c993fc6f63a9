//! Plans: every step of a failover or a reinstatement, fixed before the first one runs. No choice is
//! left to the executor.
//!
//! A failover by *forecast* has a healthy primary. So a clone that can run beside its primary is
//! activated and checked before anything else moves; one that cannot (a single writer) comes up only
//! after the primary is fenced, and after the last delta of what the primary wrote.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::generation::Choice;
use crate::ids::{FencingToken, Instance, ResourceId, RunId};
use crate::time::Timestamp;

/// One step. Each is idempotent, has a deadline, and has an undo (which for some is to do nothing).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Take the resource's lease with the plan's fencing token.
    Lease,
    /// Stop the clone's reconciler, so that nothing but the plan moves deltas.
    FreezeSync,
    /// Move the newest data while the primary still serves.
    PreSync,
    /// Make sure that the old primary accepts no writes any more.
    Fence,
    /// Move what the primary wrote up to the fence.
    FinalSync,
    /// Put the chosen generation in place and start it.
    Activate,
    /// Ask the clone, at its own address, whether it is well.
    HealthCheck,
    /// Point the clients at the clone.
    Redirect,
    /// Ask, the way clients come, who answers.
    VerifyTraffic,
    /// Let the old primary's clients finish, within the grace time.
    Drain,
    /// Make sure, after the clients left, that the old primary is out of service.
    FenceOld,
    /// Write the record and tell people.
    Record,
    /// Collect evidence on the old primary, before anything there is put back.
    Diagnose,
    /// Put the old primary's configuration back to the baseline.
    Revert,
    /// Read the old primary again and compare.
    VerifyRevert,
    /// Make the old primary the standby: first full sync in the new direction.
    Reprotect,
}

impl Step {
    /// The step's name in journals, plans and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::FreezeSync => "freeze sync",
            Self::PreSync => "pre-sync",
            Self::Fence => "fence",
            Self::FinalSync => "final sync",
            Self::Activate => "activate",
            Self::HealthCheck => "health check",
            Self::Redirect => "redirect",
            Self::VerifyTraffic => "verify traffic",
            Self::Drain => "drain",
            Self::FenceOld => "fence old",
            Self::Record => "record",
            Self::Diagnose => "diagnose",
            Self::Revert => "revert",
            Self::VerifyRevert => "verify revert",
            Self::Reprotect => "re-protect",
        }
    }

    /// What the step does, as a plan shows it.
    pub fn describe(self, plan: &Plan) -> String {
        let (from, to) = (plan.from, plan.to);
        match self {
            Self::Lease => format!(
                "take the lease of {} with token {}",
                plan.resource, plan.token
            ),
            Self::FreezeSync => "stop the clone's own sync".into(),
            Self::PreSync => format!("move the newest data from {from}, which still serves"),
            Self::Fence => format!("stop {from} and refuse its address"),
            Self::FinalSync => format!("move what {from} wrote until it was fenced"),
            Self::Activate => match &plan.choice {
                Some(choice) => format!(
                    "put configuration of {} and data of {} (or newer) in place at {to}, start it",
                    choice.config_from, choice.data_from
                ),
                None => format!("start {to}"),
            },
            Self::HealthCheck => format!("check the health of {to} at its own address"),
            Self::Redirect => format!("point clients at {to}"),
            Self::VerifyTraffic => format!("verify that clients reach {to}"),
            Self::Drain => format!("let the clients of {from} finish"),
            Self::FenceOld => format!("stop {from} and refuse its address"),
            Self::Record => "write the record, alert".into(),
            Self::Diagnose => format!("collect evidence on {from}"),
            Self::Revert => format!("put the configuration of {from} back to the baseline"),
            Self::VerifyRevert => format!("read {from} again and compare with the baseline"),
            Self::Reprotect => format!("sync {to} to {from}, which becomes the standby"),
        }
    }

    /// The longest the step may take, before its attempt counts as failed with unknown effect.
    pub fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Lease | Self::FreezeSync | Self::Record => 10,
            Self::HealthCheck | Self::Redirect | Self::VerifyTraffic => 30,
            Self::Fence | Self::FenceOld | Self::Activate | Self::Drain => 60,
            Self::VerifyRevert | Self::Diagnose => 120,
            Self::PreSync | Self::FinalSync | Self::Revert | Self::Reprotect => 600,
        })
    }

    /// Whether the plan can go on without this step: better an older (still allowed) state of the
    /// data, an unfinished drain, or a missing piece of evidence than no failover.
    pub fn can_be_skipped(self) -> bool {
        match self {
            Self::PreSync | Self::Drain | Self::Diagnose => true,
            Self::Lease
            | Self::FreezeSync
            | Self::Fence
            | Self::FinalSync
            | Self::Activate
            | Self::HealthCheck
            | Self::Redirect
            | Self::VerifyTraffic
            | Self::FenceOld
            | Self::Record
            | Self::Revert
            | Self::VerifyRevert
            | Self::Reprotect => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Unplanned: a predicted or observed breach.
    Failover,
    /// Planned by a person.
    Switchover,
    /// Planned by a person: back to where the resource was first found.
    Failback,
    /// Diagnose, revert and re-protect the instance that no longer serves.
    Reinstatement,
}

impl PlanKind {
    /// `failover`, `switchover`, `failback` or `reinstatement`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Failback => "failback",
            Self::Reinstatement => "reinstatement",
        }
    }
}

impl fmt::Display for PlanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a kind of resource can do, which decides the order of a plan's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Two running at once would write against each other: fence first.
    pub single_writer: bool,
    /// There are clients to be redirected.
    pub has_traffic: bool,
    /// There is data beside configuration.
    pub has_data: bool,
    /// The clone can be activated in isolation to see whether it would work.
    pub can_rehearse: bool,
}

impl Capabilities {
    /// Of what has clients and no data: two may run at once.
    pub const STATELESS: Self = Self {
        single_writer: false,
        has_traffic: true,
        has_data: false,
        can_rehearse: true,
    };
}

/// Everything that will be done, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Names the run.
    pub run: RunId,
    /// Which resource.
    pub resource: ResourceId,
    /// Carried by every step; whoever is acted on refuses a lower one.
    pub token: FencingToken,
    /// What for.
    pub kind: PlanKind,
    /// When it was made.
    pub at: Timestamp,
    /// Why, in one sentence.
    pub why: String,
    /// The instance that serves (reinstatement: that no longer serves).
    pub from: Instance,
    /// The instance that will serve (reinstatement: that serves).
    pub to: Instance,
    /// What is activated; reinstatement: what the old primary is put back to.
    pub choice: Option<Choice>,
    /// In order, none twice.
    pub steps: Vec<Step>,
    /// From this step on clients may have moved: no way back, only forward.
    pub forward_from: Option<Step>,
    /// How often one step may be begun.
    pub attempts_max: u32,
}

/// What every plan has of its own.
#[derive(Clone, Debug)]
pub struct Heading {
    /// See [`Plan::run`].
    pub run: RunId,
    /// See [`Plan::resource`].
    pub resource: ResourceId,
    /// See [`Plan::token`].
    pub token: FencingToken,
    /// See [`Plan::at`].
    pub at: Timestamp,
    /// See [`Plan::why`].
    pub why: String,
    /// See [`Plan::from`].
    pub from: Instance,
}

impl Plan {
    /// Moves the clients of `heading.from` to the other instance.
    ///
    /// A planned move of a resource that has data fences first even where two could run at once, so
    /// that nothing which was written is left behind.
    pub fn move_clients(
        kind: PlanKind,
        heading: Heading,
        choice: Choice,
        capabilities: Capabilities,
    ) -> Self {
        let planned = match kind {
            PlanKind::Failover | PlanKind::Reinstatement => false,
            PlanKind::Switchover | PlanKind::Failback => true,
        };
        let fence_first = capabilities.single_writer || planned && capabilities.has_data;
        let mut steps = vec![Step::Lease, Step::FreezeSync];
        if capabilities.has_data {
            steps.push(Step::PreSync);
        }
        if fence_first {
            steps.push(Step::Fence);
            if capabilities.has_data {
                steps.push(Step::FinalSync);
            }
        }
        steps.extend([Step::Activate, Step::HealthCheck]);
        if capabilities.has_traffic {
            steps.extend([Step::Redirect, Step::VerifyTraffic, Step::Drain]);
        }
        if !fence_first {
            steps.push(Step::FenceOld);
        }
        steps.push(Step::Record);
        let forward_from = match (capabilities.has_traffic, fence_first) {
            (true, _) => Step::Redirect,
            (false, false) => Step::FenceOld,
            (false, true) => Step::Record,
        };
        Self::assemble(kind, heading, Some(choice), steps, Some(forward_from))
    }

    /// Diagnoses `heading.from`, which no longer serves, puts it back to `choice` and makes it the
    /// standby of the other instance. Each step leaves the resource no worse than it was, so there
    /// is nothing to unwind to: it only goes forward.
    pub fn reinstatement(heading: Heading, choice: Option<Choice>) -> Self {
        let steps = vec![
            Step::Lease,
            Step::FreezeSync,
            Step::Diagnose,
            Step::Revert,
            Step::VerifyRevert,
            Step::Reprotect,
            Step::Record,
        ];
        Self::assemble(
            PlanKind::Reinstatement,
            heading,
            choice,
            steps,
            Some(Step::Diagnose),
        )
    }

    fn assemble(
        kind: PlanKind,
        heading: Heading,
        choice: Option<Choice>,
        steps: Vec<Step>,
        forward_from: Option<Step>,
    ) -> Self {
        let Heading {
            run,
            resource,
            token,
            at,
            why,
            from,
        } = heading;
        let to = from.other();
        let attempts_max = 3;
        Self {
            run,
            resource,
            token,
            kind,
            at,
            why,
            from,
            to,
            choice,
            steps,
            forward_from,
            attempts_max,
        }
    }

    /// Whether, once `step` was begun, there is no way back.
    pub fn is_past_return(&self, step: Step) -> bool {
        let position = |wanted| self.steps.iter().position(|&s| s == wanted);
        match (self.forward_from.and_then(position), position(step)) {
            (Some(point), Some(here)) => here >= point,
            (None, _) | (_, None) => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids::GenerationId;

    pub(crate) fn heading() -> Heading {
        Heading {
            run: RunId(1),
            resource: "web".into(),
            token: FencingToken(7),
            at: Timestamp::from_millis(0),
            why: "test".into(),
            from: Instance::A,
        }
    }

    pub(crate) fn choice() -> Choice {
        let at = Timestamp::from_millis(0);
        let id = GenerationId(1);
        Choice {
            config_from: id,
            data_from: id,
            config_at: at,
            data_at: at,
        }
    }

    fn position(plan: &Plan, step: Step) -> usize {
        plan.steps
            .iter()
            .position(|&s| s == step)
            .unwrap_or_else(|| panic!("no {step}"))
    }

    #[test]
    fn a_clone_that_can_run_beside_is_checked_before_anything_moves() {
        let plan = Plan::move_clients(
            PlanKind::Failover,
            heading(),
            choice(),
            Capabilities::STATELESS,
        );
        assert!(position(&plan, Step::HealthCheck) < position(&plan, Step::Redirect));
        assert!(position(&plan, Step::Redirect) < position(&plan, Step::FenceOld));
        assert!(!plan.steps.contains(&Step::Fence));
    }

    #[test]
    fn a_single_writer_is_fenced_before_its_clone_comes_up() {
        let writer = Capabilities {
            single_writer: true,
            has_data: true,
            ..Capabilities::STATELESS
        };
        let plan = Plan::move_clients(PlanKind::Failover, heading(), choice(), writer);
        assert!(position(&plan, Step::Fence) < position(&plan, Step::FinalSync));
        assert!(position(&plan, Step::FinalSync) < position(&plan, Step::Activate));
    }

    #[test]
    fn a_planned_move_loses_no_data() {
        let with_data = Capabilities {
            has_data: true,
            ..Capabilities::STATELESS
        };
        let planned = Plan::move_clients(PlanKind::Switchover, heading(), choice(), with_data);
        assert!(position(&planned, Step::Fence) < position(&planned, Step::FinalSync));
        let unplanned = Plan::move_clients(PlanKind::Failover, heading(), choice(), with_data);
        assert!(
            !unplanned.steps.contains(&Step::Fence),
            "keeps the gap short"
        );
    }

    fn described(plan: &Plan) -> Vec<String> {
        let steps = plan.steps.iter();
        steps
            .map(|step| format!("{step}: {}", step.describe(plan)))
            .collect()
    }

    #[test]
    fn a_plan_says_what_each_of_its_steps_does() {
        let writer = Capabilities {
            single_writer: true,
            has_data: true,
            ..Capabilities::STATELESS
        };
        let plan = Plan::move_clients(PlanKind::Failover, heading(), choice(), writer);
        assert_eq!(plan.kind.to_string(), "failover");
        assert_eq!(
            described(&plan),
            [
                "lease: take the lease of web with token t7",
                "freeze sync: stop the clone's own sync",
                "pre-sync: move the newest data from a, which still serves",
                "fence: stop a and refuse its address",
                "final sync: move what a wrote until it was fenced",
                "activate: put configuration of g1 and data of g1 (or newer) in place at b, start it",
                "health check: check the health of b at its own address",
                "redirect: point clients at b",
                "verify traffic: verify that clients reach b",
                "drain: let the clients of a finish",
                "record: write the record, alert",
            ]
        );
        let plan = Plan::reinstatement(heading(), None);
        assert_eq!(plan.kind.to_string(), "reinstatement");
        assert_eq!(
            described(&plan)[2..6],
            [
                "diagnose: collect evidence on a",
                "revert: put the configuration of a back to the baseline",
                "verify revert: read a again and compare with the baseline",
                "re-protect: sync b to a, which becomes the standby",
            ]
        );
    }

    #[test]
    fn every_step_has_a_deadline_and_moving_data_has_the_longest() {
        let plan = Plan::reinstatement(heading(), None);
        let deadlines = plan.steps.iter().map(|step| step.deadline());
        assert!(deadlines.clone().all(|deadline| !deadline.is_zero()));
        assert_eq!(deadlines.max(), Some(Step::FinalSync.deadline()));
        assert!(Step::Lease.deadline() < Step::Activate.deadline());
    }

    #[test]
    fn every_plan_has_a_point_of_no_return_and_no_step_twice() {
        for bits in 0..16_u8 {
            let has = |bit: u8| bits & (1 << bit) != 0;
            let capabilities = Capabilities {
                single_writer: has(0),
                has_traffic: has(1),
                has_data: has(2),
                can_rehearse: has(3),
            };
            let kinds = [PlanKind::Failover, PlanKind::Switchover, PlanKind::Failback];
            for kind in kinds {
                let plan = Plan::move_clients(kind, heading(), choice(), capabilities);
                let mut seen = plan.steps.clone();
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), plan.steps.len(), "{:?}", plan.steps);
                assert!(plan.is_past_return(Step::Record));
                assert!(!plan.is_past_return(Step::Activate));
            }
        }
    }
}
