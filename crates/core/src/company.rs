//! Correlated evidence: properties of one resource whose drifts set in together speak for each other.
//!
//! Chance makes one noisy property look like a drift now and then; it seldom makes two at the same time. So a
//! predicted breach in company is surer than alone. With `c` its own confidence and `c_j` those of the company,
//!
//! ```text
//! joint = 1 - (1 - c) * product of sqrt(1 - min(c_j, 0.99))
//! ```
//!
//! Were the properties independent, the doubts would multiply whole; did they all move for one reason, the
//! company would add nothing. The square root lies between the two: half of the logarithm of each doubt counts.
//! How probable harm is follows by the same rule, from how probable that of the company is.
//! Only breaches of a severity that people are told of ([`Severity::Warn`] and above) count as company, so that
//! what is watched for information alone moves no clients.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::PropertyPath;
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::Policy;
use crate::property::Severity;
use crate::time::Timestamp;

/// How many spans of `sustain_n` evaluations two onsets may lie apart and still count as together: an onset is
/// known to within some evaluations.
const SPANS_APART: u32 = 4;

/// No company is surer than this.
const SUREST: f64 = 0.99;

/// What made a breach surer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Company {
    /// The properties that drift with it, in the order of paths.
    pub with: Vec<PropertyPath>,
    /// The confidence in the breach by itself.
    pub alone: f64,
}

/// How far apart two onsets may lie and still count as together.
pub fn together_within(policy: &Policy) -> Duration {
    policy.sample_every * u32::from(policy.sustain_n) * SPANS_APART
}

/// A drift that may be company.
struct Drift {
    path: PropertyPath,
    onset: Timestamp,
    confidence: f64,
    harm: f64,
}

/// Raises the confidence of every predicted breach that has company, and how probable its harm is.
pub fn keep_company(outlooks: &mut [PropertyOutlook], within: Duration) {
    let drifts: Vec<Drift> = outlooks
        .iter()
        .filter(|o| o.severity >= Severity::Warn && o.breach != Breach::None)
        .filter_map(drift)
        .collect();
    if drifts.len() < 2 {
        return;
    }
    for outlook in outlooks.iter_mut() {
        let (Some(onset), Breach::Predicted { confidence, .. }) =
            (outlook.onset, &mut outlook.breach)
        else {
            continue;
        };
        let company: Vec<&Drift> = drifts
            .iter()
            .filter(|other| other.path != outlook.path && apart(other.onset, onset) <= within)
            .collect();
        if company.is_empty() {
            continue;
        }
        let alone = *confidence;
        *confidence = joint(alone, company.iter().map(|other| other.confidence));
        if let Some(harm) = &mut outlook.harm {
            harm.probability = joint(harm.probability, company.iter().map(|other| other.harm));
        }
        let mut with: Vec<PropertyPath> = company.iter().map(|other| other.path.clone()).collect();
        with.sort();
        outlook.company = Some(Company { with, alone });
    }
}

fn drift(outlook: &PropertyOutlook) -> Option<Drift> {
    let harm = match outlook.breach {
        Breach::Observed => 1.0,
        Breach::None | Breach::Predicted { .. } => {
            outlook.harm.map_or(0.0, |harm| harm.probability)
        }
    };
    Some(Drift {
        path: outlook.path.clone(),
        onset: outlook.onset?,
        confidence: outlook.breach.confidence().min(SUREST),
        harm: harm.min(SUREST),
    })
}

/// What `alone` is in the company of others.
fn joint(alone: f64, others: impl Iterator<Item = f64>) -> f64 {
    let doubts = others.map(|other| (1.0 - other).sqrt());
    1.0 - doubts.fold(1.0 - alone, |doubt, other| doubt * other)
}

