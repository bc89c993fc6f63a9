//! Which grammar a file is read with: the user's hint first, then its name and place, then its text.
//!
//! A wrong choice is harmless: a grammar that does not fit refuses the text, and the file is then one
//! property as a whole. So the rules here may be simple.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parse::parse;

/// A grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// TOML.
    Toml,
    /// YAML 1.2.
    Yaml,
    /// JSON, with comments let pass.
    Json,
    /// `[section]` and `key = value`.
    Ini,
    /// A systemd unit.
    Systemd,
    /// XML.
    Xml,
    /// One setting a line: sshd, sysctl, Redis, PostgreSQL, Java properties.
    KeyValue,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// `NAME=value` with a shell's quotes.
    Env,
    /// Not taken apart: the whole text is one value.
    Text,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Toml,
        Self::Yaml,
        Self::Json,
        Self::Ini,
        Self::Systemd,
        Self::Xml,
        Self::KeyValue,
        Self::Nginx,
        Self::Haproxy,
        Self::Env,
        Self::Text,
    ];
}

/// The grammar of a file by its path (relative to the tree) and, where that does not say, its text.
/// `is_nginx_tree`: there is an `nginx.conf` at the root, so that `conf.d/*.conf` are nginx's.
pub(super) fn choose(path: &str, text: &str, is_nginx_tree: bool) -> Format {
    by_name(path, is_nginx_tree).unwrap_or_else(|| sniff(text))
}

