//! Columns of a sealed block: many integers, or many values, in as few bytes as they take. What
//! hardly changes is kept as runs, all else as `pco` packs it; the shorter of the two is taken.

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress_into};

use super::bytes::{Malformed, Reader, finite, put_value, put_varint, value};

/// No column is longer: a bound on what a damaged count can make us ask for.
pub(crate) const ROWS_MAX: usize = 1 << 16;

const RUNS: u8 = 0;
const PACKED: u8 = 1;

/// Runs are only tried where they are few, or the column is too short for what `pco` writes ahead of
/// the first row: elsewhere `pco` always won.
const ROWS_PER_RUN_MIN: usize = 8;
const ROWS_SHORT: usize = 32;

/// A constant, or the like, is not worth the effort of `pco`.
const RUNS_BYTES_SURELY_BEST: usize = 24;

/// Appends a column of values.
pub(crate) fn put_values(out: &mut Vec<u8>, values: &[f64]) {
    let is_same = |a: &f64, b: &f64| a.to_bits() == b.to_bits();
    put_column(out, values, is_same, |runs, value, previous| {
        put_value(runs, value, previous.unwrap_or_default());
    });
}

/// Appends a column of integers.
pub(crate) fn put_integers(out: &mut Vec<u8>, integers: &[u64]) {
    put_column(out, integers, u64::eq, |runs, integer, _| {
        put_varint(runs, integer)
    });
}

fn put_column<T: Number>(
    out: &mut Vec<u8>,
    rows: &[T],
    is_same: impl Fn(&T, &T) -> bool + Copy,
    put: impl Fn(&mut Vec<u8>, T, Option<T>),
) {
    let as_runs = || {
        let (mut runs, mut previous) = (Vec::new(), None);
        for run in rows.chunk_by(is_same) {
            put_varint(&mut runs, run.len() as u64);
            put(&mut runs, run[0], previous);
            previous = Some(run[0]);
        }
        runs
    };
    let changes = rows.windows(2).filter(|w| !is_same(&w[0], &w[1])).count();
    let is_steady = changes < rows.len() / ROWS_PER_RUN_MIN || rows.len() < ROWS_SHORT;
    let runs = is_steady.then(as_runs);
    let packed = match &runs {
        Some(runs) if runs.len() <= RUNS_BYTES_SURELY_BEST => None,
        Some(_) | None => simple_compress(rows, &ChunkConfig::default()).ok(),
    };
    let (tag, body) = match (runs, packed) {
        (Some(runs), Some(packed)) if packed.len() < runs.len() => (PACKED, packed),
        (Some(runs), Some(_) | None) => (RUNS, runs),
        (None, Some(packed)) => (PACKED, packed),
        (None, None) => (RUNS, as_runs()),
    };
    out.push(tag);
    put_varint(out, body.len() as u64);
    out.extend(body);
}

/// Reads a column of `rows` values.
pub(crate) fn values(reader: &mut Reader<'_>, rows: usize) -> Result<Vec<f64>, Malformed> {
    let mut previous = 0.0;
    let values = column(reader, rows, |body| {
        previous = value(body, previous)?;
        Ok(previous)
    })?;
    values.iter().try_for_each(|v| finite(*v).map(drop))?;
    Ok(values)
}

/// Reads a column of `rows` integers.
pub(crate) fn integers(reader: &mut Reader<'_>, rows: usize) -> Result<Vec<u64>, Malformed> {
    column(reader, rows, Reader::varint)
}

fn column<'a, T: Number + Default>(
    reader: &mut Reader<'a>,
    rows: usize,
    mut next: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    const WRONG_LENGTH: Malformed = Malformed("a column has not as many rows as its block");
    if rows > ROWS_MAX {
        return Err(Malformed("a column is longer than any that is written"));
    }
    let tag = reader.take(1)?[0];
    let length = reader.count(1)?;
    let bytes = reader.take(length)?;
    match tag {
        RUNS => {
            let mut body = Reader::new(bytes);
            let mut column = Vec::with_capacity(rows);
            while !body.is_empty() {
                let length = usize::try_from(body.varint()?).unwrap_or(usize::MAX);
                if length > rows - column.len() {
                    return Err(WRONG_LENGTH);
                }
                let row = next(&mut body)?;
                column.resize(column.len() + length, row);
            }
            if column.len() == rows {
                Ok(column)
            } else {
                Err(WRONG_LENGTH)
            }
        }
        PACKED => {
            let mut column = vec![T::default(); rows];
            let progress = simple_decompress_into(bytes, &mut column)
                .map_err(|_| Malformed("a packed column cannot be unpacked"))?;
            if progress.n_processed == rows {
                Ok(column)
            } else {
                Err(WRONG_LENGTH)
            }
        }
        _ => Err(Malformed("a column is packed in an unknown way")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn a_constant_takes_a_few_bytes() {
        let mut out = Vec::new();
        put_values(&mut out, &[65.5; 720]);
        assert!(out.len() < 12, "{}", out.len());
    }

    fn any_finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(0.0),
            Just(-0.0),
            Just(f64::MIN_POSITIVE / 3.0),
            (0_i32..4).prop_map(f64::from),
            (0_i32..100_000).prop_map(|n| f64::from(n) / 100.0),
            any::<f64>().prop_filter("finite", |v| v.is_finite()),
        ]
    }

    proptest! {
        #[test]
        fn values_come_back_bit_by_bit(
            column in proptest::collection::vec((any_finite(), 1_usize..40), 0..60),
        ) {
            let column: Vec<f64> =
                column.into_iter().flat_map(|(v, n)| std::iter::repeat_n(v, n)).collect();
            let mut out = Vec::new();
            put_values(&mut out, &column);
            let back = values(&mut Reader::new(&out), column.len()).unwrap();
            prop_assert_eq!(bits(&back), bits(&column));
        }

        #[test]
        fn integers_come_back(column in proptest::collection::vec(prop_oneof![0_u64..3, any::<u64>()], 0..300)) {
            let mut out = Vec::new();
            put_integers(&mut out, &column);
            prop_assert_eq!(integers(&mut Reader::new(&out), column.len()), Ok(column));
        }

        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            tag in 0_u8..3,
            rows in 0_usize..2000,
        ) {
            let mut column = vec![tag];
            put_varint(&mut column, bytes.len() as u64);
            column.extend(bytes);
            let _ = values(&mut Reader::new(&column), rows);
            let _ = integers(&mut Reader::new(&column), rows);
        }

        #[test]
        fn no_damage_to_a_packed_column_makes_it_panic(
            noise in proptest::collection::vec(any::<u64>(), 300..400),
            at in any::<prop::sample::Index>(),
            xor in 1_u8..,
        ) {
            let mut column = Vec::new();
            put_integers(&mut column, &noise);
            let at = at.index(column.len());
            column[at] ^= xor;
            let _ = integers(&mut Reader::new(&column), noise.len());
        }
    }
}
