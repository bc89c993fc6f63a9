//! What the binary does about configuration without a running daemon: [`check`] a file and all that it
//! names, and [`init`] one for what is found on the machine.
//!
//! Left out on purpose: nothing here starts, stops or changes a service, opens the store, or asks a
//! daemon. `init` writes one file, `check` none.

mod check;
mod found;
mod init;
mod surprise;

pub use check::check;
pub use init::{InitError, init};
