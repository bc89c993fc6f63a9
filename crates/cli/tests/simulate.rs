//! `evenkeel simulate` as it is typed: scenarios in, decisions and scores out. What the page of the
//! documentation shows is run here, too.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

mod shared;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use shared::{Done, Files, daemon, root, run_command, shown};

async fn run(line: &[&str]) -> Done {
    run_command("simulate", Path::new("/nowhere"), line, false).await
}

async fn document(line: &[&str]) -> Value {
    let done = run(&[line, &["--json"]].concat()).await;
    done.outcome.unwrap();
    serde_json::from_str(&done.out).unwrap()
}

fn example(name: &str) -> String {
    let path = root().join("examples/scenarios").join(name);
    path.display().to_string()
}

/// A number that is as approved for two days, and then rises to its limit within one.
const RISING: &str = r#"
length = "3d"
step = "5m"
[policy]
horizon = "6h"
[[resource]]
name = "web"
[[resource.property]]
path = "load"
approved = 10
limits = { upper = 100 }
course = [{ noise = { sd = 1 } }, { ramp = { at = "2d", by = 100, over = "1d" } }]
[[resource.property]]
path = "quiet"
approved = 5
tolerance = 1
"#;

#[tokio::test]
async fn a_ramp_is_met_in_time_and_every_number_agrees() {
    let files = Files::new();
    let file = files.write("rising.toml", RISING);
    let answer = document(&["--scenario", &file]).await;
    assert_eq!(answer["resources"], serde_json::json!(["web"]));
    assert_eq!(answer["source"]["seed"], 0);
    let summary = &answer["summary"];
    assert_eq!(summary["evaluations"], 3 * 288);
    assert_eq!(
        (&summary["harms"], &summary["in_time"]),
        (&1.into(), &1.into())
    );
    assert_eq!(summary["missed"], 0);
    let harm = &answer["harms"][0];
    assert_eq!(
        (&harm["property"], &harm["met"]),
        (&"load".into(), &"in_time".into())
    );
    assert_eq!(harm["onset"], "2026-01-07T00:00:00.000Z");
    let (lead, possible) = (
        harm["lead_s"].as_f64().unwrap(),
        harm["possible_s"].as_f64().unwrap(),
    );
    assert!(0.0 < lead && lead < possible, "{harm}");
    assert_eq!(summary["lead_time"]["median_s"], harm["lead_s"]);
    let decisions = answer["decisions"].as_array().unwrap();
    let failovers: Vec<&Value> = decisions
        .iter()
        .filter(|d| d["reason"] == "fail_over")
        .collect();
    assert_eq!(
        failovers.len() as u64,
        summary["failovers"].as_u64().unwrap()
    );
    assert!(
        failovers
            .iter()
            .any(|failover| failover["at"] == harm["failover_at"])
    );
}

