//! Events, what they were decided on, and the audit log.

use evenkeel_api::wire;
use evenkeel_core::decide::Explanation;
use evenkeel_core::record::EventRecord;
use evenkeel_ports::{AuditRecord, AuditVerdict};

use super::{forecast, property, words};

pub(in crate::http) fn event(record: &EventRecord) -> wire::Event {
    let event = &record.event;
    wire::Event {
        id: record.id.to_string(),
        at: event.at.to_string(),
        resource: event.resource.as_ref().map(ToString::to_string),
        kind: words::event_kind(event.kind),
        severity: words::severity(event.severity),
        sentence: event.sentence.clone(),
        by: event.by.clone(),
        run: event.run.map(|run| run.to_string()),
        explained: event.explanation.is_some() || event.detail.is_some(),
    }
}

pub(in crate::http) fn explanation(explanation: &Explanation) -> wire::Explanation {
    let outlooks = explanation.outlooks.iter().map(|outlook| wire::Outlook {
        property: property::property(outlook),
        levels: forecast::levels(),
        horizons: forecast::horizons(outlook.forecast.as_ref()),
    });
    wire::Explanation {
        reason: words::reason(&explanation.reason).to_owned(),
        sentence: explanation.reason.sentence(),
        outlooks: outlooks.collect(),
        guards: words::guards(&explanation.guards),
    }
}

/// The pieces of evidence in the text of a diagnosis: each has its title on a line of its own, after
/// `## `. What stands before the first title is evidence all the same.
pub(in crate::http) fn evidence(detail: &str) -> Vec<wire::Evidence> {
    let mut pieces: Vec<wire::Evidence> = Vec::new();
    for line in detail.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            pieces.push(wire::Evidence {
                title: title.to_owned(),
                text: String::new(),
            });
            continue;
        }
        if pieces.is_empty() {
            pieces.push(wire::Evidence {
                title: "diagnosis".to_owned(),
                text: String::new(),
            });
        }
        if let Some(piece) = pieces.last_mut() {
            piece.text.push_str(line);
            piece.text.push('\n');
        }
    }
    for piece in &mut pieces {
        piece.text.truncate(piece.text.trim_end().len());
    }
    pieces
}

pub(in crate::http) fn audit(record: AuditRecord) -> wire::AuditRecord {
    let AuditRecord {
        number,
        entry,
        hash,
    } = record;
    wire::AuditRecord {
        number,
        at: entry.at.to_string(),
        actor: entry.actor,
        action: entry.action,
        resource: entry.resource.map(|resource| resource.to_string()),
        done: entry.result.is_ok(),
        refusal: entry.result.err(),
        before: entry.before,
        after: entry.after,
        hash,
    }
}

pub(in crate::http) fn verdict(verdict: AuditVerdict) -> wire::AuditReport {
    match verdict {
        AuditVerdict::Intact { records, head } => wire::AuditReport {
            intact: true,
            records,
            head: (records > 0).then_some(head),
            broken_at: None,
            what: None,
        },
        AuditVerdict::Broken { number, what } => wire::AuditReport {
            intact: false,
            records: number.saturating_sub(1),
            head: None,
            broken_at: Some(number),
            what: Some(what),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_told_apart_by_its_titles() {
        let pieces = evidence("## configuration diff\na\nb\n\n## log\n\nlast words\n");
        let told: Vec<_> = pieces
            .iter()
            .map(|p| (p.title.as_str(), p.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [("configuration diff", "a\nb"), ("log", "\nlast words")]
        );
        assert_eq!(evidence("no title").len(), 1);
        assert!(evidence("").is_empty());
    }

    #[test]
    fn a_broken_log_says_how_far_it_holds() {
        let report = verdict(AuditVerdict::Broken {
            number: 4,
            what: "the hash".into(),
        });
        assert_eq!(
            (report.intact, report.records, report.broken_at),
            (false, 3, Some(4))
        );
    }
}
