//! `evenkeel check`: whether a configuration is right, and what it comes to. A problem keeps the
//! daemon from starting; a warning (see [`super::surprise`]) does not.
//!
//! Invariant: reads only. No store is opened, nothing is started or asked.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_drivers::BuildContext;
use evenkeel_drivers::files::FilesDriver;
use evenkeel_drivers::service::ServiceDriver;
use evenkeel_ports::{Clock as _, Driver};
use serde::Serialize;

use super::surprise::{self, Rule, Warning};
use crate::clock::SystemClock;
use crate::config::{self, KindConfig, Problem, RedirectConfig, ResourceConfig};

/// Everything that a check finds.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    good: bool,
    resources: Vec<ResourceReport>,
    warnings: Vec<Warning>,
    problems: Vec<Problem>,
}

/// What one resource comes to.
#[derive(Debug, Serialize)]
struct ResourceReport {
    name: String,
    kind: String,
    mode: &'static str,
    a: PlaceReport,
    b: PlaceReport,
    redirect: Option<String>,
    /// Properties read in the configuration tree of instance a.
    properties: usize,
    rules: Vec<Rule>,
}

/// Where an instance is.
#[derive(Debug, Serialize)]
struct PlaceReport {
    config: PathBuf,
    data: Option<PathBuf>,
    address: Option<SocketAddr>,
}

/// Checks the configuration file at `path`, or prints the schema of all such files. The answer is
/// whether it is good; what it comes to, or what is wrong with it, goes to `out`.
///
/// # Errors
/// When `out` cannot be written.
pub fn check(path: &Path, schema: bool, json: bool, out: &mut dyn Write) -> io::Result<bool> {
    if schema {
        serde_json::to_writer_pretty(&mut *out, &config::schema())?;
        writeln!(out)?;
        return Ok(true);
    }
    let report = report(path);
    if json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, out)?;
    }
    Ok(report.good)
}

