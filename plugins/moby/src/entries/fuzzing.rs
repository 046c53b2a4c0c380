//! The streams of logs, as bytes and with timestamps. [`crate::fuzzing`] has the
//! other properties.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

use std::fmt::Write as _;
use std::iter::once;

use rdd_sdk::demux::LogDemuxer;
use rdd_sdk::entries::EntryBatcher;
use rdd_sdk::types::{ENTRY_PARTIAL, ENTRY_STDERR, Error, MAX_CHUNK_BYTES, OutputSource};

use super::entry_decoder::{EntryDecoder, MAX_KEPT_BYTES, MAX_TIMESTAMP_BYTES};
use crate::fuzzing::PiecePlan;
use crate::time;

/// Whether the log is that of a terminal.
const IS_RAW: u8 = 1;
/// Whether the input describes the stream, so that it has long messages. Otherwise
/// it is the stream.
const IS_DESCRIBED: u8 = 1 << 1;

/// The maximum size of a described message: that of a few entries.
const MAX_MESSAGE_BYTES: usize = 150 * 1024;
/// The maximum number of described messages.
const MAX_MESSAGES: usize = 3;

/// Bytes of one source.
type SourceBytes = (OutputSource, Vec<u8>);

/// An entry: its time, source, and bytes, and whether it is partial.
type OwnedEntry = (i64, OutputSource, Vec<u8>, bool);

/// - However a log is divided, it has the same bytes, the same entries, and the same
///   error. They are those that a simple parser of the whole log finds.
/// - A demuxer delays no byte, and an entry decoder keeps no more than one entry.
/// - Both take the same logs for valid.
pub fn log_stream(data: &[u8]) {
    let Some((choice, plan, body)) = PiecePlan::split(data) else {
        return;
    };
    let is_raw = choice & IS_RAW != 0;
    let stream = match choice & IS_DESCRIBED {
        0 => body.to_vec(),
        _ => described_stream(is_raw, body),
    };
    let log = ParsedLog::parse(is_raw, &stream);

    let (bytes, end) = demux(is_raw, &stream, once(&*stream));
    assert_eq!(end.is_ok(), log.is_valid, "{end:?}");
    assert!(bytes == joined(&log.messages), "other bytes");
    let (divided, divided_end) = demux(is_raw, &stream, plan.pieces(&stream));
    assert!(divided == bytes, "other bytes in pieces");
    assert_eq!(format!("{divided_end:?}"), format!("{end:?}"));

    let (entries, end) = decode(is_raw, once(&*stream));
    assert_eq!(end.is_ok(), log.is_valid, "{end:?}");
    let expected = log.entries();
    let (complete, parts) = entries.split_at(expected.len().min(entries.len()));
    assert!(complete == expected, "other entries");
    // Of the message that was cut off.
    let is_long_part = |entry: &OwnedEntry| entry.3 && entry.2.len() == MAX_CHUNK_BYTES;
    assert!(parts.is_empty() || !log.is_valid && parts.iter().all(is_long_part));
    let (divided, divided_end) = decode(is_raw, plan.pieces(&stream));
    assert!(divided == entries, "other entries in pieces");
    assert_eq!(format!("{divided_end:?}"), format!("{end:?}"));
}

/// Demultiplexes `stream` in pieces.
fn demux<'a>(
    is_raw: bool,
    stream: &[u8],
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<SourceBytes>, Result<(), Error>) {
    let mut demuxer = match is_raw {
        true => LogDemuxer::raw(),
        false => LogDemuxer::multiplexed(),
    };
    let (mut pushed, mut taken) = (0, 0);
    let mut chunks = Vec::new();
    for piece in pieces {
        let end = demuxer.push(piece);
        pushed += piece.len();
        for chunk in demuxer.take_chunks() {
            assert!(!chunk.bytes.is_empty() && chunk.bytes.len() <= MAX_CHUNK_BYTES);
            taken += chunk.bytes.len();
            chunks.push((chunk.source, chunk.bytes));
        }
        let received = match is_raw {
            true => pushed,
            false => ParsedLog::parse(false, stream.get(..pushed).unwrap()).content_bytes(),
        };
        assert_eq!(taken, received, "bytes were delayed");
        if end.is_err() {
            return (joined(&chunks), end);
        }
    }
    (joined(&chunks), demuxer.finish())
}

/// Joins adjacent bytes of the same source.
fn joined<B: AsRef<[u8]>>(chunks: &[(OutputSource, B)]) -> Vec<SourceBytes> {
    let mut runs: Vec<SourceBytes> = Vec::new();
    for (source, bytes) in chunks {
        match runs.last_mut() {
            Some((last, run)) if last == source => run.extend_from_slice(bytes.as_ref()),
            _ => runs.push((*source, bytes.as_ref().to_vec())),
        }
    }
    runs
}

/// Decodes the entries of a stream.
fn decode<'a>(
    is_raw: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<OwnedEntry>, Result<(), Error>) {
    let mut decoder = EntryDecoder::new(is_raw);
    let mut batcher = EntryBatcher::new();
    let mut entries = Vec::new();
    for piece in pieces {
        let end = decoder.push(piece, |entry| {
            batcher.push(entry.time, entry.source, entry.bytes, entry.is_partial);
        });
        assert!(decoder.kept_bytes() <= MAX_KEPT_BYTES);
        take_entries(&mut batcher, &mut entries);
        if end.is_err() {
            return (entries, end);
        }
    }
    let end = decoder.finish(|entry| {
        batcher.push(entry.time, entry.source, entry.bytes, entry.is_partial);
    });
    take_entries(&mut batcher, &mut entries);
    (entries, end)
}

