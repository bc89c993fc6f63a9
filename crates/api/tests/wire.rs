//! What stands on the wire, pinned: scripts and dashboards read these names.

use evenkeel_api::wire::{
    Acted, Band, Breach, BreachKind, FirstPassage, GuardCheck, Harm, Instance, Network,
    NetworkStage, Origin, PathBound, PhaseKind, PlanView, PlannedStep, Property, Severity, Shift,
    ShiftKind, StepStatus, Surprise, TrainedNetwork, ValueKind, WireValue,
};
use serde_json::{Value, json};

fn check<W>(value: &W, wire: &Value)
where
    W: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let written = serde_json::to_value(value).expect("wire types are JSON");
    assert_eq!(&written, wire);
    let read: W = serde_json::from_value(written).expect("what was written is read");
    assert_eq!(&read, value);
}

#[test]
fn a_network_says_only_what_belongs_to_its_stage() {
    let network = Network {
        kind: "service".into(),
        stage: NetworkStage::Training,
        series: None,
        series_needed: None,
        done: Some(0.25),
        trained: Some(TrainedNetwork {
            at: "2026-11-24T22:51:05Z".into(),
            series: 120,
            values: 400_000,
            steps: 14_000,
            validation_loss: 0.5,
        }),
    };
    check(
        &network,
        &json!({
            "kind": "service",
            "stage": "training",
            "series": null,
            "series_needed": null,
            "done": 0.25,
            "trained": {
                "at": "2026-11-24T22:51:05Z",
                "series": 120,
                "values": 400_000,
                "steps": 14_000,
                "validation_loss": 0.5,
            },
        }),
    );
}

#[test]
fn a_property_is_flat_with_units_in_its_names() {
    let value = |n: f64, text: &str| {
        Some(WireValue {
            kind: ValueKind::Number,
            value: n.into(),
            text: text.into(),
        })
    };
    let property = Property {
        path: "memory/used".into(),
        value: value(1024.5, "1,024.5"),
        approved: None,
        limit: Some(2048.0),
        deviation: 0.62,
        band: Band {
            lower: 0.2,
            upper: 0.8,
        },
        severity: Severity::Critical,
        origin: Origin::Capacity,
        place: None,
        unit: Some("MiB".into()),
        breach: Breach {
            kind: BreachKind::Predicted,
            lead_time_s: Some(840.0),
            confidence: 0.97,
            path_bound: Some(PathBound {
                within_s: 1200.0,
                at_least: 0.97,
                at_most: 1.0,
            }),
            harm_after_s: None,
            harm: Some(Harm {
                probability: 0.5,
                turned_back: 1,
            }),
        },
        onset: Some("2026-11-24T22:51:05Z".into()),
        surprise: Some(Surprise {
            expected_lower: 0.25,
            expected_upper: 0.5,
            least: None,
            greatest: Some(820.5),
        }),
        sentence: "it drifts".into(),
    };
    check(
        &property,
        &json!({
            "path": "memory/used",
            "value": {"kind": "number", "value": 1024.5, "text": "1,024.5"},
            "approved": null,
            "limit": 2048.0,
            "deviation": 0.62,
            "band": {"lower": 0.2, "upper": 0.8},
            "severity": "critical",
            "origin": "capacity",
            "place": null,
            "unit": "MiB",
            "breach": {
                "kind": "predicted", "lead_time_s": 840.0, "confidence": 0.97,
                "path_bound": {"within_s": 1200.0, "at_least": 0.97, "at_most": 1.0},
                "harm_after_s": null,
                "harm": {"probability": 0.5, "turned_back": 1},
            },
            "onset": "2026-11-24T22:51:05Z",
            "surprise": {"expected_lower": 0.25, "expected_upper": 0.5, "least": null, "greatest": 820.5},
            "sentence": "it drifts",
        }),
    );
}

#[test]
fn the_answer_to_an_action_names_its_run() {
    let acted = Acted {
        done: true,
        plan: PlanView {
            sentence: "fail over".into(),
            steps: vec![PlannedStep {
                name: "lease".into(),
                what: "take it".into(),
            }],
            guards: vec![GuardCheck {
                guard: "mode".into(),
                holds: false,
                sentence: "act".into(),
            }],
        },
        run: Some("r12".into()),
        event: None,
        message: "begun".into(),
    };
    check(
        &acted,
        &json!({
            "done": true,
            "plan": {
                "sentence": "fail over",
                "steps": [{"name": "lease", "what": "take it"}],
                "guards": [{"guard": "mode", "holds": false, "sentence": "act"}],
            },
            "run": "r12",
            "event": null,
            "message": "begun",
        }),
    );
}

#[test]
fn words_are_snake_case() {
    assert_eq!(
        serde_json::to_value(StepStatus::UndoFailed).unwrap(),
        "undo_failed"
    );
    assert_eq!(
        serde_json::to_value(PhaseKind::Reinstating).unwrap(),
        "reinstating"
    );
    assert_eq!(serde_json::to_value(Instance::B).unwrap(), "b");
}

#[test]
fn a_first_passage_and_a_shift_have_units_in_their_names() {
    check(
        &FirstPassage {
            confidence: 0.9,
            leaves: None,
            stays_before_s: Some(300.0),
            reach: PathBound {
                within_s: 1800.0,
                at_least: 0.4,
                at_most: 0.7,
            },
        },
        &json!({
            "confidence": 0.9,
            "leaves": null,
            "stays_before_s": 300.0,
            "reach": {"within_s": 1800.0, "at_least": 0.4, "at_most": 0.7},
        }),
    );
    check(
        &Shift {
            onset: "2026-11-24T22:51:05Z".into(),
            noticed_at: "2026-11-24T22:52:05Z".into(),
            kind: ShiftKind::Trend,
            size: 0.62,
            size_in_unit: Some(412.0),
        },
        &json!({
            "onset": "2026-11-24T22:51:05Z",
            "noticed_at": "2026-11-24T22:52:05Z",
            "kind": "trend",
            "size": 0.62,
            "size_in_unit": 412.0,
        }),
    );
}
