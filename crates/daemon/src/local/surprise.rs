//! What is allowed in a configuration and likely not what was meant: seen by reading the tree of
//! instance a as the daemon would, and laying the rules over what stands there now.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use evenkeel_core::policy::{Mode, Tolerance};
use evenkeel_core::property::{Observed, Severity, number_text};
use evenkeel_core::{Brief, PropertyPath, Timestamp};
use evenkeel_drivers::config::{CommandLine, Placeholders, TreeRules};
use evenkeel_drivers::tree::{FormatHint, TreeOptions, TreeReading, read_tree};
use evenkeel_ports::Driver;
use serde::Serialize;

use crate::config::{KindConfig, RedirectConfig, ResourceConfig};

/// Something that is allowed, and likely not what was meant.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Warning {
    /// About which resource.
    pub(super) resource: Option<String>,
    /// What.
    pub(super) what: String,
    /// What would likely be right.
    pub(super) remedy: String,
}

/// A rule about properties, with what it does at present.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rule {
    #[serde(rename = "match")]
    pub(super) pattern: String,
    /// As written.
    pub(super) severity: Option<Severity>,
    /// As written.
    pub(super) ignore: bool,
    /// As written.
    pub(super) redact: bool,
    /// For how many of the properties that are there now it is the first that matches.
    pub(super) decides_for: usize,
    /// How many it matches, first or not.
    pub(super) matches: usize,
}

impl Rule {
    /// What may be done about what it decides for, in a word.
    pub(super) fn what_for(&self) -> &'static str {
        match self.severity {
            _ if self.ignore => "ignored",
            Some(severity) => severity.as_str(),
            None if self.redact => "redacted",
            // Rules are mostly written about configuration, which has this severity by default.
            None => Severity::Warn.as_str(),
        }
    }

    /// Whether it only keeps something away, so that it may well be about what is not there yet.
    fn is_precaution(&self) -> bool {
        self.ignore || self.redact
    }
}

/// What a look at a resource shows.
pub(super) struct Seen {
    /// Properties read in the configuration tree of instance a.
    pub(super) properties: usize,
    pub(super) rules: Vec<Rule>,
    pub(super) warnings: Vec<Warning>,
}

/// Looks at a resource as it is configured, and at its files as they are.
pub(super) fn look_at(resource: &ResourceConfig, driver: &dyn Driver, now: Timestamp) -> Seen {
    let (root, rules) = match &resource.kind {
        KindConfig::Service(service) => (&service.a.config, &service.config),
        KindConfig::Files(files) => (&files.a, &files.config),
    };
    let mut warnings = Warnings {
        resource,
        all: Vec::new(),
    };
    let reading = match read_tree(root, &options(rules), now) {
        Ok(reading) => reading,
        Err(error) => {
            warnings.add(error.to_string(), "correct the pattern");
            TreeReading::default()
        }
    };
    warnings.about_unreadable(root, &reading);
    let properties = with_what_is_measured(resource, &reading);
    let rules = warnings.about_rules(&properties, &reading);
    warnings.about_acting(driver);
    warnings.about_rehearsals(driver);
    warnings.about_commands();
    Seen {
        properties: reading.leaves.len(),
        rules,
        warnings: warnings.all,
    }
}

/// The tree is read as the driver reads it; what the driver refuses was refused before.
fn options(rules: &TreeRules) -> TreeOptions {
    let defaults = TreeOptions::default();
    let plain = |patterns: &[String]| -> Vec<String> {
        let trim = |pattern: &String| pattern.trim_matches('/').to_owned();
        patterns.iter().map(trim).collect()
    };
    let is_everything = rules.include.iter().any(|pattern| pattern == "**");
    let include = if is_everything {
        Vec::new()
    } else {
        plain(&rules.include)
    };
    let mut exclude = defaults.exclude.clone();
    exclude.extend(plain(&rules.exclude));
    let hint = |(glob, format): (&String, &_)| FormatHint {
        glob: glob.clone(),
        format: *format,
    };
    let formats = rules.formats.iter().map(hint).collect();
    TreeOptions {
        include,
        exclude,
        formats,
        ..defaults
    }
}

type Properties<'r> = BTreeMap<PropertyPath, Option<&'r Observed>>;

