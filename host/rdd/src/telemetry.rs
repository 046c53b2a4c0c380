//! The daemon's own log: to stderr, structured, without secrets.

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::cli::LogFormat;

/// Starts logging. `filter` is a list of `target=level`.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<()> {
    use std::io::IsTerminal as _;
    let filter = EnvFilter::builder()
        .parse(filter)
        .with_context(|| format!("--log {filter:?} is no log filter; use info, debug or target=level, separated by commas"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // Otherwise a line that cannot be written, to a full disk or a closed
        // pipe, is told with `eprintln!`, which panics in whoever logged it.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