#[tokio::test]
async fn a_policy_that_may_not_act_misses_what_it_sees() {
    let files = Files::new();
    let text = RISING.replace("[policy]", "[policy]\nmode = \"advise\"");
    let file = files.write("advised.toml", &text);
    let answer = document(&["--scenario", &file]).await;
    let summary = &answer["summary"];
    assert_eq!(
        (&summary["failovers"], &summary["missed"]),
        (&0.into(), &1.into())
    );
    assert!(
        summary["held_back"]["mode"].as_u64().unwrap() > 0,
        "{summary}"
    );
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer_and_another_seed_another() {
    let leak = example("leak.toml");
    let once = run(&["--scenario", &leak, "--json"]).await.out;
    assert_eq!(once, run(&["--scenario", &leak, "--json"]).await.out);
    let other = run(&["--scenario", &leak, "--json", "--seed", "99"])
        .await
        .out;
    assert_ne!(once, other);
}

#[tokio::test]
async fn a_what_if_is_each_of_its_runs_whatever_the_number_of_jobs() {
    let rollout = example("rollout.toml");
    let line = ["--scenario", &rollout, "--json", "--what-if", "0,0.3,1"];
    let alone = run(&[&line[..], &["--jobs", "1"]].concat()).await.out;
    let together = run(&[&line[..], &["--jobs", "3"]].concat()).await.out;
    assert_eq!(alone, together);
    let answer: Value = serde_json::from_str(&alone).unwrap();
    let by_default = document(&["--scenario", &rollout]).await;
    assert_eq!(answer["what_if"][1]["summary"], by_default["summary"]);
    assert_eq!(answer["what_if"][1]["harms"], by_default["harms"]);
    let wide = document(&["--scenario", &rollout, "--risk-tolerance", "1"]).await;
    assert_eq!(answer["what_if"][2]["summary"], wide["summary"]);
    // The fleet drifts together: what the first ones are failed over for is held for the others.
    assert!(
        by_default["summary"]["held_back"]["shared fate"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn options_are_laid_over_the_policy_of_the_file() {
    let leak = example("leak.toml");
    let line = [
        "--scenario",
        &leak,
        "--min-confidence",
        "0.99",
        "--sustain",
        "4/6",
    ];
    let line = [&line[..], &["--when", "latest-safe", "--horizon", "90m"]].concat();
    let settings = document(&line).await["settings"].clone();
    assert_eq!(settings["min_confidence"], 0.99);
    assert_eq!(settings["sustain"], serde_json::json!([4, 6]));
    assert_eq!(settings["when"], "latest-safe");
    assert_eq!(settings["horizon_s"], 5400.0);
    let short = run(&["--scenario", &leak, "--horizon", "1s"]).await;
    let error = short.outcome.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--horizon"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_a_scenario_is_told_with_its_place() {
    let files = Files::new();
    let file = files.write("wrong.toml", &RISING.replace("sd = 1", "sd = \"much\""));
    let error = run(&["--scenario", &file]).await.outcome.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let line = RISING
        .lines()
        .position(|line| line.contains("sd = 1"))
        .unwrap()
        + 1;
    assert!(
        error.to_string().starts_with(&format!("{file}:{line}:")),
        "{error}"
    );
    let gone = run(&["--scenario", "/no/such.toml"])
        .await
        .outcome
        .unwrap_err();
    assert_eq!(gone.exit_code(), 1);
}

#[tokio::test]
async fn a_person_sees_progress_and_the_page_is_cut_short_unless_all_is_asked_for() {
    let leak = example("leak.toml");
    let line = ["--scenario", &leak];
    let done = run_command("simulate", Path::new("/nowhere"), &line, true).await;
    assert!(done.err.contains("100 %"), "{}", done.err);
    let short = run(&line).await;
    assert!(short.err.is_empty());
    let long = run(&["--scenario", &leak, "--all"]).await;
    assert!(short.out.lines().count() < long.out.lines().count());
    assert!(short.out.contains("--all shows them") && !long.out.contains("--all"));
}

/// What of a page does not change with the models: lines without numbers, and the words that others
/// begin with.
fn skeleton(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| fixed(line.trim())).collect()
}

fn fixed(line: &str) -> Option<&str> {
    if !line.contains(|c: char| c.is_ascii_digit()) {
        return (!line.is_empty()).then_some(line);
    }
    let first = line.split_whitespace().next()?;
    first.chars().all(char::is_alphabetic).then_some(first)
}

#[tokio::test]
async fn the_page_shows_what_the_command_answers() {
    let page = fs::read_to_string(root().join("docs/simulate.md")).unwrap();
    let mut checked = 0;
    for (command, answer) in shown(&page) {
        let Some(line) = command.strip_prefix("evenkeel simulate ") else {
            panic!("`{command}` is no simulation");
        };
        let line = line.replace("examples/", &format!("{}/examples/", root().display()));
        let line: Vec<&str> = line.split(' ').collect();
        let done = run(&line).await;
        done.outcome.unwrap();
        assert_eq!(
            skeleton(&done.out),
            skeleton(&answer),
            "{command}:\n{}",
            done.out
        );
        checked += 1;
    }
    assert!(checked > 1);
}

/// A disk that fills: flat for two days at a sample every ten minutes, then half a percent an hour.
fn disk() -> String {
    let mut text = "timestamp,value\n".to_owned();
    for sample in 0..720_u32 {
        let hours = f64::from(sample) / 6.0;
        let grown = (hours - 48.0).max(0.0) * 0.5;
        let noise = f64::from(sample * 7 % 5) * 0.1;
        let at = 1_767_571_200 + i64::from(sample) * 600;
        writeln!(text, "{at},{}", 60.0 + grown + noise).unwrap();
    }
    text
}

#[tokio::test]
async fn a_record_is_replayed_and_harm_is_what_was_seen_in_it() {
    let files = Files::new();
    let disk = files.write("disk.csv", &disk());
    let line = ["--csv", &disk, "--approved", "60", "--limits", ",90"];
    let answer = document(&line).await;
    assert_eq!(answer["source"]["kind"], "csv");
    assert_eq!(answer["settings"]["sample_every_s"], 600.0);
    let (harm, summary) = (&answer["harms"][0], &answer["summary"]);
    assert_eq!(
        (&harm["property"], &harm["met"]),
        (&"disk".into(), &"in_time".into())
    );
    // 60 hours after the flat two days, a little sooner by the noise.
    let at = harm["harm_at"].as_str().unwrap();
    assert!(at.starts_with("2026-01-09T1"), "{at}");
    // The last sample of the flat days that is just as approved is one before.
    let onset = harm["onset"].as_str().unwrap();
    assert!(onset.starts_with("2026-01-06T23"), "{onset}");
    assert_eq!(summary["false"], Value::Null);
    let wide = ["--csv", &disk, "--approved", "60", "--tolerance", "500%"];
    let answer = document(&wide).await;
    assert_eq!(
        (&answer["summary"]["harms"], &answer["summary"]["failovers"]),
        (&0.into(), &0.into())
    );
}

#[tokio::test]
async fn several_series_are_properties_of_one_resource_and_what_is_missing_is_unknown() {
    let files = Files::new();
    let file = files.write(
        "two.csv",
        "a,1,5\nb,1,50\na,2,5\na,3,5\nb,3,NA\na,4,5\nb,4,50.5\nb[1],4,7\n",
    );
    let line = ["--csv", &file, "--approved", "5", "--approved", "b=50"];
    let line = [&line[..], &["--approved", "b[1]=7", "--tolerance", "1"]].concat();
    let answer = document(&line).await;
    assert_eq!(answer["summary"]["evaluations"], 4);
    assert_eq!(answer["summary"]["harms"], 0, "nothing vanished: {answer}");
    let beyond = document(&[&line[..], &["--limits", "b=,50.4"]].concat()).await;
    assert_eq!(beyond["harms"][0]["property"], "b");
}

#[tokio::test]
async fn what_is_wrong_with_a_record_or_what_is_said_of_it_is_told() {
    let files = Files::new();
    let file = files.write("a.csv", "1,5\n2,five\n");
    let good = files.write("good.csv", "1,5\n2,5\n");
    let check = async |line: &[&str], told: &str| {
        let error = run(line).await.outcome.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line:?}");
        assert!(error.to_string().contains(told), "{line:?}: {error}");
    };
    check(&["--csv", &file, "--approved", "5"], "a.csv:2:3: `five`").await;
    check(
        &["--csv", &good, "--approved", "x=5"],
        "the first ones are good",
    )
    .await;
    check(&["--csv", &good, "--approved", "5"], "--limits L,U").await;
    let outside = ["--csv", &good, "--approved", "5", "--limits", "6,9"];
    check(&outside, "does not lie between").await;
    let both = [
        "--csv",
        &good,
        "--approved",
        "5",
        "--limits",
        "1,9",
        "--tolerance",
        "1",
    ];
    check(&both, "say one of them").await;
}

/// What the daemon of the next test answers: a property that drifts, one for information, one that is still.
fn stored(line: &str) -> String {
    let property = |path: &str, severity: &str| {
        json!({
            "path": path, "value": null, "approved": null, "deviation": 0.0,
            "band": {"lower": 1.0, "upper": 1.0}, "severity": severity, "origin": "capacity",
            "place": null, "unit": null, "onset": null, "sentence": "",
            "breach": {"kind": "none", "lead_time_s": null, "confidence": 0.0, "harm_after_s": null},
        })
    };
    let answer = if line.contains("/history") {
        let drifts = line.contains("property=memory");
        let point = |i: i64| {
            let at = 1_795_500_000_000 + i * 60_000;
            let grown = (i - 300).max(0) as f64 / 200.0;
            let at = evenkeel_core::Timestamp::from_millis(at).to_string();
            json!({"at": at, "value": grown + (i * 7 % 5) as f64 * 0.002})
        };
        let points: Vec<Value> = (0..if drifts { 600 } else { 0 }).map(point).collect();
        json!({
            "resource": "web", "property": "memory", "stream": "deviation", "unit": null,
            "from": "2026-11-17T23:14:05Z", "until": "2026-11-24T23:14:05Z", "step_s": null,
            "aggregation": null, "points": points, "band": null,
        })
    } else if line.contains("/properties") {
        let properties = [
            property("memory", "critical"),
            property("noise", "info"),
            property("still", "warn"),
        ];
        let at = "2026-11-24T23:14:05Z";
        json!({"resource": "web", "at": at, "properties": properties, "unreadable": []})
    } else {
        let policy = json!({
            "when": "early", "act_on": "harm", "warm_up_s": 7200.0, "risk_tolerance": 0.4, "min_confidence": 0.8, "sustain_k": 2,
            "sustain_n": 4, "horizon_s": 3600.0, "sample_every_s": 60.0, "cool_down_s": 600.0,
            "max_data_age_s": 300.0, "approval_required": true, "revert": true,
        });
        json!({
            "name": "web", "kind": "service", "labels": {}, "mode": "advise", "phase": "guarded",
            "phase_why": null, "run": null, "serving": "a", "entrance": null, "baseline": "v1",
            "properties": 3, "breaching": 0, "probed_at": null, "probe_problem": null, "worst": null,
            "lead_time_s": null, "confidence": null, "clone": null, "rehearsal": null,
            "activation_ms": 850, "pause": null, "windows": [], "approval": null, "sentence": "",
            "instances": [], "unreadable": [], "guards": [], "events": [],
            "policy": policy,
        })
    };
    answer.to_string()
}

#[tokio::test]
async fn stored_deviations_are_replayed_by_the_policy_in_force() {
    let (_directory, socket, daemon) = daemon(4, stored);
    let line = ["--resource", "web", "--since", "30d", "--json"];
    let done = run_command("simulate", &socket, &line, false).await;
    done.outcome.unwrap();
    let answer: Value = serde_json::from_str(&done.out).unwrap();
    let settings = &answer["settings"];
    assert_eq!(
        (&settings["mode"], &settings["risk_tolerance"]),
        (&"act".into(), &0.4.into())
    );
    assert_eq!(settings["sustain"], json!([2, 4]));
    assert_eq!(answer["summary"]["evaluations"], 600);
    let harm = &answer["harms"][0];
    assert_eq!(
        (&harm["property"], &harm["met"]),
        (&"memory".into(), &"in_time".into())
    );
    let asked = daemon.await.unwrap();
    assert!(asked[2].contains("stream=deviation") && asked[2].contains("from=2026-10-25"));
    assert!(
        !asked.iter().any(|line| line.contains("noise")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_stretch_that_ends_before_it_begins_is_refused() {
    let line = ["--resource", "web", "--since", "1h", "--until", "2h"];
    assert_eq!(run(&line).await.outcome.unwrap_err().exit_code(), 2);
}

#[tokio::test]
async fn every_property_that_moved_gets_a_plot_with_its_decisions_and_harm() {
    let files = Files::new();
    let file = files.write("rising.toml", RISING);
    let plots = files.0.path().join("plots");
    let line = [
        "--scenario",
        &file,
        "--plot",
        plots.to_str().unwrap(),
        "--json",
    ];
    let plotted = run(&line).await;
    plotted.outcome.unwrap();
    assert_eq!(plotted.out, run(&["--scenario", &file, "--json"]).await.out);
    let names: Vec<_> = (fs::read_dir(&plots).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["0001-web-load.svg"]);
    let drawn = fs::read_to_string(plots.join(&names[0])).unwrap();
    for part in [
        "<polygon",
        "<polyline",
        "class=\"forecast\"",
        ">failover<",
        ">harm<",
    ] {
        assert!(drawn.contains(part), "{part}");
    }
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
}

#[tokio::test]
async fn no_answer_depends_on_the_number_of_threads() {
    for file in ["ramp.toml", "rollout.toml"] {
        let file = example(file);
        let alone = document(&["--scenario", &file, "--jobs", "1"]).await;
        assert!(!alone["decisions"].as_array().unwrap().is_empty());
        for jobs in ["2", "5"] {
            let shared = document(&["--scenario", &file, "--jobs", jobs]).await;
            assert_eq!(shared, alone, "{file} on {jobs}");
        }
    }
}
