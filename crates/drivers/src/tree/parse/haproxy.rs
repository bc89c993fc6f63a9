//! haproxy.cfg: sections of lines of words.
//!
//! What comes as `timeout client 30s` is the path `timeout/client`; what comes several times under
//! names of its own is `server[web1]/weight`, `acl[is_api]`, `bind[*:80]`. Times without a unit are
//! milliseconds.

use super::super::leaf::{Entry, Leaf, Node, ParseFailure, flatten, line_number};
use super::super::value::{BareUnit, Hint, Typed, infer_as, typed_flag, typed_text};

const SECTIONS: &[&str] = &[
    "backend",
    "cache",
    "crt-store",
    "defaults",
    "fcgi-app",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "log-forward",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];
/// First words whose second word is part of the setting's name.
const FAMILIES: &[&str] = &[
    "option",
    "stats",
    "timeout",
    "hash-type",
    "compression",
    "email-alert",
];
/// First words of which a section has several, told apart by the second word.
const NAMED: &[&str] = &[
    "acl",
    "bind",
    "errorfile",
    "group",
    "mailer",
    "nameserver",
    "peer",
    "setenv",
    "use_backend",
];
/// Options of a `server` line that stand alone; every other option takes a value.
const SERVER_FLAGS: &[&str] = &[
    "agent-check",
    "allow-0rtt",
    "backup",
    "check",
    "check-send-proxy",
    "check-ssl",
    "check-via-socks4",
    "disabled",
    "enabled",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "no-agent-check",
    "no-backup",
    "no-check",
    "no-send-proxy",
    "no-ssl-reuse",
    "no-sslv3",
    "no-tls-tickets",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "non-stick",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "ssl",
    "ssl-reuse",
    "stick",
    "tfo",
];

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let mut document = Vec::new();
    let mut section: Option<(u32, Vec<String>)> = None;
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = line_number(index + 1);
        let words = words(number, line.trim_start_matches('\u{feff}'))?;
        let Some(first) = words.first() else { continue };
        if SECTIONS.contains(&first.as_str()) && !line.starts_with([' ', '\t']) {
            close(
                section.replace((number, words)),
                std::mem::take(&mut entries),
                &mut document,
            );
        } else if section.is_none() {
            let what = "a section (global, defaults, frontend, backend, ...) should come first";
            return Err(ParseFailure::new(number, what));
        } else {
            entries.push(directive(number, &words));
        }
    }
    close(section, entries, &mut document);
    Ok(flatten(document))
}

fn close(section: Option<(u32, Vec<String>)>, entries: Vec<Entry>, document: &mut Vec<Entry>) {
    let Some((line, words)) = section else { return };
    let node = Node::Branch(entries);
    document.push(match words.split_first() {
        Some((kind, names)) if !names.is_empty() => {
            Entry::keyed(kind, &names.join(" "), line, node)
        }
        Some((kind, _)) => Entry::named(kind, line, node),
        None => return,
    });
}

fn directive(line: u32, words: &[String]) -> Entry {
    let (negated, words) = match words {
        [no, rest @ ..] if no == "no" && !rest.is_empty() => (true, rest),
        all => (false, all),
    };
    let Some((name, arguments)) = words.split_first() else {
        return Entry::leaf("no", line, typed_flag(true));
    };
    let leaf = |setting: &str, values: &[String]| {
        let typed = if negated {
            typed_flag(false)
        } else {
            value(setting, values)
        };
        Node::Scalar(typed)
    };
    match arguments {
        [second, rest @ ..] if FAMILIES.contains(&name.as_str()) => {
            let hint_name = if name == "timeout" { "timeout" } else { second };
            Entry::nested(name, second, line, leaf(hint_name, rest))
        }
        [second, rest @ ..] if NAMED.contains(&name.as_str()) => {
            Entry::keyed(name, second, line, leaf(name, rest))
        }
        [server, rest @ ..] if name == "server" || name == "default-server" => {
            server_line(line, name, server, rest)
        }
        [user, rest @ ..] if name == "user" && rest.len() >= 2 => {
            Entry::keyed(name, user, line, Node::Branch(options(line, rest)))
        }
        _ => Entry::named(name, line, leaf(name, arguments)),
    }
}

