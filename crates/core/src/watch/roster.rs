//! The roster: what is watched, in the order of paths, with the rule about each.
//!
//! Patterns are matched once, and again only when the rules or the paths are others. Invariant: the rule
//! of every path on it is the one that [`Policy::rule`] finds in the policy it was renewed for.

use std::iter::Peekable;

use crate::baseline::Baseline;
use crate::ids::PropertyPath;
use crate::policy::{Policy, PropertyRule};
use crate::property::{Observed, Probe};

/// One watched path.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) path: PropertyPath,
    /// The place of the rule about it among the policy's.
    rule: Option<usize>,
}

impl Watched {
    pub(super) fn rule<'p>(&self, policy: &'p Policy) -> Option<&'p PropertyRule> {
        policy.rules.get(self.rule?)
    }
}

/// All watched paths.
#[derive(Debug, Default)]
pub(super) struct Roster {
    rules: Vec<PropertyRule>,
    watched: Vec<Watched>,
}

impl Roster {
    /// Brings it up to date: the paths of the baseline and those of the probe. Whether a path is gone from it,
    /// or may be.
    pub(super) fn renew(&mut self, policy: &Policy, baseline: &Baseline, probe: &Probe) -> bool {
        let is_same = self.rules == policy.rules
            && (self.watched.iter().map(|w| &w.path)).eq(paths(baseline, probe));
        if is_same {
            return false;
        }
        let rule = |path: &PropertyPath| policy.rules.iter().position(|rule| rule.matches(path));
        self.watched = paths(baseline, probe)
            .map(|path| Watched {
                path: path.clone(),
                rule: rule(path),
            })
            .collect();
        self.rules.clone_from(&policy.rules);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }

    pub(super) fn has(&self, path: &PropertyPath) -> bool {
        (self
            .watched
            .binary_search_by(|watched| watched.path.cmp(path)))
        .is_ok()
    }

    /// Every watched path with what is approved and what was found, of those that it was renewed for.
    pub(super) fn side_by_side<'a>(
        &'a self,
        baseline: &'a Baseline,
        probe: &'a Probe,
    ) -> impl Iterator<Item = (&'a Watched, Option<&'a Observed>, Option<&'a Observed>)> {
        let mut approved = baseline.properties.iter().peekable();
        let mut found = probe.properties.iter().peekable();
        (self.watched.iter()).map(move |watched| {
            let approved = approved.next_if(|(path, _)| **path == watched.path);
            let found = found.next_if(|(path, _)| **path == watched.path);
            (watched, approved.map(|(_, p)| p), found.map(|(_, p)| p))
        })
    }
}

/// The paths of both, in order, each once.
fn paths<'a>(baseline: &'a Baseline, probe: &'a Probe) -> impl Iterator<Item = &'a PropertyPath> {
    Merged {
        a: baseline.properties.keys().peekable(),
        b: probe.properties.keys().peekable(),
    }
}

struct Merged<A: Iterator, B: Iterator> {
    a: Peekable<A>,
    b: Peekable<B>,
}

impl<T: Ord, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Merged<A, B> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match (self.a.peek(), self.b.peek()) {
            (Some(a), Some(b)) if a == b => {
                self.b.next();
                self.a.next()
            }
            (Some(a), Some(b)) if b < a => self.b.next(),
            (Some(_), _) => self.a.next(),
            (None, _) => self.b.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::{BaselineVersion, Instance};
    use crate::policy::Tolerance;
    use crate::property::Value;
    use crate::time::Timestamp;

    fn properties(names: &[u8]) -> BTreeMap<PropertyPath, Observed> {
        let observed = |n: &u8| Observed::configuration(Value::Number(f64::from(*n)));
        (names.iter())
            .map(|n| (PropertyPath::new(format!("p/{n}")), observed(n)))
            .collect()
    }

    fn given(approved: &[u8], found: &[u8], patterns: &[&str]) -> (Policy, Baseline, Probe) {
        let rule = |pattern: &&str| PropertyRule::new(pattern, Tolerance::Learned).unwrap();
        let policy = Policy {
            rules: patterns.iter().map(rule).collect(),
            ..Policy::default()
        };
        let at = Timestamp::from_millis(0);
        let baseline = Baseline {
            version: BaselineVersion(1),
            at,
            by: "test".into(),
            note: String::new(),
            properties: properties(approved),
            learned: BTreeMap::new(),
            pinned: None,
        };
        let probe = Probe {
            at,
            instance: Instance::A,
            properties: properties(found),
            unreadable: BTreeMap::new(),
        };
        (policy, baseline, probe)
    }

    const PATTERNS: [&[&str]; 4] = [&[], &["p/1"], &["p/*", "p/1"], &["p/[12]", "**"]];

    proptest! {
        /// Whatever it was renewed for before, it says what looking up would.
        #[test]
        fn it_is_what_looking_up_gives(
            steps in prop::collection::vec(
                (prop::collection::vec(0_u8..6, 0..5), prop::collection::vec(0_u8..6, 0..5), 0_usize..4),
                1..8,
            )
        ) {
            let mut roster = Roster::default();
            for (approved, found, patterns) in steps {
                let (policy, baseline, probe) = given(&approved, &found, PATTERNS[patterns]);
                roster.renew(&policy, &baseline, &probe);
                let mut all = baseline.properties.clone();
                all.extend(probe.properties.clone());
                prop_assert_eq!(roster.len(), all.len());
                for ((watched, approved, found), path) in
                    roster.side_by_side(&baseline, &probe).zip(all.keys())
                {
                    prop_assert_eq!(&watched.path, path);
                    prop_assert_eq!(watched.rule(&policy), policy.rule(path));
                    prop_assert_eq!(approved, baseline.properties.get(path));
                    prop_assert_eq!(found, probe.properties.get(path));
                    prop_assert!(roster.has(path));
                }
                prop_assert!(!roster.renew(&policy, &baseline, &probe));
            }
        }
    }
}