fn take_entries(batcher: &mut EntryBatcher, entries: &mut Vec<OwnedEntry>) {
    for batch in batcher.take_batches() {
        let mut bytes = &*batch.bytes;
        for header in batch.headers {
            let (entry, rest) = bytes.split_at(header.length as usize);
            bytes = rest;
            let source = match header.attributes & ENTRY_STDERR {
                0 => OutputSource::Stdout,
                _ => OutputSource::Stderr,
            };
            let is_partial = header.attributes & ENTRY_PARTIAL != 0;
            entries.push((header.time, source, entry.to_vec(), is_partial));
        }
        assert!(bytes.is_empty());
    }
}

/// What a simple parser finds in a log.
struct ParsedLog<'a> {
    /// The bytes of each message that is not empty. The last one may be cut off.
    messages: Vec<(OutputSource, &'a [u8])>,
    /// Whether the last one is complete.
    is_complete: bool,
    /// Whether the log has neither an error nor an incomplete frame.
    is_valid: bool,
}

impl<'a> ParsedLog<'a> {
    fn parse(is_raw: bool, stream: &'a [u8]) -> Self {
        if is_raw {
            let lines = stream.split_inclusive(|byte| *byte == b'\n');
            return Self {
                messages: lines.map(|line| (OutputSource::Stdout, line)).collect(),
                is_complete: true,
                is_valid: true,
            };
        }
        let mut messages = Vec::new();
        let mut rest = stream;
        loop {
            let end = |messages, is_complete, is_valid| Self {
                messages,
                is_complete,
                is_valid,
            };
            let Some((header, content)) = rest.split_first_chunk::<8>() else {
                return end(messages, true, rest.is_empty());
            };
            let (source, length) = match *header {
                [0 | 1, 0, 0, 0, length @ ..] => (OutputSource::Stdout, length),
                [2, 0, 0, 0, length @ ..] => (OutputSource::Stderr, length),
                // An error of the engine, or no frame.
                _ => return end(messages, true, false),
            };
            let length = u32::from_be_bytes(length) as usize;
            let (message, next) = content.split_at(length.min(content.len()));
            if !message.is_empty() {
                messages.push((source, message));
            }
            if message.len() < length {
                return end(messages, message.is_empty(), false);
            }
            rest = next;
        }
    }

    fn content_bytes(&self) -> usize {
        self.messages.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Returns the entries of the complete messages.
    fn entries(&self) -> Vec<OwnedEntry> {
        let cut_off = usize::from(!self.is_complete);
        let complete = self.messages.iter();
        let complete = complete.take(self.messages.len() - cut_off);
        let mut last_time = 0;
        let mut entries = Vec::new();
        for (source, message) in complete {
            let space = message.iter().position(|byte| *byte == b' ');
            let space = space.filter(|at| *at < MAX_TIMESTAMP_BYTES);
            let time = space.and_then(|at| parse_time(message.get(..at)?));
            let content = match (time, space) {
                (Some(time), Some(at)) => {
                    last_time = time;
                    message.get(at + 1..).unwrap()
                }
                _ => message,
            };
            let line = content.strip_suffix(b"\n");
            let mut rest = line.unwrap_or(content);
            while let Some((part, next)) = rest.split_at_checked(MAX_CHUNK_BYTES)
                && !next.is_empty()
            {
                entries.push((last_time, *source, part.to_vec(), true));
                rest = next;
            }
            entries.push((last_time, *source, rest.to_vec(), line.is_none()));
        }
        entries
    }
}

/// Returns nanoseconds since the Unix epoch, or the nearest time that fits.
fn parse_time(text: &[u8]) -> Option<i64> {
    let time = time::parse(str::from_utf8(text).ok()?)?;
    let time = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
    let nearest = time.clamp(i64::MIN.into(), i64::MAX.into());
    i64::try_from(nearest).ok()
}

/// Makes a stream of messages that are described by three bytes and a repeated
/// content each.
fn described_stream(is_raw: bool, mut description: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for number in 0..MAX_MESSAGES {
        let Some(([kind, length, repetitions], rest)) = description.split_first_chunk() else {
            break;
        };
        let (content, rest) = rest.split_at(usize::from(length % 48).min(rest.len()));
        description = rest;
        let mut message = String::new();
        if kind & 1 << 4 != 0 {
            write!(message, "2026-01-31T12:00:00.{number:09}Z ").unwrap();
        }
        let mut message = message.into_bytes();
        let size = content.len() << (repetitions % 15);
        // One byte more or less makes a difference at the limits.
        let size = size.min(MAX_MESSAGE_BYTES) + usize::from(repetitions / 15);
        message.extend(content.iter().copied().cycle().take(size));
        if kind & 1 << 5 != 0 {
            message.push(b'\n');
        }
        if !is_raw {
            let padding = u8::from(kind & 0xc0 == 0xc0);
            stream.extend([kind & 0x0f, 0, padding, 0]);
            let length = u32::try_from(message.len()).unwrap();
            stream.extend(length.to_be_bytes());
        }
        stream.extend(message);
    }
    stream.extend_from_slice(description);
    stream
}
