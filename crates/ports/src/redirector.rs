//! A redirector moves the clients of one resource from one instance to another. One object serves one
//! resource.
//!
//! Contract: `point`, `refuse` and `allow` are idempotent, take effect at once and together, and are
//! refused ([`RedirectError::Stale`]) with a token lower than the highest seen. `point` at a refused
//! endpoint fails. The undo of a `point` is to point at what `current` said before.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::FencingToken;
use serde::{Deserialize, Serialize};

use crate::driver::StepKey;

/// Where an instance is found: `127.0.0.1:8080`, a path, a name; what it means is the redirector's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Endpoint(pub String);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How the old clients left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Left by themselves, or were idle when their connection was closed.
    pub finished: u64,
    /// Still busy when the grace time ended, and cut.
    pub cut: u64,
    /// How long it took.
    pub took: Duration,
}

/// Moves the clients of one resource; see the module's contract.
#[async_trait]
pub trait Redirector: Send + Sync + fmt::Debug {
    /// The kind's name in configurations: `proxy`, `link`.
    fn kind(&self) -> &'static str;

    /// The address at which clients come in, for people.
    fn entrance(&self) -> String;

    /// Where new clients are sent now.
    async fn current(&self) -> Result<Option<Endpoint>, RedirectError>;

    /// Sends new clients to `to` from now on.
    async fn point(&self, to: &Endpoint, key: StepKey) -> Result<(), RedirectError>;

    /// Lets those who are still on `from` finish, as the redirector's own policy says.
    async fn drain(&self, from: &Endpoint, key: StepKey) -> Result<Drained, RedirectError>;

    /// Never send anybody to `endpoint`, until allowed.
    async fn refuse(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError>;

    /// Takes back a `refuse`.
    async fn allow(&self, endpoint: &Endpoint, key: StepKey) -> Result<(), RedirectError>;

    /// Goes in the way clients do and says which endpoint answered.
    async fn reached(&self) -> Result<Endpoint, RedirectError>;
}

/// Why clients could not be moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// The caller's token is older than one already seen.
    #[error("refused: token {given} is older than {seen}, which already moved these clients")]
    Stale {
        /// The caller's.
        given: FencingToken,
        /// The highest seen.
        seen: FencingToken,
    },
    /// The endpoint is fenced.
    #[error("{endpoint} is fenced (by token {by}): unfence it before sending clients there")]
    Fenced {
        /// Which.
        endpoint: Endpoint,
        /// Who fenced it.
        by: FencingToken,
    },
    /// It did not work out; nothing changed.
    #[error("{0}")]
    Unchanged(String),
    /// It did not work out, and clients may or may not have moved.
    #[error("{0} (clients may have moved)")]
    MaybeChanged(String),
}
