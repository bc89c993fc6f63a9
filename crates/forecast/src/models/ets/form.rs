//! The forms of additive exponential smoothing, their parameters and their limits.
//!
//! Source: Hyndman, Koehler, Ord and Snyder (2008), "Forecasting with Exponential Smoothing", chapter 2
//! (the taxonomy) and chapter 10 (the limits). Invariant: what is estimated lies in
//! `0 < alpha < 1, 0 < beta < alpha, 0 <= gamma < 1, 0.8 <= phi <= 0.98`, the second kept by writing
//! `beta = alpha * beta_share`, and is [`admissible`]: what was long ago is forgotten. Without a season
//! all of that region is; with one, the usual `gamma < 1 - alpha` is sufficient in most of it, yet
//! rules out good models, so that the condition itself is checked.

use serde::{Deserialize, Serialize};

/// The least and the greatest value of a share in (0, 1), as in the authors' own software.
pub(super) const SHARE: (f64, f64) = (1e-4, 0.9999);

/// The limits of `gamma`. At 0 the season is fixed.
pub(super) const GAMMA: (f64, f64) = (0.0, 0.9999);

/// The limits of the damping: below it is hardly a trend, above hardly damped.
pub(super) const DAMPING: (f64, f64) = (0.8, 0.98);

/// How the level moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// No trend: simple exponential smoothing.
    None,
    /// A slope that goes on for ever (Holt 1957).
    Additive,
    /// A slope that fades by a factor each step (Gardner and McKenzie 1985).
    Damped,
}

/// What an exponential smoothing model consists of. The error is additive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The trend.
    pub trend: Trend,
    /// Steps of an additive season; less than 2 for none.
    pub season: usize,
}

impl Form {
    /// Whether there is a season.
    pub fn seasonal(self) -> bool {
        self.season > 1
    }

    /// How many numbers are estimated: smoothing parameters and the free part of the initial state.
    pub fn estimated(self) -> usize {
        let trend = match self.trend {
            Trend::None => 0,
            Trend::Additive => 2,
            Trend::Damped => 3,
        };
        let season = if self.seasonal() { self.season } else { 0 };
        2 + trend + season
    }

    /// Its name in the taxonomy, such as `ETS(A,Ad,A)[24]`.
    pub fn name(self) -> String {
        let trend = match self.trend {
            Trend::None => "N",
            Trend::Additive => "A",
            Trend::Damped => "Ad",
        };
        if self.seasonal() {
            format!("ETS(A,{trend},A)[{}]", self.season)
        } else {
            format!("ETS(A,{trend},N)")
        }
    }
}

/// Smoothing parameters. What a form lacks is 0, and `phi` then is 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smoothing {
    /// How much of an innovation stays in the level.
    pub alpha: f64,
    /// How much of it goes into the slope, per step.
    pub beta: f64,
    /// How much of it goes into the season of its phase.
    pub gamma: f64,
    /// What is left of the slope after a step.
    pub phi: f64,
}

/// The state before the first observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The level.
    pub level: f64,
    /// The slope per step; 0 without a trend.
    pub slope: f64,
    /// The season by phase, beginning with that of the first observation; empty without a season.
    pub season: Vec<f64>,
}

/// The smoothing parameters as the optimiser sees them: each in a box of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) gamma: f64,
    pub(super) phi: f64,
}

impl Shares {
    pub(super) fn smoothing(self, form: Form) -> Smoothing {
        let trending = form.trend != Trend::None;
        Smoothing {
            alpha: self.alpha,
            beta: if trending {
                self.alpha * self.beta
            } else {
                0.0
            },
            gamma: if form.seasonal() { self.gamma } else { 0.0 },
            phi: if form.trend == Trend::Damped {
                self.phi
            } else {
                1.0
            },
        }
    }
}

