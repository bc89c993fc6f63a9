//! What many points come to: least, greatest, sum, count, latest. The same for a sealed block, a row
//! of a coarse tier and a step of a query, so that one can be merged into the other.

use evenkeel_ports::Aggregation;

use super::bytes::{Malformed, RawPoint, Reader, put_value, put_varint, value};

/// At least one point, summed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// It may overflow to an infinity; [`Aggregate::mean`] never does.
    pub(crate) sum: f64,
    pub(crate) count: u64,
    pub(crate) last_at: i64,
    pub(crate) last: f64,
}

impl Aggregate {
    /// Of one point.
    pub(crate) fn of((at, value): RawPoint) -> Self {
        Self {
            min: value,
            max: value,
            sum: value,
            count: 1,
            last_at: at,
            last: value,
        }
    }

    /// Of all `points`; `None` if there are none.
    pub(crate) fn of_all(points: impl IntoIterator<Item = Self>) -> Option<Self> {
        points.into_iter().reduce(|mut all, one| {
            all.merge(&one);
            all
        })
    }

    /// Takes in the points of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        // `total_cmp` and not `min`: of two zeros the negative one is always the least, whatever the order.
        if other.min.total_cmp(&self.min).is_lt() {
            self.min = other.min;
        }
        if other.max.total_cmp(&self.max).is_gt() {
            self.max = other.max;
        }
        self.sum += other.sum;
        self.count += other.count;
        if other.last_at >= self.last_at {
            (self.last_at, self.last) = (other.last_at, other.last);
        }
    }

    /// The arithmetic mean, always finite: where the sum of huge values overflowed, the middle of
    /// their range stands in.
    pub(crate) fn mean(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a mean of 2^53 points is exact enough"
        )]
        let mean = self.sum / self.count as f64;
        if mean.is_finite() {
            mean
        } else {
            self.min / 2.0 + self.max / 2.0
        }
    }

    /// The one number that `aggregation` asks for.
    pub(crate) fn get(&self, aggregation: Aggregation) -> f64 {
        match aggregation {
            Aggregation::Min => self.min,
            Aggregation::Max => self.max,
            Aggregation::Mean => self.mean(),
            Aggregation::Last => self.last,
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            Aggregation::Count => self.count as f64,
        }
    }

    /// Appends all but the instant, which is kept elsewhere.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        put_value(out, self.min, 0.0);
        put_value(out, self.max, self.min);
        put_value(out, self.last, self.min);
        put_varint(out, self.sum.to_bits().swap_bytes());
    }

    /// Reads what `put` wrote.
    pub(crate) fn read(reader: &mut Reader<'_>, last_at: i64) -> Result<Self, Malformed> {
        let count = reader.varint()?;
        let min = value(reader, 0.0)?;
        let max = value(reader, min)?;
        let last = value(reader, min)?;
        let sum = f64::from_bits(reader.varint()?.swap_bytes());
        if count == 0 {
            return Err(Malformed("it sums up no points"));
        }
        Ok(Self {
            min,
            max,
            sum,
            count,
            last_at,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_summing_up_at_once() {
        let points = [(1, 2.0), (2, -0.0), (3, 0.0), (4, 7.0), (5, 1.0)];
        let all = Aggregate::of_all(points.map(Aggregate::of)).unwrap();
        let mut halves = Aggregate::of_all(points[3..].iter().map(|p| Aggregate::of(*p))).unwrap();
        halves.merge(&Aggregate::of_all(points[..3].iter().map(|p| Aggregate::of(*p))).unwrap());
        assert_eq!(all, halves);
        assert!(all.min.is_sign_negative());
        assert_eq!((all.last, all.count, all.mean()), (1.0, 5, 2.0));
    }

    #[test]
    fn the_mean_of_huge_values_is_finite() {
        let huge = [(1, f64::MAX), (2, f64::MAX), (3, f64::MAX)];
        let all = Aggregate::of_all(huge.map(Aggregate::of)).unwrap();
        assert_eq!(all.mean(), f64::MAX);
    }

    #[test]
    fn it_reads_back_what_it_wrote() {
        let one = Aggregate {
            min: -0.0,
            max: 4.5,
            sum: f64::INFINITY,
            count: 9,
            last_at: 77,
            last: 1e-310,
        };
        let mut out = Vec::new();
        one.put(&mut out);
        assert_eq!(Aggregate::read(&mut Reader::new(&out), 77), Ok(one));
    }
}
