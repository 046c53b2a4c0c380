//! The daemon's own log: to stderr, structured, without secrets.

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::cli::LogFormat;
use crate::progress_line::ProgressLine;

/// Starts logging. `filter` is a list of `target=level`. Log lines give way to
/// nothing; progress is to be shown through the line that is returned.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<ProgressLine> {
    use std::io::IsTerminal as _;
    let filter = EnvFilter::builder()
        .parse(filter)
        .with_context(|| format!("--log {filter:?} is no log filter; use info, debug or target=level, separated by commas"))?;
    let progress_line = ProgressLine::default();
    let log = progress_line.clone();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // Otherwise a line that cannot be written, to a full disk or a closed
        // pipe, is told with `eprintln!`, which panics in whoever logged it.
        .log_internal_errors(false)
        .with_writer(move || log.log_writer())
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    log_panics();
    Ok(progress_line)
}

/// Whatever panics, and wherever: it is a line of the log like any other, not
/// text between its lines that no reader of JSON understands.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(
            thread = thread.name(),
            location = panic.location().map(ToString::to_string),
            message = panic.payload_as_str(),
            backtrace = %std::backtrace::Backtrace::capture(),
            "panic; report this"
        );
    }));
}
