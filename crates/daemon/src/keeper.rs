//! The keeper: the reconciler of one resource's clone. It compares what is asked with what is found,
//! again and again: sync on change and by period, stage what a failover would activate, rehearse on
//! a schedule, forget what is not kept. It takes no input but signals, and everything it does may be
//! done twice. While a saga runs, the [`Gate`] keeps it out.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::generation::{Choice, Generation, choose};
use evenkeel_core::outlook::Breach;
use evenkeel_core::state::Phase;
use evenkeel_core::{GenerationId, Instance};
use evenkeel_ports::{ChangeFeed, ChangeHint, Driver, Rehearsal, SyncProgress};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, warn};

use crate::engine::{Message, Snapshot, SyncOutcome};
use crate::gate::Gate;
use crate::settings::Settings;
use crate::world::World;

/// What a keeper can be asked.
#[derive(Debug)]
pub enum Request {
    /// Sync now.
    Sync {
        /// What is known of what changed.
        hint: ChangeHint,
        /// Where the answer goes.
        reply: Option<oneshot::Sender<Result<Generation, String>>>,
    },
    /// Rehearse now.
    Rehearse {
        /// The generation whose configuration is activated; what a failover would choose where not
        /// said.
        generation: Option<GenerationId>,
        /// Where the answer goes.
        reply: Option<oneshot::Sender<Result<Rehearsal, String>>>,
    },
    /// End.
    Stop,
}

/// Asks a keeper.
#[derive(Clone, Debug)]
pub struct Keeper {
    requests: mpsc::Sender<Request>,
}

const QUEUE: usize = 16;

impl Keeper {
    /// A keeper's two ends.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, taken) = mpsc::channel(QUEUE);
        (Self { requests }, taken)
    }

    /// Has a sync made soon. If too much is asked already, one of those will do.
    pub fn request_sync(&self, hint: ChangeHint) {
        self.requests
            .try_send(Request::Sync { hint, reply: None })
            .ok();
    }

    /// Has a rehearsal made soon.
    pub fn request_rehearsal(&self) {
        self.requests
            .try_send(Request::Rehearse {
                generation: None,
                reply: None,
            })
            .ok();
    }

    /// Syncs, and says what came of it.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn sync(&self) -> Result<Generation, String> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Sync {
            hint: ChangeHint::Everything,
            reply: Some(reply),
        };
        self.requests.send(request).await.map_err(|_| STOPPED)?;
        answer.await.map_err(|_| STOPPED)?
    }

    /// Rehearses, and says what came of it.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn rehearse(&self, generation: Option<GenerationId>) -> Result<Rehearsal, String> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Rehearse {
            generation,
            reply: Some(reply),
        };
        self.requests.send(request).await.map_err(|_| STOPPED)?;
        answer.await.map_err(|_| STOPPED)?
    }

    /// Ends the keeper, after what it is doing.
    pub async fn stop(&self) {
        self.requests.send(Request::Stop).await.ok();
    }
}

const STOPPED: &str = "the resource is being stopped";

/// What a keeper works with.
#[derive(Debug)]
pub struct Work {
    /// What it is asked.
    pub requests: mpsc::Receiver<Request>,
    /// The resource's task.
    pub messages: mpsc::Sender<Message>,
    /// The latest view of the resource.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The resource's driver.
    pub driver: Arc<dyn Driver>,
    /// The rest of the world.
    pub world: World,
    /// Shut while a saga runs.
    pub gate: Gate,
}

