//! Evidence on a service: its configuration against the approved one, its process, its last words.

use evenkeel_core::{GenerationId, Instance, Timestamp};
use evenkeel_ports::{DriverError, Evidence};

use super::driver::{Inner, adoption};
use super::supervise::Status;
use crate::process::identity::{Stat, command_line};
use crate::process::log;
use crate::process::usage::{began_at, usage_of};

const LOG_LINES: usize = 40;

impl Inner {
    pub(super) async fn diagnose(
        &self,
        instance: Instance,
        approved: Option<GenerationId>,
        now: Timestamp,
    ) -> Result<Vec<Evidence>, DriverError> {
        let mut evidence = match approved {
            Some(approved) => self
                .trees
                .diagnose(instance, approved, now)
                .await
                .unwrap_or_else(|error| {
                    // The process and the log are worth having all the same.
                    let title = "configuration diff".to_owned();
                    vec![Evidence {
                        title,
                        text: format!("could not be made: {error}"),
                    }]
                }),
            None => Vec::new(),
        };
        evidence.push(Evidence {
            title: "process".to_owned(),
            text: self.process_facts(instance).await,
        });
        let lines = log::tail(&self.supervisors.of(instance).site.log(), LOG_LINES);
        if !lines.is_empty() {
            evidence.push(Evidence {
                title: "log".to_owned(),
                text: lines,
            });
        }
        Ok(evidence)
    }

    async fn process_facts(&self, instance: Instance) -> String {
        let supervisor = self.supervisors.of(instance);
        let mut facts = Vec::new();
        if let Some(mark) = self.fences.mark(instance) {
            facts.push(format!("fenced by token {}", mark.token));
        }
        match supervisor.status(adoption(instance)).await {
            Status::Running { pid: Some(pid) } => {
                facts.push(format!(
                    "runs as pid {pid}: {}",
                    log::mask(&command_line(pid))
                ));
                facts.extend(began_at(pid).map(|at| format!("since {at}")));
                if let Ok(stat) = Stat::of(pid) {
                    facts.push(format!(
                        "started by pid {}: {}",
                        stat.parent,
                        log::mask(&command_line(stat.parent))
                    ));
                }
                facts.extend(usage_of(pid).map(|usage| {
                    let files = usage
                        .open_files
                        .map_or("unknown".to_owned(), |files| files.to_string());
                    format!(
                        "{} bytes of memory, {} threads, {} processes, {files} open files",
                        usage.rss_bytes, usage.threads, usage.processes
                    )
                }));
            }
            Status::Running { pid: None } => {
                facts.push("runs; its process id is not known".to_owned())
            }
            Status::Foreign(who) => facts.push(who),
            Status::Stopped { exit: Some(exit) } => facts.push(format!("does not run: {exit}")),
            Status::Stopped { exit: None } => {
                facts.push("does not run; how it ended is not known".to_owned())
            }
        }
        if let Some(restarts) = supervisor.restarts().await.filter(|restarts| *restarts > 0) {
            facts.push(format!("started again {restarts} times by somebody else"));
        }
        facts.join("\n")
    }
}
