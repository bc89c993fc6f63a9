//! A seam for the crash tests: every change of the disk that must survive a crash announces itself
//! here first, so that a test can stop the world before each of them in turn.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{At, CloneError};

/// Called with the name of the step before it is taken; an error stops the call there.
#[doc(hidden)]
pub type Observer = Arc<dyn Fn(&'static str) -> std::io::Result<()> + Send + Sync>;

/// Announces steps. By default nobody listens.
#[derive(Clone, Default)]
pub(crate) struct Steps(Option<Observer>);

impl Steps {
    pub(crate) fn observed_by(observer: Observer) -> Self {
        Self(Some(observer))
    }

    /// About to take `step` on `path`.
    pub(crate) fn before(&self, step: &'static str, path: &Path) -> Result<(), CloneError> {
        match &self.0 {
            Some(observer) => observer(step).at(step, path),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Steps(observed)"
        } else {
            "Steps"
        })
    }
}
