//! Where forecasters find the network of their kind: an empty place at first, filled once one was trained,
//! and filled again when a later one takes over.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::network::Network;

/// A place for one network, shared by all clones. It is read when a model is fitted or woken, never when
/// one forecasts: who has taken a network out keeps that one.
#[derive(Clone, Default)]
pub struct SharedNetwork(Arc<RwLock<Option<Arc<Network>>>>);

impl SharedNetwork {
    /// A place with a network in it.
    pub fn new(network: Arc<Network>) -> Self {
        Self(Arc::new(RwLock::new(Some(network))))
    }

    /// The network, if there is one.
    pub fn get(&self) -> Option<Arc<Network>> {
        // A panic elsewhere cannot leave half an `Arc` behind.
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a network in the place of the one that was there.
    pub fn set(&self, network: Arc<Network>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(network);
    }
}

impl fmt::Debug for SharedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedNetwork").field(&self.get()).finish()
    }
}
