//! The properties of one probe as jobs that do not depend on each other.
//!
//! The core knows no threads. Whoever has some may give them as [`Workers`]; what comes out is put together in the
//! order of paths, so it is the same whoever did what, and when. Properties that never moved are not worth
//! handing over.

use std::collections::BTreeMap;
use std::fmt;

use super::{One, Tracker};
use crate::ids::PropertyPath;
use crate::outlook::PropertyOutlook;

/// Whoever does many jobs.
pub trait Workers: Sync + fmt::Debug {
    /// Runs each of the jobs, in whatever order, or several at once.
    fn each(&self, jobs: &mut [&mut Job<'_>]);
}

/// One job after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct InTurn;

impl Workers for InTurn {
    fn each(&self, jobs: &mut [&mut Job<'_>]) {
        jobs.iter_mut().for_each(|job| job.run());
    }
}

/// Makes the tracker of a property that nothing is known of.
type Fresh<'a> = dyn Fn(&PropertyPath) -> Tracker + Sync + 'a;

/// The assessment of one property.
pub struct Job<'a> {
    one: One<'a>,
    tracker: &'a mut Tracker,
    fresh: &'a Fresh<'a>,
    outlook: Option<PropertyOutlook>,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Job").field(self.one.path).finish()
    }
}

impl Job<'_> {
    /// Does it; a second time changes nothing.
    pub fn run(&mut self) {
        if self.outlook.is_none() {
            let path = self.one.path;
            let outlook = self.one.assess(self.tracker, || (self.fresh)(path));
            self.outlook = Some(outlook);
        }
    }
}

/// Those without a tracker. Both are in the order of paths.
pub(super) fn without<'a>(
    ones: &[One<'a>],
    trackers: &BTreeMap<PropertyPath, Tracker>,
) -> Vec<One<'a>> {
    let mut known = trackers.keys().peekable();
    let mut missing = Vec::new();
    for one in ones {
        while known.next_if(|path| *path < one.path).is_some() {}
        if known.next_if(|path| *path == one.path).is_none() {
            missing.push(*one);
        }
    }
    missing
}

/// Assesses all of `ones`, each of which has a tracker. Both are in the order of paths, and so is the result.
pub(super) fn run(
    ones: Vec<One<'_>>,
    trackers: &mut BTreeMap<PropertyPath, Tracker>,
    fresh: &Fresh<'_>,
    workers: &dyn Workers,
) -> Vec<PropertyOutlook> {
    let mut left = trackers.iter_mut().peekable();
    let mut jobs = Vec::with_capacity(ones.len());
    for one in ones {
        while left.next_if(|(path, _)| *path < one.path).is_some() {}
        if let Some((_, tracker)) = left.next_if(|(path, _)| *path == one.path) {
            jobs.push(Job {
                one,
                tracker,
                fresh,
                outlook: None,
            });
        }
    }
    let (mut busy, mut idle): (Vec<&mut Job<'_>>, Vec<&mut Job<'_>>) =
        jobs.iter_mut().partition(|job| job.tracker.moved);
    InTurn.each(&mut idle);
    workers.each(&mut busy);
    // Whatever the workers left undone is done now.
    jobs.iter_mut().for_each(Job::run);
    jobs.into_iter().filter_map(|job| job.outlook).collect()
}
