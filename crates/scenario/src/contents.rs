//! The course of what is no number: a list of changes, each at its instant.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::property::Value;

use crate::component::{Component, Repeated};
use crate::course::{Jittered, Surroundings};
use crate::random::Seeded;
use crate::scenario::{Kind, Property};

/// A value under way.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    value: Value,
    /// In order of time.
    edits: Vec<(f64, Edit)>,
    done: usize,
}

#[derive(Clone, Debug)]
enum Edit {
    Replace(Value),
    Add(Vec<String>),
    Remove(Vec<String>),
    /// Lines by number, from 0.
    Lines(Vec<(usize, String)>),
    Leaf(String, Value),
}

impl Contents {
    pub(crate) fn new(
        property: &Property,
        path: &str,
        approved: &Value,
        within: &Surroundings<'_>,
    ) -> Self {
        let mut edits = Vec::new();
        for (i, component) in property.course.iter().enumerate() {
            let stream = within.stream(path, i);
            edits.extend(of_component(
                component,
                property.kind(),
                approved,
                within,
                stream,
            ));
        }
        // Stable: what comes at one instant keeps the order it was written in.
        edits.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            value: approved.clone(),
            edits,
            done: 0,
        }
    }

    pub(crate) fn is_constant(&self) -> bool {
        self.edits.is_empty()
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// Applies what is due; whether anything was.
    pub(crate) fn advance(&mut self, t: f64) -> bool {
        let before = self.done;
        while let Some((_, edit)) = self.edits.get(self.done).filter(|(at, _)| *at <= t) {
            apply(&mut self.value, edit);
            self.done += 1;
        }
        self.done > before
    }
}

fn of_component(
    component: &Component,
    kind: Kind,
    approved: &Value,
    within: &Surroundings<'_>,
    random: Seeded,
) -> Vec<(f64, Edit)> {
    match component {
        Component::Change(change) => {
            let to = as_kind(&change.to.0, kind);
            vec![(within.seconds(change.at), Edit::Replace(to))]
        }
        Component::Add(items) => {
            vec![(within.seconds(items.at), Edit::Add(items.items.clone()))]
        }
        Component::Remove(items) => {
            vec![(within.seconds(items.at), Edit::Remove(items.items.clone()))]
        }
        Component::Leaf(leaf) => {
            let edit = Edit::Leaf(leaf.leaf.clone(), leaf.to.0.clone());
            vec![(within.seconds(leaf.at), edit)]
        }
        Component::Grow(repeated) => grow(repeated, within, random),
        Component::Edit(repeated) => edit_lines(repeated, approved, within, random),
        Component::Flapping(flapping) => {
            let is_on = matches!(approved, Value::Flag(true));
            let end = within.scenario.length.as_secs_f64();
            let until = (flapping.until).map_or(f64::INFINITY, |until| within.seconds(until));
            let mut spans = Jittered {
                random,
                jitter: flapping.jitter,
            };
            let (mut at, mut away) = (within.seconds(flapping.at), false);
            let mut edits = Vec::new();
            while at < end && at < until {
                away = !away;
                edits.push((at, Edit::Replace(Value::Flag(is_on != away))));
                let span = if away { flapping.high } else { flapping.low };
                at += spans.around(span.as_secs_f64());
            }
            if away && until < end {
                edits.push((until, Edit::Replace(Value::Flag(is_on))));
            }
            edits
        }
        Component::Ramp(_)
        | Component::Step(_)
        | Component::Walk(_)
        | Component::Reverting(_)
        | Component::Noise(_)
        | Component::Season(_)
        | Component::Leak(_)
        | Component::Counter(_)
        | Component::Stairs(_)
        | Component::Vanish(_)
        | Component::Trace(_) => Vec::new(),
    }
}

/// The instants of what comes again and again, within the scenario.
fn instants(repeated: &Repeated, within: &Surroundings<'_>, random: Seeded) -> Vec<f64> {
    let end = within.scenario.length.as_secs_f64();
    let mut spans = Jittered {
        random,
        jitter: repeated.jitter,
    };
    let mut at = within.seconds(repeated.at);
    let mut all = Vec::new();
    for _ in 0..repeated.count.unwrap_or(u32::MAX) {
        if at >= end {
            break;
        }
        all.push(at);
        at += spans.around(repeated.every.as_secs_f64());
    }
    all
}