fn by_name(path: &str, is_nginx_tree: bool) -> Option<Format> {
    let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = name.to_ascii_lowercase();
    if let Some(format) = by_whole_name(&name, is_nginx_tree) {
        return Some(format);
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let in_nginx = |directory: &str| {
        matches!(directory, "nginx" | "sites-available" | "sites-enabled")
            || (is_nginx_tree && matches!(directory, "conf.d" | "snippets" | "modules-enabled"))
    };
    let is_nginx_place = directories.split('/').any(in_nginx);
    if is_nginx_place && (matches!(extension, "conf" | "") || directories.contains("sites-")) {
        return Some(Format::Nginx);
    }
    by_extension(extension)
}

fn by_whole_name(name: &str, is_nginx_tree: bool) -> Option<Format> {
    Some(match name {
        "nginx.conf" | "fastcgi.conf" | "fastcgi_params" | "scgi_params" | "uwsgi_params"
        | "proxy_params" => Format::Nginx,
        // Apache and the system have another grammar under the same name.
        "mime.types" if is_nginx_tree => Format::Nginx,
        "haproxy.cfg" => Format::Haproxy,
        "sshd_config"
        | "ssh_config"
        | "sysctl.conf"
        | "redis.conf"
        | "sentinel.conf"
        | "postgresql.conf"
        | "postgresql.auto.conf"
        | "recovery.conf"
        | "zoo.cfg" => Format::KeyValue,
        ".env" | "env" | "environment" => Format::Env,
        "my.cnf" | ".gitconfig" | ".editorconfig" | "php.ini" => Format::Ini,
        "hosts" | "passwd" | "group" | "shadow" | "fstab" | "crontab" | "pg_hba.conf"
        | "pg_ident.conf" | "resolv.conf" | "dockerfile" | "makefile" => Format::Text,
        _ if name.starts_with(".env.") => Format::Env,
        _ => return None,
    })
}

fn by_extension(extension: &str) -> Option<Format> {
    Some(match extension {
        "toml" => Format::Toml,
        "yaml" | "yml" => Format::Yaml,
        "json" | "jsonc" | "json5" => Format::Json,
        "ini" | "cnf" | "desktop" | "repo" => Format::Ini,
        "service" | "socket" | "timer" | "mount" | "automount" | "swap" | "target" | "path"
        | "slice" | "scope" | "network" | "netdev" | "link" | "nspawn" => Format::Systemd,
        "xml" | "xsd" | "plist" => Format::Xml,
        "properties" => Format::KeyValue,
        "nginx" | "vhost" => Format::Nginx,
        "env" => Format::Env,
        "txt" | "md" | "html" | "css" | "js" | "lua" | "sh" | "py" | "pl" | "rb" | "pem"
        | "crt" | "cer" | "key" | "pub" | "csr" | "crl" | "map" | "list" | "lst" | "csv"
        | "log" | "sql" => Format::Text,
        _ => return None,
    })
}

/// The first grammar, from the strictest to the most lenient, whose marks are there and which takes
/// the text. Texts without any mark stay text.
fn sniff(text: &str) -> Format {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let Some(first) = text.lines().map(str::trim).find(|line| is_content(line)) else {
        return Format::Text;
    };
    let accepts = |format: Format| parse(format, text).is_ok();
    if text.starts_with("#!") {
        return Format::Text;
    }
    if first.starts_with('<') {
        return accepting(Format::Xml, accepts);
    }
    if first.starts_with('{') || (first.starts_with('[') && !first.ends_with(']')) {
        return accepting(Format::Json, accepts);
    }
    if first == "---" || first.starts_with("%YAML") {
        return accepting(Format::Yaml, accepts);
    }
    let content = || text.lines().map(str::trim).filter(|line| is_content(line));
    if content().any(|line| line.starts_with('[')) && first.starts_with('[') {
        return accepting(Format::Ini, accepts);
    }
    if content().all(|line| line.ends_with([';', '{', '}']) || line.contains('#')) {
        return accepting(Format::Nginx, accepts);
    }
    if content().all(is_assignment) && accepts(Format::Env) {
        return Format::Env;
    }
    let marked = content().filter(|line| is_setting(line)).count();
    if marked * 10 >= content().count() * 8 {
        return accepting(Format::KeyValue, accepts);
    }
    Format::Text
}

fn accepting(format: Format, accepts: impl Fn(Format) -> bool) -> Format {
    if accepts(format) {
        format
    } else {
        Format::Text
    }
}

fn is_content(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(['#', ';', '!'])
}

fn is_assignment(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

/// `name = value`, `name: value`, or a name and one to three words.
fn is_setting(line: &str) -> bool {
    let is_name = |text: &str| {
        let text = text.trim();
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    if let Some((name, _)) = line.split_once('=').or_else(|| line.split_once(": ")) {
        return is_name(name);
    }
    let mut words = line.split_whitespace();
    words.next().is_some_and(is_name) && (1..=3).contains(&words.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: Format) {
        assert_eq!(choose(path, text, true), expected, "{path} {text:?}");
    }

    #[test]
    fn names_and_places_decide() {
        check("nginx.conf", "", Format::Nginx);
        check("conf.d/site.conf", "", Format::Nginx);
        check("sites-enabled/example.org", "", Format::Nginx);
        check("a/haproxy.cfg", "", Format::Haproxy);
        check("ssh/sshd_config", "", Format::KeyValue);
        check("x.service", "", Format::Systemd);
        check("deep/.env.local", "", Format::Env);
        check("A.YML", "", Format::Yaml);
        assert_eq!(choose("conf.d/a.conf", "a = 1\n", false), Format::KeyValue);
    }

    #[test]
    fn the_text_decides_where_the_name_does_not() {
        check("a", "", Format::Text);
        check("a", "{\"a\": 1}", Format::Json);
        check("a", "[\n1]", Format::Json);
        check("a", "<a><b/></a>", Format::Xml);
        check("a", "# c\n[s]\na = 1\n", Format::Ini);
        check("a.conf", "a 1;\nb {\n c 2;\n}\n", Format::Nginx);
        check("a", "A=1\nB=\"2 3\"\n", Format::Env);
        check(
            "a.conf",
            "# c\nmax = 1\nmin: 2\nport 80\n",
            Format::KeyValue,
        );
        check("a", "#!/bin/sh\na=1\n", Format::Text);
        check(
            "a",
            "This is prose, which goes on and on for a while.\n",
            Format::Text,
        );
        check("a", "<not closed", Format::Text);
    }
}
