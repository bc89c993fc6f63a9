//! The evaluation: alternatives are tuned on the training half, then everybody is scored on the testing half.
//!
//! Scenarios are made when they are worked on and forgotten afterwards, so that memory does not grow with
//! their number but by what is kept of each: its scores.

use anyhow::Result;
use evenkeel_core::policy::{Policy, RiskTolerance};
use serde::Serialize;

use crate::actor::{Failover, Guards, Undisturbed, act};
use crate::case::{Case, Id, Source};
use crate::detector::{Kind, Method, Setting};
use crate::evenkeel::{self, Believed};
use crate::jobs;
use crate::outcome::Outcomes;
use crate::record::Record;
use crate::reliability::Reliability;
use crate::score::{Score, Summary, score};
use crate::tune::{Tuned, tune};

/// The risk tolerances at which Evenkeel is run; the default one comes beside them.
pub(crate) const TOLERANCES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// One contender on the testing half.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    /// What was chosen for it.
    pub(crate) setting: String,
    pub(crate) who: Who,
    pub(crate) scores: Vec<Score>,
    /// The probability to be beyond the limit within the horizon, where it gives one.
    pub(crate) limit: Option<Reliability>,
    /// What Evenkeel says of its own breaches.
    pub(crate) believed: Option<Believed>,
    /// The settings of its Pareto front, on the testing half.
    pub(crate) front: Vec<(String, Summary)>,
}

/// Which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// At this risk tolerance; whether that is the default one.
    Evenkeel {
        tolerance: f64,
        default: bool,
    },
    Alternative(Kind),
}

/// Runs all of it, with Evenkeel at `tolerances` and the default one, and the alternatives of `kinds`. `say` is told how far it is.
pub(crate) fn evaluate(
    source: &Source,
    ids: &[Id],
    (tolerances, kinds): (&[f64], &[Kind]),
    workers: usize,
    say: &dyn Fn(&str),
) -> Result<Vec<Contender>> {
    let half = |training: bool| -> Vec<Id> {
        ids.iter()
            .copied()
            .filter(|id| id.is_training() == training)
            .collect()
    };
    let (training, testing) = (half(true), half(false));
    say(&format!("tuning on {} scenarios", training.len()));
    let tuned = tune_all(source, &training, kinds, workers)?;
    say(&format!("alternatives on {} scenarios", testing.len()));
    let mut contenders = evenkeel_all(source, &testing, tolerances, workers, say)?;
    contenders.extend(test_all(source, &testing, workers, &tuned)?);
    Ok(contenders)
}

/// An alternative, tuned.
struct Chosen {
    kind: Kind,
    best: Setting,
    front: Vec<Setting>,
    /// The method whose probabilities were best on the training half.
    believes: Option<Method>,
}

/// The methods that give a probability; how long an alarm lasts, or what it needs, does not change it.
fn believing() -> Vec<Method> {
    let linear =
        [0.125, 0.25, 0.5, 1.0, 2.0].map(|window| Method::PredictLinear { window, limit: 1.0 });
    let arima = [120, 360].map(|window| Method::Arima {
        window,
        rule: crate::detector::Rule::Median,
    });
    linear.into_iter().chain(arima).collect()
}

fn tune_all(source: &Source, ids: &[Id], kinds: &[Kind], workers: usize) -> Result<Vec<Chosen>> {
    let settings: Vec<Setting> = kinds.iter().copied().flat_map(Setting::grid).collect();
    let mut believers = believing();
    believers.retain(|method| kinds.contains(&method.kind()));
    let per_case = jobs::map(workers, ids, |id| -> Result<_> {
        let case = source.make(*id)?;
        let scores = score_settings(&case, &settings);
        let beliefs: Vec<Reliability> = believers
            .iter()
            .map(|method| believed(&case, *method))
            .collect();
        Ok((scores, beliefs))
    });
    let mut scores: Vec<Vec<Score>> = vec![Vec::new(); settings.len()];
    let mut beliefs = vec![Reliability::default(); believers.len()];
    for one in per_case {
        let (case_scores, case_beliefs) = one?;
        for (all, new) in scores.iter_mut().zip(case_scores) {
            all.extend(new);
        }
        for (all, new) in beliefs.iter_mut().zip(&case_beliefs) {
            all.merge(new);
        }
    }
    let brier = |method: &Method| {
        let place = believers.iter().position(|b| b == method);
        place
            .and_then(|i| beliefs[i].brier())
            .unwrap_or(f64::INFINITY)
    };
    let chosen = kinds.iter().copied().filter_map(|kind| {
        let own: Vec<usize> = (0..settings.len())
            .filter(|i| settings[*i].method.kind() == kind)
            .collect();
        let summaries: Vec<Summary> = own.iter().map(|i| Summary::of(&scores[*i])).collect();
        let Tuned { best, front } = tune(&summaries)?;
        let believes = (believers.iter().copied())
            .filter(|method| method.kind() == kind)
            .min_by(|a, b| brier(a).total_cmp(&brier(b)));
        Some(Chosen {
            kind,
            best: settings[own[best]],
            front: front.into_iter().map(|i| settings[own[i]]).collect(),
            believes,
        })
    });
    Ok(chosen.collect())
}

