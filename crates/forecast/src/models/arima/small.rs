//! Small linear algebra: sums, and symmetric systems of a few unknowns.

/// A count as a real number.
#[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
pub(super) fn real(count: usize) -> f64 {
    count as f64
}

/// The inner product, in four partial sums so that it need not wait for itself.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a, b) = (&a[..a.len().min(b.len())], &b[..a.len().min(b.len())]);
    let (fours_a, rest_a) = a.as_chunks::<4>();
    let (fours_b, rest_b) = b.as_chunks::<4>();
    for (x, y) in fours_a.iter().zip(fours_b) {
        for k in 0..4 {
            sums[k] += x[k] * y[k];
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(x, y)| x * y).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Solves the symmetric `a x = b` in place by Cholesky: `a` is `n` by `n`, row by row, its lower
/// triangle is read and overwritten; `b` becomes `x`. A pivot that is nothing but rounding leaves its
/// unknown at zero, so that it never fails.
pub(super) fn solve(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for j in 0..n {
        let whole = a[j * n + j];
        let left = (0..j).fold(whole, |v, k| v - a[j * n + k] * a[j * n + k]);
        let root = if left > 1e-13 * whole && left.is_finite() {
            left.sqrt()
        } else {
            f64::INFINITY // Divides the column and the unknown to zero.
        };
        a[j * n + j] = root;
        for i in j + 1..n {
            let rest = (0..j).fold(a[i * n + j], |v, k| v - a[i * n + k] * a[j * n + k]);
            a[i * n + j] = rest / root;
        }
        let known = (0..j).fold(b[j], |v, k| v - a[j * n + k] * b[k]);
        b[j] = known / root;
    }
    for j in (0..n).rev() {
        let known = (j + 1..n).fold(b[j], |v, k| v - a[k * n + j] * b[k]);
        b[j] = known / a[j * n + j];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_a_singular_one_does_no_harm() {
        let mut a = [4.0, 0.0, 2.0, 3.0];
        let mut b = [8.0, 7.0];
        solve(&mut a, &mut b);
        assert!((b[0] - 1.25).abs() < 1e-12 && (b[1] - 1.5).abs() < 1e-12);
        let mut a = [1.0, 0.0, 1.0, 1.0];
        let mut b = [2.0, 2.0];
        solve(&mut a, &mut b);
        assert_eq!(b, [2.0, 0.0]);
    }

    #[test]
    fn the_inner_product_takes_every_element() {
        let a: Vec<f64> = (1..=7).map(f64::from).collect();
        assert_eq!(dot(&a, &a), 140.0);
    }
}
