//! Generations of a clone.

use evenkeel_api::wire;
use evenkeel_core::generation::{Choice, Generation, Verdict};
use evenkeel_ports::FileChange;

use super::words;

pub(in crate::http) fn generation(generation: &Generation) -> wire::Generation {
    let why = match &generation.verdict {
        Verdict::Good | Verdict::Suspect => None,
        Verdict::Quarantined { why } => Some(why.clone()),
    };
    wire::Generation {
        id: generation.id.to_string(),
        at: generation.at.to_string(),
        from: words::instance(generation.from),
        verdict: words::verdict(&generation.verdict),
        why,
        config: generation.config.0.clone(),
        data: generation.data.as_ref().map(|hash| hash.0.clone()),
        baseline: generation.baseline.map(|version| version.to_string()),
        torn: generation.torn,
        files: generation.files,
        size_bytes: generation.bytes,
        moved_bytes: generation.bytes_moved,
    }
}

pub(in crate::http) fn file_change(change: FileChange) -> wire::FileChange {
    wire::FileChange {
        path: change.path,
        kind: words::file_change_kind(change.kind),
    }
}

pub(in crate::http) fn choice(choice: &Choice) -> wire::Choice {
    wire::Choice {
        config_from: choice.config_from.to_string(),
        config_at: choice.config_at.to_string(),
        data_from: choice.data_from.to_string(),
        data_at: choice.data_at.to_string(),
    }
}
