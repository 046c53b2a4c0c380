//! Container output: what was written, or a generator of what never was.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use rdd_core::{EngineError, LogChunk, LogOptions, LogSource, LogStream, Timestamp};

use super::{FakeEngine, Shared, not_found};

/// Output that is made while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogScript {
    /// How many bytes in all; the container then ends its log.
    pub total: u64,
    /// Length of each line with its newline.
    pub line: usize,
    /// Length of each chunk, at most [`LogChunk::MAX_LEN`].
    pub chunk: usize,
}

#[derive(Clone)]
struct Line {
    source: LogSource,
    at: Timestamp,
    bytes: Bytes,
}

#[derive(Clone, Default)]
pub(super) struct Log {
    lines: Vec<Line>,
    script: Option<LogScript>,
    ended: bool,
    failure: Option<EngineError>,
    /// Streams that are open now.
    readers: usize,
}

struct Reader {
    shared: Arc<Shared>,
    id: String,
    options: LogOptions,
    read: usize,
    ended: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(log) = self.shared.lock().logs.get_mut(&self.id) {
            log.readers -= 1;
        }
        self.shared.changed.notify_waiters();
    }
}

pub(super) fn stream(
    shared: Arc<Shared>,
    id: &str,
    options: LogOptions,
) -> Result<LogStream, EngineError> {
    let (script, read) = {
        let mut state = shared.lock();
        let log = state
            .logs
            .get_mut(id)
            .ok_or_else(|| not_found("container", id))?;
        log.readers += 1;
        (log.script, log.skipped(&options))
    };
    let reader = Reader {
        shared,
        id: id.to_owned(),
        options,
        read,
        ended: false,
    };
    if let Some(script) = script {
        return Ok(generate(script, reader));
    }
    Ok(stream::unfold(reader, |mut reader| async move {
        let item = reader.next().await?;
        reader.ended = item.is_err();
        Some((item, reader))
    })
    .boxed())
}

impl Log {
    /// How many lines a `tail` leaves out.
    fn skipped(&self, options: &LogOptions) -> usize {
        let Some(tail) = options.tail else { return 0 };
        let wanted = usize::try_from(tail).unwrap_or(usize::MAX);
        let mut matching = 0;
        for (index, line) in self.lines.iter().enumerate().rev() {
            if matching == wanted {
                return index + 1;
            }
            if options.wants(line) {
                matching += 1;
            }
        }
        if wanted == 0 { self.lines.len() } else { 0 }
    }
}

trait Wants {
    fn wants(&self, line: &Line) -> bool;
}

impl Wants for LogOptions {
    fn wants(&self, line: &Line) -> bool {
        (match line.source {
            LogSource::Stdout => self.stdout,
            LogSource::Stderr => self.stderr,
        }) && self.since.is_none_or(|since| line.at >= since)
            && self.until.is_none_or(|until| line.at < until)
    }
}

impl Reader {
    async fn next(&mut self) -> Option<Result<LogChunk, EngineError>> {
        if self.ended {
            return None;
        }
        let shared = Arc::clone(&self.shared);
        loop {
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            {
                let state = shared.lock();
                if let Some(error) = state.script.offline() {
                    return Some(Err(error.clone()));
                }
                // A removed container has no more output.
                let log = state.logs.get(&self.id)?;
                while let Some(line) = log.lines.get(self.read) {
                    self.read += 1;
                    if self.options.wants(line) {
                        return Some(Ok(self.chunk(line)));
                    }
                }
                if let Some(error) = &log.failure {
                    return Some(Err(error.clone()));
                }
                if log.ended || !self.options.follow {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn chunk(&self, line: &Line) -> LogChunk {
        let bytes = if self.options.timestamps {
            let mut bytes = BytesMut::new();
            bytes.extend_from_slice(format!("{:.9} ", line.at).as_bytes());
            bytes.extend_from_slice(&line.bytes);
            bytes.freeze()
        } else {
            line.bytes.clone()
        };
        LogChunk {
            source: line.source,
            bytes,
        }
    }
}

fn generate(script: LogScript, reader: Reader) -> LogStream {
    let mut pattern = vec![b'x'; script.line.saturating_sub(1)];
    pattern.push(b'\n');
    let chunk = script.chunk.clamp(1, LogChunk::MAX_LEN);
    let lines = chunk / pattern.len() + 2;
    let block = Bytes::from(pattern.repeat(lines));
    let line = pattern.len();
    stream::unfold((0_u64, reader), move |(sent, reader)| {
        let block = block.clone();
        async move {
            let left = script.total - sent;
            if left == 0 {
                return None;
            }
            // A generator that never waits would starve its readers' timers.
            tokio::task::coop::consume_budget().await;
            let len = chunk.min(usize::try_from(left).unwrap_or(usize::MAX));
            let from = usize::try_from(sent % line as u64).unwrap_or(0);
            let item = LogChunk {
                source: LogSource::Stdout,
                bytes: block.slice(from..from + len),
            };
            Some((Ok(item), (sent + len as u64, reader)))
        }
    })
    .boxed()
}

/// Output, as a test writes it. A missing container is the test's mistake and
/// panics.
impl FakeEngine {
    /// Writes bytes, as one line that is exactly so long.
    pub fn write_log(&self, id: &str, source: LogSource, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.change(|state| {
            let at = state.now();
            state.log(id).lines.push(Line { source, at, bytes });
        });
    }

    /// Ends the output: a follower's stream ends after the last line.
    pub fn end_log(&self, id: &str) {
        self.change(|state| state.log(id).ended = true);
    }

    /// Breaks the output: every stream ends with this error after the last line.
    pub fn break_log(&self, id: &str, error: EngineError) {
        self.change(|state| state.log(id).failure = Some(error));
    }

    /// Replaces the output by a generator; only `follow` of the options is read.
    pub fn generate_log(&self, id: &str, script: LogScript) {
        self.change(|state| state.log(id).script = Some(script));
    }

    /// How many log streams of this container are open.
    pub fn log_readers(&self, id: &str) -> usize {
        self.lock().logs.get(id).map_or(0, |log| log.readers)
    }
}

impl super::State {
    #[expect(
        clippy::expect_used,
        reason = "a test helper's way to fail the test that called it"
    )]
    fn log(&mut self, id: &str) -> &mut Log {
        self.logs.get_mut(id).expect("a container of this ID")
    }
}
