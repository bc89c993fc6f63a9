//! `evenkeel backtest` as it is typed: files in, one document or tables out, and what is wrong said with
//! its place. What the page of the documentation shows is run here, too.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

mod shared;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use evenkeel_core::Timestamp;
use serde_json::Value;
use shared::{Done, Files, daemon, root, run_command, shown};

async fn run_at(socket: &Path, line: &[&str], at_terminal: bool) -> Done {
    run_command("backtest", socket, line, at_terminal).await
}

async fn run(line: &[&str]) -> Done {
    run_at(Path::new("/nowhere"), line, false).await
}

async fn document(line: &[&str]) -> Value {
    let done = run(&[line, &["--json"]].concat()).await;
    done.outcome.unwrap();
    serde_json::from_str(&done.out).unwrap()
}

/// A season of eight with some noise, made of integers.
fn value(series: usize, step: usize) -> usize {
    100 + 10 * ((step + series) % 8) + step * (31 + 6 * series) % 7
}

/// The two M4 files of `count` series, and one that does not vary.
fn m4(files: &Files, count: usize) -> [String; 2] {
    let text = |steps: std::ops::Range<usize>| {
        let mut text = String::new();
        for series in 0..count {
            write!(text, "\"H{series}\"").unwrap();
            for step in steps.clone() {
                write!(text, ",{}", value(series, step)).unwrap();
            }
            text.push('\n');
        }
        text + "flat" + &",5".repeat(steps.len()) + "\n"
    };
    [
        files.write("train.csv", &text(0..64)),
        files.write("test.csv", &text(64..72)),
    ]
}

/// The document without what the machine's speed is in.
fn timeless(mut document: Value) -> Value {
    document["settings"]["jobs"] = Value::Null;
    for (_, model) in document["models"].as_object_mut().unwrap() {
        assert!(model["seconds_per_series"].is_f64(), "{model}");
        model["seconds_per_series"] = Value::Null;
    }
    for series in document["each"].as_array_mut().unwrap() {
        for (_, model) in series["models"].as_object_mut().unwrap() {
            model["seconds"] = Value::Null;
        }
    }
    document
}

#[tokio::test]
async fn one_document_has_every_model_and_measure() {
    let files = Files::new();
    let [train, test] = m4(&files, 3);
    let all = evenkeel_forecast::backtest::names().join(",");
    let line = ["--m4", &train, &test, "--season", "8", "--models", &all];
    let answer = document(&[&line[..], &["--train-steps", "5"]].concat()).await;
    assert_eq!(answer["series"], 4);
    assert_eq!(answer["settings"]["mode"], "fixed-split");
    for name in evenkeel_forecast::backtest::names() {
        let model = &answer["models"][&name];
        for measure in [
            "smape",
            "mase",
            "msis",
            "coverage",
            "pinball",
            "seconds_per_series",
        ] {
            assert!(model[measure].is_f64(), "{name} {measure}: {model}");
        }
        let (scored, unscaled) = (&model["series"], &model["unscaled"]);
        let failed = model["failed"].as_array().unwrap().len();
        assert_eq!(scored.as_u64().unwrap() + failed as u64, 4, "{name}");
        // The flat one, where it was not refused.
        assert_eq!(unscaled.as_u64().unwrap() + failed as u64, 1, "{name}");
    }
    // The last value, counted by hand: it is 100 + 10 ((63 + s) % 8) + 63 (31 + 6 s) % 7.
    let naive = |series| {
        let error = |step| value(series, step).abs_diff(value(series, 63)) as f64;
        let scale = |step| value(series, step).abs_diff(value(series, step - 8)) as f64;
        let mean_error: f64 = (64..72).map(error).sum::<f64>() / 8.0;
        mean_error / ((8..64).map(scale).sum::<f64>() / 56.0)
    };
    let mase = (0..3).map(naive).sum::<f64>() / 3.0;
    let said = answer["models"]["last-value"]["mase"].as_f64().unwrap();
    assert!((said - mase).abs() < 1e-9, "{said} {mase}");
}

#[tokio::test]
async fn the_number_of_jobs_changes_nothing() {
    let files = Files::new();
    let [train, test] = m4(&files, 7);
    let line = ["--m4", &train, &test, "--season", "8", "--each"];
    let alone = timeless(document(&[&line[..], &["--jobs", "1"]].concat()).await);
    let together = timeless(document(&[&line[..], &["--jobs", "5"]].concat()).await);
    assert_eq!(alone, together);
    let names: Vec<&str> = (alone["each"].as_array().unwrap().iter())
        .filter_map(|series| series["series"].as_str())
        .collect();
    assert_eq!(names, ["H0", "H1", "H2", "H3", "H4", "H5", "H6", "flat"]);
}

