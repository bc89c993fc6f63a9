//! Sealed blocks: many points of one series in one row, never changed, with their aggregate beside
//! them so that a long plot need not unpack them. A coarse tier's blocks hold steps instead of points.
//!
//! Both blobs of a row end with a checksum over themselves and the row's other columns, so a bit that
//! flipped, or a row that was moved, is an error that names the row and never a wrong value.

use rusqlite::{Connection, params};

use super::aggregate::Aggregate;
use super::bytes::{Malformed, RawPoint, Reader, close_blob, finite, open_blob};
use super::bytes::{instant, put_instant, put_varint};
use super::column::{integers, put_integers, put_values, values};
use crate::fault::Fault;

/// How fine the points of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// As they were appended.
    Raw,
    /// One step per five minutes.
    FiveMinutes,
    /// One step per hour.
    Hour,
}

/// The longest step of any tier; retention cuts at its multiples, so that no step is ever cut in two.
pub(crate) const HOUR_MS: i64 = 3_600_000;

impl Tier {
    fn number(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::FiveMinutes => 1,
            Self::Hour => 2,
        }
    }

    /// The start of the step that `at` is in.
    pub(crate) fn step_start(self, at: i64) -> i64 {
        let step_ms = match self {
            Self::Raw => return at,
            Self::FiveMinutes => 300_000,
            Self::Hour => HOUR_MS,
        };
        at.div_euclid(step_ms).saturating_mul(step_ms)
    }
}

/// Rows of a full block: two hours at one point per ten seconds. Longer ones hardly save more.
pub(crate) const ROWS_FULL: usize = 720;

const FORM: u8 = 1;

/// One row of the table `block`.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) id: i64,
    series: i64,
    tier: Tier,
    pub(crate) first: i64,
    pub(crate) last: i64,
    summary: Vec<u8>,
    data: Vec<u8>,
}

impl Block {
    /// What all its points come to.
    pub(crate) fn aggregate(&self) -> Result<Aggregate, Fault> {
        let read = || {
            let context = context(self.series, self.tier, self.first, self.last);
            let mut reader = Reader::new(open_blob(&self.summary, &[&context])?);
            Aggregate::read(&mut reader, self.last)
        };
        read().map_err(|error| self.damaged(&error))
    }

    /// Its points; of a raw block.
    pub(crate) fn points(&self) -> Result<Vec<RawPoint>, Fault> {
        let read = || decode_points(self.body()?);
        read().map_err(|error| self.damaged(&error))
    }

    /// Its steps; of a coarse block. The instant of a step is its start.
    pub(crate) fn steps(&self) -> Result<Vec<Aggregate>, Fault> {
        let read = || decode_steps(self.body()?);
        read().map_err(|error| self.damaged(&error))
    }

    fn body(&self) -> Result<&[u8], Malformed> {
        let context = context(self.series, self.tier, self.first, self.last);
        open_blob(&self.data, &[&context])
    }

    fn damaged(&self, error: &Malformed) -> Fault {
        Fault::Damaged {
            row: format!("table block, row {}", self.id),
            what: error.to_string(),
        }
    }
}

/// Writes points, in order of time, as blocks of their series.
pub(crate) fn insert_points(
    connection: &Connection,
    series: i64,
    points: &[RawPoint],
) -> Result<(), Fault> {
    for points in points.chunks(ROWS_FULL) {
        let aggregates = points.iter().map(|point| Aggregate::of(*point));
        insert(
            connection,
            series,
            Tier::Raw,
            aggregates,
            encode_points(points),
        )?;
    }
    Ok(())
}

/// Writes steps, in order of time, as blocks of a coarse tier.
pub(crate) fn insert_steps(
    connection: &Connection,
    series: i64,
    tier: Tier,
    steps: &[Aggregate],
) -> Result<(), Fault> {
    for steps in steps.chunks(ROWS_FULL) {
        insert(
            connection,
            series,
            tier,
            steps.iter().copied(),
            encode_steps(steps),
        )?;
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    series: i64,
    tier: Tier,
    rows: impl Iterator<Item = Aggregate> + Clone,
    data: Vec<u8>,
) -> Result<(), Fault> {
    let (Some(first), Some(all)) = (rows.clone().next(), Aggregate::of_all(rows)) else {
        return Ok(());
    };
    let (first, last) = (first.last_at, all.last_at);
    let context = context(series, tier, first, last);
    let mut summary = Vec::new();
    all.put(&mut summary);
    connection
        .prepare_cached(
            "INSERT INTO block(series, tier, first, last, summary, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            series,
            tier.number(),
            first,
            last,
            close_blob(summary, &[&context]),
            close_blob(data, &[&context]),
        ])?;
    Ok(())
}

/// The blocks of a series and tier that have something in `from..until`, by their last instant.
pub(crate) fn load(
    connection: &Connection,
    series: i64,
    tier: Tier,
    from: i64,
    until: i64,
) -> Result<Vec<Block>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id, first, last, summary, data FROM block
         WHERE series = ?1 AND tier = ?2 AND last >= ?3 AND first < ?4 ORDER BY last",
    )?;
    let rows = statement.query_map(params![series, tier.number(), from, until], |row| {
        Ok(Block {
            id: row.get(0)?,
            series,
            tier,
            first: row.get(1)?,
            last: row.get(2)?,
            summary: row.get(3)?,
            data: row.get(4)?,
        })
    })?;
    rows.map(|row| row.map_err(Fault::from)).collect()
}

