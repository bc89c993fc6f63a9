//! Environment files: `NAME=value`, with the quotes of a shell but none of its substitutions.
//!
//! Quotes only group here, so `PORT="80"` is a number as `PORT=80` is.

use super::super::leaf::{Entry, Leaf, ParseFailure, flatten, line_number};
use super::super::value::{infer, typed_text};

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = line_number(index + 1);
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| ParseFailure::new(number, "the line should be `NAME=value`"))?;
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let mut more = lines.by_ref().map(|(_, line)| line);
                quoted(quote, &value[1..], &mut more)
                    .ok_or_else(|| ParseFailure::new(number, "a quote without its end"))?
            }
            Some(_) | None => super::lines::without_comment(value, &['#']).to_owned(),
        };
        let typed = if value.contains('\n') {
            typed_text(value)
        } else {
            infer(name, &value)
        };
        entries.push(Entry::leaf(name, number, typed));
    }
    Ok(flatten(entries))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// What stands between quotes, over several lines if need be; only a comment may follow.
fn quoted<'a>(
    quote: char,
    first: &'a str,
    more: &mut dyn Iterator<Item = &'a str>,
) -> Option<String> {
    let mut value = String::new();
    let mut line = first;
    loop {
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' if quote == '"' => match characters.next() {
                    Some('n') => value.push('\n'),
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                    Some(other) => value.extend(['\\', other]),
                    None => {}
                },
                end if end == quote => {
                    let rest = characters.as_str().trim_start();
                    return (rest.is_empty() || rest.starts_with('#')).then_some(value);
                }
                other => value.push(other),
            }
        }
        line = more.next()?;
        value.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_failure};
    use crate::tree::Format::Env;

    #[test]
    fn names_quotes_and_comments_are_read() {
        check(
            Env,
            "# c\nexport PORT=\"80\" # why\nMODE=fast # x\nTTL=30s\nNOTE='a\nb'\nURL=http://x/#y\n",
            &[
                "2 PORT = Number(80.0)",
                "3 MODE = Choice(\"fast\")",
                "4 TTL = Number(30.0) s",
                "5 NOTE = Text(\"a\\nb\")",
                "7 URL = Text(\"http://x/#y\")",
            ],
        );
    }

    #[test]
    fn what_is_no_assignment_is_refused() {
        check_failure(
            Env,
            "A=1\nif x; then\n",
            "line 2: the line should be `NAME=value`",
        );
        check_failure(Env, "A=\"1\n", "line 1: a quote without its end");
    }
}
