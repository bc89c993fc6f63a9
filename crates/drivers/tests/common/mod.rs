//! A world for the tests of drivers: directories, addresses, and a service that is this very program.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a module of each test program, which uses its own part"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_core::failover::Step;
use evenkeel_core::generation::Choice;
use evenkeel_core::{FencingToken, GenerationId, RunId, Timestamp};
use evenkeel_drivers::{BuildContext, build};
use evenkeel_ports::{Clock, Driver, StepKey};
use serde_json::{Value, json};

const CHILD: &str = "KEEL_TEST_CHILD";

/// A clock that moves one millisecond each time it is asked.
#[derive(Debug, Default)]
pub struct CountingClock(AtomicU64);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        now()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// Some instant.
pub fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// A step of some saga with this token.
pub fn key(token: u64) -> StepKey {
    StepKey {
        run: RunId(1),
        step: Step::Activate,
        token: FencingToken(token),
    }
}

/// Everything of one generation.
pub fn choice(id: GenerationId) -> Choice {
    Choice {
        config_from: id,
        data_from: id,
        config_at: now(),
        data_at: now(),
    }
}

/// Nobody answers there.
pub fn quiet(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

/// The process on record at a place.
pub fn record_pid(world: &World, label: &str) -> Option<u64> {
    let bytes = std::fs::read(world.path(&format!("state/{label}/process.json"))).ok()?;
    serde_json::from_slice::<Value>(&bytes)
        .ok()?
        .get("process")?
        .get("pid")?
        .as_u64()
}

/// A resource in a directory of its own. Stops what is left of it when dropped.
pub struct World {
    pub directory: tempfile::TempDir,
    pub a: SocketAddr,
    pub b: SocketAddr,
}

impl World {
    pub fn new() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (a, b) = (free(), free());
        let (a, b) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            a,
            b,
        };
        world.write("a/config/app.toml", &world.app("ok"));
        world.write("a/data/rows", "one\n");
        world
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    pub fn write(&self, relative: &str, content: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The configuration of the service, which behaves as `mode` says.
    pub fn app(&self, mode: &str) -> String {
        let root = self.path("a/config");
        format!(
            "address = \"{}\"\nworkers = 4\nmode = \"{mode}\"\nroot = \"{}\"\npassword = \"hunter2\"\n",
            self.a,
            root.display()
        )
    }

    pub fn driver(&self, more: Value) -> Arc<dyn Driver> {
        let exe = std::env::current_exe().unwrap();
        let place = |name: &str, address: SocketAddr| json!({"config": self.path(&format!("{name}/config")), "data": self.path(&format!("{name}/data")), "address": address});
        let mut config = json!({
            "a": place("a", self.a),
            "b": place("b", self.b),
            "start": [exe, "service_child", "--exact", "--nocapture"],
            "env": {CHILD: "{config}/app.toml"},
            "health": {"http": "/", "interval": "20ms"},
            "stop_grace": "2s",
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        self.build("service", config)
    }

    pub fn build(&self, kind: &str, config: Value) -> Arc<dyn Driver> {
        let context = BuildContext {
            resource: "web".into(),
            state_dir: self.path("state"),
            redaction_key: [7; 32],
            clock: Arc::new(CountingClock::default()),
        };
        build(kind, config, context).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for label in ["a", "b", "rehearsal"] {
            // Only what carries this world's marker or is on its record, and never this program.
            if let Some(pid) =
                record_pid(self, label).filter(|pid| *pid != u64::from(std::process::id()))
            {
                let _ = std::process::Command::new("kill")
                    .args(["-9", &pid.to_string()])
                    .output();
            }
        }
    }
}

/// The service: reads its configuration, then answers, hangs or dies, as that says.
pub fn serve_if_asked() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    // In case that whoever started it is gone: no test takes this long.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(120));
        std::process::exit(0);
    });
    let text = std::fs::read_to_string(path).unwrap();
    let value = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} = \"")))
            .unwrap();
        line.trim_end_matches('"').to_owned()
    };
    let listener = TcpListener::bind(value("address")).unwrap();
    println!("service is up");
    match value("mode").as_str() {
        "die" => std::process::exit(7),
        mode => {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if mode == "hang" {
                    kept.push(stream);
                    continue;
                }
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        }
    }
}
