//! `evenkeel init`: a commented configuration for what is found on the machine.
//!
//! Everything it proposes is safe to run as it is: mode "advise", plain files, nothing is started or
//! moved. Invariants: what is written passes [`config::parse`]; no value that looks secret is written;
//! the file is there whole or not at all, and never replaced unless that was asked for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use evenkeel_core::property::number_text;
use evenkeel_ports::Clock as _;
use serde_json::json;

use super::found::{self, Found, Number, Search};
use crate::clock::SystemClock;
use crate::config::{self, Problems};

/// Why no configuration was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a file already.
    #[error("{} is there already: --force writes over it, --output writes somewhere else", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// It could not be written.
    #[error("{}: {error}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// What was found cannot be expressed, for example a path that is not UTF-8.
    #[error("what was found makes no configuration, so nothing was written: {0}")]
    Unsound(Problems),
    /// The answer could not be printed; the file was written.
    #[error("the configuration was written, and that could not be said: {0}")]
    Told(#[from] io::Error),
}

/// Only its owner writes it, its group may read it: it may name secrets in `env`.
const MODE: u32 = 0o640;

/// Looks for services below `root` and writes a configuration for them to `output`; what was found and
/// what to do next goes to `out`.
///
/// # Errors
/// Why nothing was written.
pub fn init(
    root: &Path,
    output: &Path,
    force: bool,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), InitError> {
    if !force && output.symlink_metadata().is_ok() {
        return Err(InitError::Exists {
            path: output.to_owned(),
        });
    }
    let search = found::search(root, SystemClock::start().now());
    let text = configuration(&search, &Places::of(root));
    config::parse(output, &text).map_err(InitError::Unsound)?;
    write_whole(output, &text, force)?;
    if json {
        tell_in_json(&search, output, out)?;
    } else {
        tell(&search, output, out)?;
    }
    Ok(())
}

/// Where the daemon keeps what is its own.
struct Places {
    /// Its state directory and socket, where they are not the usual ones.
    own: Option<(PathBuf, PathBuf)>,
    /// Below this are the standby trees.
    standby: PathBuf,
}

