//! A symbolic link that leads to the tree in force: exchanged in one step, so that whoever follows it
//! finds the old tree or the new one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use evenkeel_core::ResourceId;
use evenkeel_ports::{Drained, Endpoint, RedirectError, Redirector, StepKey};
use schemars::JsonSchema;
use serde::Deserialize;

use super::memory::Memory;
use crate::config::{CommandLine, Placeholders, Span};
use crate::process::run::{Launch, run_to_end};

/// A link that leads to the tree in force.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkConfig {
    /// Where the link stands. What follows it must not be inside either instance's tree.
    pub path: PathBuf,
    /// Run after the link was changed: tells its followers to look again. `{config}` is where it leads.
    #[serde(default)]
    pub reload: Option<CommandLine>,
    /// How long `reload` may take.
    #[serde(default = "default_reload_timeout")]
    pub reload_timeout: Span,
}

fn default_reload_timeout() -> Span {
    Span::seconds(20)
}

/// Moves the followers of one link.
#[derive(Debug)]
pub struct LinkRedirector {
    resource: ResourceId,
    config: LinkConfig,
    memory: Memory,
}

impl LinkRedirector {
    /// Checks the place of the link. A link that is not there yet is made to lead to `first`.
    ///
    /// # Errors
    /// What is wrong with the place, in one sentence.
    pub fn new(
        resource: ResourceId,
        config: LinkConfig,
        first: &Endpoint,
        state_file: PathBuf,
    ) -> Result<Self, String> {
        let path = &config.path;
        if !path.is_absolute() || path.file_name().is_none() {
            return Err(format!(
                "path: `{}` is not an absolute path; write it like /etc/app-live",
                path.display()
            ));
        }
        let memory = Memory::open(state_file)?;
        let redirector = Self {
            resource,
            config,
            memory,
        };
        match redirector.read()? {
            Some(_) => {}
            None => {
                let to = redirector
                    .memory
                    .get()
                    .current
                    .unwrap_or_else(|| first.clone());
                redirector
                    .exchange(&to)
                    .map_err(|error| format!("{}: {error}", redirector.config.path.display()))?;
            }
        }
        Ok(redirector)
    }

