//! Fits forecasting models anew, one at a time and beside everything else.
//!
//! Every resource's task says after each assessment which of its properties want a refit. The one worker
//! takes the most urgent, has the task fork its forecaster, fits the fork to the history in the store on a
//! thread of its own, and hands it back. Then it rests, for as long as keeps all that is done in the background
//! within its share of one core (`crate::budget`).
//!
//! ```text
//!  task ──want──▶ queue ──next──▶ worker ── Fork ──▶ task
//!                                   │  ◀── fork ──────┘
//!                                 fit (store, models)
//!                                   └── Refitted ──▶ task
//! ```
//! Invariants: the queue names each property once and has a bound; what finds no room is said again after
//! the next assessment. No task waits for the worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_core::watch::refit::Fork;
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};
use evenkeel_ports::{Clock, History, Range, SeriesKey, Stream};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{Instrument, debug, debug_span};

use crate::blocking::on_a_thread;
use crate::budget::{Budget, Turn};
use crate::engine::Message;

/// The most properties that wait.
const QUEUE: usize = 4096;

/// How soon a property should have its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// In its turn.
    Ordinary,
    /// First: it drifts, or it is critical.
    First,
}

/// What came of the refits so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Models were fitted.
    pub done: u64,
    /// The history was too short, or could not be read.
    pub given_up: u64,
    /// Properties that wait.
    pub waiting: usize,
    /// The time that all of them took.
    pub spent: Duration,
}

/// The properties that want a refit, and what came of it; shared by all tasks.
#[derive(Clone, Debug)]
pub struct Refits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
    budget: Budget,
}

#[derive(Debug)]
struct Queue {
    waiting: BTreeMap<(ResourceId, PropertyPath), Waiting>,
    /// Given to the last that came: of two as urgent the first comes first.
    last_number: u64,
    counts: Counts,
}

#[derive(Debug)]
struct Waiting {
    urgency: Urgency,
    number: u64,
    messages: mpsc::Sender<Message>,
}

/// A property whose turn it is.
#[derive(Debug)]
struct Wanted {
    resource: ResourceId,
    property: PropertyPath,
    messages: mpsc::Sender<Message>,
}

