//! Alerts: what people should know of. Each goes to the log, and to a command of the user's with the
//! alert as JSON on its standard input. A command that hangs or fails never holds anything up.

use std::process::Stdio;
use std::time::Duration;

use evenkeel_core::property::Severity;
use evenkeel_core::{ResourceId, Timestamp};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// One alert, as the command gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// When, RFC 3339.
    pub at: String,
    /// `info`, `warn` or `critical`.
    pub severity: Severity,
    /// About which resource.
    pub resource: Option<ResourceId>,
    /// What.
    pub sentence: String,
}

/// Where alerts are raised.
#[derive(Clone, Debug)]
pub struct Alerts {
    queue: Option<mpsc::Sender<Alert>>,
}

/// Alerts that may wait for the command; more are logged and not delivered.
const QUEUE: usize = 256;

/// How long the command may take for one alert.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

impl Alerts {
    /// Alerts that only go to the log.
    pub fn to_log() -> Self {
        Self { queue: None }
    }

    /// Alerts that also go to `command`, one at a time. Needs a tokio runtime.
    pub fn to_command(command: Vec<String>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(deliver_all(command, waiting));
        Self { queue: Some(queue) }
    }

    /// Raises an alert.
    pub fn raise(
        &self,
        at: Timestamp,
        resource: Option<&ResourceId>,
        severity: Severity,
        sentence: &str,
    ) {
        match severity {
            Severity::Info => info!(alert = true, "{sentence}"),
            Severity::Warn => warn!(alert = true, "{sentence}"),
            Severity::Critical => error!(alert = true, "{sentence}"),
        }
        let Some(queue) = &self.queue else { return };
        let alert = Alert {
            at: at.to_string(),
            severity,
            resource: resource.cloned(),
            sentence: sentence.to_owned(),
        };
        if queue.try_send(alert).is_err() {
            warn!("too many alerts wait for the alert command; this one was only logged");
        }
    }
}

async fn deliver_all(command: Vec<String>, mut waiting: mpsc::Receiver<Alert>) {
    while let Some(alert) = waiting.recv().await {
        match tokio::time::timeout(COMMAND_LIMIT, deliver(&command, &alert)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the alert command failed"),
            Err(_) => warn!("the alert command did not end within {COMMAND_LIMIT:?}; killed"),
        }
    }
}

async fn deliver(command: &[String], alert: &Alert) -> std::io::Result<()> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let mut line = serde_json::to_vec(alert).map_err(std::io::Error::other)?;
        line.push(b'\n');
        // A command that does not read its input has been told all the same.
        stdin.write_all(&line).await.ok();
    }
    let status = child.wait().await?;
    if status.success() {
        Ok(())
    } else {
        Err(std::io::Error::other(status.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_command_gets_the_alert_as_json() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let script = format!("cat >> {}", out.display());
        let alerts = Alerts::to_command(vec!["sh".into(), "-c".into(), script]);
        let at = Timestamp::from_millis(0);
        alerts.raise(at, Some(&"web".into()), Severity::Critical, "it drifts");
        let mut text = String::new();
        for _ in 0..1000 {
            text = std::fs::read_to_string(&out).unwrap_or_default();
            if text.ends_with('\n') {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let alert: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(alert["resource"], "web");
        assert_eq!(alert["severity"], "critical");
        assert_eq!(alert["at"], "1970-01-01T00:00:00.000Z");
    }
}
