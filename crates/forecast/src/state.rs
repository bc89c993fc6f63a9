//! A forecaster's state as bytes: a version, then the state in `postcard`'s format.

use crate::Mixture;

/// Raised whenever the state's meaning or layout changes; older states are then not read, and the
/// forecaster learns anew.
const VERSION: u8 = 1;

/// The state of `mixture`; `None` if it cannot be written, which no known state causes.
pub(crate) fn write(mixture: &Mixture) -> Option<Vec<u8>> {
    postcard::to_extend(mixture, vec![VERSION]).ok()
}

/// The mixture of which `bytes` are the state; `None` if they are of another version, or damaged.
pub(crate) fn read(bytes: &[u8]) -> Option<Mixture> {
    let (version, state) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    postcard::from_bytes(state).ok()
}
