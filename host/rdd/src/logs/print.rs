//! Prints frames to standard output and standard error.

use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Bytes;

use super::terminal::{RED, TerminalFilter};
use crate::output::OutputError;

/// Where a frame is printed. Its first byte says so, as in the subprotocol
/// `rdd.logs.v1+source` and in the channels of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameStream {
    Stdout,
    Stderr,
    /// Standard error, but not what a container wrote.
    Note,
}

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const NOTE: u8 = 3;

impl FrameStream {
    /// Returns the stream of a container's output.
    pub(crate) fn output(is_stderr: bool) -> Self {
        if is_stderr {
            Self::Stderr
        } else {
            Self::Stdout
        }
    }

    /// Returns the first byte of a frame.
    pub(crate) fn first_byte(self) -> u8 {
        match self {
            Self::Stdout => STDOUT,
            Self::Stderr => STDERR,
            Self::Note => NOTE,
        }
    }
}

/// The output streams of this process.
pub(crate) struct OutputStreams {
    out: OutputSink<io::Stdout>,
    err: OutputSink<io::Stderr>,
}

struct OutputSink<W> {
    inner: W,
    /// The filter if the stream is a terminal, which other escape sequences could
    /// take over.
    filter: Option<TerminalFilter>,
}

impl OutputStreams {
    /// Prints raw bytes to a pipe. On a terminal, only text and colors pass, and
    /// standard error is red unless the environment asks for no color.
    pub(crate) fn new() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let use_color = AutoStream::choice(&err) != ColorChoice::Never;
        let out_filter = out.is_terminal().then(|| TerminalFilter::new(None));
        let err_filter = err
            .is_terminal()
            .then(|| TerminalFilter::new(use_color.then_some(RED)));
        Self {
            out: OutputSink {
                inner: out,
                filter: out_filter,
            },
            err: OutputSink {
                inner: err,
                filter: err_filter,
            },
        }
    }
}

impl OutputStreams {
    /// Prints raw bytes, also to a terminal, which a process that the user runs
    /// may control.
    pub(crate) fn unfiltered() -> Self {
        Self {
            out: OutputSink {
                inner: io::stdout(),
                filter: None,
            },
            err: OutputSink {
                inner: io::stderr(),
                filter: None,
            },
        }
    }

    /// Writes a frame to its stream, and flushes if `flush`.
    fn write(&mut self, frame: &[u8], flush: bool) -> io::Result<()> {
        let Self { out, err } = self;
        match frame.split_first() {
            Some((&STDERR, bytes)) => {
                // Preserve the order of the two streams.
                out.inner.flush()?;
                err.write(bytes)?;
            }
            Some((&NOTE, bytes)) => {
                out.inner.flush()?;
                err.inner.write_all(bytes)?;
            }
            Some((_, bytes)) => out.write(bytes)?,
            None => {}
        }
        if flush {
            out.inner.flush()?;
        }
        Ok(())
    }
}

impl<W: Write> OutputSink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.filter {
            Some(filter) => self.inner.write_all(&filter.filter(bytes)),
            None => self.inner.write_all(bytes),
        }
    }
}

/// Prints frames until the channel is closed. Blocks while the output is not
/// read.
///
/// # Errors
///
/// Fails if the output cannot be written, or its reader has closed the pipe, as
/// `head` does.
pub(crate) fn print(
    mut frames: mpsc::Receiver<Bytes>,
    mut streams: OutputStreams,
) -> Result<(), OutputError> {
    while let Some(frame) = frames.blocking_recv() {
        streams.write(&frame, frames.is_empty())?;
    }
    Ok(())
}
