//! A test about missing permissions proves nothing when root runs it: root may read everything. So
//! as root such a test runs its own binary a second time, as the user who may nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::install_program;

/// The user and group that own nothing: `nobody` and `nogroup`, by number since names differ.
const NOBODY: u32 = 65_534;

/// Marks the second run.
const MARK: &str = "EVENKEEL_TEST_AS_NOBODY";

/// Where a test goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here: this process has no powers of root's.
    Here,
    /// It was run elsewhere, without them, and passed.
    Elsewhere,
}

/// Has the test `name` of the module `module` (`module_path!()`) run without root's powers. A test
/// begins with it, and ends at once where the answer is [`Place::Elsewhere`].
///
/// # Panics
/// When the test fails there, or is not found, or cannot be run.
#[must_use]
pub fn as_nobody(module: &str, name: &str) -> Place {
    let is_second_run = std::env::var_os(MARK).is_some();
    if !rustix::process::geteuid().is_root() {
        return Place::Here;
    }
    assert!(
        !is_second_run,
        "root's powers were to be given up, and were not"
    );
    // The harness leaves out the crate's own name.
    let inside = module.split_once("::").map_or("", |(_, inside)| inside);
    let full_name = if inside.is_empty() {
        name.to_owned()
    } else {
        format!("{inside}::{name}")
    };

    // The build may be where nobody can reach it, and so may TMPDIR.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let binary = directory.path().join("tests");
    install_program(&std::env::current_exe().unwrap(), &binary);

    let output = Command::new(&binary)
        .args(["--exact", &full_name, "--nocapture"])
        .env(MARK, "1")
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    // A name that matches no test passes, too.
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{full_name} as nobody: {}\n{said}{complaint}",
        output.status
    );
    Place::Elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_root_may_read_nobody_may_not() {
        if as_nobody(module_path!(), "what_root_may_read_nobody_may_not") == Place::Elsewhere {
            return;
        }
        let closed = tempfile::NamedTempFile::new().unwrap();
        let nothing = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(closed.path(), nothing).unwrap();
        assert!(std::fs::File::open(closed.path()).is_err());
    }

    #[test]
    #[should_panic(expected = "as nobody")]
    fn a_test_that_is_not_there_does_not_pass() {
        if as_nobody(module_path!(), "no_such_test") == Place::Here {
            panic!("as nobody already");
        }
    }
}
