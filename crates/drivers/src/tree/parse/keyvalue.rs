//! One setting a line: `key value`, `key = value`, `key: value`, as sshd, sysctl, Redis, PostgreSQL
//! and Java properties write them.
//!
//! `Match ...` and `Host ...` of OpenSSH begin a block that goes on to the next of them. A line whose
//! first word is no plausible key makes the whole file text: it is of some other grammar.

use super::super::leaf::{Entry, Leaf, Node, ParseFailure, flatten};
use super::super::value::{infer, typed_flag};
use super::lines::{continued, unquoted, without_comment};

const COMMENTS: &[char] = &['#', ';', '!'];
const KEY_BYTES_MAX: usize = 128;

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let mut document = Vec::new();
    let mut block: Option<(String, String, u32)> = None;
    let mut entries = Vec::new();
    for (number, line) in continued(text, COMMENTS) {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with(COMMENTS) {
            continue;
        }
        let setting = split(number, without_comment(line, &['#']))?;
        if setting.begins_block() {
            close(block.take(), std::mem::take(&mut entries), &mut document);
            block = Some((setting.key.to_owned(), setting.value.to_owned(), number));
        } else {
            entries.push(setting.into_entry(number));
        }
    }
    close(block, entries, &mut document);
    Ok(flatten(document))
}

fn close(block: Option<(String, String, u32)>, entries: Vec<Entry>, document: &mut Vec<Entry>) {
    match block {
        Some((name, key, line)) => {
            document.push(Entry::keyed(&name, &key, line, Node::Branch(entries)));
        }
        None => document.extend(entries),
    }
}

struct Setting<'a> {
    key: &'a str,
    /// `=` or `:` between key and value, or only white space.
    has_sign: bool,
    value: &'a str,
}

impl Setting<'_> {
    fn begins_block(&self) -> bool {
        !self.has_sign && matches!(self.key, "Match" | "Host") && !self.value.is_empty()
    }

    fn into_entry(self, line: u32) -> Entry {
        let typed = if self.value.is_empty() && !self.has_sign {
            typed_flag(true)
        } else {
            infer(self.key, unquoted(self.value))
        };
        Entry::leaf(self.key, line, typed)
    }
}

fn split(number: u32, line: &str) -> Result<Setting<'_>, ParseFailure> {
    let ends_key = |(at, character): (usize, char)| match character {
        '=' => true,
        // `a:b` may be one word; `a: b` and `a:` are not.
        ':' => line[at + 1..]
            .chars()
            .next()
            .is_none_or(char::is_whitespace),
        other => other.is_whitespace(),
    };
    let end = line
        .char_indices()
        .find(|place| ends_key(*place))
        .map_or(line.len(), |(at, _)| at);
    let (key, rest) = line.split_at(end);
    if !is_key(key) {
        return Err(ParseFailure::new(
            number,
            "the line should begin with the name of a setting",
        ));
    }
    let rest = rest.trim_start();
    let signed = rest.strip_prefix(['=', ':']);
    Ok(Setting {
        key,
        has_sign: signed.is_some(),
        value: signed.unwrap_or(rest).trim(),
    })
}

fn is_key(key: &str) -> bool {
    key.len() <= KEY_BYTES_MAX
        && key.starts_with(|c: char| c.is_ascii_alphanumeric() || "_*.-@+$%/".contains(c))
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || "_*.-@+$%/:[]".contains(c))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::KeyValue;

    #[test]
    fn the_three_ways_to_write_a_setting_are_read() {
        check(
            KeyValue,
            "# c\nMaxSessions 10\nnet.core.somaxconn = 128 # why\nname: \"a b\"\nsave 900 1\nsave 300 10\nmaxmemory 2gb\nquiet\nbind=\n",
            &[
                "2 MaxSessions = Number(10.0)",
                "3 net.core.somaxconn = Number(128.0)",
                "4 name = Text(\"a b\")",
                "5 save = Text(\"900 1\")",
                "6 save#2 = Text(\"300 10\")",
                "7 maxmemory = Number(2147483648.0) B",
                "8 quiet = Flag(true)",
                "9 bind = Text(\"\")",
            ],
        );
    }

    #[test]
    fn match_blocks_of_sshd_are_branches() {
        check(
            KeyValue,
            "Port 22\nMatch User git\n  AllowTcpForwarding no\nMatch all\n  Banner /x\n",
            &[
                "1 Port = Number(22.0)",
                "3 Match[User git]/AllowTcpForwarding = Flag(false)",
                "5 Match[all]/Banner = Text(\"/x\")",
            ],
        );
    }

    #[test]
    fn another_grammar_is_refused() {
        check_failure(
            KeyValue,
            "a 1\n{ b }\n",
            "line 2: the line should begin with the name",
        );
    }
}