/// The scores of every setting over one scenario, in the order of the settings. Settings of one method stand
/// together, shorter alarms first.
fn score_settings(case: &Case, settings: &[Setting]) -> Vec<Vec<Score>> {
    let mut all: Vec<Vec<Score>> = Vec::with_capacity(settings.len());
    for of_method in settings.chunk_by(|a, b| a.method == b.method) {
        let undisturbed = undisturbed(case, of_method[0].method);
        let mut silent = false;
        for setting in of_method {
            // Where an alarm that lasts for less calls for nothing, none that lasts for longer does.
            let failovers = if silent {
                vec![Vec::new(); case.resources.len()]
            } else {
                alternative(case, &undisturbed, setting.sustain)
            };
            // Of a fleet, who calls less may be held less.
            silent = case.resources.len() == 1 && failovers.iter().all(Vec::is_empty);
            all.push(scores(case, &failovers));
        }
    }
    all
}

fn undisturbed(case: &Case, method: Method) -> Vec<Undisturbed> {
    let records = case.resources.iter().map(|resource| &resource.record);
    records
        .map(|record| Undisturbed::new(record, method, case.context))
        .collect()
}

fn alternative(case: &Case, undisturbed: &[Undisturbed], sustain: u32) -> Vec<Vec<Failover>> {
    let records: Vec<&Record> = case.resources.iter().map(|r| &r.record).collect();
    let Some(first) = case.resources.first() else {
        return Vec::new();
    };
    act(
        &records,
        undisturbed,
        sustain,
        case.context,
        Guards::from(&first.policy),
    )
}

fn scores(case: &Case, failovers: &[Vec<Failover>]) -> Vec<Score> {
    let pairs = case.resources.iter().zip(failovers);
    pairs
        .map(|(r, failovers)| score(case.id, r.harm, case.context.horizon, &r.record, failovers))
        .collect()
}

/// What a method says while nothing is done.
fn believed(case: &Case, method: Method) -> Reliability {
    let mut reliability = Reliability::default();
    for resource in &case.resources {
        let record = &resource.record;
        let outcomes = Outcomes::new(record, case.context.horizon);
        for property in 0..record.properties.len() {
            let mut detector = method.detector(case.context);
            for (probe, at) in record.at.iter().enumerate() {
                if record.recentred.contains(&probe) {
                    detector = method.detector(case.context);
                }
                let deviation = record.row(probe)[property];
                if deviation.is_nan() {
                    continue;
                }
                detector.observe(*at, deviation);
                if outcomes.is_sampled(probe)
                    && let Some(came) = outcomes.reaches_limit(probe, property)
                {
                    reliability.push(detector.probability().unwrap_or(0.0), came);
                }
            }
        }
    }
    reliability
}

