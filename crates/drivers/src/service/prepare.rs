//! What a start of the daemon does with a service: checks what the configuration names, finds what runs,
//! and finishes what a former daemon left half done.

use evenkeel_core::Instance;
use evenkeel_ports::DriverError;

use super::config::Supervise;
use super::driver::{Inner, adoption};
use super::supervise::Status;
use crate::process::run::find_executable;
use crate::roots::{check_creatable, check_readable};

impl Inner {
    pub(super) async fn prepare(&self) -> Result<Vec<String>, DriverError> {
        self.check_trees()?;
        self.check_commands()?;
        self.trees.open().await?;
        let mut warnings = Vec::new();
        if let Some(warning) = self.clear_rehearsal().await {
            warnings.push(warning);
        }
        for instance in Instance::BOTH {
            let home = self.supervisors.of(instance).site.make_home();
            home.map_err(DriverError::without_effect)?;
            warnings.extend(self.take_up(instance).await);
        }
        if self.config.single_writer && self.runs(Instance::A).await && self.runs(Instance::B).await
        {
            warnings.push("both instances run although single_writer is set: stop the one that does not serve".to_owned());
        }
        let reloads = self.config.reload.is_some() || self.config.signal.is_some();
        if !reloads {
            warnings.push(
                "neither `reload` nor `signal` is given: a configuration that is put back under a running instance takes \
                 effect with its next start"
                    .to_owned(),
            );
        }
        Ok(warnings)
    }

    async fn runs(&self, instance: Instance) -> bool {
        matches!(
            self.supervisors
                .of(instance)
                .status(adoption(instance))
                .await,
            Status::Running { .. }
        )
    }

    /// Brings an instance to where its records say that it should be.
    async fn take_up(&self, instance: Instance) -> Vec<String> {
        let supervisor = self.supervisors.of(instance);
        let status = supervisor.status(adoption(instance)).await;
        let mark = self.fences.mark(instance);
        let warning = match (status, mark) {
            (Status::Running { .. }, Some(mark)) => {
                let stopped = supervisor.stop(adoption(instance)).await;
                Some(match stopped {
                    Ok(()) => format!(
                        "{instance} ran although it is fenced (by {}): stopped it",
                        mark.token
                    ),
                    Err(why) => format!(
                        "{instance} runs although it is fenced (by {}): {why}",
                        mark.token
                    ),
                })
            }
            (Status::Foreign(who), _) => Some(format!("{instance}: {who}")),
            (Status::Running { .. }, None) | (Status::Stopped { .. }, Some(_)) => None,
            (Status::Stopped { .. }, None) => self.start_if_wanted(instance).await,
        };
        warning.into_iter().collect()
    }

    /// Starts what ran before a reboot, and instance a where that was asked for and nothing else serves.
    async fn start_if_wanted(&self, instance: Instance) -> Option<String> {
        let supervisor = self.supervisors.of(instance);
        let record = supervisor.record.get();
        let adopts = self.config.adopt
            && instance == Instance::A
            && !self.supervisors.b.record.get().wanted
            && !self.runs(Instance::B).await;
        if self.config.supervise != Supervise::Evenkeel || !(record.wanted || adopts) {
            return None;
        }
        let choice = record.choice;
        if let Err(error) = supervisor.start(choice.as_ref(), adoption(instance)).await {
            return Some(format!(
                "{instance} should run and could not be started: {error}"
            ));
        }
        match supervisor.wait_well().await {
            Ok(()) => Some(format!("{instance} did not run and was started")),
            Err(why) => Some(format!(
                "{instance} did not run and was started: {}",
                why.into_text()
            )),
        }
    }

    fn check_trees(&self) -> Result<(), DriverError> {
        let roots = |instance| self.trees.roots(instance);
        for (key, path) in [
            ("a.config", Some(&roots(Instance::A).config)),
            ("a.data", roots(Instance::A).data.as_ref()),
        ] {
            if let Some(path) = path {
                check_readable(&format!("resource.service.{key}"), path)?;
            }
        }
        for (key, path) in [
            ("b.config", Some(&roots(Instance::B).config)),
            ("b.data", roots(Instance::B).data.as_ref()),
        ] {
            if let Some(path) = path {
                check_creatable(&format!("resource.service.{key}"), path)?;
            }
        }
        Ok(())
    }

    fn check_commands(&self) -> Result<(), DriverError> {
        let config = &self.config;
        let commands = [
            ("start", config.start.as_ref()),
            ("stop", config.stop.as_ref()),
            ("reload", config.reload.as_ref()),
            ("status", config.status.as_ref()),
            ("health.command", config.health.command.as_ref()),
        ];
        for supervisor in [&self.supervisors.a, &self.supervisors.b] {
            for (key, command) in commands {
                let Some(command) = command else { continue };
                let launch = supervisor.site.launch(command, config);
                let found = launch.and_then(|launch| {
                    find_executable(launch.words.first().map_or("", String::as_str))
                });
                found.map_err(|what| DriverError::Misconfigured {
                    what: format!("resource.service.{key}: {what}"),
                    remedy: "give the path of an executable, or install it".to_owned(),
                })?;
            }
        }
        if config.supervise == Supervise::Systemd {
            find_executable("systemctl").map_err(|what| DriverError::Misconfigured {
                what: format!("resource.service.supervise: {what}"),
                remedy: "use supervise = \"evenkeel\" or \"command\" where there is no systemd"
                    .to_owned(),
            })?;
        }
        Ok(())
    }
}
