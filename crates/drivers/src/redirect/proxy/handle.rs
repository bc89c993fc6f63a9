//! The proxy as its operator sees it: bind, point, refuse, drain, stop.
//!
//! Invariant: every call that acts carries a fencing token, and is without effect if a higher one was seen.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::FencingToken;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::config::{RouteConfig, RouteName, Target};
use super::dial::connect;
use super::drain::{DrainPolicy, DrainReport};
use super::error::ProxyError;
use super::listener;
use super::route::Route;
use super::stats::ProxyStats;

/// The way to start a proxy.
#[derive(Debug)]
pub struct Proxy;

impl Proxy {
    /// Listens on all routes and starts to serve, or does nothing at all. Must be called within a tokio
    /// runtime with time and I/O enabled; the proxy runs there.
    ///
    /// # Errors
    /// When a route cannot be served as it is configured; the error names the route and the address.
    pub fn bind(configs: &[RouteConfig]) -> Result<(ProxyHandle, ProxyTask), ProxyError> {
        let bound = bind_all(configs)?;
        let routes: Arc<[_]> = bound.iter().map(|(route, _)| Arc::clone(route)).collect();
        for route in &*routes {
            refuse_loop(&routes, route, route.current())?;
        }
        let listeners = bound
            .into_iter()
            .map(|(route, listener)| {
                tracing::info!(route = %route.name, listen = %route.listen, target = %route.current(), "listening");
                tokio::spawn(listener::accept(route, listener))
            })
            .collect();
        Ok((ProxyHandle { routes }, ProxyTask { listeners }))
    }
}

fn bind_all(configs: &[RouteConfig]) -> Result<Vec<(Arc<Route>, TcpListener)>, ProxyError> {
    if configs.is_empty() {
        return Err(ProxyError::NoRoutes);
    }
    let mut names = BTreeSet::new();
    let mut bound: Vec<(Arc<Route>, TcpListener)> = Vec::with_capacity(configs.len());
    for config in configs {
        let route = config.name.clone();
        if !names.insert(&config.name) {
            return Err(ProxyError::DuplicateRoute { route });
        }
        if config.limits.connections_max == 0 {
            let limit = "connections_max";
            return Err(ProxyError::ZeroLimit { route, limit });
        }
        let address = config.listen;
        let listener = listener::listen(address).map_err(|source| {
            if source.kind() != io::ErrorKind::AddrInUse {
                return ProxyError::Bind {
                    route: route.clone(),
                    address,
                    source,
                };
            }
            let ours = bound.iter().find(|(other, _)| clash(other.listen, address));
            let holder = match ours {
                Some((other, _)) => format!("route `{}` of this proxy", other.name),
                None => "another process".to_owned(),
            };
            ProxyError::AddressInUse {
                route: route.clone(),
                address,
                holder,
            }
        })?;
        let listen = listener.local_addr().map_err(|source| ProxyError::Bind {
            route,
            address,
            source,
        })?;
        bound.push((Arc::new(Route::new(config, listen)), listener));
    }
    Ok(bound)
}

/// Whether a connection to `address` may come out at a listener on `listen`.
fn clash(listen: SocketAddr, address: SocketAddr) -> bool {
    let (here, there) = (listen.ip(), address.ip());
    let any = here.is_unspecified() && there.is_loopback() || there.is_unspecified();
    listen.port() == address.port() && (here == there || any)
}

fn refuse_loop(routes: &[Arc<Route>], route: &Route, target: Target) -> Result<(), ProxyError> {
    match routes
        .iter()
        .find(|other| clash(other.listen, target.address()))
    {
        None => Ok(()),
        Some(other) => Err(ProxyError::Loop {
            route: route.name.clone(),
            target,
            listener: other.name.clone(),
        }),
    }
}

/// The listeners of a running proxy. Dropping it leaves them running.
#[derive(Debug)]
pub struct ProxyTask {
    listeners: Vec<JoinHandle<()>>,
}

impl ProxyTask {
    /// Waits until no route listens any more, which is after [`ProxyHandle::shutdown`].
    pub async fn stopped(self) {
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::error!(%error, "a listener ended in disorder");
            }
        }
    }
}

/// What [`ProxyHandle::point`] would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointPlan {
    /// The route.
    pub route: RouteName,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where new connections go now.
    pub from: Target,
    /// Where they would go.
    pub to: Target,
    /// Open connections that would stay behind until they are drained.
    pub staying: u64,
}

impl fmt::Display for PointPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            route,
            listen,
            from,
            to,
            staying,
        } = self;
        if from == to {
            return write!(f, "route `{route}` on {listen} points at {to} already");
        }
        write!(
            f,
            "point new connections of route `{route}` on {listen} at {to} instead of {from}; \
             {staying} open connections stay where they are until drained"
        )
    }
}

/// A running proxy. Cheap to clone; dropping the last one leaves the proxy running.
#[derive(Clone, Debug)]
pub struct ProxyHandle {
    routes: Arc<[Arc<Route>]>,
}

