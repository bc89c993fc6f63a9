//! Stories as texts: each is compared with the one committed in `stories/`; `EVENKEEL_BLESS=1` writes the texts
//! anew, for a person to read and commit.

use std::fs;
use std::path::Path;

/// Whether the story is told as it was committed under this name.
pub(crate) fn compare(name: &str, told: &[String]) {
    let text = format!("{}\n", told.join("\n").trim_start());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/stories/{name}.txt"));
    if std::env::var_os("EVENKEEL_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == committed,
        "{name} is told otherwise now (EVENKEEL_BLESS=1 takes it over):\n{text}"
    );
}
