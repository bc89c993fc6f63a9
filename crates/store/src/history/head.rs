//! The head: points that are not sealed yet. On disk one row per append call, so that a call is one
//! small insert; in memory the same points by series, so that a read need not look through the rows.
//!
//! Invariant: the rows of the table `head` hold exactly the points that are in memory. Memory is
//! changed only after the transaction which changed the table.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::block::{self, ROWS_FULL};
use super::bytes::{Malformed, Packing, RawPoint, Reader, close_blob, open_blob};
use super::bytes::{instant, put_instant, put_varint};
use crate::fault::Fault;

/// The head is sealed when it takes up more memory than this, full blocks or not.
const BYTES_MAX: usize = 32 << 20;

/// When some series is due, those with at least so many points are sealed with it; the others wait,
/// so that a slow series does not end up in many small blocks because a fast one is beside it.
const ROWS_WORTH_SEALING: usize = ROWS_FULL / 3;

/// Series per row when what stays in the head is written anew: keeps rows from growing to megabytes.
const SERIES_PER_ROW: usize = 512;

const FORM: u8 = 1;

/// The points of one series, packed.
#[derive(Debug)]
struct Points {
    bytes: Vec<u8>,
    packing: Packing,
    count: usize,
    first_at: i64,
    last: RawPoint,
}

impl Points {
    fn pack(points: &[RawPoint]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let mut packed = Self {
            bytes: Vec::new(),
            packing: Packing::from(0),
            count: 0,
            first_at: first.0,
            last: *last,
        };
        packed.extend(points);
        Some(packed)
    }

    /// Adds points that are later than all there are.
    fn extend(&mut self, points: &[RawPoint]) {
        for point in points {
            self.packing.put(&mut self.bytes, *point);
            self.last = *point;
        }
        self.count += points.len();
    }

    fn unpack(&self) -> Vec<RawPoint> {
        let mut reader = Reader::new(&self.bytes);
        let mut packing = Packing::from(0);
        (0..self.count)
            .map_while(|_| packing.next(&mut reader).ok())
            .collect()
    }
}

/// All unsealed points, by the number of their series.
#[derive(Debug, Default)]
pub(crate) struct Head {
    series: BTreeMap<i64, Points>,
    bytes: usize,
    longest: usize,
}

/// New points of one series, in order of time, none of them known yet.
pub(crate) type Group = (i64, Vec<RawPoint>);

impl Head {
    /// Reads the head from its table. A row that cannot be understood is put aside, in the table
    /// `damaged`: one append call is lost, and the daemon can still guard what it guards.
    pub(crate) fn load(connection: &Connection) -> Result<Self, Fault> {
        let mut head = Self::default();
        let mut bad = Vec::new();
        let mut statement = connection.prepare("SELECT id, data FROM head ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, data) = <(i64, Vec<u8>)>::try_from(row)?;
            match decode_row(&data) {
                Ok(groups) => groups
                    .iter()
                    .for_each(|(series, points)| head.add(*series, points)),
                Err(error) => bad.push((id, error)),
            }
        }
        for (id, error) in bad {
            tracing::error!(row = id, %error, "table head of the history: a row is damaged and was put aside; its samples are lost");
            let what = format!("head row {id}: {error}");
            connection.execute(
                "INSERT INTO damaged(what, data) SELECT ?2, data FROM head WHERE id = ?1",
                params![id, what],
            )?;
            connection.execute("DELETE FROM head WHERE id = ?1", [id])?;
        }
        Ok(head)
    }

    /// Takes points into memory.
    pub(crate) fn add(&mut self, series: i64, points: &[RawPoint]) {
        let Some(first) = points.first() else {
            return;
        };
        match self.series.get_mut(&series) {
            Some(known) if first.0 > known.last.0 => {
                self.bytes -= known.bytes.len();
                known.extend(points);
            }
            Some(known) => {
                self.bytes -= known.bytes.len();
                let mut all = known.unpack();
                all.extend(points);
                all.sort_by_key(|point| point.0);
                if let Some(packed) = Points::pack(&all) {
                    *known = packed;
                }
            }
            None => {
                if let Some(packed) = Points::pack(points) {
                    self.series.insert(series, packed);
                }
            }
        }
        if let Some(known) = self.series.get(&series) {
            self.bytes += known.bytes.len();
            self.longest = self.longest.max(known.count);
        }
    }

    /// The points of a series, in order of time.
    pub(crate) fn points(&self, series: i64) -> Vec<RawPoint> {
        self.series
            .get(&series)
            .map(Points::unpack)
            .unwrap_or_default()
    }

    /// The latest point of a series.
    pub(crate) fn latest(&self, series: i64) -> Option<RawPoint> {
        self.series.get(&series).map(|points| points.last)
    }

    /// The series with a point before `cut`.
    pub(crate) fn older_than(&self, cut: i64) -> Vec<i64> {
        let old = self
            .series
            .iter()
            .filter(|(_, points)| points.first_at < cut);
        old.map(|(series, _)| *series).collect()
    }

    /// Whether it is time to seal.
    pub(crate) fn is_due(&self) -> bool {
        self.longest >= ROWS_FULL || self.bytes > BYTES_MAX
    }

