//! A line of progress at the end of a terminal, which log lines do not run into.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Back to the beginning of the line, and erase it.
const ERASE_LINE: &[u8] = b"\r\x1b[K";

/// Shares standard error between the log and one line of progress: whatever
/// else is written erases that line, and the next progress shows it again.
///
/// The lock of standard error keeps the two apart.
#[derive(Clone, Default)]
pub(crate) struct ProgressLine {
    visible: Arc<AtomicBool>,
}

impl ProgressLine {
    /// Shows `text` in place of the line that is there; nothing where standard
    /// error is no terminal.
    pub(crate) fn show(&self, text: &str) {
        let mut out = io::stderr().lock();
        if out.is_terminal() {
            // Progress that cannot be shown is no loss.
            self.draw(&mut out, text).ok();
        }
    }

    /// Erases the line, before something is written to standard output.
    pub(crate) fn erase(&self) {
        let mut out = io::stderr().lock();
        // A line that cannot be erased stays above what follows, no more.
        self.write_above(&mut out, b"").ok();
    }

    /// A writer for log lines.
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
    fn a_log_line_takes_the_place_of_the_progress_line() {
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
