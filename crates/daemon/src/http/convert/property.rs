//! Properties, their values, changes and differences.

use std::collections::BTreeMap;

use evenkeel_api::wire;
use evenkeel_core::PropertyPath;
use evenkeel_core::band::Band;
use evenkeel_core::baseline::Difference;
use evenkeel_core::forecast::PathBound;
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::property::{Observed, Place, Value};
use evenkeel_core::surprise::Surprise;
use evenkeel_core::watch::default_severity;
use evenkeel_ports::{Point, PropertyChange};
use serde_json::json;

use super::words;
use crate::engine::Snapshot;

pub(in crate::http) fn value(value: &Value) -> wire::WireValue {
    wire::WireValue {
        kind: kind(value),
        value: json_value(value),
        text: value.to_string(),
    }
}

fn kind(value: &Value) -> wire::ValueKind {
    match value {
        Value::Number(_) => wire::ValueKind::Number,
        Value::Flag(_) => wire::ValueKind::Flag,
        Value::Choice(_) => wire::ValueKind::Choice,
        Value::Text(_) => wire::ValueKind::Text,
        Value::Set(_) => wire::ValueKind::Set,
        Value::Document(_) => wire::ValueKind::Document,
        Value::Redacted(_) => wire::ValueKind::Redacted,
    }
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => json!(number),
        Value::Flag(flag) => json!(flag),
        Value::Choice(text) | Value::Text(text) => json!(text),
        Value::Set(items) => json!(items),
        Value::Document(tree) => {
            let branches: BTreeMap<&String, serde_json::Value> = tree
                .iter()
                .map(|(name, below)| (name, branch(below)))
                .collect();
            json!(branches)
        }
        Value::Redacted(hash) => json!(hash.to_string()),
    }
}

/// A part of a document: a tree as it is, a leaf with its kind.
fn branch(below: &Value) -> serde_json::Value {
    match below {
        Value::Document(_) => json_value(below),
        Value::Number(_)
        | Value::Flag(_)
        | Value::Choice(_)
        | Value::Text(_)
        | Value::Set(_)
        | Value::Redacted(_) => json!(value(below)),
    }
}

pub(in crate::http) fn place(place: &Place) -> wire::Place {
    wire::Place {
        file: place.file.clone(),
        line: place.line,
    }
}

pub(in crate::http) fn band(band: Band) -> wire::Band {
    wire::Band {
        lower: band.lower,
        upper: band.upper,
    }
}

pub(in crate::http) fn path_bound(bound: PathBound) -> wire::PathBound {
    wire::PathBound {
        within_s: bound.within.as_secs_f64(),
        at_least: bound.at_least,
        at_most: bound.at_most,
    }
}

pub(in crate::http) fn breach(outlook: &PropertyOutlook) -> wire::Breach {
    wire::Breach {
        path_bound: outlook.path_bound().map(path_bound),
        harm: outlook.harm.map(|harm| wire::Harm {
            probability: harm.probability,
            turned_back: harm.turned_back,
        }),
        ..breach_alone(outlook.breach)
    }
}

fn breach_alone(breach: Breach) -> wire::Breach {
    let (kind, harm_after) = match breach {
        Breach::None => return wire::Breach::NONE,
        Breach::Predicted { harm_after, .. } => (wire::BreachKind::Predicted, harm_after),
        Breach::Observed => (wire::BreachKind::Observed, None),
    };
    wire::Breach {
        kind,
        lead_time_s: breach.lead_time().map(|span| span.as_secs_f64()),
        confidence: breach.confidence(),
        path_bound: None,
        harm_after_s: harm_after.map(|span| span.as_secs_f64()),
        harm: None,
    }
}

fn surprise(surprise: Surprise) -> wire::Surprise {
    wire::Surprise {
        expected_lower: surprise.expected_lower,
        expected_upper: surprise.expected_upper,
        least: surprise.least,
        greatest: surprise.greatest,
    }
}

pub(in crate::http) fn property(outlook: &PropertyOutlook) -> wire::Property {
    wire::Property {
        path: outlook.path.to_string(),
        value: outlook.found.as_ref().map(value),
        approved: outlook.approved.as_ref().map(value),
        limit: outlook.limit,
        deviation: outlook.deviation,
        band: band(outlook.band),
        severity: words::severity(outlook.severity),
        origin: words::origin(outlook.origin),
        place: outlook.place.as_ref().map(place),
        unit: outlook.unit.clone(),
        breach: breach(outlook),
        onset: outlook.onset.map(|at| at.to_string()),
        surprise: outlook.surprise.map(surprise),
        sentence: outlook.sentence(),
    }
}