    /// The series to seal, in rising order: those with enough points, and those of `forced` (which
    /// rises too); all of them where memory runs out.
    pub(crate) fn to_seal(&self, forced: &[i64]) -> Vec<i64> {
        let is_crowded = self.bytes > BYTES_MAX;
        let due = self.series.iter().filter(|(series, points)| {
            is_crowded || points.count >= ROWS_WORTH_SEALING || forced.binary_search(series).is_ok()
        });
        due.map(|(series, _)| *series).collect()
    }

    /// Writes the head anew: `sealed` as blocks, the rest as few rows.
    pub(crate) fn write_sealed(
        &self,
        connection: &Connection,
        sealed: &[i64],
    ) -> Result<(), Fault> {
        for series in sealed {
            block::insert_points(connection, *series, &self.points(*series))?;
        }
        connection.prepare_cached("DELETE FROM head")?.execute([])?;
        let rest: Vec<Group> = (self.series.iter())
            .filter(|(series, _)| sealed.binary_search(series).is_err())
            .map(|(series, points)| (*series, points.unpack()))
            .collect();
        for groups in rest.chunks(SERIES_PER_ROW) {
            insert_row(connection, groups)?;
        }
        Ok(())
    }

    /// Lets go of what was sealed. Returns the last instant of each series.
    pub(crate) fn forget(&mut self, sealed: &[i64]) -> Vec<(i64, i64)> {
        let gone: Vec<(i64, i64)> = (sealed.iter())
            .filter_map(|series| Some((*series, self.series.remove(series)?.last.0)))
            .collect();
        self.bytes = self.series.values().map(|points| points.bytes.len()).sum();
        self.longest = (self.series.values().map(|points| points.count).max()).unwrap_or_default();
        gone
    }
}

/// Adds a row with these points.
pub(crate) fn insert_row(connection: &Connection, groups: &[Group]) -> Result<(), Fault> {
    connection
        .prepare_cached("INSERT INTO head(data) VALUES (?1)")?
        .execute([encode_row(groups)])?;
    Ok(())
}

/// Groups come in rising order of their series' numbers.
fn encode_row(groups: &[Group]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + groups.len() * 8);
    out.push(FORM);
    let base = groups
        .first()
        .and_then(|(_, points)| points.first())
        .map_or(0, |point| point.0);
    put_instant(&mut out, base);
    put_varint(&mut out, groups.len() as u64);
    let mut before = 0;
    for (series, points) in groups {
        put_varint(&mut out, (series - before).unsigned_abs());
        before = *series;
        put_varint(&mut out, points.len() as u64);
        let mut packing = Packing::from(base);
        points
            .iter()
            .for_each(|point| packing.put(&mut out, *point));
    }
    close_blob(out, &[])
}

fn decode_row(blob: &[u8]) -> Result<Vec<Group>, Malformed> {
    decode_groups(open_blob(blob, &[])?)
}

fn decode_groups(body: &[u8]) -> Result<Vec<Group>, Malformed> {
    const SERIES_NUMBER: Malformed = Malformed("the number of a series is out of range");
    let mut reader = Reader::new(body);
    if reader.take(1)?[0] != FORM {
        return Err(Malformed("its form is not known here"));
    }
    let base = instant(&mut reader)?;
    let count = reader.count(2)?;
    let mut groups = Vec::with_capacity(count);
    let mut series = 0_i64;
    for _ in 0..count {
        let rise = i64::try_from(reader.varint()?).map_err(|_| SERIES_NUMBER)?;
        series = series.checked_add(rise).ok_or(SERIES_NUMBER)?;
        let count = reader.count(2)?;
        let mut packing = Packing::from(base);
        let points = (0..count).map(|_| packing.next(&mut reader));
        groups.push((series, points.collect::<Result<_, _>>()?));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_late_point_finds_its_place() {
        let mut head = Head::default();
        head.add(1, &[(10, 1.0), (30, 3.0)]);
        head.add(1, &[(20, 2.0)]);
        head.add(1, &[(40, 4.0)]);
        assert_eq!(head.points(1), [(10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)]);
        assert_eq!(head.latest(1), Some((40, 4.0)));
        assert!(head.older_than(10).is_empty());
        assert_eq!(head.older_than(11), [1]);
    }

    #[test]
    fn the_memory_it_counts_is_the_memory_it_has() {
        let mut head = Head::default();
        head.add(1, &[(10, 1.0), (30, 3.0)]);
        head.add(2, &[(10, 0.1)]);
        head.add(1, &[(20, 2.0)]);
        let bytes: usize = head.series.values().map(|points| points.bytes.len()).sum();
        assert_eq!(head.bytes, bytes);
        assert_eq!(head.forget(&[1]), [(1, 30)]);
        assert_eq!((head.longest, head.points(1).len()), (1, 0));
    }

    proptest! {
        #[test]
        fn a_row_comes_back(
            row in proptest::collection::btree_map(
                1_i64..10_000,
                proptest::collection::vec((any::<i64>(), -1e9..1e9), 1..5),
                0..20,
            ),
        ) {
            let groups: Vec<Group> = row.into_iter().collect();
            prop_assert_eq!(decode_row(&encode_row(&groups)), Ok(groups));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let framed: Vec<u8> = [FORM].into_iter().chain(bytes.iter().copied()).collect();
            let _ = decode_row(&bytes);
            let _ = decode_groups(&framed);
        }
    }
}