/// Works until it is told to stop, or the resource's task has gone.
pub async fn run(mut work: Work) {
    let mut rhythm = Rhythm::of(&work.view().settings);
    let mut feed = Feed::default();
    let mut snapshot = work.snapshot.clone();
    loop {
        let view = work.view();
        if !rhythm.fits(&view.settings) {
            rhythm = Rhythm::of(&view.settings);
        }
        feed.follow(&work, &view);
        let Rhythm {
            sync: full_sync,
            rehearse,
            ..
        } = &mut rhythm;
        tokio::select! {
            request = work.requests.recv() => match request {
                None | Some(Request::Stop) => return,
                Some(Request::Sync { hint, reply }) => {
                    let outcome = work.sync(hint).await.map(|outcome| outcome.generation);
                    if let Some(reply) = reply {
                        reply.send(outcome).ok();
                    }
                }
                Some(Request::Rehearse { generation, reply }) => {
                    let outcome = work.rehearse(generation).await;
                    if let Some(reply) = reply {
                        reply.send(outcome).ok();
                    }
                }
            },
            hint = feed.next() => {
                if let Some(hint) = hint.filter(|_| work.may_sync()) {
                    work.sync(hint).await.ok(); // the task has recorded and said why
                }
            }
            _ = full_sync.tick() => {
                if work.may_sync() {
                    work.sync(ChangeHint::Everything).await.ok();
                }
            }
            () = tick(rehearse) => {
                if work.may_rehearse() {
                    work.rehearse(None).await.ok();
                }
            }
            task = moves_on(&mut snapshot, &view) => if task == Task::Gone { return },
        }
    }
}

impl Work {
    fn view(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Whether the clone follows its primary now.
    fn may_sync(&self) -> bool {
        matches!(self.view().state.phase, Phase::Seeding | Phase::Guarded)
    }

    /// Not while anything breaches: a failover may be near, and must not have to wait.
    fn may_rehearse(&self) -> bool {
        let view = self.view();
        let quiet = view
            .outlooks
            .iter()
            .all(|outlook| outlook.breach == Breach::None);
        view.state.phase == Phase::Guarded && quiet
    }

    async fn sync(&self, hint: ChangeHint) -> Result<SyncOutcome, String> {
        let Some(_pass) = self.gate.enter().await else {
            return Err(BUSY.to_owned());
        };
        let serving = self.view().state.serving;
        let progress = |done: SyncProgress| debug!(files = done.files, bytes = done.bytes, "sync");
        let result = self
            .driver
            .sync(serving, hint, self.world.now(), &progress)
            .await;
        let (reply, answer) = oneshot::channel();
        self.messages
            .send(Message::Synced { result, reply })
            .await
            .map_err(|_| STOPPED)?;
        let outcome = answer.await.map_err(|_| STOPPED)??;
        if let Some(choice) = &outcome.stage
            && let Err(error) = self.driver.stage(choice, serving.other()).await
        {
            warn!(%error, "the standby could not be put in place; an activation will do it");
        }
        if !outcome.forget.is_empty()
            && let Err(error) = self.driver.forget(&outcome.forget).await
        {
            warn!(%error, "old generations could not be removed; tried again later");
        }
        Ok(outcome)
    }

    async fn rehearse(&self, generation: Option<GenerationId>) -> Result<Rehearsal, String> {
        if !self.driver.capabilities().can_rehearse {
            return Err(format!("a {} cannot be rehearsed", self.driver.kind()));
        }
        let Some(_pass) = self.gate.enter().await else {
            return Err(BUSY.to_owned());
        };
        let view = self.view();
        let choice = match generation {
            None => choose(&view.generations, None).ok_or("no generation is good")?,
            Some(id) => {
                only(&view.generations, id).ok_or(format!("there is no generation {id}"))?
            }
        };
        let result = self
            .driver
            .rehearse(&choice, view.state.standby(), self.world.now())
            .await;
        let (reply, answer) = oneshot::channel();
        self.messages
            .send(Message::Rehearsed { result, reply })
            .await
            .map_err(|_| STOPPED)?;
        answer.await.map_err(|_| STOPPED)?
    }
}

const BUSY: &str = "a saga is under way: its end is to be waited for";

/// One generation with its own data.
fn only(generations: &[Generation], id: GenerationId) -> Option<Choice> {
    let found = generations.iter().find(|generation| generation.id == id)?;
    Some(Choice {
        config_from: id,
        data_from: id,
        config_at: found.at,
        data_at: found.at,
    })
}

/// The periods, made anew when the settings change.
struct Rhythm {
    every: Duration,
    rehearse_every: Option<Duration>,
    sync: tokio::time::Interval,
    rehearse: Option<tokio::time::Interval>,
}

impl Rhythm {
    fn of(settings: &Settings) -> Self {
        let (every, rehearse_every) = (settings.sync.every, settings.rehearse_every);
        Self {
            every,
            rehearse_every,
            sync: later(every),
            rehearse: rehearse_every.map(later),
        }
    }

