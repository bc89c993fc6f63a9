//! Generations: the verdict on each sync, the pin of the baseline, what the standby should have in
//! place, and what is not kept any longer.

use std::collections::BTreeMap;

use evenkeel_core::GenerationId;
use evenkeel_core::decide::Input;
use evenkeel_core::generation::{Generation, Verdict, choose};
use evenkeel_core::property::{Probe, Severity};
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::state::Phase;
use evenkeel_ports::{Commit, DriverError, Rehearsal, Synced};
use tracing::{info, warn};

use super::{ResourceTask, SyncOutcome};
use crate::events;

impl ResourceTask {
    pub(super) async fn synced(
        &mut self,
        result: Result<Synced, DriverError>,
    ) -> Result<SyncOutcome, String> {
        let synced = match result {
            Ok(synced) => synced,
            Err(error) => {
                warn!(%error, "the sync failed; the generations are as they were");
                let sentence = format!("the sync failed, the clone is as it was: {error}");
                let name = &self.settings.name;
                events::told(&self.world, name, EventKind::Sync, sentence).await;
                self.sync_problem = Some(error.to_string());
                return Err(error.to_string());
            }
        };
        self.sync_problem = None;
        let generation = self.judged(&synced);
        let known = self
            .generations
            .iter()
            .find(|known| known.id == generation.id);
        let is_news = self.is_news(&generation, &synced);
        let mut commit = Commit::default();
        if is_news {
            commit.events.push(self.sync_event(&synced, &generation));
        }
        if known != Some(&generation) {
            commit.generations.push(generation.clone());
        }
        if generation.verdict == Verdict::Good {
            commit.baseline = self.pinned_to(generation.id);
        }
        self.synced_at = Some(synced.at);
        let seeds =
            self.record.state.phase == Phase::Seeding && generation.verdict == Verdict::Good;
        let saved = if seeds {
            let decision = self.decide(&Input::Seeded);
            self.carry_out(decision, commit).await.map(drop)
        } else if commit.generations.is_empty() && commit.baseline.is_none() {
            Ok(())
        } else {
            self.commit(commit).await.map(drop)
        };
        saved.map_err(|error| error.to_string())?;
        if seeds && self.settings.rehearse_every.is_some() {
            self.keeper.request_rehearsal();
        }
        let forget = self.forget_old().await;
        Ok(SyncOutcome {
            generation,
            stage: self.next_to_stage(),
            forget,
        })
    }

    pub(super) async fn rehearsed(
        &mut self,
        result: Result<Rehearsal, DriverError>,
    ) -> Result<Rehearsal, String> {
        let now = self.world.now();
        let name = self.settings.name.clone();
        let rehearsal = match result {
            Ok(rehearsal) => rehearsal,
            Err(error) => {
                let sentence = format!("the rehearsal could not be done: {error}");
                events::told(&self.world, &name, EventKind::Rehearsal, sentence).await;
                return Err(error.to_string());
            }
        };
        let (severity, sentence) = match &rehearsal.result {
            Ok(()) => (
                Severity::Info,
                format!(
                    "rehearsed {}: up and well in {}",
                    rehearsal.choice.config_from,
                    evenkeel_core::Brief(rehearsal.activation)
                ),
            ),
            Err(why) => (
                Severity::Critical,
                format!(
                    "the rehearsal of {} failed: {why}",
                    rehearsal.choice.config_from
                ),
            ),
        };
        if rehearsal.result.is_err() {
            self.world
                .alerts
                .raise(now, Some(&name), severity, &sentence);
        }
        let event = NewEvent::new(now, EventKind::Rehearsal, severity, sentence).of(&name);
        let commit = Commit {
            rehearsal: Some(rehearsal.clone()),
            events: vec![event],
            ..Commit::default()
        };
        self.commit(commit)
            .await
            .map_err(|error| error.to_string())?;
        Ok(rehearsal)
    }

    /// The generation of a sync, with its verdict: good when its configuration is the approved one.
    /// What a person or a failover has quarantined stays so.
    fn judged(&self, synced: &Synced) -> Generation {
        let known = self.generations.iter().find(|known| known.id == synced.id);
        let approved = self.is_approved(synced);
        let verdict = match known.map(|known| &known.verdict) {
            Some(verdict @ Verdict::Quarantined { .. }) if !approved => verdict.clone(),
            Some(Verdict::Good) => Verdict::Good,
            Some(Verdict::Suspect | Verdict::Quarantined { .. }) | None if approved => {
                Verdict::Good
            }
            Some(Verdict::Suspect | Verdict::Quarantined { .. }) | None => Verdict::Suspect,
        };
        let version = self
            .record
            .baseline
            .as_ref()
            .map(|baseline| baseline.version);
        Generation {
            id: synced.id,
            at: known.map_or(synced.at, |known| known.at),
            from: synced.from,
            baseline: known
                .and_then(|known| known.baseline)
                .or(version.filter(|_| approved)),
            verdict,
            config: synced.config.clone(),
            data: synced.data.clone(),
            // Data that could not be read is as unfit to be activated as data that is torn.
            torn: !synced.torn.is_empty()
                || synced
                    .skipped
                    .iter()
                    .any(|(path, _)| path.starts_with("data/")),
            files: synced.files,
            bytes: synced.bytes,
            bytes_moved: known.map_or(synced.bytes_moved, |known| known.bytes_moved),
        }
    }

