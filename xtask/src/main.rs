//! The layout rules of the workspace, as tests: `cargo test -p xtask`. Running it says so.

use std::process::ExitCode;

fn main() -> ExitCode {
    // There is nothing else it could do, and a program that does nothing should say why.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        b"the layout rules are tests: cargo test -p xtask\n",
    );
    ExitCode::FAILURE
}
