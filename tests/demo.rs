//! The whole of Evenkeel at work: the demonstration, run as its user runs it, and held to its figures.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_demo_fails_over_before_the_limit_and_loses_no_request() {
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["demo", "--json", "--clients", "8"])
        .output()
        .expect("the binary was built for this test");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}: {stderr}", output.status);
    let last = stdout.lines().last().unwrap_or_default();
    let summary: Value = serde_json::from_str(last).expect("the last line is the summary");
    let number = |field: &str| {
        summary[field]
            .as_f64()
            .unwrap_or_else(|| panic!("{field}: {summary}"))
    };
    let holds = |field: &str| assert_eq!(summary[field], true, "{field}: {summary}");

    assert!(number("requests_total") > 500.0, "{summary}");
    assert_eq!(summary["requests_failed"], 0, "{summary}");
    assert_eq!(summary["limit_crossed_by_active"], false, "{summary}");
    assert!(
        number("highest_value_served") < number("limit"),
        "{summary}"
    );
    assert!(number("lead_time_s") > 0.0, "{summary}");
    assert!(number("activation_ms") > 0.0, "{summary}");
    assert!(number("longest_client_gap_ms") > 0.0, "{summary}");
    assert!(summary["generation_activated"].is_string(), "{summary}");
    holds("generation_was_before_drift_onset");
    holds("primary_reverted");
    holds("reprotected");
    holds("audit_verified");

    let diagnosis = &summary["diagnosis"];
    assert_eq!(diagnosis["file"], "app.toml", "{summary}");
    assert_eq!(diagnosis["approved"], "400", "{summary}");
    assert!(
        diagnosis["line"].is_u64() && diagnosis["since"].is_string(),
        "{summary}"
    );
    let evidence = diagnosis["evidence"].to_string();
    assert!(evidence.contains("approved 400, found"), "{evidence}");
}
