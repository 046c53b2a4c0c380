//! The framing of Docker's logs: eight bytes of header (source, three zero
//! bytes, length in big endian), then so many bytes, again and again.
//!
//! Invariant: nothing is held but a partial header (or a short report of the
//! engine's), so a frame of 4 GiB costs no more than one of four bytes.

use crate::types::{Error, LogChunk, LogSource, MAX_CHUNK};

/// Source byte of standard input, which old engines use for output.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// What the engine says about a failure while it streams.
const SYSTEM_ERROR: u8 = 3;

/// Length of a frame's header.
const HEADER: usize = 8;

/// Longest report of the engine's that is kept; the rest is cut.
const MAX_REPORT: usize = 8 * 1024;

/// Splits a container's output into chunks by source.
///
/// Bytes of one source that come together become one chunk, up to
/// [`MAX_CHUNK`].
#[derive(Debug)]
pub struct Demux {
    state: State,
    chunks: Vec<LogChunk>,
}

#[derive(Debug)]
enum State {
    /// One unframed stream: a terminal's.
    Raw,
    /// In a header of which the first `have` bytes are known.
    Header { bytes: [u8; HEADER], have: usize },
    /// In a frame of which so many bytes are to come.
    Frame { source: LogSource, left: u32 },
    /// In a report of the engine's.
    Report { text: Vec<u8>, left: u32 },
}

impl State {
    const BETWEEN: Self = Self::Header {
        bytes: [0; HEADER],
        have: 0,
    };
}

impl Demux {
    /// For the output of a container without a terminal.
    pub fn multiplexed() -> Self {
        Self {
            state: State::BETWEEN,
            chunks: Vec::new(),
        }
    }

    /// For the output of a terminal, which is all standard output.
    pub fn raw() -> Self {
        Self {
            state: State::Raw,
            chunks: Vec::new(),
        }
    }

