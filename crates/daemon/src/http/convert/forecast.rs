//! One property's forecast fan, and how it is made.

use evenkeel_api::wire;
use evenkeel_core::forecast::{ChangeKind, Forecast, LEVELS};
use evenkeel_core::outlook::PropertyOutlook;
use evenkeel_core::watch::ForecastInsight;
use evenkeel_core::{ResourceId, Timestamp};
use evenkeel_ports::Point;

use super::{property, words};
use crate::engine::Snapshot;

/// The coverage of which the engine measures how well it was kept.
const MEASURED_COVERAGE: f64 = 0.9;

pub(in crate::http) fn levels() -> Vec<f64> {
    LEVELS.to_vec()
}

pub(in crate::http) fn horizons(forecast: Option<&Forecast>) -> Vec<wire::HorizonForecast> {
    let Some(forecast) = forecast else {
        return Vec::new();
    };
    forecast
        .quantiles
        .iter()
        .take(forecast.grid.len())
        .enumerate()
        .map(|(index, quantiles)| wire::HorizonForecast {
            after_s: forecast.grid.span(index).as_secs_f64(),
            quantiles: quantiles.values().to_vec(),
        })
        .collect()
}

/// `read_at` is when the outlook's property was read; `recent` its deviations until then.
pub(in crate::http) fn view(
    resource: &ResourceId,
    snapshot: &Snapshot,
    outlook: &PropertyOutlook,
    read_at: Timestamp,
    recent: &[Point],
) -> wire::ForecastView {
    let policy = &snapshot.settings.policy;
    let insight = snapshot
        .insights
        .iter()
        .find(|(path, _)| *path == outlook.path);
    let insight = insight.map(|(_, insight)| insight);
    let models = insight.map_or_else(Vec::new, |insight| {
        let model = |weight: &evenkeel_core::forecast::ModelWeight| wire::ModelWeight {
            model: weight.model.clone(),
            weight: weight.weight,
        };
        insight.weights.iter().map(model).collect()
    });
    let coverage = insight.and_then(|insight| insight.coverage_90);
    wire::ForecastView {
        resource: resource.to_string(),
        property: outlook.path.to_string(),
        unit: outlook.unit.clone(),
        severity: words::severity(outlook.severity),
        origin: read_at.to_string(),
        value: outlook.found.as_ref().map(property::value),
        approved: outlook.approved.as_ref().map(property::value),
        limit: outlook.limit,
        deviation: outlook.deviation,
        recent: recent.iter().map(property::point).collect(),
        step_s: policy.sample_every.as_secs_f64(),
        levels: levels(),
        horizons: horizons(outlook.forecast.as_ref()),
        band: property::band(outlook.band),
        ceiling: policy.band_ceiling,
        breach: property::breach(outlook),
        first_passage: first_passage(outlook, policy.min_confidence.get()),
        onset: outlook.onset.map(|at| at.to_string()),
        shift: insight.and_then(shift),
        models,
        coverage: coverage.map(|(measured, scored)| wire::Coverage {
            nominal: MEASURED_COVERAGE,
            measured,
            scored,
        }),
        sentence: sentence(outlook),
    }
}

fn first_passage(outlook: &PropertyOutlook, confidence: f64) -> Option<wire::FirstPassage> {
    let passage = outlook.first_passage()?;
    let stays = passage.safe_until(confidence);
    Some(wire::FirstPassage {
        confidence,
        leaves: passage.bound_of(confidence).map(property::path_bound),
        stays_before_s: stays.map(|span| span.as_secs_f64()),
        reach: property::path_bound(passage.within_reach()?),
    })
}

fn shift(insight: &ForecastInsight) -> Option<wire::Shift> {
    let change = insight.change?;
    Some(wire::Shift {
        onset: change.onset.to_string(),
        noticed_at: change.at.to_string(),
        kind: match change.kind {
            ChangeKind::Step => wire::ShiftKind::Step,
            ChangeKind::Trend => wire::ShiftKind::Trend,
        },
        size: change.size,
        size_in_unit: insight.change_measured,
    })
}

fn sentence(outlook: &PropertyOutlook) -> String {
    let outlook_sentence = outlook.sentence();
    match (&outlook.forecast, outlook.deviation == 0.0) {
        (Some(_), _) => outlook_sentence,
        (None, true) => {
            format!("{outlook_sentence}; no forecast: it has not moved since it is watched")
        }
        (None, false) => format!(
            "{outlook_sentence}; no forecast: it was seen too few times to say where it goes"
        ),
    }
}
