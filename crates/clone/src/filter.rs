//! Which entries of a live tree belong to it, in gitignore syntax.
//!
//! An empty include list means everything. An entry that matches the include list brings what lies
//! beneath it; the directories on the way to an included entry come along. Exclusion wins over
//! inclusion. What a filter leaves out is invisible to every call: it is neither captured nor
//! compared, and `materialise` in place never touches it.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::CloneError;
use crate::path::RelativePath;

/// A compiled pair of include and exclude lists.
#[derive(Clone, Debug)]
pub struct Filter {
    include: Option<Gitignore>,
    exclude: Gitignore,
    /// As given: part of the key under which earlier observations may be used again.
    text: String,
}

impl Default for Filter {
    /// Everything.
    fn default() -> Self {
        Self {
            include: None,
            exclude: Gitignore::empty(),
            text: String::new(),
        }
    }
}

impl Filter {
    /// Compiles the lists. A pattern that does not parse is an error which names it.
    pub fn new<I: AsRef<str>, E: AsRef<str>>(
        include: &[I],
        exclude: &[E],
    ) -> Result<Self, CloneError> {
        let compiled = compile(include)?;
        let mut text = String::new();
        for (sign, pattern) in (include.iter().map(|p| ('+', p.as_ref())))
            .chain(exclude.iter().map(|p| ('-', p.as_ref())))
        {
            text.push(sign);
            text.push_str(pattern);
            text.push('\n');
        }
        Ok(Self {
            include: (!include.is_empty()).then_some(compiled),
            exclude: compile(exclude)?,
            text,
        })
    }

    /// The entry is left out, and so is what lies beneath it.
    pub(crate) fn excludes(&self, path: &RelativePath, is_directory: bool) -> bool {
        !path.is_root()
            && self
                .exclude
                .matched(path.as_path(), is_directory)
                .is_ignore()
    }

    /// The entry, or a directory above it, is left out.
    pub(crate) fn excludes_with_parents(&self, path: &RelativePath, is_directory: bool) -> bool {
        let mut parent = path.parent();
        while let Some(directory) = parent {
            if self.excludes(&directory, true) {
                return true;
            }
            parent = directory.parent();
        }
        self.excludes(path, is_directory)
    }

    /// The entry belongs to the tree in its own right, not only as a way to others.
    pub(crate) fn includes(&self, path: &RelativePath, is_directory: bool) -> bool {
        path.is_root()
            || self.include.as_ref().is_none_or(|list| {
                list.matched_path_or_any_parents(path.as_path(), is_directory)
                    .is_ignore()
            })
    }

    /// Every entry that is not excluded belongs to the tree.
    pub(crate) fn includes_everything(&self) -> bool {
        self.include.is_none()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn compile<P: AsRef<str>>(patterns: &[P]) -> Result<Gitignore, CloneError> {
    let mut builder = GitignoreBuilder::new("");
    let refuse = |pattern: &str, error: ignore::Error| CloneError::Pattern {
        pattern: pattern.to_owned(),
        why: error.to_string(),
    };
    for pattern in patterns {
        let pattern = pattern.as_ref();
        builder
            .add_line(None, pattern)
            .map_err(|error| refuse(pattern, error))?;
    }
    builder.build().map_err(|error| refuse("", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    #[test]
    fn an_empty_filter_takes_everything() {
        let filter = Filter::default();
        assert!(filter.includes(&path("a/b"), false) && !filter.excludes(&path("a/b"), false));
    }

    #[test]
    fn exclusion_follows_gitignore() {
        let filter = Filter::new(&[] as &[&str], &["*.pid", "/cache/", "!keep.pid"]).unwrap();
        assert!(filter.excludes(&path("run/x.pid"), false));
        assert!(!filter.excludes(&path("keep.pid"), false));
        assert!(filter.excludes_with_parents(&path("cache/deep/file"), false));
        assert!(!filter.excludes(&path("sub/cache"), true));
    }

    #[test]
    fn an_included_directory_brings_what_is_beneath() {
        let filter = Filter::new(&["conf.d/", "*.conf"], &[] as &[&str]).unwrap();
        assert!(filter.includes(&path("conf.d/site"), false));
        assert!(filter.includes(&path("x/y.conf"), false));
        assert!(!filter.includes(&path("x"), true));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Filter::new(&["a[z-a]"], &[] as &[&str]).unwrap_err();
        assert!(error.to_string().contains("`a[z-a]`"), "{error}");
    }
}
