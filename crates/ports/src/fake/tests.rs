//! That the fakes keep the contracts of their ports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::failover::{Capabilities, Effect, Event, Outcome, Plan, PlanKind, Step};
use evenkeel_core::generation::Choice;
use evenkeel_core::property::{Observed, Value};
use evenkeel_core::state::State;
use evenkeel_core::{FencingToken, GenerationId, Instance, RunId, Timestamp};

use super::*;
use crate::driver::{ChangeHint, Driver, DriverError, StepKey};
use crate::history::{Aggregation, History, Range, Sample, SeriesKey, Stream};
use crate::redirector::{RedirectError, Redirector};
use crate::store::{
    Audit, AuditEntry, AuditVerdict, Commit, ControlStore, Journal, Revision, StoreError,
};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

const CAPABILITIES: Capabilities = Capabilities {
    single_writer: true,
    has_traffic: true,
    has_data: true,
    can_rehearse: true,
};

fn ready<F: Future>(future: F) -> F::Output {
    poll_once(future).expect("no fault was asked for")
}

fn key(token: u64) -> StepKey {
    StepKey {
        run: RunId(1),
        step: Step::Fence,
        token: FencingToken(token),
    }
}

/// One fault for one call, then none.
#[derive(Debug)]
struct Once(Call, Fault);

impl Faults for Once {
    fn draw(&self, call: Call) -> Fault {
        if call == self.0 { self.1 } else { Fault::None }
    }
}

fn driver(faults: impl Faults + 'static) -> FakeDriver {
    let workers = Observed::configuration(Value::Number(4.0));
    let properties = BTreeMap::from([("workers".into(), workers)]);
    FakeDriver::new(CAPABILITIES, properties, Arc::new(faults))
}

#[test]
fn an_older_token_is_refused_without_effect() {
    let driver = driver(NoFaults);
    ready(driver.fence(Instance::A, key(2))).unwrap();
    let late = ready(driver.unfence(Instance::A, key(1)));
    assert!(matches!(late, Err(DriverError::Stale { .. })));
    assert!(driver.place(Instance::A).fenced);

    let redirector = FakeRedirector::new(FakeDriver::address(Instance::A), Arc::new(NoFaults));
    let b = FakeDriver::address(Instance::B);
    ready(redirector.point(&b, key(2))).unwrap();
    let a = FakeDriver::address(Instance::A);
    let late = ready(redirector.point(&a, key(1)));
    assert!(matches!(late, Err(RedirectError::Stale { .. })));
    assert_eq!(redirector.serves(), Some(b));
}

#[test]
fn acting_calls_may_be_repeated() {
    let driver = driver(NoFaults);
    for _ in 0..2 {
        ready(driver.fence(Instance::A, key(1))).unwrap();
    }
    for _ in 0..2 {
        ready(driver.unfence(Instance::A, key(1))).unwrap();
    }
    assert!(driver.place(Instance::A).running, "it ran before");
}

#[test]
fn a_sync_without_change_makes_no_generation() {
    let driver = driver(NoFaults);
    let sync = || ready(driver.sync(Instance::A, ChangeHint::Everything, NOW, &|_| ())).unwrap();
    let first = sync();
    assert!(!first.unchanged && sync().unchanged);
    driver.alter(Instance::A, |place| place.writes += 1);
    assert_eq!(sync().id, first.id.next());
}

#[test]
fn nothing_is_staged_under_a_running_instance() {
    let driver = driver(NoFaults);
    ready(driver.sync(Instance::A, ChangeHint::Everything, NOW, &|_| ())).unwrap();
    let id = GenerationId(1);
    let choice = Choice {
        config_from: id,
        data_from: id,
        config_at: NOW,
        data_at: NOW,
    };
    let refused = ready(driver.stage(&choice, Instance::A)).unwrap_err();
    assert!(refused.to_string().contains("fence it first"), "{refused}");
    ready(driver.stage(&choice, Instance::B)).unwrap();
}

#[test]
fn faults_do_what_they_say() {
    let fence = |fault| {
        let driver = driver(Once("driver.fence", fault));
        let answer = poll_once(driver.fence(Instance::A, key(1)));
        (
            answer.map(|a| a.map_err(|e| e.effect())),
            driver.place(Instance::A).fenced,
        )
    };
    assert_eq!(fence(Fault::None), (Some(Ok(())), true));
    assert_eq!(fence(Fault::Twice), (Some(Ok(())), true));
    assert_eq!(fence(Fault::Fails), (Some(Err(Effect::None)), false));
    let unsure = Some(Err(Effect::Unknown));
    assert_eq!(fence(Fault::FailsUnsure), (unsure, false));
    assert_eq!(fence(Fault::LosesReply), (unsure, true));
    assert_eq!(fence(Fault::DiesBefore), (None, false));
    assert_eq!(fence(Fault::DiesAfter), (None, true));
}

