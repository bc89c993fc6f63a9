//! What stands on the machine that Evenkeel could watch: the table of known configuration trees, and
//! what reading each of them shows.
//!
//! Left out on purpose: processes. What is there may be stopped, and what runs may keep its
//! configuration somewhere else; `init` proposes, its user decides.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use evenkeel_core::Timestamp;
use evenkeel_core::property::Origin;
use evenkeel_drivers::tree::{TreeOptions, TreeReading, read_tree};
use globset::Glob;

/// A kind of configuration tree that is known.
pub(super) struct Known {
    /// The resource's name.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
    /// Where it may be, from the root; `*` stands for any one directory.
    places: &'static [&'static str],
    /// The file in it by which it is told.
    marker: &'static str,
    /// Only these belong to it; everything where empty.
    pub(super) include: &'static [&'static str],
    /// These do not.
    pub(super) exclude: &'static [&'static str],
    /// Numbers that matter, as the ends of their paths, and why they do.
    pub(super) hints: &'static [(&'static str, &'static str)],
    /// Values that may hold a secret although their name does not say so.
    pub(super) redact: &'static [&'static str],
    /// Checks a tree of this kind.
    pub(super) check: Option<&'static str>,
    /// The service in it, as a commented part of a configuration.
    pub(super) service: Option<&'static str>,
}

const PLAIN: Known = Known {
    name: "",
    title: "",
    places: &[],
    marker: "",
    include: &[],
    exclude: &[],
    hints: &[],
    redact: &[],
    check: None,
    service: None,
};

