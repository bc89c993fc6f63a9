//! Whole commands against a daemon of canned answers: what an operator types, reads and gets back.

use std::io::{self, Cursor};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_api::Client;
use evenkeel_cli::render::Style;
use evenkeel_cli::{CliError, Invocation, Screen, Session, execute, try_parse_from};
use evenkeel_core::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// A mutex is only poisoned after a panic, which has failed the test already.
const UNPOISONED: &str = "no thread panicked";

/// A daemon that answers by the request line and body, and remembers what it was asked.
struct Daemon {
    directory: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a command left.
struct Done {
    outcome: Result<(), CliError>,
    out: String,
    err: String,
}

impl Daemon {
    /// Answers each request with what `answer` gives for `METHOD path` and body; status 0 drops the
    /// connection.
    fn start(answer: impl Fn(&str, &Value) -> (u16, Value) + Send + 'static) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let listener = UnixListener::bind(directory.path().join("evenkeel.sock"))?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Ok((line, body)) = read_request(&mut stream).await else {
                    continue;
                };
                record.lock().expect(UNPOISONED).push(line.clone());
                let (status, answer) = answer(&line, &body);
                if status == 0 {
                    continue;
                }
                let answer = answer.to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                // A client that went away shows in the test's own assertions.
                let _ = stream.write_all((head + &answer).as_bytes()).await;
            }
        });
        Ok(Self { directory, asked })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect(UNPOISONED).clone()
    }

    /// Runs a command line; `typed` is what a person at the terminal answers, `None` is nobody.
    async fn run(&self, line: &str, typed: Option<&str>) -> Done {
        let Ok(Invocation::Remote(command, _)) = try_parse_from(line.split(' ')) else {
            panic!("`{line}` is no remote command");
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut input = Cursor::new(typed.unwrap_or_default().to_owned());
        let mut session = Session {
            client: Client::new(self.directory.path().join("evenkeel.sock")),
            out: &mut out,
            err: &mut err,
            input: &mut input,
            screen: Screen {
                style: Style::PLAIN,
                can_ask: typed.is_some(),
                live: false,
            },
            clock: &|| Timestamp::from_millis(1_795_562_045_000),
            poll: Duration::from_millis(1),
        };
        let outcome = execute(command, &mut session).await;
        let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
        Done {
            outcome,
            out: text(out),
            err: text(err),
        }
    }
}

async fn read_request(stream: &mut UnixStream) -> io::Result<(String, Value)> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|length| length.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                let line = head.lines().next().unwrap_or_default();
                let line = line.trim_end_matches(" HTTP/1.1").to_owned();
                return Ok((line, serde_json::from_str(body).unwrap_or(Value::Null)));
            }
        }
        match stream.read(&mut chunk).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => request.extend_from_slice(&chunk[..n]),
        }
    }
}

fn step(name: &str, status: &str) -> Value {
    json!({
        "name": name, "what": format!("does {name}"), "status": status, "attempts": 1,
        "began_at": "2026-11-24T23:14:05.000Z", "ended_at": null, "took_ms": 12, "note": null,
    })
}

fn run(statuses: [&str; 2], outcome: Option<&str>) -> Value {
    json!({
        "id": "r12", "resource": "web", "kind": "failover", "at": "2026-11-24T23:14:05.000Z",
        "why": "drift", "from": "a", "to": "b", "choice": null,
        "steps": [step("lease", statuses[0]), step("activate", statuses[1])],
        "forward_from": null, "outcome": outcome, "ended_at": null,
    })
}

fn acted(done: bool, run: Option<&str>, message: &str) -> Value {
    json!({
        "done": done,
        "plan": {
            "sentence": "fail web over from a to b",
            "steps": [{"name": "lease", "what": "take the lease"}],
            "guards": [{"guard": "cool-down", "holds": !done && run.is_none(), "sentence": "2 min ago"}],
        },
        "run": run, "event": "e7", "message": message,
    })
}

