//! A client of the daemon over its Unix socket: one connection per call, one method per route.
//!
//! It leaves out retries: whether to ask again is the caller's decision, and an acting call that ran
//! out of time may have had its effect.

mod error;
mod exchange;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::ClientError;

use crate::routes::{self, Effect, Route, query_text};
use crate::wire::{
    AcceptRequest, ActRequest, Acted, ApproveRequest, AuditList, AuditQuery, AuditReport,
    BaselineDiff, BaselineHistory, BaselineView, ChangeList, ChangeQuery, EventDetail, EventList,
    EventQuery, FleetStatus, ForecastQuery, ForecastView, GenerationDiff, GenerationList, Health,
    HistoryQuery, JudgeRequest, PauseRequest, PropertyList, RehearseRequest, ResourceDetail,
    RunView, Series, WindowRequest,
};

/// How long a reading call may take.
const READING_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an acting call may take: a sync or a rehearsal answers when it is done.
const ACTING_TIMEOUT: Duration = Duration::from_secs(600);

/// Talks to the daemon behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    reading_timeout: Duration,
    acting_timeout: Duration,
}

impl Client {
    /// A client of the daemon at `socket`. Nothing is opened until a call is made.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            reading_timeout: READING_TIMEOUT,
            acting_timeout: ACTING_TIMEOUT,
        }
    }

    /// The same with another limit on how long any call may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.reading_timeout = timeout;
        self.acting_timeout = timeout;
        self
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    async fn call<A: DeserializeOwned>(
        &self,
        route: Route,
        path_and_query: String,
        body: Vec<u8>,
    ) -> Result<A, ClientError> {
        let timeout = match route.effect {
            Effect::Reading => self.reading_timeout,
            Effect::Acting => self.acting_timeout,
        };
        let exchange = exchange::exchange(&self.socket, route, &path_and_query, body);
        let answer = tokio::time::timeout(timeout, exchange)
            .await
            .map_err(|_| ClientError::TimedOut {
                socket: self.socket.clone(),
                route,
                after: timeout,
            })??;
        exchange::understand(&answer, route)
    }

    async fn get<A: DeserializeOwned>(
        &self,
        route: Route,
        names: &[&str],
    ) -> Result<A, ClientError> {
        self.call(route, route.path(names), Vec::new()).await
    }

    async fn query<Q: Serialize, A: DeserializeOwned>(
        &self,
        route: Route,
        names: &[&str],
        query: &Q,
    ) -> Result<A, ClientError> {
        self.call(route, route.path(names) + &query_text(query), Vec::new())
            .await
    }

    async fn post<B: Serialize>(
        &self,
        route: Route,
        resource: &str,
        body: &B,
    ) -> Result<Acted, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| ClientError::Malformed {
            route,
            what: format!("request: {e}"),
        })?;
        self.call(route, route.path(&[resource]), body).await
    }
}

macro_rules! methods {
    (
        get { $($get:ident($($name:ident),*) -> $got:ty = $get_route:ident;)+ }
        query { $($ask:ident($($ask_name:ident),*; $query:ty) -> $answer:ty = $ask_route:ident;)+ }
        post { $($act:ident($body:ty) = $act_route:ident;)+ }
    ) => {
        // Every method's documentation is the purpose of its route; they fail as `ClientError` says.
        #[allow(clippy::missing_errors_doc)]
        impl Client {
            $(
                #[doc = concat!("See [`routes::", stringify!($get_route), "`].")]
                pub async fn $get(&self, $($name: &str),*) -> Result<$got, ClientError> {
                    self.get(routes::$get_route, &[$($name),*]).await
                }
            )+
            $(
                #[doc = concat!("See [`routes::", stringify!($ask_route), "`].")]
                pub async fn $ask(
                    &self,
                    $($ask_name: &str,)*
                    query: &$query,
                ) -> Result<$answer, ClientError> {
                    self.query(routes::$ask_route, &[$($ask_name),*], query).await
                }
            )+
            $(
                #[doc = concat!("See [`routes::", stringify!($act_route), "`].")]
                pub async fn $act(&self, resource: &str, request: &$body) -> Result<Acted, ClientError> {
                    self.post(routes::$act_route, resource, request).await
                }
            )+
        }
    };
}

methods! {
    get {
        health() -> Health = HEALTH;
        status() -> FleetStatus = STATUS;
        resource(resource) -> ResourceDetail = RESOURCE;
        properties(resource) -> PropertyList = PROPERTIES;
        baseline(resource) -> BaselineView = BASELINE;
        baseline_diff(resource) -> BaselineDiff = BASELINE_DIFF;
        baseline_history(resource) -> BaselineHistory = BASELINE_HISTORY;
        generations(resource) -> GenerationList = GENERATIONS;
        generation_diff(resource, older, newer) -> GenerationDiff = GENERATION_DIFF;
        event(event) -> EventDetail = EVENT;
        run(run) -> RunView = RUN;
        audit_verify() -> AuditReport = AUDIT_VERIFY;
    }
    query {
        history(resource; HistoryQuery) -> Series = HISTORY;
        changes(resource; ChangeQuery) -> ChangeList = CHANGES;
        forecast(resource; ForecastQuery) -> ForecastView = FORECAST;
        events(; EventQuery) -> EventList = EVENTS;
        audit(; AuditQuery) -> AuditList = AUDIT;
    }
    post {
        baseline_accept(AcceptRequest) = BASELINE_ACCEPT;
        sync(ActRequest) = SYNC;
        rehearse(RehearseRequest) = REHEARSE;
        failover(ActRequest) = FAILOVER;
        switchover(ActRequest) = SWITCHOVER;
        failback(ActRequest) = FAILBACK;
        reinstate(ActRequest) = REINSTATE;
        approve(ApproveRequest) = APPROVE;
        pause(PauseRequest) = PAUSE;
        resume(ActRequest) = RESUME;
        judge(JudgeRequest) = JUDGE;
        window(WindowRequest) = WINDOW;
        release(ActRequest) = RELEASE;
    }
}
