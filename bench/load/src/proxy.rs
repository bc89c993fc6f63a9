//! The built-in proxy by itself, one route, on as many workers as the daemon gives it.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;
use evenkeel_drivers::redirect::proxy::{Proxy, RouteConfig};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// Where to forward to.
    #[arg(long, default_value = "127.0.0.1:8081")]
    target: SocketAddr,
    /// Worker threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
}

/// Forwards until killed.
pub(crate) fn serve(options: &Options) -> Result<()> {
    crate::ensure_loopback("--listen", options.listen)?;
    crate::ensure_loopback("--target", options.target)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads.into())
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let route = RouteConfig::new("bench", options.listen, options.target);
        let (_handle, task) = Proxy::bind(&[route])?;
        task.stopped().await;
        Ok(())
    })
}
