//! What every control store, journal and audit log keeps to.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::plan::Heading;
use evenkeel_core::failover::{Capabilities, Event, Outcome, Output, Plan, PlanKind, Step};
use evenkeel_core::generation::{Choice, ContentHash, Generation, Verdict};
use evenkeel_core::property::{Observed, Severity, Value};
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::state::{Phase, State};
use evenkeel_core::{
    BaselineVersion, EventId, FencingToken, GenerationId, Instance, ResourceId, RunId, Timestamp,
};

use crate::driver::Rehearsal;
use crate::store::{
    Audit, AuditEntry, AuditVerdict, Commit, ControlStore, EventFilter, Journal, Revision,
    StoreError,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn web() -> ResourceId {
    ResourceId::from("web")
}

fn baseline(version: u64) -> Baseline {
    let value = Observed::configuration(Value::Number(-0.0));
    Baseline {
        version: BaselineVersion(version),
        at: at(1),
        by: "alice".to_owned(),
        note: "with \"quotes\" and a line\nbreak".to_owned(),
        properties: BTreeMap::from([("nginx.conf/http/keepalive_timeout".into(), value)]),
        learned: BTreeMap::from([("nginx.conf/http/keepalive_timeout".into(), 0.1)]),
        pinned: None,
    }
}

fn generation(id: u64, verdict: Verdict) -> Generation {
    Generation {
        id: GenerationId(id),
        at: at(2),
        from: Instance::A,
        verdict,
        config: ContentHash("c0ffee".to_owned()),
        data: None,
        baseline: Some(BaselineVersion(1)),
        torn: false,
        files: 3,
        bytes: 4096,
        bytes_moved: 512,
    }
}

fn choice() -> Choice {
    Choice {
        config_from: GenerationId(1),
        data_from: GenerationId(2),
        config_at: at(1),
        data_at: at(2),
    }
}

fn plan(run: RunId, resource: &ResourceId) -> Plan {
    let heading = Heading {
        run,
        resource: resource.clone(),
        token: FencingToken(1),
        at: at(3),
        why: "keepalive_timeout is predicted to leave its band".to_owned(),
        from: Instance::A,
    };
    let capabilities = Capabilities::STATELESS;
    Plan::move_clients(PlanKind::Failover, heading, choice(), capabilities)
}

fn event(kind: EventKind, sentence: &str) -> NewEvent {
    NewEvent::new(at(4), kind, Severity::Warn, sentence.to_owned())
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: at(5),
        actor: "uid 1000".to_owned(),
        action: action.to_owned(),
        resource: Some(web()),
        result: Err("paused".to_owned()),
        before: Some("65".to_owned()),
        after: None,
    }
}

/// One commit is one transaction, made on the revision that its author has read.
pub async fn control_store(store: &(impl ControlStore + Journal + Audit)) {
    let web = web();
    assert_eq!(store.load(&web).await, Ok(None));
    let without_state = Commit {
        baseline: Some(baseline(1)),
        ..Commit::default()
    };
    let refused = store.commit(&web, Revision(0), without_state).await;
    assert!(refused.is_err(), "a first commit has to bring a state");

    let run = store.next_run().await.unwrap();
    let done = store.commit(&web, Revision(0), full_commit(run)).await;
    let done = done.unwrap();
    assert_eq!(done.revision, Revision(1));
    assert_eq!(done.events.len(), 2);
    assert!(done.events[0] < done.events[1]);
    let record = store.load(&web).await.unwrap().unwrap();
    assert_eq!(record.revision, Revision(1));
    assert_eq!(record.state, State::new(at(1)));
    assert_eq!(record.baseline, Some(baseline(1)));
    assert_eq!(record.rehearsal, Some(rehearsal()));
    assert_eq!(store.open_runs().await.unwrap().len(), 1);
    assert_eq!(store.audit(0, 10).await.unwrap().len(), 1);

    conflicts(store, &web).await;
    partial_commit(store, &web).await;
    assert_eq!(store.resources().await.unwrap(), [web]);
    let key = store.redaction_key().await.unwrap();
    assert_eq!(store.redaction_key().await, Ok(key));
    assert_ne!(key, [0; 32]);
}

fn rehearsal() -> Rehearsal {
    Rehearsal {
        at: at(9),
        choice: choice(),
        activation: Duration::from_millis(850),
        result: Err("the port was taken".to_owned()),
    }
}

fn full_commit(run: RunId) -> Commit {
    Commit {
        state: Some(State::new(at(1))),
        baseline: Some(baseline(1)),
        rehearsal: Some(rehearsal()),
        plan: Some(plan(run, &web())),
        generations: vec![
            generation(1, Verdict::Good),
            generation(2, Verdict::Suspect),
        ],
        forgotten: vec![],
        events: vec![
            event(EventKind::Baseline, "one"),
            event(EventKind::Sync, "two"),
        ],
        audit: vec![entry("baseline.accept")],
    }
}

