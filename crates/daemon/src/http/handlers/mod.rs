//! The handlers, by topic.

pub(super) mod acting;
pub(super) mod baseline;
pub(super) mod clone;
pub(super) mod fleet;
pub(super) mod property;
pub(super) mod record;

use std::time::Duration;

/// How long a resource's task is waited for.
pub(super) const TASK_PATIENCE: Duration = Duration::from_secs(10);
