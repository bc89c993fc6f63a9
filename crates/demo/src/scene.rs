//! The stage set: directories, addresses, the service's configuration and the daemon's.
//!
//! Everything lies below one directory. Its lock file is held for as long as the scene stands, and
//! the services end when it is let go.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use evenkeel_daemon::config::{Config, Problems};

/// The resource's name.
pub(crate) const RESOURCE: &str = "shop";
/// The property that drifts.
pub(crate) const PROPERTY: &str = "app.toml/pool/max_connections";
/// Its approved value.
pub(crate) const APPROVED: u64 = 400;
/// The value at which the service fails.
pub(crate) const LIMIT: u64 = 1024;

/// The configuration of the service, as instance a has it at first.
const APP_TOML: &str = include_str!("app.toml");
/// The daemon's configuration, with `@NAMES@` for what is only known when the scene is set.
const EVENKEEL_TOML: &str = include_str!("evenkeel.toml");

/// Sockets have short names: the kernel takes 107 bytes.
const SOCKET_BYTES_MAX: usize = 107;

/// Why the scene cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// A directory or a file could not be made.
    #[error("{}: {source}", .path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory of the user's is in use.
    #[error("{} is not empty: name a directory that is empty or not there", .0.display())]
    NotEmpty(PathBuf),
    /// Its path cannot be written into a configuration.
    #[error("{} is not UTF-8: choose another directory with --dir", .0.display())]
    NotText(PathBuf),
    /// The socket's name would be too long.
    #[error("{} is too long for a socket: choose a shorter directory with --dir", .0.display())]
    TooLong(PathBuf),
    /// The machine has no address to give.
    #[error("no free port on 127.0.0.1 below the range of ephemeral ports: {0}")]
    NoPort(io::Error),
    /// The program itself cannot be found, to start the service with.
    #[error("the path of this program is not known: {0}")]
    NoProgram(io::Error),
    /// The configuration that was written is refused.
    #[error(transparent)]
    Config(#[from] Problems),
}

/// The scene.
#[derive(Debug)]
pub(crate) struct Scene {
    directory: PathBuf,
    /// Removes the directory when dropped, where it is ours.
    temporary: Option<tempfile::TempDir>,
    lock: File,
    entrance: SocketAddr,
    a: SocketAddr,
    b: SocketAddr,
    config: Config,
}

impl Scene {
    /// Sets the scene in `directory`, or in a temporary one.
    pub(crate) fn set(directory: Option<&Path>) -> Result<Self, SceneError> {
        let (directory, temporary) = match directory {
            Some(named) => (claim(named)?, None),
            None => {
                let made = tempfile::Builder::new().prefix("evenkeel-demo-").tempdir();
                let made = made.map_err(|source| at(&std::env::temp_dir(), source))?;
                (made.path().to_path_buf(), Some(made))
            }
        };
        for tree in ["a/config", "a/data", "b"] {
            let path = directory.join(tree);
            std::fs::create_dir_all(&path).map_err(|source| at(&path, source))?;
        }
        write(&directory.join("a/config/app.toml"), APP_TOML)?;
        let lock_path = directory.join("running.lock");
        let lock = File::create(&lock_path).and_then(|file| file.lock().map(|()| file));
        let lock = lock.map_err(|source| at(&lock_path, source))?;
        let [entrance, a, b] = free_addresses().map_err(SceneError::NoPort)?;
        let program = std::env::current_exe().map_err(SceneError::NoProgram)?;
        let socket = directory.join("evenkeel.sock");
        if socket.as_os_str().len() > SOCKET_BYTES_MAX {
            return Err(SceneError::TooLong(socket));
        }
        let text = config_text(&directory, &program, [entrance, a, b])?;
        let config_path = directory.join("evenkeel.toml");
        write(&config_path, &text)?;
        let config = evenkeel_daemon::config::parse(&config_path, &text)?;
        Ok(Self {
            directory,
            temporary,
            lock,
            entrance,
            a,
            b,
            config,
        })
    }

