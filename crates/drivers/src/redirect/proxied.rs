//! The built-in proxy as a redirector: one listener for one resource, with a memory on disk.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::ResourceId;
use evenkeel_ports::{Clock, Drained, Endpoint, RedirectError, Redirector, StepKey};
use schemars::JsonSchema;
use serde::Deserialize;

use super::memory::Memory;
use super::proxy::{
    DrainPolicy, Limits, Proxy, ProxyError, ProxyHandle, ProxyTask, RouteConfig, RouteName, Target,
};
use crate::config::Span;

/// The address at which clients come in, and how their connections are treated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// Where clients connect to.
    pub listen: SocketAddr,
    /// How long a client waits while its instance does not answer.
    #[serde(default = "default_hold")]
    pub hold: Span,
    /// How long one attempt to reach the instance may take.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Span,
    /// Connections at the same time; further clients wait.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
    /// What becomes of connections to the old instance.
    #[serde(default)]
    pub drain: DrainConfig,
}

/// What becomes of connections to the old instance.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrainConfig {
    /// `idle`: each is closed once it is idle. `finish`: each ends by itself. `move`: all end at once.
    pub way: DrainWay,
    /// How long a connection must be silent to count as idle.
    pub idle: Span,
    /// Those that are left after this time are cut.
    pub grace: Span,
}

/// See [`DrainConfig::way`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DrainWay {
    /// Each is closed once it is idle.
    #[default]
    Idle,
    /// Each ends by itself.
    Finish,
    /// All end at once.
    Move,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            way: DrainWay::Idle,
            idle: Span::millis(500),
            grace: Span::seconds(30),
        }
    }
}

impl DrainConfig {
    fn policy(&self) -> DrainPolicy {
        let grace = self.grace.0;
        match self.way {
            DrainWay::Idle => DrainPolicy::DrainIdle {
                idle: self.idle.0,
                grace,
            },
            DrainWay::Finish => DrainPolicy::Drain { grace },
            DrainWay::Move => DrainPolicy::Move,
        }
    }
}

fn default_hold() -> Span {
    Span(Limits::default().hold)
}
fn default_connect_timeout() -> Span {
    Span(Limits::default().connect_timeout)
}
fn default_connections_max() -> usize {
    Limits::default().connections_max
}

/// Moves the clients of one resource by the built-in proxy.
#[derive(Debug)]
pub struct ProxyRedirector {
    route: RouteName,
    handle: ProxyHandle,
    _task: ProxyTask,
    memory: Memory,
    drain: DrainPolicy,
    clock: Arc<dyn Clock>,
}

impl ProxyRedirector {
    /// Listens, and points where it pointed in its former life, or at `first`. Must be called within a
    /// tokio runtime; the proxy runs there.
    ///
    /// # Errors
    /// Why it cannot listen, in one sentence.
    pub fn new(
        resource: &ResourceId,
        config: &ProxyConfig,
        first: &Endpoint,
        state_file: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let memory = Memory::open(state_file)?;
        let remembered = memory.get();
        let target = |endpoint: &Endpoint| {
            endpoint
                .0
                .parse::<Target>()
                .map_err(|error| error.to_string())
        };
        let route = RouteName::new(resource.as_str());
        let limits = Limits {
            hold: config.hold.0,
            connect_timeout: config.connect_timeout.0,
            connections_max: config.connections_max,
        };
        let first = remembered.current.as_ref().unwrap_or(first);
        let route_config = RouteConfig {
            name: route.clone(),
            listen: config.listen,
            target: target(first)?,
            token: remembered.highest,
            limits,
        };
        let (handle, task) = Proxy::bind(&[route_config]).map_err(|error| error.to_string())?;
        for endpoint in remembered.refused.keys() {
            handle
                .refuse(&route, target(endpoint)?, remembered.highest)
                .map_err(|error| error.to_string())?;
        }
        Ok(Self {
            route,
            handle,
            _task: task,
            memory,
            drain: config.drain.policy(),
            clock,
        })
    }

    /// The proxy itself, for its statistics and for shutting it down.
    pub fn handle(&self) -> &ProxyHandle {
        &self.handle
    }

    fn entrance_address(&self) -> Result<SocketAddr, RedirectError> {
        self.handle
            .listen_address(&self.route)
            .map_err(redirect_error)
    }
}

fn target_of(endpoint: &Endpoint) -> Result<Target, RedirectError> {
    endpoint
        .0
        .parse()
        .map_err(|error: super::proxy::TargetError| RedirectError::Unchanged(error.to_string()))
}

fn redirect_error(error: ProxyError) -> RedirectError {
    match error {
        ProxyError::StaleToken { given, highest, .. } => RedirectError::Stale {
            given,
            seen: highest,
        },
        ProxyError::Refused { target, by, .. } => RedirectError::Fenced {
            endpoint: Endpoint(target.to_string()),
            by,
        },
        error @ (ProxyError::NoRoutes
        | ProxyError::DuplicateRoute { .. }
        | ProxyError::AddressInUse { .. }
        | ProxyError::Bind { .. }
        | ProxyError::ZeroLimit { .. }
        | ProxyError::UnknownRoute { .. }
        | ProxyError::Loop { .. }
        | ProxyError::Unreachable { .. }
        | ProxyError::Silent { .. }
        | ProxyError::Stopped { .. }) => RedirectError::Unchanged(error.to_string()),
    }
}

