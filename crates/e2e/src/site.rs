//! A web site on a machine of its own, as far as a directory and three ports can be one: nginx with a
//! configuration tree, pages as its data, and Evenkeel's configuration for them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use evenkeel_api::wire::Instance;
use evenkeel_testing::poll_until;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::drift::replace;
use crate::http::get;

/// What a test wants to be otherwise, as lines of TOML.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Lines of `[resource.policy]`.
    pub policy: &'static str,
    /// `[[resource.property]]` tables.
    pub properties: &'static str,
    /// The table of the health check.
    pub health: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: "mode = \"act\"",
            properties: "",
            health: r#"{ http = "/healthz", timeout = "2s" }"#,
        }
    }
}

/// The site. When it is dropped, whatever was started from its directory is ended.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
    /// Where instance a is reached.
    pub a: SocketAddr,
    /// Where instance b is reached.
    pub b: SocketAddr,
    /// Where clients come in.
    pub entrance: SocketAddr,
}

/// The value of `worker_connections` that is approved at first.
pub const WORKER_CONNECTIONS: u64 = 1024;

impl Site {
    /// Makes everything; nothing is started.
    pub fn new(setup: &Setup) -> Self {
        let site = Self {
            directory: tempfile::tempdir().unwrap(),
            a: free_address(),
            b: free_address(),
            entrance: free_address(),
        };
        for directory in ["a/etc/conf.d", "a/html"] {
            fs::create_dir_all(site.path(directory)).unwrap();
        }
        fs::write(site.page("index.html"), "hello\n").unwrap();
        fs::write(site.nginx_conf(), site.nginx_conf_text(WORKER_CONNECTIONS)).unwrap();
        fs::write(site.path("a/etc/conf.d/site.conf"), site.site_conf_text()).unwrap();
        fs::write(site.map(), map_text(40)).unwrap();
        site.configure(setup);
        site
    }

    /// Writes Evenkeel's configuration.
    pub fn configure(&self, setup: &Setup) {
        fs::write(self.config(), self.config_text(setup)).unwrap();
    }

    /// Starts the daemon.
    pub fn daemon(&self) -> Daemon {
        Daemon::start(&self.config(), &self.socket(), self.path("daemon.log"))
    }

    /// Starts one more daemon, which is expected to end at once.
    pub fn daemon_to_end(&self) -> Output {
        Daemon::run_to_end(&self.config())
    }

    /// Evenkeel's configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("evenkeel.toml")
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// Evenkeel's state directory.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Every alert that was sent, one per line.
    pub fn alerts(&self) -> String {
        fs::read_to_string(self.path("alerts")).unwrap_or_default()
    }

    /// A page of instance a.
    pub fn page(&self, name: &str) -> PathBuf {
        self.path("a/html").join(name)
    }

    /// The `nginx.conf` of instance a.
    pub fn nginx_conf(&self) -> PathBuf {
        self.path("a/etc/nginx.conf")
    }

    /// The `nginx.conf` of instance b, once there is one.
    pub fn nginx_conf_of_b(&self) -> PathBuf {
        self.path("b/etc/nginx.conf")
    }

    /// The map file of instance a.
    pub fn map(&self) -> PathBuf {
        self.path("a/etc/conf.d/moved.map")
    }

    /// Writes `worker_connections`, as a careful person would.
    pub fn set_worker_connections(&self, count: u64) {
        replace(&self.nginx_conf(), &self.nginx_conf_text(count));
    }

    /// The whole `nginx.conf` with another `worker_connections`.
    pub fn nginx_conf_text(&self, worker_connections: u64) -> String {
        // Relative paths start from the prefix (-p), includes from the file's own directory. As root
        // the workers must still reach a private directory; for others nginx ignores `user`.
        format!(
            "user root;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr warn;\n\
             events {{\n  worker_connections {worker_connections};\n}}\n\
             http {{\n  access_log off;\n  client_body_temp_path body;\n  proxy_temp_path proxy;\n  \
             fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n  \
             map_hash_max_size 8192;\n  include conf.d/*.conf;\n}}\n"
        )
    }

    fn site_conf_text(&self) -> String {
        let (address, root) = (self.a, self.path("a/html"));
        format!(
            "map $uri $moved {{\n  default \"\";\n  include conf.d/moved.map;\n}}\n\
             server {{\n  listen {address};\n  root {};\n  add_header X-Served-By $server_port;\n  \
             location = /healthz {{ return 200 \"well\\n\"; }}\n  \
             location / {{ if ($moved) {{ return 301 $moved; }} }}\n}}\n",
            root.display()
        )
    }

    fn config_text(&self, setup: &Setup) -> String {
        let (a, b, entrance) = (self.a, self.b, self.entrance);
        let Setup {
            policy,
            properties,
            health,
        } = setup;
        format!(
            r#"[daemon]
state_dir = "state"
socket = "socket"

[alerts]
command = ["sh", "-c", "cat >> {alerts}"]

[[resource]]
name = "web"
rehearse = "never"
redirect = {{ proxy = {{ listen = "{entrance}", drain = {{ idle = "40ms", grace = "5s" }} }} }}

[resource.service]
start = ["nginx", "-c", "{{config}}/nginx.conf", "-p", "{{run}}", "-g", "daemon off;"]
signal = "HUP"
stop_signal = "QUIT"
stop_grace = "3s"
start_timeout = "8s"
adopt = true
a = {{ config = "a/etc", data = "a/html", address = "{a}" }}
b = {{ config = "b/etc", data = "b/html", address = "{b}" }}
health = {health}

[resource.policy]
sample_every = "200ms"
settle = "1s"
horizon = "20s"
warm_up = "0s"
{policy}

{properties}
"#,
            alerts = self.path("alerts").display()
        )
    }

    /// Asserts that exactly one instance answers, that it is `expected`, and that clients reach it.
    pub fn assert_served_by(&self, expected: Instance) {
        let (serving, other) = match expected {
            Instance::A => (self.a, self.b),
            Instance::B => (self.b, self.a),
        };
        let reply = get(self.entrance, "/").unwrap();
        assert_eq!(
            (reply.status, reply.port),
            (200, Some(serving.port())),
            "{reply:?}"
        );
        assert!(get(other, "/").is_err(), "{other} answers, too");
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }
}

/// A map file of so many entries.
pub fn map_text(entries: u64) -> String {
    (0..entries)
        .map(|i| format!("/old-{i} /new-{i};\n"))
        .collect()
}

/// An address that nobody has, from below the range that outgoing connections get theirs from.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    // Other test programs may run at the same time: each starts elsewhere.
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT)).unwrap();
    for _ in 0..1000 {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + offset));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port from {FIRST} on");
}

impl Drop for Site {
    fn drop(&mut self) {
        for pid in started_from(self.directory.path()) {
            // It may have ended by itself. A master that is told takes its workers along.
            let _ = kill_process(pid, Signal::TERM);
        }
        if !std::thread::panicking() {
            poll_until("everything has ended", Duration::from_secs(20), || {
                let left = started_from(self.directory.path());
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{left:?}"))
                }
            });
        }
    }
}

/// Processes that have the directory in their command line.
fn started_from(directory: &Path) -> Vec<Pid> {
    let directory = directory.to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let numbered = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbered
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&directory)
        })
        .filter_map(Pid::from_raw)
        .collect()
}
