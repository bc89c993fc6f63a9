//! One place where the service can run: an instance, or the scratch place of a rehearsal.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use evenkeel_core::ResourceId;

use super::config::ServiceConfig;
use crate::cloned_tree::Roots;
use crate::config::{CommandLine, Placeholders};
use crate::process::run::Launch;

/// One place.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// `a`, `b` or `rehearsal`.
    pub(super) label: &'static str,
    pub(super) resource: ResourceId,
    pub(super) roots: Roots,
    pub(super) address: SocketAddr,
    /// Evenkeel's own directory for it: the process record, the log, the run directory.
    pub(super) home: PathBuf,
}

impl Site {
    /// Output of the service and of its start commands.
    pub(super) fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    /// A directory of the service's own, for pid files and sockets.
    pub(super) fn run_directory(&self) -> PathBuf {
        self.home.join("run")
    }

    /// Makes the directories, closed to others: logs and sockets may be private.
    pub(super) fn make_home(&self) -> Result<(), String> {
        let run = self.run_directory();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&run)
            .map_err(|error| format!("cannot make {}: {error}", run.display()))
    }

    /// What the placeholders stand for here.
    pub(super) fn placeholders(&self) -> Placeholders {
        let values = Placeholders::default()
            .with("config", self.roots.config.to_string_lossy())
            .with("address", self.address.to_string())
            .with("host", self.address.ip().to_string())
            .with("port", self.address.port().to_string())
            .with("instance", self.label)
            .with("name", self.resource.as_str())
            .with("run", self.run_directory().to_string_lossy());
        match &self.roots.data {
            Some(data) => values.with("data", data.to_string_lossy()),
            None => values,
        }
    }

    /// A command of the configuration, ready to run here.
    pub(super) fn launch(
        &self,
        command: &CommandLine,
        config: &ServiceConfig,
    ) -> Result<Launch, String> {
        let values = self.placeholders();
        let environment: Result<BTreeMap<String, String>, String> = config
            .env
            .0
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.fill(&values)?)))
            .collect();
        let directory = match &config.directory {
            Some(directory) => PathBuf::from(directory.fill(&values)?),
            None => self.run_directory(),
        };
        Ok(Launch {
            words: command.fill(&values)?,
            environment: environment?,
            directory,
        })
    }
}