#[tokio::test]
async fn a_network_is_trained_only_where_it_is_asked_for_and_the_same_on_any_number_of_threads() {
    let files = Files::new();
    let [train, test] = m4(&files, 5);
    let line = ["--m4", &train, &test, "--season", "8", "--each"];
    let line = [&line[..], &["--train-steps", "20", "--models"]].concat();
    let asked = [&line[..], &["lstm,mixture-lstm,mixture"]].concat();
    let alone = timeless(document(&asked).await);
    let together = timeless(document(&[&asked[..], &["--jobs", "3"]].concat()).await);
    assert_eq!(alone, together);
    let models = alone["models"].as_object().unwrap();
    let names: Vec<&str> = models.keys().map(String::as_str).collect();
    assert_eq!(names, ["lstm", "mixture", "mixture-lstm"]);
    let another = timeless(document(&[&asked[..], &["--seed", "2"]].concat()).await);
    assert_ne!(models["lstm"], another["models"]["lstm"]);
    assert_eq!(models["mixture"], another["models"]["mixture"]);

    for (model, trains) in [("lstm", true), ("last-value", false)] {
        let line = [
            "--m4",
            &train,
            &test,
            "--train-steps",
            "50",
            "--models",
            model,
        ];
        let told = run_at(Path::new("/nowhere"), &line, true).await.err;
        assert_eq!(told.contains("training: step 50 of 50"), trains, "{told}");
    }
}

/// `requests.csv` of the examples, of which the tests of rolling origins take the first week.
fn first_week(files: &Files) -> String {
    let text = fs::read_to_string(root().join("examples/backtest/requests.csv")).unwrap();
    let week: Vec<&str> = text.lines().take(1 + 24 * 7).collect();
    files.write("week.csv", &week.join("\n"))
}

#[tokio::test]
async fn rolling_tells_the_coverage_of_every_level_quarter_and_horizon() {
    let files = Files::new();
    let week = first_week(&files);
    let models = ["mixture", "last-value"];
    let answer = document(&[
        "--csv",
        &week,
        "--models",
        "mixture,last-value",
        "--season",
        "24",
        "--horizon",
        "3",
        "--warm-up",
        "48",
        "--stride",
        "2",
        "--levels",
        "0.5,0.90",
        "--each",
    ])
    .await;
    assert_eq!(answer["settings"]["rolling"]["stride"], 2);
    let count = answer["models"].as_object().unwrap().len();
    assert_eq!(count, models.len());
    for name in models {
        let rolling = &answer["models"][name]["rolling"];
        // 171 steps, three of which are gaps: origins 48, 50, ... 168.
        assert_eq!(rolling["origins"], 61, "{name}");
        for level in ["0.50", "0.90"] {
            let told = &rolling["levels"][level];
            let worst = &told["worst_quarter"];
            assert!(told["coverage"].is_f64(), "{told}");
            assert_eq!(worst["series"], "week");
            let quarters = answer["each"][0]["models"][name]["quarters"][level].clone();
            let quarters: Vec<f64> = serde_json::from_value(quarters).unwrap();
            assert_eq!(quarters.len(), 4);
            let number = usize::try_from(worst["quarter"].as_u64().unwrap()).unwrap();
            assert_eq!(worst["coverage"], quarters[number - 1]);
        }
        let horizons = rolling["horizons"].as_object().unwrap();
        assert_eq!(horizons.len(), 3);
        assert!(horizons["3"]["coverage"]["0.90"].is_f64());
    }
    let pinball =
        |ahead| answer["models"]["last-value"]["rolling"]["horizons"][ahead]["pinball"].as_f64();
    assert!(pinball("1") < pinball("3"));
}

