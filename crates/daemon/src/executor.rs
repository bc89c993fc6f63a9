//! Runs sagas of one resource: the ports' own executor with what only the daemon has — deadlines,
//! pauses, the gate of the clone, and the resource's task, which records what syncs make.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::Instance;
use evenkeel_core::baseline::Difference;
use evenkeel_core::failover::{IllegalEvent, Next, Outcome, Plan, Run};
use evenkeel_core::property::Severity;
use evenkeel_core::record::NewEvent;
use evenkeel_ports::saga::{Ended, Executor, Hooks, Performed, Work};
use evenkeel_ports::{
    ChangeHint, Driver, DriverError, Redirector, RunRecord, StoreError, SyncProgress, Synced,
};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, warn};

use crate::engine::Message;
use crate::gate::Gate;
use crate::world::World;

/// A run that is not over.
#[derive(Clone, Debug)]
pub struct OpenRun(Run);

impl OpenRun {
    /// A run of which nothing has happened yet.
    pub fn new(plan: Plan) -> Self {
        Self(Run::new(plan))
    }

    /// A run that a former process began.
    ///
    /// # Errors
    /// When its journal does not fit its plan.
    pub fn replayed(record: &RunRecord) -> Result<Self, IllegalEvent> {
        Run::replay(
            record.plan.clone(),
            record.events.iter().map(|(_, event)| event),
        )
        .map(Self)
    }

    /// Its plan.
    pub fn plan(&self) -> &Plan {
        self.0.plan()
    }

    /// What is to be done now.
    pub fn next(&self) -> Next {
        self.0.next()
    }

    /// Its state.
    pub fn run(&self) -> &Run {
        &self.0
    }

    /// What happens next, for people.
    pub fn what_comes_next(&self) -> String {
        match self.0.next() {
            Next::Do(step) => format!("it goes on with {step}"),
            Next::Undo(step) => format!("it goes on undoing {step}"),
            Next::Finished(_) => "it had ended".to_owned(),
        }
    }
}

/// Where a run takes place.
#[derive(Clone, Debug)]
pub struct Site {
    /// The resource's driver.
    pub driver: Arc<dyn Driver>,
    /// The redirector of its clients.
    pub redirector: Option<Arc<dyn Redirector>>,
    /// The rest of the world.
    pub world: World,
    /// The resource's task.
    pub messages: mpsc::Sender<Message>,
    /// The gate of its clone.
    pub gate: Gate,
}

/// How long after a failed write of the journal it is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Drives a run to its end, and tells the resource's task.
pub async fn run(site: Site, open: OpenRun) {
    let OpenRun(mut run) = open;
    let world = site.world.clone();
    loop {
        let executor = Executor {
            driver: site.driver.as_ref(),
            redirector: site.redirector.as_deref(),
            journal: world.journal.as_ref(),
            store: world.control.as_ref(),
            clock: world.clock.as_ref(),
            hooks: &site,
            holder: &world.holder,
        };
        let (id, resource) = (run.plan().run, run.plan().resource.clone());
        match executor.execute(&mut run).await {
            Ok(Ended::Finished(outcome)) => return site.tell(run, outcome).await,
            Ok(Ended::Superseded { what }) => {
                let sentence = format!("{id} stops here, another one took over: {what}");
                let now = world.now();
                world
                    .alerts
                    .raise(now, Some(&resource), Severity::Critical, &sentence);
                return;
            }
            Err(error) => {
                error!(%error, run = %id, "the run cannot go on now; it is tried again");
                tokio::time::sleep(STORE_RETRY).await;
                // What failed to be written may have been written all the same: only the journal
                // knows.
                match world
                    .journal
                    .run(id)
                    .await
                    .map(|record| record.as_ref().map(OpenRun::replayed))
                {
                    Ok(Some(Ok(OpenRun(replayed)))) => run = replayed,
                    Ok(Some(Err(error))) => warn!(%error, "the journal cannot be replayed"),
                    Ok(None) => warn!(run = %id, "the journal does not know the run"),
                    Err(error) => warn!(%error, "the journal cannot be read"),
                }
            }
        }
    }
}

impl Site {
    async fn tell(&self, run: Run, outcome: Outcome) {
        if outcome != Outcome::Done {
            self.gate.open(); // whatever became of it, the clone's own sync is not the saga's any more
        }
        let why = run
            .last_failure()
            .map(|(step, what)| format!("{step}: {what}"));
        let (plan, serving) = (Box::new(run.plan().clone()), run.serving());
        self.messages
            .send(Message::RunEnded {
                plan,
                outcome,
                serving,
                why,
            })
            .await
            .ok();
    }

    async fn ask_task<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, DriverError> {
        let gone = || DriverError::maybe_effect("the daemon is stopping");
        let (reply, answer) = oneshot::channel();
        self.messages
            .send(message(reply))
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

#[async_trait]
impl Hooks for Site {
    async fn freeze_sync(&self) -> Result<(), DriverError> {
        self.gate.shut().await;
        Ok(())
    }

    async fn thaw_sync(&self) -> Result<(), DriverError> {
        self.gate.open();
        Ok(())
    }

    async fn sync_now(&self, from: Instance) -> Result<Synced, DriverError> {
        let progress = |done: SyncProgress| debug!(files = done.files, bytes = done.bytes, "sync");
        let now = self.world.now();
        let synced = self
            .driver
            .sync(from, ChangeHint::Everything, now, &progress)
            .await?;
        let result = Ok(synced.clone());
        let recorded = self
            .ask_task(|reply| Message::Synced { result, reply })
            .await?;
        // The content is there; only its record is not.
        recorded.map_err(DriverError::maybe_effect)?;
        Ok(synced)
    }

    async fn differences(&self, instance: Instance) -> Result<Vec<Difference>, DriverError> {
        let probe = self.driver.probe(instance, self.world.now()).await?;
        self.ask_task(|reply| Message::Compare { probe, reply })
            .await
    }

    async fn record(&self, event: NewEvent) -> Result<(), StoreError> {
        self.world.control.record(vec![event]).await.map(drop)
    }

    async fn within<'f>(&self, limit: Duration, work: Work<'f>) -> Option<Performed> {
        tokio::time::timeout(limit, work).await.ok()
    }

    async fn pause(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