fn apart(a: Timestamp, b: Timestamp) -> Duration {
    (a - b).max(b - a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harm::Harm;
    use crate::outlook::tests::found;

    const MINUTE: Duration = Duration::from_secs(60);

    fn drift(path: &str, severity: Severity, confidence: f64, minute: u32) -> PropertyOutlook {
        let breach = Breach::Predicted {
            lead_time: MINUTE,
            confidence,
            harm_after: None,
        };
        PropertyOutlook {
            deviation: 0.1,
            onset: Some(Timestamp::from_millis(0) + MINUTE * minute),
            ..found(path, severity, breach)
        }
    }

    #[test]
    fn drifts_that_set_in_together_make_each_other_surer() {
        let mut outlooks = [
            drift("heap", Severity::Critical, 0.8, 10),
            drift("threads", Severity::Warn, 0.75, 12),
        ];
        keep_company(&mut outlooks, 5 * MINUTE);
        // 1 - 0.2 x sqrt(0.25) and 1 - 0.25 x sqrt(0.2).
        assert!((outlooks[0].breach.confidence() - 0.9).abs() < 1e-12);
        assert!((outlooks[1].breach.confidence() - (1.0 - 0.25 * 0.2_f64.sqrt())).abs() < 1e-12);
        let company = outlooks[0].company.clone().unwrap();
        assert_eq!(
            company,
            Company {
                with: vec!["threads".into()],
                alone: 0.8
            }
        );
    }

    #[test]
    fn harm_is_surer_in_company_too() {
        let harmful = |path: &str, probability| PropertyOutlook {
            harm: Some(Harm {
                probability,
                turned_back: 2,
            }),
            ..drift(path, Severity::Critical, 0.9, 10)
        };
        let mut outlooks = [harmful("heap", 0.6), harmful("threads", 0.36)];
        keep_company(&mut outlooks, 5 * MINUTE);
        let found = outlooks.map(|outlook| outlook.harm.unwrap().probability);
        // 1 - 0.4 x sqrt(0.64) and 1 - 0.64 x sqrt(0.4).
        assert!((found[0] - 0.68).abs() < 1e-12, "{found:?}");
        assert!((found[1] - (1.0 - 0.64 * 0.4_f64.sqrt())).abs() < 1e-12);
    }

    #[test]
    fn together_is_within_four_spans_of_sustained_evaluations() {
        let policy = Policy {
            sample_every: MINUTE,
            sustain_n: 5,
            ..Policy::default()
        };
        assert_eq!(together_within(&policy), 20 * MINUTE);
    }

    #[test]
    fn everybody_in_company_counts() {
        let mut outlooks = [
            drift("threads", Severity::Warn, 0.75, 11),
            drift("pool", Severity::Critical, 0.8, 10),
            drift("heap", Severity::Critical, 0.64, 12),
        ];
        keep_company(&mut outlooks, 5 * MINUTE);
        // 1 - 0.2 x sqrt(0.25) x sqrt(0.36).
        assert!((outlooks[1].breach.confidence() - 0.94).abs() < 1e-12);
        let with = &outlooks[1].company.as_ref().unwrap().with;
        assert_eq!(with, &["heap".into(), "threads".into()]);
    }

    #[test]
    fn it_does_not_matter_which_of_two_onsets_is_the_earlier() {
        for (minute, has_company) in [(4, false), (5, true), (15, true), (16, false)] {
            let mut outlooks = [
                drift("heap", Severity::Critical, 0.8, 10),
                drift("threads", Severity::Warn, 0.75, minute),
            ];
            keep_company(&mut outlooks, 5 * MINUTE);
            assert_eq!(outlooks[0].company.is_some(), has_company, "{minute}");
            assert_eq!(outlooks[1].company.is_some(), has_company, "{minute}");
        }
    }

    #[test]
    fn what_sets_in_at_another_time_or_is_only_information_is_no_company() {
        for other in [
            drift("threads", Severity::Warn, 0.9, 16),
            drift("threads", Severity::Info, 0.9, 10),
        ] {
            let mut outlooks = [drift("heap", Severity::Critical, 0.8, 10), other];
            keep_company(&mut outlooks, 5 * MINUTE);
            assert_eq!(outlooks[0].breach.confidence(), 0.8);
            assert_eq!(outlooks[0].company, None);
        }
    }

    #[test]
    fn what_does_not_breach_or_whose_onset_is_unknown_is_no_company() {
        let mut still = drift("threads", Severity::Warn, 0.9, 10);
        still.breach = Breach::None;
        let mut unknown = drift("threads", Severity::Warn, 0.9, 10);
        unknown.onset = None;
        for other in [still, unknown] {
            let mut outlooks = [
                drift("heap", Severity::Critical, 0.8, 10),
                drift("pool", Severity::Info, 0.8, 10),
                other,
            ];
            keep_company(&mut outlooks, 5 * MINUTE);
            assert_eq!(outlooks[0].company, None);
        }
    }

    #[test]
    fn no_company_makes_sure_what_is_in_doubt() {
        let mut outlooks = [
            drift("heap", Severity::Critical, 0.5, 10),
            drift("threads", Severity::Warn, 1.0, 10),
        ];
        outlooks[1].breach = Breach::Observed;
        keep_company(&mut outlooks, MINUTE);
        assert!((outlooks[0].breach.confidence() - 0.95).abs() < 1e-9);
        assert_eq!(outlooks[1].breach, Breach::Observed);
    }
}
