//! Baselines.

use evenkeel_api::wire;
use evenkeel_core::ResourceId;
use evenkeel_core::baseline::Baseline;

use super::{count, property, words};

pub(in crate::http) fn summary(baseline: &Baseline) -> wire::BaselineSummary {
    wire::BaselineSummary {
        version: baseline.version.to_string(),
        at: baseline.at.to_string(),
        by: baseline.by.clone(),
        note: baseline.note.clone(),
        properties: count(baseline.properties.len()),
        pinned: baseline.pinned.map(|id| id.to_string()),
    }
}

pub(in crate::http) fn view(resource: &ResourceId, baseline: &Baseline) -> wire::BaselineView {
    let values = baseline
        .properties
        .iter()
        .map(|(path, approved)| wire::BaselineProperty {
            path: path.to_string(),
            value: property::value(&approved.value),
            origin: words::origin(approved.origin),
            unit: approved.unit.clone(),
            place: approved.place.as_ref().map(property::place),
            learned_tolerance: baseline.learned.get(path).copied(),
        });
    wire::BaselineView {
        resource: resource.to_string(),
        summary: summary(baseline),
        values: values.collect(),
    }
}
