//! The daemon's log: to stderr, structured, without secrets.

use std::io::Write;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::progress_line::ProgressLine;

/// Formats of the daemon's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Human-readable text
    Text,
    /// One JSON object per line
    Json,
}

/// Starts logging. `filter` is a list of `target=level`. Returns the progress
/// line, which does not mix with log lines.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<ProgressLine> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .with_context(|| format!("--log {filter:?} is not a log filter; use info, debug, or target=level, separated by commas"))?;
    let progress_line = ProgressLine::default();
    let log = progress_line.clone();
    let use_color = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
    dispatch(filter, format, use_color, move || log.log_writer()).init();
    log_panics();
    Ok(progress_line)
}

/// Returns a subscriber that writes each event with the fields of its spans.
fn dispatch<W>(
    filter: EnvFilter,
    format: LogFormat,
    use_color: bool,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Dispatch
where
    W: Write + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // Otherwise, a line that cannot be written, to a full disk or a closed
        // pipe, is reported with `eprintln!`, which panics in the caller.
        .log_internal_errors(false)
        .with_writer(writer)
        .with_ansi(use_color);
    match format {
        LogFormat::Text => builder.finish().into(),
        LogFormat::Json => builder
            .json()
            .with_current_span(true)
            .with_span_list(true)
            .finish()
            .into(),
    }
}

/// Logs every panic as an event, instead of text between the lines that readers
/// of JSON cannot parse.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(
            thread = thread.name(),
            location = panic.location().map(ToString::to_string),
            message = panic.payload_as_str(),
            backtrace = %std::backtrace::Backtrace::capture(),
            "panic; report this bug"
        );
    }));
}

#[cfg(test)]
mod tests;