#[tokio::test]
async fn series_are_chosen_by_name_and_number_and_what_is_left_out_is_said() {
    let files = Files::new();
    let [train, _] = m4(&files, 3);
    let test = files.write("short.csv", "H0,1,2\nH2,1,2\nextra,1\n");
    let names = |answer: &Value| -> Vec<String> {
        let each = answer["each"].as_array().unwrap().iter();
        each.map(|s| s["series"].as_str().unwrap().to_owned())
            .collect()
    };
    let line = ["--m4", &train, &test, "--models", "drift", "--each"];
    let all = document(&line).await;
    assert_eq!(names(&all), ["H0", "H2"]);
    let skipped: Vec<&Value> = (all["skipped"].as_array().unwrap().iter())
        .map(|s| &s["series"])
        .collect();
    assert_eq!(skipped, ["H1", "flat", "extra"]);
    let one = document(&[&line[..], &["--series", "H2"]].concat()).await;
    assert_eq!(names(&one), ["H2"]);
    let first = document(&[&line[..], &["--limit", "1"]].concat()).await;
    assert_eq!(names(&first), ["H0"]);

    let none = run(&[&line[..], &["--json", "--series", "H7"]].concat()).await;
    let error = none.outcome.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("the first ones are H0, H2"),
        "{error}"
    );
    let left_out = run(&[&line[..], &["--json", "--series", "H1"]].concat()).await;
    let error = left_out.outcome.unwrap_err();
    assert!(error.to_string().contains("has no row in"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_a_failure_with_its_place() {
    let files = Files::new();
    let wrong = files.write(
        "wrong.csv",
        "timestamp,value\n2026-01-01,1\n2026-01-02,two\n",
    );
    let error = run(&["--csv", &wrong]).await.outcome.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let expected = format!("{wrong}:3:12: `two` is no number");
    assert!(error.to_string().starts_with(&expected), "{error}");

    let error = run(&["--csv", "/no/such.csv"]).await.outcome.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read /no/such.csv"),
        "{error}"
    );

    let short = files.write("short.csv", "1,1\n2,2\n3,3\n");
    let done = run(&["--csv", &short]).await;
    let error = done.outcome.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(
        error.to_string().contains("no model could be evaluated"),
        "{error}"
    );
    assert!(done.out.contains("short: has 3 steps"), "{}", done.out);

    let both = run(&["--csv", &short, "--season", "auto", "--season", "7"]).await;
    assert_eq!(both.outcome.unwrap_err().exit_code(), 2);
}

#[tokio::test]
async fn each_series_gets_a_plot_and_a_person_sees_progress() {
    let files = Files::new();
    let [train, test] = m4(&files, 2);
    let plots = files.0.path().join("a/plots");
    let plot = plots.display().to_string();
    let line = [
        "--m4",
        &train,
        &test,
        "--plot",
        &plot,
        "--models",
        "mixture,drift",
    ];
    let done = run_at(Path::new("/nowhere"), &line, true).await;
    done.outcome.unwrap();
    let mut names: Vec<String> = fs::read_dir(&plots)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["0001-H0.svg", "0002-H1.svg", "0003-flat.svg"]);
    let drawn = fs::read_to_string(plots.join("0001-H0.svg")).unwrap();
    assert!(drawn.contains(">mixture<") && drawn.contains("step 64"));
    assert!(done.err.contains("] 3 of 3 series"), "{}", done.err);
    assert!(run(&line).await.err.is_empty(), "nobody looks");
}

#[tokio::test]
async fn stored_history_is_asked_of_the_daemon_for_every_number() {
    let answer = |line: &str| {
        if line.contains("/properties") {
            properties()
        } else {
            history()
        }
    };
    let (_directory, socket, daemon) = daemon(2, answer);
    let done = run_at(
        &socket,
        &["--resource", "web", "--models", "drift", "--json"],
        false,
    )
    .await;
    done.outcome.unwrap();
    let answer: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (&answer["series"], &answer["models"]["drift"]["series"]),
        (&1.into(), &1.into())
    );
    let asked = daemon.await.unwrap();
    assert!(
        asked[1].contains("property=memory") && asked[1].contains("stream=value"),
        "{asked:?}"
    );
}

fn properties() -> String {
    let property = |path: &str, kind: &str, value: Value| {
        serde_json::json!({
            "path": path, "value": {"kind": kind, "value": value, "text": "x"}, "approved": null,
            "deviation": 0.0, "band": {"lower": 1.0, "upper": 1.0}, "severity": "warn",
            "origin": "configuration", "place": null, "unit": null,
            "breach": {"kind": "none", "at": null, "lead_time_s": null, "confidence": 0.0,
                "harm_after_s": null},
            "onset": null, "sentence": "",
        })
    };
    serde_json::json!({
        "resource": "web", "at": "2026-11-24T23:14:05Z", "unreadable": [],
        "properties": [property("memory", "number", 5.into()), property("mode", "text", "x".into())],
    })
    .to_string()
}

fn history() -> String {
    let point = |i: i64| {
        let at = Timestamp::from_millis(1_795_500_000_000 + i * 10_000).to_string();
        serde_json::json!({"at": at, "value": i * i % 13})
    };
    serde_json::json!({
        "resource": "web", "property": "memory", "stream": "value", "unit": null,
        "from": "2026-11-17T23:14:05Z", "until": "2026-11-24T23:14:05Z", "step_s": null,
        "aggregation": null, "points": (0..60).map(point).collect::<Vec<_>>(), "band": null,
    })
    .to_string()
}

/// The words, with numbers made alike: scores change with the models.
fn words(text: &str) -> Vec<Vec<String>> {
    let word = |word: &str| match word.parse::<f64>() {
        Ok(_) => "0".to_owned(),
        Err(_) => word.to_owned(),
    };
    let line = |line: &str| line.split_whitespace().map(word).collect();
    text.lines().map(line).collect()
}

#[tokio::test]
async fn the_page_shows_what_the_command_answers() {
    let page = fs::read_to_string(root().join("docs/backtest.md")).unwrap();
    let mut checked = 0;
    for (command, answer) in shown(&page) {
        let Some(line) = command.strip_prefix("evenkeel backtest ") else {
            panic!("`{command}` is no back-test");
        };
        let line = line.replace("examples/", &format!("{}/examples/", root().display()));
        let line: Vec<&str> = line.split(' ').collect();
        let done = run(&line).await;
        done.outcome.unwrap();
        assert_eq!(words(&done.out), words(&answer), "{command}:\n{}", done.out);
        checked += 1;
    }
    assert!(checked > 0);
    for name in evenkeel_forecast::backtest::names() {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/backtest.md does not describe {name}"
        );
    }
}
