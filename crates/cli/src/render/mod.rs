//! Rendering: what answers look like to a person. Pure: values in, text out; the time and the style
//! are arguments.
//!
//! Whatever is shown came from a configuration file, a log or the network, so [`Painted`], through
//! which all of it goes, takes the control characters out: no value can drive the terminal.

mod fan;
mod page;
mod painted;
mod run;
mod sparkline;
mod style;
pub(crate) mod svg;
mod table;
pub mod text;

pub use fan::{Fan, FanError};
pub use page::Page;
pub use painted::Painted;
#[cfg(test)]
pub(crate) use run::tests::run as run_example;
pub use run::{guard_lines, plan_lines, run_lines, step_line};
pub use sparkline::sparkline;
pub use style::{ColourChoice, Paint, Style};
pub use table::{Column, Table};
pub use text::one_line;
