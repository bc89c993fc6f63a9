//! (being written)

pub mod redirect;
pub mod tree;
