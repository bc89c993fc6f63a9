//! Where forecasters find the network of their kind: an empty place at first, filled once one was trained,
//! and filled again when a later one takes over.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::network::Network;

/// A place for one network, shared by all clones. It is read when a model is fitted or woken, never when
/// one forecasts: who has taken a network out keeps that one.
#[derive(Clone, Default)]
pub struct SharedNetwork(Arc<Place>);

#[derive(Default)]
struct Place {
    network: RwLock<Option<Arc<Network>>>,
    /// Of the network, for those who ask after every observation; 0 while there is none.
    fingerprint: AtomicU64,
}

impl SharedNetwork {
    /// A place with a network in it.
    pub fn new(network: Arc<Network>) -> Self {
        let place = Self::default();
        place.set(network);
        place
    }

    /// The network, if there is one.
    pub fn get(&self) -> Option<Arc<Network>> {
        // A panic elsewhere cannot leave half an `Arc` behind.
        let network = self.0.network.read();
        network.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a network in the place of the one that was there.
    pub fn set(&self, network: Arc<Network>) {
        let fingerprint = network.fingerprint();
        let place = &self.0.network;
        *place.write().unwrap_or_else(PoisonError::into_inner) = Some(network);
        // After the network: who sees the one finds the other.
        self.0.fingerprint.store(fingerprint, Ordering::Release);
    }

    /// The fingerprint of the network; 0 while there is none. Costs next to nothing.
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint.load(Ordering::Acquire)
    }
}

impl fmt::Debug for SharedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedNetwork").field(&self.get()).finish()
    }
}
