//! The baseline: the approved values of a resource's properties, versioned. Only a person, or an
//! approved change window, moves it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{BaselineVersion, GenerationId, PropertyPath};
use crate::policy::LearnedTolerances;
use crate::property::{Observed, Origin, Probe, Value};
use crate::time::Timestamp;

/// The approved state of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Rises with every approval.
    pub version: BaselineVersion,
    /// When it was approved.
    pub at: Timestamp,
    /// Who approved it.
    pub by: String,
    /// What was said with it.
    pub note: String,
    /// The approved properties with the values they had.
    pub properties: BTreeMap<PropertyPath, Observed>,
    /// The scatter learned while settling, for tolerances that the policy leaves to be learned.
    pub learned: LearnedTolerances,
    /// The generation whose configuration is the approved one, once a sync has made it.
    pub pinned: Option<GenerationId>,
}

/// How one property differs from the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The property.
    pub path: PropertyPath,
    /// Its approved value; `None` if it is not in the baseline.
    pub approved: Option<Value>,
    /// Its value now; `None` if it vanished.
    pub found: Option<Value>,
    /// Where the value stands now (or stood).
    pub place: Option<crate::property::Place>,
}

impl Baseline {
    /// The configuration in which `probe` differs, in the order of paths. What could not be read
    /// differs in nothing. Capacity is not approved value by value: its distance is a deviation.
    pub fn diff(&self, probe: &Probe) -> Vec<Difference> {
        self.differences(probe, |origin| origin == Origin::Configuration)
    }

    fn differences(&self, probe: &Probe, about: impl Fn(Origin) -> bool) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut ahead = probe.properties.iter().peekable();
        for (path, approved) in self.properties.iter().filter(|(_, p)| about(p.origin)) {
            // Both are in the order of paths, so one walk through each finds all pairs.
            while ahead.next_if(|(other, _)| *other < path).is_some() {}
            let found = ahead.next_if(|(other, _)| *other == path).map(|(_, p)| p);
            if found.is_none() && probe.is_unreadable(path) {
                continue;
            }
            if found.map(|f| &f.value) != Some(&approved.value) {
                differences.push(Difference {
                    path: path.clone(),
                    approved: Some(approved.value.clone()),
                    found: found.map(|f| f.value.clone()),
                    place: found
                        .and_then(|f| f.place.clone())
                        .or_else(|| approved.place.clone()),
                });
            }
        }
        let mut ahead = self.properties.keys().peekable();
        let appeared = (probe.properties.iter()).filter(|(path, found)| {
            while ahead.next_if(|known| known < path).is_some() {}
            about(found.origin) && ahead.peek() != Some(path)
        });
        differences.extend(appeared.map(|(path, found)| Difference {
            path: path.clone(),
            approved: None,
            found: Some(found.value.clone()),
            place: found.place.clone(),
        }));
        differences.sort_by(|a, b| a.path.cmp(&b.path));
        differences
    }

    /// The next version: this one with the `accepted` paths as they are in `probe`. The caller is
    /// asked for each difference, capacity included: whoever accepts a configuration change does
    /// not thereby accept that memory has grown.
    #[must_use]
    pub fn accept(
        &self,
        probe: &Probe,
        accepted: impl Fn(&PropertyPath, Origin) -> bool,
        by: &str,
        note: &str,
        now: Timestamp,
    ) -> Self {
        let mut properties = self.properties.clone();
        let origin = |path: &PropertyPath| {
            let known = probe
                .properties
                .get(path)
                .or_else(|| self.properties.get(path));
            known.map_or(Origin::Configuration, |p| p.origin)
        };
        let differences = self.differences(probe, |_| true);
        for difference in differences
            .into_iter()
            .filter(|d| accepted(&d.path, origin(&d.path)))
        {
            match probe.properties.get(&difference.path) {
                Some(found) => properties.insert(difference.path, found.clone()),
                None => properties.remove(&difference.path),
            };
        }
        Self {
            version: self.version.next(),
            at: now,
            by: by.to_owned(),
            note: note.to_owned(),
            properties,
            learned: self.learned.clone(),
            pinned: None,
        }
    }

    /// The properties whose approved value is another in `next`, came in with it, or is gone from it.
    pub fn moved(&self, next: &Self) -> BTreeSet<PropertyPath> {
        let value =
            |of: &Self, path: &PropertyPath| of.properties.get(path).map(|p| p.value.clone());
        let all = self.properties.keys().chain(next.properties.keys());
        all.filter(|path| value(self, path) != value(next, path))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Instance;

    fn probe(values: &[(&str, f64)]) -> Probe {
        Probe {
            at: Timestamp::from_millis(5),
            instance: Instance::A,
            properties: values
                .iter()
                .map(|(path, v)| ((*path).into(), Observed::configuration(Value::Number(*v))))
                .collect(),
            unreadable: BTreeMap::new(),
        }
    }

    fn baseline(values: &[(&str, f64)]) -> Baseline {
        Baseline {
            version: BaselineVersion(1),
            at: Timestamp::from_millis(0),
            by: "test".into(),
            note: String::new(),
            properties: probe(values).properties,
            learned: BTreeMap::new(),
            pinned: Some(GenerationId(1)),
        }
    }

    #[test]
    fn changed_vanished_and_new_properties_differ() {
        let diff = baseline(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]).diff(&probe(&[
            ("a", 1.0),
            ("b", 9.0),
            ("d", 4.0),
        ]));
        let paths: Vec<_> = diff
            .iter()
            .map(|d| (d.path.as_str(), d.found.is_some()))
            .collect();
        assert_eq!(paths, [("b", true), ("c", false), ("d", true)]);
    }

    #[test]
    fn a_new_property_hides_none_that_comes_after_it() {
        let approved = baseline(&[("b", 2.0), ("d", 4.0)]);
        let diff = approved.diff(&probe(&[("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 5.0)]));
        let paths: Vec<_> = diff.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["a", "c", "d"]);
        assert!(diff[0].approved.is_none() && diff[2].approved.is_some());
    }

    #[test]
    fn another_value_a_new_property_and_one_that_is_gone_have_moved() {
        let before = baseline(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
        let after = baseline(&[("a", 1.0), ("b", 9.0), ("d", 4.0)]);
        let expected: BTreeSet<PropertyPath> = ["b", "c", "d"].map(Into::into).into();
        assert_eq!(before.moved(&after), expected);
        assert_eq!(after.moved(&before), expected);
        assert!(before.moved(&before).is_empty());
    }

    #[test]
    fn what_could_not_be_read_did_not_vanish() {
        let mut seen = probe(&[]);
        seen.unreadable
            .insert("conf".into(), "permission denied".into());
        assert!(baseline(&[("conf/x", 1.0)]).diff(&seen).is_empty());
        assert_eq!(baseline(&[("other/x", 1.0)]).diff(&seen).len(), 1);
    }

    #[test]
    fn accepting_some_paths_leaves_the_others_as_approved() {
        let seen = probe(&[("a", 9.0), ("b", 9.0)]);
        let next = baseline(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]).accept(
            &seen,
            |path, _| path.as_str() != "b",
            "alice",
            "more room",
            seen.at,
        );
        assert_eq!(next.version, BaselineVersion(2));
        assert_eq!(next.pinned, None, "its content has yet to be cloned");
        let rest = next.diff(&seen);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].path.as_str(), "b");
    }
}
