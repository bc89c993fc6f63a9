//! The play: a calm resource, clients, a tuner let loose, and what Evenkeel makes of it, up to the
//! moment when everything is protected again. Nothing here helps it along: the daemon is only watched.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_api::ClientError;
use evenkeel_api::wire::{
    Event, EventDetail, EventKind, Instance, PhaseKind, PlanKind, RunOutcome, RunView,
};
use evenkeel_cli::render::text;
use evenkeel_core::Timestamp;
use evenkeel_ports::Clock;

use crate::clients::{Clients, Tally};
use crate::scene::{APPROVED, LIMIT, PROPERTY, Scene};
use crate::summary::{Diagnosis, Summary};
use crate::tuner::{Course, Progress, Tuner, Victim};
use crate::view::{Moment, View};
use crate::witness::{Sight, Witness};

/// The time between two looks at the daemon.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long all is calm, with clients, before the tuner is let loose.
const CALM: Duration = Duration::from_secs(2);
/// How long the clients go on after everything is protected again.
const AFTERMATH: Duration = Duration::from_secs(1);
/// So many looks in a row may fail: a busy machine may make the daemon late.
const FAILED_LOOKS_MAX: u32 = 3;

/// Why the play was not played to its end.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The daemon does not answer.
    #[error(transparent)]
    Daemon(#[from] ClientError),
    /// Something did not happen in time.
    #[error("after {} s still waiting until {awaited}; the resource: {sentence}", .limit.as_secs())]
    TooLate {
        /// What was waited for.
        awaited: &'static str,
        /// How long the whole may take.
        limit: Duration,
        /// How the resource stood.
        sentence: String,
    },
    /// A saga ended as it should not.
    #[error("the resource is {phase}: {why}")]
    WentWrong {
        /// Where the resource stands.
        phase: PhaseKind,
        /// Why.
        why: String,
    },
    /// An instant of the daemon is none.
    #[error("the daemon gave `{0}` as an instant")]
    NoInstant(String),
    /// The view cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// What a play is told before it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    /// How many clients.
    pub(crate) clients: u32,
    /// The seed of the drift.
    pub(crate) seed: u64,
    /// How long the whole may take.
    pub(crate) limit: Duration,
}

/// The play under way.
struct Stage<'a, 'v> {
    direction: Direction,
    scene: &'a Scene,
    witness: Witness,
    clients: Option<Clients>,
    tuner: Option<Tuner>,
    view: &'a mut View<'v>,
    clock: Arc<dyn Clock>,
    began: Duration,
    failed_looks: u32,
}

