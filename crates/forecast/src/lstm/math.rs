//! The elementary functions of the network in `f32`, written so that a loop over them becomes vector
//! instructions, and so that they give the same bits on every machine (no call into a C library).
//!
//! `exp` is the usual reduction to a power of two and a polynomial on half an octave to each side
//! (Cephes `expf`); `ln` takes the exponent from the bits and the rest from the series of the inverse
//! hyperbolic tangent. Arguments are clamped: no result is infinite or NaN for a finite argument.

/// Adding and taking away 1.5 * 2^23 rounds a small `f32` to a whole number without a library call.
const ROUNDER: f32 = 12_582_912.0;

/// `e^x`, relative error below 3e-7, `x` clamped to ±87.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x > 87.0 { 87.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUNDER;
    let whole = shifted - ROUNDER;
    // ln 2 in two parts, so that the difference keeps its digits.
    let r = (x - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let mantissa = p * r * r + r + 1.0;
    // The low bits of `shifted` hold the whole number; shifted up they become the exponent of 2^whole.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    mantissa * power
}

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, absolute error below 2e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    2.0 / (1.0 + exp(-2.0 * x)) - 1.0
}

/// The logistic function of each.
#[inline(never)] // On its own the loop is sure to become vector instructions.
pub(crate) fn sigmoid_all(values: &mut [f32]) {
    for value in values {
        *value = sigmoid(*value);
    }
}

/// The hyperbolic tangent of each.
#[inline(never)] // As above.
pub(crate) fn tanh_all(values: &mut [f32]) {
    for value in values {
        *value = tanh(*value);
    }
}

/// Softplus of each.
#[inline(never)] // As above.
pub(crate) fn softplus_all(values: &mut [f32]) {
    for value in values {
        *value = softplus(*value);
    }
}

/// `ln x` for positive, normal `x`; anything less counts as the smallest normal number.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let x = if x < f32::MIN_POSITIVE {
        f32::MIN_POSITIVE
    } else {
        x
    };
    // Split so that the mantissa lies in [sqrt(1/2), sqrt(2)).
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)] // An exponent of eight bits.
    let exponent = (bits as i32 >> 23) as f32;
    let mantissa = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let t2 = t * t;
    // 2 atanh(t) = ln(mantissa), |t| <= 0.172.
    let series = 2.0 * t * (1.0 + t2 * (1.0 / 3.0 + t2 * (0.2 + t2 * (1.0 / 7.0 + t2 / 9.0))));
    exponent * std::f32::consts::LN_2 + series
}

/// `ln(1 + e^x)`: positive, smooth, and `x` itself for large `x`.
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    let positive = if x > 0.0 { x } else { 0.0 };
    positive + ln(1.0 + exp(-x.abs()))
}

/// Keeps the sign and compresses the size: `sign(x) ln(1 + |x|)`.
#[inline(always)]
pub(crate) fn squash(x: f32) -> f32 {
    ln(1.0 + x.abs()).copysign(x)
}

/// Sine and cosine of `turn` full turns, `turn` in [0, 1); error below 1e-5.
pub(crate) fn sin_cos_turn(turn: f32) -> (f32, f32) {
    (sin_turn(turn), sin_turn((turn + 0.25).fract()))
}

fn sin_turn(turn: f32) -> f32 {
    // Fold to a quarter turn to each side of zero.
    let folded = if turn < 0.25 {
        turn
    } else if turn < 0.75 {
        0.5 - turn
    } else {
        turn - 1.0
    };
    let x = folded * std::f32::consts::TAU;
    let x2 = x * x;
    x * (1.0 + x2 * (-1.0 / 6.0 + x2 * (1.0 / 120.0 + x2 * (-1.0 / 5040.0 + x2 / 362_880.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the standard library over `from..to`, relative to values above one.
    fn check(from: f32, to: f32, error_max: f32, ours: fn(f32) -> f32, standard: fn(f32) -> f32) {
        for i in 0..20_000_u16 {
            let x = from + (to - from) * f32::from(i) / 20_000.0;
            let (got, want) = (ours(x), standard(x));
            let error = (got - want).abs() / want.abs().max(1.0);
            assert!(error <= error_max, "{x}: {got} instead of {want}");
        }
    }

    #[test]
    fn functions_agree_with_the_standard_library() {
        check(-80.0, 80.0, 1e-6, exp, f32::exp);
        check(-20.0, 20.0, 2e-7, tanh, f32::tanh);
        check(1e-6, 5.0, 5e-7, ln, f32::ln);
        check(1.0, 1e9, 5e-7, ln, f32::ln);
        check(-30.0, 30.0, 1e-6, softplus, |x| {
            x.max(0.0) + (-x.abs()).exp().ln_1p()
        });
        check(
            0.0,
            0.9999,
            1e-5,
            |x| sin_cos_turn(x).0,
            |x| (x * std::f32::consts::TAU).sin(),
        );
        check(
            0.0,
            0.9999,
            1e-5,
            |x| sin_cos_turn(x).1,
            |x| (x * std::f32::consts::TAU).cos(),
        );
    }

    #[test]
    fn no_argument_overflows() {
        for x in [f32::MAX, f32::MIN, 1e30, -1e30, 0.0, f32::MIN_POSITIVE] {
            for f in [exp, sigmoid, tanh, ln, softplus, squash] {
                assert!(f(x).is_finite(), "{x}");
            }
        }
        assert_eq!((sigmoid(-1e9) < 1e-30, sigmoid(1e9)), (true, 1.0));
    }
}
