//! What a network learns from: the deviations of all properties of a kind that vary, as far as the history
//! has them.
//!
//! They are read a few series at a time, each few in a turn of the budget. Invariants: memory has a bound
//! ([`SERIES_MAX`] series of 4,096 steps); the same history gives the same series in the same order.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::watch::refit::HISTORY_STEPS;
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};
use evenkeel_forecast::lstm::Lesson;
use evenkeel_ports::{Clock, History, HistoryError, Range, SeriesKey, Stream};
use tracing::debug;

use crate::blocking::on_a_thread;
use crate::budget::Budget;

/// Fewer series than this are no crowd to learn from: what a network knows of a dozen series, their own
/// models know better (`docs/decisions/0008-own-lstm-cell.md`, NAB).
pub(super) const SERIES_MIN: usize = 32;
/// More series than this teach little more, and would take more than 32 MiB (8 bytes a step).
const SERIES_MAX: usize = 1000;
/// The most series that are read to find that many: a fleet of settings that moved once has plenty of others.
const READ_MAX: usize = 4 * SERIES_MAX;
/// A shorter series has no later range to validate on: a fifth of it must hold the furthest anchor (48 steps)
/// twice.
const STEPS_MIN: usize = 512;
/// A value that changed less often does not vary, it was changed.
const CHANGES_MIN: usize = 64;
/// Series that are read in one turn: some ten milliseconds.
const PER_TURN: usize = 16;

/// A resource whose properties are learned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its name.
    pub resource: ResourceId,
    /// Its kind.
    pub kind: String,
    /// The time between two probes.
    pub step: Duration,
}

/// Where they are read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) history: Arc<dyn History>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budget: Budget,
}

/// One series that may be one to learn from.
#[derive(Clone, Debug)]
struct Candidate {
    series: SeriesKey,
    step: Duration,
}

impl Source {
    /// The series of `watched` that are good enough, without their seasons. A series that cannot be read is
    /// left out.
    pub(super) async fn read(&self, watched: &[Watched]) -> Result<Vec<Lesson>, HistoryError> {
        let now = self.clock.now();
        let mut lessons = Vec::new();
        let candidates = self.candidates(watched).await?;
        for few in candidates.chunks(PER_TURN) {
            let (few, history) = (few.to_vec(), self.history.clone());
            let read = async move {
                let mut found = Vec::new();
                for candidate in few {
                    found.extend(read_one(history.as_ref(), &candidate, now).await);
                }
                found
            };
            lessons.extend(self.in_a_turn(read).await.unwrap_or_default());
            if lessons.len() >= SERIES_MAX {
                lessons.truncate(SERIES_MAX);
                break;
            }
        }
        Ok(lessons)
    }

    /// Looks for the seasons of all.
    pub(super) async fn find_seasons(&self, lessons: Vec<Lesson>) -> Vec<Lesson> {
        let mut ready = Vec::with_capacity(lessons.len());
        let mut rest = lessons.into_iter().peekable();
        while rest.peek().is_some() {
            let mut few: Vec<Lesson> = rest.by_ref().take(PER_TURN).collect();
            let find = async move {
                few.iter_mut().for_each(Lesson::find_seasons);
                few
            };
            ready.extend(self.in_a_turn(find).await.unwrap_or_default());
        }
        ready
    }

    /// Does `work` on a thread of its own when it is its turn, and rests. `None` if it panicked.
    pub(super) async fn in_a_turn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let turn = self.budget.turn().await;
        let began = self.clock.monotonic();
        let done = on_a_thread(work).await;
        turn.end(self.clock.monotonic().saturating_sub(began)).await;
        done.inspect_err(|error| debug!(%error, "work for a network ended early"))
            .ok()
    }

    /// Every series of deviations, in an order that has nothing to do with names: the first that are good
    /// enough are a fair sample of all.
    async fn candidates(&self, watched: &[Watched]) -> Result<Vec<Candidate>, HistoryError> {
        let mut found = Vec::new();
        for Watched { resource, step, .. } in watched {
            let (history, resource) = (self.history.clone(), resource.clone());
            let list = self.in_a_turn(async move { history.series(&resource).await });
            let series = list.await.unwrap_or_else(|| Ok(Vec::new()))?;
            let deviations = series.into_iter().filter(|s| s.stream == Stream::Deviation);
            found.extend(deviations.map(|series| Candidate {
                series,
                step: *step,
            }));
        }
        found.sort_by_cached_key(|one| place(&one.series.resource, &one.series.property));
        found.truncate(READ_MAX);
        Ok(found)
    }
}

fn place(resource: &ResourceId, property: &PropertyPath) -> [u8; blake3::OUT_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(resource.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(property.as_str().as_bytes());
    *hasher.finalize().as_bytes()
}

async fn read_one(history: &dyn History, candidate: &Candidate, now: Timestamp) -> Option<Lesson> {
    let Candidate { series, step } = candidate;
    let reach = *step * u32::try_from(HISTORY_STEPS).unwrap_or(u32::MAX);
    let range = Range {
        from: now.before(reach),
        until: now + Duration::from_millis(1),
        step: None,
    };
    let points = history.range(series, range).await;
    let points =
        points.inspect_err(|error| debug!(%error, property = %series.property, "not read"));
    let points: Vec<(Timestamp, f64)> = (points.ok()?.into_iter())
        .map(|point| (point.at, point.value))
        .collect();
    let lesson = Lesson::new(&points, *step)?;
    let is_good = lesson.values().len() >= STEPS_MIN && lesson.changes() >= CHANGES_MIN;
    is_good.then_some(lesson)
}
