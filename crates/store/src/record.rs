//! The stored form of every value that is kept as text: its JSON in an envelope with a version,
//! `{"v":1,"body":…}`. A test holds one example of each against a file in `tests/golden`, so that no
//! change of a core type changes what is stored unseen.
//!
//! To change a stored form: raise its [`Stored::VERSION`], read the old version in [`decode`], and
//! add a golden file beside the old one.

use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::{Event, Outcome, Plan};
use evenkeel_core::generation::Generation;
use evenkeel_core::record::NewEvent;
use evenkeel_core::state::State;
use evenkeel_ports::{AuditEntry, PropertyChange, Rehearsal};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that is stored as text.
pub trait Stored: Serialize + DeserializeOwned {
    /// The version of the form written now.
    const VERSION: u32;
}

macro_rules! stored {
    ($($kind:ty => $version:literal),+ $(,)?) => {
        $(impl Stored for $kind { const VERSION: u32 = $version; })+
    };
}

stored! {
    AuditEntry => 1,
    Baseline => 1,
    Event => 1,
    Generation => 1,
    NewEvent => 1,
    Outcome => 1,
    Plan => 1,
    PropertyChange => 1,
    Rehearsal => 1,
    State => 1,
}

/// A text that is not a stored value, or not one that is known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is no envelope.
    #[error("the text does not begin with a version, like `{{\"v\":1,\"body\":`")]
    NoEnvelope,
    /// The envelope's version is not known.
    #[error("its form is version {found}, and this program knows up to {known}")]
    Version {
        /// What was found.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The body is not JSON of the right shape, or the value has no JSON.
    #[error("{0}")]
    Body(String),
}

/// The stored form of `value`.
///
/// # Errors
/// When the value has no JSON form.
pub fn encode<T: Stored>(value: &T) -> Result<String, RecordError> {
    let body = serde_json::to_string(value).map_err(|e| RecordError::Body(e.to_string()))?;
    Ok(format!("{{\"v\":{},\"body\":{body}}}", T::VERSION))
}

/// The value whose stored form `text` is.
///
/// # Errors
/// When there is no envelope, the version is unknown or the body has another shape.
pub fn decode<T: Stored>(text: &str) -> Result<T, RecordError> {
    let (version, body) = unwrap_envelope(text)?;
    if version != T::VERSION {
        return Err(RecordError::Version {
            found: version,
            known: T::VERSION,
        });
    }
    serde_json::from_str(body).map_err(|e| RecordError::Body(e.to_string()))
}

/// Version and body of a stored form, the body exactly as it was written.
pub(crate) fn unwrap_envelope(text: &str) -> Result<(u32, &str), RecordError> {
    let parse = || {
        let rest = text.strip_prefix("{\"v\":")?.strip_suffix('}')?;
        let (version, body) = rest.split_once(",\"body\":")?;
        Some((version.parse().ok()?, body))
    };
    parse().ok_or(RecordError::NoEnvelope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_named() {
        let error = decode::<Outcome>("{\"v\":7,\"body\":\"done\"}").unwrap_err();
        assert_eq!(error, RecordError::Version { found: 7, known: 1 });
        assert!(error.to_string().contains("version 7"));
    }

    #[test]
    fn what_is_not_an_envelope_is_refused() {
        for text in [
            "",
            "{}",
            "\"done\"",
            "{\"v\":x,\"body\":1}",
            "{\"v\":1,\"body\":",
        ] {
            assert!(decode::<Outcome>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_comes_back_as_it_went() {
        let text = encode(&Outcome::Undone).unwrap();
        assert_eq!(text, "{\"v\":1,\"body\":\"undone\"}");
        assert_eq!(decode(&text), Ok(Outcome::Undone));
    }
}
