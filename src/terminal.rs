//! What the terminal gets to see, and only a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tempfile::TempDir;

/// Prints to stdout. Whoever closed it has read enough.
pub fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// A progress bar on stderr; nothing where that is no terminal.
pub fn progress(title: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template(
        "{prefix} {bar:32} {human_pos}/{human_len} {msg} [{elapsed}, {eta} left]",
    );
    // The template is a constant; a bar without it is still a bar.
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_prefix(title);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// A directory under `TMPDIR` that is removed when it is dropped.
pub fn temporary_directory() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("ringbook-")
        .tempdir()
        .context("cannot make a temporary directory (set TMPDIR, or give --data)")
}
