//! The resources that run, in the order of the configuration. A reload replaces the whole of it, so a
//! reader sees the old fleet or the new one, never half of each.

use std::sync::{Arc, PoisonError, RwLock};

use evenkeel_core::ResourceId;

use crate::engine::ResourceHandle;

type Entries = Vec<(ResourceId, ResourceHandle)>;

/// See the module. Cloning it gives another look at the same fleet.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: Arc<RwLock<Arc<Entries>>>,
}

impl Registry {
    /// An empty fleet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the fleet.
    pub fn set(&self, entries: Vec<(ResourceId, ResourceHandle)>) {
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
    }

    /// One resource.
    pub fn get(&self, name: &str) -> Option<ResourceHandle> {
        let entries = self.entries();
        let (_, handle) = entries.iter().find(|(id, _)| id.as_str() == name)?;
        Some(handle.clone())
    }

    /// All resources, in the order of the configuration.
    pub fn all(&self) -> Vec<(ResourceId, ResourceHandle)> {
        self.entries().as_ref().clone()
    }

    /// The names of all resources, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = self.entries();
        entries.iter().map(|(id, _)| id.to_string()).collect()
    }

    fn entries(&self) -> Arc<Entries> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
