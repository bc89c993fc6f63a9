//! To be written.
pub(crate) mod fill;
