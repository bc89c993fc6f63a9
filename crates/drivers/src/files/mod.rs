//! Files without a process of their own: a configuration tree, perhaps data, that something else reads.
//!
//! Left out on purpose: whoever reads the files. `reload` tells it that they changed, and a `link`
//! redirector leads it to the tree that is in force.

mod config;
mod driver;

pub use config::{FilesConfig, FilesHealth};
pub use driver::FilesDriver;
