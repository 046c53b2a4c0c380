//! Reads and checks a database when the store is opened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;

use crate::clock;
use crate::event_log::{EventLog, LogTimestamp};
use crate::options::StoreOptions;
use crate::record::{EventKind, EventMemo, StoreEvent, StoredRecord};
use crate::row::{self, LogRow};
use crate::snapshot::{RecordIndex, StoreState};
use crate::superseded_row::SupersededRow;

/// The content of a database.
pub(crate) struct LoadedState {
    pub(crate) state: StoreState,
    pub(crate) superseded: VecDeque<SupersededRow>,
}

/// The reason why a database could not be read.
pub(crate) enum LoadError {
    Damaged(String),
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType,
            QueryReturnedNoRows, Utf8Error,
        };
        match &error {
            InvalidColumnType(..)
            | Utf8Error(..)
            | FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | QueryReturnedNoRows => Self::Damaged(error.to_string()),
            // A table is missing although the schema version says otherwise.
            _ if error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Database(error),
        }
    }
}

/// Reads and checks each row, and replays the log up to the current state.
pub(crate) fn load(
    connection: &Connection,
    options: &StoreOptions,
) -> Result<LoadedState, LoadError> {
    let (compacted, checksum): (u64, i64) =
        connection.query_row("SELECT compacted, checksum FROM history", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if checksum != row::history_checksum(compacted) {
        return Err(LoadError::Damaged(
            "the start of its history has a wrong checksum".to_owned(),
        ));
    }
    let mut replay = LogReplay {
        records: RecordIndex::new(),
        revision: 0,
        event_log: EventLog::new(compacted),
        superseded: VecDeque::new(),
        compacted,
        monotonic_now: LogTimestamp::new(options.clock.monotonic()),
        now: clock::since_epoch(&*options.clock),
    };
    let mut statement = connection.prepare(
        "SELECT revision, kind, at, replaces, key, value, checksum FROM log ORDER BY revision",
    )?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        let text = |source| {
            rusqlite::Error::FromSqlConversionFailure(
                4,
                rusqlite::types::Type::Text,
                Box::new(source),
            )
        };
        let row = LogRow {
            revision: columns.get(0)?,
            kind: columns.get(1)?,
            at: columns.get(2)?,
            replaces: columns.get(3)?,
            key: columns.get_ref(4)?.as_str().map_err(text)?,
            value: columns.get_ref(5)?.as_blob().map_err(text)?,
        };
        if row.checksum() != columns.get::<_, i64>(6)? {
            return Err(LoadError::Damaged(format!(
                "row {} has a wrong checksum",
                row.revision
            )));
        }
        replay.add(&row)?;
    }
    Ok(replay.finish(options))
}

struct LogReplay {
    records: RecordIndex,
    revision: u64,
    event_log: EventLog,
    superseded: VecDeque<SupersededRow>,
    compacted: u64,
    monotonic_now: LogTimestamp,
    /// The wall-clock time, since 1970.
    now: Duration,
}

impl LogReplay {
    fn add(&mut self, row: &LogRow<'_>) -> Result<(), LoadError> {
        let inconsistent =
            || LoadError::Damaged(format!("row {} does not fit the others", row.revision));
        let kind = row::kind_from_code(row.kind).ok_or_else(inconsistent)?;
        let previous = self.records.get(row.key).cloned();
        let key = match &previous {
            Some(record) => Arc::clone(&record.key),
            None => row.key.into(),
        };
        let record = StoredRecord::new(key, Bytes::copy_from_slice(row.value), row.revision);
        if kind == EventKind::Deleted {
            self.records.remove(row.key);
        } else {
            self.records
                .insert(Arc::clone(&record.key), Arc::clone(&record));
        }
        self.revision = row.revision;
        if row.revision <= self.compacted {
            // The deletion of superseded rows was interrupted.
            let deleted = (kind == EventKind::Deleted).then_some(row.revision);
            let revisions = previous.iter().map(|record| record.revision).chain(deleted);
            let compacted = self.compacted;
            self.superseded
                .extend(revisions.map(|revision| SupersededRow {
                    revision,
                    compacted,
                }));
            return Ok(());
        }
        let replaced = previous.as_ref().map_or(0, |record| record.revision);
        if row.replaces != replaced || (replaced == 0) != (kind == EventKind::Added) {
            return Err(inconsistent());
        }
        let written = Duration::from_millis(u64::try_from(row.at).unwrap_or(0));
        let age = self.now.saturating_sub(written);
        let event = StoreEvent {
            kind,
            key: Arc::clone(&record.key),
            revision: row.revision,
            value: record.value.clone(),
            previous,
            memo: EventMemo::default(),
        };
        self.event_log
            .push(Arc::new(event), self.monotonic_now.before(age));
        Ok(())
    }

    fn finish(mut self, options: &StoreOptions) -> LoadedState {
        let evicted = self.event_log.evict(&options.history, self.monotonic_now);
        self.superseded.extend(
            evicted
                .iter()
                .flat_map(|event| SupersededRow::superseded_by(event)),
        );
        LoadedState {
            state: StoreState {
                records: self.records,
                revision: self.revision.max(self.compacted),
                event_log: self.event_log,
            },
            superseded: self.superseded,
        }
    }
}
