//! What a configuration file comes to: defaults filled in, and everything checked that its types do
//! not say. All problems are found, not only the first.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_core::ResourceId;
use evenkeel_core::policy::Policy;
use evenkeel_drivers::config::{PerInstance, Span};
use evenkeel_drivers::files::FilesConfig;
use evenkeel_drivers::redirect::{LinkConfig, ProxyConfig};
use evenkeel_drivers::service::ServiceConfig;
use evenkeel_ports::RetentionPolicy;

use super::file;
use super::policy::{self, Checker};
use super::problem::{Key, Wrong};
use crate::networks;
use crate::settings::{KeepGenerations, Settings, SyncRhythm};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where state, history and clones are kept.
    pub state_dir: PathBuf,
    /// The Unix socket of the API.
    pub socket: PathBuf,
    /// How much of one core fitting forecasting models anew may take, 0 to 1.
    pub refit_cpu_share: f64,
    /// How networks are trained; `None`: there are none. Of its fields the file knows nothing.
    pub networks: Option<networks::Options>,
    /// How long history is kept.
    pub retention: RetentionPolicy,
    /// Gets each alert.
    pub alert_command: Option<Vec<String>>,
    /// In the order of the file.
    pub resources: Vec<ResourceConfig>,
}

/// One resource.
#[derive(Clone, Debug)]
pub struct ResourceConfig {
    /// Policy, rhythm, labels.
    pub settings: Settings,
    /// What it is.
    pub kind: KindConfig,
    /// How its clients are moved.
    pub redirect: Option<RedirectConfig>,
    /// Hash of the tables that say what it is and how its clients are moved. A reload can change all
    /// but these.
    pub fingerprint: blake3::Hash,
}

/// What a resource is.
#[derive(Clone, Debug)]
pub enum KindConfig {
    /// A process with a configuration tree.
    Service(Box<ServiceConfig>),
    /// A tree of files.
    Files(Box<FilesConfig>),
}

/// How clients are moved.
#[derive(Clone, Debug)]
pub enum RedirectConfig {
    /// By the built-in proxy.
    Proxy(ProxyConfig),
    /// By a symbolic link.
    Link(LinkConfig),
}

const DEFAULT_STATE_DIR: &str = "/var/lib/evenkeel";
const DEFAULT_SOCKET: &str = "/run/evenkeel/evenkeel.sock";
const DEFAULT_REFIT_CPU_SHARE: f64 = 0.1;
const DEFAULT_LSTM: file::Lstm = file::Lstm::Off;
const DEFAULT_SYNC: Duration = Duration::from_secs(300);
const DEFAULT_KEEP: usize = 10;
const DEFAULT_KEEP_AT_MOST: usize = 200;
const DEFAULT_KEEP_FOR: Duration = Duration::from_secs(7 * 86_400);
const DEFAULT_REHEARSE: Duration = Duration::from_secs(86_400);

