//! Products of small row-major matrices, `C += A B` and `C += A^T B`.
//!
//! Each product is made tile by tile; a tile of `C` stays in registers while the inner dimension is
//! summed, in rising order. The sums therefore have the same order, and the same bits, whatever the
//! width of the machine's vectors and however the rows are divided among callers.

/// Columns of a tile: as many as keep four rows of sums in sixteen registers.
const WIDE: usize = if cfg!(target_feature = "avx") { 16 } else { 8 };
/// Columns of a tile of one row: enough independent sums to hide the latency of an addition.
const LONE: usize = 32;
/// Columns of the narrowest tile. Every matrix here has a multiple of this many columns.
pub(crate) const LANE: usize = 8;
/// Rows of a tile.
const ROWS: usize = 4;

/// A matrix inside a slice: the elements of a row are neighbours, rows are `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    stride: usize,
}

impl<'a> View<'a> {
    /// The matrix that begins with the first element of `data`.
    pub(crate) fn new(data: &'a [f32], stride: usize) -> Self {
        Self { data, stride }
    }

    #[inline(always)]
    fn row<const N: usize>(&self, row: usize, column: usize) -> &'a [f32; N] {
        let from = row * self.stride + column;
        self.data[from..from + N]
            .first_chunk()
            .expect("the slice has just this length")
    }
}

/// How the left factor of a product lies in memory: whence the sums of a tile come, and nothing else.
trait Order {
    /// The sums of the tile of `R` x `N` at `(row, column)` of the product.
    fn sums<const R: usize, const N: usize>(
        inner: usize,
        a: View<'_>,
        b: View<'_>,
        place: (usize, usize),
    ) -> [[f32; N]; R];
}

/// `A` is `rows` x `inner`.
struct Plain;

impl Order for Plain {
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // Indices show the order of the sums, and compile to the same.
    fn sums<const R: usize, const N: usize>(
        inner: usize,
        a: View<'_>,
        b: View<'_>,
        (row, column): (usize, usize),
    ) -> [[f32; N]; R] {
        let lines: [&[f32]; R] = std::array::from_fn(|r| {
            let from = (row + r) * a.stride;
            &a.data[from..from + inner]
        });
        let mut sums = [[0.0_f32; N]; R];
        for p in 0..inner {
            let factors = b.row::<N>(p, column);
            for r in 0..R {
                let value = lines[r][p];
                for n in 0..N {
                    sums[r][n] += value * factors[n];
                }
            }
        }
        sums
    }
}

/// `A` is `inner` x `rows`.
struct Transposed;

impl Order for Transposed {
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // As above.
    fn sums<const R: usize, const N: usize>(
        inner: usize,
        a: View<'_>,
        b: View<'_>,
        (row, column): (usize, usize),
    ) -> [[f32; N]; R] {
        let mut sums = [[0.0_f32; N]; R];
        for p in 0..inner {
            let values = a.row::<R>(p, row);
            let factors = b.row::<N>(p, column);
            for r in 0..R {
                for n in 0..N {
                    sums[r][n] += values[r] * factors[n];
                }
            }
        }
        sums
    }
}

/// `C += A B`, `A` being `rows` x `inner` and `C` `rows` x `columns` with `stride` between rows.
/// `columns` is a multiple of [`LANE`].
pub(crate) fn multiply_add(
    size: (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    c: &mut [f32],
    stride: usize,
) {
    each_tile::<Plain>(size, a, b, c, stride);
}

/// `C += A^T B`, `A` being `inner` x `rows` and `C` `rows` x `columns` with `stride` between rows.
/// `columns` is a multiple of [`LANE`].
pub(crate) fn multiply_transposed_add(
    size: (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    c: &mut [f32],
    stride: usize,
) {
    each_tile::<Transposed>(size, a, b, c, stride);
}

#[inline(always)]
fn each_tile<O: Order>(
    (rows, inner, columns): (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    c: &mut [f32],
    stride: usize,
) {
    let mut row = 0;
    while row + ROWS <= rows {
        let mut column = 0;
        while column + WIDE <= columns {
            let sums = O::sums::<ROWS, WIDE>(inner, a, b, (row, column));
            add(&sums, c, stride, (row, column));
            column += WIDE;
        }
        while column < columns {
            let sums = O::sums::<ROWS, LANE>(inner, a, b, (row, column));
            add(&sums, c, stride, (row, column));
            column += LANE;
        }
        row += ROWS;
    }
    while row < rows {
        let mut column = 0;
        while column + LONE <= columns {
            let sums = O::sums::<1, LONE>(inner, a, b, (row, column));
            add(&sums, c, stride, (row, column));
            column += LONE;
        }
        while column < columns {
            let sums = O::sums::<1, LANE>(inner, a, b, (row, column));
            add(&sums, c, stride, (row, column));
            column += LANE;
        }
        row += 1;
    }
}

#[inline(always)]
fn add<const R: usize, const N: usize>(
    sums: &[[f32; N]; R],
    c: &mut [f32],
    stride: usize,
    (row, column): (usize, usize),
) {
    for (r, line) in sums.iter().enumerate() {
        let from = (row + r) * stride + column;
        for (target, sum) in c[from..from + N].iter_mut().zip(line) {
            *target += sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u16) -> Vec<f32> {
        (0..count)
            .map(|i| f32::from(u16::try_from(i * 37 % 101).unwrap() + seed) / 50.0 - 1.0)
            .collect()
    }

    #[test]
    fn tiles_and_leftovers_agree_with_the_plain_sum() {
        for (rows, inner, columns) in [
            (1, 3, 72),
            (4, 5, 8),
            (7, 13, 24),
            (9, 2, 40),
            (32, 33, 128),
        ] {
            let (a, b) = (numbers(rows * inner, 3), numbers(inner * columns, 7));
            let mut transposed = vec![0.0; rows * inner];
            for r in 0..rows {
                for p in 0..inner {
                    transposed[p * rows + r] = a[r * inner + p];
                }
            }
            let (mut c, mut d) = (vec![0.5; rows * columns], vec![0.5; rows * columns]);
            let size = (rows, inner, columns);
            multiply_add(
                size,
                View::new(&a, inner),
                View::new(&b, columns),
                &mut c,
                columns,
            );
            let a_rows = View::new(&transposed, rows);
            multiply_transposed_add(size, a_rows, View::new(&b, columns), &mut d, columns);
            for r in 0..rows {
                for n in 0..columns {
                    let sum: f32 = (0..inner)
                        .map(|p| a[r * inner + p] * b[p * columns + n])
                        .sum();
                    assert!((c[r * columns + n] - 0.5 - sum).abs() < 1e-4);
                    assert_eq!(c[r * columns + n].to_bits(), d[r * columns + n].to_bits());
                }
            }
        }
    }
}
