//! The stored form of one example of every stored type, held against a file. A difference means that
//! what older stores hold can no longer be read, or what this one writes not by older programs.
//!
//! `EVENKEEL_WRITE_GOLDEN=1` writes the files that are missing; it never changes one.

#![allow(clippy::unwrap_used, reason = "tests, with helpers of their own")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_core::band::Band;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::Explanation;
use evenkeel_core::failover::plan::Heading;
use evenkeel_core::failover::{
    Capabilities, Effect, Event, Failure, Outcome, Output, Plan, PlanKind, Step,
};
use evenkeel_core::forecast::{Forecast, HorizonGrid, Quantiles};
use evenkeel_core::generation::{Choice, ContentHash, Generation, Verdict};
use evenkeel_core::guard::{Guard, GuardCheck};
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::Window;
use evenkeel_core::property::{Observed, Origin, Place, RedactedHash, Severity, Value};
use evenkeel_core::reason::Reason;
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::state::{Approval, Pause, Phase, State, Sustain};
use evenkeel_core::{
    BaselineVersion, FencingToken, GenerationId, Instance, PropertyPath, RunId, Timestamp,
};
use evenkeel_ports::{AuditEntry, PropertyChange, Rehearsal};
use evenkeel_store::record::{Stored, decode, encode};

fn check<T: Stored + PartialEq + Debug>(name: &str, example: &T) {
    let file = format!("{name}.v{}.json", T::VERSION);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(&file);
    let text = encode(example).unwrap();
    if std::env::var_os("EVENKEEL_WRITE_GOLDEN").is_some() && !path.exists() {
        std::fs::write(&path, format!("{text}\n")).unwrap();
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{file}: {e}: run once with EVENKEEL_WRITE_GOLDEN=1"));
    let golden = golden.trim_end();
    assert_eq!(
        text, golden,
        "the stored form of {name} has changed: raise its VERSION in record.rs, read the old \
         version there too, and keep {file} as its test"
    );
    assert_eq!(
        decode::<T>(golden).as_ref(),
        Ok(example),
        "{file} is not read back"
    );
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_795_564_799_000 + ms)
}

fn choice() -> Choice {
    Choice {
        config_from: GenerationId(11),
        data_from: GenerationId(12),
        config_at: at(1),
        data_at: at(2),
    }
}

fn values() -> BTreeMap<PropertyPath, Observed> {
    let every_kind = [
        Value::Number(-0.0),
        Value::Number(1e300),
        Value::Flag(true),
        Value::Choice("warn".into()),
        Value::Text("a \"quoted\"\nline".into()),
        Value::Set(BTreeSet::from(["x".to_owned(), "y".to_owned()])),
        Value::Document(BTreeMap::from([("k".to_owned(), Value::Number(0.1))])),
        Value::Redacted(RedactedHash([7; 16])),
    ];
    (every_kind.into_iter().zip(0_u32..))
        .map(|(value, n)| {
            let observed = Observed {
                value,
                origin: if n % 2 == 0 {
                    Origin::Configuration
                } else {
                    Origin::Capacity
                },
                unit: (n == 1).then(|| "B".to_owned()),
                place: (n == 2).then(|| Place {
                    file: "nginx.conf".into(),
                    line: 31,
                }),
            };
            (PropertyPath::new(format!("p/{n}")), observed)
        })
        .collect()
}

#[test]
fn state() {
    let whole = State {
        token: FencingToken(7),
        serving: Instance::B,
        phase: Phase::Held {
            run: RunId(3),
            why: "stuck".into(),
        },
        sustain: Sustain::default().push(true).push(false).push(true),
        failovers: vec![at(1), at(2)],
        pause: Some(Pause {
            by: "alice".into(),
            why: "upgrade".into(),
            until: Some(at(9)),
        }),
        windows: vec![Window {
            from: at(3),
            until: at(4),
            by: "bob".into(),
            why: "deploy".into(),
        }],
        approval: Some(Approval {
            by: "carol".into(),
            until: at(5),
        }),
        alerted: Some("held_back".into()),
        ..State::new(at(0))
    };
    check("state", &whole);
    let told = State {
        watched: Sustain::default().push(true),
        told: BTreeMap::from([("watched pool".to_owned(), at(7))]),
        surprised: BTreeMap::from([("pool".into(), at(8))]),
        ..State::new(at(0))
    };
    check("state-told", &told);
    check("state-new", &State::new(at(0)));
    let phases = [
        ("seeding", Phase::Seeding),
        ("guarded", Phase::Guarded),
        ("moving", Phase::Moving { run: RunId(1) }),
        ("reinstating", Phase::Reinstating { run: RunId(2) }),
        (
            "unprotected",
            Phase::Unprotected {
                why: "asked".into(),
            },
        ),
    ];
    for (name, phase) in phases {
        check(
            &format!("state-{name}"),
            &State {
                phase,
                ..State::new(at(0))
            },
        );
    }
}

#[test]
fn baseline() {
    let example = Baseline {
        version: BaselineVersion(4),
        at: at(0),
        by: "alice".into(),
        note: "more room".into(),
        properties: values(),
        learned: BTreeMap::from([("p/0".into(), 0.1)]),
        pinned: Some(GenerationId(11)),
    };
    check("baseline", &example);
}

