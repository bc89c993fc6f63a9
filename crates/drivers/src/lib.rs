//! Drivers: the code that knows one kind of resource each; and redirectors, which move clients.
//!
//! Every kind there is stands in the tables at the foot of this page. A kind is a folder with the same
//! files (`config`, `driver`, ...) and a feature of the same name. What kinds made of file trees share is
//! `cloned_tree`; what services share with the machine is `process`.
//!
//! Left out on purpose: when anything is done (the daemon's), and what a verdict is (the core's).
//!
//! A resource's own directory, [`BuildContext::state_dir`], holds: `fence.json` (highest token, fences),
//! `clone/` (generations), `aside/` (what was replaced on the user's side), `a/` and `b/` (process records,
//! logs, run directories), `rehearsal/` and `diagnose/` (scratch), `redirect.json` (where clients go).

// What the kinds share is built whole, whichever of them are built.
#[cfg_attr(not(all(feature = "service", feature = "files")), allow(dead_code))]
mod acting;
#[cfg_attr(not(all(feature = "service", feature = "files")), allow(dead_code))]
mod cloned_tree;
pub mod config;
#[cfg_attr(not(all(feature = "service", feature = "files")), allow(dead_code))]
mod fencing;
#[cfg(feature = "files")]
pub mod files;
#[cfg_attr(not(all(feature = "service", feature = "files")), allow(dead_code))]
mod process;
mod redact;
pub mod redirect;
#[cfg_attr(not(all(feature = "service", feature = "files")), allow(dead_code))]
mod roots;
#[cfg(feature = "service")]
pub mod service;
pub mod tree;
#[cfg_attr(not(all(feature = "service", feature = "files")), allow(dead_code))]
mod watch;

pub use redact::redact;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_core::ResourceId;
use evenkeel_ports::{Clock, Driver, Endpoint, Redirector};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a driver or redirector gets besides its configuration.
#[derive(Clone)]
pub struct BuildContext {
    /// Whose it will be.
    pub resource: ResourceId,
    /// A directory for this resource alone, which outlives restarts.
    pub state_dir: PathBuf,
    /// The key under which secrets are hashed.
    pub redaction_key: [u8; 32],
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for BuildContext {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildContext")
            .field("resource", &self.resource)
            .field("state_dir", &self.state_dir)
            .finish_non_exhaustive()
    }
}

/// Why a driver or redirector could not be made from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is no such kind.
    #[error("there is no kind `{kind}`; there are: {known}")]
    UnknownKind {
        /// The name asked for.
        kind: String,
        /// The names there are.
        known: String,
    },
    /// The configuration does not have the form of the kind.
    #[error("{kind}.{place}: {what}")]
    Form {
        /// The kind.
        kind: &'static str,
        /// Where in its table.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// The configuration contradicts itself.
    #[error("{kind}: {what}: {remedy}")]
    Config {
        /// The kind.
        kind: &'static str,
        /// The place and what is wrong with it.
        what: String,
        /// What would be right.
        remedy: String,
    },
    /// What a former process left cannot be used.
    #[error("{what}")]
    State {
        /// The file, what is wrong with it, and what would be right.
        what: String,
    },
}

type MakeDriver = fn(Value, BuildContext) -> Result<Arc<dyn Driver>, BuildError>;
type MakeRedirector = fn(Value, BuildContext, &Endpoint) -> Result<Arc<dyn Redirector>, BuildError>;

/// One kind of resource.
#[derive(Clone, Copy)]
pub struct KindInfo {
    /// The name in configurations.
    pub name: &'static str,
    /// In one sentence, for people.
    pub summary: &'static str,
    /// The JSON schema of its table.
    pub schema: fn() -> schemars::Schema,
    build: MakeDriver,
}

/// One kind of redirector.
#[derive(Clone, Copy)]
pub struct RedirectorInfo {
    /// The name in configurations.
    pub name: &'static str,
    /// In one sentence, for people.
    pub summary: &'static str,
    /// The JSON schema of its table.
    pub schema: fn() -> schemars::Schema,
    build: MakeRedirector,
}

impl fmt::Debug for KindInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KindInfo({})", self.name)
    }
}

impl fmt::Debug for RedirectorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedirectorInfo({})", self.name)
    }
}

/// All kinds of resource.
pub fn kinds() -> &'static [KindInfo] {
    &[
        #[cfg(feature = "service")]
        KindInfo {
            name: "service",
            summary: "a process with a configuration tree, perhaps data, and an address",
            schema: || schemars::schema_for!(service::ServiceConfig),
            build: |config, context| {
                let driver = service::ServiceDriver::new(parse("service", config)?, context)?;
                Ok(Arc::new(driver))
            },
        },
        #[cfg(feature = "files")]
        KindInfo {
            name: "files",
            summary: "a tree of configuration files that something else reads",
            schema: || schemars::schema_for!(files::FilesConfig),
            build: |config, context| {
                let driver = files::FilesDriver::new(parse("files", config)?, context)?;
                Ok(Arc::new(driver))
            },
        },
    ]
}