impl ProxyHandle {
    /// Where the route points.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn current(&self, route: &RouteName) -> Result<Target, ProxyError> {
        Ok(self.route(route)?.current())
    }

    /// Where the route listens, with its port made real.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn listen_address(&self, route: &RouteName) -> Result<SocketAddr, ProxyError> {
        Ok(self.route(route)?.listen)
    }

    /// The highest fencing token that the route has seen, for the caller to store.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn token(&self, route: &RouteName) -> Result<FencingToken, ProxyError> {
        Ok(self.route(route)?.token())
    }

    /// Says what pointing would do, and does nothing.
    ///
    /// # Errors
    /// When pointing would fail whatever the token.
    pub fn plan(&self, route: &RouteName, to: Target) -> Result<PointPlan, ProxyError> {
        let route = self.route(route)?;
        refuse_loop(&self.routes, route, to)?;
        if let Some(by) = route.refused_by(to) {
            return Err(route.refused(to, by));
        }
        let open = route.open();
        Ok(PointPlan {
            route: route.name.clone(),
            listen: route.listen,
            from: route.current(),
            to,
            staying: open
                .iter()
                .filter(|(target, _)| **target != to)
                .map(|(_, n)| n)
                .sum(),
        })
    }

    /// Points the route at `to`, for every connection from now on, and says where it pointed before.
    /// Repeating it is harmless; pointing back is the undo.
    ///
    /// # Errors
    /// When the token is stale, the target is refused, it is an address of this proxy, or the route has
    /// stopped or does not exist.
    pub fn point(
        &self,
        route: &RouteName,
        to: Target,
        token: FencingToken,
    ) -> Result<Target, ProxyError> {
        let route = self.route(route)?;
        refuse_loop(&self.routes, route, to)?;
        let from = route.point(to, token)?;
        tracing::info!(route = %route.name, %from, %to, %token, "pointed");
        Ok(from)
    }

    /// Checks that the route can serve: it has not stopped, and its target is not refused and accepts a
    /// connection (which is closed at once). Returns the target.
    ///
    /// # Errors
    /// When one of these is not so; the error says which.
    pub async fn verify(&self, route: &RouteName) -> Result<Target, ProxyError> {
        let route = self.route(route)?;
        if route.is_stopped() {
            return Err(route.has_stopped());
        }
        let target = route.current();
        if let Some(by) = route.refused_by(target) {
            return Err(route.refused(target, by));
        }
        let after = route.limits.connect_timeout;
        match connect(target, after).await {
            Ok(_closed_at_once) => Ok(target),
            Err(source) if source.kind() == io::ErrorKind::TimedOut => Err(ProxyError::Silent {
                route: route.name.clone(),
                target,
                after,
            }),
            Err(source) => Err(ProxyError::Unreachable {
                route: route.name.clone(),
                target,
                source,
            }),
        }
    }

    /// Fences `target` off: from now on no new connection of the route goes there, and it cannot be pointed
    /// there. If it is the current target, new clients wait. Open connections stay; [`Self::drain`] ends them.
    ///
    /// # Errors
    /// When the token is stale, or the route has stopped or does not exist.
    pub fn refuse(
        &self,
        route: &RouteName,
        target: Target,
        token: FencingToken,
    ) -> Result<(), ProxyError> {
        let route = self.route(route)?;
        route.refuse(target, token)?;
        tracing::info!(route = %route.name, %target, %token, "refused");
        Ok(())
    }

    /// Takes the fence round `target` away again. Harmless where there is none.
    ///
    /// # Errors
    /// When the token is stale, or the route has stopped or does not exist.
    pub fn allow(
        &self,
        route: &RouteName,
        target: Target,
        token: FencingToken,
    ) -> Result<(), ProxyError> {
        let route = self.route(route)?;
        route.allow(target, token)?;
        tracing::info!(route = %route.name, %target, %token, "allowed");
        Ok(())
    }

    /// Ends the route's connections to any target but the current one, by `policy`, and returns when the last
    /// one has ended. Does not depend on being waited for: dropping the future drains all the same. A later
    /// drain overrides an earlier one.
    ///
    /// # Errors
    /// When the token is stale, or the route has stopped or does not exist.
    pub async fn drain(
        &self,
        route: &RouteName,
        policy: DrainPolicy,
        token: FencingToken,
    ) -> Result<DrainReport, ProxyError> {
        let route = self.route(route)?;
        let (found, ends) = route.drain(policy, token)?;
        tracing::info!(route = %route.name, ?policy, %token, found, "draining");
        let report = DrainReport::collect(found, ends).await;
        tracing::info!(route = %route.name, ?report, "drained");
        Ok(report)
    }

    /// A reading of all counters.
    pub fn stats(&self) -> ProxyStats {
        ProxyStats {
            routes: self.routes.iter().map(|route| route.stats()).collect(),
        }
    }

    /// Stops the proxy: no route listens any more, waiting clients are reset, open connections are closed
    /// as they fall idle, and cut after `grace`. Returns when the last one has ended.
    pub async fn shutdown(&self, grace: Duration) -> DrainReport {
        // As short a silence as tells a pause between two pieces from the end of an answer.
        let idle = Duration::from_millis(100).min(grace);
        let mut report = DrainReport::default();
        let drains: Vec<_> = self
            .routes
            .iter()
            .map(|route| route.stop(DrainPolicy::DrainIdle { idle, grace }))
            .collect();
        for (found, ends) in drains {
            report += DrainReport::collect(found, ends).await;
        }
        report
    }

    fn route(&self, name: &RouteName) -> Result<&Arc<Route>, ProxyError> {
        self.routes
            .iter()
            .find(|route| route.name == *name)
            .ok_or_else(|| {
                let known: Vec<_> = self
                    .routes
                    .iter()
                    .map(|route| format!("`{}`", route.name))
                    .collect();
                ProxyError::UnknownRoute {
                    route: name.clone(),
                    known: known.join(", "),
                }
            })
    }
}
