//! `evenkeel run`: the daemon in the foreground, with its signals. SIGHUP reloads the configuration;
//! SIGTERM and SIGINT stop.

use std::path::Path;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::config;
use crate::running::Running;

/// Sends the log to stderr; `level` is the least that is logged, unless `EVENKEEL_LOG` says more
/// exactly (`evenkeel_daemon=debug,info`).
pub fn log_to_stderr(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EVENKEEL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let stderr_is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(stderr_is_terminal)
        .init();
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// When it cannot start. What goes wrong later is reported and lived with.
pub async fn serve(config_path: &Path) -> anyhow::Result<()> {
    let config = config::load(config_path)?;
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut running = Running::start(config).await?;
    info!(socket = %running.socket().display(), "ready");
    tell_systemd(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(&mut running, config_path).await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tell_systemd(&[NotifyState::Stopping]);
    running.stop().await;
    Ok(())
}

async fn reload(running: &mut Running, config_path: &Path) {
    let result = match config::load(config_path) {
        Ok(config) => running
            .reload(config)
            .await
            .map_err(|error| error.to_string()),
        Err(problems) => Err(problems.to_string()),
    };
    match result {
        Ok(()) => info!("configuration reloaded"),
        Err(why) => running.report_refused_reload(&why).await,
    }
}

/// Under systemd, says how it is; elsewhere nothing happens.
fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd could not be told");
    }
}
