//! The text of a cursor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdd_core::{ContainerRef, EntryBatch, EntryHeader, EntryPosition, OutputSource, Timestamp};

use crate::entries::cursor::{CursorError, CursorScope, MAX_CURSOR_BYTES, ParsedCursor, SourceSet};
use crate::entries::log_position::{LogPosition, PositionCounter};
use crate::entries::positioned_batch::PositionedBatch;

/// The first byte has the selection of sources and the meaning of the others: a
/// text, the decoded bytes of a text, or a position.
///
/// - What is parsed is encoded to the same text, which has the documented form.
/// - What is encoded is parsed to the same position.
/// - A cursor is accepted for its own container and selection only.
/// - The position after each entry that follows a cursor is known.
pub fn cursor(data: &[u8]) {
    let Some((control, rest)) = data.split_first() else {
        return;
    };
    let sources = SourceSet {
        stdout: control & 1 != 0,
        stderr: control & 2 != 0,
    };
    match control >> 2 & 3 {
        0 => {
            if let Ok(text) = str::from_utf8(rest) {
                check_text(text, sources);
            }
        }
        1 => check_text(&URL_SAFE_NO_PAD.encode(rest), sources),
        _ => check_position(rest, sources),
    }
}

fn check_text(text: &str, sources: SourceSet) {
    let parsed = ParsedCursor::parse(text, sources);
    let others = selections().filter(|other| *other != sources);
    for other in others {
        let expected = match parsed {
            Err(CursorError::OtherSources) => continue,
            Err(error) => Err(error),
            Ok(_) => Err(CursorError::OtherSources),
        };
        assert_eq!(ParsedCursor::parse(text, other), expected, "{text}");
    }
    match parsed {
        Ok(cursor) => check_cursor(text, &cursor),
        Err(CursorError::OtherSources) => {
            let accepting = selections().filter(|it| ParsedCursor::parse(text, *it).is_ok());
            assert_eq!(accepting.count(), 1, "{text}");
        }
        Err(error) => assert_eq!(error, CursorError::Malformed),
    }
}

fn check_cursor(text: &str, cursor: &ParsedCursor) {
    assert!(text.len() <= MAX_CURSOR_BYTES);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.~-".contains(&byte);
    assert!(text.bytes().all(is_allowed), "{text}");
    let scope = cursor.scope();
    let accepted = scope.accept(cursor).unwrap();
    assert!(!accepted.is_replaced);
    assert_eq!(scope.encode(accepted.position.as_ref()), text);
    if let Some(position) = accepted.position {
        check_resumed(position);
    }
    // The fuzzer finds the digest of one container, but a cursor has only one.
    let accepting = ["4c0f", "4c10"].into_iter().filter(|id| {
        let container = ContainerRef::new("moby", *id);
        let other = CursorScope::new(&container, None, cursor.sources());
        match other.accept(cursor) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, CursorError::OtherContainer);
                false
            }
        }
    });
    assert!(accepting.count() < 2, "{text}");
}

/// Checks that a log that continues at `position` has cursors.
fn check_resumed(position: LogPosition) {
    let mut counter = PositionCounter::after(position);
    let [stdout, stderr] = position.open_lines;
    let next = [
        (OutputSource::Stdout, stdout.unwrap_or(position.last).time),
        (OutputSource::Stderr, stderr.unwrap_or(position.last).time),
        (OutputSource::Stdout, position.last.time.saturating_add(1)),
        (OutputSource::Stderr, position.last.time),
    ];
    for (source, time) in next {
        let header = EntryHeader {
            time,
            length: 0,
            source,
            is_partial: false,
        };
        if let Some(time) = counter.uncounted_time(&[header]) {
            counter.set_count(time, 0);
        }
        let batch = EntryBatch::new(None, vec![header], Vec::new().into()).unwrap();
        let batch = PositionedBatch::new(batch, &mut counter);
        let after = batch.position_after(batch.len());
        assert!(after.is_some(), "{position:?}, then {header:?}");
    }
}

fn check_position(data: &[u8], sources: SourceSet) {
    let mut numbers = data.chunks(12).map(|chunk| {
        let mut bytes = [0; 12];
        bytes
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = *from);
        let [time @ .., a, b, c, d] = bytes;
        EntryPosition {
            time: i64::from_be_bytes(time),
            // An index of this size is a cursor of no log.
            index: u32::from_be_bytes([a, b, c, d]) >> 1,
        }
    });
    let creation = numbers
        .next()
        .map(|it| Timestamp::from_unix_nanoseconds(it.time));
    let position = numbers.next().map(|last| LogPosition {
        last,
        open_lines: [numbers.next(), numbers.next()],
    });
    let container = ContainerRef::new("moby", URL_SAFE_NO_PAD.encode(data));
    let scope = CursorScope::new(&container, creation, sources);
    let text = scope.encode(position.as_ref());
    let parsed = ParsedCursor::parse(&text, sources).unwrap();
    let accepted = scope.accept(&parsed).unwrap();
    assert_eq!(accepted.position, position);
    assert!(!accepted.is_replaced);
    assert_eq!(parsed.scope(), scope);
    check_text(&text, sources);

    let later = creation.map(|time| time.saturating_add(jiff::SignedDuration::from_nanos(1)));
    let replaced = CursorScope::new(&container, later, sources);
    let accepted = replaced.accept(&parsed).unwrap();
    assert_eq!(accepted.position, position);
    assert_eq!(accepted.is_replaced, creation.is_some());
    let unknown = CursorScope::new(&container, None, sources);
    assert!(!unknown.accept(&parsed).unwrap().is_replaced);
}

fn selections() -> impl Iterator<Item = SourceSet> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(stdout, stderr)| SourceSet { stdout, stderr })
}
