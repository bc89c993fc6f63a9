//! What differs between the instances of a resource - addresses, roots, names - is kept out of the
//! stored configuration: on capture each *local* literal is replaced by its *canonical* one, on
//! materialise the other way round. So the same configuration has the same digest on both sides.
//!
//! A literal matches whole tokens only: `10.0.0.1` is not found in `10.0.0.12`, `/srv/a` neither in
//! `/srv/a-old` nor in `/mnt/srv/a`. The longest literal wins; replaced text is not searched again.
//! Both directions check that the way back gives the same bytes, else the file is refused by name:
//! a wrong substitution would be found only when the clone serves.

use std::path::Path;

use crate::error::CloneError;

/// Pairs of a canonical literal (stored) and a local one (on this instance).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitutions {
    /// (canonical, local), as given.
    pairs: Vec<(String, String)>,
    to_canonical: Table,
    to_local: Table,
}

impl Substitutions {
    /// Checks the pairs `(canonical, local)`: no literal is empty, none occurs twice on its side.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, CloneError> {
        for (index, (canonical, local)) in pairs.iter().enumerate() {
            let refuse = |literal: &str, why| {
                Err(CloneError::Substitution {
                    literal: literal.to_owned(),
                    why,
                })
            };
            if canonical.is_empty() || local.is_empty() {
                let other = if canonical.is_empty() {
                    local
                } else {
                    canonical
                };
                return refuse(other, "is paired with an empty text; both sides need one");
            }
            for (earlier_canonical, earlier_local) in &pairs[..index] {
                if earlier_canonical == canonical {
                    return refuse(canonical, "is given twice as the canonical text");
                }
                if earlier_local == local {
                    return refuse(local, "is given twice as the local text");
                }
            }
        }
        let to_canonical = Table::new(pairs.iter().map(|(c, l)| (l.clone(), c.clone())));
        let to_local = Table::new(pairs.iter().cloned());
        Ok(Self {
            pairs,
            to_canonical,
            to_local,
        })
    }

    /// Nothing differs between the instances.
    pub(crate) fn none() -> &'static Self {
        static NONE: Substitutions = Substitutions {
            pairs: Vec::new(),
            to_canonical: Table(Vec::new()),
            to_local: Table(Vec::new()),
        };
        &NONE
    }

    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Local to canonical. `path` is only for the error.
    pub fn canonicalise(&self, path: &Path, local: &[u8]) -> Result<Vec<u8>, CloneError> {
        self.checked(path, local, &self.to_canonical, &self.to_local)
    }

    /// Canonical to local. `path` is only for the error.
    pub fn localise(&self, path: &Path, canonical: &[u8]) -> Result<Vec<u8>, CloneError> {
        self.checked(path, canonical, &self.to_local, &self.to_canonical)
    }

    fn checked(
        &self,
        path: &Path,
        input: &[u8],
        there: &Table,
        back: &Table,
    ) -> Result<Vec<u8>, CloneError> {
        let output = there.replace(input);
        if back.replace(&output) == input {
            return Ok(output);
        }
        // The literal at fault is one that the way back finds in the input as it stands.
        let literal = back
            .first_in(input)
            .or_else(|| there.first_in(input))
            .unwrap_or_default();
        Err(CloneError::NotReversible {
            path: path.to_owned(),
            literal: literal.to_owned(),
        })
    }

    /// Distinguishes lists of substitutions; part of the key of cached observations.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.pairs)
    }
}

/// One direction, longest literal first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Table(Vec<(String, String)>);

impl Table {
    fn new(pairs: impl Iterator<Item = (String, String)>) -> Self {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Self(pairs)
    }

    fn replace(&self, input: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(input.len());
        let mut position = 0;
        while position < input.len() {
            if let Some((from, to)) = self.matching(input, position) {
                output.extend_from_slice(to.as_bytes());
                position += from.len();
            } else {
                output.push(input[position]);
                position += 1;
            }
        }
        output
    }

    fn first_in(&self, input: &[u8]) -> Option<&str> {
        (0..input.len())
            .find_map(|at| self.matching(input, at))
            .map(|(from, _)| from.as_str())
    }

