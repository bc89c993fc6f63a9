//! What people ask of a resource, and what they are answered. A dry run goes the same way and stops
//! before anything is journalled.

use std::sync::Arc;

use evenkeel_core::baseline::Difference;
use evenkeel_core::decide::{Command, Input};
use evenkeel_core::failover::Plan;
use evenkeel_core::guard::GuardCheck;
use evenkeel_core::property::Origin;
use evenkeel_core::reason::Reason;
use evenkeel_core::{EventId, PropertyPath};
use evenkeel_ports::{AuditEntry, Commit};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::ResourceTask;

/// What a person asks.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Something that is decided on.
    Decide(Command),
    /// What is found becomes what is approved.
    Accept {
        /// Globs of property paths.
        paths: Vec<String>,
        /// What for.
        note: String,
    },
}

/// What a person is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whether it was done, or begun.
    pub done: bool,
    /// What was, or would be, run.
    pub plan: Option<Plan>,
    /// What every guard said.
    pub guards: Vec<GuardCheck>,
    /// The event in the record.
    pub event: Option<EventId>,
    /// In one sentence.
    pub message: String,
    /// For `accept`: what is accepted.
    pub accepted: Vec<Difference>,
}

impl ResourceTask {
    pub(super) async fn asked(
        &mut self,
        asked: Asked,
        by: &str,
        dry_run: bool,
    ) -> Result<Answer, String> {
        match asked {
            Asked::Decide(command) => self.command(&command, by, dry_run).await,
            Asked::Accept { paths, note } => self.accept(&paths, &note, by, dry_run).await,
        }
    }

    async fn command(
        &mut self,
        command: &Command,
        by: &str,
        dry_run: bool,
    ) -> Result<Answer, String> {
        if let Command::Judge { path, .. } = command
            && !self.watch.watches(path)
        {
            return Err(format!("{path} is not watched any longer: it has no band"));
        }
        let facts = self.facts();
        let decision = self.decide(&Input::Commanded {
            command,
            by,
            facts: &facts,
        });
        let reason = decision.explanation.reason.clone();
        let refused = match &reason {
            Reason::Refused { what } => Some(what.clone()),
            _ => None,
        };
        let mut answer = Answer {
            done: !dry_run && refused.is_none(),
            plan: decision.plan().cloned(),
            guards: decision.explanation.guards.clone(),
            event: None,
            message: reason.sentence(),
            accepted: Vec::new(),
        };
        if dry_run {
            return Ok(answer);
        }
        let audit = AuditEntry {
            at: self.world.now(),
            actor: by.to_owned(),
            action: format!("operator.{}", name(command)),
            resource: Some(self.settings.name.clone()),
            result: refused.map_or(Ok(()), Err),
            before: Some(self.record.state.phase.as_str().to_owned()),
            after: Some(reason.sentence()),
        };
        let commit = Commit {
            audit: vec![audit],
            ..Commit::default()
        };
        let events = self
            .carry_out(decision, commit)
            .await
            .map_err(|error| error.to_string())?;
        answer.event = events.first().copied();
        Ok(answer)
    }

    async fn accept(
        &mut self,
        paths: &[String],
        note: &str,
        by: &str,
        dry_run: bool,
    ) -> Result<Answer, String> {
        let Some(baseline) = self.record.baseline.clone() else {
            return Err(
                "there is no baseline yet: it is taken when the resource has settled".into(),
            );
        };
        let (wanted, named) = (globs(paths)?, paths.to_vec());
        // Whoever accepts has just looked: what is accepted is what is there now.
        let (serving, now) = (self.record.state.serving, self.world.now());
        let probe = self
            .driver
            .probe(serving, now)
            .await
            .map_err(|error| error.to_string())?;
        let probe = self.redact(probe);
        // A capacity is accepted only by its own name, never along with everything.
        let accepts = |path: &PropertyPath, origin: Origin| match origin {
            Origin::Configuration => wanted.is_match(path.as_str()),
            Origin::Capacity => named.iter().any(|name| name == path.as_str()),
        };
        let accepted: Vec<Difference> = (baseline.diff(&probe).into_iter())
            .filter(|difference| accepts(&difference.path, Origin::Configuration))
            .collect();
        let next = baseline.accept(&probe, accepts, by, note, now);
        let moved = baseline.moved(&next);
        if moved.is_empty() {
            return Err("nothing that matches differs from the baseline".into());
        }
        let message = format!(
            "baseline {} accepted by {by}: {} properties{}",
            next.version,
            moved.len(),
            if note.is_empty() {
                String::new()
            } else {
                format!(" ({note})")
            }
        );
        let mut answer = Answer {
            done: !dry_run,
            plan: None,
            guards: Vec::new(),
            event: None,
            message: message.clone(),
            accepted,
        };
        if dry_run {
            return Ok(answer);
        }
        let taken = self
            .take_baseline(next, by, "baseline.accept", message)
            .await;
        let events = taken.map_err(|error| error.to_string())?;
        self.last_probe = Some(Arc::new(probe));
        answer.event = events.first().copied();
        Ok(answer)
    }
}

fn globs(paths: &[String]) -> Result<GlobSet, String> {
    let mut all = GlobSetBuilder::new();
    for path in paths {
        all.add(Glob::new(path).map_err(|error| format!("`{path}` is not a glob: {error}"))?);
    }
    all.build().map_err(|error| error.to_string())
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Failover => "failover",
        Command::Switchover => "switchover",
        Command::Failback => "failback",
        Command::Reinstate => "reinstate",
        Command::Pause { .. } => "pause",
        Command::Resume => "resume",
        Command::Approve { .. } => "approve",
        Command::OpenWindow { .. } => "window",
        Command::Release => "release",
        Command::Judge { .. } => "judge",
    }
}