/// The block of a series and tier that ends last.
pub(crate) fn newest(
    connection: &Connection,
    series: i64,
    tier: Tier,
) -> Result<Option<Block>, Fault> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(last) FROM block WHERE series = ?1 AND tier = ?2")?
        .query_row(params![series, tier.number()], |row| row.get(0))?;
    let Some(last) = last else {
        return Ok(None);
    };
    Ok(load(connection, series, tier, last, i64::MAX)?.pop())
}

/// Removes a block.
pub(crate) fn delete(connection: &Connection, id: i64) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM block WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn context(series: i64, tier: Tier, first: i64, last: i64) -> Vec<u8> {
    [series, tier.number(), first, last]
        .map(i64::to_le_bytes)
        .concat()
}

/// Rising instants as their differences, which mostly are all the same. Wrapping: any two instants do.
fn put_instants(out: &mut Vec<u8>, instants: impl Iterator<Item = i64> + Clone) {
    let first = instants.clone().next().unwrap_or_default();
    put_instant(out, first);
    let steps: Vec<u64> = instants
        .clone()
        .zip(instants.skip(1))
        .map(|(a, b)| b.wrapping_sub(a).cast_unsigned())
        .collect();
    put_integers(out, &steps);
}

fn instants(reader: &mut Reader<'_>, rows: usize) -> Result<Vec<i64>, Malformed> {
    let first = instant(reader)?;
    let steps = integers(reader, rows.saturating_sub(1))?;
    let mut at = first;
    let rest = steps.into_iter().map(|step| {
        at = at.wrapping_add(step.cast_signed());
        at
    });
    Ok(std::iter::once(first).chain(rest).collect())
}

fn header(reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    if reader.take(1)?[0] != FORM {
        return Err(Malformed("its form is not known here"));
    }
    // A constant packs any number of rows into a few bytes; `column` bounds them.
    let rows = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if rows == 0 {
        return Err(Malformed("it has no rows"));
    }
    Ok(rows)
}

fn encode_points(points: &[RawPoint]) -> Vec<u8> {
    let mut out = vec![FORM];
    put_varint(&mut out, points.len() as u64);
    put_instants(&mut out, points.iter().map(|point| point.0));
    let column: Vec<f64> = points.iter().map(|point| point.1).collect();
    put_values(&mut out, &column);
    out
}

fn decode_points(body: &[u8]) -> Result<Vec<RawPoint>, Malformed> {
    let mut reader = Reader::new(body);
    let rows = header(&mut reader)?;
    let instants = instants(&mut reader, rows)?;
    let values = values(&mut reader, rows)?;
    Ok(instants.into_iter().zip(values).collect())
}

fn encode_steps(steps: &[Aggregate]) -> Vec<u8> {
    let mut out = vec![FORM];
    put_varint(&mut out, steps.len() as u64);
    put_instants(&mut out, steps.iter().map(|step| step.last_at));
    let counts: Vec<u64> = steps.iter().map(|step| step.count).collect();
    put_integers(&mut out, &counts);
    let columns: [fn(&Aggregate) -> f64; 3] = [|s| s.min, |s| s.max, |s| s.last];
    for column in columns {
        let column: Vec<f64> = steps.iter().map(column).collect();
        put_values(&mut out, &column);
    }
    // Means instead of sums: of a constant they are constant, and they never overflow.
    let means: Vec<f64> = steps.iter().map(Aggregate::mean).collect();
    put_values(&mut out, &means);
    out
}

fn decode_steps(body: &[u8]) -> Result<Vec<Aggregate>, Malformed> {
    let mut reader = Reader::new(body);
    let rows = header(&mut reader)?;
    let instants = instants(&mut reader, rows)?;
    let counts = integers(&mut reader, rows)?;
    let min = values(&mut reader, rows)?;
    let max = values(&mut reader, rows)?;
    let last = values(&mut reader, rows)?;
    let means = values(&mut reader, rows)?;
    let step = |row: usize| {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let sum = finite(means[row])? * counts[row] as f64;
        Ok(Aggregate {
            min: min[row],
            max: max[row],
            sum,
            count: counts[row].max(1),
            last_at: instants[row],
            last: last[row],
        })
    };
    (0..rows).map(step).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_come_back() {
        let step = |n: i32| Aggregate {
            min: f64::from(n),
            max: f64::from(n + 2),
            sum: f64::from(n + 1) * 30.0,
            count: 30,
            last_at: i64::from(n) * 300_000,
            last: -0.0,
        };
        let steps: Vec<Aggregate> = (0..100).map(step).collect();
        assert_eq!(decode_steps(&encode_steps(&steps)), Ok(steps));
    }

    #[test]
    fn steps_start_at_multiples_before_the_epoch_too() {
        assert_eq!(Tier::FiveMinutes.step_start(-1), -300_000);
        assert_eq!(Tier::Hour.step_start(HOUR_MS + 1), HOUR_MS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let framed: Vec<u8> = [FORM].into_iter().chain(bytes.iter().copied()).collect();
            for body in [&bytes, &framed] {
                let _ = decode_points(body);
                let _ = decode_steps(body);
            }
        }

        #[test]
        fn points_come_back(points in proptest::collection::btree_map(any::<i64>(), -1e300..1e300, 1..200)) {
            let points: Vec<RawPoint> = points.into_iter().collect();
            prop_assert_eq!(decode_points(&encode_points(&points)), Ok(points));
        }
    }
}
