//! What the user says about a tree: which files count, and how they are read.

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::format::Format;

/// How a tree is read. Globs match the path relative to the tree; `*` stops at `/`, `**` does not,
/// and a glob without `/` matches the name at any depth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TreeOptions {
    /// Files to read; all where empty.
    pub include: Vec<String>,
    /// Files and directories to leave out, even where included.
    pub exclude: Vec<String>,
    /// Grammars for files whose name misleads; the first glob that matches wins.
    pub formats: Vec<FormatHint>,
    /// Larger files are not taken apart; up to 64 MiB their content is still told by its digest.
    pub max_file_bytes: u64,
    /// Files with more values than this are told by count, size and digest alone.
    pub max_leaves_per_file: usize,
    /// In trees of more files than this, what is not reached counts as unreadable.
    pub max_files: usize,
}

/// A grammar for the files that a glob matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatHint {
    /// As in [`TreeOptions`].
    pub glob: String,
    /// The grammar.
    pub format: Format,
}

impl Default for TreeOptions {
    fn default() -> Self {
        let exclude = [".git", "*~", "*.swp", ".#*", "*.tmp"];
        Self {
            include: Vec::new(),
            exclude: exclude.map(str::to_owned).to_vec(),
            formats: Vec::new(),
            max_file_bytes: 4 * 1024 * 1024,
            max_leaves_per_file: 2000,
            max_files: 10_000,
        }
    }
}

/// An option that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}: `{glob}` is not a glob: {reason}; write for example `conf.d/*.conf`")]
pub struct TreeOptionsError {
    option: &'static str,
    glob: String,
    reason: String,
}

/// The options, ready to match.
pub(super) struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
    formats: Vec<(GlobMatcher, Format)>,
}

impl Filter {
    pub(super) fn new(options: &TreeOptions) -> Result<Self, TreeOptionsError> {
        let include = match options.include.as_slice() {
            [] => None,
            globs => Some(set("include", globs)?),
        };
        let hint = |hint: &FormatHint| Ok((matcher("formats", &hint.glob)?, hint.format));
        Ok(Self {
            include,
            exclude: set("exclude", &options.exclude)?,
            formats: options.formats.iter().map(hint).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn includes(&self, path: &str) -> bool {
        self.include
            .as_ref()
            .is_none_or(|include| include.is_match(path))
    }

    pub(super) fn excludes(&self, path: &str) -> bool {
        self.exclude.is_match(path)
    }

    /// The grammar that the user gave for a file.
    pub(super) fn format(&self, path: &str) -> Option<Format> {
        let found = self.formats.iter().find(|(glob, _)| glob.is_match(path));
        found.map(|(_, format)| *format)
    }
}

fn set(option: &'static str, globs: &[String]) -> Result<GlobSet, TreeOptionsError> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(matcher(option, glob)?.glob().clone());
    }
    builder.build().map_err(|error| TreeOptionsError {
        option,
        glob: globs.join(" "),
        reason: error.kind().to_string(),
    })
}

fn matcher(option: &'static str, glob: &str) -> Result<GlobMatcher, TreeOptionsError> {
    let anywhere = if glob.contains('/') { "" } else { "**/" };
    GlobBuilder::new(&format!("{anywhere}{}", glob.trim_start_matches("./")))
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| TreeOptionsError {
            option,
            glob: glob.to_owned(),
            reason: error.kind().to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_glob_is_named_with_its_option() {
        let options = TreeOptions {
            exclude: vec!["a[".into()],
            ..TreeOptions::default()
        };
        let message = Filter::new(&options).err().unwrap().to_string();
        assert!(
            message.starts_with("exclude: `a[` is not a glob: "),
            "{message}"
        );
    }

    #[test]
    fn globs_match_names_anywhere_and_paths_from_the_root() {
        let options = TreeOptions {
            include: vec!["conf.d/*.conf".into(), "*.toml".into()],
            formats: vec![FormatHint {
                glob: "*.toml".into(),
                format: Format::Text,
            }],
            ..TreeOptions::default()
        };
        let filter = Filter::new(&options).unwrap();
        assert!(filter.includes("conf.d/a.conf") && filter.includes("x/y.toml"));
        assert!(!filter.includes("conf.d/x/a.conf") && !filter.includes("a.conf"));
        assert!(filter.excludes("a/.git") && filter.excludes("a~") && !filter.excludes("a"));
        assert_eq!(filter.format("x/y.toml"), Some(Format::Text));
    }
}
