//! The log of a container as bytes: what was recorded, or generated output.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use rdd_core::{ContainerRef, EngineError, LogOptions, LogStream, OutputChunk, OutputSource};

use super::SharedEngine;
use super::container_log::{LineReader, LineSelection, NextLine, with_timestamp};

/// Output that is generated while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogScript {
    /// The total number of bytes, after which the log ends.
    pub total: u64,
    /// The length of each line in bytes, with its newline.
    pub line: usize,
    /// The length of each chunk or batch in bytes, at most
    /// [`OutputChunk::MAX_LEN`].
    pub chunk: usize,
}

/// A read of recorded output as bytes.
struct ChunkReader {
    lines: LineReader,
    timestamps: bool,
    /// What is left of a line that is longer than a chunk.
    rest: Option<OutputChunk>,
}

pub(super) fn stream(
    shared: Arc<SharedEngine>,
    container: ContainerRef,
    options: &LogOptions,
) -> Result<LogStream, EngineError> {
    let (lines, script) = LineReader::open(shared, container, LineSelection::from(options))?;
    if let Some(script) = script {
        return Ok(generate(script, lines));
    }
    let reader = ChunkReader {
        lines,
        timestamps: options.timestamps,
        rest: None,
    };
    Ok(stream::unfold(reader, |mut reader| async move {
        Some((reader.next().await?, reader))
    })
    .boxed())
}

impl ChunkReader {
    async fn next(&mut self) -> Option<Result<OutputChunk, EngineError>> {
        let mut chunk = match self.rest.take() {
            Some(rest) => rest,
            None => loop {
                match self.lines.next().await {
                    NextLine::Line(line) => {
                        break OutputChunk {
                            source: line.source,
                            bytes: if self.timestamps {
                                with_timestamp(&line)
                            } else {
                                line.bytes
                            },
                        };
                    }
                    // This form has no place for gaps.
                    NextLine::Gap(_) => {}
                    NextLine::Failed(error) => return Some(Err(error)),
                    NextLine::End | NextLine::Pending => return None,
                }
            },
        };
        if chunk.bytes.len() > OutputChunk::MAX_LEN {
            self.rest = Some(OutputChunk {
                source: chunk.source,
                bytes: chunk.bytes.split_off(OutputChunk::MAX_LEN),
            });
        }
        Some(Ok(chunk))
    }
}

fn generate(script: LogScript, reader: LineReader) -> LogStream {
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