    /// Takes the next bytes of the stream.
    ///
    /// Fails with `internal` on bytes that are no frame, and with the
    /// engine's words when the engine reports a failure.
    pub fn push(&mut self, mut input: &[u8]) -> Result<(), Error> {
        while !input.is_empty() {
            match &mut self.state {
                State::Raw => {
                    append(&mut self.chunks, LogSource::Stdout, input);
                    return Ok(());
                }
                State::Header { bytes, have } => {
                    let wanted = bytes.get_mut(*have..).unwrap_or_default();
                    let (now, later) = input.split_at(wanted.len().min(input.len()));
                    if let Some(target) = wanted.get_mut(..now.len()) {
                        target.copy_from_slice(now);
                    }
                    *have += now.len();
                    input = later;
                    if *have == HEADER {
                        self.state = frame(*bytes)?;
                    }
                }
                State::Frame { source, left } => {
                    let (now, later) = split(input, *left);
                    append(&mut self.chunks, *source, now);
                    *left -= now.len() as u32;
                    input = later;
                    if *left == 0 {
                        self.state = State::BETWEEN;
                    }
                }
                State::Report { text, left } => {
                    let (now, later) = split(input, *left);
                    let room = MAX_REPORT.saturating_sub(text.len()).min(now.len());
                    text.extend_from_slice(now.get(..room).unwrap_or_default());
                    *left -= now.len() as u32;
                    input = later;
                    if *left == 0 {
                        return Err(report(text));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the chunks out that are ready: all that was pushed.
    pub fn take(&mut self) -> Vec<LogChunk> {
        std::mem::take(&mut self.chunks)
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Checks that the stream may end here: an end within a frame means that
    /// something is lost, and is `unavailable`.
    pub fn finish(&self) -> Result<(), Error> {
        match &self.state {
            State::Raw | State::Header { have: 0, .. } => Ok(()),
            State::Report { text, .. } => Err(report(text)),
            State::Header { .. } | State::Frame { .. } => Err(Error::unavailable(
                "the engine ended the log within a frame",
            )),
        }
    }
}

/// At most `left` bytes, and the rest.
fn split(input: &[u8], left: u32) -> (&[u8], &[u8]) {
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    input.split_at(left.min(input.len()))
}

fn frame(header: [u8; HEADER]) -> Result<State, Error> {
    let [kind, zero @ .., a, b, c, d] = header;
    let left = u32::from_be_bytes([a, b, c, d]);
    let source = match kind {
        _ if zero != [0; 3] => None,
        STDIN | STDOUT => Some(LogSource::Stdout),
        STDERR => Some(LogSource::Stderr),
        SYSTEM_ERROR => {
            return Ok(State::Report {
                text: Vec::new(),
                left,
            });
        }
        _ => None,
    };
    match source {
        Some(_) if left == 0 => Ok(State::BETWEEN),
        Some(source) => Ok(State::Frame { source, left }),
        None => Err(Error::internal(format!(
            "the engine sent a log frame that begins with {kind:#04x} {:#04x} {:#04x} {:#04x}: the stream is corrupt",
            zero[0], zero[1], zero[2]
        ))),
    }
}

fn report(text: &[u8]) -> Error {
    let text = String::from_utf8_lossy(text);
    Error::internal(format!("the engine stopped the log: {}", text.trim()))
}

fn append(chunks: &mut Vec<LogChunk>, source: LogSource, mut bytes: &[u8]) {
    if let Some(last) = chunks.last_mut()
        && last.source == source
    {
        let room = MAX_CHUNK.saturating_sub(last.bytes.len()).min(bytes.len());
        let (now, later) = bytes.split_at(room);
        last.bytes.extend_from_slice(now);
        bytes = later;
    }
    for piece in bytes.chunks(MAX_CHUNK) {
        chunks.push(LogChunk {
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

    /// All bytes of each source in order, with equal neighbours joined.
    fn joined(chunks: Vec<LogChunk>) -> Vec<(LogSource, Vec<u8>)> {
        let mut runs: Vec<(LogSource, Vec<u8>)> = Vec::new();
        for chunk in chunks {
            assert!(!chunk.bytes.is_empty() && chunk.bytes.len() <= MAX_CHUNK);
            match runs.last_mut() {
                Some((source, bytes)) if *source == chunk.source => bytes.extend(chunk.bytes),
                _ => runs.push((chunk.source, chunk.bytes)),
            }
        }
        runs
    }

    #[test]
    fn frames_may_be_cut_anywhere() {
        let mut stream = frame_of(STDOUT, b"one\n");
        stream.extend(frame_of(STDERR, b"\xff\xfe"));
        stream.extend(frame_of(STDOUT, b""));
        stream.extend(frame_of(STDIN, b"two"));
        stream.extend(frame_of(STDOUT, b"three"));
        let expected = vec![
            (LogSource::Stdout, b"one\n".to_vec()),
            (LogSource::Stderr, b"\xff\xfe".to_vec()),
            (LogSource::Stdout, b"twothree".to_vec()),
        ];
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            let mut demux = Demux::multiplexed();
            demux.push(head).unwrap();
            let mut chunks = demux.take();
            demux.push(tail).unwrap();
            chunks.extend(demux.take());
            demux.finish().unwrap();
            assert_eq!(joined(chunks), expected, "cut at {cut}");
        }
    }

    #[test]
    fn nothing_is_held_back() {
        let mut demux = Demux::multiplexed();
        let whole = frame_of(STDOUT, b"partial line");
        demux.push(&whole[..HEADER + 3]).unwrap();
        assert_eq!(demux.take()[0].bytes, b"par");
        demux.push(&whole[HEADER + 3..]).unwrap();
        assert_eq!(demux.take()[0].bytes, b"tial line");
        assert!(demux.is_empty());
    }

    #[test]
    fn a_frame_of_4_gib_streams_through() {
        let mut demux = Demux::multiplexed();
        demux
            .push(&[STDERR, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
            .unwrap();
        let piece = vec![b'x'; 1 << 20];
        let mut left = u64::from(u32::MAX);
        while left > 0 {
            let now = usize::try_from(left.min(piece.len() as u64)).unwrap();
            demux.push(&piece[..now]).unwrap();
            let taken: usize = demux.take().iter().map(|chunk| chunk.bytes.len()).sum();
            assert_eq!(taken, now);
            left -= now as u64;
        }
        demux.finish().unwrap();
        demux.push(&frame_of(STDOUT, b"after")).unwrap();
        assert_eq!(demux.take()[0].source, LogSource::Stdout);
    }

    #[test]
    fn chunks_never_grow_beyond_their_limit() {
        let mut demux = Demux::multiplexed();
        for _ in 0..3 {
            demux
                .push(&frame_of(STDOUT, &vec![b'x'; MAX_CHUNK - 1]))
                .unwrap();
        }
        let chunks = demux.take();
        assert_eq!(chunks.len(), 3);
        assert_eq!(joined(chunks)[0].1.len(), 3 * (MAX_CHUNK - 1));
    }

    #[test]
    fn what_is_no_frame_is_an_error_after_what_was() {
        let mut demux = Demux::multiplexed();
        let mut stream = frame_of(STDOUT, b"good");
        stream.extend_from_slice(b"plain text");
        let error = demux.push(&stream).unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.contains("corrupt"), "{}", error.message);
        assert_eq!(demux.take()[0].bytes, b"good");

        for header in [[9, 0, 0, 0], [1, 0, 1, 0]] {
            let mut bytes = header.to_vec();
            bytes.extend_from_slice(&[0, 0, 0, 1]);
            assert!(Demux::multiplexed().push(&bytes).is_err());
        }
    }

    #[test]
    fn the_engines_report_ends_the_log_with_its_words() {
        let mut demux = Demux::multiplexed();
        let error = demux
            .push(&frame_of(SYSTEM_ERROR, b"Error grabbing logs: EOF\n"))
            .unwrap_err();
        assert!(
            error.message.ends_with("Error grabbing logs: EOF"),
            "{}",
            error.message
        );

        let mut demux = Demux::multiplexed();
        demux.push(&[SYSTEM_ERROR, 0, 0, 0, 0xff, 0, 0, 0]).unwrap();
        for _ in 0..100 {
            demux.push(&[b'x'; 4096]).unwrap();
        }
        assert!(demux.finish().unwrap_err().message.len() < MAX_REPORT + 100);
    }

    #[test]
    fn an_end_within_a_frame_is_a_loss() {
        for cut in 1..HEADER + 4 {
            let mut demux = Demux::multiplexed();
            demux.push(&frame_of(STDOUT, b"four")[..cut]).unwrap();
            let error = demux.finish().unwrap_err();
            assert_eq!(error.code, ErrorCode::Unavailable, "{cut}");
        }
    }

    #[test]
    fn a_terminal_has_no_frames() {
        let mut demux = Demux::raw();
        let bytes = vec![1, 0, 0, 0, 0, 0, 0, 9, 0xff];
        demux.push(&bytes).unwrap();
        demux.finish().unwrap();
        assert_eq!(joined(demux.take()), [(LogSource::Stdout, bytes)]);
    }
}
