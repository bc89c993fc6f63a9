//! Every route, in one table: the daemon builds its router from it, the client its requests.
//!
//! Templates are written as axum writes them (`{resource}`); [`Route::path`] fills them in for a
//! client. Reading routes change nothing and answer to whoever may connect; acting routes take a body
//! with `dry_run`, and are recorded with the name of whoever asked.

use std::fmt::Write as _;

use serde::Serialize;

/// How a route is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
}

impl Method {
    /// The name in HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What a route may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing.
    Reading,
    /// Something, unless the body says `dry_run`.
    Acting,
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// How it is asked.
    pub method: Method,
    /// Its path, with `{name}` for what is to be filled in.
    pub template: &'static str,
    /// What it is for, in one sentence.
    pub purpose: &'static str,
    /// What it may change.
    pub effect: Effect,
}

const fn reading(template: &'static str, purpose: &'static str) -> Route {
    Route {
        method: Method::Get,
        template,
        purpose,
        effect: Effect::Reading,
    }
}

const fn acting(template: &'static str, purpose: &'static str) -> Route {
    Route {
        method: Method::Post,
        template,
        purpose,
        effect: Effect::Acting,
    }
}

macro_rules! routes {
    ($($name:ident = $effect:ident($template:literal, $purpose:literal);)+) => {
        $(#[doc = $purpose] pub const $name: Route = $effect($template, $purpose);)+

        /// Every route, in the order of the documentation.
        pub const ALL: &[Route] = &[$($name,)+];
    };
}

routes! {
    HEALTH = reading("/v1/health", "Says whether the daemon is there, which one, and since when.");
    STATUS = reading("/v1/status", "All resources at a glance.");
    RESOURCE = reading("/v1/resources/{resource}", "One resource in full: instances, policy, guards.");
    PROPERTIES = reading("/v1/resources/{resource}/properties", "Every property with deviation, band and breach.");
    BASELINE = reading("/v1/resources/{resource}/baseline", "The approved values.");
    BASELINE_DIFF = reading("/v1/resources/{resource}/baseline/diff", "How the configuration differs from what is approved.");
    BASELINE_HISTORY = reading("/v1/resources/{resource}/baseline/history", "All versions of the baseline.");
    HISTORY = reading("/v1/resources/{resource}/history", "Points of one series; `?property&stream&from&until&step_s&aggregation`.");
    CHANGES = reading("/v1/resources/{resource}/changes", "Changes of values; `?property&from&until`.");
    FORECAST = reading("/v1/resources/{resource}/forecast", "One property's forecast fan, models and coverage; `?property`.");
    GENERATIONS = reading("/v1/resources/{resource}/generations", "The generations of the clone.");
    GENERATION_DIFF = reading("/v1/resources/{resource}/generations/{older}/diff/{newer}", "The files in which two generations differ.");
    EVENTS = reading("/v1/events", "What happened; `?resource&kind&after&limit`.");
    EVENT = reading("/v1/events/{event}", "One event with what it was decided on and what came of it.");
    RUN = reading("/v1/runs/{run}", "One saga, step by step.");
    AUDIT = reading("/v1/audit", "Who did what; `?after&limit`.");
    AUDIT_VERIFY = reading("/v1/audit/verify", "Checks that no line of the audit log was altered or removed.");
    BASELINE_ACCEPT = acting("/v1/resources/{resource}/baseline/accept", "Approves values as they are found; body: `AcceptRequest`.");
    SYNC = acting("/v1/resources/{resource}/sync", "Moves the newest delta to the clone; body: `ActRequest`.");
    REHEARSE = acting("/v1/resources/{resource}/rehearse", "Activates the clone in isolation and measures it; body: `RehearseRequest`.");
    FAILOVER = acting("/v1/resources/{resource}/failover", "Moves clients to the clone because the primary drifts; body: `ActRequest`.");
    SWITCHOVER = acting("/v1/resources/{resource}/switchover", "Moves clients to the clone as planned work; body: `ActRequest`.");
    FAILBACK = acting("/v1/resources/{resource}/failback", "Moves clients back to where the resource was first found; body: `ActRequest`.");
    REINSTATE = acting("/v1/resources/{resource}/reinstate", "Diagnoses, reverts and re-protects the instance that does not serve; body: `ActRequest`.");
    APPROVE = acting("/v1/resources/{resource}/approve", "Allows one failover; body: `ApproveRequest`.");
    PAUSE = acting("/v1/resources/{resource}/pause", "Does nothing by itself for a while; body: `PauseRequest`.");
    RESUME = acting("/v1/resources/{resource}/resume", "Ends a pause; body: `ActRequest`.");
    JUDGE = acting("/v1/resources/{resource}/judge", "Says whether an alarm was right, which its band follows; body: `JudgeRequest`.");
    WINDOW = acting("/v1/resources/{resource}/window", "Opens a one-off change window; body: `WindowRequest`.");
    RELEASE = acting("/v1/resources/{resource}/release", "Lets go of a resource that a stuck saga holds; body: `ActRequest`.");
}

impl Route {
    /// The path with every `{name}` of the template filled in, in order, percent-encoded.
    ///
    /// # Panics
    /// When there are not as many values as names: a route and its caller are written together.
    pub fn path(&self, values: &[&str]) -> String {
        let mut values = values.iter();
        let mut path = String::with_capacity(self.template.len() + 32);
        let mut rest = self.template;
        while let Some((before, after)) = rest.split_once('{') {
            path.push_str(before);
            let value = values.next().expect("one value per name of the template");
            path.push_str(&percent_encode(value));
            rest = after.split_once('}').map_or("", |(_, rest)| rest);
        }
        path.push_str(rest);
        assert!(
            values.next().is_none(),
            "{}: more values than names",
            self.template
        );
        path
    }
}

/// The query text of a flat struct: `?a=1&b=x`, without the fields that are `None`; empty when none
/// is left.
pub fn query_text<Q: Serialize>(query: &Q) -> String {
    let fields = match serde_json::to_value(query) {
        Ok(serde_json::Value::Object(fields)) => fields,
        Ok(_) | Err(_) => return String::new(),
    };
    let mut text = String::new();
    for (name, value) in fields {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(value) => value,
            other => other.to_string(),
        };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(&percent_encode(&name));
        text.push('=');
        text.push_str(&percent_encode(&value));
    }
    text
}

