//! Bytes of a log whose backend has entries only.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};

use crate::{EngineError, EntryBatch, EntryStream, OutputChunk, OutputSource, Timestamp};

/// Joins entries to bytes.
pub(super) struct ChunkStream {
    entries: EntryStream,
    with_timestamps: bool,
    /// Whether the last entry of a source was partial, so that the next one
    /// continues its line: standard output, standard error.
    is_continued: [bool; 2],
    ready: VecDeque<OutputChunk>,
}

impl ChunkStream {
    /// Creates the stream of the bytes of a log's entries.
    pub(super) fn new(entries: EntryStream, with_timestamps: bool) -> Self {
        Self {
            entries,
            with_timestamps,
            is_continued: [false; 2],
            ready: VecDeque::new(),
        }
    }

    fn add(&mut self, batch: &EntryBatch) {
        let mut bytes = BytesMut::new();
        let mut of = OutputSource::Stdout;
        for entry in batch.entries() {
            let source = entry.header.source;
            if source != of {
                self.push(of, &mut bytes);
                of = source;
            }
            let [stdout, stderr] = &mut self.is_continued;
            let is_continued = match source {
                OutputSource::Stdout => stdout,
                OutputSource::Stderr => stderr,
            };
            if self.with_timestamps && !*is_continued {
                let time = Timestamp::from_unix_nanoseconds(entry.header.time);
                bytes.extend_from_slice(format!("{time:.9} ").as_bytes());
            }
            bytes.extend_from_slice(entry.bytes);
            if !entry.header.is_partial {
                bytes.extend_from_slice(b"\n");
            }
            *is_continued = entry.header.is_partial;
        }
        self.push(of, &mut bytes);
    }

    fn push(&mut self, source: OutputSource, bytes: &mut BytesMut) {
        let mut bytes: Bytes = bytes.split().freeze();
        while !bytes.is_empty() {
            let length = bytes.len().min(OutputChunk::MAX_LEN);
            self.ready.push_back(OutputChunk {
                source,
                bytes: bytes.split_to(length),
            });
        }
    }
}

impl Stream for ChunkStream {
    type Item = Result<OutputChunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            match ready!(self.entries.poll_next_unpin(cx)) {
                Some(Ok(batch)) => self.add(&batch),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};

    use super::*;
    use crate::EntryHeader;

    type Chunk = (OutputSource, Vec<u8>);

    const OUT: OutputSource = OutputSource::Stdout;
    const ERR: OutputSource = OutputSource::Stderr;

    fn joined(entries: Vec<(OutputSource, &str, bool)>, with_timestamps: bool) -> Vec<Chunk> {
        let headers = entries
            .iter()
            .map(|(source, text, is_partial)| EntryHeader {
                time: 1_500_000_000,
                length: text.len() as u32,
                source: *source,
                is_partial: *is_partial,
            })
            .collect();
        let bytes: String = entries.iter().map(|(_, text, _)| *text).collect();
        let batch = EntryBatch::new(None, headers, bytes.into()).unwrap();
        let chunks = ChunkStream::new(stream::iter(vec![Ok(batch)]).boxed(), with_timestamps);
        let chunks: Vec<_> = chunks.collect().now_or_never().unwrap();
        chunks
            .into_iter()
            .map(|chunk| {
                let chunk = chunk.unwrap();
                (chunk.source, chunk.bytes.to_vec())
            })
            .collect()
    }

    #[test]
    fn entries_are_joined_with_newlines() {
        let entries = vec![
            (OUT, "one", false),
            (OUT, "tw", true),
            (ERR, "error", false),
            (OUT, "o", false),
        ];
        let expected: Vec<Chunk> = vec![
            (OUT, b"one\ntw".to_vec()),
            (ERR, b"error\n".to_vec()),
            (OUT, b"o\n".to_vec()),
        ];
        assert_eq!(joined(entries.clone(), false), expected);
        let stamp = "1970-01-01T00:00:01.500000000Z ";
        let expected: Vec<Chunk> = vec![
            (OUT, format!("{stamp}one\n{stamp}tw").into_bytes()),
            (ERR, format!("{stamp}error\n").into_bytes()),
            (OUT, b"o\n".to_vec()),
        ];
        assert_eq!(joined(entries, true), expected);
    }
}
