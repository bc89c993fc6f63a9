//! Checks of the directories that a configuration names: apart from each other, readable, creatable.

use std::path::{Component, Path, PathBuf};

use evenkeel_ports::DriverError;

/// What is wrong, and what would be right: the two halves of a refusal.
pub(crate) type Fault = (String, String);

/// Trees must be apart: one inside another would be cloned into itself.
pub(crate) fn check_roots(named: &[(&str, Option<&PathBuf>)]) -> Result<(), Fault> {
    let given: Vec<(&str, &Path)> = named
        .iter()
        .filter_map(|(name, path)| Some((*name, path.as_ref()?.as_path())))
        .collect();
    for (index, (name, path)) in given.iter().enumerate() {
        let is_plain =
            path.is_absolute() && path.components().all(|part| part != Component::ParentDir);
        if !is_plain || path.parent().is_none() {
            let what = format!(
                "{name}: `{}` is not the absolute path of a directory below /",
                path.display()
            );
            return Err((what, "write it like /etc/web, without `..`".to_owned()));
        }
        if path.to_str().is_none() {
            let what = format!("{name}: `{}` is not UTF-8", path.display());
            return Err((what, "choose a path that is".to_owned()));
        }
        for (other_name, other) in &given[..index] {
            if path.starts_with(other) || other.starts_with(path) {
                let what = format!(
                    "{name} ({}) and {other_name} ({}) lie inside each other",
                    path.display(),
                    other.display()
                );
                return Err((what, "give each tree a directory of its own".to_owned()));
            }
        }
    }
    Ok(())
}

/// The tree is there and can be listed.
pub(crate) fn check_readable(key: &str, path: &Path) -> Result<(), DriverError> {
    let listed = std::fs::read_dir(path);
    listed
        .map(|_| ())
        .map_err(|error| DriverError::Misconfigured {
            what: format!("{key}: {}: {error}", path.display()),
            remedy: "give a directory that exists and that Evenkeel may read".to_owned(),
        })
}

/// The tree is there, or can be made.
pub(crate) fn check_creatable(key: &str, path: &Path) -> Result<(), DriverError> {
    let refuse = |what: String| DriverError::Misconfigured {
        what: format!("{key}: {}: {what}", path.display()),
        remedy: "give a place where Evenkeel may make a directory".to_owned(),
    };
    if path.exists() && !path.is_dir() {
        return Err(refuse("it is not a directory".to_owned()));
    }
    // The tree is exchanged as a whole, for which the directory that holds it must be writable.
    let above = path.ancestors().skip(1).find(|ancestor| ancestor.exists());
    let Some(above) = above else {
        return Err(refuse("nothing above it exists".to_owned()));
    };
    if !above.is_dir() {
        return Err(refuse(format!("{} is not a directory", above.display())));
    }
    rustix::fs::access(
        above,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .map_err(|error| refuse(format!("{}: {error}", above.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_inside_each_other_are_refused() {
        let roots = |a: &str, b: &str| {
            check_roots(&[
                ("a", Some(&PathBuf::from(a))),
                ("b", Some(&PathBuf::from(b))),
            ])
        };
        assert!(roots("/etc/web", "/etc/web2").is_ok());
        for (a, b) in [
            ("/etc/web", "/etc/web/b"),
            ("/x", "/x"),
            ("etc", "/x"),
            ("/x/../y", "/z"),
            ("/", "/z"),
        ] {
            assert!(roots(a, b).is_err(), "{a} {b}");
        }
    }

    #[test]
    fn places_that_cannot_be_read_or_made_are_named() {
        assert!(
            check_readable("x.a", Path::new("/no/such"))
                .unwrap_err()
                .to_string()
                .starts_with("x.a: /no/such")
        );
        assert!(check_creatable("x.b", Path::new("/etc/hostname/x")).is_err());
        let directory = tempfile::tempdir().unwrap();
        assert!(check_creatable("x.b", &directory.path().join("deep/er")).is_ok());
    }
}
