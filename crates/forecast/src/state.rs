//! A forecaster's state as bytes: a version, a digest, then the state in `postcard`'s format.
//!
//! The digest is there because most damage would still be read as numbers, and a forecaster that goes on
//! from wrong numbers is worse than one that starts anew.

use std::borrow::Cow;

use crate::Mixture;

/// Raised whenever the state's meaning or layout changes; older states but [`WITHOUT_SWINGS`] are then not
/// read, and the forecaster learns anew.
const VERSION: u8 = 5;

/// The version whose states end before the swings: they are read as of a series that has none.
const WITHOUT_SWINGS: u8 = 4;

/// How `postcard` writes `None`.
const NONE: u8 = 0;

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
    if header[1..] != digest(state).to_le_bytes() {
        return None;
    }
    let state = match header[0] {
        VERSION => Cow::from(state),
        WITHOUT_SWINGS => Cow::from([state, &[NONE]].concat()),
        _ => return None,
    };
    // Bytes that are left over show a state of one version under the number of the other.
    let (mixture, rest): (Mixture, &[u8]) = postcard::take_from_bytes(&state).ok()?;
    (rest.is_empty() && mixture.is_sound()).then_some(mixture)
}

/// FNV-1a (Fowler, Noll and Vo): against accidents, not against forgers.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evenkeel_core::forecast::{Forecaster as _, HorizonGrid};
    use evenkeel_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_state_from_before_the_swings_is_one_without_any() {
        let grid = HorizonGrid::new(Duration::from_secs(1), Duration::from_secs(30));
        let mut mixture = Mixture::new(&grid);
        for second in 0..100 {
            let value = f64::from(second % 7);
            mixture.observe(Timestamp::from_millis(i64::from(second) * 1000), value);
        }
        let now = write(&mixture).unwrap();
        // As the version before wrote it: one field less, which is the last.
        let (last, state) = now[HEADER..].split_last().unwrap();
        assert_eq!(*last, NONE);
        let mut before = vec![WITHOUT_SWINGS];
        before.extend(digest(state).to_le_bytes());
        before.extend(state);
        let read_back = read(&before).unwrap();
        assert_eq!(write(&read_back).unwrap(), now);
        assert_eq!(read_back.forecast(), mixture.forecast());
        before[0] = WITHOUT_SWINGS - 1;
        assert!(read(&before).is_none());
    }
}
