//! Layout rules of the workspace, as tests. Run with `cargo test -p xtask`.
fn main() {}
