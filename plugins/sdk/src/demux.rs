//! The framing of Docker's logs. A log is a sequence of frames; each begins
//! with a header of eight bytes: the source, three zero bytes, and the length
//! of the frame in big endian.
//!
//! bollard decodes the same format, but buffers whole frames. This decoder
//! buffers only a partial header or a short error message, so a frame of 4 GiB
//! takes no more memory than one of four bytes.

use crate::types::{Error, MAX_CHUNK_BYTES, OutputChunk, OutputSource};

/// The source byte of standard input. Old engines use it for output.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// The source byte of an error message of the engine, which ends the log.
const SYSTEM_ERROR: u8 = 3;

/// The size of a frame's header.
const HEADER_BYTES: usize = 8;

/// The maximum size of an error message of the engine; the rest is discarded.
const MAX_SYSTEM_ERROR_BYTES: usize = 8 * 1024;

/// A decoder that splits a container's log into chunks by source.
///
/// Consecutive bytes of one source are combined into one chunk of up to
/// [`MAX_CHUNK_BYTES`].
///
/// ```
/// use rdd_sdk::demux::LogDemuxer;
/// use rdd_sdk::types::OutputSource;
///
/// let mut demuxer = LogDemuxer::multiplexed();
/// demuxer.push(b"\x02\0\0\0\0\0\0\x05error")?;
/// let chunks = demuxer.take_chunks();
/// assert_eq!(chunks[0].source, OutputSource::Stderr);
/// assert_eq!(chunks[0].bytes, b"error");
/// demuxer.finish()?;
/// # Ok::<(), rdd_sdk::types::Error>(())
/// ```
#[derive(Debug)]
pub struct LogDemuxer {
    state: FrameState,
    chunks: Vec<OutputChunk>,
}

#[derive(Debug)]
enum FrameState {
    /// In the unframed stream of a terminal.
    Raw,
    /// In a header whose first `have` bytes were received.
    Header {
        bytes: [u8; HEADER_BYTES],
        have: usize,
    },
    /// In a frame with `left` bytes to come.
    Frame { source: OutputSource, left: u32 },
    /// In an error message of the engine with `left` bytes to come.
    SystemError { text: Vec<u8>, left: u32 },
}

impl FrameState {
    const BETWEEN_FRAMES: Self = Self::Header {
        bytes: [0; HEADER_BYTES],
        have: 0,
    };
}

impl LogDemuxer {
    /// Creates a decoder for a container without a terminal.
    pub fn multiplexed() -> Self {
        Self {
            state: FrameState::BETWEEN_FRAMES,
            chunks: Vec::new(),
        }
    }

    /// Creates a decoder for a container with a terminal, whose output is not
    /// framed and counts as standard output.
    pub fn raw() -> Self {
        Self {
            state: FrameState::Raw,
            chunks: Vec::new(),
        }
    }

