//! INI files and systemd units: `[section]`, then `key = value`.
//!
//! The two differ in what stands behind a value: a systemd unit has no comments there (`;` belongs to
//! a command line) but lines that go on after `\`; INI is the other way round. A key repeated is a
//! second value, as in systemd and git. `[remote "origin"]` is the path `remote[origin]`.

use super::super::leaf::{Entry, Leaf, Node, ParseFailure, flatten, line_number};
use super::super::value::{infer, typed_flag};
use super::lines::{continued, unquoted, without_comment};

const COMMENTS: &[char] = &['#', ';'];

pub(super) fn parse_ini(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let lines = text.lines().enumerate();
    read(lines.map(|(index, line)| {
        (
            line_number(index + 1),
            without_comment(line, COMMENTS).to_owned(),
        )
    }))
}

pub(super) fn parse_systemd(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    read(continued(text, COMMENTS))
}

struct Section {
    /// What stood in brackets; none before the first of them.
    header: Option<(u32, String)>,
    entries: Vec<Entry>,
}

fn read(lines: impl Iterator<Item = (u32, String)>) -> Result<Vec<Leaf>, ParseFailure> {
    let mut section = Section {
        header: None,
        entries: Vec::new(),
    };
    let mut document = Vec::new();
    for (number, line) in lines {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with(COMMENTS) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let header = rest
                .strip_suffix(']')
                .ok_or_else(|| ParseFailure::new(number, "a section `[` without its `]`"))?;
            close(section, &mut document);
            section = Section {
                header: Some((number, header.trim().to_owned())),
                entries: Vec::new(),
            };
        } else {
            section.entries.push(entry(number, line));
        }
    }
    close(section, &mut document);
    Ok(flatten(document))
}

fn close(section: Section, document: &mut Vec<Entry>) {
    let Some((line, header)) = section.header else {
        document.extend(section.entries);
        return;
    };
    let node = Node::Branch(section.entries);
    document.push(match header.split_once(char::is_whitespace) {
        Some((name, key)) => Entry::keyed(name, unquoted(key), line, node),
        None => Entry::named(&header, line, node),
    });
}

fn entry(line: u32, text: &str) -> Entry {
    let split = text.split_once('=').or_else(|| text.split_once(':'));
    match split {
        Some((name, value)) => {
            let name = name.trim();
            Entry::leaf(name, line, infer(name, unquoted(value)))
        }
        None => Entry::leaf(text, line, typed_flag(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::{Ini, Systemd};

    #[test]
    fn ini_sections_keys_and_comments_are_read() {
        check(
            Ini,
            "user = me ; who\n# c\n[mysqld]\nskip-networking\nmax_connections=151\nkey_buffer_size = 16M\n[remote \"origin\"]\nurl: \"git@x:y#1\"\n[empty]\n",
            &[
                "1 user = Choice(\"me\")",
                "4 mysqld/skip-networking = Flag(true)",
                "5 mysqld/max_connections = Number(151.0)",
                "6 mysqld/key_buffer_size = Number(16777216.0) B",
                "8 remote[origin]/url = Text(\"git@x:y#1\")",
                "9 empty = Document({})",
            ],
        );
    }

    #[test]
    fn systemd_lines_go_on_and_keys_repeat() {
        check(
            Systemd,
            "[Service]\nExecStart=/bin/sh -c 'a; b' \\\n  --flag\nRestartSec=5\nTimeoutStopSec=1min 30s\nMemoryMax=2G\nEnvironment=A=1\nEnvironment=B=2\n",
            &[
                "2 Service/ExecStart = Text(\"/bin/sh -c 'a; b' --flag\")",
                "4 Service/RestartSec = Number(5.0)",
                "5 Service/TimeoutStopSec = Number(90.0) s",
                "6 Service/MemoryMax = Number(2147483648.0) B",
                "7 Service/Environment = Text(\"A=1\")",
                "8 Service/Environment#2 = Text(\"B=2\")",
            ],
        );
    }

    #[test]
    fn an_open_section_is_a_failure() {
        check_failure(Ini, "a=1\n[b\n", "line 2: a section `[` without its `]`");
    }
}
