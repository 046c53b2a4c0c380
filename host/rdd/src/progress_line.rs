//! A progress line at the bottom of a terminal that does not mix with log lines.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Moves the cursor to the beginning of the line and erases it.
const ERASE_LINE: &[u8] = b"\r\x1b[K";

/// Shares standard error between the log and a progress line. Each log line
/// erases the progress line, and the next progress draws it again. The lock of
/// standard error serializes both.
#[derive(Clone, Default)]
pub(crate) struct ProgressLine {
    visible: Arc<AtomicBool>,
}

impl ProgressLine {
    /// Replaces the progress line by `text`. Does nothing if standard error is
    /// not a terminal.
    pub(crate) fn show(&self, text: &str) {
        let mut out = io::stderr().lock();
        if out.is_terminal() {
            // Progress that cannot be shown is not needed.
            self.draw(&mut out, text).ok();
        }
    }

    /// Erases the progress line before something is written to standard output.
    pub(crate) fn erase(&self) {
        let mut out = io::stderr().lock();
        // At worst, the progress line remains visible.
        self.write_above(&mut out, b"").ok();
    }

    /// Returns a writer for log lines.
    pub(crate) fn log_writer(&self) -> LogWriter {
        LogWriter { line: self.clone() }
    }

    fn draw(&self, out: &mut impl Write, text: &str) -> io::Result<()> {
        out.write_all(ERASE_LINE)?;
        self.visible.store(true, Ordering::Relaxed);
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn write_above(&self, out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        if self.visible.swap(false, Ordering::Relaxed) {
            out.write_all(ERASE_LINE)?;
        }
        out.write_all(bytes)
    }
}

/// Writes log lines to standard error.
pub(crate) struct LogWriter {
    line: ProgressLine,
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.write_above(&mut io::stderr().lock(), bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_replaces_the_progress_line() {
        let line = ProgressLine::default();
        let mut out = Vec::new();
        line.draw(&mut out, "1 of 2").unwrap();
        line.write_above(&mut out, b"log\n").unwrap();
        line.write_above(&mut out, b"more\n").unwrap();
        line.draw(&mut out, "2 of 2").unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\r\x1b[K1 of 2\r\x1b[Klog\nmore\n\r\x1b[K2 of 2"
        );
    }
}
