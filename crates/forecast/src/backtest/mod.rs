//! Rolling-origin evaluation: how well each model would have forecast what is known by now.
//!
//! Pure: no file, no clock. Series come in as values at equal steps (NaN is a gap), the time that a
//! model takes is asked of a [`Stopwatch`] of the caller's, and what comes out are the scores of
//! [`crate::metrics`].
//!
//! - [`Contender`] and [`Session`] are what is evaluated; [`contenders`] is the table of those that
//!   there are, by name.
//! - [`global`] are the contenders that are trained on all series at once, before any is forecast;
//! - [`fixed_split`]: one history, one stretch after it, as in the M4 competition.
//! - [`rolling`]: origins at equal distance, updates between them, fitted anew every so often.
//!
//! Invariants: a contender sees nothing from after the origin; an outcome that is missing is not
//! scored; the same series, setup and seed give the same scores, whatever else is evaluated beside.

pub mod global;

mod contender;
mod evaluate;
mod mixture;
mod table;

pub use contender::{Contender, Gaussian, Session, Setup, StartError, gaussian};
pub use evaluate::{
    Evaluation, Failure, LevelCoverage, QUARTERS, Rolling, Stopwatch, fixed_split, rolling,
};
pub use table::{contender, contenders, names};
