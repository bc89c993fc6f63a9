//! What came of it: figures that were measured, as JSON and as text.

use std::time::Duration;

use evenkeel_api::wire::{Evidence, Instance, RunView};
use evenkeel_cli::render::text;
use evenkeel_cli::render::{Page, Paint, Painted, Style, run_lines};
use serde::Serialize;

/// The outcome of one demonstration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many clients there were.
    pub clients: u32,
    /// The pause of each between two requests.
    pub think_time_ms: u64,
    /// Requests that were made.
    pub requests_total: u64,
    /// Requests without a complete answer of status 200.
    pub requests_failed: u64,
    /// The first failures, word for word.
    pub failures: Vec<String>,
    /// Kept connections that were closed between two requests, and opened again.
    pub reconnects: u64,
    /// The longest time from one success of a client to its next, think time included.
    pub longest_client_gap_ms: u64,
    /// The value at which the service fails.
    pub limit: u64,
    /// The highest value that the instance which served had, as its answers say.
    pub highest_value_served: u64,
    /// Whether the serving instance ever reached the limit.
    pub limit_crossed_by_active: bool,
    /// From the decision to fail over until the primary reached, or would have reached, the limit.
    pub lead_time_s: f64,
    /// When the tuner first wrote.
    pub drift_began_at: String,
    /// When the drift set in, as Evenkeel saw it.
    pub drift_onset_seen_at: Option<String>,
    /// When Evenkeel decided to fail over.
    pub decided_at: String,
    /// Why.
    pub decision: String,
    /// How long it took to activate the clone, until it was well.
    pub activation_ms: Option<u64>,
    /// From the decision to the end of the failover.
    pub failover_ms: Option<u64>,
    /// The generation whose configuration was activated.
    pub generation_activated: Option<String>,
    /// Whether that was read before the tuner first wrote.
    pub generation_was_before_drift_onset: bool,
    /// What was found on the old primary.
    pub diagnosis: Diagnosis,
    /// The old primary's file is byte for byte as approved.
    pub primary_reverted: bool,
    /// The roles are swapped, and a standby is kept again.
    pub reprotected: bool,
    /// Who serves in the end.
    pub serving: Instance,
    /// Every line of the audit log follows from the one before.
    pub audit_verified: bool,
    /// How many lines it has.
    pub audit_records: u64,
    /// Writes that were acknowledged to the clients.
    pub writes_acknowledged: u64,
    /// Of these, how many the instance that serves in the end has.
    pub writes_present: u64,
    /// From the start to this.
    pub took_s: f64,
    /// The seed of the drift.
    pub seed: u64,
    /// The failover and the reinstatement, step by step.
    pub runs: Vec<RunView>,
}

/// What was found on the old primary.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The file that was changed.
    pub file: Option<String>,
    /// The line that was changed.
    pub line: Option<u32>,
    /// The approved value.
    pub approved: Option<String>,
    /// The value at the decision.
    pub found: Option<String>,
    /// Since when, as Evenkeel saw it.
    pub since: Option<String>,
    /// The evidence, as it was collected before the revert.
    pub evidence: Vec<Evidence>,
}

impl Summary {
    /// What did not come out as it should, as sentences; empty when all is well.
    pub fn shortfalls(&self) -> Vec<String> {
        let mut shortfalls = Vec::new();
        let mut demand = |holds: bool, what: String| {
            if !holds {
                shortfalls.push(what);
            }
        };
        let (failed, total) = (self.requests_failed, self.requests_total);
        let first = self.failures.first().map_or("", String::as_str);
        demand(total > 0, "no request was made".to_owned());
        demand(
            failed == 0,
            format!("{failed} of {total} requests failed, the first: {first}"),
        );
        let crossed = "the instance that served reached the limit";
        demand(!self.limit_crossed_by_active, crossed.to_owned());
        let late = format!(
            "the decision came {:.1} s after the limit",
            -self.lead_time_s
        );
        demand(self.lead_time_s > 0.0, late);
        let young = "the activated generation is not from before the drift";
        demand(self.generation_was_before_drift_onset, young.to_owned());
        let unlike = "the old primary's file is not as approved";
        demand(self.primary_reverted, unlike.to_owned());
        demand(self.reprotected, "there is no standby again".to_owned());
        demand(
            self.audit_verified,
            "the audit log does not verify".to_owned(),
        );
        shortfalls
    }

