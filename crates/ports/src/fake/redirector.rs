//! A redirector that only remembers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use evenkeel_core::FencingToken;
use evenkeel_core::failover::Effect;

use super::faults::{Faults, meddled};
use super::locked;
use crate::driver::StepKey;
use crate::redirector::{Drained, Endpoint, RedirectError, Redirector};

/// See the module.
#[derive(Debug)]
pub struct FakeRedirector {
    faults: Arc<dyn Faults>,
    routes: Mutex<Routes>,
}

#[derive(Debug, Default)]
struct Routes {
    pointed: Option<Endpoint>,
    refused: BTreeMap<Endpoint, FencingToken>,
    seen: FencingToken,
}

impl FakeRedirector {
    /// One that sends clients to `pointed`.
    pub fn new(pointed: Endpoint, faults: Arc<dyn Faults>) -> Self {
        let routes = Routes {
            pointed: Some(pointed),
            ..Routes::default()
        };
        Self {
            faults,
            routes: Mutex::new(routes),
        }
    }

    /// Where a client is sent at this instant: nowhere, if that endpoint is refused.
    pub fn serves(&self) -> Option<Endpoint> {
        let routes = locked(&self.routes);
        (routes.pointed.clone()).filter(|endpoint| !routes.refused.contains_key(endpoint))
    }

    /// Whether an endpoint is refused.
    pub fn refuses(&self, endpoint: &Endpoint) -> bool {
        locked(&self.routes).refused.contains_key(endpoint)
    }

    /// A person's hand: points at an endpoint and refuses nobody else's.
    pub fn put(&self, endpoint: Endpoint) {
        let mut routes = locked(&self.routes);
        routes.refused.remove(&endpoint);
        routes.pointed = Some(endpoint);
    }

    async fn change<T>(
        &self,
        call: &'static str,
        key: StepKey,
        change: impl Fn(&mut Routes) -> Result<T, RedirectError> + Send + Sync,
    ) -> Result<T, RedirectError> {
        meddled(&*self.faults, call, failure, || {
            let mut routes = locked(&self.routes);
            let (given, seen) = (key.token, routes.seen);
            if given < seen {
                return Err(RedirectError::Stale { given, seen });
            }
            routes.seen = given;
            change(&mut routes)
        })
        .await
    }
}

fn failure(what: String, effect: Effect) -> RedirectError {
    match effect {
        Effect::None => RedirectError::Unchanged(what),
        Effect::Unknown => RedirectError::MaybeChanged(what),
    }
}

#[async_trait]
impl Redirector for FakeRedirector {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn entrance(&self) -> String {
        "entrance".to_owned()
    }

    async fn current(&self) -> Result<Option<Endpoint>, RedirectError> {
        Ok(locked(&self.routes).pointed.clone())
    }

    async fn point(&self, to: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        self.change("redirector.point", key, |routes| {
            if let Some(by) = routes.refused.get(to) {
                let (endpoint, by) = (to.clone(), *by);
                return Err(RedirectError::Fenced { endpoint, by });
            }
            routes.pointed = Some(to.clone());
            Ok(())
        })
        .await
    }

    async fn drain(&self, _: &Endpoint, key: StepKey) -> Result<Drained, RedirectError> {
        self.change("redirector.drain", key, |_| Ok(Drained::default()))
            .await
    }

    async fn refuse(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        self.change("redirector.refuse", key, |routes| {
            routes.refused.insert(endpoint.clone(), key.token);
            Ok(())
        })
        .await
    }

    async fn allow(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        self.change("redirector.allow", key, |routes| {
            routes.refused.remove(endpoint);
            Ok(())
        })
        .await
    }

    async fn reached(&self) -> Result<Endpoint, RedirectError> {
        meddled(&*self.faults, "redirector.reached", failure, || {
            self.serves()
                .ok_or_else(|| RedirectError::Unchanged("nobody answers".to_owned()))
        })
        .await
    }
}
