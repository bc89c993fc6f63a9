//! What tests share.

use evenkeel_core::property::Origin;
use evenkeel_core::time::Timestamp;

use crate::record::{Property, Record};

/// A record of capacities, one course each, all of one length.
pub(crate) fn record(step: f64, courses: &[&[f64]]) -> Record {
    let count = courses.first().map_or(0, |course| course.len());
    Record {
        properties: (0..courses.len())
            .map(|i| Property {
                path: format!("p{i}").as_str().into(),
                origin: Origin::Capacity,
            })
            .collect(),
        start: Timestamp::from_millis(0),
        at: (0..count).map(|i| step * i as f64).collect(),
        deviations: (0..count)
            .flat_map(|i| courses.iter().map(move |course| course[i]))
            .collect(),
        recentred: Vec::new(),
        holds: Vec::new(),
    }
}