/// Whether the influence of the past fades: all roots of the characteristic polynomial lie inside the
/// unit circle. It is the numerator of `1 + c(1) B + c(2) B^2 + ...`, `c` being the response to a unit
/// innovation (see [`super::state`]):
///
/// ```text
/// (1 - phi B)(1 - B^m) + (alpha (1 - phi B) + beta phi) (B + ... + B^m) + gamma B^m (1 - phi B)
/// ```
///
/// The root 1 that level and season share is harmless and left out. A season that is fixed is never
/// forgotten, and meant not to be; what is left then always fades.
pub(super) fn admissible(form: Form, by: &Smoothing) -> bool {
    if !form.seasonal() || by.gamma == 0.0 {
        return true;
    }
    let Smoothing {
        alpha,
        beta,
        gamma,
        phi,
    } = *by;
    // Falling powers, from `m + 1` down to 0.
    let inner = alpha + beta * phi - alpha * phi;
    let mut polynomial = vec![inner; form.season + 2];
    polynomial[0] = 1.0;
    polynomial[1] = alpha + beta * phi - phi;
    polynomial[form.season] = inner + gamma - 1.0;
    polynomial[form.season + 1] = phi * (1.0 - alpha - gamma);
    if form.trend == Trend::None {
        // Without a slope there is a second root 1, which is divided out.
        for i in 1..polynomial.len() {
            polynomial[i] += polynomial[i - 1];
        }
        polynomial.pop();
    }
    stable(polynomial)
}

/// Whether all roots of a polynomial (falling powers, the first coefficient 1) lie inside the unit
/// circle: the step-down recursion of Schur and Cohn.
fn stable(mut polynomial: Vec<f64>) -> bool {
    let mut lower = polynomial.clone();
    while polynomial.len() > 1 {
        let degree = polynomial.len() - 1;
        let reflection = polynomial[degree];
        if reflection.is_nan() || reflection.abs() >= 1.0 {
            return false;
        }
        let rest = 1.0 - reflection * reflection;
        for i in 0..degree {
            lower[i] = (polynomial[i] - reflection * polynomial[degree - i]) / rest;
        }
        polynomial.truncate(degree);
        polynomial.copy_from_slice(&lower[..degree]);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_inside_the_circle_are_stable() {
        assert!(stable(vec![1.0, -1.4, 0.48]), "0.6 and 0.8");
        assert!(!stable(vec![1.0, -1.9, 0.88]), "0.8 and 1.1");
        assert!(!stable(vec![1.0, 0.0, 1.0]), "plus and minus i");
        assert!(stable(vec![1.0, 0.0, 0.0, -0.9]));
    }

    /// Whether the effect on the forecast of a unit change of the start fades.
    fn fades(form: Form, by: &Smoothing) -> bool {
        let sloping = form.trend != Trend::None;
        let (mut level, mut slope) = (0.3, f64::from(u8::from(sloping)) * 0.01);
        let mut season = vec![0.0; form.season];
        season[0] = 1.0;
        let (mut early, mut late): (f64, f64) = (0.0, 0.0);
        for t in 0..6000 {
            let phase = t % form.season;
            let ahead = level + by.phi * slope;
            let e = -ahead - season[phase];
            level = ahead + by.alpha * e;
            slope = by.phi * slope + by.beta * e;
            season[phase] += by.gamma * e;
            match t {
                1000..2000 => early = early.max(e.abs()),
                5000.. => late = late.max(e.abs()),
                _ => {}
            }
            if e.is_nan() || e.abs() > 1e9 {
                return false;
            }
        }
        late < 1e-9 || late < early
    }

    #[test]
    fn the_past_is_forgotten_where_admissible_and_not_elsewhere() {
        let mut seen = [0, 0];
        for season in [2, 3, 4, 12] {
            for trend in [Trend::None, Trend::Additive, Trend::Damped] {
                for i in 0..100_u32 {
                    let form = Form { trend, season };
                    let at = |k: u32| f64::from((i / 10_u32.pow(k)) % 10) / 9.0;
                    let shares = Shares {
                        alpha: 0.05 + 0.94 * at(0),
                        beta: 0.05 + 0.94 * at(1),
                        gamma: 0.05 + 0.94 * f64::from(i * 7 % 10) / 9.0,
                        phi: 0.9,
                    };
                    let by = shares.smoothing(form);
                    let fades = fades(form, &by);
                    assert_eq!(admissible(form, &by), fades, "{form:?} {by:?}");
                    seen[usize::from(fades)] += 1;
                }
            }
        }
        assert!(seen[0] > 10 && seen[1] > 100, "{seen:?}");
    }
}
