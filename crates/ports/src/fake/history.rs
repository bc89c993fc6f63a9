//! History in memory. It keeps one tier, every point, until the coarsest tier of the policy would
//! lose it: so it never has to downsample.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use evenkeel_core::forecast::Forecast;
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};

use super::locked;
use crate::history::{
    Aggregation, History, HistoryError, Learned, LearnedFound, Point, PropertyChange, Range,
    RetentionPlan, RetentionPolicy, Sample, SeriesKey,
};

/// See the module.
#[derive(Debug, Default)]
pub struct FakeHistory {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    points: BTreeMap<SeriesKey, BTreeMap<Timestamp, f64>>,
    changes: Vec<PropertyChange>,
    forecasts: Vec<(ResourceId, PropertyPath, Forecast)>,
    learned: BTreeMap<(ResourceId, PropertyPath), Vec<u8>>,
}

impl FakeHistory {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Tables {
    fn retention(&self, policy: &RetentionPolicy, now: Timestamp) -> RetentionPlan {
        let oldest_point = now.before(policy.hour);
        let oldest_change = now.before(policy.changes);
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let points = |points: &BTreeMap<Timestamp, f64>| points.range(..oldest_point).count();
        let late = |at: Timestamp| at < oldest_change;
        RetentionPlan {
            raw_points: count(self.points.values().map(points).sum()),
            changes: count(self.changes.iter().filter(|c| late(c.at)).count()),
            forecasts: count(
                (self.forecasts.iter())
                    .filter(|(_, _, forecast)| late(forecast.origin))
                    .count(),
            ),
            ..RetentionPlan::default()
        }
    }
}

fn aggregated(points: &[Point], aggregation: Aggregation) -> f64 {
    let values = points.iter().map(|point| point.value);
    // The count of points in memory is exact in a double.
    #[allow(clippy::cast_precision_loss)]
    let count = points.len() as f64;
    match aggregation {
        Aggregation::Min => values.fold(f64::INFINITY, f64::min),
        Aggregation::Max => values.fold(f64::NEG_INFINITY, f64::max),
        Aggregation::Mean => values.sum::<f64>() / count,
        Aggregation::Last => points[points.len() - 1].value,
        Aggregation::Count => count,
    }
}

#[async_trait]
impl History for FakeHistory {
    async fn append(&self, samples: &[Sample]) -> Result<(), HistoryError> {
        let mut tables = locked(&self.tables);
        for sample in samples {
            let points = tables.points.entry(sample.series.clone()).or_default();
            points.insert(sample.at, sample.value);
        }
        Ok(())
    }

    async fn append_changes(&self, changes: &[PropertyChange]) -> Result<(), HistoryError> {
        let mut tables = locked(&self.tables);
        for change in changes {
            if !tables.changes.contains(change) {
                tables.changes.push(change.clone());
            }
        }
        tables.changes.sort_by_key(|change| change.at);
        Ok(())
    }

    async fn append_forecasts(
        &self,
        resource: &ResourceId,
        forecasts: &[(PropertyPath, Forecast)],
    ) -> Result<(), HistoryError> {
        let mut tables = locked(&self.tables);
        for (path, forecast) in forecasts {
            let entry = (resource.clone(), path.clone(), forecast.clone());
            tables.forecasts.push(entry);
        }
        Ok(())
    }

    async fn range(&self, series: &SeriesKey, range: Range) -> Result<Vec<Point>, HistoryError> {
        let tables = locked(&self.tables);
        let Some(points) = tables.points.get(series) else {
            return Ok(Vec::new());
        };
        if range.from >= range.until {
            return Ok(Vec::new());
        }
        let points: Vec<Point> = (points.range(range.from..range.until))
            .map(|(&at, &value)| Point { at, value })
            .collect();
        let Some((step, aggregation)) = range.step else {
            return Ok(points);
        };
        let step_ms = step.as_millis().max(1);
        let number = |point: &Point| (point.at - range.from).as_millis() / step_ms;
        let steps = points.chunk_by(|a, b| number(a) == number(b));
        Ok(steps
            .map(|chunk| Point {
                at: range.from + step * u32::try_from(number(&chunk[0])).unwrap_or(u32::MAX),
                value: aggregated(chunk, aggregation),
            })
            .collect())
    }

    async fn latest(&self, series: &SeriesKey) -> Result<Option<Point>, HistoryError> {
        let tables = locked(&self.tables);
        let last = tables.points.get(series).and_then(BTreeMap::last_key_value);
        Ok(last.map(|(&at, &value)| Point { at, value }))
    }

    async fn series(&self, resource: &ResourceId) -> Result<Vec<SeriesKey>, HistoryError> {
        let tables = locked(&self.tables);
        let of_it = tables.points.keys().filter(|key| key.resource == *resource);
        Ok(of_it.cloned().collect())
    }

    async fn changes(
        &self,
        resource: &ResourceId,
        property: Option<&PropertyPath>,
        range: Range,
    ) -> Result<Vec<PropertyChange>, HistoryError> {
        let tables = locked(&self.tables);
        let wanted = tables.changes.iter().filter(|change| {
            change.resource == *resource
                && property.is_none_or(|path| change.property == *path)
                && (range.from..range.until).contains(&change.at)
        });
        Ok(wanted.cloned().collect())
    }

    async fn forecast_at(
        &self,
        resource: &ResourceId,
        property: &PropertyPath,
        at: Timestamp,
    ) -> Result<Option<Forecast>, HistoryError> {
        let tables = locked(&self.tables);
        let made = (tables.forecasts.iter())
            .filter(|(r, p, forecast)| r == resource && p == property && forecast.origin <= at)
            .map(|(_, _, forecast)| forecast);
        Ok(made.max_by_key(|forecast| forecast.origin).cloned())
    }

    async fn save_learned(
        &self,
        resource: &ResourceId,
        states: &[Learned],
        forgotten: &[PropertyPath],
    ) -> Result<(), HistoryError> {
        let mut tables = locked(&self.tables);
        for Learned { property, state } in states {
            let key = (resource.clone(), property.clone());
            tables.learned.insert(key, state.clone());
        }
        for property in forgotten {
            tables.learned.remove(&(resource.clone(), property.clone()));
        }
        Ok(())
    }

    async fn load_learned(&self, resource: &ResourceId) -> Result<LearnedFound, HistoryError> {
        let tables = locked(&self.tables);
        let of_it = tables.learned.iter().filter(|((r, _), _)| r == resource);
        let states = of_it.map(|((_, property), state)| Learned {
            property: property.clone(),
            state: state.clone(),
        });
        Ok(LearnedFound {
            states: states.collect(),
            damaged: Vec::new(),
        })
    }

    async fn plan_retention(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<RetentionPlan, HistoryError> {
        Ok(locked(&self.tables).retention(policy, now))
    }

    async fn retain(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<RetentionPlan, HistoryError> {
        let mut tables = locked(&self.tables);
        let plan = tables.retention(policy, now);
        let (oldest_point, oldest_change) = (now.before(policy.hour), now.before(policy.changes));
        for points in tables.points.values_mut() {
            points.retain(|at, _| *at >= oldest_point);
        }
        tables.points.retain(|_, points| !points.is_empty());
        tables.changes.retain(|change| change.at >= oldest_change);
        tables
            .forecasts
            .retain(|(_, _, forecast)| forecast.origin >= oldest_change);
        Ok(plan)
    }
}
