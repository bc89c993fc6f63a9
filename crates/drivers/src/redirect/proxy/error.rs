//! What can go wrong between an operator and the proxy. Troubles of a single client connection are not
//! here: they are counted in the statistics and logged where they happen.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_core::{Brief, FencingToken};

use super::config::{RouteName, Target};

/// Why the proxy did not do what it was asked to. No variant leaves a half-done effect behind.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Nothing to do.
    #[error("the proxy was given no route; give at least one listen address")]
    NoRoutes,
    /// Two routes have one name.
    #[error("route `{route}` is defined twice; give each route its own name")]
    DuplicateRoute {
        /// The name used twice.
        route: RouteName,
    },
    /// Somebody else listens there.
    #[error("route `{route}`: address {address} is in use by {holder}; choose another")]
    AddressInUse {
        /// The route that wanted the address.
        route: RouteName,
        /// The address it wanted.
        address: SocketAddr,
        /// Who has it, as far as the proxy can tell.
        holder: String,
    },
    /// The system refused to listen there.
    #[error("route `{route}`: cannot listen on {address}: {source}")]
    Bind {
        /// The route that wanted the address.
        route: RouteName,
        /// The address it wanted.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A limit under which no connection could ever be served.
    #[error("route `{route}`: {limit} is 0, so that no client could be served; give at least 1")]
    ZeroLimit {
        /// The route with the limit.
        route: RouteName,
        /// The limit's name.
        limit: &'static str,
    },
    /// There is no such route.
    #[error("there is no route `{route}`; the routes are {known}")]
    UnknownRoute {
        /// The name asked for.
        route: RouteName,
        /// The names there are.
        known: String,
    },
    /// An actor acts on an old plan.
    #[error(
        "route `{route}`: fencing token {given} is older than {highest}, the highest seen here; \
         a newer plan has taken over"
    )]
    StaleToken {
        /// The route acted on.
        route: RouteName,
        /// The token that came with the call.
        given: FencingToken,
        /// The highest token the route has seen.
        highest: FencingToken,
    },
    /// The target is fenced off.
    #[error(
        "route `{route}`: {target} is refused since fencing token {by}; allow it first, with a token \
         of {by} or higher"
    )]
    Refused {
        /// The route acted on.
        route: RouteName,
        /// The address that is fenced off.
        target: Target,
        /// The token it was refused with.
        by: FencingToken,
    },
    /// The proxy would talk to itself.
    #[error(
        "route `{route}`: {target} is where route `{listener}` of this proxy listens; give the \
         instance's own address"
    )]
    Loop {
        /// The route that would point at it.
        route: RouteName,
        /// The address asked for.
        target: Target,
        /// The route which listens there.
        listener: RouteName,
    },
    /// The target does not answer.
    #[error("route `{route}`: target {target} does not accept connections: {source}")]
    Unreachable {
        /// The route verified.
        route: RouteName,
        /// Its current target.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The target does not answer in time.
    #[error("route `{route}`: target {target} did not answer within {}", Brief(*after))]
    Silent {
        /// The route verified.
        route: RouteName,
        /// Its current target.
        target: Target,
        /// How long the proxy waited.
        after: Duration,
    },
    /// The route no longer listens.
    #[error("route `{route}` has stopped; start the proxy again")]
    Stopped {
        /// The route acted on.
        route: RouteName,
    },
}