    fn fits(&self, settings: &Settings) -> bool {
        self.every == settings.sync.every && self.rehearse_every == settings.rehearse_every
    }
}

/// Waits for the next tick; for ever, where there is no period.
async fn tick(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// An interval whose first tick comes after one period.
fn later(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period.max(Duration::from_millis(10)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.reset();
    interval
}

/// Waits until what the keeper goes by has changed. A view that only has newer numbers is not waited
/// for: with every probe there is one, and a burst of changes would never be let come to its end.
async fn moves_on(snapshot: &mut watch::Receiver<Arc<Snapshot>>, seen: &Snapshot) -> Task {
    let differs = |now: &Arc<Snapshot>| {
        !Arc::ptr_eq(&now.settings, &seen.settings)
            || now.state.serving != seen.state.serving
            || now.state.phase != seen.state.phase
    };
    match snapshot.wait_for(differs).await {
        Ok(_) => Task::Works,
        Err(_) => Task::Gone,
    }
}

/// Whether the resource's task is still there.
#[derive(PartialEq, Eq)]
enum Task {
    Works,
    Gone,
}

/// How long after a feed has ended another one is opened: a directory that is gone for good must not
/// be asked for in a circle.
const REST: Duration = Duration::from_secs(5);

/// The feed of changes on the instance that serves.
#[derive(Default)]
struct Feed {
    open: Option<OpenFeed>,
    rest: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

struct OpenFeed {
    of: Instance,
    feed: Box<dyn ChangeFeed>,
    has_spoken: bool,
}

impl Feed {
    /// Opens, closes or moves the feed to where the clone looks now.
    fn follow(&mut self, work: &Work, view: &Snapshot) {
        let wanted = view.settings.sync.on_change
            && matches!(view.state.phase, Phase::Seeding | Phase::Guarded);
        let serving = view.state.serving;
        let fits = self.open.as_ref().is_some_and(|open| open.of == serving);
        if !wanted {
            *self = Self::default();
        } else if !fits && self.rest.is_none() {
            let open = |feed| OpenFeed {
                of: serving,
                feed,
                has_spoken: false,
            };
            self.open = work.driver.changes(serving).map(open);
        }
    }

    /// What changed; `None` when it is only time to look whether a feed should be opened.
    async fn next(&mut self) -> Option<ChangeHint> {
        if let Some(rest) = &mut self.rest {
            rest.await;
            self.rest = None;
            return None;
        }
        let Some(open) = &mut self.open else {
            return std::future::pending().await;
        };
        if let Some(hint) = open.feed.next().await {
            open.has_spoken = true;
            return Some(hint);
        }
        // Ended: whatever was missed since it spoke is found by comparing everything.
        let missed = open.has_spoken.then_some(ChangeHint::Everything);
        self.open = None;
        self.rest = Some(Box::pin(tokio::time::sleep(REST)));
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says each of its hints, and ends.
    struct Scripted(Vec<ChangeHint>);

    #[async_trait::async_trait]
    impl ChangeFeed for Scripted {
        async fn next(&mut self) -> Option<ChangeHint> {
            self.0.pop()
        }
    }

    fn feed(hints: Vec<ChangeHint>) -> Feed {
        let feed = Box::new(Scripted(hints));
        let open = OpenFeed {
            of: Instance::A,
            feed,
            has_spoken: false,
        };
        Feed {
            open: Some(open),
            rest: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_feed_that_ended_everything_is_compared_once_and_then_it_rests() {
        let change = ChangeHint::Paths(vec!["a".into()]);
        let mut feed = feed(vec![change.clone()]);
        assert_eq!(feed.next().await, Some(change));
        assert_eq!(feed.next().await, Some(ChangeHint::Everything));
        let rest = tokio::time::timeout(REST / 2, feed.next()).await;
        assert!(rest.is_err(), "no circle");
        assert_eq!(feed.next().await, None, "now another may be opened");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_opened_asks_for_nothing() {
        let mut feed = feed(Vec::new());
        assert_eq!(feed.next().await, None);
        assert!(feed.open.is_none() && feed.rest.is_some());
    }
}
