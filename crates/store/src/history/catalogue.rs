//! The names of series and their numbers, kept in memory: a name is looked up for every sample, and
//! there are a few thousand names for as long as there are resources.

use std::collections::{BTreeMap, HashMap};

use evenkeel_core::ResourceId;
use evenkeel_ports::{Sample, SeriesKey, Stream};
use rusqlite::{Connection, params};

use super::bytes::RawPoint;
use crate::fault::Fault;

/// What is known of one series beside its points.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The latest instant in any raw block.
    sealed_until: Option<i64>,
    /// Retention has worked through everything before.
    raw_from: i64,
}

/// All series of the file.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    numbers: HashMap<SeriesKey, i64>,
    known: BTreeMap<i64, Known>,
}

/// Series that a transaction added; they count once it is committed.
pub(crate) type Added = HashMap<SeriesKey, i64>;

impl Catalogue {
    /// Reads the table `series`.
    pub(crate) fn load(connection: &Connection) -> Result<Self, Fault> {
        let mut catalogue = Self::default();
        let mut statement =
            connection.prepare("SELECT id, resource, property, stream, raw_from FROM series")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, resource, property, stream, raw_from) =
                <(i64, String, String, String, i64)>::try_from(row)?;
            let known = Stream::ALL.into_iter().find(|s| s.as_str() == stream);
            let stream = known.ok_or_else(|| Fault::Damaged {
                row: format!("table series, row {id}"),
                what: format!("`{stream}` is not a stream"),
            })?;
            let key = SeriesKey {
                resource: resource.as_str().into(),
                property: property.as_str().into(),
                stream,
            };
            catalogue.numbers.insert(key, id);
            let known = Known {
                sealed_until: None,
                raw_from,
            };
            catalogue.known.insert(id, known);
        }
        let mut statement = connection
            .prepare("SELECT series, max(last) FROM block WHERE tier = 0 GROUP BY series")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, last) = <(i64, i64)>::try_from(row)?;
            catalogue.sealed(id, last);
        }
        Ok(catalogue)
    }

    /// The samples with the numbers of their series; new series get one in the table.
    pub(crate) fn number(
        &self,
        connection: &Connection,
        samples: &[Sample],
    ) -> Result<(Vec<(i64, RawPoint)>, Added), Fault> {
        let mut added = Added::new();
        let mut points = Vec::with_capacity(samples.len());
        for sample in samples {
            let key = &sample.series;
            let number = match self.get(key).or_else(|| added.get(key).copied()) {
                Some(number) => number,
                None => {
                    let number = connection
                        .prepare_cached(
                            "INSERT INTO series(resource, property, stream, raw_from)
                             VALUES (?1, ?2, ?3, ?4)",
                        )?
                        .insert(params![
                            key.resource.as_str(),
                            key.property.as_str(),
                            key.stream.as_str(),
                            i64::MIN
                        ])?;
                    added.insert(key.clone(), number);
                    number
                }
            };
            points.push((number, (sample.at.as_millis(), sample.value)));
        }
        Ok((points, added))
    }

    /// Takes in the series that a committed transaction added.
    pub(crate) fn extend(&mut self, added: Added) {
        let new = Known {
            sealed_until: None,
            raw_from: i64::MIN,
        };
        self.known
            .extend(added.values().map(|number| (*number, new)));
        self.numbers.extend(added);
    }

    /// The number of a series.
    pub(crate) fn get(&self, key: &SeriesKey) -> Option<i64> {
        self.numbers.get(key).copied()
    }

    /// The series of a resource, in order.
    pub(crate) fn of(&self, resource: &ResourceId) -> Vec<SeriesKey> {
        let mut keys: Vec<SeriesKey> = (self.numbers.keys())
            .filter(|key| key.resource == *resource)
            .cloned()
            .collect();
        keys.sort();
        keys
    }

    /// See [`Known::sealed_until`].
    pub(crate) fn sealed_until(&self, series: i64) -> Option<i64> {
        self.known.get(&series)?.sealed_until
    }

    /// See [`Known::raw_from`].
    pub(crate) fn raw_from(&self, series: i64) -> i64 {
        self.known
            .get(&series)
            .map_or(i64::MIN, |known| known.raw_from)
    }

    /// Notes that a series was sealed up to `last`.
    pub(crate) fn sealed(&mut self, series: i64, last: i64) {
        if let Some(known) = self.known.get_mut(&series) {
            known.sealed_until = known.sealed_until.max(Some(last));
        }
    }

    /// Notes that retention has worked through a series up to `cut`.
    pub(crate) fn retained(&mut self, series: i64, cut: i64) {
        if let Some(known) = self.known.get_mut(&series) {
            known.raw_from = known.raw_from.max(cut);
        }
    }
}