    /// Where the link leads; `None` if there is none.
    fn read(&self) -> Result<Option<Endpoint>, String> {
        let path = &self.config.path;
        match std::fs::read_link(path) {
            Ok(target) => Ok(Some(Endpoint(target.to_string_lossy().into_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(format!(
                "{} is there and is no symbolic link: move it away, or name another path",
                path.display()
            )),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    fn exchange(&self, to: &Endpoint) -> io::Result<()> {
        let path = &self.config.path;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".evenkeel-new");
        let beside = path.with_file_name(name);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        symlink(&to.0, &beside)?;
        std::fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    }

    async fn reload(&self, to: &Endpoint) -> Result<(), String> {
        let Some(reload) = &self.config.reload else {
            return Ok(());
        };
        let values = Placeholders::default()
            .with("config", to.0.clone())
            .with("name", self.resource.as_str());
        let launch = Launch {
            words: reload.fill(&values)?,
            environment: BTreeMap::new(),
            directory: "/".into(),
        };
        let failure = run_to_end(&launch, self.config.reload_timeout.0)
            .await?
            .failure();
        failure.map_or(Ok(()), |why| Err(format!("`{}`: {why}", launch.describe())))
    }
}

#[async_trait]
impl Redirector for LinkRedirector {
    fn kind(&self) -> &'static str {
        "link"
    }

    fn entrance(&self) -> String {
        self.config.path.display().to_string()
    }

    async fn current(&self) -> Result<Option<Endpoint>, RedirectError> {
        self.read().map_err(RedirectError::Unchanged)
    }

    #[tracing::instrument(skip_all, fields(resource = %self.resource, %to, run = %key.run, token = %key.token))]
    async fn point(&self, to: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        let before = self.read().map_err(RedirectError::Unchanged)?;
        if !Path::new(&to.0).is_dir() {
            return Err(RedirectError::Unchanged(format!(
                "{to} is not a directory: activate it first"
            )));
        }
        self.memory.decide_point(key.token, to)?;
        if before.as_ref() != Some(to) {
            self.exchange(to).map_err(|error| {
                RedirectError::MaybeChanged(format!("{}: {error}", self.entrance()))
            })?;
            tracing::info!("changed the link");
        }
        // Also on a repeat: a crash may have come between the two.
        self.reload(to).await.map_err(RedirectError::MaybeChanged)
    }

    async fn drain(&self, from: &Endpoint, key: StepKey) -> Result<Drained, RedirectError> {
        // Whoever has a file open goes on with it; there is nobody to wait for.
        let _ = from;
        self.memory.decide(key.token, |_| Ok(()))?;
        Ok(Drained::default())
    }

    async fn refuse(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        self.memory.decide_refuse(key.token, endpoint)
    }

    async fn allow(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        self.memory.decide_allow(key.token, endpoint)
    }

    async fn reached(&self) -> Result<Endpoint, RedirectError> {
        let unreachable = |what: String| RedirectError::Unchanged(what);
        let to = self.read().map_err(unreachable)?;
        let to = to.ok_or_else(|| {
            RedirectError::Unchanged(format!("there is no link at {}", self.entrance()))
        })?;
        std::fs::read_dir(&self.config.path).map_err(|error| {
            RedirectError::Unchanged(format!("{} leads to {to}: {error}", self.entrance()))
        })?;
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::failover::Step;
    use evenkeel_core::{FencingToken, RunId};

    fn key(token: u64) -> StepKey {
        StepKey {
            run: RunId(1),
            step: Step::Redirect,
            token: FencingToken(token),
        }
    }

    struct World {
        directory: tempfile::TempDir,
        a: Endpoint,
        b: Endpoint,
    }

    fn world() -> World {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).unwrap();
            Endpoint(path.to_str().unwrap().to_owned())
        };
        let (a, b) = (endpoint("a"), endpoint("b"));
        World { directory, a, b }
    }

    fn open(world: &World, reload: Option<&str>) -> Result<LinkRedirector, String> {
        let reload = reload.map(|script| {
            serde_json::from_value(serde_json::json!(["/bin/sh", "-c", script])).unwrap()
        });
        let path = world.directory.path().join("live");
        let config = LinkConfig {
            path,
            reload,
            reload_timeout: Span::seconds(5),
        };
        LinkRedirector::new(
            "app".into(),
            config,
            &world.a,
            world.directory.path().join("redirect.json"),
        )
    }

    #[tokio::test]
    async fn the_link_moves_and_the_way_in_shows_it() {
        let world = world();
        let link = open(&world, Some("echo {config} > {config}/told")).unwrap();
        assert_eq!(link.reached().await, Ok(world.a.clone()));
        link.point(&world.b, key(1)).await.unwrap();
        link.point(&world.b, key(1)).await.unwrap();
        assert_eq!(link.reached().await, Ok(world.b.clone()));
        assert!(Path::new(&world.b.0).join("told").exists());
        assert!(matches!(
            link.point(&world.a, key(0)).await,
            Err(RedirectError::Stale { .. })
        ));
        link.refuse(&world.a, key(2)).await.unwrap();
        assert!(matches!(
            link.point(&world.a, key(3)).await,
            Err(RedirectError::Fenced { .. })
        ));
        assert_eq!(
            open(&world, None).unwrap().current().await,
            Ok(Some(world.b.clone()))
        );
    }

    #[tokio::test]
    async fn what_is_no_link_is_left_alone() {
        let world = world();
        std::fs::create_dir(world.directory.path().join("live")).unwrap();
        assert!(open(&world, None).unwrap_err().contains("no symbolic link"));
    }

    #[tokio::test]
    async fn a_missing_tree_and_a_failing_reload_are_told_apart() {
        let world = world();
        let link = open(&world, Some("exit 3")).unwrap();
        let nowhere = Endpoint("/no/such/tree".into());
        assert!(matches!(
            link.point(&nowhere, key(1)).await,
            Err(RedirectError::Unchanged(_))
        ));
        assert!(matches!(
            link.point(&world.b, key(1)).await,
            Err(RedirectError::MaybeChanged(_))
        ));
    }
}