/// Resolves a file; relative paths start from `base`.
pub(super) fn resolve(
    file: file::File,
    fingerprints: &[blake3::Hash],
    base: &Path,
) -> Result<Config, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut check = Checker {
        keys: Vec::new(),
        wrong: &mut wrong,
    };
    let defaults = policy::policy(
        &Policy::default(),
        &file.defaults,
        &mut check.at("defaults"),
    );
    let retention = retention(&file.history, &mut check.at("history"));
    let refit_cpu_share = file
        .daemon
        .refit_cpu_share
        .unwrap_or(DEFAULT_REFIT_CPU_SHARE);
    if !(0.0..=1.0).contains(&refit_cpu_share) {
        check.at("daemon").refuse(
            &[Key::Name("refit_cpu_share")],
            format!("{refit_cpu_share} is no share of a core"),
            "write a number from 0 to 1",
        );
    }
    if file.alerts.command.as_ref().is_some_and(Vec::is_empty) {
        let below = [Key::Name("alerts"), Key::Name("command")];
        check.refuse(
            &below,
            "the alert command is empty".into(),
            "write [\"program\", \"argument\"]",
        );
    }
    let mut resources = Vec::new();
    for (i, resource) in file.resource.into_iter().enumerate() {
        let keys = vec![Key::Name("resource"), Key::Index(i)];
        let mut check = Checker {
            keys,
            wrong: &mut wrong,
        };
        let fingerprint = fingerprints
            .get(i)
            .copied()
            .unwrap_or_else(|| blake3::hash(b""));
        let resolved = one(resource, &defaults, base, fingerprint, &mut check);
        resources.extend(resolved.map(|resource| (i, resource)));
    }
    check_together(&resources, &mut wrong);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let under_base = |path: Option<PathBuf>, default: &str| {
        path.map_or_else(|| PathBuf::from(default), |path| base.join(path))
    };
    Ok(Config {
        state_dir: under_base(file.daemon.state_dir, DEFAULT_STATE_DIR),
        socket: under_base(file.daemon.socket, DEFAULT_SOCKET),
        refit_cpu_share,
        networks: match file.forecast.lstm.unwrap_or(DEFAULT_LSTM) {
            file::Lstm::Off => None,
            file::Lstm::On => Some(networks::Options::default()),
        },
        retention,
        alert_command: file.alerts.command,
        resources: resources
            .into_iter()
            .map(|(_, resource)| resource)
            .collect(),
    })
}

fn retention(written: &file::History, check: &mut Checker<'_>) -> RetentionPolicy {
    let default = RetentionPolicy::default();
    let span = |span: Option<Span>, default| span.map_or(default, |Span(span)| span);
    let retention = RetentionPolicy {
        raw: span(written.raw, default.raw),
        five_minutes: span(written.five_minutes, default.five_minutes),
        hour: span(written.hour, default.hour),
        changes: span(written.changes, default.changes),
    };
    if retention.raw.is_zero() {
        check.refuse(
            &[Key::Name("raw")],
            "history is kept for no time".into(),
            "write a span like `15d`",
        );
    }
    retention
}

/// One resource; `None` when it is too wrong to go on with.
fn one(
    written: file::Resource,
    defaults: &Policy,
    base: &Path,
    fingerprint: blake3::Hash,
    check: &mut Checker<'_>,
) -> Option<ResourceConfig> {
    check_name(&written.name, check);
    let mut policy = policy::policy(defaults, &written.policy, &mut check.at("policy"));
    policy.rules = policy::rules(&written.property, &mut check.at("property"));
    let redirect = redirect(written.redirect, base, &mut check.at("redirect"));
    let (name, kind) = match (written.service, written.files) {
        (Some(service), None) => (
            "service",
            KindConfig::Service(Box::new(service_paths(*service, base))),
        ),
        (None, Some(files)) => (
            "files",
            KindConfig::Files(Box::new(files_paths(*files, base))),
        ),
        (None, None) => {
            let what = format!("resource `{}` does not say what it is", written.name);
            check.refuse(&[], what, "add [resource.service] or [resource.files]");
            return None;
        }
        (Some(_), Some(_)) => {
            let what = format!("resource `{}` is both a service and files", written.name);
            check.refuse(&[Key::Name("files")], what, "make two resources of them");
            return None;
        }
    };
    check_places(&kind, check);
    let sync = SyncRhythm {
        on_change: written.sync.on_change.unwrap_or(true),
        every: written.sync.every.map_or(DEFAULT_SYNC, |Span(every)| every),
    };
    let rehearse_every = match written.rehearse {
        None => Some(DEFAULT_REHEARSE),
        Some(file::Rehearse::Never) => None,
        Some(file::Rehearse::Every(Span(every))) => Some(every),
    };
    let zero = [
        ("sync", sync.every.is_zero()),
        ("rehearse", rehearse_every == Some(Duration::ZERO)),
    ];
    for (key, _) in zero.iter().filter(|(_, is_zero)| *is_zero) {
        check.refuse(
            &[Key::Name(key)],
            format!("{key} every 0 s"),
            "write a span like `5m`",
        );
    }
    let keep = KeepGenerations {
        newest: written.sync.keep.unwrap_or(DEFAULT_KEEP).max(2),
        younger_than: written
            .sync
            .keep_for
            .map_or(DEFAULT_KEEP_FOR, |Span(span)| span),
        at_most: written.sync.keep_at_most.unwrap_or(DEFAULT_KEEP_AT_MOST),
    };
    if keep.at_most < keep.newest {
        let what = format!(
            "at most {} generations are kept, and at least {}",
            keep.at_most, keep.newest
        );
        check.refuse(
            &[Key::Name("sync")],
            what,
            "let keep_at_most be no less than keep",
        );
    }
    let settings = Settings {
        name: ResourceId::new(written.name),
        kind: name.to_owned(),
        labels: written.labels,
        policy,
        sync,
        rehearse_every,
        keep,
    };
    Some(ResourceConfig {
        settings,
        kind,
        redirect,
        fingerprint,
    })
}

