//! The output of a container, as bytes.

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::EngineError;

/// A log in progress. A log that ends without an error ends the stream; an
/// error is the last item of the stream. When the stream is dropped, the engine
/// stops sending within a second.
pub type LogStream = BoxStream<'static, Result<OutputChunk, EngineError>>;

/// The output stream of a container that a chunk comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputSource {
    /// Standard output, or the terminal of a container that has one.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A run of bytes from one source. A chunk may begin and end anywhere, also
/// within a line or a character, and its bytes need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChunk {
    /// The stream that the bytes come from.
    pub source: OutputSource,
    /// At most [`OutputChunk::MAX_LEN`] bytes.
    pub bytes: Bytes,
}

impl OutputChunk {
    /// The number of bytes up to which backends coalesce. In measurements,
    /// larger chunks were not faster; they cost each viewer latency and memory.
    pub const MAX_LEN: usize = 64 * 1024;
}
