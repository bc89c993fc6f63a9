//! What is likely a secret: by the name of a setting, by the name of a file, by what a text holds.
//!
//! Nothing is redacted here, since the key for that lives in the store: the reading lists the paths,
//! and the caller replaces the values before they are kept, shown or logged. Whole files that hold a
//! secret never leave this module as text, only as a digest.

use super::value::words_of;

/// Whether the value at a path is likely a secret: a password, a token, a private key itself. A
/// path *to* a key (`ssl_certificate_key`, `password_file`) is none, nor is a rule *about* passwords
/// (`password_min_length`, `PasswordAuthentication`).
pub fn looks_secret(path: &str) -> bool {
    const ABOUT: &[&str] = &[
        "age",
        "algorithm",
        "authentication",
        "dir",
        "directory",
        "enabled",
        "encryption",
        "endpoint",
        "expiry",
        "file",
        "interval",
        "length",
        "lifetime",
        "max",
        "min",
        "path",
        "policy",
        "timeout",
        "ttl",
        "type",
        "url",
    ];
    let words = words_of(last_segment(path));
    let is_about = words
        .last()
        .is_some_and(|word| ABOUT.contains(&word.as_str()));
    // `stats auth user:password` of HAProxy.
    let is_haproxy_login = path.ends_with("/stats/auth");
    is_haproxy_login
        || !is_about && (words.iter().any(|word| is_secret_word(word)) || is_secret_pair(&words))
}

fn is_secret_word(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "apikey",
        "authorization",
        "credentials",
        "masterauth",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pgpassword",
        "privatekey",
        "psk",
        "pwd",
        "requirepass",
        "secret",
        "secretkey",
        "secrets",
        "token",
    ];
    WORDS.contains(&word)
}

fn is_secret_pair(words: &[String]) -> bool {
    const PAIRS: &[(&str, &str)] = &[
        ("access", "key"),
        ("api", "key"),
        ("auth", "key"),
        ("encryption", "key"),
        ("host", "key"),
        ("license", "key"),
        ("private", "key"),
        ("secret", "key"),
        ("shared", "key"),
        ("signing", "key"),
        ("auth", "pass"),
        ("basic", "auth"),
        ("access", "tokens"),
        ("api", "tokens"),
        ("auth", "tokens"),
        ("set", "credential"),
    ];
    words
        .windows(2)
        .any(|pair| PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())))
}

/// The last segment, including its brackets: `fastcgi_param[DB_PASSWORD]` names a secret too.
fn last_segment(path: &str) -> &str {
    let mut depth = 0_u32;
    for (at, character) in path.char_indices().rev() {
        match character {
            ']' => depth += 1,
            '[' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => return &path[at + 1..],
            _ => {}
        }
    }
    path
}

/// Whether a file of this name holds nothing but secrets.
pub(super) fn is_secret_file(name: &str) -> bool {
    const NAMES: &[&str] = &[
        ".htpasswd",
        ".netrc",
        ".pgpass",
        "gshadow",
        "gshadow-",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        "id_rsa",
        "shadow",
        "shadow-",
    ];
    const ENDINGS: &[&str] = &[
        ".jks",
        ".key",
        ".keytab",
        ".keystore",
        ".p12",
        ".pfx",
        "_key",
    ];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a text that stays whole holds a private key, a secret setting or a URL with a password.
pub(super) fn text_holds_secret(text: &str) -> bool {
    text.contains("PRIVATE KEY-----") || text.lines().any(line_holds_secret)
}

fn line_holds_secret(line: &str) -> bool {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    url_holds_password(line) || setting_is_secret(line) || word_is_secret(line)
}

/// Whether one value of a document that was taken apart holds a secret besides what its name says:
/// the text of a command line, a connection string, a key.
pub(super) fn value_holds_secret(text: &str) -> bool {
    let line_holds = |line: &str| url_holds_password(line) || word_is_secret(line);
    text.contains("PRIVATE KEY-----") || text.lines().any(line_holds)
}

/// The line is `password = text`, `password: text` or `<password>text`.
fn setting_is_secret(line: &str) -> bool {
    line.trim_start_matches(['-', '<', ' '])
        .split_once(['=', ':', ' ', '\t', '>'])
        .is_some_and(|(name, rest)| {
            !rest.trim().is_empty() && !name.contains('/') && looks_secret(name)
        })
}

/// Somewhere in the line is `password=text`, as in a connection string, `--password text`, or
/// `"password": "text"`. What a
/// variable stands for is not in the text.
fn word_is_secret(line: &str) -> bool {
    let mut words = line
        .split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '?' | ','))
        .filter(|word| !word.is_empty())
        .peekable();
    while let Some(word) = words.next() {
        let next = words.peek().copied();
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None if word.starts_with("--") || word.ends_with("\":") => (word, next),
            None => continue,
        };
        let is_given =
            value.is_some_and(|value| !value.is_empty() && !value.starts_with(['$', '-']));
        if is_given && looks_secret(name) {
            return true;
        }
    }
    false
}

/// `scheme://user:password@host`.
pub(super) fn url_holds_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, mark)| {
        let authority = text[at + mark.len()..]
            .split(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''))
            .next()
            .unwrap_or("");
        authority.rsplit_once('@').is_some_and(|(user, _)| {
            user.split_once(':')
                .is_some_and(|(_, password)| !password.is_empty() && !password.starts_with('$'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognised_and_names_of_places_are_not() {
        for path in [
            "app.toml/db/password",
            "x/DB_PASSWORD",
            "a/apiKey",
            "a/api_key",
            "x/AWS_SECRET_ACCESS_KEY",
            "a/client-secret",
            "r/requirepass",
            "x/fastcgi_param[DB_PASSWORD]",
            "a/auth_token",
            "x.conf/map[a/b]/private_key",
            "haproxy.cfg/listen[s]/stats/auth",
        ] {
            assert!(looks_secret(path), "{path}");
        }
        for path in [
            "n/ssl_certificate_key",
            "n/server_tokens",
            "a/password_file",
            "a/token/ttl",
            "a/keepalive",
            "a/monkey",
            "n/http/keys_zone",
            "a.service/Service/LoadCredential",
            "sshd_config/PasswordAuthentication",
        ] {
            assert!(!looks_secret(path), "{path}");
        }
    }

    #[test]
    fn texts_with_secrets_are_recognised() {
        assert!(text_holds_secret("a\n-----BEGIN RSA PRIVATE KEY-----\n"));
        assert!(text_holds_secret("  password = hunter2"));
        assert!(text_holds_secret("url postgres://app:pw@db/x"));
        assert!(!text_holds_secret("proxy http://a:80/x@y"));
        assert!(text_holds_secret("Server=a;Password=x"));
        assert!(text_holds_secret("/bin/x --api-token x"));
        assert!(!text_holds_secret("/bin/x --api-token $T"));
        assert!(!text_holds_secret("no secret here"));
        assert!(value_holds_secret("DB_PASSWORD=x"));
        assert!(value_holds_secret("{\"password\": \"x\"}"));
        assert!(!value_holds_secret("/bin/systemd-ask-password --watch"));
    }
}
