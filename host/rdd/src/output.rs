//! What commands print: text for people, a format for programs, and errors.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Exit code of a command whose output nobody reads any more: what a shell
/// reports for a process that SIGPIPE ended (128 + 13), as kubectl and docker
/// end then. Rust ignores the signal, so the code is given instead.
pub(crate) const BROKEN_PIPE: u8 = 141;

/// Standard output, or in `rdd logs` standard error, cannot be written to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Its reader has read enough, as `head` does: no failure to be reported.
    #[error("nobody reads the output any more")]
    Closed,
    /// The disk is full, say.
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

/// Prints an error of the command to standard error, in clap's form.
pub(crate) fn print_error(message: &str) {
    // Where standard error cannot be written to, the exit code still tells.
    writeln!(io::stderr(), "error: {message}").ok();
}

/// Prints something that is no error to standard error.
pub(crate) fn print_note(message: &str) {
    // Nothing is lost where it cannot be written.
    writeln!(io::stderr(), "{message}").ok();
}

/// An error and its causes on one line. Some libraries repeat the cause in the
/// error's own message; a cause that was told already is left out.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        // An API server's refusal is a sentence; kube adds its fields.
        let refusal = match cause.downcast_ref() {
            Some(kube::Error::Api(status)) if !status.message.is_empty() => Some(&status.message),
            _ => None,
        };
        let message = refusal.cloned().unwrap_or_else(|| cause.to_string());
        if !text.contains(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
        if refusal.is_some() {
            break;
        }
    }
    text
}

/// Option for the form of what is printed.
#[derive(Args, Clone, Copy)]
pub(crate) struct OutputArgs {
    /// Print in this format instead of text for people
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<OutputFormat>,
}

/// Formats for programs, by kubectl's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// One JSON value
    Json,
    /// One YAML document
    Yaml,
    /// Names alone, one a line
    Name,
}

/// What a command reports.
pub(crate) trait Report: Serialize {
    /// For people.
    fn text(&self) -> String;

    /// The names of what is reported on.
    fn names(&self) -> Vec<String>;
}

impl OutputArgs {
    /// Prints a report in the format that was asked for.
    pub(crate) fn print(self, report: &impl Report) -> Result<()> {
        let text = match self.output {
            None => report.text(),
            Some(OutputFormat::Json) => format!("{}\n", serde_json::to_string_pretty(report)?),
            Some(OutputFormat::Yaml) => serde_saphyr::to_string(report)?,
            Some(OutputFormat::Name) => {
                report.names().iter().fold(String::new(), |mut text, name| {
                    // Writing to a string does not fail.
                    writeln!(text, "{name}").ok();
                    text
                })
            }
        };
        Ok(print(&text)?)
    }
}

/// A table: columns as wide as their widest cell, two spaces between them.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&header.map(str::to_owned)).chain(rows) {
        let line = row
            .iter()
            .zip(widths)
            .fold(String::new(), |mut line, (cell, width)| {
                // Writing to a string does not fail.
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

    /// An error that repeats its cause, as kube's and tracing's do.
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it: {source}")]
    struct Repeating {
        source: io::Error,
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("the disk is on fire");
        let plain = anyhow::Error::new(cause()).context("cannot start");
        assert_eq!(describe(&plain), "cannot start: the disk is on fire");
        let repeating = anyhow::Error::new(Repeating { source: cause() }).context("cannot start");
        assert_eq!(
            describe(&repeating),
            "cannot start: cannot read it: the disk is on fire"
        );
    }

    #[test]
    fn a_refusal_of_an_api_server_is_told_in_its_own_words() {
        let status = kube::core::Status::failure("pods \"a\" is forbidden", "Forbidden");
        let error = anyhow::Error::new(kube::Error::Api(Box::new(status.with_code(403))));
        assert_eq!(
            describe(&error.context("cannot read it")),
            "cannot read it: pods \"a\" is forbidden"
        );
    }

    #[test]
    fn the_causes_of_real_libraries_are_told_once() {
        let missing = kube::config::Kubeconfig::read_from("/nonexist").context("cannot use it");
        let filter = tracing_subscriber::EnvFilter::builder()
            .parse("nonsense=foo")
            .context("no log filter");
        for (error, cause) in [
            (missing.unwrap_err(), "No such file"),
            (filter.unwrap_err(), "error parsing level filter"),
        ] {
            let told = describe(&error);
            assert_eq!(told.matches(cause).count(), 1, "{told}");
            let plain = format!("{error:#}");
            assert_eq!(plain.matches(cause).count(), 2, "no longer needed: {plain}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "long cell"], ["longer", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["ID", "STATE"], &rows),
            "ID      STATE\na       long cell\nlonger\n"
        );
    }
}
