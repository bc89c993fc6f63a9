//! The bytes of history: variable-length integers, points packed one after the other, and the
//! checksum that every stored blob ends with.
//!
//! A point is packed against the one before: the change of the time step, and the changed bits of the
//! value. So a constant at a steady pace costs two bytes, and every value comes back bit by bit.

use thiserror::Error;

/// One point of one series: milliseconds since the epoch, and a finite value.
pub(crate) type RawPoint = (i64, f64);

/// Bytes that were not written by this module, or not in this form.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Appends `value` with seven bits to the byte, the lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps integers near zero, of either sign, to small ones without.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Reads what the `put_` functions wrote.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("an integer has more than 64 bits"))
    }

    /// A count of things that take at least `bytes_min` each, so that no more memory is asked for than
    /// the bytes at hand can fill.
    pub(crate) fn count(&mut self, bytes_min: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if count > self.len() / bytes_min.max(1) {
            return Err(Malformed("it counts more things than it has bytes for"));
        }
        Ok(count)
    }
}

/// Appends an instant.
pub(crate) fn put_instant(out: &mut Vec<u8>, at: i64) {
    put_varint(out, zigzag(at));
}

/// Reads an instant.
pub(crate) fn instant(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    Ok(unzigzag(reader.varint()?))
}

/// Appends the bits in which `value` differs from `previous`. The bytes are turned round first: values
/// of configuration are short in binary, so the zeros at the end become zeros at the top.
pub(crate) fn put_value(out: &mut Vec<u8>, value: f64, previous: f64) {
    put_varint(out, (value.to_bits() ^ previous.to_bits()).swap_bytes());
}

/// Reads a value.
pub(crate) fn value(reader: &mut Reader<'_>, previous: f64) -> Result<f64, Malformed> {
    let bits = reader.varint()?.swap_bytes() ^ previous.to_bits();
    finite(f64::from_bits(bits))
}

/// What is stored is finite; so what is not was not stored.
pub(crate) fn finite(value: f64) -> Result<f64, Malformed> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Malformed("a value is not finite"))
    }
}

/// Where the packing of a series stands: what the next point is packed against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    at: i64,
    step: i64,
    value: f64,
}

impl Packing {
    /// The start of a series, whose first instant is packed as its distance from `base`.
    pub(crate) fn from(base: i64) -> Self {
        Self {
            at: base,
            step: 0,
            value: 0.0,
        }
    }

    /// Appends one point. Arithmetic wraps, and unwraps in [`Packing::next`]: any two instants do.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, (at, value): RawPoint) {
        let step = at.wrapping_sub(self.at);
        put_varint(out, zigzag(step.wrapping_sub(self.step)));
        put_value(out, value, self.value);
        *self = Self { at, step, value };
    }

    /// Reads one point.
    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Result<RawPoint, Malformed> {
        let step = self.step.wrapping_add(unzigzag(reader.varint()?));
        let at = self.at.wrapping_add(step);
        let value = value(reader, self.value)?;
        *self = Self { at, step, value };
        Ok((at, value))
    }
}

const CHECKSUM_BYTES: usize = 4;

/// Appends the checksum over `context` (what the blob belongs to) and the blob itself.
pub(crate) fn close_blob(mut blob: Vec<u8>, context: &[&[u8]]) -> Vec<u8> {
    let sum = checksum(&blob, context);
    blob.extend(sum);
    blob
}

/// The blob without its checksum, if that is right.
pub(crate) fn open_blob<'a>(blob: &'a [u8], context: &[&[u8]]) -> Result<&'a [u8], Malformed> {
    let (body, sum) = blob
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or(Malformed("it is too short to have a checksum"))?;
    if checksum(body, context) == *sum {
        Ok(body)
    } else {
        Err(Malformed("its checksum is wrong"))
    }
}

fn checksum(body: &[u8], context: &[&[u8]]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    for part in context {
        hasher.update(part);
    }
    hasher.update(body);
    let mut sum = [0; CHECKSUM_BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_constant_at_a_steady_pace_takes_two_bytes_a_point() {
        let (mut out, mut packing) = (Vec::new(), Packing::from(0));
        for tick in 0..100 {
            packing.put(&mut out, (1_000_000 + tick * 10_000, 65.0));
        }
        assert!(out.len() < 220, "{}", out.len());
    }

    proptest! {
        #[test]
        fn points_come_back_bit_by_bit(
            points in proptest::collection::vec((any::<i64>(), any::<f64>()), 0..50),
            base in any::<i64>(),
        ) {
            let points: Vec<RawPoint> = points.into_iter().filter(|p| p.1.is_finite()).collect();
            let (mut out, mut packing) = (Vec::new(), Packing::from(base));
            points.iter().for_each(|point| packing.put(&mut out, *point));
            let (mut reader, mut packing) = (Reader::new(&out), Packing::from(base));
            for point in &points {
                let (at, value) = packing.next(&mut reader).unwrap();
                prop_assert_eq!((at, value.to_bits()), (point.0, point.1.to_bits()));
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn a_changed_byte_is_noticed(blob in proptest::collection::vec(any::<u8>(), 1..60), at in any::<prop::sample::Index>()) {
            let mut closed = close_blob(blob.clone(), &[b"here"]);
            prop_assert_eq!(open_blob(&closed, &[b"here"]), Ok(blob.as_slice()));
            prop_assert!(open_blob(&closed, &[b"there"]).is_err());
            let at = at.index(closed.len());
            closed[at] ^= 1;
            prop_assert!(open_blob(&closed, &[b"here"]).is_err());
        }
    }
}