#[test]
fn generation() {
    let good = Generation {
        id: GenerationId(12),
        at: at(2),
        from: Instance::A,
        verdict: Verdict::Good,
        config: ContentHash("c0ffee".into()),
        data: Some(ContentHash("da7a".into())),
        baseline: Some(BaselineVersion(4)),
        torn: false,
        files: 42,
        bytes: 1 << 40,
        bytes_moved: 512,
    };
    let quarantined = Verdict::Quarantined {
        why: "made since the drift".into(),
    };
    check("generation", &good);
    check(
        "generation-suspect",
        &Generation {
            verdict: Verdict::Suspect,
            ..good.clone()
        },
    );
    check(
        "generation-quarantined",
        &Generation {
            verdict: quarantined,
            ..good
        },
    );
}

#[test]
fn plan() {
    let heading = || Heading {
        run: RunId(3),
        resource: "web".into(),
        token: FencingToken(8),
        at: at(6),
        why: "predicted to leave its band".into(),
        from: Instance::A,
    };
    let capabilities = Capabilities {
        single_writer: true,
        has_traffic: true,
        has_data: true,
        can_rehearse: true,
    };
    let failover = Plan::move_clients(PlanKind::Failover, heading(), choice(), capabilities);
    check("plan-failover", &failover);
    check("plan-reinstatement", &Plan::reinstatement(heading(), None));
}

#[test]
fn run_events_and_outcomes() {
    let failure = || Failure {
        what: "timed out".into(),
        effect: Effect::Unknown,
    };
    let output = Output {
        generation: Some(GenerationId(12)),
        took_ms: 1200,
        note: "moved 3 files".into(),
    };
    let events = [
        ("begun", Event::Begun(Step::PreSync)),
        ("done", Event::Done(Step::FinalSync, output)),
        ("failed", Event::Failed(Step::FenceOld, failure())),
        ("skipped", Event::Skipped(Step::Drain, failure())),
        ("undo_begun", Event::UndoBegun(Step::Activate)),
        ("undone", Event::Undone(Step::Lease)),
        (
            "undo_failed",
            Event::UndoFailed(Step::Redirect, "no route".into()),
        ),
    ];
    for (name, event) in events {
        check(&format!("run_event-{name}"), &event);
    }
    for (name, outcome) in [
        ("done", Outcome::Done),
        ("undone", Outcome::Undone),
        ("stuck", Outcome::Stuck),
    ] {
        check(&format!("outcome-{name}"), &outcome);
    }
}

#[test]
fn event() {
    let event = NewEvent::new(
        at(7),
        EventKind::Saga,
        Severity::Critical,
        "moved to b".into(),
    )
    .of(&"web".into())
    .by("alice")
    .in_run(RunId(3))
    .with_detail("a diff".into());
    check("event", &event);
    let grid = HorizonGrid::new(Duration::from_secs(10), Duration::from_secs(20));
    let outlook = PropertyOutlook {
        path: "p/0".into(),
        severity: Severity::Critical,
        origin: Origin::Configuration,
        unit: Some("s".into()),
        approved: Some(Value::Number(65.0)),
        limit: None,
        found: Some(Value::Number(70.5)),
        place: None,
        deviation: 0.55,
        band: Band {
            lower: 0.5,
            upper: 0.75,
        },
        breach: Breach::Predicted {
            lead_time: Duration::from_secs(840),
            confidence: 0.96,
            harm_after: None,
        },
        onset: Some(at(-5)),
        forecast: Some(Forecast {
            origin: at(0),
            quantiles: vec![Quantiles::certain(0.1); grid.len()],
            grid,
        }),
        harm: None,
        since: None,
        company: None,
        surprise: None,
        season: None,
    };
    let explanation = Explanation {
        reason: Reason::HeldBack {
            guard: Guard::Pause,
            path: "p/0".into(),
            // As it was worded then: what is kept is what was said, not what would be said now.
            sentence: concat!(
                "p/0 is 70.5 s (approved 65 s), +0.55 of its tolerance, predicted to leave its band ",
                "-0.50 to +0.75 in 14 min with confidence 0.96"
            )
            .into(),
            why: "paused by alice".into(),
        },
        outlooks: vec![outlook],
        guards: vec![GuardCheck {
            guard: Guard::Pause,
            holds: true,
            sentence: "paused by alice".into(),
        }],
    };
    let explained = NewEvent {
        explanation: Some(explanation),
        ..event
    };
    check("event-explained", &explained);
}

#[test]
fn rehearsal() {
    let good = Rehearsal {
        at: at(8),
        choice: choice(),
        activation: Duration::from_millis(850),
        result: Ok(()),
    };
    check("rehearsal", &good);
    check(
        "rehearsal-failed",
        &Rehearsal {
            result: Err("down".into()),
            ..good
        },
    );
}

#[test]
fn audit_entry() {
    let entry = AuditEntry {
        at: at(9),
        actor: "uid 1000".into(),
        action: "failover.start".into(),
        resource: Some("web".into()),
        result: Err("paused".into()),
        before: Some("65".into()),
        after: None,
    };
    check("audit", &entry);
}

#[test]
fn property_change() {
    let change = PropertyChange {
        resource: "web".into(),
        property: "nginx.conf/http/keepalive_timeout".into(),
        at: at(10),
        old: Some(Value::Number(65.0)),
        new: None,
        place: Some(Place {
            file: "nginx.conf".into(),
            line: 31,
        }),
    };
    check("change", &change);
}
