//! Splits what a backend writes to its standard output or standard error into
//! lines for the daemon's log.
//!
//! Written by hand: `std::io::LineWriter` and the codecs of tokio keep a line of
//! any length.

use crate::host_context::MAX_LOG_LINE_BYTES;

/// The bytes of a line that has not ended yet, at most [`MAX_LOG_LINE_BYTES`].
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    line: Vec<u8>,
}

impl LineBuffer {
    /// Appends `bytes`, and calls `log` for each line that they complete. What a
    /// line has beyond the maximum is dropped. Empty lines are left out.
    pub(crate) fn push(&mut self, bytes: &[u8], mut log: impl FnMut(&str)) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            // One byte more than the maximum shows that the line was longer.
            let free = (MAX_LOG_LINE_BYTES + 1).saturating_sub(self.line.len());
            let kept = part.get(..free).unwrap_or(part);
            self.line.extend_from_slice(kept);
            if parts.peek().is_some() {
                self.flush(&mut log);
            }
        }
    }

    /// Calls `log` for a line that was begun and has no end.
    pub(crate) fn flush(&mut self, mut log: impl FnMut(&str)) {
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim_end();
        if !line.is_empty() {
            log(line);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines that `pieces` make, with what is left at the end.
    fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut buffer = LineBuffer::default();
        let mut lines = Vec::new();
        for piece in pieces {
            buffer.push(piece, |line| lines.push(line.to_owned()));
        }
        buffer.flush(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn a_line_may_be_written_in_pieces() {
        assert_eq!(
            lines([b"on".as_slice(), b"e\ntwo\n\nth", b"ree\r\n", b"rest"]),
            ["one", "two", "three", "rest"]
        );
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_complete() {
        let piece = vec![b'x'; MAX_LOG_LINE_BYTES];
        let lines = lines([&piece, &piece, b"end\nnext\n".as_slice()]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), MAX_LOG_LINE_BYTES + 1);
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn a_character_may_be_written_in_pieces() {
        assert_eq!(lines([&b"\xc3"[..], b"\xa4\n"]), ["ä"]);
        assert_eq!(lines([&b"\xff\n"[..]]), ["\u{fffd}"]);
    }
}
