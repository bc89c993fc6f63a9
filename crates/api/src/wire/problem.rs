//! What is answered when something is not done: a problem document (RFC 9457,
//! `application/problem+json`) with two fields of our own, for the place and the way out.

use serde::{Deserialize, Serialize};

/// Why a request was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Names the kind of problem for programs; `about:blank` where the status says it all.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// The kind in a few words, the same for every occurrence.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, in one sentence.
    #[serde(default)]
    pub detail: String,
    /// Where the trouble is: a file and line, a field of the request, a resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What would be right, or what to do now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

fn blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// The media type of the document.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem that its status and these sentences describe.
    pub fn new(status: u16, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: blank(),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            place: None,
            remedy: None,
        }
    }

    /// With the place of the trouble.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// With the way out.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl std::fmt::Display for Problem {
    /// On one line: place, what is wrong, the way out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        };
        let parts = [
            self.place.as_deref(),
            Some(what.as_str()),
            self.remedy.as_deref(),
        ];
        let parts: Vec<&str> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        if parts.is_empty() {
            return write!(f, "status {}", self.status);
        }
        f.write_str(&parts.join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_place_trouble_and_way_out_on_one_line() {
        let problem = Problem::new(409, "conflict", "a failover is already running")
            .at("web")
            .with_remedy("wait for r12");
        assert_eq!(
            problem.to_string(),
            "web: a failover is already running: wait for r12"
        );
        assert_eq!(Problem::new(404, "not found", "").to_string(), "not found");
        assert_eq!(Problem::new(500, "", "").to_string(), "status 500");
    }

    #[test]
    fn a_problem_of_another_server_is_understood_as_far_as_it_goes() {
        let problem: Problem = serde_json::from_str(r#"{"status":503}"#).unwrap();
        assert_eq!(
            (problem.kind.as_str(), problem.status),
            ("about:blank", 503)
        );
    }
}
