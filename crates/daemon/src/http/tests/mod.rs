//! The API as a client sees it: a real server on a real socket, over the embedded store, with a driver in
//! memory.

mod acting;
mod problems;
mod reading;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel_api::Client;
use evenkeel_api::wire::{PhaseKind, Problem};
use evenkeel_core::failover::Capabilities;
use evenkeel_core::property::{Observed, Value};
use evenkeel_core::{Instance, ResourceId};
use evenkeel_ports::fake::{Call, FakeDriver, Fault, Faults};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::{AppState, Registry, bind, serve};
use crate::engine::{self, Parts, ResourceHandle};
use crate::testing::{settings, world};

/// How often something is looked at until it is so.
const LOOKS: usize = 2000;

/// Syncs fail while this says so.
#[derive(Debug, Default)]
struct Trouble {
    sync: AtomicBool,
}

impl Faults for Trouble {
    fn draw(&self, call: Call) -> Fault {
        if call == "driver.sync" && self.sync.load(Ordering::SeqCst) {
            Fault::Fails
        } else {
            Fault::None
        }
    }
}

/// A daemon's API with what is behind it.
struct Site {
    client: Client,
    driver: Arc<FakeDriver>,
    trouble: Arc<Trouble>,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Site {
    /// Without any resource.
    async fn empty() -> Self {
        Self::start(&[]).await
    }

    /// With one resource, `web`, that settles within moments.
    async fn with_web() -> Self {
        Self::start(&["web"]).await
    }

    /// With one resource that is guarded.
    async fn guarded() -> Self {
        let site = Self::with_web().await;
        site.until("web is guarded", async || {
            let status = site.client.status().await.unwrap();
            status.resources[0].phase == PhaseKind::Guarded && status.resources[0].worst.is_none()
        })
        .await;
        site
    }

    async fn start(resources: &[&str]) -> Self {
        Self::start_with(resources, |_, _| {}).await
    }

    /// With the server's state and the resources as `adjust` leaves them.
    async fn start_with(
        resources: &[&str],
        adjust: impl FnOnce(&mut AppState, &mut Vec<(ResourceId, ResourceHandle)>),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = world(dir.path()).await;
        let trouble = Arc::<Trouble>::default();
        let properties = [
            (
                "conf/workers".into(),
                Observed::configuration(Value::Number(4.0)),
            ),
            (
                "conf/level".into(),
                Observed::configuration(Value::Choice("warn".into())),
            ),
            ("memory".into(), Observed::capacity(100.0, Some("MiB"))),
        ];
        let capabilities = Capabilities {
            single_writer: false,
            has_traffic: false,
            has_data: false,
            can_rehearse: true,
        };
        let driver = Arc::new(FakeDriver::new(
            capabilities,
            properties.into(),
            trouble.clone(),
        ));
        let mut handles = Vec::new();
        for name in resources {
            let parts = Parts {
                settings: Arc::new(settings(name)),
                driver: driver.clone(),
                redirector: None,
                world: world.clone(),
            };
            handles.push((
                (*name).into(),
                engine::start(parts, Vec::new()).await.unwrap(),
            ));
        }
        let mut state = AppState::new(Registry::new(), world);
        adjust(&mut state, &mut handles);
        state.registry.set(handles);
        let socket = dir.path().join("evenkeel.sock");
        let listener = bind(&socket).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, state, async move {
            stopped.await.ok();
        }));
        Self {
            client: Client::new(socket),
            driver,
            trouble,
            stop,
            server,
            dir,
        }
    }

    /// Looks again and again until it is so.
    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..LOOKS {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{what}: not within {LOOKS} looks");
    }

    /// A person's hand on the primary.
    fn set_workers(&self, workers: f64) {
        self.driver.alter(Instance::A, |place| {
            let found = Observed::configuration(Value::Number(workers));
            place.properties.insert("conf/workers".into(), found);
        });
    }

    /// Sends bytes as they are, and gives back status and body.
    async fn raw(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(self.client.socket()).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status >= 400 {
            assert!(head.contains(Problem::MEDIA_TYPE), "{head}");
        }
        (status, body.to_owned())
    }

    /// The same, where a problem is awaited.
    async fn problem(&self, method: &str, path: &str, body: &str) -> Problem {
        let (status, body) = self.raw(method, path, body).await;
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!(problem.status, status);
        problem
    }
}
