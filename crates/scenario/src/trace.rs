//! Real values as a scenario: a trace of one property, cut from a record. Reading the record is the
//! caller's.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::Timestamp;

use crate::component::{Component, Trace};
use crate::scenario::{Limits, Property, Resource, Scenario};

/// What a trace is watched for.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// The resource's name.
    pub resource: String,
    /// The property's path.
    pub path: String,
    /// The approved value.
    pub approved: f64,
    /// Up to where it is harmless.
    pub limits: Limits,
}

/// Why a record is no scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// There is no step between fewer samples than two.
    #[error("a trace has at least two samples at different instants")]
    TooShort,
}

/// A scenario with one property that has the values of `samples` (in any order; of several at one instant
/// the last counts, and what is not finite is left out). The step is the median one between samples; an
/// instant without a sample within half a step of it is not read. All of a trace is its systematic course, so
/// the truth about it is in the samples alone.
///
/// # Errors
/// When there are fewer than two samples.
pub fn cut(samples: &[(Timestamp, f64)], what: Cut) -> Result<Scenario, CutError> {
    let mut samples: Vec<(Timestamp, f64)> = (samples.iter())
        .copied()
        .filter(|(_, value)| value.is_finite())
        .collect();
    samples.sort_by_key(|(at, _)| *at);
    // The later of two at one instant was there second, and stays.
    samples.reverse();
    samples.dedup_by_key(|(at, _)| *at);
    samples.reverse();
    let mut steps: Vec<Duration> = (samples.windows(2))
        .map(|pair| pair[1].0.since(pair[0].0))
        .collect();
    steps.sort_unstable();
    let step = *steps.get(steps.len() / 2).ok_or(CutError::TooShort)?;
    let (Some((start, _)), Some((end, _))) = (samples.first(), samples.last()) else {
        return Err(CutError::TooShort);
    };
    let (start, length) = (*start, end.since(*start) + step);
    let mut property = Property::number(&what.path, what.approved);
    property.limits = Some(what.limits);
    property.course = vec![Component::Trace(Trace(Arc::from(samples)))];
    let mut scenario = Scenario::new(length, step);
    scenario.start = start;
    scenario.resource = vec![Resource::new(&what.resource, vec![property])];
    Ok(scenario)
}
