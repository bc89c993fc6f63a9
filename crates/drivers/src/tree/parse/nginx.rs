//! nginx: words, `;`, and blocks, as `ngx_conf_read_token` reads them.
//!
//! Blocks with arguments are told apart by them (`location[/api]`, `upstream[app]`), servers by their
//! first name, else by where they listen. Directives that come several times under names of their own
//! take the name into the path (`proxy_set_header[Host]`). Includes are not followed: the whole tree
//! is read anyway. Lua blocks are kept as text.

use super::super::leaf::{DEPTH_MAX, Entry, Leaf, Node, ParseFailure, flatten};
use super::super::value::{BareUnit, Hint, Typed, infer_as, typed_flag, typed_set, typed_text};

/// Directives whose first argument is a name and the rest its value.
const NAMED: &[&str] = &[
    "add_header",
    "add_trailer",
    "auth_request_set",
    "fastcgi_param",
    "grpc_set_header",
    "js_set",
    "limit_conn",
    "log_format",
    "perl_set",
    "proxy_cache_valid",
    "proxy_set_header",
    "rewrite",
    "scgi_param",
    "set",
    "sub_filter",
    "uwsgi_param",
];
/// Directives whose arguments have no order.
const SETS: &[&str] = &[
    "gzip_types",
    "proxy_next_upstream",
    "server_name",
    "ssl_protocols",
];
/// Blocks of `key value;` lines, where the first word is data and no directive.
const TABLES: &[&str] = &["charset_map", "geo", "map", "split_clients", "types"];

pub(super) fn parse(text: &str) -> Result<Vec<Leaf>, ParseFailure> {
    let mut reader = Reader::new(text);
    let directives = reader.block("", None, DEPTH_MAX)?;
    Ok(flatten(
        directives
            .into_iter()
            .map(|directive| directive.entry)
            .collect(),
    ))
}

/// A directive, with what its block needs to know of it.
struct Directive {
    name: String,
    first_argument: Option<String>,
    entry: Entry,
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
    Eof,
}

