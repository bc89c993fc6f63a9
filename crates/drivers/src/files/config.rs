//! The configuration table of a tree of files, as its user writes it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{CommandLine, PerInstance, Span, TreeRules};

/// A tree of configuration files, perhaps with data.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// The directory where the files were first found.
    pub a: PathBuf,
    /// The directory that Evenkeel makes for the clone.
    pub b: PathBuf,
    /// Which files count, and how they are read.
    #[serde(default)]
    pub config: TreeRules,
    /// Directories of data that belongs to them.
    #[serde(default)]
    pub data: Option<PerInstance<PathBuf>>,
    /// Which data files count.
    #[serde(default)]
    pub data_files: TreeRules,
    /// Run after files were put in place: tells their reader to read them again.
    #[serde(default)]
    pub reload: Option<CommandLine>,
    /// How long `reload` may take.
    #[serde(default = "default_reload_timeout")]
    pub reload_timeout: Span,
    /// What else differs between the files of the instances: pairs of a's text and b's.
    #[serde(default)]
    pub substitute: Vec<(String, String)>,
    /// When the files count as well; by default when they are there.
    #[serde(default)]
    pub health: Option<FilesHealth>,
}

/// A check of the files, such as `["nginx", "-t", "-c", "{config}/nginx.conf"]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesHealth {
    /// Succeeds if they are in order.
    pub command: CommandLine,
    /// Within this time.
    #[serde(default = "default_health_timeout")]
    pub timeout: Span,
}

fn default_reload_timeout() -> Span {
    Span::seconds(30)
}

fn default_health_timeout() -> Span {
    Span::seconds(10)
}
