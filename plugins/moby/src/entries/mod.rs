//! Container logs as entries (`get-entries`).
//!
//! The engine sends each message of a log with its timestamp. In the framed
//! format, a frame is a message; in that of a terminal, a message ends with its
//! newline.
//!
//! A position is found by its time: the engine selects the messages of that time
//! and later ones. Messages that follow it in the log with an earlier time, after
//! the clock was set back, are found by reading from an hour before.

mod entry_decoder;
mod entry_time;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use rdd_sdk::entries::EntryBatcher;
use rdd_sdk::types::{EntryOptions, EntryPosition, Error, GapReason, LogOptions, Timestamp};
use rdd_sdk::{EntryResponder, EntrySink};

use crate::backend::MobyBackend;
use crate::log_source::LogSource;
use crate::time;
use entry_decoder::EntryDecoder;

/// How far a clock may be set back without the loss of entries after a position,
/// from the contract.
const MAX_SETBACK_SECONDS: i64 = 3600;
const SECOND: i64 = 1_000_000_000;

/// Sends the entries of a container's log.
pub(crate) async fn run(
    moby: &MobyBackend,
    id: &str,
    options: &EntryOptions,
    responder: EntryResponder,
) -> Result<(), Error> {
    let mut request = LogOptions {
        follow: options.follow,
        tail: options.tail,
        since: options.since,
        until: options.until,
        timestamps: true,
        stdout: options.stdout,
        stderr: options.stderr,
    };
    let mut batcher = EntryBatcher::new();
    if let Some(position) = options.after {
        match find(moby, id, &request, position).await? {
            None => {
                let begin = time::add_seconds(timestamp(position.time), -MAX_SETBACK_SECONDS);
                request.since = Some(begin);
                batcher = EntryBatcher::after(position);
            }
            Some(gap) => batcher.push_gap(gap),
        }
    }
    let source = LogSource::open(moby, id, &request).await?;
    // There are no more requests. An idle connection would use a file
    // descriptor for as long as the log is open.
    moby.client.close_idle(0);
    copy_entries(source, batcher, responder.accept()).await
}

/// Copies the entries from the engine to the host, which applies back-pressure.
async fn copy_entries(
    mut source: LogSource,
    mut batcher: EntryBatcher,
    mut sink: EntrySink,
) -> Result<(), Error> {
    let mut decoder = EntryDecoder::new(source.is_raw);
    // A gap stands before everything, also in a log that is empty now.
    sink.send(batcher.take_batches()).await?;
    loop {
        let mut decoded = Ok(());
        let more = source
            .read(|bytes| {
                if decoded.is_ok() {
                    decoded = decoder.push(&bytes, |entry| {
                        batcher.push(entry.time, entry.source, entry.bytes, entry.is_partial);
                    });
                }
            })
            .await;
        let is_at_end = matches!(more, Ok(false));
        let finished = match is_at_end {
            true => decoder.finish(|entry| {
                batcher.push(entry.time, entry.source, entry.bytes, entry.is_partial);
            }),
            false => Ok(()),
        };
        // The entries before an error are valid.
        sink.send(batcher.take_batches()).await?;
        decoded?;
        finished?;
        more?;
        if is_at_end {
            return Ok(());
        }
    }
}

/// Looks for the entry at `position`. Returns the reason of the gap if the log
/// does not have it.
async fn find(
    moby: &MobyBackend,
    id: &str,
    request: &LogOptions,
    position: EntryPosition,
) -> Result<Option<GapReason>, Error> {
    let from_position = LogOptions {
        follow: false,
        tail: None,
        since: Some(timestamp(position.time)),
        until: None,
        ..*request
    };
    let mut left = Some(position.index);
    scan(moby, id, &from_position, |time| {
        if time == position.time {
            left = left.and_then(|left| left.checked_sub(1));
        }
        left.is_none()
    })
    .await?;
    if left.is_none() {
        return Ok(None);
    }
    // The first entry that is left tells whether older ones were discarded.
    let from_begin = LogOptions {
        since: None,
        ..from_position
    };
    let mut first = None;
    scan(moby, id, &from_begin, |time| {
        first = Some(time);
        true
    })
    .await?;
    Ok(Some(match first {
        Some(first) if first > position.time => GapReason::Rotated,
        _ => GapReason::Unknown,
    }))
}

/// Passes the time of each entry to `is_done` until it returns true, or to the
/// end of the log.
async fn scan(
    moby: &MobyBackend,
    id: &str,
    request: &LogOptions,
    mut is_done: impl FnMut(i64) -> bool,
) -> Result<(), Error> {
    let mut source = LogSource::open(moby, id, request).await?;
    let mut decoder = EntryDecoder::new(source.is_raw);
    let mut done = false;
    loop {
        let mut decoded = Ok(());
        let more = source
            .read(|bytes| {
                if decoded.is_ok() && !done {
                    decoded = decoder.push(&bytes, |entry| done = done || is_done(entry.time));
                }
            })
            .await?;
        decoded?;
        if done || !more {
            return Ok(());
        }
    }
}

/// Converts the time of an entry.
fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp {
        seconds: nanoseconds.div_euclid(SECOND),
        // Less than a second.
        nanoseconds: nanoseconds.rem_euclid(SECOND) as u32,
    }
}
