//! Properties: how they stand, how they stood, where they go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use evenkeel_api::wire;
use evenkeel_core::{PropertyPath, Timestamp};
use evenkeel_ports::{History, HistoryError, Point, Range, SeriesKey, Stream};

use crate::blocking::on_a_thread;
use crate::engine::Snapshot;
use crate::http::AppState;
use crate::http::convert::{forecast as forecasts, property, words};
use crate::http::extract::{Asked, Resource, instant, span};
use crate::http::problem::{Answer, Refused, bad_request, conflict, not_yet, problem, unknown};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How many deviations before its origin a forecast is shown with.
const RECENT_POINTS: u32 = 120;

pub(in crate::http) async fn properties(resource: Resource) -> Answer<wire::PropertyList> {
    let snapshot = resource.snapshot();
    let at = probed_at(&resource, &snapshot)?;
    Ok(Json(wire::PropertyList {
        resource: resource.name.to_string(),
        at: at.to_string(),
        properties: property::properties(&snapshot),
        unreadable: property::unreadable(&snapshot),
    }))
}

pub(in crate::http) async fn history(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Asked(query): Asked<wire::HistoryQuery>,
) -> Answer<wire::Series> {
    let snapshot = resource.snapshot();
    let path = PropertyPath::from(query.property.as_str());
    known_property(&state, &resource, &snapshot, &path).await?;
    let (from, until) = between(&state, query.from.as_deref(), query.until.as_deref(), HOUR)?;
    let step = step(&query)?;
    let stream = query.stream.unwrap_or(wire::Stream::Deviation);
    let key = SeriesKey {
        resource: resource.name.clone(),
        property: path.clone(),
        stream: words::stream(stream),
    };
    let asked = step.map(|(every, how)| (every, words::aggregation(how)));
    let points = range(
        &state.world.history,
        key,
        Range {
            from,
            until,
            step: asked,
        },
    )
    .await?;
    let outlook = snapshot
        .outlooks
        .iter()
        .find(|outlook| outlook.path == path);
    let (unit, band) = match stream {
        wire::Stream::Value => (outlook.and_then(|outlook| outlook.unit.clone()), None),
        wire::Stream::Deviation => (None, outlook.map(|outlook| property::band(outlook.band))),
        wire::Stream::BandLower | wire::Stream::BandUpper => (None, None),
    };
    Ok(Json(wire::Series {
        resource: resource.name.to_string(),
        property: query.property,
        stream,
        unit,
        from: from.to_string(),
        until: until.to_string(),
        step_s: step.map(|(every, _)| every.as_secs_f64()),
        aggregation: step.map(|(_, how)| how),
        points: points.iter().map(property::point).collect(),
        band,
    }))
}

pub(in crate::http) async fn changes(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Asked(query): Asked<wire::ChangeQuery>,
) -> Answer<wire::ChangeList> {
    let path = query.property.as_deref().map(PropertyPath::from);
    let (from, until) = between(&state, query.from.as_deref(), query.until.as_deref(), DAY)?;
    let range = Range {
        from,
        until,
        step: None,
    };
    let changes = state
        .world
        .history
        .changes(&resource.name, path.as_ref(), range)
        .await?;
    if let (Some(path), true) = (&path, changes.is_empty()) {
        // What vanished long ago has changes and nothing else; what has none at all must be known.
        known_property(&state, &resource, &resource.snapshot(), path).await?;
    }
    Ok(Json(wire::ChangeList {
        resource: resource.name.to_string(),
        changes: changes.into_iter().map(property::change).collect(),
    }))
}

pub(in crate::http) async fn forecast(
    State(state): State<Arc<AppState>>,
    resource: Resource,
    Asked(query): Asked<wire::ForecastQuery>,
) -> Answer<wire::ForecastView> {
    let snapshot = resource.snapshot();
    let read_at = probed_at(&resource, &snapshot)?;
    let path = PropertyPath::from(query.property.as_str());
    let Some(outlook) = snapshot
        .outlooks
        .iter()
        .find(|outlook| outlook.path == path)
    else {
        known_property(&state, &resource, &snapshot, &path).await?;
        return Err(no_outlook(&snapshot, &path).into());
    };
    let origin = outlook
        .forecast
        .as_ref()
        .map_or(read_at, |forecast| forecast.origin);
    let key = SeriesKey {
        resource: resource.name.clone(),
        property: path,
        stream: Stream::Deviation,
    };
    let range_until_origin = Range {
        from: origin.before(snapshot.settings.policy.sample_every * RECENT_POINTS),
        until: origin + Duration::from_millis(1),
        step: None,
    };
    let recent = range(&state.world.history, key, range_until_origin).await?;
    Ok(Json(forecasts::view(
        &resource.name,
        &snapshot,
        outlook,
        origin,
        &recent,
    )))
}