fn report(path: &Path) -> Report {
    let (mut resources, mut warnings, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    match config::load(path) {
        Err(found) => problems = found.0,
        Ok(config) => {
            let clock = Arc::new(SystemClock::start());
            for resource in &config.resources {
                match driver_of(resource, clock.clone()) {
                    Ok(driver) => {
                        let found = surprise::look_at(resource, driver.as_ref(), clock.now());
                        resources.push(resource_report(resource, found.properties, found.rules));
                        warnings.extend(found.warnings);
                    }
                    Err(what) => problems.push(Problem {
                        file: path.to_owned(),
                        position: None,
                        what: format!("resource `{}`: {what}", resource.settings.name),
                        remedy: None,
                    }),
                }
            }
            if config.resources.is_empty() {
                warnings.push(Warning {
                    resource: None,
                    what: "no resource is configured: there is nothing to watch".to_owned(),
                    remedy: "`evenkeel init` finds candidates".to_owned(),
                });
            }
        }
    }
    let good = problems.is_empty();
    Report {
        file: path.to_owned(),
        good,
        resources,
        warnings,
        problems,
    }
}

/// Has the driver itself look for contradictions.
fn driver_of(
    resource: &ResourceConfig,
    clock: Arc<SystemClock>,
) -> Result<Box<dyn Driver>, String> {
    let context = BuildContext {
        resource: resource.settings.name.clone(),
        // A driver writes nothing before it is prepared, and it reads only what a former process left.
        // Here none did, so that a check neither needs a daemon's rights nor depends on its state.
        state_dir: PathBuf::from("/nonexistent"),
        redaction_key: [0; 32],
        clock,
    };
    let built = match &resource.kind {
        KindConfig::Service(config) => ServiceDriver::new((**config).clone(), context)
            .map(|driver| Box::new(driver) as Box<dyn Driver>),
        KindConfig::Files(config) => FilesDriver::new((**config).clone(), context)
            .map(|driver| Box::new(driver) as Box<dyn Driver>),
    };
    built.map_err(|error| error.to_string())
}

fn resource_report(
    resource: &ResourceConfig,
    properties: usize,
    rules: Vec<Rule>,
) -> ResourceReport {
    let [a, b] = match &resource.kind {
        KindConfig::Service(service) => [&service.a, &service.b].map(|places| PlaceReport {
            config: places.config.clone(),
            data: places.data.clone(),
            address: Some(places.address),
        }),
        KindConfig::Files(files) => {
            let data = files.data.as_ref();
            let place = |config: &PathBuf, data: Option<&PathBuf>| PlaceReport {
                config: config.clone(),
                data: data.cloned(),
                address: None,
            };
            [
                place(&files.a, data.map(|d| &d.a)),
                place(&files.b, data.map(|d| &d.b)),
            ]
        }
    };
    let redirect = resource.redirect.as_ref().map(|redirect| match redirect {
        RedirectConfig::Proxy(proxy) => format!("built-in proxy at {}", proxy.listen),
        RedirectConfig::Link(link) => format!("link {}", link.path.display()),
    });
    ResourceReport {
        name: resource.settings.name.to_string(),
        kind: resource.settings.kind.clone(),
        mode: resource.settings.policy.mode.as_str(),
        a,
        b,
        redirect,
        properties,
        rules,
    }
}

fn print(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for problem in &report.problems {
        writeln!(out, "{problem}")?;
    }
    for resource in &report.resources {
        print_resource(resource, out)?;
    }
    for warning in &report.warnings {
        let whose = warning
            .resource
            .as_ref()
            .map(|name| format!("{name}: "))
            .unwrap_or_default();
        writeln!(out, "warning: {whose}{}; {}", warning.what, warning.remedy)?;
    }
    let file = report.file.display();
    match (report.problems.len(), report.warnings.len()) {
        (0, 0) => writeln!(out, "{file} is good"),
        (0, warnings) => writeln!(out, "{file} is good, with {}", counted(warnings, "warning")),
        (problems, _) => writeln!(out, "{file} has {}", counted(problems, "problem")),
    }
}

fn print_resource(resource: &ResourceReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}  {}, mode {}",
        resource.name, resource.kind, resource.mode
    )?;
    for (instance, place) in [("a", &resource.a), ("b", &resource.b)] {
        write!(out, "  {instance}        {}", place.config.display())?;
        if let Some(data) = &place.data {
            write!(out, ", data {}", data.display())?;
        }
        if let Some(address) = place.address {
            write!(out, ", serves {address}")?;
        }
        writeln!(out)?;
    }
    let redirect = resource.redirect.as_deref().unwrap_or("nobody moves them");
    writeln!(out, "  clients  {redirect}")?;
    let properties = resource.properties;
    writeln!(
        out,
        "  watched  {properties} properties in a's configuration"
    )?;
    for rule in &resource.rules {
        let (severity, count) = (rule.what_for(), rule.decides_for);
        writeln!(
            out,
            "  rule     {} ({severity}) decides for {count}",
            rule.pattern
        )?;
    }
    writeln!(out)
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        /// A tree with an nginx configuration.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("tree")).unwrap();
            let text = "events { worker_connections 768; }\nhttp { sendfile on; }\n";
            std::fs::write(dir.path().join("tree/nginx.conf"), text).unwrap();
            Self { dir }
        }

        /// Checks a file with one resource: `more` goes to the end of its table.
        fn check(&self, more: &str, json: bool) -> (bool, String) {
            let path = self.dir.path().join("evenkeel.toml");
            let text = format!(
                "[[resource]]\nname = \"web\"\n{more}\n\
                 [resource.files]\na = \"tree\"\nb = \"standby\"\n"
            );
            std::fs::write(&path, text).unwrap();
            let mut out = Vec::new();
            let good = check(&path, false, json, &mut out).unwrap();
            (good, String::from_utf8(out).unwrap())
        }
    }

    #[test]
    fn a_good_file_is_shown_as_what_it_comes_to() {
        let place = Place::new();
        let rule = "property = [{ match = \"**/worker_connections\", limits = { upper = 1024 } }]";
        let (good, said) = place.check(rule, false);
        assert!(good, "{said}");
        assert!(said.starts_with("web  files, mode advise\n"), "{said}");
        assert!(
            said.contains("rule     **/worker_connections (warn) decides for 1"),
            "{said}"
        );
        assert!(said.ends_with("evenkeel.toml is good\n"), "{said}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_would_be_right() {
        let place = Place::new();
        let (good, said) = place.check("policy = { mode = \"atc\" }", false);
        assert!(!good);
        assert!(
            said.contains("evenkeel.toml:3:19: unknown variant `atc`"),
            "{said}"
        );
        assert!(said.contains("did you mean `act`?"), "{said}");
        let (_, json) = place.check("policy = { mode = \"atc\" }", true);
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(report["good"], false);
        assert_eq!(report["problems"][0]["line"], 3);
    }

    #[test]
    fn what_only_the_driver_knows_to_be_wrong_is_a_problem_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        let path = dir.path().join("evenkeel.toml");
        let text = "[[resource]]\nname = \"web\"\n[resource.service]\n\
                    a = { config = \"tree\", address = \"127.0.0.1:81\" }\n\
                    b = { config = \"other\", address = \"127.0.0.1:82\" }\n";
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        assert!(!check(&path, false, false, &mut out).unwrap());
        let said = String::from_utf8(out).unwrap();
        assert!(
            said.contains("resource `web`: service: `start` is missing"),
            "{said}"
        );
    }

    #[test]
    fn the_schema_is_printed_without_a_file() {
        let mut out = Vec::new();
        assert!(check(Path::new("/nowhere"), true, false, &mut out).unwrap());
        let schema: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(schema["title"], "Evenkeel configuration");
    }
}
