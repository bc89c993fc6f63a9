//! The grammars, one file each, and the table that joins them to the formats.
//!
//! Every grammar is a pure function from text to leaves. It never panics, never recurses deeper than
//! a fixed limit, and refuses what it does not understand with the line and the reason: the caller
//! then keeps the whole text as one property instead.

mod env;
mod haproxy;
mod ini;
mod json;
mod keyvalue;
mod lines;
mod nginx;
mod toml;
mod xml;
mod yaml;

use super::format::Format;
use super::leaf::{Leaf, ParseFailure};
use super::value::typed_text;

/// Reads a text as leaves, in the order in which they stand.
pub fn parse(format: Format, text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    match format {
        Format::Toml => toml::parse(text),
        Format::Yaml => yaml::parse(text),
        Format::Json => json::parse(text),
        Format::Ini => ini::parse_ini(text),
        Format::Systemd => ini::parse_systemd(text),
        Format::Xml => xml::parse(text),
        Format::KeyValue => keyvalue::parse(text),
        Format::Nginx => nginx::parse(text),
        Format::Haproxy => haproxy::parse(text),
        Format::Env => env::parse(text),
        Format::Text => Ok(vec![Leaf {
            path: String::new(),
            value: typed_text(text).value,
            line: 1,
            unit: None,
        }]),
    }
}

#[cfg(test)]
mod testing {
    use super::{Format, parse};

    /// Leaves as `line path = value unit`.
    pub(super) fn check(format: Format, text: &str, expected: &[&str]) {
        let found: Vec<String> = parse(format, text)
            .unwrap()
            .into_iter()
            .map(|leaf| {
                let unit = leaf.unit.map(|unit| format!(" {unit}")).unwrap_or_default();
                format!("{} {} = {:?}{unit}", leaf.line, leaf.path, leaf.value)
            })
            .collect();
        assert_eq!(found, expected, "{format:?}");
    }

    /// `expected` is part of the failure's message.
    pub(super) fn check_failure(format: Format, text: &str, expected: &str) {
        let failure = parse(format, text).unwrap_err().to_string();
        assert!(
            failure.contains(expected),
            "{failure:?} has no {expected:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const SAMPLES: &[(Format, &str)] = &[
        (
            Format::Toml,
            "a = 1\n[b.c]\nd = [\"x\", \"y\"]\n[[e]]\nname = \"n\"\nf = { g = 1.5 }\n",
        ),
        (
            Format::Yaml,
            "a:\n  - &x {b: 1, c: \"q\"}\n  - *x\nd: |\n  text\n  more\n? e\n: !!str 5\n",
        ),
        (
            Format::Json,
            "{\"a\": [1, {\"b\": null}], // c\n \"d\": \"\\u00e9\\n\", \"e\": -1.5e3}",
        ),
        (Format::Ini, "[a \"b\"]\nc = d ; e\nf: g\nh\n"),
        (Format::Systemd, "[Unit]\nA=b \\\n  c\n# d\nB=1min 30s\n"),
        (
            Format::Xml,
            "<?xml version=\"1.0\"?><a b=\"c\">d &amp; <e/><![CDATA[f]]><!-- g --></a>",
        ),
        (
            Format::KeyValue,
            "a b\nc = \"d # e\" # f\nMatch User g\n  h: 10s\n",
        ),
        (
            Format::Nginx,
            "a { b \"c\\\"d\" ${e}; # f\n g_by_lua_block { h = \"}\" } server { listen 80; } }\n",
        ),
        (
            Format::Haproxy,
            "global\n a \"b c\" 'd' e\\ f # g\nbackend h\n server i 1:2 check weight 3\n",
        ),
        (Format::Env, "export A=\"b\\\"c\nd\" # e\nF='g'\nH=1\n"),
        (Format::Text, "any\ntext"),
    ];

    /// What holds of every reading, whatever the text is.
    fn check_invariants(format: Format, text: &str) {
        let Ok(leaves) = parse(format, text) else {
            return;
        };
        let lines = u32::try_from(text.lines().count().max(1)).unwrap();
        let mut seen = BTreeSet::new();
        for leaf in leaves {
            assert!(
                leaf.line >= 1 && leaf.line <= lines,
                "{format:?} {leaf:?} of {lines} lines"
            );
            assert!(!leaf.path.contains(char::is_control), "{format:?} {leaf:?}");
            assert!(
                seen.insert(leaf.path.clone()),
                "{format:?} {leaf:?} twice in {text:?}"
            );
        }
    }

    #[test]
    fn every_sample_is_of_its_format() {
        for (format, text) in SAMPLES {
            assert!(
                parse(*format, text).is_ok_and(|leaves| !leaves.is_empty()),
                "{format:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,200}") {
            for format in Format::ALL {
                check_invariants(format, &text);
            }
        }

        #[test]
        fn no_soup_of_syntax_makes_a_parser_panic(
            pieces in prop::collection::vec(
                select(vec![
                    "{", "}", "[", "]", "[[", "]]", ":", "=", ",", ";", "\n", "\r\n", " ", "\t", "\"", "'",
                    "\\", "#", "//", "/*", "*/", "<", "</", ">", "/>", "&", "*", "!", "|", "- ", "? ", "---\n",
                    "a", "b", "1", "0", ".", "$", "${", "é", "\u{feff}", "<![CDATA[", "<!--", "backend", "server",
                ]),
                0..60,
            ),
        ) {
            let text = pieces.concat();
            for format in Format::ALL {
                check_invariants(format, &text);
            }
        }

        #[test]
        fn no_damage_to_a_sample_makes_its_parser_panic(
            sample in select(SAMPLES),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<char>()), 1..6),
        ) {
            let mut characters: Vec<char> = sample.1.chars().collect();
            for (at, kind, character) in cuts {
                if characters.is_empty() { break; }
                let at = at.index(characters.len());
                match kind {
                    0 => { characters.remove(at); }
                    1 => characters.insert(at, character),
                    2 => characters.truncate(at),
                    _ => { let copy = characters[at..].to_vec(); characters.extend(copy); }
                }
            }
            let text: String = characters.into_iter().collect();
            check_invariants(sample.0, &text);
        }
    }
}