fn plan() -> Plan {
    let heading = evenkeel_core::failover::plan::Heading {
        run: RunId(1),
        resource: "web".into(),
        token: FencingToken(1),
        at: NOW,
        why: "test".into(),
        from: Instance::A,
    };
    let id = GenerationId(1);
    let choice = Choice {
        config_from: id,
        data_from: id,
        config_at: NOW,
        data_at: NOW,
    };
    Plan::move_clients(PlanKind::Failover, heading, choice, CAPABILITIES)
}

#[test]
fn a_commit_on_an_old_revision_is_refused() {
    let store = FakeStore::new(Arc::new(NoFaults));
    let web = "web".into();
    let commit = || Commit {
        state: Some(State::new(NOW)),
        ..Commit::default()
    };
    let first = ready(store.commit(&web, Revision(0), commit())).unwrap();
    let again = ready(store.commit(&web, Revision(0), commit()));
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    ready(store.commit(&web, first.revision, commit())).unwrap();
}

#[test]
fn a_closed_run_takes_no_more_lines() {
    let store = FakeStore::new(Arc::new(NoFaults));
    let commit = Commit {
        state: Some(State::new(NOW)),
        plan: Some(plan()),
        ..Commit::default()
    };
    ready(store.commit(&"web".into(), Revision(0), commit)).unwrap();
    let begun = Event::Begun(Step::Lease);
    ready(store.append(RunId(1), NOW, &begun)).unwrap();
    assert_eq!(ready(store.open_runs()).unwrap().len(), 1);
    ready(store.close(RunId(1), NOW, Outcome::Done)).unwrap();
    assert!(ready(store.open_runs()).unwrap().is_empty());
    assert!(ready(store.append(RunId(1), NOW, &begun)).is_err());
    assert!(ready(store.next_run()).unwrap() > RunId(1));
}

#[test]
fn a_lease_is_had_by_one_at_a_time_and_never_with_an_older_token() {
    let store = FakeStore::new(Arc::new(NoFaults));
    let span = Duration::from_secs(10);
    let take = |who: &str, token, now| {
        let web = "web".into();
        let token = FencingToken(token);
        ready(store.acquire_lease(&web, who, token, now, span)).unwrap()
    };
    assert!(take("one", 2, NOW).is_some());
    assert!(take("two", 3, NOW).is_none(), "held");
    assert!(take("two", 3, NOW + span).is_some(), "void");
    ready(store.release_lease(&"web".into(), "one")).unwrap();
    assert!(take("one", 3, NOW + span).is_none(), "not one's to release");
    ready(store.release_lease(&"web".into(), "two")).unwrap();
    assert!(take("one", 2, NOW + span).is_none(), "an older token");
}

#[test]
fn an_altered_audit_record_is_found() {
    let store = FakeStore::new(Arc::new(NoFaults));
    for action in ["failover.start", "baseline.accept"] {
        let entry = AuditEntry {
            at: NOW,
            actor: "ann".into(),
            action: action.into(),
            resource: None,
            result: Ok(()),
            before: None,
            after: None,
        };
        ready(store.append_audit(entry)).unwrap();
    }
    let intact = ready(store.verify_audit()).unwrap();
    assert!(matches!(intact, AuditVerdict::Intact { records: 2, .. }));
    store.tamper_with_audit(1, |entry| entry.actor = "bob".into());
    let broken = ready(store.verify_audit()).unwrap();
    assert!(matches!(broken, AuditVerdict::Broken { number: 1, .. }));
}

#[test]
fn history_gives_points_back_whole_and_by_the_step() {
    let history = FakeHistory::new();
    let series = SeriesKey {
        resource: "web".into(),
        property: "pool".into(),
        stream: Stream::Value,
    };
    let second = Duration::from_secs(1);
    let samples: Vec<Sample> = [(0, 1.0), (1, 3.0), (4, 5.0)]
        .into_iter()
        .map(|(at, value)| Sample {
            series: series.clone(),
            at: NOW + second * at,
            value,
        })
        .collect();
    for _ in 0..2 {
        ready(history.append(&samples)).unwrap();
    }
    let values = |step| {
        let range = Range {
            from: NOW,
            until: NOW + second * 5,
            step,
        };
        let points = ready(history.range(&series, range)).unwrap();
        points
            .iter()
            .map(|p| (p.at - NOW, p.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        values(None).len(),
        3,
        "the same sample again changes nothing"
    );
    let means = values(Some((second * 2, Aggregation::Mean)));
    assert_eq!(means, [(Duration::ZERO, 2.0), (second * 4, 5.0)]);
}
