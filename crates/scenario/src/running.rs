//! One property under way: what is to be seen of it at each instant of the grid.

use evenkeel_core::property::Value;

use crate::component::{Component, Vanish};
use crate::contents::Contents;
use crate::course::{NumberCourse, Surroundings};
use crate::generate::observed;
use crate::scenario::Property;

/// What one property does.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// How it was seen last.
    pub(crate) seen: Seen,
    body: Body,
    /// When it is not there.
    absent: Vec<(f64, f64)>,
}

/// What there is to be seen of a property.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// This value.
    There(Value),
    /// It is not there.
    Gone,
    /// Nothing is known.
    Unread,
}

#[derive(Clone, Debug)]
enum Body {
    Number(NumberCourse),
    Contents(Contents),
}

impl Course {
    /// The course of `property` under `path`; without its noise it is the systematic one.
    pub(crate) fn new(
        property: &Property,
        path: &str,
        within: &Surroundings<'_>,
        with_noise: bool,
    ) -> Self {
        let approved = observed(property).value;
        let body = match approved.as_number() {
            Some(level) => {
                Body::Number(NumberCourse::new(property, path, level, within, with_noise))
            }
            None => Body::Contents(Contents::new(property, path, &approved, within)),
        };
        let absent = property.course.iter().filter_map(|component| {
            let Component::Vanish(Vanish { at, lasting }) = component else {
                return None;
            };
            let at = within.seconds(*at);
            let ends = lasting.map_or(f64::INFINITY, |lasting| at + lasting.as_secs_f64());
            Some((at, ends))
        });
        Self {
            seen: Seen::There(approved),
            absent: absent.collect(),
            body,
        }
    }

    /// Whether it is always as approved.
    pub(crate) fn is_constant(&self) -> bool {
        let moves = match &self.body {
            Body::Number(number) => !number.is_constant(),
            Body::Contents(contents) => !contents.is_constant(),
        };
        !moves && self.absent.is_empty()
    }

    /// Goes on to `t` seconds from the start; whether `seen` is another now.
    pub(crate) fn advance(&mut self, t: f64) -> bool {
        let was_gone = self.seen == Seen::Gone;
        let is_gone = (self.absent.iter()).any(|(from, until)| *from <= t && t < *until);
        let now = match &mut self.body {
            Body::Number(number) => match number.at(t).and_then(Value::number) {
                _ if is_gone => Seen::Gone,
                Some(value) => Seen::There(value),
                None => Seen::Unread,
            },
            Body::Contents(contents) => {
                let changed = contents.advance(t);
                match (is_gone, changed || was_gone) {
                    (true, _) => Seen::Gone,
                    (false, true) => Seen::There(contents.value().clone()),
                    (false, false) => return false,
                }
            }
        };
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    /// What is there now was approved.
    pub(crate) fn approve(&mut self) {
        match &mut self.body {
            Body::Number(number) => number.approve(),
            Body::Contents(_) => {}
        }
    }

    /// When the component set in that leads in the direction of `sign`; `None` where that cannot be said.
    pub(crate) fn leading_since(&self, sign: f64) -> Option<f64> {
        match &self.body {
            Body::Number(number) if self.seen != Seen::Gone => number.leading_since(sign),
            Body::Number(_) | Body::Contents(_) => None,
        }
    }
}