/// The properties of a resource in the order of paths: as they were assessed, or, before there is
/// anything to assess them by, as they were found.
pub(in crate::http) fn properties(snapshot: &Snapshot) -> Vec<wire::Property> {
    let mut properties: Vec<wire::Property> = snapshot.outlooks.iter().map(property).collect();
    if let (true, Some(probe)) = (properties.is_empty(), &snapshot.probe) {
        let watched = |path: &PropertyPath| {
            !snapshot
                .settings
                .policy
                .rule(path)
                .is_some_and(|rule| rule.ignore)
        };
        properties = (probe.properties.iter())
            .filter(|(path, _)| watched(path))
            .map(|(path, found)| found_property(snapshot, path, found))
            .collect();
    }
    properties.sort_by(|a, b| a.path.cmp(&b.path));
    properties
}

/// A property that was read and not assessed yet: nothing is known of its deviation, so it has none.
fn found_property(snapshot: &Snapshot, path: &PropertyPath, found: &Observed) -> wire::Property {
    let policy = &snapshot.settings.policy;
    let rule = policy.rule(path);
    let by_origin = default_severity(found.origin);
    let approved = snapshot
        .baseline
        .as_ref()
        .and_then(|baseline| baseline.properties.get(path));
    let unit = rule
        .and_then(|rule| rule.unit.clone())
        .or_else(|| found.unit.clone());
    wire::Property {
        path: path.to_string(),
        value: Some(value(&found.value)),
        approved: approved.map(|approved| value(&approved.value)),
        limit: None,
        deviation: 0.0,
        band: wire::Band {
            lower: policy.band_ceiling,
            upper: policy.band_ceiling,
        },
        severity: words::severity(rule.and_then(|rule| rule.severity).unwrap_or(by_origin)),
        origin: words::origin(found.origin),
        place: found.place.as_ref().map(place),
        unit,
        breach: wire::Breach::NONE,
        onset: None,
        surprise: None,
        sentence: format!("{path} is {}, not assessed yet", found.value.brief()),
    }
}

pub(in crate::http) fn unreadable(snapshot: &Snapshot) -> Vec<wire::Unreadable> {
    let places = snapshot.probe.iter().flat_map(|probe| &probe.unreadable);
    places
        .map(|(path, why)| wire::Unreadable {
            path: path.to_string(),
            why: why.clone(),
        })
        .collect()
}

pub(in crate::http) fn point(point: &Point) -> wire::Point {
    wire::Point {
        at: point.at.to_string(),
        value: point.value,
    }
}

pub(in crate::http) fn change(change: PropertyChange) -> wire::Change {
    wire::Change {
        property: change.property.to_string(),
        at: change.at.to_string(),
        old: change.old.as_ref().map(value),
        new: change.new.as_ref().map(value),
        place: change.place.as_ref().map(place),
    }
}

pub(in crate::http) fn difference(difference: &Difference) -> wire::Difference {
    wire::Difference {
        path: difference.path.to_string(),
        approved: difference.approved.as_ref().map(value),
        found: difference.found.as_ref().map(value),
        place: difference.place.as_ref().map(place),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::property::RedactedHash;

    use super::*;

    #[test]
    fn a_document_has_values_at_its_leaves_and_a_secret_is_only_its_hash() {
        let secret = Value::Redacted(RedactedHash([0xab; 16]));
        let below = Value::Document([("password".to_owned(), secret)].into());
        let on = Value::Flag(true);
        let tree = Value::Document([("on".to_owned(), on), ("login".to_owned(), below)].into());
        let wire = value(&tree);
        assert_eq!(wire.kind, wire::ValueKind::Document);
        assert_eq!(
            wire.value["on"],
            json!({"kind": "flag", "value": true, "text": "on"})
        );
        assert_eq!(
            wire.value["login"]["password"]["value"],
            "redacted:abababab"
        );
    }

    #[test]
    fn a_breach_says_when_and_how_surely() {
        use std::time::Duration;
        let predicted = Breach::Predicted {
            lead_time: Duration::from_secs(90),
            confidence: 0.95,
            harm_after: Some(Duration::from_secs(120)),
        };
        let wire = breach_alone(predicted);
        assert_eq!(
            (wire.lead_time_s, wire.harm_after_s),
            (Some(90.0), Some(120.0))
        );
        assert_eq!(breach_alone(Breach::Observed).lead_time_s, Some(0.0));
        assert_eq!(breach_alone(Breach::None), wire::Breach::NONE);
    }
}
