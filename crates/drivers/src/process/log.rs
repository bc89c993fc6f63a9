//! The last lines of a log, and the masking of what looks like a secret in texts for people.
//!
//! Masking errs on the side of hiding: it knows settings by their names, credentials in URLs and
//! headers, and private keys. It is a net, not a proof; drivers redact known secrets before.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::tree::looks_secret;

const TAIL_BYTES: u64 = 64 * 1024;
const LINE_CHARS_MAX: usize = 500;
const MASK: &str = "***";

/// The last `lines` lines of a file, masked; empty where there is no such file.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let Ok(mut file) = File::open(path) else {
        return String::new();
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let from = length.saturating_sub(TAIL_BYTES);
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(from)).is_err()
        || file.take(TAIL_BYTES).read_to_end(&mut bytes).is_err()
    {
        return String::new();
    }
    last_lines(&String::from_utf8_lossy(&bytes), lines)
}

/// The last `lines` lines of a text, masked.
pub(crate) fn last_lines(text: &str, lines: usize) -> String {
    let text = mask(text);
    let all: Vec<&str> = text.lines().collect();
    let shortened = all[all.len().saturating_sub(lines)..].iter().map(|line| {
        line.char_indices()
            .nth(LINE_CHARS_MAX)
            .map_or((*line).to_owned(), |(cut, _)| format!("{}…", &line[..cut]))
    });
    shortened.collect::<Vec<_>>().join("\n")
}

/// The text with `***` where a secret seems to stand.
pub(crate) fn mask(text: &str) -> String {
    let mut in_key = false;
    let mut masked = Vec::new();
    for line in text.split('\n') {
        let ends_key = line.contains("-----END ");
        if in_key && !ends_key {
            masked.push(MASK.to_owned());
            continue;
        }
        in_key = !ends_key && line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----");
        masked.push(mask_urls(&mask_settings(line)));
    }
    masked.join("\n")
}

/// Hides the value behind a telling name: `password=x`, `"token": "x"`, `--api-key x`.
fn mask_settings(line: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut is_first_word = true;
    while let Some(start) = rest.find(is_name) {
        let length = rest[start..]
            .find(|c| !is_name(c))
            .unwrap_or(rest.len() - start);
        let (name, after) = (&rest[start..start + length], &rest[start + length..]);
        out.push_str(&rest[..start + length]);
        rest = after;
        if let Some((gap, value)) = secret_value(name, after, is_first_word) {
            out.push_str(&after[..gap]);
            out.push_str(MASK);
            rest = &after[gap + value..];
        }
        is_first_word = false;
    }
    out + rest
}

/// Where the secret value behind a name begins, and how long it is.
fn secret_value(name: &str, after: &str, is_first_word: bool) -> Option<(usize, usize)> {
    let plain = name.trim_start_matches('-');
    let is_header = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "bearer",
    ]
    .iter()
    .any(|header| plain.eq_ignore_ascii_case(header));
    if !is_header && !looks_secret(&plain.replace('.', "/")) {
        return None;
    }
    let spaces =
        |text: &str| text.len() - text.trim_start_matches([' ', '\t', '"', '\'', '\\']).len();
    let mut gap = spaces(after);
    let assigns = after[gap..].starts_with(['=', ':']);
    if assigns {
        gap += 1;
        gap += spaces(&after[gap..]);
    } else if gap == 0 || !(is_first_word || name.starts_with("--") || is_header) {
        return None;
    }
    let value = &after[gap..];
    // A header's or a quoted value may hold spaces: hide all of the line, rather than half a secret.
    let quoted = after[..gap].ends_with(['"', '\'']);
    let end = if is_header {
        value.len()
    } else if quoted {
        value.find(['"', '\'']).unwrap_or(value.len())
    } else {
        value
            .find([' ', '\t', ',', ';', '&', '"', '\'', ')'])
            .unwrap_or(value.len())
    };
    (end > 0).then_some((gap, end))
}

/// Hides the password of `scheme://user:password@host`.
fn mask_urls(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(mark) = rest.find("://") {
        let authority_from = mark + 3;
        let authority = &rest[authority_from..];
        let end = authority
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''))
            .unwrap_or(authority.len());
        let user_end = authority[..end].rfind('@');
        let colon = user_end.and_then(|at| authority[..at].find(':'));
        match (colon, user_end) {
            (Some(colon), Some(at)) => {
                out.push_str(&rest[..authority_from + colon + 1]);
                out.push_str(MASK);
                rest = &authority[at..];
            }
            _ => {
                out.push_str(&rest[..authority_from]);
                rest = authority;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_masked_where_a_name_tells() {
        for line in [
            "db password=hunter2 host=a",
            "  \"api_key\": \"hunter2\",",
            "run --password hunter2 -v",
            "requirepass hunter2",
            "+password = hunter2",
            "GET / Authorization: Basic hunter2",
            "to postgres://app:hunter2@db/x?password=hunter2",
            "x?token=hunter2&y=1",
            "password: 'hunter2 hunter2'",
        ] {
            let masked = mask(line);
            assert!(
                !masked.contains("hunter2") && masked.contains("***"),
                "{line} -> {masked}"
            );
        }
        let key = "a\n-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\nb";
        assert_eq!(mask(key).matches("hunter2").count(), 0);
        assert!(mask(key).ends_with("\nb"));
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for line in [
            "listen 127.0.0.1:80;",
            "GET http://a/b@c 200",
            "password_min_length = 8",
            "",
            "the password was wrong",
        ] {
            assert_eq!(mask(line), line);
        }
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2), "two\nthree");
        assert_eq!(tail(&directory.path().join("none"), 2), "");
    }

    proptest! {
        #[test]
        fn any_text_is_masked_without_panic_and_keeps_its_lines(text: String) {
            prop_assert_eq!(mask(&text).split('\n').count(), text.split('\n').count());
        }
    }
}
