//! Events that the daemon itself makes, in one shape.

use evenkeel_core::Timestamp;
use evenkeel_core::property::Severity;
use evenkeel_core::record::{EventKind, NewEvent};

/// About the daemon: start, reload, recovery.
pub(crate) fn daemon(at: Timestamp, sentence: String) -> NewEvent {
    NewEvent::new(at, EventKind::Daemon, Severity::Info, sentence)
}