    /// The daemon's configuration.
    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// Where everything lies.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The log of everything that runs in this process.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("evenkeel.log")
    }

    /// Where clients come in.
    pub(crate) fn entrance(&self) -> SocketAddr {
        self.entrance
    }

    /// Where instance a listens.
    pub(crate) fn a(&self) -> SocketAddr {
        self.a
    }

    /// The file of instance a that the tuner rewrites.
    pub(crate) fn file_of_a(&self) -> PathBuf {
        self.directory.join("a/config/app.toml")
    }

    /// A place beside the trees.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.directory.join("tuner.new")
    }

    /// Whether the file of instance a is byte for byte the approved one: read from where it is.
    pub(crate) fn a_is_as_approved(&self) -> bool {
        std::fs::read(self.file_of_a()).is_ok_and(|found| found == APP_TOML.as_bytes())
    }

    /// The data that instance b has.
    pub(crate) fn data_of_b(&self) -> PathBuf {
        self.directory.join("b/data/counts.log")
    }

    /// Keeps the directory, whatever happens.
    pub(crate) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // The path is known already.
            let _ = temporary.keep();
        }
    }

    /// Ends the services, waits until they are gone, and removes what was ours.
    pub(crate) async fn strike(self) {
        const LOOKS: u32 = 100;
        drop(self.lock);
        for _ in 0..LOOKS {
            let a = tokio::net::TcpStream::connect(self.a).await;
            let b = tokio::net::TcpStream::connect(self.b).await;
            if a.is_err() && b.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn at(path: &Path, source: io::Error) -> SceneError {
    SceneError::Path {
        path: path.to_path_buf(),
        source,
    }
}

fn write(path: &Path, text: &str) -> Result<(), SceneError> {
    std::fs::write(path, text).map_err(|source| at(path, source))
}

/// A directory of the user's, made if need be, and empty.
fn claim(named: &Path) -> Result<PathBuf, SceneError> {
    std::fs::create_dir_all(named).map_err(|source| at(named, source))?;
    let mut entries = std::fs::read_dir(named).map_err(|source| at(named, source))?;
    if entries.next().is_some() {
        return Err(SceneError::NotEmpty(named.to_path_buf()));
    }
    named.canonicalize().map_err(|source| at(named, source))
}

fn config_text(
    directory: &Path,
    program: &Path,
    [entrance, a, b]: [SocketAddr; 3],
) -> Result<String, SceneError> {
    let quoted = |path: &Path| {
        let text = path
            .to_str()
            .ok_or_else(|| SceneError::NotText(path.to_path_buf()))?;
        Ok::<_, SceneError>(toml::Value::from(text).to_string())
    };
    let mut text = EVENKEEL_TOML.to_owned();
    for (name, value) in [
        ("@PROGRAM@", quoted(program)?),
        ("@LOCK@", quoted(&directory.join("running.lock"))?),
        ("@ENTRANCE@", entrance.to_string()),
        ("@A@", a.to_string()),
        ("@B@", b.to_string()),
        ("@PROPERTY@", PROPERTY.to_owned()),
        ("@LIMIT@", LIMIT.to_string()),
    ] {
        text = text.replace(name, &value);
    }
    Ok(text)
}

/// Three free addresses, *below* the range from which the system takes the ports of outgoing
/// connections: the port of instance b is only bound at the failover, and one of thousands of client
/// connections might have it by then.
fn free_addresses() -> io::Result<[SocketAddr; 3]> {
    const LOWEST: u16 = 20_000;
    let above = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse::<u16>().ok())
        .filter(|first| *first > LOWEST + 100)
        .unwrap_or(32_768);
    let span = u32::from(above - LOWEST);
    // Two demonstrations at once begin to look at different places.
    let offset = std::process::id().wrapping_mul(37) % span;
    let mut held: Vec<TcpListener> = Vec::new();
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for tried in 0..span {
        let port = LOWEST + u16::try_from((offset + tried) % span).unwrap_or(0);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => held.push(listener),
            Err(error) => refused = error,
        }
        if let [first, second, third] = held.as_slice() {
            return Ok([
                first.local_addr()?,
                second.local_addr()?,
                third.local_addr()?,
            ]);
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scene_is_set_with_a_configuration_that_the_daemon_takes() {
        let scene = Scene::set(None).unwrap();
        let config = scene.config();
        assert_eq!(config.resources.len(), 1);
        assert_eq!(config.resources[0].settings.name.as_str(), RESOURCE);
        assert!(scene.a_is_as_approved());
        assert!(config.socket.starts_with(scene.directory()));
        let mut addresses = vec![scene.entrance, scene.a, scene.b];
        addresses.dedup();
        assert_eq!(addresses.len(), 3);
        let directory = scene.directory().to_path_buf();
        drop(scene);
        assert!(
            !directory.exists(),
            "a temporary directory goes with the scene"
        );
    }

    #[test]
    fn the_approved_value_and_the_limit_are_those_of_the_file() {
        let file: toml::Table = toml::from_str(APP_TOML).unwrap();
        let at = |table: &str, key: &str| file[table][key].as_integer().unwrap();
        assert_eq!(
            u64::try_from(at("pool", "max_connections")).unwrap(),
            APPROVED
        );
        assert_eq!(u64::try_from(at("limits", "open_files")).unwrap(), LIMIT);
    }

    #[test]
    fn a_directory_in_use_is_left_alone_and_one_that_is_kept_stays() {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("x"), "mine").unwrap();
        assert!(matches!(
            Scene::set(Some(outer.path())),
            Err(SceneError::NotEmpty(_))
        ));
        let inner = outer.path().join("new");
        drop(Scene::set(Some(&inner)).unwrap());
        assert!(inner.join("evenkeel.toml").exists());
        let long = outer.path().join("x".repeat(100));
        assert!(matches!(
            Scene::set(Some(&long)),
            Err(SceneError::TooLong(_))
        ));
    }

    #[test]
    fn ports_are_free_and_not_ephemeral() {
        let addresses = free_addresses().unwrap();
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(
            addresses.iter().all(|address| address.port() < first),
            "{addresses:?}"
        );
    }
}
