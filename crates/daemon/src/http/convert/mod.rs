//! From core to wire, by hand, one file per topic. Each conversion is total: a new case in the core is a
//! compile error here, until somebody has said how it is told.

pub(super) mod acting;
pub(super) mod baseline;
pub(super) mod clone;
pub(super) mod forecast;
pub(super) mod network;
pub(super) mod property;
pub(super) mod record;
pub(super) mod run;
pub(super) mod status;
pub(super) mod words;

/// A count on the wire.
fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Milliseconds on the wire.
fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