struct Reader<'a> {
    characters: std::iter::Peekable<std::str::Chars<'a>>,
    line: u32,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            characters: text.chars().peekable(),
            line: 1,
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.characters.next()?;
        if character == '\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(character)
    }

    /// Reads directives up to the end of the block `name`, or of the file where `opened` is none.
    fn block(
        &mut self,
        name: &str,
        opened: Option<u32>,
        depth_left: usize,
    ) -> Result<Vec<Directive>, ParseFailure> {
        let mut directives = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut begins = self.line;
        loop {
            match (self.token()?, words.is_empty()) {
                (Token::Word(word), _) => {
                    if words.is_empty() {
                        begins = self.line_of(&word);
                    }
                    words.push(word);
                }
                (Token::End, false) => {
                    directives.push(simple(name, begins, std::mem::take(&mut words)));
                }
                (Token::Open, false) => {
                    let words = std::mem::take(&mut words);
                    directives.push(self.block_directive(begins, words, depth_left)?);
                }
                (Token::Close, true) if opened.is_some() => return Ok(directives),
                (Token::Eof, true) if opened.is_none() => return Ok(directives),
                (Token::Eof, true) => {
                    let at = opened.unwrap_or(self.line);
                    let what = format!("the block `{name}` has no closing `}}`");
                    return Err(ParseFailure::new(at, what));
                }
                (Token::End, true) => return Err(self.failure("a `;` without a directive")),
                (Token::Open, true) => return Err(self.failure("a `{` without a directive")),
                (Token::Close, true) => return Err(self.failure("a `}` without its `{`")),
                (Token::Close | Token::Eof, false) => {
                    return Err(ParseFailure::new(begins, "a directive without its `;`"));
                }
            }
        }
    }

    fn block_directive(
        &mut self,
        line: u32,
        words: Vec<String>,
        depth_left: usize,
    ) -> Result<Directive, ParseFailure> {
        let Some((name, arguments)) = words.split_first() else {
            return Err(self.failure("a `{` without a directive"));
        };
        if depth_left == 0 {
            return Err(ParseFailure::too_deep(line));
        }
        if name.ends_with("_by_lua_block") {
            let node = Node::Scalar(typed_text(self.raw_block(line)?.trim()));
            return Ok(Directive::new(
                name,
                arguments,
                block_entry(name, arguments, line, node),
            ));
        }
        let children = self.block(name, Some(line), depth_left - 1)?;
        let argument_of = |wanted: &str| {
            let child = children.iter().find(|child| child.name == wanted)?;
            child.first_argument.clone()
        };
        let key = if name == "server" && arguments.is_empty() {
            argument_of("server_name").or_else(|| argument_of("listen"))
        } else {
            None
        };
        let node = Node::Branch(children.into_iter().map(|child| child.entry).collect());
        let entry = match key {
            Some(key) => Entry::keyed(name, &key, line, node),
            None => block_entry(name, arguments, line, node),
        };
        Ok(Directive::new(name, arguments, entry))
    }

    /// The text of a block in another language, up to its own `}`.
    fn raw_block(&mut self, opened: u32) -> Result<String, ParseFailure> {
        let mut text = String::new();
        let mut depth = 1_u32;
        let mut quote = None;
        while let Some(character) = self.next() {
            match (quote, character) {
                (Some(_), '\\') => {
                    text.push(character);
                    text.extend(self.next());
                    continue;
                }
                (Some(open), close) if open == close || close == '\n' => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(character),
                (None, '{') => depth = depth.saturating_add(1),
                (None, '}') if depth == 1 => return Ok(text),
                (None, '}') => depth -= 1,
                (None, _) => {}
            }
            text.push(character);
        }
        Err(ParseFailure::new(opened, "the block has no closing `}`"))
    }

    fn token(&mut self) -> Result<Token, ParseFailure> {
        loop {
            match self.characters.peek().copied() {
                None => return Ok(Token::Eof),
                Some('#') => while self.next().is_some_and(|character| character != '\n') {},
                Some(blank) if blank.is_whitespace() => {
                    self.next();
                }
                Some(sign @ (';' | '{' | '}')) => {
                    self.next();
                    return Ok(match sign {
                        ';' => Token::End,
                        '{' => Token::Open,
                        _ => Token::Close,
                    });
                }
                Some(quote @ ('"' | '\'')) => {
                    self.next();
                    return self.quoted(quote);
                }
                Some(_) => return Ok(Token::Word(self.word())),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, ParseFailure> {
        let opened = self.line;
        let mut word = String::new();
        while let Some(character) = self.next() {
            match character {
                '\\' => self.escaped(&mut word),
                end if end == quote => return Ok(Token::Word(word)),
                other => word.push(other),
            }
        }
        Err(ParseFailure::new(opened, "a quote without its end"))
    }

    /// A bare word: ends before blanks, `;` and `{`, but `${name}` is part of it.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(character) = self.characters.peek().copied() {
            let is_variable = character == '{' && word.ends_with('$');
            if character.is_whitespace() || character == ';' || (character == '{' && !is_variable) {
                break;
            }
            self.next();
            match character {
                '\\' => self.escaped(&mut word),
                other => word.push(other),
            }
        }
        word
    }

    /// nginx drops the backslash before quotes and itself, and keeps it elsewhere (`\.php$`).
    fn escaped(&mut self, word: &mut String) {
        match self.next() {
            Some(kept @ ('"' | '\'' | '\\')) => word.push(kept),
            Some('t') => word.push('\t'),
            Some('n') => word.push('\n'),
            Some('r') => word.push('\r'),
            Some(other) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
    }

    /// The line on which the word just read began.
    fn line_of(&self, word: &str) -> u32 {
        let breaks = word.matches('\n').count();
        self.line
            .saturating_sub(u32::try_from(breaks).unwrap_or(0))
            .max(1)
    }

    fn failure(&self, what: &str) -> ParseFailure {
        ParseFailure::new(self.line, what)
    }
}

impl Directive {
    fn new(name: &str, arguments: &[String], entry: Entry) -> Self {
        Self {
            name: name.to_owned(),
            first_argument: arguments.first().cloned(),
            entry,
        }
    }
}

fn block_entry(name: &str, arguments: &[String], line: u32, node: Node) -> Entry {
    if arguments.is_empty() {
        Entry::named(name, line, node)
    } else {
        Entry::keyed(name, &arguments.join(" "), line, node)
    }
}

/// A directive that ends with `;`, inside the block `parent`.
fn simple(parent: &str, line: u32, words: Vec<String>) -> Directive {
    let Some((name, arguments)) = words.split_first() else {
        return Directive::new("", &[], Entry::leaf("", line, typed_flag(true)));
    };
    let entry = match arguments {
        _ if TABLES.contains(&parent) => Entry::leaf(name, line, value("", arguments)),
        [address, rest @ ..] if parent == "upstream" && name == "server" => {
            Entry::keyed(name, address, line, upstream_server(line, rest))
        }
        [key, rest @ ..] if NAMED.contains(&name.as_str()) && !rest.is_empty() => {
            Entry::keyed(name, key, line, Node::Scalar(value(name, rest)))
        }
        [codes @ .., page] if name == "error_page" && !codes.is_empty() => {
            Entry::keyed(name, &codes.join(" "), line, Node::Scalar(typed_text(page)))
        }
        items if SETS.contains(&name.as_str()) => {
            Entry::leaf(name, line, typed_set(items.iter().map(String::as_str)))
        }
        _ => Entry::leaf(name, line, value(name, arguments)),
    };
    Directive::new(name, arguments, entry)
}

/// `weight=5 max_fails=3 backup` of a server in an upstream block.
fn upstream_server(line: u32, parameters: &[String]) -> Node {
    if parameters.is_empty() {
        return Node::Scalar(typed_flag(true));
    }
    let entries = parameters
        .iter()
        .map(|parameter| match parameter.split_once('=') {
            Some((name, text)) => Entry::leaf(name, line, one_value(name, text)),
            None => Entry::leaf(parameter, line, typed_flag(true)),
        });
    Node::Branch(entries.collect())
}

fn value(name: &str, arguments: &[String]) -> Typed {
    match arguments {
        [] => typed_flag(true),
        [only] => one_value(name, only),
        several => typed_text(several.join(" ")),
    }
}

fn one_value(name: &str, text: &str) -> Typed {
    infer_as(Hint::of(name), BareUnit::SecondsOrBytes, text)
}

#[cfg(test)]
#[path = "nginx_tests.rs"]
mod tests;