impl Refits {
    /// Nothing waits; what is done is taken from `budget`.
    pub fn new(budget: Budget) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: BTreeMap::new(),
                last_number: 0,
                counts: Counts::default(),
            }),
            changed: Notify::new(),
            budget,
        }))
    }

    /// Says which properties of a resource want a refit now: those, and no other.
    pub fn want(
        &self,
        resource: &ResourceId,
        messages: &mpsc::Sender<Message>,
        due: BTreeMap<PropertyPath, Urgency>,
    ) {
        let mut queue = self.queue();
        queue.waiting.retain(|(of, property), waiting| {
            let wanted = due.get(property);
            waiting.urgency = wanted.copied().unwrap_or(waiting.urgency);
            of != resource || wanted.is_some()
        });
        for (property, urgency) in due {
            let key = (resource.clone(), property);
            if queue.waiting.len() >= QUEUE || queue.waiting.contains_key(&key) {
                continue;
            }
            queue.last_number += 1;
            let waiting = Waiting {
                urgency,
                number: queue.last_number,
                messages: messages.clone(),
            };
            queue.waiting.insert(key, waiting);
        }
        if !queue.waiting.is_empty() {
            self.0.changed.notify_one();
        }
    }

    /// What came of the refits so far.
    pub fn counts(&self) -> Counts {
        let queue = self.queue();
        Counts {
            waiting: queue.waiting.len(),
            ..queue.counts
        }
    }

    /// Refits what is wanted, until `stop`. What is under way then is brought to its end, which takes
    /// moments.
    pub async fn run(
        self,
        history: Arc<dyn History>,
        clock: Arc<dyn Clock>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let budget = self.0.budget.clone();
        loop {
            let (turn, wanted) = tokio::select! {
                _ = &mut stop => return,
                next = self.next(&budget) => next,
            };
            let span =
                debug_span!("refit", resource = %wanted.resource, property = %wanted.property);
            let refit = refit(wanted, history.clone(), clock.clone());
            let Some((is_done, took)) = refit.instrument(span).await else {
                continue;
            };
            self.count(is_done, took);
            tokio::select! {
                _ = &mut stop => return,
                () = turn.end(took) => {}
            }
        }
    }

    /// The most urgent when it is its turn. No turn is asked for while nothing waits.
    async fn next<'a>(&self, budget: &'a Budget) -> (Turn<'a>, Wanted) {
        loop {
            if self.counts().waiting > 0 {
                let turn = budget.turn().await;
                if let Some(wanted) = self.take() {
                    return (turn, wanted);
                }
            }
            // A permit is kept for whoever comes after the notification.
            self.0.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Wanted> {
        let mut queue = self.queue();
        let order = |waiting: &Waiting| (waiting.urgency, std::cmp::Reverse(waiting.number));
        let all = queue.waiting.iter();
        let (key, _) = all.max_by_key(|(_, waiting)| order(waiting))?;
        let key = key.clone();
        let waiting = queue.waiting.remove(&key)?;
        Some(Wanted {
            resource: key.0,
            property: key.1,
            messages: waiting.messages,
        })
    }

    /// Counts one that ended.
    fn count(&self, is_done: bool, took: Duration) {
        let mut queue = self.queue();
        queue.counts.done += u64::from(is_done);
        queue.counts.given_up += u64::from(!is_done);
        queue.counts.spent = queue.counts.spent.saturating_add(took);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A number counted or not by a thread that panicked does not make the queue wrong.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One refit: whether it was done, and how long it took; `None` if it was not wanted any longer.
async fn refit(
    wanted: Wanted,
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
) -> Option<(bool, Duration)> {
    let (reply, answer) = oneshot::channel();
    let message = Message::Fork {
        path: wanted.property,
        reply,
    };
    // The task has gone only when its resource is not watched any longer.
    wanted.messages.send(message).await.ok()?;
    let mut fork = answer.await.ok()??;
    let ticket = fork.ticket().clone();
    let resource = wanted.resource;
    let began = clock.monotonic();
    let fitted = on_a_thread(async move {
        let fitted = fit(&mut fork, resource, history.as_ref()).await;
        fitted.map(|()| fork)
    });
    let fitted = fitted
        .await
        .unwrap_or_else(|error| Err(format!("it ended early: {error}")));
    let took = clock.monotonic().saturating_sub(began);
    let result = match fitted {
        Ok(fork) => {
            debug!(?took, "refitted");
            Ok(fork)
        }
        Err(why) => {
            debug!(%why, "not refitted now");
            Err(ticket)
        }
    };
    let is_done = result.is_ok();
    wanted.messages.send(Message::Refitted(result)).await.ok();
    Some((is_done, took))
}

async fn fit(fork: &mut Fork, resource: ResourceId, history: &dyn History) -> Result<(), String> {
    let series = SeriesKey {
        resource,
        property: fork.ticket().path.clone(),
        stream: Stream::Deviation,
    };
    let range = Range {
        from: fork.from,
        until: fork.until + Duration::from_millis(1),
        step: None,
    };
    let points = history.range(&series, range).await;
    let points: Vec<(Timestamp, f64)> = (points.map_err(|error| error.to_string())?.into_iter())
        .map(|point| (point.at, point.value))
        .collect();
    fork.fit(&points).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use evenkeel_ports::fake::{FakeClock, FakeHistory};

    use super::*;

    fn due(properties: &[(&str, Urgency)]) -> BTreeMap<PropertyPath, Urgency> {
        let all = properties.iter();
        all.map(|(path, urgency)| ((*path).into(), *urgency))
            .collect()
    }

    fn taken(refits: &Refits) -> Vec<String> {
        let next = || refits.take();
        std::iter::from_fn(next)
            .map(|wanted| format!("{} {}", wanted.resource, wanted.property))
            .collect()
    }

    #[test]
    fn what_drifts_or_is_critical_comes_first_and_the_rest_in_its_turn() {
        use Urgency::{First, Ordinary};
        let refits = Refits::new(Budget::new(0.1));
        let (messages, _inbox) = mpsc::channel(1);
        let (web, db) = ("web".into(), "db".into());
        refits.want(&web, &messages, due(&[("a", Ordinary), ("b", Ordinary)]));
        refits.want(&db, &messages, due(&[("x", First), ("y", Ordinary)]));
        // Said again: once in the queue, `b` now in a hurry, `a` not wanted any longer.
        refits.want(&web, &messages, due(&[("b", First), ("c", Ordinary)]));
        assert_eq!(refits.counts().waiting, 4);
        assert_eq!(taken(&refits), ["web b", "db x", "db y", "web c"]);
    }

    #[test]
    fn the_queue_has_a_bound_and_takes_up_later_what_found_no_room() {
        let refits = Refits::new(Budget::new(0.1));
        let (messages, _inbox) = mpsc::channel(1);
        let many = |_: ()| -> BTreeMap<PropertyPath, Urgency> {
            let name = |i: usize| PropertyPath::from(format!("p{i}").as_str());
            let all = 0..QUEUE + 10;
            all.map(|i| (name(i), Urgency::Ordinary)).collect()
        };
        refits.want(&"web".into(), &messages, many(()));
        assert_eq!(refits.counts().waiting, QUEUE);
        refits.take().unwrap();
        refits.want(&"web".into(), &messages, many(()));
        assert_eq!(refits.counts().waiting, QUEUE);
    }

    #[tokio::test]
    async fn without_a_share_nothing_is_taken() {
        let budget = Budget::new(0.0);
        let refits = Refits::new(budget.clone());
        let (messages, mut inbox) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let (history, clock) = (FakeHistory::new(), FakeClock::at(Timestamp::from_millis(0)));
        let running = refits.clone();
        let running = tokio::spawn(running.run(Arc::new(history), Arc::new(clock), stopped));
        refits.want(&"web".into(), &messages, due(&[("a", Urgency::First)]));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(inbox.try_recv().is_err());
        budget.set_share(0.5);
        let message = inbox.recv().await;
        assert!(matches!(&message, Some(Message::Fork { path, .. }) if path.as_str() == "a"));
        drop(message); // no fork comes
        stop.send(()).unwrap();
        running.await.unwrap();
    }

    #[test]
    fn what_came_of_it_is_counted() {
        let refits = Refits::new(Budget::new(0.25));
        let ms = Duration::from_millis;
        refits.count(true, ms(20));
        refits.count(false, ms(1));
        let expected = Counts {
            done: 1,
            given_up: 1,
            waiting: 0,
            spent: ms(21),
        };
        assert_eq!(refits.counts(), expected);
    }
}
