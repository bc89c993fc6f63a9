//! What the line-based grammars share: continued lines, comments behind values, quotes.

use super::super::leaf::line_number;

/// The lines of a text with their numbers, where a line that ends in `\` goes on in the next one.
/// Comment lines inside a continued line are left out, as systemd does.
pub(super) fn continued<'a>(
    text: &'a str,
    comments: &'static [char],
) -> impl Iterator<Item = (u32, String)> + 'a {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let (index, first) = lines.next()?;
        let mut whole = first.to_owned();
        while whole.ends_with('\\') && !whole.trim_start().starts_with(comments) {
            whole.pop();
            let next = lines
                .by_ref()
                .find(|(_, line)| !line.trim_start().starts_with(comments));
            let Some((_, next)) = next else { break };
            whole.truncate(whole.trim_end().len());
            whole.push(' ');
            whole.push_str(next.trim_start());
        }
        Some((line_number(index + 1), whole))
    })
}

/// `text` up to a comment: a mark at the start or after white space, outside quotes.
pub(super) fn without_comment<'a>(text: &'a str, marks: &[char]) -> &'a str {
    let mut quote = None;
    let mut after_blank = true;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match quote {
            Some(open) if character == open && !escaped => quote = None,
            None if after_blank && marks.contains(&character) => return text[..at].trim_end(),
            None if matches!(character, '"' | '\'') && after_blank => quote = Some(character),
            Some(_) | None => {}
        }
        escaped = character == '\\' && !escaped;
        after_blank = character.is_whitespace() || character == '=';
    }
    // A lone apostrophe is no quote: what follows may be a comment after all.
    if quote.is_some() {
        return text
            .char_indices()
            .find(|(at, character)| marks.contains(character) && text[..*at].ends_with([' ', '\t']))
            .map_or(text, |(at, _)| &text[..at])
            .trim_end();
    }
    text.trim_end()
}

/// `text` without one pair of quotes round the whole of it.
pub(super) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(quote)) {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_inside_quotes_are_text() {
        assert_eq!(without_comment("a \"x # y\" # z", &['#']), "a \"x # y\"");
        assert_eq!(without_comment("a#b", &['#']), "a#b");
        assert_eq!(without_comment("it 's # c", &['#']), "it 's");
    }

    #[test]
    fn a_continued_line_keeps_the_number_of_its_first() {
        let found: Vec<_> = continued("a \\\n# c\n b\nc\\", &['#']).collect();
        assert_eq!(found, [(1, "a b".to_owned()), (4, "c".to_owned())]);
    }
}