fn check_name(name: &str, check: &mut Checker<'_>) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(allowed)
        && !name.starts_with('.')
        && !name.starts_with('-');
    if !good {
        let what = format!("`{name}` cannot name a resource");
        check.refuse(
            &[Key::Name("name")],
            what,
            "use up to 64 letters, digits, `-`, `_` and `.`",
        );
    }
}

fn redirect(
    written: Option<file::Redirect>,
    base: &Path,
    check: &mut Checker<'_>,
) -> Option<RedirectConfig> {
    let file::Redirect { proxy, link } = written?;
    match (proxy, link) {
        (Some(proxy), None) => Some(RedirectConfig::Proxy(proxy)),
        (None, Some(mut link)) => {
            link.path = base.join(link.path);
            Some(RedirectConfig::Link(link))
        }
        (None, None) => {
            check.refuse(&[], "redirect says nothing".into(), "add `proxy` or `link`");
            None
        }
        (Some(_), Some(_)) => {
            check.refuse(
                &[Key::Name("link")],
                "two redirectors for one resource".into(),
                "keep one",
            );
            None
        }
    }
}

fn service_paths(mut service: ServiceConfig, base: &Path) -> ServiceConfig {
    for places in [&mut service.a, &mut service.b] {
        places.config = base.join(&places.config);
        places.data = places.data.as_ref().map(|data| base.join(data));
    }
    service
}

fn files_paths(mut files: FilesConfig, base: &Path) -> FilesConfig {
    files.a = base.join(&files.a);
    files.b = base.join(&files.b);
    if let Some(data) = &mut files.data {
        data.a = base.join(&data.a);
        data.b = base.join(&data.b);
    }
    files
}

/// One tree of a resource: the keys that name it, and its path.
struct Tree<'k> {
    keys: Vec<Key>,
    path: &'k Path,
}

/// The trees of instance `a` and of instance `b`.
fn trees(kind: &KindConfig) -> [Vec<Tree<'_>>; 2] {
    fn tree<'k>(keys: &[&'static str], path: &'k Path) -> Tree<'k> {
        Tree {
            keys: keys.iter().map(|key| Key::Name(key)).collect(),
            path,
        }
    }
    match kind {
        KindConfig::Service(service) => {
            [("a", &service.a), ("b", &service.b)].map(|(instance, at)| {
                let mut trees = vec![tree(&["service", instance, "config"], &at.config)];
                trees.extend(
                    at.data
                        .iter()
                        .map(|data| tree(&["service", instance, "data"], data)),
                );
                trees
            })
        }
        KindConfig::Files(files) => {
            let data = |instance, pick: fn(&PerInstance<PathBuf>) -> &PathBuf| {
                files
                    .data
                    .as_ref()
                    .map(|data| tree(&["files", "data", instance], pick(data)))
            };
            let config = |instance, path| vec![tree(&["files", instance], path)];
            let (mut a, mut b) = (config("a", &files.a), config("b", &files.b));
            a.extend(data("a", |data| &data.a));
            b.extend(data("b", |data| &data.b));
            [a, b]
        }
    }
}

