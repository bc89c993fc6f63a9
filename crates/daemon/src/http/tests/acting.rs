//! Routes that act, and their dry runs.

use evenkeel_api::wire::{
    AcceptRequest, ActRequest, ApproveRequest, AuditQuery, AuditRecord, EventKind, EventQuery,
    JudgeRequest, Judgement, PauseRequest, PhaseKind, RehearseRequest, RunOutcome, StepStatus,
    WindowRequest,
};
use evenkeel_core::Instance;

use super::Site;

pub(super) fn act(dry_run: bool) -> ActRequest {
    ActRequest {
        dry_run,
        reason: Some("a test".to_owned()),
    }
}

/// The first record of `action` in the audit log.
async fn audited(site: &Site, action: &str) -> AuditRecord {
    let audit = site.client.audit(&AuditQuery::default()).await.unwrap();
    let mut records = audit.records.into_iter();
    records.find(|record| record.action == action).unwrap()
}

fn pause(dry_run: bool) -> PauseRequest {
    PauseRequest {
        for_s: Some(600.0),
        dry_run,
        reason: Some("disk swap".to_owned()),
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_the_real_one_does() {
    let site = Site::guarded().await;
    let paused = async || {
        site.client.status().await.unwrap().resources[0]
            .pause
            .clone()
    };
    let dry = site.client.pause("web", &pause(true)).await.unwrap();
    assert!(!dry.done && dry.event.is_none());
    assert_eq!(paused().await, None);
    let done = site.client.pause("web", &pause(false)).await.unwrap();
    assert!(done.done && done.event.is_some(), "{done:?}");
    let pause = paused().await.unwrap();
    assert_eq!(pause.why, "disk swap");
    assert!(pause.until.is_some());
    let entry = audited(&site, "operator.pause").await;
    assert_eq!(entry.actor, pause.by);
    assert!(site.client.audit_verify().await.unwrap().intact);
    assert!(site.client.resume("web", &act(false)).await.unwrap().done);
    assert_eq!(paused().await, None);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason_and_recorded() {
    let site = Site::guarded().await;
    let refused = site.client.release("web", &act(false)).await.unwrap();
    assert!(!refused.done);
    assert_eq!(refused.message, "refused: it is guarded, not held");
    let entry = audited(&site, "operator.release").await;
    assert!(!entry.done);
    let refused = site.client.failback("web", &act(true)).await.unwrap();
    assert!(
        refused.message.contains("nothing to go back to"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_switchover_shows_its_plan_and_runs_to_its_end() {
    let site = Site::guarded().await;
    let dry = site.client.switchover("web", &act(true)).await.unwrap();
    assert_eq!(dry.plan.sentence, "switchover of web from a to b");
    assert_eq!(dry.plan.steps[0].name, "lease");
    assert!(dry.plan.guards.iter().all(|guard| !guard.holds));
    assert_eq!(dry.run, None);

    let begun = site.client.switchover("web", &act(false)).await.unwrap();
    let run = begun.run.unwrap();
    site.until("web is guarded again, the other way round", async || {
        let status = site.client.status().await.unwrap();
        status.resources[0].phase == PhaseKind::Guarded
            && status.resources[0].serving == evenkeel_api::wire::Instance::B
    })
    .await;
    let view = site.client.run(&run).await.unwrap();
    assert_eq!(view.outcome, Some(RunOutcome::Done));
    assert!(
        view.steps
            .iter()
            .all(|step| step.status == StepStatus::Done),
        "{view:?}"
    );

    let detail = site.client.event(&begun.event.unwrap()).await.unwrap();
    let kinds: Vec<&str> = detail.runs.iter().map(|run| run.kind.as_str()).collect();
    assert_eq!(kinds, ["switchover", "reinstatement"]);
    assert_eq!(detail.diagnosis[0].title, "configuration diff");

    let query = EventQuery {
        kind: Some(EventKind::Operator),
        ..EventQuery::default()
    };
    let said = site.client.events(&query).await.unwrap().events;
    assert!(
        said[0].sentence.ends_with("says: a test"),
        "{}",
        said[0].sentence
    );
    assert_eq!(said[0].run.as_deref(), Some(run.as_str()));
}

#[tokio::test]
async fn accepting_moves_the_baseline_to_what_is_found() {
    let site = Site::guarded().await;
    let accept = |paths: &[&str], dry_run| AcceptRequest {
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        note: "more room".to_owned(),
        dry_run,
    };
    let nothing = site
        .client
        .baseline_accept("web", &accept(&["**"], false))
        .await
        .unwrap_err();
    assert!(
        nothing.to_string().contains("nothing that matches differs"),
        "{nothing}"
    );
    site.set_workers(64.0);
    let dry = site
        .client
        .baseline_accept("web", &accept(&["conf/*"], true))
        .await
        .unwrap();
    assert_eq!(dry.plan.steps[0].what, "conf/workers: 4 -> 64");
    let done = site
        .client
        .baseline_accept("web", &accept(&["conf/*"], false))
        .await
        .unwrap();
    assert!(done.done);
    let baseline = site.client.baseline("web").await.unwrap().summary;
    assert_eq!(
        (baseline.version.as_str(), baseline.note.as_str()),
        ("v2", "more room")
    );
    for paths in [&[][..], &["conf/[", "x"]] {
        let error = site
            .client
            .baseline_accept("web", &accept(paths, true))
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("paths: "), "{error}");
    }
}

#[tokio::test]
async fn the_clone_is_synced_and_rehearsed() {
    let site = Site::guarded().await;
    let dry = site.client.sync("web", &act(true)).await.unwrap();
    assert!(
        !dry.done && dry.plan.steps[0].what.contains("since g1"),
        "{dry:?}"
    );
    site.set_workers(64.0);
    let synced = site.client.sync("web", &act(false)).await.unwrap();
    assert_eq!(synced.message, "g2 is as a is now: suspect");
    let diff = site
        .client
        .generation_diff("web", "g1", "g2")
        .await
        .unwrap();
    assert_eq!(diff.changes[0].path, "config/conf/workers");

    let rehearse = |generation: Option<&str>, dry_run| RehearseRequest {
        generation: generation.map(str::to_owned),
        dry_run,
        reason: None,
    };
    let dry = site
        .client
        .rehearse("web", &rehearse(None, true))
        .await
        .unwrap();
    assert!(
        dry.plan.steps[0].what.contains("configuration of g1"),
        "{dry:?}"
    );
    let done = site
        .client
        .rehearse("web", &rehearse(Some("g1"), false))
        .await
        .unwrap();
    assert!(
        done.done && done.message.starts_with("rehearsed g1"),
        "{done:?}"
    );
    site.driver
        .alter(Instance::B, |place| place.sick = Some("no port".to_owned()));
    let failed = site
        .client
        .rehearse("web", &rehearse(None, false))
        .await
        .unwrap_err();
    assert!(
        failed
            .to_string()
            .contains("the rehearsal of g1 failed: no port"),
        "{failed}"
    );
    let detail = site.client.resource("web").await.unwrap();
    assert!(!detail.status.rehearsal.unwrap().ok);
    site.driver.alter(Instance::B, |place| place.sick = None);
    site.client
        .rehearse("web", &rehearse(None, false))
        .await
        .unwrap();
    let status = site.client.status().await.unwrap();
    assert_eq!(status.resources[0].activation_ms, Some(1000));
    let error = site
        .client
        .rehearse("web", &rehearse(Some("g9"), true))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("there is no generation `g9`"),
        "{error}"
    );
}

#[tokio::test]
async fn approvals_and_windows_last_as_long_as_was_said() {
    let site = Site::guarded().await;
    let approve = |for_s| ApproveRequest {
        for_s,
        dry_run: false,
        reason: None,
    };
    assert!(
        site.client
            .approve("web", &approve(60.0))
            .await
            .unwrap()
            .done
    );
    let error = site
        .client
        .approve("web", &approve(-1.0))
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("for_s: -1 s"), "{error}");
    let window = |from: Option<&str>| WindowRequest {
        from: from.map(str::to_owned),
        for_s: 60.0,
        why: "deploy".to_owned(),
        dry_run: false,
    };
    assert!(site.client.window("web", &window(None)).await.unwrap().done);
    let error = site
        .client
        .window("web", &window(Some("1999-01-01T00:00:00Z")))
        .await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("the window is over")
    );
    let status = &site.client.status().await.unwrap().resources[0];
    assert!(status.approval.is_some());
    assert_eq!(status.windows[0].why.as_deref(), Some("deploy"));
}

#[tokio::test]
async fn a_judged_alarm_moves_the_band_of_its_property() {
    let site = Site::guarded().await;
    let upper = async || {
        let found = site.client.properties("web").await.unwrap().properties;
        let workers = found.into_iter().find(|p| p.path == "conf/workers");
        workers.map(|p| p.band.upper)
    };
    site.set_workers(64.0);
    let query = EventQuery {
        kind: Some(EventKind::Decision),
        ..EventQuery::default()
    };
    let alarm = async || {
        let events = site.client.events(&query).await.unwrap().events;
        let alarm = events
            .into_iter()
            .find(|e| e.sentence.contains("conf/workers"));
        alarm.map(|event| event.id)
    };
    site.until("there is an alarm", async || alarm().await.is_some())
        .await;
    let event = alarm().await.unwrap();
    let before = upper().await.unwrap();
    let judge = |event: &str, dry_run| JudgeRequest {
        event: event.to_owned(),
        judgement: Judgement::FalseAlarm,
        dry_run,
        reason: None,
    };
    let dry = site
        .client
        .judge("web", &judge(&event, true))
        .await
        .unwrap();
    assert!(!dry.done, "{}", dry.message);
    let done = site
        .client
        .judge("web", &judge(&event, false))
        .await
        .unwrap();
    assert!(done.done);
    assert!(done.message.contains("a false alarm"), "{}", done.message);
    site.until("the band is wider", async || upper().await > Some(before))
        .await;
    assert!(audited(&site, "operator.judge").await.done);

    let other = site
        .client
        .events(&EventQuery::default())
        .await
        .unwrap()
        .events;
    let no_alarm = other.iter().find(|e| e.kind == EventKind::Sync).unwrap();
    let refused = site.client.judge("web", &judge(&no_alarm.id, false)).await;
    assert!(refused.unwrap_err().to_string().contains("is not an alarm"));
    let unknown = site.client.judge("web", &judge("e99999", false)).await;
    assert!(unknown.unwrap_err().to_string().contains("e99999"));
}
