//! `evenkeel-load`: what a measurement on one machine needs. A small HTTP server (`backend`), the
//! built-in proxy by itself (`proxy`), and a load generator (`run`).
//!
//! Leaves out everything that a load test of somebody else's machine would need: it talks to loopback
//! addresses only, and every run is bounded in time and number of requests.

mod backend;
mod http;
mod proxy;
mod report;
mod run;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "evenkeel-load", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve one small page over HTTP/1.1 until killed.
    Backend(backend::Options),
    /// Forward TCP connections with Evenkeel's built-in proxy until killed.
    Proxy(proxy::Options),
    /// Send requests for some seconds and report how it went.
    Run(run::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Backend(options) => backend::serve(&options),
        Command::Proxy(options) => proxy::serve(&options),
        Command::Run(options) => run::run(&options),
    }
}

/// Refuses to leave the machine.
fn ensure_loopback(what: &str, address: SocketAddr) -> Result<()> {
    ensure!(
        address.ip().is_loopback(),
        "{what}: {address} is not a loopback address; this tool measures one machine only, \
         give one like 127.0.0.1:8080"
    );
    Ok(())
}