/// All kinds of redirector.
pub fn redirectors() -> &'static [RedirectorInfo] {
    &[
        RedirectorInfo {
            name: "proxy",
            summary: "the built-in TCP proxy",
            schema: || schemars::schema_for!(redirect::ProxyConfig),
            build: |config, context, first| {
                let BuildContext {
                    resource,
                    state_dir,
                    clock,
                    ..
                } = context;
                let state_file = state_dir.join("redirect.json");
                let config = parse("proxy", config)?;
                let made =
                    redirect::ProxyRedirector::new(&resource, &config, first, state_file, clock);
                Ok(Arc::new(made.map_err(|what| BuildError::State { what })?))
            },
        },
        RedirectorInfo {
            name: "link",
            summary: "a symbolic link that leads to the tree in force",
            schema: || schemars::schema_for!(redirect::LinkConfig),
            build: |config, context, first| {
                let BuildContext {
                    resource,
                    state_dir,
                    ..
                } = context;
                let state_file = state_dir.join("redirect.json");
                let made = redirect::LinkRedirector::new(
                    resource,
                    parse("link", config)?,
                    first,
                    state_file,
                );
                Ok(Arc::new(made.map_err(|what| BuildError::State { what })?))
            },
        },
    ]
}

/// Makes the driver of a resource from its kind's own table.
///
/// # Errors
/// When there is no such kind, or the table is not right; the error says where and what would be.
pub fn build(
    kind: &str,
    config: Value,
    context: BuildContext,
) -> Result<Arc<dyn Driver>, BuildError> {
    let names = || {
        kinds()
            .iter()
            .map(|kind| kind.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let info = kinds().iter().find(|info| info.name == kind);
    let info = info.ok_or_else(|| BuildError::UnknownKind {
        kind: kind.to_owned(),
        known: names(),
    })?;
    (info.build)(config, context)
}

/// Makes the redirector of a resource from its kind's own table. It points where it did in its former
/// life, or at `first`. Must be called within a tokio runtime.
///
/// # Errors
/// When there is no such kind, the table is not right, or the entrance cannot be opened.
pub fn build_redirector(
    kind: &str,
    config: Value,
    context: BuildContext,
    first: &Endpoint,
) -> Result<Arc<dyn Redirector>, BuildError> {
    let names = || {
        redirectors()
            .iter()
            .map(|kind| kind.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let info = redirectors().iter().find(|info| info.name == kind);
    let info = info.ok_or_else(|| BuildError::UnknownKind {
        kind: kind.to_owned(),
        known: names(),
    })?;
    (info.build)(config, context, first)
}

fn parse<T: DeserializeOwned>(kind: &'static str, config: Value) -> Result<T, BuildError> {
    serde_path_to_error::deserialize(config).map_err(|error| BuildError::Form {
        kind,
        place: error.path().to_string(),
        what: error.inner().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> BuildContext {
        let clock = Arc::new(evenkeel_ports::fake::FakeClock::at(
            evenkeel_core::Timestamp::from_millis(0),
        ));
        BuildContext {
            resource: "web".into(),
            state_dir: "/no/such/state".into(),
            redaction_key: [0; 32],
            clock,
        }
    }

    #[test]
    fn an_unknown_kind_is_told_the_known_ones() {
        let error = build("servcie", Value::Null, context())
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "there is no kind `servcie`; there are: service, files"
        );
        let error = build_redirector("vip", Value::Null, context(), &Endpoint("x".into()))
            .unwrap_err()
            .to_string();
        assert_eq!(error, "there is no kind `vip`; there are: proxy, link");
    }

    #[test]
    fn a_wrong_table_is_told_where() {
        let config = serde_json::json!({"a": "/x", "b": "/y", "health": {"command": []}});
        let error = build("files", config, context()).unwrap_err().to_string();
        assert!(
            error.starts_with("files.health.command: a command is empty"),
            "{error}"
        );
        let config = serde_json::json!({"a": "/x", "b": "/x/y"});
        let error = build("files", config, context()).unwrap_err().to_string();
        assert!(error.contains("lie inside each other"), "{error}");
    }

    #[test]
    fn every_kind_has_a_schema_that_names_its_fields() {
        for (name, schema) in kinds().iter().map(|kind| (kind.name, (kind.schema)())) {
            let text = serde_json::to_string(&schema).unwrap();
            assert!(
                text.contains("\"properties\"") && text.contains("\"additionalProperties\":false"),
                "{name}"
            );
        }
        assert_eq!(
            redirectors()
                .iter()
                .filter(|kind| (kind.schema)().as_object().is_some())
                .count(),
            2
        );
    }
}