/// What a commit leaves out stays as it was.
async fn partial_commit(store: &impl ControlStore, web: &ResourceId) {
    let partial = Commit {
        state: Some(State {
            phase: Phase::Guarded,
            ..State::new(at(1))
        }),
        baseline: Some(baseline(2)),
        generations: vec![generation(3, Verdict::Good), generation(2, Verdict::Good)],
        forgotten: vec![GenerationId(1), GenerationId(77)],
        ..Commit::default()
    };
    store.commit(web, Revision(1), partial).await.unwrap();
    let record = store.load(web).await.unwrap().unwrap();
    assert_eq!(record.state.phase, Phase::Guarded);
    assert_eq!(record.baseline, Some(baseline(2)));
    assert_eq!(
        record.rehearsal,
        Some(rehearsal()),
        "what a commit leaves out stays"
    );
    let versions = store.baselines(web).await.unwrap();
    assert_eq!(versions, [baseline(2), baseline(1)], "newest first");
    let first = store.baseline(web, BaselineVersion(1)).await.unwrap();
    assert_eq!(first, Some(baseline(1)));
    assert_eq!(store.baseline(web, BaselineVersion(3)).await, Ok(None));
    assert_eq!(
        store.generations(web).await.unwrap(),
        [generation(2, Verdict::Good), generation(3, Verdict::Good)],
        "oldest first, with the new verdict, without what was forgotten"
    );
}

/// A commit on another revision than the stored one changes nothing at all.
async fn conflicts(store: &(impl ControlStore + Journal + Audit), web: &ResourceId) {
    let before = store.load(web).await.unwrap();
    for read_at in [Revision(0), Revision(2)] {
        let late = Commit {
            state: Some(State::new(at(99))),
            baseline: Some(baseline(9)),
            plan: Some(plan(RunId(999), web)),
            generations: vec![generation(9, Verdict::Good)],
            events: vec![event(EventKind::Alert, "late")],
            audit: vec![entry("late")],
            ..Commit::default()
        };
        let refused = store.commit(web, read_at, late).await;
        let expected = StoreError::Conflict {
            resource: web.clone(),
            expected: read_at,
            found: Revision(1),
        };
        assert_eq!(refused, Err(expected));
    }
    assert_eq!(store.load(web).await.unwrap(), before);
    assert_eq!(store.baseline(web, BaselineVersion(9)).await, Ok(None));
    assert_eq!(store.run(RunId(999)).await, Ok(None));
    assert_eq!(store.generations(web).await.unwrap().len(), 2);
    assert_eq!(store.audit(0, 10).await.unwrap().len(), 1);
    let unknown = ResourceId::from("unknown");
    let commit = Commit {
        state: Some(State::new(at(1))),
        ..Commit::default()
    };
    let refused = store.commit(&unknown, Revision(1), commit).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
}

/// Events are numbered in their order and found by what they are about.
pub async fn events(store: &impl ControlStore) {
    let web = web();
    let run = RunId(3);
    let all = vec![
        event(EventKind::Daemon, "started"),
        event(EventKind::Change, "changed").of(&web),
        event(EventKind::Saga, "moved")
            .of(&web)
            .in_run(run)
            .by("bob"),
        event(EventKind::Change, "changed too").of(&"db".into()),
    ];
    let ids = store.record(all.clone()).await.unwrap();
    assert_eq!(ids.len(), 4);
    assert!(ids.is_sorted());
    let found = store.event(ids[2]).await.unwrap().unwrap();
    assert_eq!((found.id, found.event), (ids[2], all[2].clone()));
    assert_eq!(store.event(EventId(u64::MAX / 2)).await, Ok(None));

    let ask = async |filter: EventFilter| -> Vec<EventId> {
        let found = store.events(&filter).await.unwrap();
        found.into_iter().map(|record| record.id).collect()
    };
    let any = || EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    let newest_first = [ids[3], ids[2], ids[1], ids[0]];
    assert_eq!(ask(any()).await, newest_first);
    assert_eq!(
        ask(EventFilter { limit: 2, ..any() }).await,
        newest_first[..2]
    );
    assert!(ask(EventFilter { limit: 0, ..any() }).await.is_empty());
    let of_web = EventFilter {
        resource: Some(web.clone()),
        ..any()
    };
    assert_eq!(ask(of_web.clone()).await, [ids[2], ids[1]]);
    let changes = EventFilter {
        kind: Some(EventKind::Change),
        ..any()
    };
    assert_eq!(ask(changes.clone()).await, [ids[3], ids[1]]);
    let both = EventFilter {
        resource: Some(web),
        ..changes
    };
    assert_eq!(ask(both).await, [ids[1]]);
    let of_run = EventFilter {
        run: Some(run),
        ..any()
    };
    assert_eq!(ask(of_run).await, [ids[2]]);
    let later = EventFilter {
        after: Some(ids[0]),
        limit: 2,
        ..any()
    };
    assert_eq!(ask(later).await, [ids[1], ids[2]], "oldest first");
}