fn grow(repeated: &Repeated, within: &Surroundings<'_>, random: Seeded) -> Vec<(f64, Edit)> {
    let mut made = 0_u32;
    let mut items = || {
        let items = (0..repeated.size).map(|_| {
            made = made.saturating_add(1);
            format!("made-up-{made}")
        });
        Edit::Add(items.collect())
    };
    let at = instants(repeated, within, random).into_iter();
    at.map(|at| (at, items())).collect()
}

/// Every line is edited once, in an order that is drawn, before one is edited again.
fn edit_lines(
    repeated: &Repeated,
    approved: &Value,
    within: &Surroundings<'_>,
    mut random: Seeded,
) -> Vec<(f64, Edit)> {
    let lines = match approved {
        Value::Text(text) => text.lines().count().max(1),
        Value::Number(_)
        | Value::Flag(_)
        | Value::Choice(_)
        | Value::Set(_)
        | Value::Document(_)
        | Value::Redacted(_) => 1,
    };
    let mut order: Vec<usize> = (0..lines).collect();
    for i in (1..lines).rev() {
        let other = random.below(u64::try_from(i + 1).unwrap_or(1));
        order.swap(i, usize::try_from(other).unwrap_or_default());
    }
    let mut order = order.into_iter().cycle();
    let mut made = 0_u32;
    let mut edit = || {
        let lines = order
            .by_ref()
            .take(usize::try_from(repeated.size).unwrap_or(1));
        let lines = lines.map(|line| {
            made = made.saturating_add(1);
            (line, format!("edited {made}"))
        });
        Edit::Lines(lines.collect())
    };
    let at = instants(repeated, within, random).into_iter();
    at.map(|at| (at, edit())).collect()
}

/// A text that was written for a choice is one.
pub(crate) fn as_kind(value: &Value, kind: Kind) -> Value {
    match (value, kind) {
        (Value::Text(text), Kind::Choice) => Value::Choice(text.clone()),
        (
            Value::Number(_)
            | Value::Flag(_)
            | Value::Choice(_)
            | Value::Text(_)
            | Value::Set(_)
            | Value::Document(_)
            | Value::Redacted(_),
            _,
        ) => value.clone(),
    }
}

fn apply(value: &mut Value, edit: &Edit) {
    match (edit, value) {
        (Edit::Replace(to), value) => *value = to.clone(),
        (Edit::Add(items), Value::Set(set)) => set.extend(items.iter().cloned()),
        (Edit::Remove(items), Value::Set(set)) => {
            let gone: BTreeSet<&String> = items.iter().collect();
            set.retain(|item| !gone.contains(item));
        }
        (Edit::Lines(edits), Value::Text(text)) => {
            let mut lines: Vec<&str> = text.lines().collect();
            for (number, line) in edits {
                if let Some(place) = lines.get_mut(*number) {
                    *place = line;
                }
            }
            let end = if text.ends_with('\n') { "\n" } else { "" };
            *text = lines.join("\n") + end;
        }
        (Edit::Leaf(path, to), Value::Document(tree)) => set_leaf(tree, path, to),
        // A component that does not fit its property is refused before it gets here.
        (Edit::Add(_) | Edit::Remove(_) | Edit::Lines(_) | Edit::Leaf(_, _), _) => {}
    }
}

fn set_leaf(tree: &mut BTreeMap<String, Value>, path: &str, to: &Value) {
    match path.split_once('/') {
        None => {
            tree.insert(path.to_owned(), to.clone());
        }
        Some((name, rest)) => {
            let below = tree.entry(name.to_owned());
            let below = below.or_insert_with(|| Value::Document(BTreeMap::new()));
            if !matches!(below, Value::Document(_)) {
                *below = Value::Document(BTreeMap::new());
            }
            if let Value::Document(below) = below {
                set_leaf(below, rest, to);
            }
        }
    }
}
