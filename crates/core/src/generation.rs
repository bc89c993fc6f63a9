//! Generations of a clone, their verdicts, and the choice of what a failover activates.
//!
//! A clone that faithfully follows its primary also follows its drift. So configuration is *pinned*:
//! a generation counts as [`Verdict::Good`] only when its configuration is the approved one. Data is
//! *followed*: the newest data goes with the pinned configuration.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{BaselineVersion, GenerationId, Instance};
use crate::time::Timestamp;

/// What is held of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its configuration is the approved one (or was, when the generation was made).
    Good,
    /// Its configuration is not the approved one, and nobody has said yet what to think of that.
    Suspect,
    /// It belongs to a drift that was failed over from, or a person rejected it.
    Quarantined {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// `good`, `suspect` or `quarantined`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::Quarantined { .. } => "quarantined",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A content hash of a tree, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(pub String);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.get(..12).unwrap_or(&self.0))
    }
}

/// One immutable point-in-time state of a resource's clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Rises with time.
    pub id: GenerationId,
    /// When its content was read.
    pub at: Timestamp,
    /// Which instance it was read from.
    pub from: Instance,
    /// What is held of it.
    pub verdict: Verdict,
    /// The configuration's content.
    pub config: ContentHash,
    /// The data's content, where the resource has data.
    pub data: Option<ContentHash>,
    /// The baseline that its configuration is the content of, where there is one.
    pub baseline: Option<BaselineVersion>,
    /// Files changed under the reader: its data may be torn, and is not to be activated.
    pub torn: bool,
    /// Files in it.
    pub files: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// Bytes that the sync which made it had to move.
    pub bytes_moved: u64,
}

/// What a failover activates: the configuration of one generation with the data of another, often
/// the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The newest good generation from before the drift: its configuration.
    pub config_from: GenerationId,
    /// The newest whole generation: its data.
    pub data_from: GenerationId,
    /// When the configuration was read.
    pub config_at: Timestamp,
    /// When the data was read.
    pub data_at: Timestamp,
}

/// Chooses what to activate. The configuration comes from the newest good generation from before
/// `onset` (any time, where no onset is known); data from the newest generation that is whole and
/// not quarantined for its data.
///
/// A good generation from *after* the onset is passed over although its configuration is approved
/// only when an older good one exists: configuration that equals the approved one is right whenever
/// it was read. `None` when no generation is good.
pub fn choose(generations: &[Generation], onset: Option<Timestamp>) -> Option<Choice> {
    let newest = |pick: &dyn Fn(&Generation) -> bool| {
        generations.iter().filter(|g| pick(g)).max_by_key(|g| g.id)
    };
    let good = |g: &Generation| g.verdict == Verdict::Good;
    let from_before = |g: &Generation| good(g) && onset.is_none_or(|onset| g.at <= onset);
    let config = newest(&from_before).or_else(|| newest(&good))?;
    let data = newest(&|g| !g.torn && g.id >= config.id).unwrap_or(config);
    Some(Choice {
        config_from: config.id,
        data_from: data.id,
        config_at: config.at,
        data_at: data.at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn generation(id: u64, verdict: Verdict) -> Generation {
        Generation {
            id: GenerationId(id),
            at: Timestamp::from_millis(i64::try_from(id).unwrap() * 1000),
            from: Instance::A,
            verdict,
            config: ContentHash(format!("c{id}")),
            data: None,
            baseline: None,
            torn: false,
            files: 1,
            bytes: 1,
            bytes_moved: 1,
        }
    }

    #[test]
    fn verdicts_and_hashes_are_written_for_people() {
        let why = "drift".to_owned();
        let all = [
            Verdict::Good,
            Verdict::Suspect,
            Verdict::Quarantined { why },
        ];
        assert_eq!(
            all.map(|v| v.to_string()),
            ["good", "suspect", "quarantined"]
        );
        let hash = |text: &str| ContentHash(text.to_owned()).to_string();
        assert_eq!(hash("0123456789abcdef"), "0123456789ab");
        assert_eq!(hash("0123"), "0123");
    }

    #[test]
    fn pinned_configuration_goes_with_the_newest_data() {
        let all = [
            generation(1, Verdict::Good),
            generation(2, Verdict::Good),
            generation(3, Verdict::Suspect),
            Generation {
                torn: true,
                ..generation(4, Verdict::Suspect)
            },
        ];
        let choice = choose(&all, Some(Timestamp::from_millis(2500))).unwrap();
        assert_eq!(
            (choice.config_from, choice.data_from),
            (GenerationId(2), GenerationId(3))
        );
    }

    #[test]
    fn a_generation_from_before_the_onset_is_preferred() {
        let all = [generation(1, Verdict::Good), generation(2, Verdict::Good)];
        let choice = choose(&all, Some(Timestamp::from_millis(1500))).unwrap();
        assert_eq!(choice.config_from, GenerationId(1));
        let only_after = choose(&all, Some(Timestamp::from_millis(500))).unwrap();
        assert_eq!(only_after.config_from, GenerationId(2));
    }

    #[test]
    fn without_a_good_generation_there_is_no_choice() {
        let bad = Verdict::Quarantined {
            why: "drift".into(),
        };
        assert_eq!(
            choose(&[generation(1, Verdict::Suspect), generation(2, bad)], None),
            None
        );
    }

    proptest! {
        #[test]
        fn configuration_is_only_ever_taken_from_a_good_generation(
            verdicts in proptest::collection::vec(0_u8..3, 0..12),
            onset in proptest::option::of(0_i64..14_000),
        ) {
            let all: Vec<Generation> = verdicts.iter().zip(1..).map(|(verdict, id)| {
                generation(id, match verdict {
                    0 => Verdict::Good,
                    1 => Verdict::Suspect,
                    _ => Verdict::Quarantined { why: String::new() },
                })
            }).collect();
            let choice = choose(&all, onset.map(Timestamp::from_millis));
            prop_assert_eq!(choice.is_some(), verdicts.contains(&0));
            if let Some(choice) = choice {
                let config = all.iter().find(|g| g.id == choice.config_from).unwrap();
                prop_assert_eq!(&config.verdict, &Verdict::Good);
                prop_assert!(choice.data_from >= choice.config_from);
            }
        }
    }
}