    /// Decodes the next bytes of the stream.
    ///
    /// # Errors
    ///
    /// Fails with `internal` if the bytes are not a valid frame, or if the
    /// engine sends an error message. The chunks before the error can still be
    /// taken.
    pub fn push(&mut self, mut input: &[u8]) -> Result<(), Error> {
        while !input.is_empty() {
            match &mut self.state {
                FrameState::Raw => {
                    append(&mut self.chunks, OutputSource::Stdout, input);
                    return Ok(());
                }
                FrameState::Header { bytes, have } => {
                    let wanted = bytes.get_mut(*have..).unwrap_or_default();
                    let (now, later) = input.split_at(wanted.len().min(input.len()));
                    if let Some(target) = wanted.get_mut(..now.len()) {
                        target.copy_from_slice(now);
                    }
                    *have += now.len();
                    input = later;
                    if *have == HEADER_BYTES {
                        self.state = parse_header(*bytes)?;
                    }
                }
                FrameState::Frame { source, left } => {
                    let (now, later) = split_at_most(input, *left);
                    append(&mut self.chunks, *source, now);
                    *left -= now.len() as u32;
                    input = later;
                    if *left == 0 {
                        self.state = FrameState::BETWEEN_FRAMES;
                    }
                }
                FrameState::SystemError { text, left } => {
                    let (now, later) = split_at_most(input, *left);
                    let kept = MAX_SYSTEM_ERROR_BYTES
                        .saturating_sub(text.len())
                        .min(now.len());
                    text.extend_from_slice(now.get(..kept).unwrap_or_default());
                    *left -= now.len() as u32;
                    input = later;
                    if *left == 0 {
                        return Err(system_error(text));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the chunks of all bytes that were pushed since the last call.
    pub fn take_chunks(&mut self) -> Vec<OutputChunk> {
        std::mem::take(&mut self.chunks)
    }

    /// Returns whether there are no chunks to take.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Checks that the stream is complete.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the stream ended within a frame, and with
    /// `internal` if it ended within an error message of the engine.
    pub fn finish(&self) -> Result<(), Error> {
        match &self.state {
            FrameState::Raw | FrameState::Header { have: 0, .. } => Ok(()),
            FrameState::SystemError { text, .. } => Err(system_error(text)),
            FrameState::Header { .. } | FrameState::Frame { .. } => Err(Error::unavailable(
                "the engine closed the log within a frame",
            )),
        }
    }
}

/// Splits off at most `left` bytes.
fn split_at_most(input: &[u8], left: u32) -> (&[u8], &[u8]) {
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    input.split_at(left.min(input.len()))
}

/// Returns the state after a complete header.
fn parse_header(header: [u8; HEADER_BYTES]) -> Result<FrameState, Error> {
    let [kind, zero @ .., a, b, c, d] = header;
    let left = u32::from_be_bytes([a, b, c, d]);
    let source = match kind {
        _ if zero != [0; 3] => None,
        STDIN | STDOUT => Some(OutputSource::Stdout),
        STDERR => Some(OutputSource::Stderr),
        SYSTEM_ERROR => {
            return Ok(FrameState::SystemError {
                text: Vec::new(),
                left,
            });
        }
        _ => None,
    };
    match source {
        Some(_) if left == 0 => Ok(FrameState::BETWEEN_FRAMES),
        Some(source) => Ok(FrameState::Frame { source, left }),
        None => Err(Error::internal(format!(
            "the engine sent a corrupt log: a frame begins with {kind:#04x} {:#04x} {:#04x} {:#04x}",
            zero[0], zero[1], zero[2]
        ))),
    }
}

fn system_error(text: &[u8]) -> Error {
    let text = String::from_utf8_lossy(text);
    Error::internal(format!(
        "the engine ended the log with an error: {}",
        text.trim()
    ))
}

fn append(chunks: &mut Vec<OutputChunk>, source: OutputSource, mut bytes: &[u8]) {
    if let Some(last) = chunks.last_mut()
        && last.source == source
    {
        let free = MAX_CHUNK_BYTES
            .saturating_sub(last.bytes.len())
            .min(bytes.len());
        let (now, later) = bytes.split_at(free);
        last.bytes.extend_from_slice(now);
        bytes = later;
    }
    for piece in bytes.chunks(MAX_CHUNK_BYTES) {
        chunks.push(OutputChunk {
            source,
            bytes: piece.to_vec(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ErrorCode;

    fn frame_of(kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 0, 0];
        frame.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        frame.extend_from_slice(bytes);
        frame
    }

    /// Joins adjacent chunks of the same source.
    fn joined(chunks: Vec<OutputChunk>) -> Vec<(OutputSource, Vec<u8>)> {
        let mut runs: Vec<(OutputSource, Vec<u8>)> = Vec::new();
        for chunk in chunks {
            assert!(!chunk.bytes.is_empty() && chunk.bytes.len() <= MAX_CHUNK_BYTES);
            match runs.last_mut() {
                Some((source, bytes)) if *source == chunk.source => bytes.extend(chunk.bytes),
                _ => runs.push((chunk.source, chunk.bytes)),
            }
        }
        runs
    }

    #[test]
    fn frames_may_be_split_anywhere() {
        let mut stream = frame_of(STDOUT, b"one\n");
        stream.extend(frame_of(STDERR, b"\xff\xfe"));
        stream.extend(frame_of(STDOUT, b""));
        stream.extend(frame_of(STDIN, b"two"));
        stream.extend(frame_of(STDOUT, b"three"));
        let expected = vec![
            (OutputSource::Stdout, b"one\n".to_vec()),
            (OutputSource::Stderr, b"\xff\xfe".to_vec()),
            (OutputSource::Stdout, b"twothree".to_vec()),
        ];
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            let mut demuxer = LogDemuxer::multiplexed();
            demuxer.push(head).unwrap();
            let mut chunks = demuxer.take_chunks();
            demuxer.push(tail).unwrap();
            chunks.extend(demuxer.take_chunks());
            demuxer.finish().unwrap();
            assert_eq!(joined(chunks), expected, "split at {cut}");
        }
    }

    #[test]
    fn partial_frames_are_not_delayed() {
        let mut demuxer = LogDemuxer::multiplexed();
        let whole = frame_of(STDOUT, b"partial line");
        demuxer.push(&whole[..HEADER_BYTES + 3]).unwrap();
        assert_eq!(demuxer.take_chunks()[0].bytes, b"par");
        demuxer.push(&whole[HEADER_BYTES + 3..]).unwrap();
        assert_eq!(demuxer.take_chunks()[0].bytes, b"tial line");
        assert!(demuxer.is_empty());
    }

    #[test]
    fn a_frame_of_4_gib_is_streamed() {
        let mut demuxer = LogDemuxer::multiplexed();
        demuxer
            .push(&[STDERR, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
            .unwrap();
        let piece = vec![b'x'; 1 << 20];
        let mut left = u64::from(u32::MAX);
        while left > 0 {
            let now = usize::try_from(left.min(piece.len() as u64)).unwrap();
            demuxer.push(&piece[..now]).unwrap();
            let taken: usize = demuxer
                .take_chunks()
                .iter()
                .map(|chunk| chunk.bytes.len())
                .sum();
            assert_eq!(taken, now);
            left -= now as u64;
        }
        demuxer.finish().unwrap();
        demuxer.push(&frame_of(STDOUT, b"after")).unwrap();
        assert_eq!(demuxer.take_chunks()[0].source, OutputSource::Stdout);
    }

    #[test]
    fn chunks_never_exceed_their_limit() {
        let mut demuxer = LogDemuxer::multiplexed();
        for _ in 0..3 {
            demuxer
                .push(&frame_of(STDOUT, &vec![b'x'; MAX_CHUNK_BYTES - 1]))
                .unwrap();
        }
        let chunks = demuxer.take_chunks();
        assert_eq!(chunks.len(), 3);
        assert_eq!(joined(chunks)[0].1.len(), 3 * (MAX_CHUNK_BYTES - 1));
    }

    #[test]
    fn an_invalid_frame_is_an_error_and_keeps_the_chunks_before_it() {
        let mut demuxer = LogDemuxer::multiplexed();
        let mut stream = frame_of(STDOUT, b"good");
        stream.extend_from_slice(b"plain text");
        let error = demuxer.push(&stream).unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.contains("corrupt"), "{}", error.message);
        assert_eq!(demuxer.take_chunks()[0].bytes, b"good");

        for header in [[9, 0, 0, 0], [1, 0, 1, 0]] {
            let mut bytes = header.to_vec();
            bytes.extend_from_slice(&[0, 0, 0, 1]);
            assert!(LogDemuxer::multiplexed().push(&bytes).is_err());
        }
    }

    #[test]
    fn an_error_message_of_the_engine_ends_the_log() {
        let mut demuxer = LogDemuxer::multiplexed();
        let error = demuxer
            .push(&frame_of(SYSTEM_ERROR, b"Error grabbing logs: EOF\n"))
            .unwrap_err();
        assert!(
            error.message.ends_with("Error grabbing logs: EOF"),
            "{}",
            error.message
        );

        let mut demuxer = LogDemuxer::multiplexed();
        demuxer
            .push(&[SYSTEM_ERROR, 0, 0, 0, 0xff, 0, 0, 0])
            .unwrap();
        for _ in 0..100 {
            demuxer.push(&[b'x'; 4096]).unwrap();
        }
        assert!(demuxer.finish().unwrap_err().message.len() < MAX_SYSTEM_ERROR_BYTES + 100);
    }

    #[test]
    fn a_log_that_ends_within_a_frame_is_incomplete() {
        for cut in 1..HEADER_BYTES + 4 {
            let mut demuxer = LogDemuxer::multiplexed();
            demuxer.push(&frame_of(STDOUT, b"four")[..cut]).unwrap();
            let error = demuxer.finish().unwrap_err();
            assert_eq!(error.code, ErrorCode::Unavailable, "{cut}");
        }
    }

    #[test]
    fn the_output_of_a_terminal_is_not_framed() {
        let mut demuxer = LogDemuxer::raw();
        let bytes = vec![1, 0, 0, 0, 0, 0, 0, 9, 0xff];
        demuxer.push(&bytes).unwrap();
        demuxer.finish().unwrap();
        assert_eq!(
            joined(demuxer.take_chunks()),
            [(OutputSource::Stdout, bytes)]
        );
    }
}
