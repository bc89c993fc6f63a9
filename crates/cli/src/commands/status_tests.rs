//! Golden pages of `status`.

use std::collections::BTreeMap;

use evenkeel_api::wire::{
    Band, GuardCheck, Instance, Mode, Pause, RehearsalStatus, TrainedNetwork, Unreadable,
};

use super::super::properties::tests::PREDICTED;
use super::*;
use crate::render::text::parse_time;

fn resource(name: &str) -> ResourceStatus {
    ResourceStatus {
        name: name.into(),
        kind: "service".into(),
        labels: BTreeMap::from([("tier".to_owned(), "front".to_owned())]),
        mode: Mode::Act,
        phase: PhaseKind::Guarded,
        phase_why: None,
        run: None,
        serving: Instance::A,
        entrance: Some("127.0.0.1:8080".into()),
        baseline: Some("v2".into()),
        properties: 42,
        breaching: 0,
        probed_at: Some("2026-11-24T23:14:00Z".into()),
        probe_problem: None,
        worst: None,
        lead_time_s: None,
        confidence: None,
        clone: Some(CloneStatus {
            newest_good: Some("g5".into()),
            newest_good_age_s: Some(240.0),
            synced_at: Some("2026-11-24T23:10:05Z".into()),
            sync_problem: None,
            good: 3,
            suspect: 1,
            quarantined: 0,
        }),
        rehearsal: None,
        activation_ms: Some(850),
        pause: None,
        windows: Vec::new(),
        approval: None,
        sentence: "as approved".into(),
    }
}

fn drifting() -> ResourceStatus {
    ResourceStatus {
        breaching: 1,
        worst: Some(WorstProperty {
            path: "memory/used".into(),
            deviation: 0.35,
            band: Band {
                lower: 0.2,
                upper: 0.4,
            },
            breach: PREDICTED,
            recent: vec![Some(0.0), Some(0.1), None, Some(0.35)],
            recent_step_s: 10.0,
        }),
        lead_time_s: Some(840.0),
        confidence: Some(0.97),
        pause: Some(Pause {
            by: "alice".into(),
            why: "upgrade".into(),
            until: Some("2026-11-25T00:14:05Z".into()),
        }),
        sentence: "memory/used leaves its band in 14 min; held back: paused".into(),
        ..resource("web")
    }
}

fn now() -> Timestamp {
    parse_time("2026-11-24T23:14:05Z").unwrap()
}

#[test]
fn the_fleet_stands_in_a_table_and_only_trouble_beneath_it() {
    let fleet = FleetStatus {
        at: "2026-11-24T23:14:05Z".into(),
        resources: vec![resource("db"), drifting()],
        networks: vec![network(NetworkStage::Off)],
    };
    let expected = "\
RESOURCE  PHASE    MODE  ON  WORST PROPERTY  DEVIATION    NOW  BAND            LEAD  CONF  CLONE
db        guarded  act   a                                                                 g5, 4 min old
web       guarded  act   a   memory/used     ▃▅ ▇       +0.35  -0.20..+0.40  14 min  97 %  g5, 4 min old

web: memory/used leaves its band in 14 min; held back: paused
  paused by alice until 00:14:05Z (in 60 min): upgrade
";
    let text = fleet_page(&fleet, now(), Style::PLAIN);
    assert_eq!(text, expected, "\n{text}");
}

fn network(stage: NetworkStage) -> Network {
    Network {
        kind: "service".into(),
        stage,
        series: None,
        series_needed: None,
        done: None,
        trained: None,
    }
}

#[test]
fn networks_that_were_asked_for_stand_at_the_end() {
    let trained = TrainedNetwork {
        at: "2026-11-24T20:14:05Z".into(),
        series: 120,
        values: 400_000,
        steps: 14_000,
        validation_loss: 0.5,
    };
    let fleet = FleetStatus {
        at: String::new(),
        resources: vec![resource("db")],
        networks: vec![
            network(NetworkStage::Off),
            Network {
                series: Some(20),
                series_needed: Some(32),
                ..network(NetworkStage::Waiting)
            },
            Network {
                done: Some(0.43),
                trained: Some(trained.clone()),
                ..network(NetworkStage::Training)
            },
            Network {
                trained: Some(trained),
                ..network(NetworkStage::Ready)
            },
        ],
    };
    let text = fleet_page(&fleet, now(), Style::PLAIN);
    let (_, after) = text.split_once("\n\n").unwrap();
    let expected = "\
network of kind service: waiting for series with enough history, 20 of 32
network of kind service: training, 43 %; trained 3 h ago on 120 series with 400000 values
network of kind service: trained 3 h ago on 120 series with 400000 values
";
    assert_eq!(after, expected, "\n{text}");
}

#[test]
fn an_empty_fleet_says_what_to_do() {
    let fleet = FleetStatus {
        at: String::new(),
        resources: Vec::new(),
        networks: Vec::new(),
    };
    assert!(fleet_page(&fleet, now(), Style::PLAIN).contains("`evenkeel init`"));
}

#[test]
fn one_resource_is_shown_in_full() {
    let mut status = drifting();
    status.rehearsal = Some(RehearsalStatus {
        at: "2026-11-24T22:14:05Z".into(),
        generation: "g4".into(),
        ok: false,
        why: Some("port in use".into()),
        activation_ms: 0,
    });
    let detail = ResourceDetail {
        status,
        instances: vec![
            InstanceStatus {
                instance: Instance::A,
                serves: true,
                endpoint: Some("127.0.0.1:8081".into()),
                health: InstanceHealth::Well,
                health_why: None,
            },
            InstanceStatus {
                instance: Instance::B,
                serves: false,
                endpoint: Some("127.0.0.1:8082".into()),
                health: InstanceHealth::Down,
                health_why: None,
            },
        ],
        policy: PolicyView {
            when: "early".into(),
            act_on: "harm".into(),
            warm_up_s: 3600.0,
            risk_tolerance: 0.3,
            min_confidence: 0.9,
            sustain_k: 3,
            sustain_n: 5,
            horizon_s: 1800.0,
            sample_every_s: 10.0,
            cool_down_s: 600.0,
            max_data_age_s: 300.0,
            approval_required: false,
            revert: true,
        },
        unreadable: vec![Unreadable {
            path: "conf.d".into(),
            why: "permission denied".into(),
        }],
        guards: vec![GuardCheck {
            guard: "pause".into(),
            holds: true,
            sentence: "paused by alice".into(),
        }],
        events: Vec::new(),
    };
    let text = resource_page(&detail, now(), Style::PLAIN);
    assert_eq!(text, include_str!("status_resource.txt"), "\n{text}");
}
