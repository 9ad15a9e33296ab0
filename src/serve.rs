//! `ringbook serve`: the exchange.

use std::io::IsTerminal;

use anyhow::Result;
use runtime::Ready;
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::config::ServeConfig;
use crate::format::{duration, thousands};
use crate::terminal;

/// Runs the exchange until it is told to stop.
pub fn serve(config: ServeConfig) -> Result<()> {
    start_logging(config.log_format, config.log_filter);
    let data = config.node.data.display().to_string();
    runtime::run(config.node, Box::new(move |ready| announce(ready, &data)), None)?;
    tracing::info!("stopped");
    Ok(())
}

/// Logs go to stderr: stdout is for what was asked for.
pub fn start_logging(format: LogFormat, filter: EnvFilter) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// One line for a script that waits for the server, and a log entry for the operator.
fn announce(ready: &Ready, data: &str) {
    let Some(address) = ready.address else { return };
    tracing::info!(
        %address,
        shards = ready.shards,
        data,
        recovered_records = ready.recovered_records,
        recovery_ms = ready.recovery.as_millis() as u64,
        "listening: {} records recovered in {}",
        thousands(ready.recovered_records),
        duration(ready.recovery)
    );
    let scheme = if ready.is_tls { "https" } else { "http" };
    terminal::say(&format!("listening on {scheme}://{address}\n"));
}