fn test_all(
    source: &Source,
    ids: &[Id],
    workers: usize,
    tuned: &[Chosen],
) -> Result<Vec<Contender>> {
    let per_case = jobs::map(workers, ids, |id| -> Result<_> {
        let case = source.make(*id)?;
        let of = |chosen: &Chosen| {
            let settings: Vec<Setting> =
                chosen.front.iter().copied().chain([chosen.best]).collect();
            let run = |setting: &Setting| {
                let undisturbed = undisturbed(&case, setting.method);
                scores(&case, &alternative(&case, &undisturbed, setting.sustain))
            };
            let mut front: Vec<Vec<Score>> = settings.iter().map(run).collect();
            let best = front.pop().unwrap_or_default();
            let limit = chosen.believes.map(|method| believed(&case, method));
            (best, front, limit)
        };
        Ok(tuned.iter().map(of).collect::<Vec<_>>())
    });
    let mut best = vec![Vec::new(); tuned.len()];
    let mut fronts: Vec<Vec<Vec<Score>>> = tuned
        .iter()
        .map(|c| vec![Vec::new(); c.front.len()])
        .collect();
    let mut limits: Vec<Option<Reliability>> = tuned
        .iter()
        .map(|c| c.believes.map(|_| Reliability::default()))
        .collect();
    for one in per_case {
        for (i, (case_best, case_front, case_limit)) in one?.into_iter().enumerate() {
            best[i].extend(case_best);
            for (all, new) in fronts[i].iter_mut().zip(case_front) {
                all.extend(new);
            }
            if let (Some(all), Some(new)) = (&mut limits[i], case_limit) {
                all.merge(&new);
            }
        }
    }
    let parts = tuned.iter().zip(best).zip(fronts).zip(limits);
    Ok(parts
        .map(|(((chosen, scores), front), limit)| Contender {
            name: chosen.kind.name().into(),
            setting: chosen.best.to_string(),
            who: Who::Alternative(chosen.kind),
            scores,
            limit,
            believed: None,
            front: (chosen.front.iter().zip(front))
                .map(|(setting, scores)| (setting.to_string(), Summary::of(&scores)))
                .collect(),
        })
        .collect())
}

fn evenkeel_all(
    source: &Source,
    ids: &[Id],
    tolerances: &[f64],
    workers: usize,
    say: &dyn Fn(&str),
) -> Result<Vec<Contender>> {
    let default = Policy::default().risk_tolerance.get();
    let mut tolerances: Vec<(f64, bool)> = tolerances.iter().map(|r| (*r, false)).collect();
    tolerances.push((default, true));
    let mut contenders = Vec::new();
    for (number, is_default) in tolerances {
        let tolerance = RiskTolerance::new(number)?;
        say(&format!("Evenkeel at risk tolerance {number}"));
        let per_case = jobs::map(workers, ids, |id| -> Result<_> {
            let case = source.make(*id)?;
            let scores = scores(&case, &evenkeel::act(&case, tolerance));
            let believed = is_default.then(|| evenkeel::believe(&case, tolerance));
            Ok((scores, believed))
        });
        let mut scores = Vec::new();
        let mut believed = is_default.then(Believed::default);
        for one in per_case {
            let (case_scores, case_believed) = one?;
            scores.extend(case_scores);
            if let (Some(all), Some(new)) = (&mut believed, case_believed) {
                all.merge(&new);
            }
        }
        let mark = if is_default { ", the default" } else { "" };
        contenders.push(Contender {
            name: format!("Evenkeel, r = {number}"),
            setting: format!("risk tolerance {number}{mark}"),
            who: Who::Evenkeel {
                tolerance: number,
                default: is_default,
            },
            scores,
            limit: believed.as_ref().map(|b| b.limit.clone()),
            believed,
            front: Vec::new(),
        });
    }
    Ok(contenders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(workers: usize) -> Vec<Contender> {
        let source = Source::cut_from_made_up(400);
        let kinds = [Kind::StaticThreshold, Kind::PredictLinear];
        evaluate(
            &source,
            &source.ids(8, 10),
            (&[1.0], &kinds),
            workers,
            &|_| {},
        )
        .unwrap()
    }

    #[test]
    fn figures_do_not_depend_on_the_number_of_threads_and_are_of_the_testing_half() {
        let (one, three) = (run(1), run(3));
        assert_eq!(one.len(), 4);
        for (a, b) in one.iter().zip(&three) {
            assert_eq!(
                (&a.name, &a.setting, &a.scores),
                (&b.name, &b.setting, &b.scores)
            );
            assert_eq!((&a.front, &a.limit), (&b.front, &b.limit));
            let seeds: Vec<u64> = a.scores.iter().map(|score| score.id.seed).collect();
            assert_eq!(seeds, [11, 11, 13, 13], "{}", a.name);
        }
    }

    #[test]
    fn what_an_undisturbed_detector_says_is_what_a_fresh_one_would() {
        let source = Source::cut_from_made_up(400);
        let case = source.make(Id { family: 1, seed: 5 }).unwrap();
        let settings = Setting::grid(Kind::StaticThreshold);
        let all = score_settings(&case, &settings);
        for (setting, scored) in settings.iter().zip(&all) {
            let undisturbed = undisturbed(&case, setting.method);
            let alone = scores(&case, &alternative(&case, &undisturbed, setting.sustain));
            assert_eq!(*scored, alone, "{setting}");
        }
    }
}