impl Places {
    /// The system's places for root; a user's own for anybody else.
    fn of(root: &Path) -> Self {
        let variable = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        let state = variable("XDG_STATE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/state")));
        match state {
            Some(state) if !rustix::process::geteuid().is_root() => {
                let at = state.join("evenkeel");
                let socket = variable("XDG_RUNTIME_DIR").unwrap_or_else(|| at.clone());
                Self {
                    own: Some((at, socket.join("evenkeel.sock"))),
                    standby: state.join("evenkeel-standby"),
                }
            }
            // Beside the state directory, not in it: services that run as other users must get there.
            Some(_) | None => Self {
                own: None,
                standby: root.join("var/lib/evenkeel-standby"),
            },
        }
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// The whole file.
fn configuration(search: &Search, places: &Places) -> String {
    let mut text = include_str!("templates/head.toml").to_owned();
    match &places.own {
        Some((state, socket)) => {
            let (state, socket) = (quoted_path(state), quoted_path(socket));
            line(&mut text, "# Whoever is not root has these at places of their own.");
            line(&mut text, &format!("[daemon]\nstate_dir = {state}\nsocket = {socket}\n"));
        }
        None => text.push_str(
            "#[daemon]\n#state_dir = \"/var/lib/evenkeel\"\n#socket = \"/run/evenkeel/evenkeel.sock\"\n\n",
        ),
    }
    text.push_str(include_str!("templates/defaults.toml"));
    for found in &search.found {
        resource(&mut text, found, &places.standby);
    }
    if search.found.is_empty() {
        let standby = places.standby.to_string_lossy();
        text.push_str(&include_str!("templates/skeleton.toml").replace("@STANDBY@", &standby));
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn resource(text: &mut String, found: &Found, standby: &Path) {
    let known = found.known;
    let (tree, b) = (
        quoted_path(&found.tree),
        quoted_path(&standby.join(&found.name)),
    );
    let rule = "=".repeat(80);
    line(
        text,
        &format!("\n# {rule}\n# {}: {}.", known.title, summary(found)),
    );
    line(
        text,
        &format!("[[resource]]\nname = {}\n", quoted(&found.name)),
    );
    line(
        text,
        "# a is watched; b is where Evenkeel keeps a copy that is ready for use.",
    );
    line(text, &format!("[resource.files]\na = {tree}\nb = {b}"));
    let patterns = |patterns: &[&str]| {
        patterns
            .iter()
            .map(|p| quoted(p))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut rules = Vec::new();
    if !known.include.is_empty() {
        rules.push(format!("include = [{}]", patterns(known.include)));
    }
    if !known.exclude.is_empty() {
        rules.push(format!("exclude = [{}]", patterns(known.exclude)));
    }
    if !rules.is_empty() {
        line(text, &format!("config = {{ {} }}", rules.join(", ")));
    }
    if let Some(check) = known.check {
        line(
            text,
            "# Says whether a copy would work; asked by rehearsals, once a day.",
        );
        line(text, &format!("#health = {{ command = {check} }}"));
    }
    text.push('\n');
    if let Some(service) = known.service {
        text.push_str(&service.replace("@TREE@", &tree).replace("@STANDBY@", &b));
        text.push('\n');
    }
    properties(text, found);
}

fn summary(found: &Found) -> String {
    let mut parts = vec![format!("{} properties", found.properties)];
    if found.secrets > 0 {
        parts.push(format!(
            "{} look secret and are kept as keyed hashes only",
            found.secrets
        ));
    }
    if found.unreadable > 0 {
        parts.push(format!(
            "{} places cannot be read by this user",
            found.unreadable
        ));
    }
    parts.join(", ")
}

fn properties(text: &mut String, found: &Found) {
    for pattern in found.known.redact {
        line(
            text,
            "# May hold a secret: only whether it changes is kept.",
        );
        line(
            text,
            &format!(
                "[[resource.property]]\nmatch = {}\nredact = true\n",
                quoted(pattern)
            ),
        );
    }
    line(
        text,
        "# Rules: the first that matches a property decides. Without one, a change of configuration is",
    );
    line(
        text,
        "# a warning. Only severity = \"critical\" may start a failover, and only in mode \"act\".",
    );
    for number in &found.numbers {
        limits(text, number);
    }
    if found.numbers.is_empty() {
        let pattern = found
            .known
            .hints
            .first()
            .map_or("**".to_owned(), |(end, _)| format!("**/{end}"));
        line(
            text,
            &format!("#[[resource.property]]\n#match = {}", quoted(&pattern)),
        );
        line(text, "#tolerance = \"20%\"\n#severity = \"critical\"");
    }
    if found.has_certificates {
        line(
            text,
            "# Certificates: days left; an alert comes before this many are left.",
        );
        line(
            text,
            "[[resource.property]]\nmatch = \"**/@days_to_expiry\"",
        );
        line(text, "limits = { lower = 14 }\nseverity = \"warn\"");
    }
}

/// A rule that is off: half and twice of what is there now.
fn limits(text: &mut String, number: &Number) {
    let Number {
        pattern,
        path,
        value,
        unit,
        why,
    } = number;
    let unit = unit
        .as_deref()
        .map(|unit| format!(" {unit}"))
        .unwrap_or_default();
    line(
        text,
        &format!("# {path} is {}{unit} now: {why}.", number_text(*value)),
    );
    let (lower, upper) = (plain(*value / 2.0), plain(*value * 2.0));
    line(
        text,
        &format!("#[[resource.property]]\n#match = {}", quoted(pattern)),
    );
    line(
        text,
        &format!("#limits = {{ lower = {lower}, upper = {upper} }}\n#severity = \"critical\""),
    );
}

/// A number as TOML writes it, whole where it is large enough for that to change little.
fn plain(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else {
        format!("{value}")
    }
}

/// Writes the file beside its place and then moves it there in one step.
fn write_whole(path: &Path, text: &str, force: bool) -> Result<(), InitError> {
    let failed = |error: io::Error| InitError::Write {
        path: path.to_owned(),
        error,
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?;
    let beside = directory.join(format!(
        ".{}.{}.new",
        name.to_string_lossy(),
        std::process::id()
    ));
    let written = write_beside(&beside, text).and_then(|()| {
        if force {
            return fs::rename(&beside, path);
        }
        // A link, unlike a rename, never takes the place of a file that came in the meantime.
        fs::hard_link(&beside, path)?;
        fs::remove_file(&beside)
    });
    if let Err(error) = written {
        fs::remove_file(&beside).ok();
        return Err(match error.kind() {
            io::ErrorKind::AlreadyExists => InitError::Exists {
                path: path.to_owned(),
            },
            _ => failed(error),
        });
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

fn write_beside(beside: &Path, text: &str) -> io::Result<()> {
    fs::remove_file(beside).ok(); // of a process that was killed and had the same id
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(beside)?;
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn next_steps(output: &Path) -> [(String, &'static str); 3] {
    let path = output.display();
    [
        (
            format!("evenkeel check {path}"),
            "what it comes to, and what it warns of",
        ),
        (
            format!("evenkeel run --config {path}"),
            "watch, in the foreground",
        ),
        (
            "evenkeel status".to_owned(),
            "in another terminal: how everything stands",
        ),
    ]
}

fn tell(search: &Search, output: &Path, out: &mut dyn Write) -> io::Result<()> {
    for found in &search.found {
        writeln!(
            out,
            "found {}: {}, {}",
            found.name,
            found.tree.display(),
            summary(found)
        )?;
    }
    for (place, why) in &search.closed {
        writeln!(
            out,
            "left out {}: {why}; run this as root to look into it",
            place.display()
        )?;
    }
    let what = match search.found.len() {
        0 => "nothing known was found, so it has an example only".to_owned(),
        1 => "1 resource, mode advise: nothing is acted on".to_owned(),
        count => format!("{count} resources, mode advise: nothing is acted on"),
    };
    writeln!(out, "wrote {} ({what})\nnext:", output.display())?;
    let steps = next_steps(output);
    let width = steps
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or(0);
    for (command, why) in steps {
        writeln!(out, "  {command:width$}  # {why}")?;
    }
    Ok(())
}

fn tell_in_json(search: &Search, output: &Path, out: &mut dyn Write) -> io::Result<()> {
    let found: Vec<_> = search
        .found
        .iter()
        .map(|found| {
            json!({
                "name": found.name, "title": found.known.title, "tree": found.tree,
                "properties": found.properties, "secrets": found.secrets,
                "unreadable": found.unreadable,
            })
        })
        .collect();
    let closed: Vec<_> = search
        .closed
        .iter()
        .map(|(place, why)| json!({ "tree": place, "why": why }))
        .collect();
    let next = next_steps(output).map(|(command, _)| command);
    let answer = json!({ "output": output, "found": found, "left_out": closed, "next": next });
    serde_json::to_writer_pretty(&mut *out, &answer)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn run(root: &Path, force: bool, json: bool) -> (Result<(), InitError>, String) {
        let mut out = Vec::new();
        let result = init(root, &root.join("evenkeel.toml"), force, json, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    const NGINX: (&str, &str) = (
        "etc/nginx/nginx.conf",
        "events { worker_connections 768; }\n",
    );
    const HAPROXY: (&str, &str) = ("etc/haproxy/haproxy.cfg", "global\n  maxconn 2000\n");
    const REDIS: (&str, &str) = (
        "etc/redis/redis.conf",
        "maxclients 100\nrequirepass hunter2\n",
    );

    /// The text as its comments tell to change it for a failover with clients.
    fn as_a_service(text: &str, supervised_by_systemd: bool) -> String {
        let switched_on = |paragraph: &str| {
            let lines = paragraph.lines().map(|line| {
                let of_systemd = line.starts_with("#supervise") || line.starts_with("#unit");
                let setting = line
                    .strip_prefix('#')
                    .filter(|rest| !rest.starts_with([' ', '#']));
                setting
                    .filter(|_| supervised_by_systemd || !of_systemd)
                    .unwrap_or(line)
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        let paragraphs = text
            .split("\n\n")
            .filter(|part| !part.contains("\n[resource.files]"));
        let changed = paragraphs.map(|part| {
            let is_offered = part.starts_with("# -- Failover") || part.starts_with("# Rules:");
            if is_offered {
                switched_on(part)
            } else {
                part.to_owned()
            }
        });
        changed.collect::<Vec<_>>().join("\n\n")
    }

    #[test]
    fn what_is_found_becomes_a_configuration_that_is_good() {
        let root = machine(&[NGINX, HAPROXY, REDIS]);
        let (result, said) = run(root.path(), false, false);
        result.unwrap();
        assert!(said.contains("found nginx: "), "{said}");
        assert!(said.contains("3 resources, mode advise"), "{said}");
        let path = root.path().join("evenkeel.toml");
        let config = config::load(&path).unwrap();
        let names: Vec<_> = config
            .resources
            .iter()
            .map(|r| r.settings.name.as_str())
            .collect();
        assert_eq!(names, ["nginx", "haproxy", "redis"]);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("hunter2"), "no secret is written");
        assert!(
            text.contains("#limits = { lower = 384, upper = 1536 }"),
            "{text}"
        );
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, MODE);
        let mut checked = Vec::new();
        assert!(super::super::check(&path, false, false, &mut checked).unwrap());
        let checked = String::from_utf8(checked).unwrap();
        assert!(!checked.contains("warning"), "{checked}");
    }

    #[test]
    fn the_services_that_are_proposed_are_good_with_their_comments_taken_off() {
        for service in [NGINX, HAPROXY] {
            let root = machine(&[service]);
            run(root.path(), false, false).0.unwrap();
            let path = root.path().join("evenkeel.toml");
            let text = fs::read_to_string(&path).unwrap();
            for by_systemd in [false, true] {
                let text = as_a_service(&text, by_systemd);
                let config = config::parse(&path, &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
                let resource = &config.resources[0];
                assert_eq!(resource.settings.kind, "service", "{text}");
                assert!(resource.redirect.is_some());
                assert!(!resource.settings.policy.rules.is_empty());
                fs::write(&path, &text).unwrap();
                let mut checked = Vec::new();
                assert!(super::super::check(&path, false, false, &mut checked).unwrap());
            }
        }
    }

    #[test]
    fn a_machine_with_nothing_known_gets_an_example() {
        let root = machine(&[]);
        let (result, said) = run(root.path(), false, false);
        result.unwrap();
        assert!(said.contains("an example only"), "{said}");
        let config = config::load(&root.path().join("evenkeel.toml")).unwrap();
        assert!(config.resources.is_empty());
    }

    #[test]
    fn a_file_that_is_there_is_not_replaced_unasked() {
        let root = machine(&[("evenkeel.toml", "precious")]);
        let error = run(root.path(), false, false).0.unwrap_err().to_string();
        assert!(error.contains("is there already: --force"), "{error}");
        let read = || fs::read_to_string(root.path().join("evenkeel.toml")).unwrap();
        assert_eq!(read(), "precious");
        let path = root.path().join("evenkeel.toml");
        let late = write_whole(&path, "new", false).unwrap_err();
        assert!(matches!(late, InitError::Exists { .. }), "{late}");
        run(root.path(), true, false).0.unwrap();
        assert!(read().starts_with("# Evenkeel"));
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "nothing is left beside it: {left:?}");
    }

    #[test]
    fn programs_get_what_was_found_as_json() {
        let root = machine(&[REDIS]);
        let (result, said) = run(root.path(), false, true);
        result.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answer["found"][0]["name"], "redis");
        assert_eq!(answer["found"][0]["secrets"], 1);
        assert_eq!(answer["next"][2], "evenkeel status");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let root = machine(&[]);
        let mut out = Vec::new();
        let output = root.path().join("no/such/evenkeel.toml");
        let error = init(root.path(), &output, false, false, &mut out)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no/such/evenkeel.toml: No such file"),
            "{error}"
        );
    }
}
