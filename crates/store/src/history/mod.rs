//! History on `history.db`. This file has the schema, the trait's wiring and the append; the rest:
//!
//! ```text
//!  append ──▶ head ──seal──▶ block (raw) ──retain──▶ block (5 min) ──retain──▶ block (hour) ──▶ gone
//!              └────────────────┴────────── read ──────────┴────────────────────────┘
//! ```
//!
//! Of two values for the same instant of a series the first stands: history is added to, never
//! corrected. A point older than what retention has already worked through is let go, as it would be
//! at the next retention anyway.

mod aggregate;
mod block;
mod bytes;
mod catalogue;
mod changes;
mod column;
mod forecasts;
mod head;
mod learned;
mod read;
mod retain;

use std::collections::HashSet;

use async_trait::async_trait;
use evenkeel_core::forecast::Forecast;
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};
use evenkeel_ports::{
    History, HistoryError, Learned, LearnedFound, Point, PropertyChange, Range, RetentionPlan,
    RetentionPolicy, Sample, SeriesKey, StoreError,
};
use rusqlite::Connection;

use self::block::Tier;
use self::bytes::RawPoint;
use self::catalogue::Catalogue;
use self::head::{Group, Head};
use self::retain::Cuts;
use crate::Store;
use crate::database::Database;
use crate::fault::Fault;

/// The schema, as the changes that led to it. Never edit one that was released: add another.
pub(crate) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE series(
        id INTEGER PRIMARY KEY, resource TEXT NOT NULL, property TEXT NOT NULL,
        stream TEXT NOT NULL, raw_from INTEGER NOT NULL,
        UNIQUE(resource, property, stream));
    CREATE TABLE head(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE block(
        id INTEGER PRIMARY KEY, series INTEGER NOT NULL, tier INTEGER NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL, summary BLOB NOT NULL, data BLOB NOT NULL);
    CREATE INDEX block_by_series ON block(series, tier, last, first);
    CREATE TABLE change(
        id INTEGER PRIMARY KEY, resource TEXT NOT NULL, property TEXT NOT NULL, at INTEGER NOT NULL,
        body TEXT NOT NULL);
    CREATE INDEX change_by_resource ON change(resource, at);
    CREATE INDEX change_by_age ON change(at);
    CREATE TABLE forecast(
        id INTEGER PRIMARY KEY, resource TEXT NOT NULL, property TEXT NOT NULL,
        origin INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE(resource, property, origin));
    CREATE INDEX forecast_by_age ON forecast(origin);
    CREATE TABLE damaged(id INTEGER PRIMARY KEY, what TEXT NOT NULL, data BLOB NOT NULL);
",
    "
    CREATE TABLE learned(
        id INTEGER PRIMARY KEY, resource TEXT NOT NULL, property TEXT NOT NULL, data BLOB NOT NULL,
        UNIQUE(resource, property));
",
];

/// Series worked through by one transaction of retention: appends get their turn in between.
const SERIES_PER_RETENTION: usize = 64;

/// The open file with what is held of it in memory.
#[derive(Debug)]
pub(crate) struct HistoryFile {
    database: Database,
    catalogue: Catalogue,
    head: Head,
}