#[async_trait]
impl Redirector for ProxyRedirector {
    fn kind(&self) -> &'static str {
        "proxy"
    }

    fn entrance(&self) -> String {
        self.entrance_address()
            .map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    async fn current(&self) -> Result<Option<Endpoint>, RedirectError> {
        let target = self.handle.current(&self.route).map_err(redirect_error)?;
        Ok(Some(Endpoint(target.to_string())))
    }

    async fn point(&self, to: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        let target = target_of(to)?;
        // What cannot be is refused before it is remembered.
        if key.token >= self.memory.get().highest {
            self.handle
                .plan(&self.route, target)
                .map_err(redirect_error)?;
        }
        self.memory.decide_point(key.token, to)?;
        self.handle
            .point(&self.route, target, key.token)
            .map(|_before| ())
            .map_err(redirect_error)
    }

    async fn drain(&self, from: &Endpoint, key: StepKey) -> Result<Drained, RedirectError> {
        if self.handle.current(&self.route).map_err(redirect_error)? == target_of(from)? {
            return Err(RedirectError::Unchanged(format!(
                "new clients still go to {from}: point them elsewhere first"
            )));
        }
        self.memory.decide(key.token, |_| Ok(()))?;
        let began = self.clock.monotonic();
        let report = self
            .handle
            .drain(&self.route, self.drain, key.token)
            .await
            .map_err(redirect_error)?;
        Ok(Drained {
            finished: report.finished + report.broken + report.closed_idle,
            cut: report.cut,
            took: self.clock.monotonic().saturating_sub(began),
        })
    }

    async fn refuse(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        let target = target_of(endpoint)?;
        self.memory.decide_refuse(key.token, endpoint)?;
        self.handle
            .refuse(&self.route, target, key.token)
            .map_err(redirect_error)
    }

    async fn allow(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError> {
        let target = target_of(endpoint)?;
        self.memory.decide_allow(key.token, endpoint)?;
        self.handle
            .allow(&self.route, target, key.token)
            .map_err(redirect_error)
    }

    async fn reached(&self) -> Result<Endpoint, RedirectError> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let entrance = through(self.entrance_address()?);
        let target = self
            .handle
            .verify(&self.route)
            .await
            .map_err(redirect_error)?;
        let client = tokio::net::TcpStream::connect(entrance);
        let connected = tokio::time::timeout(PATIENCE, client).await;
        let _client = match connected {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                return Err(RedirectError::Unchanged(format!(
                    "cannot connect to {entrance}: {error}"
                )));
            }
            Err(_) => {
                return Err(RedirectError::Unchanged(format!(
                    "{entrance} did not answer"
                )));
            }
        };
        // Accepted is not yet relayed: wait until the proxy counts a connection to the target.
        let relayed = async {
            loop {
                let stats = self.handle.stats();
                let open = stats
                    .routes
                    .iter()
                    .find(|route| route.name == self.route)
                    .map(|route| &route.open);
                if open.is_some_and(|open| open.get(&target).is_some_and(|count| *count > 0)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, relayed).await {
            Ok(()) => Ok(Endpoint(target.to_string())),
            Err(_) => Err(RedirectError::Unchanged(format!(
                "a client of {entrance} was not led to {target}"
            ))),
        }
    }
}

/// Where a client on this machine reaches a listener.
fn through(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::failover::Step;
    use evenkeel_core::{FencingToken, RunId, Timestamp};
    use evenkeel_ports::fake::FakeClock;

    fn key(token: u64) -> StepKey {
        StepKey {
            run: RunId(1),
            step: Step::Redirect,
            token: FencingToken(token),
        }
    }

    /// Accepts and keeps what comes.
    async fn instance() -> Endpoint {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint(listener.local_addr().unwrap().to_string());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        endpoint
    }

    fn open(first: &Endpoint, state: &std::path::Path) -> ProxyRedirector {
        let config: ProxyConfig =
            serde_json::from_str(r#"{"listen": "127.0.0.1:0", "drain": {"way": "move"}}"#).unwrap();
        let clock = Arc::new(FakeClock::at(Timestamp::from_millis(0)));
        ProxyRedirector::new(
            &"web".into(),
            &config,
            first,
            state.join("redirect.json"),
            clock,
        )
        .unwrap()
    }

    #[tokio::test]
    async fn clients_are_moved_drained_and_the_move_outlives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (instance().await, instance().await);
        let proxy = open(&a, directory.path());
        assert_eq!(proxy.reached().await, Ok(a.clone()));
        let _old_client = tokio::net::TcpStream::connect(proxy.entrance())
            .await
            .unwrap();
        assert!(matches!(
            proxy.drain(&a, key(1)).await,
            Err(RedirectError::Unchanged(_))
        ));
        proxy.point(&b, key(2)).await.unwrap();
        proxy.point(&b, key(2)).await.unwrap();
        assert_eq!(proxy.reached().await, Ok(b.clone()));
        proxy.drain(&a, key(2)).await.unwrap();
        proxy.refuse(&a, key(3)).await.unwrap();
        assert!(matches!(
            proxy.point(&a, key(3)).await,
            Err(RedirectError::Fenced { .. })
        ));
        assert!(matches!(
            proxy.point(&a, key(1)).await,
            Err(RedirectError::Stale { .. })
        ));
        let proxy = open(&a, directory.path());
        assert_eq!(proxy.current().await, Ok(Some(b)));
        assert!(matches!(
            proxy.point(&a, key(2)).await,
            Err(RedirectError::Stale { .. })
        ));
        assert!(matches!(
            proxy.point(&a, key(3)).await,
            Err(RedirectError::Fenced { .. })
        ));
        proxy.allow(&a, key(3)).await.unwrap();
        proxy.point(&a, key(3)).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_reached_when_the_instance_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let gone = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let proxy = open(&Endpoint(gone.to_string()), directory.path());
        assert!(matches!(
            proxy.reached().await,
            Err(RedirectError::Unchanged(_))
        ));
    }
}
