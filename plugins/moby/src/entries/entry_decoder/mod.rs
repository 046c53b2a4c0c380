//! The decoder of a log with timestamps.

use rdd_sdk::types::{Error, MAX_CHUNK_BYTES, OutputSource};

use super::entry_time::{EntryTimeParser, TIMESTAMP_BYTES};

/// The size of a frame's header.
const HEADER_BYTES: usize = 8;
/// The source bytes of a frame. Old engines use that of standard input for
/// output.
const STDERR: u8 = 2;
const SYSTEM_ERROR: u8 = 3;
const MAX_SOURCE: u8 = SYSTEM_ERROR;
/// The maximum length of a timestamp and the space after it.
pub(super) const MAX_TIMESTAMP_BYTES: usize = 40;
/// The bytes of a message that are kept until it is complete: the timestamp, the
/// longest entry, and a newline. A longer message is divided.
pub(super) const MAX_KEPT_BYTES: usize = MAX_TIMESTAMP_BYTES + MAX_CHUNK_BYTES + 1;

/// A decoded entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecodedEntry<'a> {
    pub(super) time: i64,
    pub(super) source: OutputSource,
    pub(super) bytes: &'a [u8],
    pub(super) is_partial: bool,
}

/// A decoder that divides a log into entries. It keeps at most one entry.
pub(super) struct EntryDecoder {
    framing: Framing,
    times: EntryTimeParser,
    /// The time of the last message that had one.
    last_time: i64,
    /// The beginning of a message that is not complete. Complete messages are
    /// decoded where they were received.
    kept: Vec<u8>,
    /// Whether `kept` continues a message whose first part was decoded.
    is_continued: bool,
}

enum Framing {
    /// The log of a terminal.
    Lines,
    Frames {
        header: [u8; HEADER_BYTES],
        have: usize,
        source: u8,
        /// The bytes of the frame that have not been received.
        left: usize,
    },
}

impl EntryDecoder {
    /// Creates a decoder for the log of a terminal, or for a framed one.
    pub(super) fn new(is_raw: bool) -> Self {
        Self {
            framing: if is_raw {
                Framing::Lines
            } else {
                Framing::Frames {
                    header: [0; HEADER_BYTES],
                    have: 0,
                    source: 0,
                    left: 0,
                }
            },
            times: EntryTimeParser::default(),
            last_time: 0,
            kept: Vec::new(),
            is_continued: false,
        }
    }

