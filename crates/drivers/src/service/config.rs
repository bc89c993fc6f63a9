//! The configuration table of a service, as its user writes it.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{CommandLine, Environment, PerInstance, Span, Template, TreeRules};
use crate::process::run::signal_named;
use crate::roots::{Fault, check_roots};

/// A service: a process with a configuration tree, perhaps data, and an address.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Which files are its configuration, and how they are read.
    #[serde(default)]
    pub config: TreeRules,
    /// Which files are its data.
    #[serde(default)]
    pub data: TreeRules,
    /// Where the service was first found.
    pub a: Places,
    /// Where Evenkeel makes the clone.
    pub b: Places,
    /// Starts it; runs in the foreground where `supervise` is `evenkeel`.
    #[serde(default)]
    pub start: Option<CommandLine>,
    /// Stops it; by default it gets `stop_signal`.
    #[serde(default)]
    pub stop: Option<CommandLine>,
    /// Makes it read its configuration again.
    #[serde(default)]
    pub reload: Option<CommandLine>,
    /// Makes it read its configuration again, as a signal: `HUP`. Instead of `reload`.
    #[serde(default)]
    pub signal: Option<String>,
    /// The signal to stop it with: `TERM`, `QUIT`, `INT`.
    #[serde(default = "default_stop_signal")]
    pub stop_signal: String,
    /// How long it may take to stop before it is killed.
    #[serde(default = "default_stop_grace")]
    pub stop_grace: Span,
    /// How long it may take to become well after a start.
    #[serde(default = "default_start_timeout")]
    pub start_timeout: Span,
    /// Who looks after the process.
    #[serde(default)]
    pub supervise: Supervise,
    /// The units, where `supervise` is `systemd`.
    #[serde(default)]
    pub unit: Option<PerInstance<String>>,
    /// Succeeds while the service runs, where `supervise` is `command`.
    #[serde(default)]
    pub status: Option<CommandLine>,
    /// Holds the process id, where `supervise` is `command`.
    #[serde(default)]
    pub pid_file: Option<Template>,
    /// When it counts as well.
    #[serde(default)]
    pub health: HealthConfig,
    /// What else differs between the configuration files of the instances: pairs of a's text and b's.
    #[serde(default)]
    pub substitute: Vec<(String, String)>,
    /// Two running at once would write against each other.
    #[serde(default)]
    pub single_writer: bool,
    /// Environment variables, with placeholders.
    #[serde(default)]
    pub env: Environment,
    /// Where commands run; a private directory by default.
    #[serde(default)]
    pub directory: Option<Template>,
    /// Start instance a when Evenkeel starts and nothing serves, where `supervise` is `evenkeel`.
    #[serde(default)]
    pub adopt: bool,
}

/// Where one instance is found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// The directory of its configuration.
    pub config: PathBuf,
    /// The directory of its data, where it has any.
    #[serde(default)]
    pub data: Option<PathBuf>,
    /// Where it is reached: `127.0.0.1:8081`.
    pub address: SocketAddr,
}

/// Who looks after a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Supervise {
    /// Evenkeel starts it in the foreground and finds it again after a restart of its own.
    #[default]
    Evenkeel,
    /// systemd does, through `unit`.
    Systemd,
    /// `start` puts it into the background; `status` or `pid_file` tell whether it runs.
    Command,
}

/// When an instance counts as well: exactly one of `tcp`, `http` and `command`; `tcp` by default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    /// Its address accepts a connection.
    #[serde(default)]
    pub tcp: Option<bool>,
    /// It answers a plain HTTP request for this path.
    #[serde(default)]
    pub http: Option<String>,
    /// With this status; 200 by default.
    #[serde(default)]
    pub expect: Option<u16>,
    /// This command succeeds.
    #[serde(default)]
    pub command: Option<CommandLine>,
    /// Within this time.
    #[serde(default = "default_health_timeout")]
    pub timeout: Span,
    /// The time between two checks while waiting for it to become well.
    #[serde(default = "default_health_interval")]
    pub interval: Span,
    /// So many good checks in a row count as well after a start.
    #[serde(default = "default_healthy_after")]
    pub healthy_after: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            tcp: None,
            http: None,
            expect: None,
            command: None,
            timeout: default_health_timeout(),
            interval: default_health_interval(),
            healthy_after: default_healthy_after(),
        }
    }
}

fn default_stop_signal() -> String {
    "TERM".to_owned()
}
fn default_stop_grace() -> Span {
    Span::seconds(10)
}
fn default_start_timeout() -> Span {
    Span::seconds(30)
}
fn default_health_timeout() -> Span {
    Span::seconds(2)
}
fn default_health_interval() -> Span {
    Span::millis(100)
}
fn default_healthy_after() -> u32 {
    1
}

fn fault<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Fault> {
    Err((what.into(), remedy.into()))
}

