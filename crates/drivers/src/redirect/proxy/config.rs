//! What a route is made of: where it listens, where it points at first, and the limits it keeps.
//!
//! Leaves out how these are written in a configuration file; the caller reads that.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::FencingToken;

/// The name of a route, unique in one proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteName(Arc<str>);

impl RouteName {
    /// Wraps a name as it is.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RouteName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The address of an instance which a route forwards to. Always a literal address: a name that has to
/// be looked up could mean another instance from one connection to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(SocketAddr);

impl Target {
    /// Where to connect to.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        text.parse().map(Self).map_err(|_| TargetError {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a target; write an address and a port, like `127.0.0.1:8080` or `[::1]:8080`"
)]
pub struct TargetError {
    text: String,
}

/// How far one route goes before it stops taking more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an accepted connection waits for the target to answer, counted from the first attempt
    /// that failed. After it the client is reset.
    pub hold: Duration,
    /// How long one attempt to connect to the target may take.
    pub connect_timeout: Duration,
    /// Connections served at the same time. Further clients stay in the listen backlog, where they
    /// wait; none is reset.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            connections_max: 10_000,
        }
    }
}

/// One address that the proxy listens on, and what stands behind it.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// The route's name.
    pub name: RouteName,
    /// Where clients connect to. Port 0 takes a free one; ask [`super::ProxyHandle::listen_address`].
    pub listen: SocketAddr,
    /// Where the route points until somebody points it elsewhere.
    pub target: Target,
    /// The highest fencing token which this route has seen in an earlier life, as the caller stored it.
    pub token: FencingToken,
    /// How far the route goes.
    pub limits: Limits,
}

impl RouteConfig {
    /// A route with the default limits which has seen no fencing token yet.
    pub fn new(name: impl Into<RouteName>, listen: SocketAddr, target: impl Into<Target>) -> Self {
        Self {
            name: name.into(),
            listen,
            target: target.into(),
            token: FencingToken::default(),
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back_what_it_prints_and_refuses_names() {
        let target: Target = "[::1]:80".parse().unwrap();
        assert_eq!(target.to_string().parse(), Ok(target));
        let error = Target::from_str("localhost:80").unwrap_err().to_string();
        assert!(error.contains("`localhost:80`") && error.contains("127.0.0.1:8080"));
    }
}
