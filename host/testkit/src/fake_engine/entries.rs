//! The log of a container as entries.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use rdd_core::{
    ContainerRef, EngineError, EntryBatch, EntryHeader, EntryOptions, EntryStream, ErrorCode,
    OutputSource,
};

use super::SharedEngine;
use super::container_log::{LineReader, LineSelection, LogLine, NextLine};
use super::logs::LogScript;
use super::state::EPOCH;

/// A read of recorded output as entries.
struct EntryReader {
    lines: LineReader,
    /// What was read and did not fit into the last batch.
    next: Option<NextLine>,
}

pub(super) fn stream(
    shared: Arc<SharedEngine>,
    container: ContainerRef,
    options: &EntryOptions,
) -> Result<EntryStream, EngineError> {
    if options.after.is_some() && (options.tail.is_some() || options.since.is_some()) {
        return Err(EngineError::new(
            ErrorCode::InvalidArgument,
            "after excludes tail and since",
        ));
    }
    let (lines, script) = LineReader::open(shared, container, LineSelection::from(options))?;
    if let Some(script) = script {
        return Ok(generate(script, lines));
    }
    let reader = EntryReader { lines, next: None };
    Ok(stream::unfold(reader, |mut reader| async move {
        Some((reader.next().await?, reader))
    })
    .boxed())
}

impl EntryReader {
    /// Returns what is available as one batch, and waits if nothing is.
    async fn next(&mut self) -> Option<Result<EntryBatch, EngineError>> {
        let mut next = match self.next.take() {
            Some(next) => next,
            None => self.lines.next().await,
        };
        let mut gap = None;
        let mut headers = Vec::new();
        let mut bytes = BytesMut::new();
        loop {
            match next {
                NextLine::Gap(reason) if headers.is_empty() && gap.is_none() => gap = Some(reason),
                NextLine::Line(line) if fits(&headers, &bytes, &line) => {
                    let content = line.content();
                    headers.push(header(&line, &content));
                    bytes.extend_from_slice(&content);
                }
                NextLine::Pending => break,
                NextLine::Failed(error) if headers.is_empty() && gap.is_none() => {
                    return Some(Err(error));
                }
                NextLine::End if headers.is_empty() && gap.is_none() => return None,
                next => {
                    self.next = Some(next);
                    break;
                }
            }
            next = self.lines.poll();
        }
        Some(batch(gap, headers, bytes.freeze()))
    }
}

fn fits(headers: &[EntryHeader], bytes: &[u8], line: &LogLine) -> bool {
    headers.len() < EntryBatch::MAX_ENTRIES
        && bytes.len() + line.content().len() <= EntryBatch::MAX_BYTES
}

fn header(line: &LogLine, content: &[u8]) -> EntryHeader {
    EntryHeader {
        time: line.time(),
        // A line was recorded in parts that are shorter.
        length: u32::try_from(content.len()).unwrap_or(u32::MAX),
        source: line.source,
        is_partial: line.is_partial,
    }
}

fn batch(
    gap: Option<rdd_core::GapReason>,
    headers: Vec<EntryHeader>,
    bytes: Bytes,
) -> Result<EntryBatch, EngineError> {
    EntryBatch::new(gap, headers, bytes)
        .map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))
}

/// Generates lines whose times differ by a microsecond.
fn generate(script: LogScript, reader: LineReader) -> EntryStream {
    let line = script.line.clamp(1, EntryBatch::MAX_BYTES);
    let content = line - 1;
    let lines = (script.chunk.min(EntryBatch::MAX_BYTES) / line).clamp(1, EntryBatch::MAX_ENTRIES);
    let block = Bytes::from(vec![b'x'; content * lines]);
    let total = script.total / line as u64;
    stream::unfold((0_u64, reader), move |(sent, reader)| {
        let block = block.clone();
        async move {
            let count = (total - sent).min(lines as u64);
            if count == 0 {
                return None;
            }
            // A stream that is always ready would starve the timers of its reader.
            tokio::task::coop::consume_budget().await;
            let headers: Vec<_> = (sent..sent + count)
                .map(|number| EntryHeader {
                    time: EPOCH * 1_000_000_000 + i64::try_from(number).unwrap_or(0) * 1_000,
                    length: u32::try_from(content).unwrap_or(0),
                    source: OutputSource::Stdout,
                    is_partial: false,
                })
                .collect();
            let bytes = block.slice(..content * headers.len());
            Some((batch(None, headers, bytes), (sent + count, reader)))
        }
    })
    .boxed()
}