/// `server web1 10.0.0.1:80 check weight 10`; a default-server line has neither name nor address.
fn server_line(line: u32, name: &str, first: &str, rest: &[String]) -> Entry {
    if name == "default-server" {
        let mut words = vec![first.to_owned()];
        words.extend_from_slice(rest);
        return Entry::named(name, line, Node::Branch(options(line, &words)));
    }
    let mut entries = Vec::new();
    if let Some((address, rest)) = rest.split_first() {
        entries.push(Entry::leaf("address", line, typed_text(address)));
        entries.extend(options(line, rest));
    }
    Entry::keyed(name, first, line, Node::Branch(entries))
}

fn options(line: u32, words: &[String]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut words = words.iter();
    while let Some(option) = words.next() {
        let typed = if SERVER_FLAGS.contains(&option.as_str()) {
            typed_flag(true)
        } else {
            match words.next() {
                Some(argument) => value(option, std::slice::from_ref(argument)),
                None => typed_flag(true),
            }
        };
        entries.push(Entry::leaf(option, line, typed));
    }
    entries
}

fn value(name: &str, words: &[String]) -> Typed {
    match words {
        [] => typed_flag(true),
        [only] => infer_as(Hint::of(name), BareUnit::MillisecondsOrBytes, only),
        several => typed_text(several.join(" ")),
    }
}

/// Splits a line as HAProxy does: blanks, both quotes, `\` before a character, `#` begins a comment.
fn words(number: u32, line: &str) -> Result<Vec<String>, ParseFailure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some('\''), other) => word.get_or_insert_default().push(other),
            (_, '\\') => word
                .get_or_insert_default()
                .push(characters.next().unwrap_or('\\')),
            (Some(_), other) => word.get_or_insert_default().push(other),
            (None, '#') => break,
            (None, open @ ('"' | '\'')) => {
                quote = Some(open);
                word.get_or_insert_default();
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, other) => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return Err(ParseFailure::new(number, "a quote without its end"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::Haproxy;

    #[test]
    fn sections_servers_and_families_are_read() {
        check(
            Haproxy,
            "global\n  maxconn 2000 # c\n  daemon\ndefaults\n  timeout client 30s\n  timeout server 50000\n  option httplog\n  no option dontlognull\nfrontend web\n  bind *:80\n  acl is_api path_beg /api\nbackend app\n  balance roundrobin\n  server a 10.0.0.1:80 check weight 10 inter 2s\n  http-request set-header X \"a b\"\n",
            &[
                "2 global/maxconn = Number(2000.0)",
                "3 global/daemon = Flag(true)",
                "5 defaults/timeout/client = Number(30.0) s",
                "6 defaults/timeout/server = Number(50.0) s",
                "7 defaults/option/httplog = Flag(true)",
                "8 defaults/option/dontlognull = Flag(false)",
                "10 frontend[web]/bind[*:80] = Flag(true)",
                "11 frontend[web]/acl[is_api] = Text(\"path_beg /api\")",
                "13 backend[app]/balance = Choice(\"roundrobin\")",
                "14 backend[app]/server[a]/address = Text(\"10.0.0.1:80\")",
                "14 backend[app]/server[a]/check = Flag(true)",
                "14 backend[app]/server[a]/weight = Number(10.0)",
                "14 backend[app]/server[a]/inter = Number(2.0) s",
                "15 backend[app]/http-request = Text(\"set-header X a b\")",
            ],
        );
    }

    #[test]
    fn failures_name_the_line() {
        check_failure(Haproxy, "\nmaxconn 1\n", "line 2: a section (global");
        check_failure(
            Haproxy,
            "global\n log \"x\n",
            "line 2: a quote without its end",
        );
    }
}
