//! Container output: written by a test, or generated while it is read.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use rdd_core::{
    ContainerRef, EngineError, LogOptions, LogStream, OutputChunk, OutputSource, Timestamp,
};

use super::{FakeEngine, SharedEngine, not_found};

/// Output that is generated while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogScript {
    /// The total number of bytes, after which the log ends.
    pub total: u64,
    /// The length of each line in bytes, with its newline.
    pub line: usize,
    /// The length of each chunk in bytes, at most [`OutputChunk::MAX_LEN`].
    pub chunk: usize,
}

#[derive(Clone)]
struct LogLine {
    source: OutputSource,
    at: Timestamp,
    bytes: Bytes,
}

#[derive(Clone, Default)]
pub(super) struct ContainerLog {
    lines: Vec<LogLine>,
    script: Option<LogScript>,
    ended: bool,
    failure: Option<EngineError>,
    /// The number of open streams.
    readers: usize,
}

struct FakeLogReader {
    shared: Arc<SharedEngine>,
    container: ContainerRef,
    options: LogOptions,
    read: usize,
    ended: bool,
}

impl Drop for FakeLogReader {
    fn drop(&mut self) {
        if let Some(log) = self.shared.lock().logs.get_mut(&self.container) {
            log.readers -= 1;
        }
        self.shared.changed.notify_waiters();
    }
}

pub(super) fn stream(
    shared: Arc<SharedEngine>,
    container: ContainerRef,
    options: LogOptions,
) -> Result<LogStream, EngineError> {
    let (script, read) = {
        let mut state = shared.lock();
        let log = state
            .logs
            .get_mut(&container)
            .ok_or_else(|| not_found("container", &container.id))?;
        log.readers += 1;
        (log.script, log.skipped(&options))
    };
    let reader = FakeLogReader {
        shared,
        container,
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

impl ContainerLog {
    /// Returns the number of lines that `tail` skips.
    fn skipped(&self, options: &LogOptions) -> usize {
        let Some(tail) = options.tail else { return 0 };
        let wanted = usize::try_from(tail).unwrap_or(usize::MAX);
        let mut matching = 0;
        for (index, line) in self.lines.iter().enumerate().rev() {
            if matching == wanted {
                return index + 1;
            }
            if options.matches(line) {
                matching += 1;
            }
        }
        if wanted == 0 { self.lines.len() } else { 0 }
    }
}

trait LineFilter {
    fn matches(&self, line: &LogLine) -> bool;
}

impl LineFilter for LogOptions {
    fn matches(&self, line: &LogLine) -> bool {
        (match line.source {
            OutputSource::Stdout => self.stdout,
            OutputSource::Stderr => self.stderr,
        }) && self.since.is_none_or(|since| line.at >= since)
            && self.until.is_none_or(|until| line.at < until)
    }
}

impl FakeLogReader {
    async fn next(&mut self) -> Option<Result<OutputChunk, EngineError>> {
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
                // The log of a removed container ends.
                let log = state.logs.get(&self.container)?;
                while let Some(line) = log.lines.get(self.read) {
                    self.read += 1;
                    if self.options.matches(line) {
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

    fn chunk(&self, line: &LogLine) -> OutputChunk {
        let bytes = if self.options.timestamps {
            let mut bytes = BytesMut::new();
            bytes.extend_from_slice(format!("{:.9} ", line.at).as_bytes());
            bytes.extend_from_slice(&line.bytes);
            bytes.freeze()
        } else {
            line.bytes.clone()
        };
        OutputChunk {
            source: line.source,
            bytes,
        }
    }
}

fn generate(script: LogScript, reader: FakeLogReader) -> LogStream {
    let mut pattern = vec![b'x'; script.line.saturating_sub(1)];
    pattern.push(b'\n');
    let chunk = script.chunk.clamp(1, OutputChunk::MAX_LEN);
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
            // A stream that is always ready would starve the timers of its reader.
            tokio::task::coop::consume_budget().await;
            let len = chunk.min(usize::try_from(left).unwrap_or(usize::MAX));
            let from = usize::try_from(sent % line as u64).unwrap_or(0);
            let item = OutputChunk {
                source: OutputSource::Stdout,
                bytes: block.slice(from..from + len),
            };
            Some((Ok(item), (sent + len as u64, reader)))
        }
    })
    .boxed()
}

/// The methods that write output. A missing container panics, since it is a bug in
/// the test.
impl FakeEngine {
    /// Writes `bytes` as one line.
    pub fn write_log(&self, id: &str, source: OutputSource, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.change(|state| {
            let at = state.now();
            state
                .log(&self.container_ref(id))
                .lines
                .push(LogLine { source, at, bytes });
        });
    }

    /// Ends the output: streams that follow it end after the last line.
    pub fn end_log(&self, id: &str) {
        self.change(|state| state.log(&self.container_ref(id)).ended = true);
    }

    /// Ends every stream with this error after the last line.
    pub fn break_log(&self, id: &str, error: EngineError) {
        self.change(|state| state.log(&self.container_ref(id)).failure = Some(error));
    }

    /// Generates the output. The options of a stream are ignored except for
    /// `follow`.
    pub fn generate_log(&self, id: &str, script: LogScript) {
        self.change(|state| state.log(&self.container_ref(id)).script = Some(script));
    }

    /// Returns the number of open log streams of this container.
    pub fn log_readers(&self, id: &str) -> usize {
        let container = self.container_ref(id);
        self.lock()
            .logs
            .get(&container)
            .map_or(0, |log| log.readers)
    }
}

impl super::EngineState {
    #[expect(
        clippy::expect_used,
        reason = "a test helper fails its test by panicking"
    )]
    fn log(&mut self, container: &ContainerRef) -> &mut ContainerLog {
        self.logs
            .get_mut(container)
            .expect("there is no container with this ID")
    }
}
