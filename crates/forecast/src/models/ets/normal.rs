//! Normal equations of a linearised least-squares problem, damped and solved by Cholesky.
//!
//! Rows are gathered four at a time before they are multiplied out, which halves the cost. Damping is in
//! proportion to the diagonal (Marquardt 1963), so that the scale of a parameter does not matter.

use super::wake::Row;

/// Rows that are multiplied out at once.
const ROWS: usize = 4;

/// Share of the mean diagonal that a parameter without effect is given, so that a root exists.
const RIDGE: f64 = 1e-12;

/// `J'J` and `J'e` for `count` parameters.
pub(super) struct Normal {
    count: usize,
    /// Row by row; only the upper triangle counts.
    matrix: Vec<f64>,
    gradient: Vec<f64>,
    rows: Vec<f64>,
    errors: [f64; ROWS],
    waiting: usize,
    root: Vec<f64>,
    /// Steps that are laid down.
    fixed: Vec<Option<f64>>,
}

impl Normal {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            matrix: vec![0.0; count * count],
            gradient: vec![0.0; count],
            rows: vec![0.0; ROWS * count],
            errors: [0.0; ROWS],
            waiting: 0,
            root: vec![0.0; count * count],
            fixed: vec![None; count],
        }
    }

    pub(super) fn clear(&mut self) {
        self.matrix.fill(0.0);
        self.gradient.fill(0.0);
        self.rows.fill(0.0);
        self.errors = [0.0; ROWS];
        self.waiting = 0;
        self.fixed.fill(None);
    }

    /// Adds an error and its derivatives, both times `weight`.
    #[inline]
    pub(super) fn add<R: Row>(&mut self, derivatives: &R, error: f64, weight: f64) {
        let derivatives = derivatives.as_ref();
        if R::FIXED {
            // The length is known to the compiler: nothing is gained by gathering.
            let count = derivatives.len();
            let squared = weight * weight;
            for (i, d) in derivatives.iter().enumerate() {
                let scaled = squared * d;
                self.gradient[i] += scaled * error;
                let target = &mut self.matrix[i * count..(i + 1) * count];
                target
                    .iter_mut()
                    .zip(derivatives)
                    .for_each(|(t, d)| *t += scaled * d);
            }
            return;
        }
        let at = self.waiting * self.count;
        for (row, d) in self.rows[at..at + self.count].iter_mut().zip(derivatives) {
            *row = weight * d;
        }
        self.errors[self.waiting] = weight * error;
        self.waiting += 1;
        if self.waiting == ROWS {
            self.multiply();
        }
    }

    /// Adds what still waits.
    pub(super) fn finish(&mut self) {
        self.rows[self.waiting * self.count..].fill(0.0);
        self.errors[self.waiting..].fill(0.0);
        self.multiply();
    }

    fn multiply(&mut self) {
        self.waiting = 0;
        let count = self.count;
        let (first, rest) = self.rows.split_at(count);
        let (second, rest) = rest.split_at(count);
        let (third, fourth) = rest.split_at(count);
        let [ea, eb, ec, ed] = self.errors;
        for i in 0..count {
            let (a, b, c, d) = (first[i], second[i], third[i], fourth[i]);
            self.gradient[i] += a * ea + b * eb + c * ec + d * ed;
            let target = self.matrix[i * count + i..(i + 1) * count].iter_mut();
            let others = first[i..]
                .iter()
                .zip(&second[i..])
                .zip(&third[i..])
                .zip(&fourth[i..]);
            for (target, (((p, q), r), s)) in target.zip(others) {
                *target += a * p + b * q + c * r + d * s;
            }
        }
    }

    /// In which direction parameter `index` lowers the sum of squares.
    pub(super) fn descent(&self, index: usize) -> f64 {
        -self.gradient[index]
    }

    /// Parameter `index` is to move by exactly `step`.
    pub(super) fn fix(&mut self, index: usize, step: f64) {
        self.fixed[index] = Some(step);
    }

    /// Which parameters are laid down.
    pub(super) fn fixed(&self) -> Vec<Option<f64>> {
        self.fixed.clone()
    }

    /// Goes back to what was laid down before.
    pub(super) fn restore(&mut self, fixed: &[Option<f64>]) {
        self.fixed.copy_from_slice(fixed);
    }

    /// The step that solves `(J'J + damp diag) step = -J'e`, given the steps that are laid down. What
    /// cannot be solved in numbers gives a step of zero.
    pub(super) fn solve(&mut self, damp: f64) -> Vec<f64> {
        let count = self.count;
        let diagonal = |i: usize| self.matrix[i * count + i];
        let sum: f64 = (0..count).map(diagonal).sum();
        // A handful of parameters.
        #[allow(clippy::cast_precision_loss)]
        let ridge = (sum / count as f64 * RIDGE).max(f64::MIN_POSITIVE);
        // The upper root U with U'U = A, row by row, so that inner loops run along rows.
        self.root.copy_from_slice(&self.matrix);
        let mut step: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        for i in 0..count {
            self.root[i * count + i] = self.root[i * count + i] * (1.0 + damp) + ridge;
        }
        self.lay_down(&mut step);
        for k in 0..count {
            let (upper, lower) = self.root.split_at_mut((k + 1) * count);
            let row = &mut upper[k * count..];
            let pivot = row[k].max(ridge).sqrt();
            row[k..].iter_mut().for_each(|v| *v /= pivot);
            row[k] = pivot;
            step[k] /= pivot;
            for i in k + 1..count {
                let factor = row[i];
                step[i] -= factor * step[k];
                let target = &mut lower[(i - k - 1) * count + i..(i - k) * count];
                target
                    .iter_mut()
                    .zip(&row[i..])
                    .for_each(|(t, r)| *t -= factor * r);
            }
        }
        for i in (0..count).rev() {
            let row = &self.root[i * count..(i + 1) * count];
            let known: f64 = row[i + 1..]
                .iter()
                .zip(&step[i + 1..])
                .map(|(r, s)| r * s)
                .sum();
            step[i] = (step[i] - known) / row[i];
        }
        if step.iter().all(|s| s.is_finite()) {
            step
        } else {
            vec![0.0; count]
        }
    }

    /// Takes the steps that are laid down out of the equations in `root`.
    fn lay_down(&mut self, step: &mut [f64]) {
        let count = self.count;
        for (i, fixed) in self.fixed.iter().enumerate() {
            let Some(by) = *fixed else { continue };
            for (j, step) in step.iter_mut().enumerate() {
                let at = i.min(j) * count + i.max(j);
                *step -= self.matrix[at] * by;
                self.root[at] = 0.0;
            }
            self.root[i * count + i] = 1.0;
        }
        for (step, fixed) in step.iter_mut().zip(&self.fixed) {
            *step = fixed.unwrap_or(*step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_in_one_step() {
        let mut normal = Normal::new(2);
        for x in 0..7_u32 {
            // The error of the line 0 + 0 x against 3 - 2 x, and its derivatives.
            let x = f64::from(x);
            normal.add(&vec![-1.0, -x], 3.0 - 2.0 * x, 1.0);
        }
        normal.finish();
        let step = normal.solve(0.0);
        assert!(
            (step[0] - 3.0).abs() < 1e-9 && (step[1] + 2.0).abs() < 1e-9,
            "{step:?}"
        );
        normal.fix(1, 0.0);
        let step = normal.solve(0.0);
        assert!((step[0] + 3.0).abs() < 1e-9 && step[1] == 0.0, "{step:?}");
        // With the slope laid down, the height is what fits to it.
        normal.fix(1, 1.0);
        let step = normal.solve(0.0);
        assert!((step[0] + 6.0).abs() < 1e-9 && step[1] == 1.0, "{step:?}");
    }
}
