//! The form of a log that a backend does not have, derived from the one that it
//! has.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};

use crate::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryBatch, EntryHeader, EntryOptions, EntryStream, ErrorCode, ExecOptions, ExecSession,
    InspectResponse, LogOptions, LogStream, ObjectRef, OutputChunk, OutputSource, PullSpec,
    PushSpec, RemoveRequest, Timestamp, TransferStream, VolumeSpec, WatchStream,
};

/// An engine with both forms of logs, whose backend may have only one of them.
///
/// Entries that are derived from bytes have no times, and bytes that are derived
/// from entries without times have no timestamps.
pub struct DerivedLogs(Arc<dyn ContainerEngine>);

impl DerivedLogs {
    /// Wraps `engine`.
    pub fn new(engine: Arc<dyn ContainerEngine>) -> Self {
        Self(engine)
    }
}

#[async_trait]
impl ContainerEngine for DerivedLogs {
    fn info(&self) -> &BackendInfo {
        self.0.info()
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        self.0.watch().await
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        self.0.inspect(object).await
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        let capabilities = self.info().capabilities;
        if capabilities.logs || !capabilities.entries {
            return self.0.get_logs(container, options).await;
        }
        let LogOptions {
            follow,
            tail,
            since,
            until,
            timestamps,
            stdout,
            stderr,
        } = *options;
        if timestamps && !capabilities.entry_times {
            return Err(self.unsupported("timestamps"));
        }
        let options = EntryOptions {
            follow,
            tail,
            since,
            until,
            after: None,
            stdout,
            stderr,
        };
        let entries = self.0.get_entries(container, &options).await?;
        Ok(ChunkStream::new(entries, timestamps).boxed())
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        let capabilities = self.info().capabilities;
        if capabilities.entries || !capabilities.logs {
            return self.0.get_entries(container, options).await;
        }
        let EntryOptions {
            follow,
            tail,
            since,
            until,
            after,
            stdout,
            stderr,
        } = *options;
        if after.is_some() {
            return Err(self.unsupported("positions in a log"));
        }
        let options = LogOptions {
            follow,
            tail,
            since,
            until,
            timestamps: false,
            stdout,
            stderr,
        };
        let chunks = self.0.get_logs(container, &options).await?;
        Ok(LineStream::new(chunks).boxed())
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.0.act(container, action).await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.0.remove(request).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        self.0.create_container(spec).await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.0.create_volume(spec).await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        self.0.exec(container, options).await
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        self.0.pull(spec).await
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        self.0.push(spec).await
    }
}

impl DerivedLogs {
    fn unsupported(&self, what: &str) -> EngineError {
        EngineError::new(
            ErrorCode::Unsupported,
            format!("the backend {} does not support {what}", self.info().name),
        )
    }
}

/// Divides bytes into lines. It keeps at most one entry of each source.
struct LineStream {
    /// `None` after its end.
    chunks: Option<LogStream>,
    stdout: BytesMut,
    stderr: BytesMut,
    failure: Option<EngineError>,
}

impl LineStream {
    fn new(chunks: LogStream) -> Self {
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
    fn boxed(self) -> EntryStream {
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

/// Joins entries to bytes.
struct ChunkStream {
    entries: EntryStream,
    with_timestamps: bool,
    /// Whether the last entry of a source was partial, so that the next one
    /// continues its line: standard output, standard error.
    is_continued: [bool; 2],
    ready: VecDeque<OutputChunk>,
}

impl ChunkStream {
    fn new(entries: EntryStream, with_timestamps: bool) -> Self {
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
            bytes: Bytes::from_static(b"half"),
        };
        let chunks = stream::iter(vec![Ok(chunk), Err(failed.clone())]).boxed();
        let items = collect(LineStream::new(chunks).boxed());
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].as_ref().unwrap().bytes(), "half");
        assert_eq!(items[1], Err(failed));
    }

    fn joined(entries: Vec<(OutputSource, &str, bool)>, with_timestamps: bool) -> Vec<Entry> {
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
        collect(chunks)
            .into_iter()
            .map(|chunk| {
                let chunk = chunk.unwrap();
                (chunk.source, chunk.bytes.to_vec(), false)
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
        let expected: Vec<Entry> = vec![
            (OUT, b"one\ntw".to_vec(), false),
            (ERR, b"error\n".to_vec(), false),
            (OUT, b"o\n".to_vec(), false),
        ];
        assert_eq!(joined(entries.clone(), false), expected);
        let stamp = "1970-01-01T00:00:01.500000000Z ";
        let expected: Vec<Entry> = vec![
            (OUT, format!("{stamp}one\n{stamp}tw").into_bytes(), false),
            (ERR, format!("{stamp}error\n").into_bytes(), false),
            (OUT, b"o\n".to_vec(), false),
        ];
        assert_eq!(joined(entries, true), expected);
    }
}