/// When the resource was read; a problem if it was not yet.
pub(super) fn probed_at(resource: &Resource, snapshot: &Snapshot) -> Result<Timestamp, Refused> {
    if let Some(probe) = &snapshot.probe {
        return Ok(probe.at);
    }
    let name = resource.name.as_str();
    Err(match &snapshot.probe_lost {
        Some((since, why)) => not_yet(name, format!("it cannot be read since {since}: {why}")),
        None => not_yet(name, "it was not read yet").with_remedy("ask again in a moment"),
    }
    .into())
}

/// Why a property that is known is not assessed now.
fn no_outlook(snapshot: &Snapshot, path: &PropertyPath) -> evenkeel_api::wire::Problem {
    let ignored = snapshot
        .settings
        .policy
        .rule(path)
        .filter(|rule| rule.ignore);
    let unreadable = snapshot
        .probe
        .as_ref()
        .is_some_and(|probe| probe.is_unreadable(path));
    if let Some(rule) = ignored {
        let what = format!("it is ignored by the rule `{}`", rule.pattern());
        conflict(path.as_str(), what)
    } else if unreadable {
        not_yet(path.as_str(), "it could not be read the last time")
    } else if snapshot.outlooks.is_empty() {
        not_yet(
            path.as_str(),
            "it was not assessed yet: that needs a baseline and a probe after it",
        )
    } else {
        let what = "it is neither there nor in the baseline any more";
        problem(
            StatusCode::NOT_FOUND,
            "gone-property",
            "not watched any more",
            what,
        )
        .at(path.as_str())
    }
}

/// Fails if no property of this path is, or was, seen.
async fn known_property(
    state: &AppState,
    resource: &Resource,
    snapshot: &Snapshot,
    path: &PropertyPath,
) -> Result<(), Refused> {
    let mut known: BTreeSet<PropertyPath> = snapshot
        .outlooks
        .iter()
        .map(|outlook| outlook.path.clone())
        .collect();
    known.extend(
        snapshot
            .probe
            .iter()
            .flat_map(|probe| probe.properties.keys().cloned()),
    );
    known.extend(
        snapshot
            .baseline
            .iter()
            .flat_map(|baseline| baseline.properties.keys().cloned()),
    );
    if known.contains(path) {
        return Ok(());
    }
    let series = state.world.history.series(&resource.name).await?;
    known.extend(series.into_iter().map(|key| key.property));
    if known.contains(path) {
        return Ok(());
    }
    let names = known.iter().map(PropertyPath::as_str);
    Err(unknown("property", path.as_str(), names)
        .at(resource.name.as_str())
        .into())
}

/// The range that is asked for.
fn between(
    state: &AppState,
    from: Option<&str>,
    until: Option<&str>,
    default: Duration,
) -> Result<(Timestamp, Timestamp), Refused> {
    let until = instant("until", until)?.unwrap_or_else(|| state.now());
    let from = instant("from", from)?.unwrap_or_else(|| until.before(default));
    if from < until {
        return Ok((from, until));
    }
    let what = format!("{from} is not before {until}");
    Err(bad_request("from", what)
        .with_remedy("let `from` be earlier than `until`")
        .into())
}

/// One point per how much time, and how the points of a step become one.
fn step(query: &wire::HistoryQuery) -> Result<Option<(Duration, wire::Aggregation)>, Refused> {
    let Some(seconds) = query.step_s else {
        return match query.aggregation {
            None => Ok(None),
            Some(_) => Err(
                bad_request("aggregation", "there is no step to aggregate over")
                    .with_remedy("give `step_s` with it")
                    .into(),
            ),
        };
    };
    let every = span("step_s", seconds)?;
    Ok(Some((
        every,
        query.aggregation.unwrap_or(wire::Aggregation::Last),
    )))
}

/// Reads a series on a thread where that may take its time: years of it are many blocks.
async fn range(
    history: &Arc<dyn History>,
    key: SeriesKey,
    range: Range,
) -> Result<Vec<Point>, Refused> {
    let history = history.clone();
    let reading = on_a_thread(async move { history.range(&key, range).await });
    let points = reading.await.map_err(|error| HistoryError::Failed {
        place: "history".to_owned(),
        what: format!("the reader ended early: {error}"),
    })?;
    Ok(points?)
}