    fn matching(&self, input: &[u8], at: usize) -> Option<&(String, String)> {
        self.0.iter().find(|(from, _)| {
            let from = from.as_bytes();
            input[at..].starts_with(from)
                && !goes_on_before(&input[..at], from[0])
                && !goes_on_after(&input[at + from.len()..], from[from.len() - 1])
        })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || !byte.is_ascii()
}

/// The token began before the literal: `1` in front of `0.0.0.1`, `/mnt` in front of `/srv`.
fn goes_on_before(before: &[u8], first: u8) -> bool {
    match before {
        _ if !is_word(first) && first != b'/' => false,
        [.., last] if is_word(*last) => true,
        [.., b'.'] if first == b'/' => true,
        [.., last, b'.'] => is_word(*last),
        _ => false,
    }
}

/// The token goes on after the literal: `2` after `10.0.0.1`, `.old` after `/srv/a`.
fn goes_on_after(after: &[u8], last: u8) -> bool {
    match after {
        _ if !is_word(last) => false,
        [next, ..] if is_word(*next) => true,
        [b'.', next, ..] => is_word(*next),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn substitutions(pairs: &[(&str, &str)]) -> Substitutions {
        let owned = pairs
            .iter()
            .map(|(c, l)| ((*c).to_owned(), (*l).to_owned()))
            .collect();
        Substitutions::new(owned).unwrap()
    }

    fn canonical(pairs: &[(&str, &str)], text: &str) -> String {
        let bytes = substitutions(pairs)
            .canonicalise(Path::new("f"), text.as_bytes())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn whole_tokens_only_are_replaced() {
        let pairs = [("@addr@", "10.0.0.1"), ("@root@", "/srv/a")];
        let text = "listen 10.0.0.1:80; # not 10.0.0.12, 110.0.0.1, 10.0.0.1.5; root /srv/a/www /srv/a-old \
                    /srv/a.bak /mnt/srv/a ./srv/a '/srv/a'. See 10.0.0.1.";
        let expected = "listen @addr@:80; # not 10.0.0.12, 110.0.0.1, 10.0.0.1.5; root @root@/www /srv/a-old \
                    /srv/a.bak /mnt/srv/a ./srv/a '@root@'. See @addr@.";
        assert_eq!(canonical(&pairs, text), expected);
    }

    #[test]
    fn the_longest_literal_wins_and_output_is_not_searched_again() {
        let pairs = [("short", "/a"), ("long", "/a/b"), ("/a/b/c", "short-local")];
        assert_eq!(
            canonical(&pairs, "/a/b /a short-local"),
            "long short /a/b/c"
        );
        let swap = [("x", "y"), ("y", "x")];
        assert_eq!(canonical(&swap, "x y"), "y x");
    }

    #[test]
    fn a_file_that_holds_the_canonical_text_is_refused_by_name() {
        let subs = substitutions(&[("10.0.0.1", "10.0.0.2")]);
        let error = subs
            .canonicalise(Path::new("nginx.conf"), b"a 10.0.0.2 b 10.0.0.1")
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("nginx.conf") && text.contains("`10.0.0.1`"),
            "{text}"
        );
    }

    #[test]
    fn contradictory_lists_are_refused() {
        let pair = |c: &str, l: &str| (c.to_owned(), l.to_owned());
        for bad in [
            vec![pair("", "x")],
            vec![pair("x", "")],
            vec![pair("a", "x"), pair("a", "y")],
            vec![pair("a", "x"), pair("b", "x")],
        ] {
            assert!(matches!(
                Substitutions::new(bad),
                Err(CloneError::Substitution { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_comes_back(text in "[ab@/. \n0-9]{0,60}", local in "[ab/.1]{1,4}") {
            let subs = substitutions(&[("@a@", &local), ("b/", "longer-local")]);
            if let Ok(stored) = subs.canonicalise(Path::new("f"), text.as_bytes()) {
                prop_assert_eq!(subs.localise(Path::new("f"), &stored).unwrap(), text.into_bytes());
            }
        }

        #[test]
        fn text_without_canonical_literals_is_always_accepted(
            words in proptest::collection::vec("10\\.0\\.0\\.[12]|/srv/a|[a-z]{1,5}", 0..20),
        ) {
            let subs = substitutions(&[("@addr@", "10.0.0.1"), ("@root@", "/srv/a")]);
            let text = words.join(" ");
            let stored = subs.canonicalise(Path::new("f"), text.as_bytes()).unwrap();
            prop_assert!(!String::from_utf8(stored).unwrap().split(' ').any(|w| w == "10.0.0.1"));
        }
    }
}
