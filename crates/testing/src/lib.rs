//! What the tests of several crates share: how a test is skipped, how one is run without root's
//! powers, how something is waited for. A development dependency only.
//!
//! Left out on purpose: anything that knows Evenkeel's own types; those helpers live beside them.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "made for tests: what they print is their answer, and where they cannot go on they fail"
)]

mod nobody;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub use nobody::{Place, as_nobody};

/// Says why a test is not run here; where nothing may be left out, fails instead.
///
/// # Panics
/// When `EVENKEEL_REQUIRE_ALL` is `1`, as in continuous integration.
pub fn skip_or_fail(why: &str) {
    let required = std::env::var_os("EVENKEEL_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "EVENKEEL_REQUIRE_ALL=1, but {why}");
    println!("skipped: {why}");
}

/// Puts a program where it can be executed, through a process of its own. Written by this one, the
/// open file would be inherited by whatever another test starts at that moment, and what is open for
/// writing cannot be executed ("text file busy").
///
/// # Panics
/// When it cannot.
pub fn install_program(from: &Path, to: &Path) {
    let status = Command::new("install")
        .arg("--mode=755")
        .args([from, to])
        .status()
        .unwrap();
    assert!(
        status.success(),
        "install {} {}",
        from.display(),
        to.display()
    );
}

/// Asks again and again until there is an answer, at most for about `patience`.
///
/// Patience is counted in looks and not read from a clock: on a machine that stands still for a
/// while, the test stands still with it instead of failing.
///
/// # Panics
/// When there is none in time; `what` says for what was waited, `last` what was seen last.
pub fn poll_until<A, S: std::fmt::Display>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<A, S>,
) -> A {
    const BETWEEN: Duration = Duration::from_millis(50);
    let looks = (patience.as_millis() / BETWEEN.as_millis()).max(1);
    let mut last = None;
    for _ in 0..looks {
        match look() {
            Ok(answer) => return answer,
            Err(seen) => last = Some(seen),
        }
        std::thread::sleep(BETWEEN);
    }
    let last = last.map(|seen| seen.to_string()).unwrap_or_default();
    panic!("waited {patience:?} in vain until {what}; last seen: {last}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_gives_the_first_answer_there_is() {
        let mut looks = 0;
        let answer = poll_until("three looks", Duration::from_secs(5), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(looks) }
        });
        assert_eq!(answer, 3);
    }

    #[test]
    #[should_panic(expected = "until it rains; last seen: sun")]
    fn polling_in_vain_says_what_was_seen_last() {
        poll_until("it rains", Duration::from_millis(100), || {
            Err::<(), _>("sun")
        });
    }
}