/// Plays it, from the calm to the summary.
pub(crate) async fn play(
    direction: Direction,
    scene: &Scene,
    witness: Witness,
    view: &mut View<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Summary, StageError> {
    let began = clock.monotonic();
    let mut stage = Stage {
        direction,
        scene,
        witness,
        clients: None,
        tuner: None,
        view,
        clock,
        began,
        failed_looks: 0,
    };
    stage.until_guarded().await?;
    let entrance = scene.entrance();
    let clients = Clients::start(direction.clients, entrance, Arc::clone(&stage.clock));
    stage.clients = Some(clients);
    stage
        .pass("the clients have run for a while in calm", CALM)
        .await?;
    stage.let_tuner_loose();
    let decision = stage.until_decided().await?;
    stage.until_protected_again().await?;
    stage
        .pass("the clients have run for a while on b", AFTERMATH)
        .await?;
    stage.conclude(&decision).await
}

impl Stage<'_, '_> {
    fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.began)
    }

    /// Looks and shows, again and again, until `seen` finds what is waited for.
    async fn until<T>(
        &mut self,
        awaited: &'static str,
        mut seen: impl FnMut(&Sight, &[Event]) -> Result<Option<T>, StageError>,
    ) -> Result<T, StageError> {
        let mut sentence = "not seen yet".to_owned();
        loop {
            if let Some((sight, news)) = self.look().await? {
                if let Some(found) = seen(&sight, &news)? {
                    return Ok(found);
                }
                sentence = sight.resource.status.sentence;
            }
            let limit = self.direction.limit;
            if self.elapsed() > limit {
                return Err(StageError::TooLate {
                    awaited,
                    limit,
                    sentence,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// One look at the daemon, shown; `None` when the daemon was late and may be asked again.
    async fn look(&mut self) -> Result<Option<(Sight, Vec<Event>)>, StageError> {
        let looked = match self.witness.look().await {
            Ok(sight) => self.witness.news().await.map(|news| (sight, news)),
            Err(error) => Err(error),
        };
        let (sight, news) = match looked {
            Ok(looked) => looked,
            Err(error) if error.may_pass() && self.failed_looks < FAILED_LOOKS_MAX => {
                self.failed_looks += 1;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.failed_looks = 0;
        for event in &news {
            self.view.event(event)?;
        }
        self.view.moment(&Moment {
            elapsed: self.elapsed(),
            sight: &sight,
            tally: self.clients.as_ref().map(Clients::tally),
            tuner: self.tuner.as_ref().map(Tuner::progress),
        })?;
        Ok(Some((sight, news)))
    }

    /// Lets some time go by.
    async fn pass(&mut self, awaited: &'static str, span: Duration) -> Result<(), StageError> {
        let until = self.elapsed() + span;
        let clock = Arc::clone(&self.clock);
        let began = self.began;
        self.until(awaited, move |_, _| {
            let elapsed = clock.monotonic().saturating_sub(began);
            Ok((elapsed >= until).then_some(()))
        })
        .await
    }

    /// Baseline, clone, and a rehearsal that went well.
    async fn until_guarded(&mut self) -> Result<(), StageError> {
        self.until(
            "the resource is guarded and its clone rehearsed",
            |sight, _| {
                let status = &sight.resource.status;
                let rehearsed = status.rehearsal.as_ref();
                if let Some(why) = rehearsed.and_then(|rehearsal| rehearsal.why.clone()) {
                    let why = format!("the rehearsal failed: {why}");
                    return Err(StageError::WentWrong {
                        phase: status.phase,
                        why,
                    });
                }
                let is_ready = status.phase == PhaseKind::Guarded
                    && rehearsed.is_some_and(|rehearsal| rehearsal.ok);
                Ok(is_ready.then_some(()))
            },
        )
        .await
    }

    fn let_tuner_loose(&mut self) {
        let victim = Victim {
            file: self.scene.file_of_a(),
            scratch: self.scene.scratch(),
            instance: self.scene.a(),
            limit: LIMIT,
        };
        let course = Course::new(self.direction.seed, APPROVED, LIMIT);
        self.tuner = Some(Tuner::start(course, victim, Arc::clone(&self.clock)));
    }

    /// The decision to fail over.
    async fn until_decided(&mut self) -> Result<Event, StageError> {
        self.until("Evenkeel decides to fail over", |_, news| {
            let decided = news
                .iter()
                .find(|event| event.kind == EventKind::Decision && event.run.is_some());
            Ok(decided.cloned())
        })
        .await
    }

    /// Instance b serves, and a, put back, is the standby.
    async fn until_protected_again(&mut self) -> Result<(), StageError> {
        self.until("instance b serves and a is its standby", |sight, _| {
            let status = &sight.resource.status;
            let why = status
                .phase_why
                .clone()
                .unwrap_or_else(|| status.sentence.clone());
            match (status.phase, status.serving) {
                (PhaseKind::Guarded, Instance::B) => Ok(Some(())),
                (phase @ (PhaseKind::Held | PhaseKind::Unprotected), _) => {
                    Err(StageError::WentWrong { phase, why })
                }
                (
                    PhaseKind::Settling
                    | PhaseKind::Seeding
                    | PhaseKind::Guarded
                    | PhaseKind::Moving
                    | PhaseKind::Reinstating,
                    _,
                ) => Ok(None),
            }
        })
        .await
    }

    /// Reads back what came of it, everything from where it really is.
    async fn conclude(mut self, decision: &Event) -> Result<Summary, StageError> {
        let sight = self.witness.look().await?;
        let detail = self.witness.client().event(&decision.id).await?;
        let audit = self.witness.client().audit_verify().await?;
        let think_time = self
            .clients
            .as_ref()
            .map_or(Duration::ZERO, Clients::think_time);
        let tally = match self.clients.take() {
            Some(clients) => clients.stop().await,
            None => Tally::default(),
        };
        let tuner = self
            .tuner
            .take()
            .map(|tuner| tuner.progress())
            .unwrap_or_default();
        let took = self.elapsed();
        let status = &sight.resource.status;
        let failover = detail
            .runs
            .iter()
            .find(|run| run.kind == PlanKind::Failover);
        let choice = failover.and_then(|run| run.choice.as_ref());
        let drift_began = tuner.first_write_at.unwrap_or_default();
        let config_at = choice
            .map(|choice| instant(&choice.config_at))
            .transpose()?;
        let decided = instant(&decision.at)?;
        let written = std::fs::read_to_string(self.scene.data_of_b()).unwrap_or_default();
        let diagnosis = diagnosis(&detail);
        Ok(Summary {
            clients: self.direction.clients,
            think_time_ms: millis(think_time),
            requests_total: tally.total,
            requests_failed: tally.failed,
            reconnects: tally.reconnects,
            longest_client_gap_ms: millis(tally.longest_gap),
            limit: LIMIT,
            highest_value_served: tally.highest_served,
            limit_crossed_by_active: crossed(&tally, &tuner, failover),
            lead_time_s: seconds_between(decided, tuner.limit_at.unwrap_or_default()),
            drift_began_at: drift_began.to_string(),
            drift_onset_seen_at: diagnosis.since.clone(),
            decided_at: decision.at.clone(),
            decision: decision.sentence.clone(),
            activation_ms: failover.and_then(activation_ms),
            failover_ms: failover.and_then(run_ms),
            generation_activated: choice.map(|choice| choice.config_from.clone()),
            generation_was_before_drift_onset: config_at.is_some_and(|at| at < drift_began),
            diagnosis,
            primary_reverted: self.scene.a_is_as_approved(),
            reprotected: is_protected_again(&sight, &detail.runs),
            serving: status.serving,
            audit_verified: audit.intact,
            audit_records: audit.records,
            writes_present: present(&written, &tally),
            writes_acknowledged: u64::try_from(tally.written.len()).unwrap_or(u64::MAX),
            failures: tally.failures,
            took_s: took.as_secs_f64(),
            seed: self.direction.seed,
            runs: detail.runs,
        })
    }
}

/// Whether b serves, a is fed from it as its standby, and every saga came to its end.
fn is_protected_again(sight: &Sight, runs: &[RunView]) -> bool {
    let status = &sight.resource.status;
    status.phase == PhaseKind::Guarded
        && status.serving == Instance::B
        && sight
            .generations
            .iter()
            .any(|generation| generation.from == Instance::B)
        && runs.iter().any(|run| run.kind == PlanKind::Reinstatement)
        && runs.iter().all(|run| run.outcome == Some(RunOutcome::Done))
}

/// Whether a value at the limit was served: as the answers say, and as the tuner's own times say.
fn crossed(tally: &Tally, tuner: &Progress, failover: Option<&RunView>) -> bool {
    let redirected_at = failover
        .and_then(|run| run.steps.iter().find(|step| step.name == "redirect"))
        .and_then(|step| text::parse_time(step.ended_at.as_deref()?));
    let crossed_while_serving = tuner.crossed_at.is_some_and(|crossed_at| {
        redirected_at.is_none_or(|redirected_at| crossed_at <= redirected_at)
    });
    tally.highest_served >= LIMIT || crossed_while_serving
}

fn activation_ms(run: &RunView) -> Option<u64> {
    run.steps
        .iter()
        .find(|step| step.name == "activate")?
        .took_ms
}

fn run_ms(run: &RunView) -> Option<u64> {
    let (began, ended) = (
        text::parse_time(&run.at)?,
        text::parse_time(run.ended_at.as_deref()?)?,
    );
    Some(millis(ended.since(began)))
}

/// How many acknowledged numbers stand in the data.
fn present(data: &str, tally: &Tally) -> u64 {
    let found: std::collections::BTreeSet<u64> = data
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    u64::try_from(tally.written.intersection(&found).count()).unwrap_or(u64::MAX)
}

/// What the decision and the evidence say of the property that drifted.
fn diagnosis(detail: &EventDetail) -> Diagnosis {
    let outlook = detail
        .explanation
        .as_ref()
        .and_then(|explanation| {
            explanation
                .outlooks
                .iter()
                .find(|o| o.property.path == PROPERTY)
        })
        .map(|outlook| &outlook.property);
    let place = outlook.and_then(|property| property.place.as_ref());
    let value =
        |value: Option<&evenkeel_api::wire::WireValue>| value.map(|value| value.text.clone());
    Diagnosis {
        file: place.map(|place| place.file.clone()),
        line: place.map(|place| place.line),
        approved: outlook.and_then(|property| value(property.approved.as_ref())),
        found: outlook.and_then(|property| value(property.value.as_ref())),
        since: outlook.and_then(|property| property.onset.clone()),
        evidence: detail.diagnosis.clone(),
    }
}

fn instant(text: &str) -> Result<Timestamp, StageError> {
    text::parse_time(text).ok_or_else(|| StageError::NoInstant(text.to_owned()))
}

/// Negative when `later` is earlier.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.since(earlier).as_secs_f64() - earlier.since(later).as_secs_f64()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_after_the_limit_has_a_negative_lead_time() {
        let at = Timestamp::from_millis;
        assert_eq!(seconds_between(at(1000), at(3500)), 2.5);
        assert_eq!(seconds_between(at(3500), at(1000)), -2.5);
    }

    #[test]
    fn the_limit_is_crossed_if_it_was_served_or_written_before_the_clients_had_moved() {
        let calm = Tally {
            highest_served: LIMIT - 1,
            ..Tally::default()
        };
        let progress = |crossed_at| Progress {
            crossed_at,
            ..Progress::default()
        };
        assert!(!crossed(&calm, &progress(None), None));
        assert!(crossed(
            &calm,
            &progress(Some(Timestamp::from_millis(5))),
            None
        ));
        let served = Tally {
            highest_served: LIMIT,
            ..Tally::default()
        };
        assert!(crossed(&served, &progress(None), None));
    }

    #[test]
    fn only_acknowledged_writes_are_looked_for() {
        let tally = Tally {
            written: [1, 2, 3].into(),
            ..Tally::default()
        };
        assert_eq!(present("1\n3\n4\nx\n", &tally), 2);
    }
}