/// One holder at a time, and no token lower than one that was granted.
pub async fn leases(store: &impl ControlStore) {
    let web = web();
    let minute = Duration::from_secs(60);
    let ask = async |holder: &str, token: u64, now: i64| {
        let token = FencingToken(token);
        let lease = store.acquire_lease(&web, holder, token, at(now), minute);
        lease.await.unwrap()
    };
    let lease = ask("one", 5, 0).await.unwrap();
    assert_eq!(
        (lease.resource.clone(), lease.holder.as_str()),
        (web.clone(), "one")
    );
    assert_eq!((lease.token, lease.until), (FencingToken(5), at(60)));
    assert_eq!(ask("two", 6, 59).await, None, "another holds it");
    let renewed = ask("one", 5, 30).await.unwrap();
    assert_eq!(renewed.until, at(90), "its holder may renew it");
    assert_eq!(
        ask("one", 4, 30).await,
        None,
        "lower than one granted before"
    );
    store.release_lease(&web, "two").await.unwrap();
    assert_eq!(
        ask("two", 6, 31).await,
        None,
        "only its holder can give it back"
    );
    assert!(ask("two", 6, 90).await.is_some(), "void from then on");
    assert_eq!(ask("one", 7, 91).await, None);
    store.release_lease(&web, "two").await.unwrap();
    assert_eq!(
        ask("one", 5, 92).await,
        None,
        "the highest token outlives its lease"
    );
    assert!(ask("one", 6, 92).await.is_some(), "free, and not lower");
    let other = ResourceId::from("db");
    let other = store.acquire_lease(&other, "three", FencingToken(1), at(92), minute);
    assert!(other.await.unwrap().is_some(), "each resource has its own");
}

/// A run is what was journalled of it, line by line and in order, until it is closed.
pub async fn journal(store: &(impl ControlStore + Journal)) {
    let web = web();
    let first = store.next_run().await.unwrap();
    let run = store.next_run().await.unwrap();
    assert_ne!(first, run, "a number is given out once");
    let begun = Event::Begun(Step::Lease);
    let nowhere = store.append(run, at(1), &begun).await;
    assert!(nowhere.is_err(), "a run is opened by its plan alone");
    let commit = Commit {
        state: Some(State::new(at(1))),
        plan: Some(plan(run, &web)),
        ..Commit::default()
    };
    store.commit(&web, Revision(0), commit).await.unwrap();
    assert!(store.next_run().await.unwrap() > run);

    let output = Output {
        generation: Some(GenerationId(4)),
        took_ms: 12,
        note: "took it".to_owned(),
    };
    let lines = [
        (at(10), begun.clone()),
        (at(11), Event::Done(Step::Lease, output)),
        (at(11), Event::Begun(Step::FreezeSync)),
        (at(9), Event::Begun(Step::FreezeSync)),
    ];
    for (when, line) in &lines {
        store.append(run, *when, line).await.unwrap();
        let record = store.run(run).await.unwrap().unwrap();
        assert_eq!(record.events.last(), Some(&(*when, line.clone())));
    }
    let open = store.open_runs().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].plan, plan(run, &web));
    assert_eq!(
        open[0].events, lines,
        "in the order of the calls, not of the clock"
    );
    assert_eq!(open[0].outcome, None);

    store.close(run, at(12), Outcome::Undone).await.unwrap();
    assert!(store.open_runs().await.unwrap().is_empty());
    let closed = store.run(run).await.unwrap().unwrap();
    assert_eq!(closed.outcome, Some(Outcome::Undone));
    assert_eq!(closed.events, lines);
    assert!(store.append(run, at(13), &begun).await.is_err());
    assert!(store.close(run, at(13), Outcome::Done).await.is_err());
    assert!(
        store
            .close(RunId(12_345), at(13), Outcome::Done)
            .await
            .is_err()
    );
}

/// Lines are numbered from 1 without gaps, and each follows from the one before.
pub async fn audit(store: &impl Audit) {
    let empty = store.verify_audit().await.unwrap();
    assert!(matches!(empty, AuditVerdict::Intact { records: 0, .. }));
    for action in ["one", "two", "three"] {
        store.append_audit(entry(action)).await.unwrap();
    }
    let all = store.audit(0, 100).await.unwrap();
    let numbers: Vec<u64> = all.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(all[1].entry, entry("two"));
    assert_eq!(store.audit(1, 1).await.unwrap(), all[1..2]);
    assert!(store.audit(3, 100).await.unwrap().is_empty());
    let intact = AuditVerdict::Intact {
        records: 3,
        head: all[2].hash.clone(),
    };
    assert_eq!(store.verify_audit().await, Ok(intact));
}
