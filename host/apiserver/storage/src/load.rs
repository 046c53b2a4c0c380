use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;

use crate::database::SupersededRow;
use crate::event_log::{EventLog, LogTimestamp};
use crate::options::StoreOptions;
use crate::record::{EventKind, EventMemo, StoreEvent, StoredRecord};
use crate::row::{self, LogRow};
use crate::snapshot::{RecordIndex, StoreState};

/// What a database holds.
pub(crate) struct LoadedState {
    pub(crate) state: StoreState,
    pub(crate) obsolete: VecDeque<SupersededRow>,
}

/// Why a database was not read.
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
            // A table is missing although the file says that it has all.
            _ if error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Database(error),
        }
    }
}

/// Reads and checks every row, and replays the log up to the current state.
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
            "the beginning of its history has a wrong checksum".to_owned(),
        ));
    }
    let mut replay = Replay {
        records: RecordIndex::new(),
        revision: 0,
        past: EventLog::new(compacted),
        obsolete: VecDeque::new(),
        compacted,
        now: LogTimestamp::new(options.clock.monotonic()),
        wall: options.clock.wall(),
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

struct Replay {
    records: RecordIndex,
    revision: u64,
    past: EventLog,
    obsolete: VecDeque<SupersededRow>,
    compacted: u64,
    now: LogTimestamp,
    wall: Duration,
}

impl Replay {
    fn add(&mut self, row: &LogRow<'_>) -> Result<(), LoadError> {
        let nonsense =
            || LoadError::Damaged(format!("row {} does not fit the others", row.revision));
        let kind = row::kind(row.kind).ok_or_else(nonsense)?;
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
            // Its cleaning was interrupted.
            let deleted = (kind == EventKind::Deleted).then_some(row.revision);
            let rows = previous.iter().map(|record| record.revision).chain(deleted);
            let compacted = self.compacted;
            self.obsolete
                .extend(rows.map(|row| SupersededRow { row, compacted }));
            return Ok(());
        }
        let replaced = previous.as_ref().map_or(0, |record| record.revision);
        if row.replaces != replaced || (replaced == 0) != (kind == EventKind::Added) {
            return Err(nonsense());
        }
        let written = Duration::from_millis(u64::try_from(row.at).unwrap_or(0));
        let age = self.wall.saturating_sub(written);
        let event = StoreEvent {
            kind,
            key: Arc::clone(&record.key),
            revision: row.revision,
            value: record.value.clone(),
            previous,
            memo: EventMemo::default(),
        };
        self.past.push(Arc::new(event), self.now.before(age));
        Ok(())
    }

    fn finish(mut self, options: &StoreOptions) -> LoadedState {
        let evicted = self.past.evict(&options.history, self.now);
        self.obsolete.extend(
            evicted
                .iter()
                .flat_map(|event| SupersededRow::superseded_by(event)),
        );
        LoadedState {
            state: StoreState {
                records: self.records,
                revision: self.revision.max(self.compacted),
                event_log: self.past,
            },
            obsolete: self.obsolete,
        }
    }
}
