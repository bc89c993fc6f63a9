//! Events that the daemon itself makes, in one shape.

use std::sync::Arc;

use evenkeel_core::property::Severity;
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::{ResourceId, Timestamp};
use evenkeel_ports::{AuditEntry, ControlStore};
use tracing::warn;

use crate::world::World;

/// About the daemon: start, reload, recovery.
pub(crate) fn daemon(at: Timestamp, sentence: String) -> NewEvent {
    NewEvent::new(at, EventKind::Daemon, Severity::Info, sentence)
}

/// The same, recorded, as something that matters so much.
pub(crate) async fn of_the_daemon(
    control: &Arc<dyn ControlStore>,
    at: Timestamp,
    severity: Severity,
    sentence: String,
) {
    let event = NewEvent::new(at, EventKind::Daemon, severity, sentence);
    if let Err(error) = control.record(vec![event]).await {
        warn!(%error, "an event could not be recorded");
    }
}

/// An instance that ended by itself was started again: recorded, audited, and said.
pub(crate) async fn tended(world: &World, resource: &ResourceId, done: String) {
    let at = world.now();
    world
        .alerts
        .raise(at, Some(resource), Severity::Warn, &done);
    let entry = AuditEntry {
        at,
        actor: "evenkeel".to_owned(),
        action: "service.restart".to_owned(),
        resource: Some(resource.clone()),
        result: Ok(()),
        before: None,
        after: Some(done.clone()),
    };
    if let Err(error) = world.audit.append_audit(entry).await {
        warn!(%error, "a restart could not be kept in the audit log");
    }
    told(world, resource, EventKind::Alert, done).await;
}

/// Something that people should know of, though nothing is decided by it: said and recorded.
pub(crate) async fn told(world: &World, resource: &ResourceId, kind: EventKind, sentence: String) {
    let at = world.now();
    world
        .alerts
        .raise(at, Some(resource), Severity::Warn, &sentence);
    let event = NewEvent::new(at, kind, Severity::Warn, sentence).of(resource);
    if let Err(error) = world.control.record(vec![event]).await {
        warn!(%error, "an event could not be recorded");
    }
}