impl HistoryFile {
    /// Reads the catalogue and the head.
    pub(crate) fn load(database: Database) -> Result<Self, StoreError> {
        let catalogue = Catalogue::load(&database.connection).map_err(|f| database.tell(f))?;
        let head = Head::load(&database.connection).map_err(|f| database.tell(f))?;
        Ok(Self {
            database,
            catalogue,
            head,
        })
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &str {
        &self.database.file
    }

    /// The file, for tests that make it full.
    #[cfg(test)]
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Folds the log in.
    pub(crate) fn close(&self) {
        self.database.close();
    }

    fn append(&mut self, samples: &[Sample]) -> Result<(), Fault> {
        if let Some(bad) = samples.iter().find(|sample| !sample.value.is_finite()) {
            let SeriesKey {
                resource,
                property,
                stream,
            } = &bad.series;
            return Err(Fault::Refused(format!(
                "{resource} {property} ({}) at {}: {} is not a finite number; leave a gap instead",
                stream.as_str(),
                bad.at,
                bad.value
            )));
        }
        let Self {
            database,
            catalogue,
            head,
        } = self;
        let (groups, added) = database.write(|transaction| {
            let (points, added) = catalogue.number(transaction, samples)?;
            let groups = fresh(transaction, catalogue, head, points)?;
            if !groups.is_empty() {
                head::insert_row(transaction, &groups)?;
            }
            Ok((groups, added))
        })?;
        catalogue.extend(added);
        for (series, points) in &groups {
            head.add(*series, points);
        }
        if self.head.is_due()
            && let Err(fault) = self.seal(&[])
        {
            // What was appended is safe in the head, and the next append tries again.
            tracing::warn!(?fault, "the head of the history could not be sealed");
        }
        Ok(())
    }

    /// Makes blocks of what is worth it, and of `forced`.
    fn seal(&mut self, forced: &[i64]) -> Result<(), Fault> {
        let Self {
            database,
            catalogue,
            head,
        } = self;
        let sealed = head.to_seal(forced);
        if sealed.is_empty() {
            return Ok(());
        }
        database.write(|transaction| head.write_sealed(transaction, &sealed))?;
        for (series, last_at) in head.forget(&sealed) {
            catalogue.sealed(series, last_at);
        }
        Ok(())
    }
}

/// Of `points` (series and point, as they came) those that are not known yet, by series and in order
/// of time.
fn fresh(
    connection: &Connection,
    catalogue: &Catalogue,
    head: &Head,
    mut points: Vec<(i64, RawPoint)>,
) -> Result<Vec<Group>, Fault> {
    points.sort_by_key(|(series, point)| (*series, point.0));
    // Of several for one instant the first stands: the sort is stable and `dedup` keeps the first.
    points.dedup_by_key(|(series, point)| (*series, point.0));
    let mut groups = Vec::new();
    for group in points.chunk_by(|a, b| a.0 == b.0) {
        let (series, oldest, newest) = (group[0].0, group[0].1.0, group[group.len() - 1].1.0);
        let known = known_instants(connection, catalogue, head, series, oldest, newest)?;
        let raw_from = catalogue.raw_from(series);
        let fresh: Vec<RawPoint> = (group.iter().map(|(_, point)| *point))
            .filter(|(at, _)| *at >= raw_from && !known.contains(at))
            .collect();
        if !fresh.is_empty() {
            groups.push((series, fresh));
        }
    }
    Ok(groups)
}

/// The instants of a series that have a point already, as far as they matter for new points between
/// `oldest` and `newest`. Nothing is looked up for a series whose points simply go on.
fn known_instants(
    connection: &Connection,
    catalogue: &Catalogue,
    head: &Head,
    series: i64,
    oldest: i64,
    newest: i64,
) -> Result<HashSet<i64>, Fault> {
    let mut known = HashSet::new();
    if head.latest(series).is_some_and(|last| oldest <= last.0) {
        known.extend(head.points(series).iter().map(|point| point.0));
    }
    if catalogue
        .sealed_until(series)
        .is_some_and(|last| oldest <= last)
    {
        let blocks = block::load(
            connection,
            series,
            Tier::Raw,
            oldest,
            newest.saturating_add(1),
        )?;
        for block in blocks {
            match block.points() {
                Ok(points) => known.extend(points.iter().map(|point| point.0)),
                // Its points are lost either way; that must not keep new ones out.
                Err(fault) => tracing::warn!(?fault, "a damaged block was passed over"),
            }
        }
    }
    Ok(known)
}

#[async_trait]
impl History for Store {
    async fn append(&self, samples: &[Sample]) -> Result<(), HistoryError> {
        self.history(|h| h.append(samples))
    }

    async fn append_changes(&self, changes: &[PropertyChange]) -> Result<(), HistoryError> {
        self.history(|h| h.database.write(|t| changes::append(t, changes)))
    }

    async fn append_forecasts(
        &self,
        resource: &ResourceId,
        forecasts: &[(PropertyPath, Forecast)],
    ) -> Result<(), HistoryError> {
        self.history(|h| {
            h.database
                .write(|t| forecasts::append(t, resource, forecasts))
        })
    }

    async fn range(&self, series: &SeriesKey, range: Range) -> Result<Vec<Point>, HistoryError> {
        self.history(|h| h.range(series, range))
    }

    async fn latest(&self, series: &SeriesKey) -> Result<Option<Point>, HistoryError> {
        self.history(|h| h.latest(series))
    }

    async fn series(&self, resource: &ResourceId) -> Result<Vec<SeriesKey>, HistoryError> {
        self.history(|h| Ok(h.catalogue.of(resource)))
    }

    async fn changes(
        &self,
        resource: &ResourceId,
        property: Option<&PropertyPath>,
        range: Range,
    ) -> Result<Vec<PropertyChange>, HistoryError> {
        self.history(|h| changes::read(&h.database.connection, resource, property, range))
    }

    async fn forecast_at(
        &self,
        resource: &ResourceId,
        property: &PropertyPath,
        at: Timestamp,
    ) -> Result<Option<Forecast>, HistoryError> {
        self.history(|h| forecasts::at(&h.database.connection, resource, property, at))
    }

    async fn save_learned(
        &self,
        resource: &ResourceId,
        states: &[Learned],
        forgotten: &[PropertyPath],
    ) -> Result<(), HistoryError> {
        self.history(|h| {
            h.database
                .write(|t| learned::save(t, resource, states, forgotten))
        })
    }

    async fn load_learned(&self, resource: &ResourceId) -> Result<LearnedFound, HistoryError> {
        self.history(|h| learned::load(&h.database.connection, resource, h.path()))
    }

    async fn plan_retention(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<RetentionPlan, HistoryError> {
        self.history(|h| h.plan_retention(&Cuts::new(policy, now)))
    }

    async fn retain(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<RetentionPlan, HistoryError> {
        let cuts = Cuts::new(policy, now);
        let series = self.history(|h| h.begin_retention(&cuts))?;
        let mut removed = RetentionPlan::default();
        let mut damage = None;
        for series in series.chunks(SERIES_PER_RETENTION) {
            let fault = self.history(|h| h.retain_series(series, &cuts, &mut removed))?;
            damage = damage.or(fault);
        }
        self.history(|h| h.retain_records(&cuts, &mut removed))?;
        match damage {
            // Everything else was done; the operator still has to hear of it.
            Some(fault) => self.history(|_| Err(fault)),
            None => Ok(removed),
        }
    }
}