    /// As a person reads it.
    pub fn text(&self, style: Style) -> String {
        let mut page = Page::new(style);
        page.heading("What happened");
        page.item(format!(
            "a job wrote app.toml, step by step, from {}",
            self.drift_began_at
        ));
        page.item(self.decision.clone());
        page.items(self.diagnosis.lines());
        for run in &self.runs {
            page.gap();
            page.items(run_lines(run));
        }
        page.heading("Measured");
        for (what, figure) in self.figures() {
            page.item(Painted::new(Paint::Dim, format!("{what:<28}")).then(Paint::Plain, figure));
        }
        page.gap();
        let shortfalls = self.shortfalls();
        if shortfalls.is_empty() {
            let verdict = "Failed over before the limit, no request failed, protected again.";
            page.line(Painted::new(Paint::Green, verdict));
        }
        for shortfall in shortfalls {
            page.line(Painted::new(Paint::Red, "✗ ").then(Paint::Plain, shortfall));
        }
        page.finish()
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let yes = |holds: bool| if holds { "yes" } else { "NO" }.to_owned();
        let ms = |ms: Option<u64>| ms.map_or("unknown".to_owned(), text::span_ms);
        let gap = Duration::from_millis(self.longest_client_gap_ms);
        let pause = self.think_time_ms;
        let (served, limit) = (self.highest_value_served, self.limit);
        let generation = self.generation_activated.as_deref().unwrap_or("unknown");
        let before = if self.generation_was_before_drift_onset {
            "before"
        } else {
            "NOT before"
        };
        vec![
            (
                "requests",
                format!("{} by {} clients", self.requests_total, self.clients),
            ),
            ("failed", self.requests_failed.to_string()),
            (
                "longest gap of a client",
                format!("{} ms (it pauses {pause} ms)", gap.as_millis()),
            ),
            (
                "lead time",
                format!("{:.1} s before the limit", self.lead_time_s),
            ),
            (
                "highest value that served",
                format!("{served}, the limit is {limit}"),
            ),
            ("activation of the clone", ms(self.activation_ms)),
            ("whole failover", ms(self.failover_ms)),
            (
                "configuration activated",
                format!("{generation}, from {before} the drift"),
            ),
            ("old primary reverted", yes(self.primary_reverted)),
            ("standby again", yes(self.reprotected)),
            (
                "audit log verified",
                format!(
                    "{}, {} records",
                    yes(self.audit_verified),
                    self.audit_records
                ),
            ),
            (
                "writes kept",
                format!("{} of {}", self.writes_present, self.writes_acknowledged),
            ),
            ("took", format!("{:.1} s", self.took_s)),
        ]
    }
}

impl Diagnosis {
    /// In a few lines: where, what, since when.
    fn lines(&self) -> Vec<Painted> {
        let unknown = || "unknown".to_owned();
        let text = |part: &Option<String>| part.clone().unwrap_or_else(unknown);
        let line = self.line.map_or_else(unknown, |line| line.to_string());
        let place = format!("{}, line {line}", text(&self.file));
        let change = format!("{} -> {}", text(&self.approved), text(&self.found));
        let since = format!("since {}", text(&self.since));
        let first = Painted::new(Paint::Bold, "diagnosis: ")
            .then(Paint::Plain, format!("{place}: {change}, {since}"));
        let mut lines = vec![first];
        let values = self
            .evidence
            .iter()
            .find(|piece| piece.title == "configuration values");
        lines.extend(
            values
                .iter()
                .flat_map(|piece| piece.text.lines())
                .map(|found| {
                    Painted::new(Paint::Dim, "  found before the revert: ")
                        .then(Paint::Plain, found)
                }),
        );
        lines
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn summary() -> Summary {
        Summary {
            clients: 8,
            think_time_ms: 8,
            requests_total: 1000,
            requests_failed: 0,
            failures: Vec::new(),
            reconnects: 4,
            longest_client_gap_ms: 31,
            limit: 1024,
            highest_value_served: 560,
            limit_crossed_by_active: false,
            lead_time_s: 17.25,
            drift_began_at: "2026-11-24T23:00:00.000Z".into(),
            drift_onset_seen_at: None,
            decided_at: "2026-11-24T23:00:06.000Z".into(),
            decision: "app.toml/pool/max_connections leaves its band in 4 s".into(),
            activation_ms: Some(80),
            failover_ms: Some(900),
            generation_activated: Some("g3".into()),
            generation_was_before_drift_onset: true,
            diagnosis: Diagnosis {
                file: Some("app.toml".into()),
                line: Some(12),
                approved: Some("400".into()),
                found: Some("560".into()),
                since: Some("2026-11-24T23:00:00.000Z".into()),
                evidence: Vec::new(),
            },
            primary_reverted: true,
            reprotected: true,
            serving: Instance::B,
            audit_verified: true,
            audit_records: 40,
            writes_acknowledged: 20,
            writes_present: 20,
            took_s: 24.0,
            seed: 1,
            runs: Vec::new(),
        }
    }

    #[test]
    fn the_json_has_every_figure_that_was_promised() {
        let json = serde_json::to_value(summary()).unwrap();
        for field in [
            "requests_total",
            "requests_failed",
            "limit_crossed_by_active",
            "lead_time_s",
            "activation_ms",
            "longest_client_gap_ms",
            "generation_activated",
            "generation_was_before_drift_onset",
            "primary_reverted",
            "reprotected",
            "audit_verified",
        ] {
            assert!(
                json.get(field).is_some_and(|value| !value.is_null()),
                "{field}"
            );
        }
        assert!(
            !serde_json::to_string(&summary()).unwrap().contains('\n'),
            "one line"
        );
    }

    #[test]
    fn whatever_falls_short_is_said() {
        assert_eq!(summary().shortfalls(), Vec::<String>::new());
        let bad = Summary {
            requests_failed: 2,
            failures: vec!["answered 503".into()],
            limit_crossed_by_active: true,
            lead_time_s: -1.0,
            generation_was_before_drift_onset: false,
            primary_reverted: false,
            reprotected: false,
            audit_verified: false,
            ..summary()
        };
        assert_eq!(bad.shortfalls().len(), 7);
        assert!(bad.shortfalls()[0].contains("2 of 1000 requests failed, the first: answered 503"));
        assert!(
            bad.text(Style::PLAIN)
                .contains("✗ the audit log does not verify")
        );
    }

    #[test]
    fn the_text_names_file_line_and_values() {
        let text = summary().text(Style::PLAIN);
        assert!(text.contains("diagnosis: app.toml, line 12: 400 -> 560, since 2026-11-24T23:00"));
        assert!(text.contains("no request failed"), "{text}");
    }
}