/// A daemon whose failover goes on for three looks and then ends as said.
fn failing_over(outcome: &'static str) -> io::Result<Daemon> {
    let looks = Mutex::new(0);
    Daemon::start(move |line, body| match line {
        "POST /v1/resources/web/failover" if body["dry_run"] == true => {
            (200, acted(false, None, ""))
        }
        "POST /v1/resources/web/failover" => (202, acted(true, Some("r12"), "failover r12 begun")),
        "GET /v1/runs/r12" => {
            let mut looks = looks.lock().expect(UNPOISONED);
            *looks += 1;
            (
                200,
                match *looks {
                    1 => run(["running", "pending"], None),
                    2 => run(["done", "running"], None),
                    _ if outcome == "undone" => run(["undone", "undone"], Some(outcome)),
                    _ => run(["done", "done"], Some(outcome)),
                },
            )
        }
        other => panic!("{other} was not expected"),
    })
}

#[tokio::test]
async fn with_nobody_to_ask_an_action_needs_yes_and_the_daemon_hears_nothing() {
    let daemon = failing_over("done").unwrap();
    let done = daemon.run("evenkeel failover web", None).await;
    let error = done.outcome.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("--yes") && error.to_string().contains("--dry-run"),
        "{error}"
    );
    assert!(daemon.asked().is_empty());
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_acts_on_nothing() {
    let daemon = failing_over("done").unwrap();
    let done = daemon.run("evenkeel failover web --dry-run", None).await;
    done.outcome.unwrap();
    assert_eq!(
        done.out,
        "fail web over from a to b\n   1. lease           take the lease\nguards:\n  \
         ✗ cool-down       2 min ago\ndry run: nothing was done\n"
    );
    assert_eq!(daemon.asked().len(), 1);
}

#[tokio::test]
async fn a_plan_that_is_not_confirmed_is_not_done() {
    for typed in ["n\n", "\n", "", "yess\n"] {
        let daemon = failing_over("done").unwrap();
        let done = daemon.run("evenkeel failover web", Some(typed)).await;
        assert_eq!(done.outcome.unwrap_err().exit_code(), 1);
        assert!(done.err.ends_with("Do it? [y/N] "), "{}", done.err);
        assert_eq!(
            daemon.asked().len(),
            1,
            "only the dry run: {:?}",
            daemon.asked()
        );
    }
}

#[tokio::test]
async fn a_confirmed_plan_is_followed_step_by_step_to_its_end() {
    let daemon = failing_over("done").unwrap();
    let done = daemon.run("evenkeel failover web", Some("y\n")).await;
    done.outcome.unwrap();
    assert_eq!(
        done.out,
        "failover r12 begun\n  \
         ✓ lease              +0 ms    12 ms  does lease\n  \
         ✓ activate           +0 ms    12 ms  does activate\n\
         r12 failover is done\n"
    );
}

#[tokio::test]
async fn a_saga_that_was_undone_or_is_stuck_fails_the_command_and_says_what_to_do() {
    let undone = failing_over("undone")
        .unwrap()
        .run("evenkeel failover web -y", None)
        .await;
    let error = undone.outcome.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(
        error.to_string().contains("everything is as it was"),
        "{error}"
    );
    // Undone last first, after the first step had been told as done.
    let told: Vec<&str> = undone.out.lines().skip(1).map(|line| &line[..14]).collect();
    assert_eq!(told.len(), 3, "{}", undone.out);
    assert!(told[1].contains("activate"), "{told:?}");

    let stuck = failing_over("stuck")
        .unwrap()
        .run("evenkeel failover web -y", None)
        .await;
    assert!(
        stuck
            .outcome
            .unwrap_err()
            .to_string()
            .contains("`evenkeel release web`")
    );
}

#[tokio::test]
async fn no_wait_returns_at_once_and_json_gives_one_document() {
    let daemon = failing_over("done").unwrap();
    let done = daemon
        .run("evenkeel failover web -y --no-wait --json", None)
        .await;
    done.outcome.unwrap();
    let answer: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(answer["run"], "r12");
    assert_eq!(daemon.asked().len(), 1);

    let waited = failing_over("done")
        .unwrap()
        .run("evenkeel failover web -y --json", None)
        .await;
    waited.outcome.unwrap();
    let answer: Value = serde_json::from_str(&waited.out).unwrap();
    assert_eq!(
        (&answer["acted"]["run"], &answer["run"]["outcome"]),
        (&json!("r12"), &json!("done"))
    );
}

