//! The configuration file: one TOML file with resources, policies and defaults.
//!
//! It is read in two steps. [`file`] is the file as written: types, and unknown keys refused.
//! [`resolve`] is what it comes to: defaults filled in, ranges and references checked. Every problem
//! names its place (`file:line:column`), what is wrong and what would be right. A file with a problem
//! changes nothing.

pub mod file;
mod locate;
mod policy;
mod problem;
mod resolve;
mod window;

use std::path::{Path, PathBuf};

pub use problem::{Problem, Problems};
pub use resolve::{Config, KindConfig, RedirectConfig, ResourceConfig};

/// A configuration file is never larger than this; a larger one is a mistake.
const MAX_BYTES: u64 = 4 << 20;

/// Reads and checks a configuration file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let unreadable = |what: String, remedy: &str| Problems::of_file(path, what, remedy);
    let size = std::fs::metadata(path).map_err(|error| {
        unreadable(
            format!("cannot be read: {error}"),
            "write one with `evenkeel init`",
        )
    })?;
    if size.len() > MAX_BYTES {
        let what = format!("is {} bytes long, at most {MAX_BYTES} are read", size.len());
        return Err(unreadable(what, "is it the right file?"));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| unreadable(format!("cannot be read: {error}"), "it must be UTF-8 text"))?;
    parse(path, &text)
}

/// Checks the text of a configuration file. `path` is where it stands; relative paths in it start
/// from there.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(path: &Path, text: &str) -> Result<Config, Problems> {
    let file: file::File = toml::from_str(text)
        .map_err(|error| Problems::one(Problem::of_toml(path, text, &error)))?;
    let base = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let base = std::path::absolute(Path::new(".").join(base)).map_err(|error| {
        Problems::of_file(path, format!("{error}"), "is the working directory gone?")
    })?;
    resolve::resolve(file, &fingerprints(text), &base)
        .map_err(|wrong| Problems::located(path, text, wrong))
}

/// For each resource, a hash of the tables that say what it is and how its clients are moved.
fn fingerprints(text: &str) -> Vec<blake3::Hash> {
    let raw: toml::Table = toml::from_str(text).unwrap_or_default(); // it was read before
    let resources = raw.get("resource").and_then(toml::Value::as_array);
    let identity = |resource: &toml::Value| {
        let tables = ["service", "files", "redirect"].map(|key| resource.get(key).cloned());
        blake3::hash(format!("{tables:?}").as_bytes())
    };
    resources
        .map(|all| all.iter().map(identity).collect())
        .unwrap_or_default()
}

/// The JSON Schema of the file, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(file::File).to_value()
}

#[cfg(test)]
mod tests;