    /// Whether people want to know of it: data that goes on flowing into good generations is no news.
    fn is_news(&self, generation: &Generation, synced: &Synced) -> bool {
        let Some(last) = self.generations.last() else {
            return true;
        };
        let same = last.config == generation.config && last.verdict == generation.verdict;
        let whole = !generation.torn && synced.skipped.is_empty();
        !(same && (whole || last.torn == generation.torn))
    }

    fn is_approved(&self, synced: &Synced) -> bool {
        let Some(configuration) = &synced.configuration else {
            return false;
        };
        let probe = Probe {
            at: synced.at,
            instance: synced.from,
            properties: configuration.clone(),
            unreadable: BTreeMap::new(),
        };
        self.record.baseline.is_some() && self.unapproved(probe).is_empty()
    }

    /// The baseline with its pin, if it had none.
    fn pinned_to(&self, generation: GenerationId) -> Option<evenkeel_core::baseline::Baseline> {
        let baseline = self.record.baseline.as_ref()?;
        baseline
            .pinned
            .is_none()
            .then(|| evenkeel_core::baseline::Baseline {
                pinned: Some(generation),
                ..baseline.clone()
            })
    }

    fn sync_event(&self, synced: &Synced, generation: &Generation) -> NewEvent {
        let mut sentence = format!(
            "{} is {}: {} files changed, {} B moved in {}",
            generation.id,
            generation.verdict,
            synced.files_changed,
            evenkeel_core::property::number_text(count(synced.bytes_moved)),
            evenkeel_core::Brief(synced.took)
        );
        if let Some(file) = synced.torn.first() {
            sentence.push_str(&format!("; torn, {file} changed while it was read"));
        }
        if let Some((path, why)) = synced.skipped.first() {
            let more = synced.skipped.len() - 1;
            sentence.push_str(&format!("; left out {path} ({why})"));
            if more > 0 {
                sentence.push_str(&format!(" and {more} more"));
            }
        }
        let severity = match generation.verdict {
            Verdict::Good => Severity::Info,
            Verdict::Suspect | Verdict::Quarantined { .. } => Severity::Warn,
        };
        NewEvent::new(self.world.now(), EventKind::Sync, severity, sentence).of(&self.settings.name)
    }

    /// What a failover would activate now, if the standby does not have that in place already.
    fn next_to_stage(&mut self) -> Option<evenkeel_core::generation::Choice> {
        let choice = choose(&self.generations, None)?;
        let guarded = self.record.state.phase == Phase::Guarded;
        if !guarded || self.staged.as_ref() == Some(&choice) {
            return None;
        }
        self.staged = Some(choice.clone());
        Some(choice)
    }

    /// Forgets generations that are neither new nor needed: never the newest good one, nor what the
    /// baseline is pinned to.
    async fn forget_old(&mut self) -> Vec<GenerationId> {
        let keep = self.settings.keep;
        let oldest_kept = self.world.now().before(keep.younger_than);
        let pinned = self
            .record
            .baseline
            .as_ref()
            .and_then(|baseline| baseline.pinned);
        let chosen = choose(&self.generations, None);
        let beyond = |count: usize| self.generations.len().saturating_sub(count.max(2));
        let (surplus, far_beyond) = (beyond(keep.newest), beyond(keep.at_most));
        let old: Vec<GenerationId> = (self.generations.iter().enumerate().take(surplus))
            .filter(|(i, generation)| *i < far_beyond || generation.at < oldest_kept)
            .map(|(_, generation)| generation)
            .map(|generation| generation.id)
            .filter(|id| Some(*id) != pinned)
            .filter(|id| {
                chosen
                    .as_ref()
                    .is_none_or(|c| c.config_from != *id && c.data_from != *id)
            })
            .collect();
        if old.is_empty() {
            return old;
        }
        let commit = Commit {
            forgotten: old.clone(),
            ..Commit::default()
        };
        match self.commit(commit).await {
            Ok(_) => {
                info!(count = old.len(), "old generations are not kept any longer");
                old
            }
            Err(_) => Vec::new(), // said where it happened
        }
    }
}

#[allow(clippy::cast_precision_loss)] // for people
fn count(bytes: u64) -> f64 {
    bytes as f64
}