#[tokio::test]
async fn what_a_guard_held_back_fails_the_command_with_the_guard_shown() {
    let daemon = Daemon::start(|_, _| (200, acted(false, None, "held back by cool-down"))).unwrap();
    let done = daemon.run("evenkeel failover web -y", None).await;
    assert_eq!(
        done.outcome.unwrap_err().to_string(),
        "held back by cool-down"
    );
    assert!(done.out.contains("✗ cool-down"), "{}", done.out);
}

#[tokio::test]
async fn a_run_that_can_no_longer_be_followed_is_said_to_go_on_in_the_daemon() {
    let daemon = Daemon::start(|line, _| match line {
        "POST /v1/resources/web/failover" => (200, acted(true, Some("r12"), "begun")),
        // Status 0 drops the connection, as a daemon that is being killed does.
        _ => (0, Value::Null),
    })
    .unwrap();
    let done = daemon.run("evenkeel failover web -y", None).await;
    let error = done.outcome.unwrap_err().to_string();
    assert!(
        error.contains("look with `evenkeel saga show r12`"),
        "{error}"
    );
    assert!(daemon.asked().len() > 10, "it was asked again and again");
}

#[tokio::test]
async fn requests_carry_what_was_typed() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let daemon = Daemon::start(move |_, body| {
        seen.lock().unwrap().push(body.clone());
        (200, acted(true, None, "done"))
    })
    .unwrap();
    for line in [
        "evenkeel pause web --for 2h --reason upgrade -y",
        "evenkeel window web --from 1h --for 30m --why upgrade -y",
        "evenkeel baseline accept web --all --note t7 -y",
        "evenkeel clone rehearse web --generation g3 -y",
        "evenkeel approve web -y",
    ] {
        daemon.run(line, None).await.outcome.unwrap();
    }
    assert_eq!(
        *bodies.lock().unwrap(),
        [
            json!({"for_s": 7200.0, "dry_run": false, "reason": "upgrade"}),
            json!({
                "from": "2026-11-25T00:14:05.000Z", "for_s": 1800.0, "why": "upgrade",
                "dry_run": false,
            }),
            json!({"paths": ["**"], "note": "t7", "dry_run": false}),
            json!({"generation": "g3", "dry_run": false, "reason": null}),
            json!({"for_s": 3600.0, "dry_run": false, "reason": null}),
        ]
    );
}

#[tokio::test]
async fn followed_events_come_once_each_in_order_until_the_daemon_is_gone_for_good() {
    let event = |id: &str| {
        json!({
            "id": id, "at": "2026-11-24T23:14:05Z", "resource": "web", "kind": "alert",
            "severity": "warn", "sentence": format!("said {id}"), "by": "evenkeel", "run": null,
            "explained": false,
        })
    };
    let daemon = Daemon::start(move |line, _| match line {
        "GET /v1/events?limit=30" => (200, json!({"events": [event("e2"), event("e1")]})),
        "GET /v1/events?after=e2&limit=500" => (200, json!({"events": [event("e3")]})),
        _ => (410, json!({"status": 410, "detail": "gone"})),
    })
    .unwrap();
    let done = daemon.run("evenkeel events -f", None).await;
    assert_eq!(done.outcome.unwrap_err().to_string(), "gone");
    let said: Vec<&str> = done
        .out
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    assert_eq!(said, ["e1", "e2", "e3"]);
}

#[tokio::test]
async fn a_problem_is_told_in_words_and_a_forecast_without_a_name_asks_for_the_worst() {
    let daemon = Daemon::start(|_, _| {
        (
            404,
            json!({"status": 404, "detail": "no resource `wbe`", "remedy": "did you mean `web`?"}),
        )
    })
    .unwrap();
    let done = daemon.run("evenkeel forecast wbe", None).await;
    let error = done.outcome.unwrap_err();
    assert_eq!(error.to_string(), "no resource `wbe`: did you mean `web`?");
    assert_eq!(daemon.asked(), ["GET /v1/resources/wbe"]);
}