impl ServiceConfig {
    /// Refuses what contradicts itself, as far as that can be seen without looking at the machine.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check_places(&self.a, &self.b)?;
        self.check_supervision()?;
        self.check_health()?;
        for (key, name) in [
            ("stop_signal", Some(&self.stop_signal)),
            ("signal", self.signal.as_ref()),
        ] {
            if let Some(name) = name.filter(|name| signal_named(name).is_none()) {
                return fault(
                    format!("{key}: `{name}` is not a signal known here"),
                    "write one of HUP INT QUIT TERM USR1 USR2 WINCH",
                );
            }
        }
        if self.reload.is_some() && self.signal.is_some() {
            return fault(
                "both `reload` and `signal` are given",
                "give the one that makes it read its configuration",
            );
        }
        Ok(())
    }

    fn check_supervision(&self) -> Result<(), Fault> {
        match self.supervise {
            Supervise::Evenkeel if self.start.is_none() => fault(
                "`start` is missing",
                "give the command that runs the service in the foreground",
            ),
            Supervise::Systemd if self.unit.is_none() => fault(
                "`unit` is missing",
                "write unit = { a = \"web@a.service\", b = \"web@b.service\" }",
            ),
            Supervise::Command if self.start.is_none() => fault(
                "`start` is missing",
                "give the command that starts the service in the background",
            ),
            Supervise::Command if self.status.is_none() && self.pid_file.is_none() => fault(
                "neither `status` nor `pid_file` is given",
                "give one of them, so that it can be seen whether the service runs",
            ),
            Supervise::Evenkeel | Supervise::Systemd | Supervise::Command => self.check_unused(),
        }
    }

    /// A setting that another way of supervision would obey is a misunderstanding worth a word.
    fn check_unused(&self) -> Result<(), Fault> {
        let unused = |key: &str, way: &str| {
            fault(
                format!("`{key}` is given, which only counts with supervise = \"{way}\""),
                format!("remove it, or write supervise = \"{way}\""),
            )
        };
        let (is_systemd, is_command) = (
            self.supervise == Supervise::Systemd,
            self.supervise == Supervise::Command,
        );
        if self.unit.is_some() && !is_systemd {
            return unused("unit", "systemd");
        }
        if self.status.is_some() && !is_command {
            return unused("status", "command");
        }
        if self.pid_file.is_some() && !is_command {
            return unused("pid_file", "command");
        }
        if self.adopt && self.supervise != Supervise::Evenkeel {
            return unused("adopt", "evenkeel");
        }
        Ok(())
    }

    fn check_health(&self) -> Result<(), Fault> {
        let health = &self.health;
        let ways = u8::from(health.tcp == Some(true))
            + u8::from(health.http.is_some())
            + u8::from(health.command.is_some());
        if ways > 1 || (health.tcp == Some(false) && ways == 0) {
            return fault(
                "health: exactly one way to check is needed",
                "write { tcp = true }, { http = \"/healthz\" } or { command = [...] }",
            );
        }
        if health.expect.is_some() && health.http.is_none() {
            return fault(
                "health: `expect` is given without `http`",
                "write { http = \"/healthz\", expect = 200 }",
            );
        }
        if let Some(path) = health.http.as_ref().filter(|path| !is_request_path(path)) {
            return fault(
                format!("health: `{path}` is not a path of a request"),
                "write a path like /healthz; for TLS use { command = [\"curl\", ...] }",
            );
        }
        if health.timeout.0.is_zero() || health.interval.0.is_zero() || health.healthy_after == 0 {
            return fault(
                "health: `timeout`, `interval` and `healthy_after` must not be 0",
                "leave them out for the defaults: 2s, 100ms, 1",
            );
        }
        Ok(())
    }
}

fn is_request_path(path: &str) -> bool {
    path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic())
}

fn check_places(a: &Places, b: &Places) -> Result<(), Fault> {
    if a.address == b.address {
        return fault(
            format!("a and b have the same address {}", a.address),
            "give b a free address of its own",
        );
    }
    if a.data.is_some() != b.data.is_some() {
        return fault(
            "only one of a and b has `data`",
            "give both a data directory, or none",
        );
    }
    let named = [
        ("a.config", Some(&a.config)),
        ("a.data", a.data.as_ref()),
        ("b.config", Some(&b.config)),
        ("b.data", b.data.as_ref()),
    ];
    check_roots(&named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<ServiceConfig, String> {
        let text = format!(
            r#"{{"a": {{"config": "/etc/web", "address": "127.0.0.1:81"}},
                "b": {{"config": "/srv/web", "address": "127.0.0.1:82"}}{more}}}"#
        );
        let config: ServiceConfig =
            serde_json::from_str(&text).map_err(|error| error.to_string())?;
        config
            .check()
            .map_err(|(what, remedy)| format!("{what}: {remedy}"))?;
        Ok(config)
    }

    #[test]
    fn a_short_table_is_enough() {
        let config = parse(r#", "start": ["web", "{config}"]"#).unwrap();
        assert_eq!(config.stop_grace, Span::seconds(10));
        assert_eq!(config.supervise, Supervise::Evenkeel);
    }

    #[test]
    fn contradictions_are_refused_with_what_would_be_right() {
        for (more, expected) in [
            ("", "`start` is missing"),
            (r#", "supervise": "systemd""#, "`unit` is missing"),
            (r#", "supervise": "command", "start": ["x"]"#, "`pid_file`"),
            (
                r#", "start": ["x"], "pid_file": "/x""#,
                "supervise = \"command\"",
            ),
            (
                r#", "start": ["x"], "health": {"tcp": true, "http": "/"}"#,
                "exactly one way",
            ),
            (
                r#", "start": ["x"], "health": {"http": "healthz"}"#,
                "/healthz",
            ),
            (
                r#", "start": ["x"], "health": {"expect": 204}"#,
                "without `http`",
            ),
            (
                r#", "start": ["x"], "health": {"timeout": "0s"}"#,
                "must not be 0",
            ),
            (r#", "start": ["x"], "stop_signal": "KILLER""#, "`KILLER`"),
            (
                r#", "start": ["x"], "signal": "HUP", "reload": ["y"]"#,
                "both",
            ),
            (r#", "start": ["x"], "stop_grace": "ten""#, "`ten`"),
            (r#", "start": ["x"], "wrong": 1"#, "unknown field `wrong`"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.contains(expected), "{more}: {error}");
        }
    }
}