/// Encodes everything but the unreserved characters of RFC 3986, so that one value is one segment.
fn percent_encode(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut encoded, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
            encoded
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wire::{EventKind, EventQuery};

    #[test]
    fn names_are_filled_in_and_cannot_break_out_of_their_segment() {
        assert_eq!(PROPERTIES.path(&["web"]), "/v1/resources/web/properties");
        assert_eq!(
            GENERATION_DIFF.path(&["../web é", "g1", "g2"]),
            "/v1/resources/..%2Fweb%20%C3%A9/generations/g1/diff/g2"
        );
        assert_eq!(HEALTH.path(&[]), "/v1/health");
    }

    #[test]
    fn a_query_leaves_out_what_was_not_said() {
        let query = EventQuery {
            resource: Some("a&b".into()),
            kind: Some(EventKind::Decision),
            after: None,
            limit: Some(5),
        };
        assert_eq!(query_text(&query), "?kind=decision&limit=5&resource=a%26b");
        assert_eq!(query_text(&EventQuery::default()), "");
    }

    #[test]
    fn every_route_is_listed_once_and_acts_only_by_post() {
        let distinct: BTreeSet<_> = ALL
            .iter()
            .map(|r| (r.method.as_str(), r.template))
            .collect();
        assert_eq!(distinct.len(), ALL.len());
        for route in ALL {
            assert_eq!(
                route.method == Method::Post,
                route.effect == Effect::Acting,
                "{}",
                route.template
            );
            assert!(route.template.starts_with("/v1/"), "{}", route.template);
        }
    }
}