    /// Decodes the next bytes of the log and passes each complete entry to
    /// `take`.
    ///
    /// # Errors
    ///
    /// Fails with `internal` if the bytes are not a valid frame, or if the engine
    /// sends an error message. The entries before it are valid.
    pub(super) fn push(
        &mut self,
        mut input: &[u8],
        mut take: impl FnMut(DecodedEntry<'_>),
    ) -> Result<(), Error> {
        while !input.is_empty() {
            let Framing::Frames {
                header,
                have,
                source,
                left,
            } = &mut self.framing
            else {
                self.push_lines(input, &mut take);
                return Ok(());
            };
            if *left == 0 {
                let complete = if *have == 0
                    && let Some((complete, later)) = input.split_first_chunk()
                {
                    input = later;
                    *complete
                } else {
                    let wanted = header.get_mut(*have..).unwrap_or_default();
                    let (now, later) = input.split_at(wanted.len().min(input.len()));
                    if let Some(target) = wanted.get_mut(..now.len()) {
                        target.copy_from_slice(now);
                    }
                    *have += now.len();
                    input = later;
                    if *have < HEADER_BYTES {
                        return Ok(());
                    }
                    *have = 0;
                    *header
                };
                let [of, padding @ .., a, b, c, d] = complete;
                if of > MAX_SOURCE {
                    return Err(Error::internal(format!(
                        "the engine sent a frame of the log with the unknown source {of}"
                    )));
                }
                if padding != [0; 3] {
                    return Err(Error::internal(format!(
                        "the engine sent a corrupt log: a frame begins with {of:#04x} {padding:02x?}"
                    )));
                }
                *source = of;
                *left = u32::from_be_bytes([a, b, c, d]) as usize;
                if *left > 0 || of != SYSTEM_ERROR {
                    continue;
                }
            }
            let (now, later) = input.split_at((*left).min(input.len()));
            *left -= now.len();
            let (source, is_end) = (*source, *left == 0);
            input = later;
            self.push_message(now, source, is_end, &mut take)?;
        }
        Ok(())
    }

    /// Ends the log. A line without a newline is a partial entry.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the log ended within a frame.
    pub(super) fn finish(&mut self, mut take: impl FnMut(DecodedEntry<'_>)) -> Result<(), Error> {
        if let Framing::Frames { have, left, .. } = self.framing {
            if have > 0 || left > 0 {
                return Err(Error::unavailable(
                    "the engine ended the log within a frame",
                ));
            }
        } else if !self.kept.is_empty() {
            let message = std::mem::take(&mut self.kept);
            self.decode(&message, OutputSource::Stdout, &mut take);
        }
        Ok(())
    }

    /// Returns the number of bytes that are kept.
    #[cfg(any(test, fuzzing))]
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.len()
    }

    /// Adds bytes of one frame. `is_end` says that they complete it.
    fn push_message(
        &mut self,
        bytes: &[u8],
        source: u8,
        is_end: bool,
        take: &mut impl FnMut(DecodedEntry<'_>),
    ) -> Result<(), Error> {
        if source == SYSTEM_ERROR {
            let room = MAX_KEPT_BYTES.saturating_sub(self.kept.len());
            self.kept
                .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            if !is_end {
                return Ok(());
            }
            let message = std::mem::take(&mut self.kept);
            return Err(Error::internal(format!(
                "the engine cannot read the log: {}",
                String::from_utf8_lossy(&message).trim()
            )));
        }
        let source = if source == STDERR {
            OutputSource::Stderr
        } else {
            OutputSource::Stdout
        };
        if is_end && self.kept.is_empty() {
            self.decode(bytes, source, take);
            return Ok(());
        }
        self.keep(bytes, source, take);
        if is_end {
            let message = std::mem::take(&mut self.kept);
            self.decode(&message, source, take);
            self.kept = message;
            self.kept.clear();
        }
        Ok(())
    }

    fn push_lines(&mut self, mut input: &[u8], take: &mut impl FnMut(DecodedEntry<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', input) {
            let (line, rest) = input.split_at(end + 1);
            input = rest;
            if self.kept.is_empty() {
                self.decode(line, OutputSource::Stdout, take);
            } else {
                self.keep(line, OutputSource::Stdout, take);
                let message = std::mem::take(&mut self.kept);
                self.decode(&message, OutputSource::Stdout, take);
                self.kept = message;
                self.kept.clear();
            }
        }
        self.keep(input, OutputSource::Stdout, take);
    }

    /// Keeps the bytes of an incomplete message. What no entry can hold is
    /// decoded as partial entries.
    fn keep(
        &mut self,
        mut bytes: &[u8],
        source: OutputSource,
        take: &mut impl FnMut(DecodedEntry<'_>),
    ) {
        loop {
            let limit = if self.is_continued {
                MAX_CHUNK_BYTES + 1
            } else {
                MAX_KEPT_BYTES
            };
            let room = limit.saturating_sub(self.kept.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.kept.extend_from_slice(now);
            bytes = later;
            if bytes.is_empty() {
                return;
            }
            let message = std::mem::take(&mut self.kept);
            let content = self.content(&message);
            // At least one byte is left, so the last part is decoded at the end.
            let (part, rest) = content
                .split_at_checked(MAX_CHUNK_BYTES)
                .unwrap_or((content, &[]));
            take(DecodedEntry {
                time: self.last_time,
                source,
                bytes: part,
                is_partial: true,
            });
            self.kept = rest.to_vec();
            self.is_continued = true;
        }
    }

    /// Decodes a complete message, or the rest of one.
    fn decode(
        &mut self,
        message: &[u8],
        source: OutputSource,
        take: &mut impl FnMut(DecodedEntry<'_>),
    ) {
        let content = self.content(message);
        self.is_continued = false;
        let (bytes, is_partial) = match content.strip_suffix(b"\n") {
            Some(line) => (line, false),
            None => (content, true),
        };
        take(DecodedEntry {
            time: self.last_time,
            source,
            bytes,
            is_partial,
        });
    }

    /// Returns the message without its timestamp, which becomes `last_time`. A
    /// part that an engine cut without a timestamp has that of the one before.
    fn content<'a>(&mut self, message: &'a [u8]) -> &'a [u8] {
        if self.is_continued {
            return message;
        }
        if let Some((usual, [b' ', rest @ ..])) = message.split_first_chunk::<TIMESTAMP_BYTES>()
            && let Some(time) = self.times.parse_usual(usual)
        {
            self.last_time = time;
            return rest;
        }
        let prefix = message.get(..MAX_TIMESTAMP_BYTES).unwrap_or(message);
        if let Some(end) = memchr::memchr(b' ', prefix)
            && let Some((text, rest)) = message.split_at_checked(end)
            && let Some(time) = self.times.parse(text)
        {
            self.last_time = time;
            return rest.get(1..).unwrap_or_default();
        }
        message
    }
}

#[cfg(test)]
mod tests;