/// Paths that must be there, and that must differ.
fn check_places(kind: &KindConfig, check: &mut Checker<'_>) {
    let [a, b] = trees(kind);
    for tree in &a {
        let path = tree.path.display();
        match std::fs::metadata(tree.path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let what = format!("{path} is not a directory");
                check.refuse(&tree.keys, what, "name the directory that holds it");
            }
            Err(error) => {
                check.refuse(
                    &tree.keys,
                    format!("{path}: {error}"),
                    "name a directory that is there",
                );
            }
        }
    }
    if a.len() != b.len() {
        let keys = [Key::Name("service"), Key::Name("b")];
        check.refuse(
            &keys,
            "only one instance has data".into(),
            "give both a `data`, or none",
        );
    }
    let all: Vec<&Tree<'_>> = a.iter().chain(&b).collect();
    for (i, tree) in all.iter().enumerate() {
        let overlaps = |other: &&&Tree<'_>| {
            tree.path.starts_with(other.path) || other.path.starts_with(tree.path)
        };
        if let Some(other) = all[..i].iter().find(overlaps) {
            let what = format!(
                "{} and {} overlap",
                tree.path.display(),
                other.path.display()
            );
            check.refuse(&tree.keys, what, "each tree needs a directory of its own");
        }
    }
}

/// What no two resources may share: names, addresses, trees.
fn check_together(resources: &[(usize, ResourceConfig)], wrong: &mut Vec<Wrong>) {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut addresses: BTreeMap<SocketAddr, String> = BTreeMap::new();
    let mut taken: BTreeMap<&Path, String> = BTreeMap::new();
    for (index, resource) in resources {
        let name = resource.settings.name.as_str();
        let mut refuse = |below: &[Key], what: String, remedy: &str| {
            let keys = [Key::Name("resource"), Key::Index(*index)];
            let keys = keys.iter().chain(below).cloned().collect();
            wrong.push(Wrong {
                keys,
                what,
                remedy: remedy.to_owned(),
            });
        };
        if names.insert(name, *index).is_some() {
            refuse(
                &[Key::Name("name")],
                format!("two resources are named `{name}`"),
                "rename one",
            );
        }
        for (keys, address) in addresses_of(resource) {
            let who = format!("resource `{name}`");
            if let Some(other) = addresses.insert(address, who) {
                refuse(
                    &keys,
                    format!("{address} is used by {other} already"),
                    "use another port",
                );
            }
        }
        for tree in trees(&resource.kind).into_iter().flatten() {
            if let Some(other) = taken
                .insert(tree.path, name.to_owned())
                .filter(|o| o != name)
            {
                let what = format!(
                    "{} belongs to resource `{other}` already",
                    tree.path.display()
                );
                refuse(&tree.keys, what, "a tree belongs to one resource");
            }
        }
    }
}

fn addresses_of(resource: &ResourceConfig) -> Vec<(Vec<Key>, SocketAddr)> {
    let mut all = Vec::new();
    if let KindConfig::Service(service) = &resource.kind {
        for (instance, places) in [("a", &service.a), ("b", &service.b)] {
            let keys = vec![
                Key::Name("service"),
                Key::Name(instance),
                Key::Name("address"),
            ];
            all.push((keys, places.address));
        }
    }
    if let Some(RedirectConfig::Proxy(ProxyConfig { listen, .. })) = &resource.redirect {
        let keys = vec![
            Key::Name("redirect"),
            Key::Name("proxy"),
            Key::Name("listen"),
        ];
        all.push((keys, *listen));
    }
    all
}
