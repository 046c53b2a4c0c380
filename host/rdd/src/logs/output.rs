//! From frames to this process's own standard output and standard error.

use std::io::{self, IsTerminal as _, Write};

use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Bytes;

use super::terminal::Filter;
use crate::output::OutputError;

/// The first byte of a frame.
const STDERR: u8 = 2;

/// The two streams of this process.
pub(crate) struct Streams {
    out: Sink<io::Stdout>,
    err: Sink<io::Stderr>,
}

struct Sink<W> {
    inner: W,
    /// Only for a terminal: what it does not let through could take the terminal over.
    filter: Option<Filter>,
}

impl Streams {
    /// Raw where piped; on a terminal only text and colours pass, and standard
    /// error is red unless `NO_COLOR` is set.
    pub(crate) fn new() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (out, err) = (io::stdout(), io::stderr());
        let out_filter = out.is_terminal().then(|| Filter::new(None));
        let err_filter = err
            .is_terminal()
            .then(|| Filter::new(colours.then_some("31")));
        Self {
            out: Sink {
                inner: out,
                filter: out_filter,
            },
            err: Sink {
                inner: err,
                filter: err_filter,
            },
        }
    }
}

impl Streams {
    /// Writes a frame to where it belongs, and what is gathered if `flush`.
    fn write(&mut self, frame: &[u8], flush: bool) -> io::Result<()> {
        let Self { out, err } = self;
        match frame.split_first() {
            Some((&STDERR, bytes)) => {
                // The order of the two streams is kept.
                out.inner.flush()?;
                err.write(bytes)?;
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

impl<W: Write> Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.filter {
            Some(filter) => self.inner.write_all(&filter.pass(bytes)),
            None => self.inner.write_all(bytes),
        }
    }
}

/// Prints frames until there are no more. Blocks while nobody reads the output.
///
/// # Errors
///
/// The output cannot be written, or its reader has had enough: `| head`, say.
pub(super) fn print(
    mut frames: mpsc::Receiver<Bytes>,
    mut streams: Streams,
) -> Result<(), OutputError> {
    while let Some(frame) = frames.blocking_recv() {
        streams.write(&frame, frames.is_empty())?;
    }
    Ok(())
}
