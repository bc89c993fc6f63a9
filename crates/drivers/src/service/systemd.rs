//! A service that systemd looks after, through `systemctl`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::supervise::Status;
use crate::process::run::{Launch, run_to_end};

/// Asking must not hang, whatever the manager does.
const ASK: Duration = Duration::from_secs(5);

/// One unit.
#[derive(Debug)]
pub(super) struct Unit {
    name: String,
    systemctl: String,
}

impl Unit {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            systemctl: "systemctl".to_owned(),
        }
    }

    pub(super) async fn start(&self, limit: Duration) -> Result<(), String> {
        self.act("start", limit).await
    }

    /// Stops it, and makes sure.
    pub(super) async fn stop(&self, grace: Duration) -> Result<(), String> {
        // The unit has a stop timeout of its own.
        self.act("stop", grace + Duration::from_secs(30)).await?;
        match self.status().await {
            Status::Stopped { .. } => Ok(()),
            Status::Running { .. } | Status::Foreign(_) => Err(format!(
                "{} is active again after `systemctl stop`",
                self.name
            )),
        }
    }

    pub(super) async fn status(&self) -> Status {
        match self.properties().await {
            Ok(properties) => status_of(&properties),
            // Not being able to ask must not look like running.
            Err(why) => {
                Status::Foreign(format!("it is not known whether {} runs: {why}", self.name))
            }
        }
    }

    pub(super) async fn restarts(&self) -> Option<u64> {
        self.properties().await.ok()?.get("NRestarts")?.parse().ok()
    }

    async fn properties(&self) -> Result<BTreeMap<String, String>, String> {
        let asked = "--property=LoadState,ActiveState,SubState,MainPID,NRestarts,Result";
        let launch = self.launch(&["show", asked, "--", &self.name]);
        let ended = run_to_end(&launch, ASK).await?;
        match ended.failure() {
            Some(why) => Err(why),
            None => Ok(parse(&ended.output)),
        }
    }

    async fn act(&self, verb: &str, limit: Duration) -> Result<(), String> {
        let ended = run_to_end(&self.launch(&[verb, "--", &self.name]), limit).await?;
        match ended.failure() {
            Some(why) => Err(format!("systemctl {verb} {}: {why}", self.name)),
            None => Ok(()),
        }
    }

    fn launch(&self, arguments: &[&str]) -> Launch {
        let words = std::iter::once(self.systemctl.as_str()).chain(arguments.iter().copied());
        Launch {
            words: words.map(str::to_owned).collect(),
            environment: BTreeMap::new(),
            directory: "/".into(),
        }
    }
}

fn parse(output: &str) -> BTreeMap<String, String> {
    let pairs = output.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

fn status_of(properties: &BTreeMap<String, String>) -> Status {
    let get = |name: &str| properties.get(name).map_or("", String::as_str);
    let stopped = |exit: String| Status::Stopped { exit: Some(exit) };
    if get("LoadState") == "not-found" {
        return stopped("there is no such unit".to_owned());
    }
    match get("ActiveState") {
        "inactive" | "failed" => stopped(format!("{} ({})", get("ActiveState"), get("Result"))),
        // `deactivating` still holds its resources.
        _ => Status::Running {
            pid: get("MainPID").parse().ok().filter(|pid| *pid != 0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_unit_is_read() {
        let status = |text: &str| status_of(&parse(text));
        assert_eq!(
            status("LoadState=loaded\nActiveState=active\nMainPID=12\n"),
            Status::Running { pid: Some(12) }
        );
        assert_eq!(
            status("ActiveState=activating\nMainPID=0\n"),
            Status::Running { pid: None }
        );
        assert_eq!(
            status("ActiveState=failed\nResult=exit-code\n"),
            Status::Stopped {
                exit: Some("failed (exit-code)".into())
            }
        );
        assert!(
            matches!(status("LoadState=not-found\nActiveState=inactive"), Status::Stopped { exit: Some(why) } if why.contains("no such unit"))
        );
    }

    /// A stand-in for `systemctl` that keeps the unit's state in a file.
    fn unit(directory: &std::path::Path) -> Unit {
        let path = directory.join("systemctl");
        let source = directory.join("systemctl.sh");
        let script = format!(
            "#!/bin/sh\nstate={}/state\ncase $1 in\nstart) echo active > $state;;\nstop) echo inactive > $state;;\n\
             show) echo ActiveState=$(cat $state); echo MainPID=7; echo NRestarts=3;;\nesac\n",
            directory.display()
        );
        std::fs::write(directory.join("state"), "inactive").unwrap();
        std::fs::write(&source, script).unwrap();
        evenkeel_testing::install_program(&source, &path);
        Unit {
            name: "web@a.service".into(),
            systemctl: path.to_string_lossy().into_owned(),
        }
    }

    #[tokio::test]
    async fn a_unit_is_started_asked_and_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let unit = unit(directory.path());
        assert!(matches!(unit.status().await, Status::Stopped { .. }));
        unit.start(ASK).await.unwrap();
        assert_eq!(unit.status().await, Status::Running { pid: Some(7) });
        assert_eq!(unit.restarts().await, Some(3));
        unit.stop(ASK).await.unwrap();
        assert!(matches!(unit.status().await, Status::Stopped { .. }));
    }

    #[tokio::test]
    async fn a_manager_that_cannot_be_asked_does_not_look_like_a_stopped_unit() {
        let unit = Unit {
            name: "x".into(),
            systemctl: "/no/such/systemctl".into(),
        };
        assert!(matches!(unit.status().await, Status::Foreign(_)));
    }
}
