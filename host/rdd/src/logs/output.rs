//! From frames to this process's own standard output and standard error.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::terminal::Filter;

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

impl<W: Write> Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.filter {
            Some(filter) => self.inner.write_all(&filter.pass(bytes))?,
            None => self.inner.write_all(bytes)?,
        }
        self.inner.flush()
    }
}

/// Prints frames until the daemon closes the stream.
pub(crate) async fn print<S>(mut socket: S, mut streams: Streams) -> Result<ExitCode>
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    while let Some(message) = socket.next().await {
        match message.context("the connection to the daemon broke")? {
            Message::Binary(frame) => {
                let Some((source, bytes)) = frame.split_first() else {
                    continue;
                };
                let written = match *source {
                    STDERR => streams.err.write(bytes),
                    _ => streams.out.write(bytes),
                };
                match written {
                    Ok(()) => {}
                    // The reader of our pipe has had enough: `| head`, say.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(ExitCode::SUCCESS);
                    }
                    Err(error) => return Err(error).context("cannot print"),
                }
            }
            Message::Close(Some(frame)) if u16::from(frame.code) == 1000 => {
                return Ok(ExitCode::SUCCESS);
            }
            Message::Close(Some(frame)) => bail!(
                "the log was cut: {} ({})",
                frame.reason,
                u16::from(frame.code)
            ),
            Message::Close(None) => bail!("the log was cut: the daemon gave no reason"),
            _ => {}
        }
    }
    bail!("the log was cut: the connection to the daemon broke")
}
