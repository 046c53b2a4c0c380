//! Entries of a log whose backend has bytes only.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures::{Stream, StreamExt as _};

use crate::{
    EngineError, EntryBatch, EntryHeader, EntryStream, ErrorCode, LogStream, OutputChunk,
    OutputSource,
};

/// Divides bytes into lines. It keeps at most one entry of each source.
pub(super) struct LineStream {
    /// `None` after its end.
    chunks: Option<LogStream>,
    stdout: BytesMut,
    stderr: BytesMut,
    failure: Option<EngineError>,
}

impl LineStream {
    /// Creates the stream of the lines of a log.
    pub(super) fn new(chunks: LogStream) -> Self {
        Self {
            chunks: Some(chunks),
            stdout: BytesMut::new(),
            stderr: BytesMut::new(),
            failure: None,
        }
    }

    /// Returns the entries that the chunk completes.
    fn add(&mut self, chunk: OutputChunk) -> Result<Vec<EntryBatch>, EngineError> {
        let OutputChunk { source, bytes } = chunk;
        let kept = match source {
            OutputSource::Stdout => &mut self.stdout,
            OutputSource::Stderr => &mut self.stderr,
        };
        let mut batches = BatchBuilder::default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, next) = rest.split_at(end.unwrap_or(rest.len()));
            let mut line = line;
            // A line that no entry can hold is divided.
            while kept.len() + line.len() > EntryBatch::MAX_BYTES {
                let (part, more) = line.split_at(EntryBatch::MAX_BYTES - kept.len());
                kept.extend_from_slice(part);
                batches.push(source, &kept.split(), true)?;
                line = more;
            }
            kept.extend_from_slice(line);
            if end.is_some() {
                batches.push(source, &kept.split(), false)?;
            }
            // Without the newline.
            rest = next.get(1..).unwrap_or_default();
        }
        batches.finish()
    }

    /// Returns the lines without a newline at the end of the log.
    fn add_rest(&mut self) -> Result<Vec<EntryBatch>, EngineError> {
        let mut batches = BatchBuilder::default();
        for (source, kept) in [
            (OutputSource::Stdout, &mut self.stdout),
            (OutputSource::Stderr, &mut self.stderr),
        ] {
            if !kept.is_empty() {
                batches.push(source, &kept.split(), true)?;
            }
        }
        batches.finish()
    }
}

/// Adds entries to batches.
#[derive(Default)]
struct BatchBuilder {
    complete: Vec<EntryBatch>,
    headers: Vec<EntryHeader>,
    bytes: BytesMut,
}

impl BatchBuilder {
    fn push(
        &mut self,
        source: OutputSource,
        line: &[u8],
        is_partial: bool,
    ) -> Result<(), EngineError> {
        if self.headers.len() == EntryBatch::MAX_ENTRIES
            || self.bytes.len() + line.len() > EntryBatch::MAX_BYTES
        {
            self.complete_batch()?;
        }
        self.headers.push(EntryHeader {
            time: 0,
            length: u32::try_from(line.len()).unwrap_or(u32::MAX),
            source,
            is_partial,
        });
        self.bytes.extend_from_slice(line);
        Ok(())
    }

    fn complete_batch(&mut self) -> Result<(), EngineError> {
        if !self.headers.is_empty() {
            let headers = std::mem::take(&mut self.headers);
            let bytes = self.bytes.split().freeze();
            let batch = EntryBatch::new(None, headers, bytes).map_err(|error| {
                EngineError::new(ErrorCode::Internal, format!("cannot divide a log: {error}"))
            })?;
            self.complete.push(batch);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<EntryBatch>, EngineError> {
        self.complete_batch()?;
        Ok(self.complete)
    }
}

/// Adapts a stream that yields several items for one input.
struct Flattened<S> {
    source: S,
    ready: VecDeque<EntryBatch>,
}

impl LineStream {
    /// Returns the lines as batches of entries.
    pub(super) fn boxed(self) -> EntryStream {
        Flattened {
            source: self,
            ready: VecDeque::new(),
        }
        .boxed()
    }
}

impl Stream for Flattened<LineStream> {
    type Item = Result<EntryBatch, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { source, ready } = &mut *self;
        loop {
            if let Some(batch) = ready.pop_front() {
                return Poll::Ready(Some(Ok(batch)));
            }
            let Some(chunks) = &mut source.chunks else {
                return Poll::Ready(source.failure.take().map(Err));
            };
            let added = match ready!(chunks.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => source.add(chunk),
                end => {
                    source.chunks = None;
                    source.failure = end.and_then(Result::err);
                    source.add_rest()
                }
            };
            match added {
                Ok(batches) => ready.extend(batches),
                Err(error) => {
                    source.chunks = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};

    use super::*;

    type Entry = (OutputSource, Vec<u8>, bool);

    const OUT: OutputSource = OutputSource::Stdout;
    const ERR: OutputSource = OutputSource::Stderr;

    /// Returns all items of a stream that never waits.
    fn collect<S: Stream>(stream: S) -> Vec<S::Item> {
        stream.collect().now_or_never().unwrap()
    }

    fn lines(chunks: Vec<(OutputSource, Vec<u8>)>) -> Vec<Entry> {
        let chunks = chunks.into_iter().map(|(source, bytes)| {
            Ok(OutputChunk {
                source,
                bytes: bytes.into(),
            })
        });
        let batches: Vec<_> = collect(LineStream::new(stream::iter(chunks).boxed()).boxed());
        batches
            .into_iter()
            .flat_map(|batch| {
                let batch = batch.unwrap();
                let entries: Vec<Entry> = batch
                    .entries()
                    .map(|it| (it.header.source, it.bytes.to_vec(), it.header.is_partial))
                    .collect();
                entries
            })
            .collect()
    }

    #[test]
    fn bytes_are_divided_at_newlines_of_their_source() {
        let entries = lines(vec![
            (OUT, b"one\ntw".to_vec()),
            (ERR, b"error".to_vec()),
            (OUT, b"o\n\n".to_vec()),
            (ERR, b"\nend".to_vec()),
        ]);
        let expected: Vec<Entry> = vec![
            (OUT, b"one".to_vec(), false),
            (OUT, b"two".to_vec(), false),
            (OUT, b"".to_vec(), false),
            (ERR, b"error".to_vec(), false),
            (ERR, b"end".to_vec(), true),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_line_without_end_is_divided_at_64_kib() {
        let max = EntryBatch::MAX_BYTES;
        let chunks = vec![(OUT, vec![b'x'; 50_000]); 3];
        let entries = lines(chunks);
        let lengths: Vec<_> = entries.iter().map(|it| it.1.len()).collect();
        assert_eq!(lengths, [max, max, 150_000 - 2 * max]);
        assert!(entries.iter().all(|it| it.2));
        let exact = lines(vec![(OUT, vec![b'x'; max]), (OUT, b"\n".to_vec())]);
        assert_eq!((exact.len(), exact[0].2), (1, false));
    }

    #[test]
    fn an_error_comes_after_the_lines_before_it() {
        let failed = EngineError::new(ErrorCode::Unavailable, "cut");
        let chunk = OutputChunk {
            source: OUT,
            bytes: bytes::Bytes::from_static(b"half"),
        };
        let chunks = stream::iter(vec![Ok(chunk), Err(failed.clone())]).boxed();
        let items = collect(LineStream::new(chunks).boxed());
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].as_ref().unwrap().bytes(), "half");
        assert_eq!(items[1], Err(failed));
    }
}
