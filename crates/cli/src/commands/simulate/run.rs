//! Replays on threads: several policies side by side, each over all resources in step.
//!
//! Entries are made on a thread of their own, so that making them and deciding on them overlap. Threads that
//! no policy needs share the properties of one probe. No answer depends on the number of threads.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use evenkeel_core::policy::Policy;
use evenkeel_core::replay::{Entry, Fleet, Replayed, Setting};
use evenkeel_core::watch::{InTurn, Job, Workers};
use evenkeel_core::{PropertyPath, Timestamp};
use evenkeel_forecast::MixtureFactory;

use super::plot::{Tracks, follow};
use super::source::{Harm, Subject};
use crate::error::CliError;

/// Entries that are handed over at once.
const BATCH: usize = 256;

/// Batches that may wait to be decided on.
const WAITING: usize = 4;

/// What came of one policy.
#[derive(Debug)]
pub(super) struct Ran {
    /// In the order of the subjects.
    pub(super) replayed: Vec<Replayed>,
    /// The first and the last instant; `None` where nothing happened at all.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// The course of every property that moved, in the order of the subjects; empty unless asked for.
    pub(super) tracks: Vec<Tracks>,
}

/// How the replays are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    /// On so many threads.
    pub(super) jobs: usize,
    /// Whether tracks are kept for plots.
    pub(super) tracked: bool,
}

/// What came of all policies, and what is known of harm, by subject.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) runs: Vec<Ran>,
    pub(super) harms: Vec<BTreeMap<PropertyPath, Harm>>,
}

/// One policy for each subject.
pub(super) type Variant = Vec<Policy>;

/// The threads of the pool that it is called on.
#[derive(Debug)]
struct Pooled;

impl Workers for Pooled {
    fn each(&self, jobs: &mut [&mut Job<'_>]) {
        match jobs {
            [] => {}
            [job] => job.run(),
            [..] => {
                let (some, others) = jobs.split_at_mut(jobs.len() / 2);
                rayon_core::join(|| self.each(some), || self.each(others));
            }
        }
    }
}

/// Replays the subjects once by each variant. `progress` is told how many entries of
/// all were decided on.
pub(super) fn run(
    subjects: &[Subject],
    variants: &[Variant],
    running: Running,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, CliError> {
    let threads = rayon_core::ThreadPoolBuilder::new()
        .num_threads(running.jobs.max(1))
        .build()
        .map_err(|error| CliError::Failed(format!("cannot start threads: {error}")))?;
    // Where there is a policy for every thread, none has time for the properties of another.
    let workers: &dyn Workers = if variants.len() < running.jobs {
        &Pooled
    } else {
        &InTurn
    };
    let places: Vec<Mutex<Option<Ran>>> = variants.iter().map(|_| Mutex::new(None)).collect();
    let (tell, told) = mpsc::channel::<u64>();
    let work = |tell: mpsc::Sender<u64>| {
        threads.scope(|scope| {
            for (variant, place) in variants.iter().zip(&places) {
                let tell = tell.clone();
                scope.spawn(move |_| {
                    let ran = one(
                        subjects,
                        variant,
                        (running.tracked, workers),
                        &mut |entries| {
                            // Nobody listens any more only if the whole command is being given up.
                            let _ = tell.send(entries);
                        },
                    );
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(ran);
                });
            }
        });
    };
    let harms = thread::scope(|scope| {
        let harms = scope.spawn(|| subjects.iter().map(Subject::harms).collect());
        scope.spawn(|| work(tell));
        let mut done = 0;
        for entries in told {
            done += entries;
            progress(done);
        }
        match harms.join() {
            Ok(harms) => harms,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    let runs = places
        .into_iter()
        .filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect();
    Ok(Outcome { runs, harms })
}

/// Replays all subjects in step, each by its policy. `taken` is told of entries as they were decided on.
fn one(
    subjects: &[Subject],
    policies: &[Policy],
    (tracked, workers): (bool, &dyn Workers),
    taken: &mut dyn FnMut(u64),
) -> Ran {
    let factory = MixtureFactory::default();
    let settings: Vec<Setting<'_>> = (subjects.iter().zip(policies))
        .map(|(subject, policy)| Setting {
            resource: &subject.id,
            policy,
            baseline: &subject.baseline,
            factory: &factory,
            assumed: subject.assumed,
        })
        .collect();
    let mut fleet = Fleet::new(&settings).by(workers);
    let mut span: Option<(Timestamp, Timestamp)> = None;
    let mut tracks = vec![Tracks::new(); if tracked { subjects.len() } else { 0 }];
    thread::scope(|scope| {
        let (give, given) = mpsc::sync_channel(WAITING);
        scope.spawn(|| feed(subjects, give));
        for batch in given {
            taken(u64::try_from(batch.len()).unwrap_or(u64::MAX));
            for (subject, entry) in batch {
                let at = entry.at();
                span = Some((span.map_or(at, |(first, _)| first), at));
                let step = fleet.take(subject, entry);
                if let (Some(tracks), Some(step)) = (tracks.get_mut(subject), step) {
                    follow(tracks, at, step.outlooks);
                }
            }
        }
    });
    Ran {
        replayed: fleet.finish(),
        span,
        tracks,
    }
}

/// Gives the entries of all subjects, in order of time; at one instant in the order of the subjects.
fn feed(subjects: &[Subject], give: SyncSender<Vec<(usize, Entry)>>) {
    let mut feeds: Vec<_> = subjects.iter().map(Subject::entries).collect();
    let mut heads: Vec<Option<Entry>> = feeds.iter_mut().map(Iterator::next).collect();
    let mut queue: BinaryHeap<Reverse<(Timestamp, usize)>> = (heads.iter().enumerate())
        .filter_map(|(subject, head)| Some(Reverse((head.as_ref()?.at(), subject))))
        .collect();
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(Reverse((_, subject))) = queue.pop() {
        let (Some(head), Some(feed)) = (heads.get_mut(subject), feeds.get_mut(subject)) else {
            continue;
        };
        let entry = std::mem::replace(head, feed.next());
        if let Some(head) = head {
            queue.push(Reverse((head.at(), subject)));
        }
        batch.extend(entry.map(|entry| (subject, entry)));
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if give.send(full).is_err() {
                return;
            }
        }
    }
    // Whoever does not listen any more has all that was wanted.
    let _ = give.send(batch);
}
