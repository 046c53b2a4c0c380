//! Checkpoints of the write-ahead log: its content is moved into the main file.
//!
//! SQLite begins them itself, and then ignores their errors: nobody would learn why the
//! log grows.

use rusqlite::Connection;

/// When the next checkpoint is due.
#[derive(Debug)]
pub(crate) struct CheckpointTimer {
    /// The length of the log from which it is checkpointed, in pages.
    pages: i64,
    /// The length from which it is checkpointed now.
    due_at: i64,
}

impl CheckpointTimer {
    pub(crate) fn new(pages: u32) -> Self {
        Self {
            pages: pages.into(),
            due_at: pages.into(),
        }
    }

    /// Checkpoints the log once it is long. After an error, it becomes as much longer
    /// again before the next attempt.
    pub(crate) fn run_if_due(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let pages = run(connection, "NOOP")?;
        if pages < self.due_at {
            return Ok(());
        }
        let result = run(connection, "PASSIVE");
        let done = if result.is_ok() { 0 } else { pages };
        self.due_at = done.saturating_add(self.pages);
        result.map(|_| ())
    }
}

/// Moves the content of the log into the main file, and empties it.
pub(crate) fn truncate(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "TRUNCATE").map(|_| ())
}

/// Checkpoints the log in one of SQLite's modes, and returns its length in pages.
fn run(connection: &Connection, mode: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row([], |row| row.get(1))
}
