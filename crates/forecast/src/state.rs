//! A forecaster's state as bytes: a version, a digest, then the state in `postcard`'s format.
//!
//! The digest is there because most damage would still be read as numbers, and a forecaster that goes on
//! from wrong numbers is worse than one that starts anew.

use crate::Mixture;

/// Raised whenever the state's meaning or layout changes; older states are then not read, and the
/// forecaster learns anew.
const VERSION: u8 = 4;

/// Bytes before the state: the version and the digest.
const HEADER: usize = 9;

/// The state of `mixture`; `None` if it cannot be written, which no known state causes.
pub(crate) fn write(mixture: &Mixture) -> Option<Vec<u8>> {
    let mut bytes = postcard::to_extend(mixture, vec![0; HEADER]).ok()?;
    let digest = digest(&bytes[HEADER..]).to_le_bytes();
    bytes[0] = VERSION;
    bytes[1..HEADER].copy_from_slice(&digest);
    Some(bytes)
}

/// The mixture of which `bytes` are the state; `None` if they are of another version, or damaged: what
/// can be read but does not fit together is not gone on from.
pub(crate) fn read(bytes: &[u8]) -> Option<Mixture> {
    let (header, state) = bytes.split_at_checked(HEADER)?;
    if header[0] != VERSION || header[1..] != digest(state).to_le_bytes() {
        return None;
    }
    let mixture: Mixture = postcard::from_bytes(state).ok()?;
    mixture.is_sound().then_some(mixture)
}

/// FNV-1a (Fowler, Noll and Vo): against accidents, not against forgers.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