/// What was read, and the names of what a running daemon measures besides.
fn with_what_is_measured<'r>(
    resource: &ResourceConfig,
    reading: &'r TreeReading,
) -> Properties<'r> {
    const OF_A_PROCESS: [&str; 5] = ["rss", "threads", "processes", "open_files", "restarts"];
    let mut all: Properties<'r> = reading
        .leaves
        .iter()
        .map(|(path, observed)| (path.clone(), Some(observed)))
        .collect();
    let has_data = match &resource.kind {
        KindConfig::Service(service) => {
            let names = OF_A_PROCESS.map(|name| PropertyPath::new(format!("@process/{name}")));
            all.extend(names.map(|path| (path, None)));
            service.a.data.is_some()
        }
        KindConfig::Files(files) => files.data.is_some(),
    };
    if has_data {
        all.extend(["@data/files", "@data/bytes"].map(|path| (path.into(), None)));
    }
    all
}

struct Warnings<'c> {
    resource: &'c ResourceConfig,
    all: Vec<Warning>,
}

impl Warnings<'_> {
    fn add(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.all.push(Warning {
            resource: Some(self.resource.settings.name.to_string()),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    fn about_unreadable(&mut self, root: &Path, reading: &TreeReading) {
        if let Some((place, why)) = reading.unreadable.iter().next() {
            let count = reading.unreadable.len();
            let what = format!(
                "{count} places in {} cannot be read, among them {place} ({why})",
                root.display()
            );
            self.add(what, "run the check as the user the daemon runs as");
        }
    }

    /// Lays the rules over the properties: the first that matches a property decides for it.
    fn about_rules(&mut self, properties: &Properties<'_>, reading: &TreeReading) -> Vec<Rule> {
        let resource = self.resource;
        let mut seen = Vec::new();
        for rule in &resource.settings.policy.rules {
            let matching: Vec<_> = properties
                .iter()
                .filter(|(path, _)| rule.matches(path))
                .collect();
            let first = |path: &PropertyPath| {
                let decides = resource.settings.policy.rule(path);
                decides.is_some_and(|first| std::ptr::eq(first, rule))
            };
            let decided: Vec<_> = matching.iter().filter(|(path, _)| first(path)).collect();
            let shown = Rule {
                pattern: rule.pattern().to_owned(),
                severity: rule.severity,
                ignore: rule.ignore,
                redact: rule.redact,
                decides_for: decided.len(),
                matches: matching.len(),
            };
            self.about_idle_rule(&shown, properties);
            for (path, observed) in decided {
                if let (Tolerance::Limits { lower, upper }, Some(observed)) =
                    (rule.tolerance, observed)
                    && !reading.secret.contains(*path)
                {
                    self.about_limits(path, observed, lower, upper);
                }
            }
            seen.push(shown);
        }
        seen
    }

    fn about_idle_rule(&mut self, rule: &Rule, properties: &Properties<'_>) {
        let (pattern, severity) = (&rule.pattern, rule.what_for());
        if rule.is_precaution() {
            return;
        }
        if rule.matches == 0 {
            let nearest = nearest(pattern, properties).map_or_else(
                || "correct the pattern".to_owned(),
                |path| format!("is `{path}` meant?"),
            );
            self.add(
                format!("the rule `{pattern}` ({severity}) matches nothing there is now"),
                nearest,
            );
        } else if rule.decides_for == 0 {
            let what =
                format!("the rule `{pattern}` ({severity}) decides for nothing: earlier ones do");
            self.add(
                what,
                "the first rule that matches decides, so put it further up",
            );
        }
    }

    fn about_limits(
        &mut self,
        path: &PropertyPath,
        observed: &Observed,
        lower: Option<f64>,
        upper: Option<f64>,
    ) {
        let Some(number) = observed.value.as_number() else {
            let what =
                format!("`{path}` has limits and is no number: any change counts as a breach");
            return self.add(what, "give limits to numbers only");
        };
        let low = lower.filter(|limit| number < *limit);
        if let Some(limit) = low.or(upper.filter(|limit| number > *limit)) {
            let (number, limit) = (number_text(number), number_text(limit));
            let what = format!(
                "`{path}` is {number} now, beyond its limit {limit}: the first baseline would approve that"
            );
            self.add(what, "put it right first, or move the limit");
        }
    }

    fn about_acting(&mut self, driver: &dyn Driver) {
        let policy = &self.resource.settings.policy;
        let acts = policy.mode == Mode::Act;
        let is_critical = |rule: &evenkeel_core::policy::PropertyRule| {
            rule.severity == Some(Severity::Critical) && !rule.ignore
        };
        if acts && !policy.rules.iter().any(is_critical) {
            self.add(
                "mode is act and no rule is critical: it never fails over by itself",
                "give what does harm a rule with severity = \"critical\"",
            );
        }
        let is_service = matches!(self.resource.kind, KindConfig::Service(_));
        if self.resource.redirect.is_none() && (acts || is_service) {
            let remedy = if is_service {
                "[resource.redirect.proxy]"
            } else {
                "[resource.redirect.link]"
            };
            self.add(
                "there is no redirector: nothing moves the clients, so every failover is held back",
                format!("add {remedy}"),
            );
        }
        let (every, max_age) = (self.resource.settings.sync.every, policy.max_data_age);
        if driver.capabilities().has_data && every > max_age {
            let (every, max_age) = (Brief(every), Brief(max_age));
            let what =
                format!("data is synced every {every}, and may be {max_age} old at a failover");
            self.add(what, "let sync.every be no longer than policy.max_data_age");
        }
        if let (KindConfig::Service(service), Some(RedirectConfig::Proxy(proxy))) =
            (&self.resource.kind, &self.resource.redirect)
            && proxy.listen.port() == service.a.address.port()
            && proxy.listen.ip().is_unspecified()
        {
            let what = format!(
                "the proxy's {} takes the port of {}",
                proxy.listen, service.a.address
            );
            self.add(what, "let instance a listen on another port");
        }
    }

    fn about_rehearsals(&mut self, driver: &dyn Driver) {
        let settings = &self.resource.settings;
        if settings.policy.rehearsal_max_age.is_none() {
            return;
        }
        if !driver.capabilities().can_rehearse {
            self.add(
                "rehearsal_max_age is set and this service cannot be rehearsed: every failover is held back",
                "remove rehearsal_max_age, or give a `start` command that runs in the foreground",
            );
        } else if settings.rehearse_every.is_none_or(|every| {
            settings
                .policy
                .rehearsal_max_age
                .is_some_and(|max_age| every > max_age)
        }) {
            self.add(
                "rehearsals are made less often than rehearsal_max_age asks for",
                "let `rehearse` be shorter than policy.rehearsal_max_age",
            );
        }
    }

    fn about_commands(&mut self) {
        let resource = self.resource;
        let commands: Vec<(&str, Option<&CommandLine>)> = match &resource.kind {
            KindConfig::Service(service) => vec![
                ("service.start", service.start.as_ref()),
                ("service.stop", service.stop.as_ref()),
                ("service.reload", service.reload.as_ref()),
                ("service.status", service.status.as_ref()),
                ("service.health.command", service.health.command.as_ref()),
            ],
            KindConfig::Files(files) => vec![
                ("files.reload", files.reload.as_ref()),
                (
                    "files.health.command",
                    files.health.as_ref().map(|health| &health.command),
                ),
            ],
        };
        let values = placeholders(resource);
        for (key, command) in commands {
            let Some(words) = command.map(|command| command.fill(&values)) else {
                continue;
            };
            match words.map(|words| words.into_iter().next().unwrap_or_default()) {
                Ok(program) if is_executable(&program) => {}
                Ok(program) => self.add(
                    format!("{key}: `{program}` is not there, or not executable"),
                    "give its path, or install it",
                ),
                Err(what) => self.add(format!("{key}: {what}"), "remove the placeholder"),
            }
        }
    }
}

/// What the placeholders stand for at instance a.
fn placeholders(resource: &ResourceConfig) -> Placeholders {
    let values = Placeholders::default()
        .with("name", resource.settings.name.as_str())
        .with("instance", "a")
        .with("run", "/run");
    let (config, data, address) = match &resource.kind {
        KindConfig::Service(service) => (
            &service.a.config,
            service.a.data.as_ref(),
            Some(service.a.address),
        ),
        KindConfig::Files(files) => (&files.a, files.data.as_ref().map(|data| &data.a), None),
    };
    let mut values = values.with("config", config.to_string_lossy());
    if let Some(data) = data {
        values = values.with("data", data.to_string_lossy());
    }
    match address {
        None => values,
        Some(address) => values
            .with("address", address.to_string())
            .with("host", address.ip().to_string())
            .with("port", address.port().to_string()),
    }
}

fn is_executable(program: &str) -> bool {
    let is_one = |path: &Path| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return is_one(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_one(&directory.join(program)))
}

/// The property that a pattern most likely means.
fn nearest(pattern: &str, properties: &Properties<'_>) -> Option<PropertyPath> {
    let plain = pattern.trim_start_matches(['*', '/']);
    let likeness = |path: &PropertyPath| {
        let text = path.as_str();
        // A pattern that begins with stars is about the end of a path.
        let end = text.len().saturating_sub(plain.len());
        let tail = if plain.len() < pattern.len() {
            text.get(end..).unwrap_or(text)
        } else {
            text
        };
        strsim::jaro_winkler(plain, tail)
    };
    properties
        .keys()
        .map(|path| (likeness(path), path))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, path)| path.clone())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    /// The warnings of a service with `more` in its resource's table and `rules` about its properties.
    fn warnings(more: &str, rules: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let text = "events { worker_connections 768; }\nhttp { sendfile on; }\n";
        std::fs::write(tree.join("nginx.conf"), text).unwrap();
        let mut file = format!(
            "[[resource]]\nname = \"web\"\n{more}\n[resource.service]\nstart = [\"sh\"]\n\
             a = {{ config = \"tree\", address = \"127.0.0.1:81\" }}\n\
             b = {{ config = \"other\", address = \"127.0.0.1:82\" }}\n"
        );
        for rule in rules {
            writeln!(file, "[[resource.property]]\n{rule}").unwrap();
        }
        let path = dir.path().join("evenkeel.toml");
        std::fs::write(&path, file).unwrap();
        let mut out = Vec::new();
        super::super::check(&path, false, true, &mut out).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(report["good"], true, "{report:#}");
        let text =
            |w: &serde_json::Value| format!("{}; {}", w["what"], w["remedy"]).replace('"', "");
        report["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect()
    }

    const PROXY: &str = "redirect = { proxy = { listen = \"127.0.0.1:80\" } }";

    fn only(said: &[String], expected: &str) {
        assert!(
            said.len() == 1 && said[0].contains(expected),
            "{expected}\n---\n{said:#?}"
        );
    }

    #[test]
    fn a_service_with_all_it_needs_has_no_warning() {
        let more = format!("{PROXY}\npolicy = {{ mode = \"act\" }}");
        let rules = [
            "match = \"**/worker_connections\"\nlimits = { upper = 1024 }\nseverity = \"critical\"",
        ];
        assert_eq!(warnings(&more, &rules), Vec::<String>::new());
    }

    #[test]
    fn acting_without_a_critical_rule_or_a_redirector_is_told() {
        let said = warnings(&format!("{PROXY}\npolicy = {{ mode = \"act\" }}"), &[]);
        only(&said, "it never fails over by itself");
        only(
            &warnings("", &[]),
            "every failover is held back; add [resource.redirect.proxy]",
        );
    }

    #[test]
    fn a_rule_that_matches_nothing_is_told_with_what_was_likely_meant() {
        let said = warnings(
            PROXY,
            &["match = \"**/worker_conections\"\nseverity = \"critical\""],
        );
        only(&said, "is `nginx.conf/events/worker_connections` meant?");
        let said = warnings(PROXY, &["match = \"**\"", "match = \"**/sendfile\""]);
        only(&said, "put it further up");
        let said = warnings(
            PROXY,
            &["match = \"@process/rss\"", "match = \"@data/bytes\""],
        );
        only(&said, "`@data/bytes` (warn) matches nothing");
    }

    #[test]
    fn limits_that_do_not_fit_what_is_found_are_told() {
        let said = warnings(
            PROXY,
            &["match = \"**/worker_connections\"\nlimits = { upper = 512 }"],
        );
        only(&said, "is 768 now, beyond its limit 512");
        let said = warnings(
            PROXY,
            &["match = \"**/sendfile\"\nlimits = { upper = 512 }"],
        );
        only(&said, "is no number");
    }

    #[test]
    fn a_rehearsal_that_is_asked_for_and_never_made_is_told() {
        let more =
            format!("{PROXY}\nrehearse = \"never\"\npolicy = {{ rehearsal_max_age = \"1d\" }}");
        only(
            &warnings(&more, &[]),
            "less often than rehearsal_max_age asks for",
        );
    }
}
