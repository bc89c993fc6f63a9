//! Names of things. Every id is its own type, so that one cannot be passed for another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        // As the text compares. Mostly it is the same text in the same place, which is seen at once.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Eq for $name {}

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) {
                    Ordering::Equal
                } else {
                    self.0.cmp(&other.0)
                }
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $name {
            /// Wraps a name as it is.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The next one in order.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!(concat!($prefix, "{}"), self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads the form that `Display` writes; the prefix may be left out.
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .unwrap_or(text)
                    .parse()
                    .map(Self)
                    .map_err(|_| IdError { text: text.to_owned(), like: concat!($prefix, "12") })
            }
        }
    };
}

text_id! {
    /// The name of a resource, unique in one configuration.
    ResourceId
}
text_id! {
    /// Where a property stands inside its resource: `nginx.conf/http/keepalive_timeout`.
    PropertyPath
}
number_id! {
    /// One generation of a resource's clone; numbers rise with time within a resource.
    GenerationId, "g"
}
number_id! {
    /// One run of a saga.
    RunId, "r"
}
number_id! {
    /// One recorded event, whole store.
    EventId, "e"
}
number_id! {
    /// A version of a resource's baseline; 1 is the first.
    BaselineVersion, "v"
}
number_id! {
    /// A fencing token: rises with every plan, before anything moves. Whoever acts carries one, and
    /// whoever is acted on refuses a lower one than it has seen.
    FencingToken, "t"
}

/// The text is not an id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id here; ids look like `{like}`")]
pub struct IdError {
    text: String,
    like: &'static str,
}

/// Which of a resource's two places is meant. The names are of the *places*: `a` is where the
/// resource was first found, `b` the one that Evenkeel made. Which of them serves is part of the
/// state, and changes with every failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Instance {
    /// The place where the resource was first found.
    A,
    /// The place that Evenkeel made for the clone.
    B,
}

impl Instance {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other place.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// `a` or `b`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_instances_are_each_others_other() {
        assert_eq!(
            Instance::BOTH.map(Instance::other),
            [Instance::B, Instance::A]
        );
        assert_eq!(Instance::BOTH.map(|i| i.to_string()), ["a", "b"]);
    }

    #[test]
    fn ids_read_back_what_they_print() {
        assert_eq!(GenerationId(12).to_string().parse(), Ok(GenerationId(12)));
        assert_eq!("12".parse(), Ok(RunId(12)));
        assert!(
            "e1x"
                .parse::<EventId>()
                .unwrap_err()
                .to_string()
                .contains("`e12`")
        );
    }
}
