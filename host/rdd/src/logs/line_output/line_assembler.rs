//! Lines from entries.

use tokio_tungstenite::tungstenite::Bytes;

use crate::logs::mux_client::LogEntry;

/// The bytes after which a line is divided: of one that never ends, no more than
/// this is held.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// When its beginning was written, in nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) is_stderr: bool,
    /// The bytes, without the newline.
    pub(crate) bytes: Bytes,
    /// The credit that is returned when it is printed.
    pub(crate) cost: usize,
}

/// The incomplete lines of the two streams of a container.
#[derive(Default)]
pub(super) struct LineAssembler {
    stdout: Option<PartialLine>,
    stderr: Option<PartialLine>,
}

struct PartialLine {
    time: i64,
    bytes: Vec<u8>,
}

impl LineAssembler {
    /// Adds an entry. Returns the line that it completes, or the credit that it
    /// cost.
    pub(super) fn push(&mut self, entry: LogEntry) -> Result<LogLine, usize> {
        let cost = entry.cost();
        let LogEntry {
            time,
            is_stderr,
            is_partial,
            bytes,
        } = entry;
        let partial = if is_stderr {
            &mut self.stderr
        } else {
            &mut self.stdout
        };
        let line = |time, bytes| LogLine {
            time,
            is_stderr,
            bytes,
            cost,
        };
        if partial.is_none() && !is_partial {
            return Ok(line(time, bytes));
        }
        let begun = partial.get_or_insert_with(|| PartialLine {
            time,
            bytes: Vec::new(),
        });
        begun.bytes.extend_from_slice(&bytes);
        if is_partial && begun.bytes.len() < MAX_LINE_BYTES {
            return Err(cost);
        }
        match partial.take() {
            Some(whole) => Ok(line(whole.time, whole.bytes.into())),
            None => Err(cost),
        }
    }

    /// Returns the lines that have no end.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = LogLine> {
        let rest = [(false, self.stdout.take()), (true, self.stderr.take())];
        let mut lines: Vec<_> = rest
            .into_iter()
            .filter_map(|(is_stderr, partial)| {
                partial.map(|PartialLine { time, bytes }| LogLine {
                    time,
                    is_stderr,
                    bytes: bytes.into(),
                    cost: 0,
                })
            })
            .collect();
        lines.sort_by_key(|line| line.time);
        lines.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time: i64, is_stderr: bool, is_partial: bool, text: &str) -> LogEntry {
        LogEntry {
            time,
            is_stderr,
            is_partial,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    fn line(time: i64, is_stderr: bool, text: &str, cost: usize) -> LogLine {
        LogLine {
            time,
            is_stderr,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            cost,
        }
    }

    #[test]
    fn the_parts_of_lines_of_both_streams_may_cross() {
        let mut assembler = LineAssembler::default();
        assert_eq!(assembler.push(entry(1, false, true, "ab")), Err(2));
        assert_eq!(assembler.push(entry(2, true, true, "x")), Err(1));
        assert_eq!(
            assembler.push(entry(1, false, false, "c")),
            Ok(line(1, false, "abc", 1))
        );
        assert_eq!(
            assembler.push(entry(3, false, false, "d")),
            Ok(line(3, false, "d", 1))
        );
        assert_eq!(
            assembler.push(entry(2, true, false, "")),
            Ok(line(2, true, "x", 1))
        );
        assert_eq!(assembler.finish().count(), 0);
    }

    #[test]
    fn lines_without_an_end_are_returned_in_the_end() {
        let mut assembler = LineAssembler::default();
        assert_eq!(assembler.push(entry(5, false, true, "later")), Err(5));
        assert_eq!(assembler.push(entry(4, true, true, "first")), Err(5));
        let rest: Vec<_> = assembler.finish().collect();
        assert_eq!(
            rest,
            [line(4, true, "first", 0), line(5, false, "later", 0)]
        );
        assert_eq!(assembler.finish().count(), 0);
    }

    #[test]
    fn a_line_that_never_ends_is_divided() {
        let mut assembler = LineAssembler::default();
        let part = "x".repeat(16 * 1024);
        let mut pushed = 0;
        let divided = loop {
            pushed += part.len();
            if let Ok(line) = assembler.push(entry(1, false, true, &part)) {
                break line;
            }
            assert!(pushed <= MAX_LINE_BYTES);
        };
        assert_eq!(divided.bytes.len(), pushed);
        assert_eq!(assembler.finish().count(), 0);
    }
}