/// All that are known, in the order in which they are proposed.
const KNOWN: &[Known] = &[
    Known {
        name: "nginx",
        title: "nginx",
        places: &["etc/nginx"],
        marker: "nginx.conf",
        hints: &[
            (
                "worker_connections",
                "clients that one worker serves at a time",
            ),
            (
                "keepalive_timeout",
                "how long idle clients hold a connection",
            ),
            ("client_max_body_size", "the largest upload"),
        ],
        redact: &["**/proxy_set_header?Authorization?"],
        check: Some(r#"["nginx", "-t", "-c", "{config}/nginx.conf"]"#),
        service: Some(include_str!("templates/service_nginx.toml")),
        ..PLAIN
    },
    Known {
        name: "haproxy",
        title: "HAProxy",
        places: &["etc/haproxy"],
        marker: "haproxy.cfg",
        hints: &[
            ("maxconn", "connections at a time"),
            ("timeout/client", "how long a silent client is kept"),
            ("timeout/server", "how long a silent server is waited for"),
        ],
        check: Some(r#"["haproxy", "-c", "-f", "{config}/haproxy.cfg"]"#),
        service: Some(include_str!("templates/service_haproxy.toml")),
        ..PLAIN
    },
    Known {
        name: "postgresql",
        title: "PostgreSQL (configuration files only)",
        places: &[
            "etc/postgresql/*/*",
            "var/lib/pgsql/data",
            "var/lib/postgresql/data",
        ],
        marker: "postgresql.conf",
        include: &["*.conf", "conf.d/**"],
        hints: &[
            ("max_connections", "clients at a time"),
            ("shared_buffers", "memory that all share"),
            ("work_mem", "memory of one sort, times many"),
        ],
        // A connection string has its password inside.
        redact: &["**/primary_conninfo"],
        ..PLAIN
    },
    Known {
        name: "redis",
        title: "Redis",
        places: &["etc/redis", "etc/valkey"],
        marker: "redis.conf",
        hints: &[
            ("maxmemory", "memory before keys are evicted"),
            ("maxclients", "clients at a time"),
        ],
        redact: &["**/requirepass", "**/masterauth"],
        ..PLAIN
    },
    Known {
        name: "apache",
        title: "Apache httpd",
        places: &["etc/apache2"],
        marker: "apache2.conf",
        check: Some(r#"["apache2ctl", "-t", "-f", "{config}/apache2.conf"]"#),
        ..PLAIN
    },
    Known {
        name: "httpd",
        title: "Apache httpd",
        places: &["etc/httpd"],
        marker: "conf/httpd.conf",
        check: Some(r#"["httpd", "-t", "-f", "{config}/conf/httpd.conf"]"#),
        ..PLAIN
    },
    Known {
        name: "mysql",
        title: "MySQL or MariaDB (configuration files only)",
        places: &["etc/mysql"],
        marker: "my.cnf",
        hints: &[("max_connections", "clients at a time")],
        ..PLAIN
    },
    Known {
        name: "prometheus",
        title: "Prometheus",
        places: &["etc/prometheus"],
        marker: "prometheus.yml",
        hints: &[
            ("scrape_interval", "how often targets are asked"),
            ("evaluation_interval", "how often rules are evaluated"),
        ],
        check: Some(r#"["promtool", "check", "config", "{config}/prometheus.yml"]"#),
        ..PLAIN
    },
    Known {
        name: "keepalived",
        title: "keepalived",
        places: &["etc/keepalived"],
        marker: "keepalived.conf",
        check: Some(r#"["keepalived", "-t", "-f", "{config}/keepalived.conf"]"#),
        ..PLAIN
    },
    Known {
        name: "sshd",
        title: "OpenSSH server",
        places: &["etc/ssh"],
        marker: "sshd_config",
        // Host keys are the machine's own: nothing of another time or place should bring them back.
        exclude: &["ssh_host_*"],
        hints: &[
            ("MaxAuthTries", "attempts before a client is cut off"),
            ("LoginGraceTime", "how long a login may take"),
            ("ClientAliveInterval", "how often silent clients are asked"),
        ],
        check: Some(r#"["sshd", "-t", "-f", "{config}/sshd_config"]"#),
        ..PLAIN
    },
    Known {
        name: "systemd",
        title: "units of this machine's own",
        places: &["etc/systemd"],
        marker: "system",
        hints: &[
            ("LimitNOFILE", "files a service may have open"),
            ("TasksMax", "processes and threads of a service"),
            ("MemoryMax", "memory of a service"),
        ],
        redact: &["**/Environment*"],
        ..PLAIN
    },
];

/// A configuration tree that is there.
pub(super) struct Found {
    pub(super) known: &'static Known,
    /// The resource's name, unique among those that were found.
    pub(super) name: String,
    pub(super) tree: PathBuf,
    /// Values that were read.
    pub(super) properties: usize,
    /// Values that are kept as hashes only.
    pub(super) secrets: usize,
    /// Places that could not be read.
    pub(super) unreadable: usize,
    pub(super) numbers: Vec<Number>,
    /// It has certificates, whose expiry is foreseen.
    pub(super) has_certificates: bool,
}

/// A number in a tree that is worth a rule.
pub(super) struct Number {
    /// The glob that leads to it.
    pub(super) pattern: String,
    /// Where it was found.
    pub(super) path: String,
    pub(super) value: f64,
    pub(super) unit: Option<String>,
    /// What it is.
    pub(super) why: &'static str,
}

/// What a search shows.
#[derive(Default)]
pub(super) struct Search {
    pub(super) found: Vec<Found>,
    /// Places that are there and cannot be looked into, with the reason.
    pub(super) closed: Vec<(PathBuf, String)>,
}

/// Looks for everything that is known below `root`.
pub(super) fn search(root: &Path, now: Timestamp) -> Search {
    let mut search = Search::default();
    let mut names = BTreeSet::new();
    for known in KNOWN {
        for place in known.places {
            for tree in directories(root, place) {
                match tree.join(known.marker).metadata() {
                    Ok(_) => {
                        let name = unused_name(known.name, place, &tree, &mut names);
                        search.found.push(read(known, name, tree, now));
                    }
                    Err(error) if is_absent(&error) => {}
                    Err(error) => search.closed.push((tree, error.to_string())),
                }
            }
        }
    }
    search
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The directories that a place with `*` stands for, in order.
fn directories(root: &Path, place: &str) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    for part in place.split('/') {
        found = found
            .into_iter()
            .flat_map(|directory| match part {
                "*" => {
                    let listed = std::fs::read_dir(&directory)
                        .into_iter()
                        .flatten()
                        .flatten();
                    let mut below: Vec<PathBuf> = listed.map(|entry| entry.path()).collect();
                    below.sort();
                    below
                }
                part => vec![directory.join(part)],
            })
            .collect();
    }
    found
}

/// The kind's name; where a kind may be there several times, with what `*` stands for.
fn unused_name(name: &str, place: &str, tree: &Path, taken: &mut BTreeSet<String>) -> String {
    let stars = place.split('/').filter(|part| *part == "*").count();
    let parts: Vec<_> = tree.iter().rev().take(stars).collect();
    let mut full = name.to_owned();
    for part in parts.into_iter().rev() {
        let kept = part
            .to_string_lossy()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        full.push('-');
        full.push_str(&kept);
    }
    full.truncate(60);
    let mut unique = full.clone();
    for number in 2.. {
        if taken.insert(unique.clone()) {
            break;
        }
        unique = format!("{full}-{number}");
    }
    unique
}

fn read(known: &'static Known, name: String, tree: PathBuf, now: Timestamp) -> Found {
    let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let mut options = TreeOptions {
        include: owned(known.include),
        ..TreeOptions::default()
    };
    options.exclude.extend(owned(known.exclude));
    // The patterns are those of the table above, and a test reads one tree of each kind.
    let reading = read_tree(&tree, &options, now).unwrap_or_default();
    let has_certificates = reading
        .leaves
        .keys()
        .any(|path| path.as_str().ends_with("/@days_to_expiry"));
    Found {
        known,
        name,
        tree,
        properties: reading.leaves.len(),
        secrets: reading.secret.len(),
        unreadable: reading.unreadable.len(),
        numbers: numbers(known, &reading),
        has_certificates,
    }
}

fn numbers(known: &Known, reading: &TreeReading) -> Vec<Number> {
    let number = |(end, why): &(&str, &'static str)| {
        let pattern = format!("**/{end}");
        let glob = Glob::new(&pattern).ok()?.compile_matcher();
        reading
            .leaves
            .iter()
            .filter(|(path, found)| {
                found.origin == Origin::Configuration
                    && !reading.secret.contains(*path)
                    && glob.is_match(path.as_str())
            })
            .find_map(|(path, found)| {
                let value = found.value.as_number().filter(|value| *value > 0.0)?;
                Some(Number {
                    pattern: pattern.clone(),
                    path: path.to_string(),
                    value,
                    unit: found.unit.clone(),
                    why,
                })
            })
    };
    known.hints.iter().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_tree_is_found_by_its_marker_and_read() {
        let root = tempfile::tempdir().unwrap();
        for known in KNOWN {
            for place in known.places {
                let tree = root.path().join(place.replace('*', "x"));
                let marker = tree.join(known.marker);
                std::fs::create_dir_all(marker.parent().unwrap()).unwrap();
                if known.marker == "system" {
                    std::fs::create_dir_all(&marker).unwrap();
                } else {
                    std::fs::write(&marker, "").unwrap();
                }
            }
        }
        let search = search(root.path(), Timestamp::from_millis(0));
        let places: usize = KNOWN.iter().map(|known| known.places.len()).sum();
        assert_eq!(search.found.len(), places);
        let names: BTreeSet<&String> = search.found.iter().map(|found| &found.name).collect();
        assert_eq!(names.len(), places, "{names:?}");
        assert!(
            search
                .found
                .iter()
                .all(|found| found.unreadable == 0 && found.properties > 0)
        );
        assert!(names.contains(&"postgresql-x-x".to_owned()), "{names:?}");
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let root = tempfile::tempdir().unwrap();
        let search = search(root.path(), Timestamp::from_millis(0));
        assert!(search.found.is_empty() && search.closed.is_empty());
    }

    #[test]
    fn numbers_that_matter_are_found_with_their_value() {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("etc/haproxy");
        std::fs::create_dir_all(&tree).unwrap();
        let text =
            "global\n  maxconn 2000\ndefaults\n  timeout client 50s\n  stats auth me:hunter2\n";
        std::fs::write(tree.join("haproxy.cfg"), text).unwrap();
        let search = search(root.path(), Timestamp::from_millis(0));
        let found = &search.found[0];
        let seen: Vec<_> = found
            .numbers
            .iter()
            .map(|n| (n.path.as_str(), n.value))
            .collect();
        assert!(
            seen.contains(&("haproxy.cfg/global/maxconn", 2000.0)),
            "{seen:?}"
        );
        assert!(
            seen.contains(&("haproxy.cfg/defaults/timeout/client", 50.0)),
            "{seen:?}"
        );
        assert_eq!(found.secrets, 1);
    }
}
