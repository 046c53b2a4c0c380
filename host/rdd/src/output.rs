//! The output of commands: human-readable text, formats for programs, and
//! errors.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Exit code of a command whose output pipe was closed: 128 + 13, as a shell
/// reports for kubectl and docker, which are terminated by SIGPIPE. Rust ignores
/// the signal, so the code is returned explicitly.
pub(crate) const BROKEN_PIPE_EXIT_CODE: u8 = 141;

/// An error of writing to standard output, or to standard error in `rdd logs`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The reader closed the pipe, as `head` does. Not reported as a failure.
    #[error("the output pipe is closed")]
    Closed,
    /// Any other error, such as a full disk.
    #[error("cannot write the output")]
    Write(#[source] io::Error),
}

/// Prints `text` to standard output.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(OutputError::from)
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Write(error),
        }
    }
}

/// Prints an error to standard error, in the form of clap's errors.
pub(crate) fn print_error(message: &str) {
    // If standard error cannot be written to, the exit code still reports it.
    writeln!(io::stderr(), "error: {message}").ok();
}

/// Prints a note to standard error.
pub(crate) fn print_note(message: &str) {
    // A note that cannot be written is not needed.
    writeln!(io::stderr(), "{message}").ok();
}

/// Returns an error and its causes on one line. Some libraries include the cause
/// in the message of the error; a cause that was already printed is omitted.
pub(crate) fn format_error_chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        // The message of an API server is sufficient; kube adds the other fields.
        let api_message = match cause.downcast_ref() {
            Some(kube::Error::Api(status)) if !status.message.is_empty() => Some(&status.message),
            _ => None,
        };
        let message = api_message.cloned().unwrap_or_else(|| cause.to_string());
        if !text.contains(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
        if api_message.is_some() {
            break;
        }
    }
    text
}

/// The option `--output`.
#[derive(Args, Clone, Copy)]
pub(crate) struct OutputArgs {
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

/// Output formats, with the names that kubectl uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// Text for people
    Table,
    /// One JSON value
    Json,
    /// One YAML document
    Yaml,
    /// Only names, one per line
    Name,
}

/// The result of a command.
pub(crate) trait CommandReport: Serialize {
    /// Returns the human-readable form.
    fn text(&self) -> String;

    /// Returns the names of the reported objects.
    fn names(&self) -> Vec<String>;
}

impl OutputArgs {
    /// Prints a report in the selected format.
    pub(crate) fn print(self, report: &impl CommandReport) -> Result<()> {
        let text = match self.output {
            OutputFormat::Table => report.text(),
            OutputFormat::Json => format!("{}\n", serde_json::to_string_pretty(report)?),
            OutputFormat::Yaml => serde_saphyr::to_string(report)?,
            OutputFormat::Name => {
                report.names().iter().fold(String::new(), |mut text, name| {
                    // Writing to a string cannot fail.
                    writeln!(text, "{name}").ok();
                    text
                })
            }
        };
        Ok(print(&text)?)
    }
}

/// Formats rows as columns that are as wide as their widest cell, with two
/// spaces between them. A header is the first row.
///
/// Written by hand: crates for tables draw borders and wrap cells, neither of
/// which the style of docker and kubectl needs.
pub(crate) fn format_table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let line = row
            .iter()
            .zip(widths)
            .fold(String::new(), |mut line, (cell, width)| {
                // Writing to a string cannot fail.
                write!(line, "{cell:<width$}  ").ok();
                line
            });
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    /// An error whose message includes its cause, like those of kube and tracing.
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it: {source}")]
    struct Repeating {
        source: io::Error,
    }

    #[test]
    fn a_cause_is_printed_once() {
        let cause = || io::Error::other("the disk is full");
        let plain = anyhow::Error::new(cause()).context("cannot start");
        assert_eq!(format_error_chain(&plain), "cannot start: the disk is full");
        let repeating = anyhow::Error::new(Repeating { source: cause() }).context("cannot start");
        assert_eq!(
            format_error_chain(&repeating),
            "cannot start: cannot read it: the disk is full"
        );
    }

    #[test]
    fn an_error_of_an_api_server_is_printed_as_its_message() {
        let status = kube::core::Status::failure("pods \"a\" is forbidden", "Forbidden");
        let error = anyhow::Error::new(kube::Error::Api(Box::new(status.with_code(403))));
        assert_eq!(
            format_error_chain(&error.context("cannot read it")),
            "cannot read it: pods \"a\" is forbidden"
        );
    }

    #[test]
    fn the_causes_of_real_libraries_are_printed_once() {
        let missing = kube::config::Kubeconfig::read_from("/nonexist").context("cannot use it");
        let filter = tracing_subscriber::EnvFilter::builder()
            .parse("nonsense=foo")
            .context("no log filter");
        for (error, cause) in [
            (missing.unwrap_err(), "No such file"),
            (filter.unwrap_err(), "error parsing level filter"),
        ] {
            let printed = format_error_chain(&error);
            assert_eq!(printed.matches(cause).count(), 1, "{printed}");
            let plain = format!("{error:#}");
            assert_eq!(plain.matches(cause).count(), 2, "no longer needed: {plain}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            [["ID", "STATE"], ["a", "long cell"], ["longer", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(
            format_table(&rows),
            "ID      STATE\na       long cell\nlonger\n"
        );
    }
}
