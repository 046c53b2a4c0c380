//! Records, events, and the parts of a write.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// One stored object at one revision.
///
/// Only the store creates records. They are shared and never change.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The key that was passed to [`Store::commit`](crate::Store::commit).
    pub key: Arc<str>,
    /// The bytes that the caller's [`RecordEncoder`] returned.
    pub value: Bytes,
    /// The revision of the write.
    pub revision: u64,
}

impl StoredRecord {
    pub(crate) fn new(key: Arc<str>, value: Bytes, revision: u64) -> Arc<Self> {
        Arc::new(Self {
            key,
            value,
            revision,
        })
    }
}

/// The kind of a change to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The key did not exist before.
    Added,
    /// The key existed before.
    Modified,
    /// The key was deleted.
    Deleted,
}

/// One committed write.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoreEvent {
    /// The kind of the change.
    pub kind: EventKind,
    /// The key that was written.
    pub key: Arc<str>,
    /// The revision of this write. No two events have the same one.
    pub revision: u64,
    /// The new value. For a deletion, the last state of the object, as the
    /// caller's [`RecordEncoder`] returned it for the deletion's revision.
    pub value: Bytes,
    /// The record that this write replaced or deleted; `None` for
    /// [`EventKind::Added`].
    pub previous: Option<Arc<StoredRecord>>,
    /// A value that watchers derive from the event and share.
    pub memo: EventMemo,
}

/// A value of the watchers' own type that is derived from an event once and
/// shared by all watchers of it, such as the decoded object or an encoded
/// line.
///
/// The store drops the value when a few hundred newer events have arrived;
/// later readers derive it for themselves. Kept for the whole history, the
/// values would take several times the memory of the history.
#[derive(Default)]
pub struct EventMemo(Mutex<MemoState>);

#[derive(Default)]
enum MemoState {
    #[default]
    Empty,
    Cached(Arc<dyn Any + Send + Sync>),
    Disabled,
}

impl EventMemo {
    /// Returns the shared value, after creating it with `make` if there is
    /// none. Other callers wait for `make`, so it must be short; put a lock
    /// inside the value for what takes long.
    ///
    /// Returns `None` if a value of another type is cached: an event holds a
    /// value of one type only.
    pub fn get_or_init<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        let mut state = self.lock();
        match &*state {
            MemoState::Cached(value) => Arc::clone(value).downcast().ok(),
            MemoState::Disabled => Some(Arc::new(make())),
            MemoState::Empty => {
                let value = Arc::new(make());
                *state = MemoState::Cached(value.clone());
                Some(value)
            }
        }
    }

    /// Drops the value. From now on none is cached.
    pub(crate) fn disable(&self) {
        *self.lock() = MemoState::Disabled;
    }

    fn lock(&self) -> MutexGuard<'_, MemoState> {
        // If `make` panicked, the state is unchanged.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EventMemo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_cached = matches!(*self.lock(), MemoState::Cached(_));
        formatter
            .debug_tuple("EventMemo")
            .field(&is_cached)
            .finish()
    }
}

/// The condition on a key under which a write is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePrecondition {
    /// No condition. A put creates or replaces the record; a delete still
    /// fails if the key does not exist.
    Any,
    /// The key does not exist.
    Absent,
    /// The key exists, and its record has this revision.
    Revision(u64),
}

/// The condition that another record is unchanged since it was read: a record
/// that a write depends on without changing it, as a create depends on the
/// namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordGuard {
    /// The key of the other record.
    pub key: Arc<str>,
    /// The revision at which the record was read.
    pub revision: u64,
}

impl RecordGuard {
    /// Returns the guard that `record` is unchanged.
    pub fn unchanged(record: &StoredRecord) -> Self {
        Self {
            key: Arc::clone(&record.key),
            revision: record.revision,
        }
    }
}

/// A function that returns the value for the revision of the write.
///
/// It is called on the writer thread, at most once, and only if the
/// precondition holds. It must be short, because all other writes wait for it.
pub type RecordEncoder = Box<dyn FnOnce(u64) -> Bytes + Send>;

/// The change that a write makes to its key.
pub enum RecordChange {
    /// Creates or replaces the record.
    Put(RecordEncoder),
    /// Deletes the record. The encoder returns its last state for the event.
    Delete(RecordEncoder),
}

impl RecordChange {
    /// Returns a put of the value that `encode` returns.
    pub fn put(encode: impl FnOnce(u64) -> Bytes + Send + 'static) -> Self {
        Self::Put(Box::new(encode))
    }

    /// Returns a delete whose event carries the value that `encode` returns.
    pub fn delete(encode: impl FnOnce(u64) -> Bytes + Send + 'static) -> Self {
        Self::Delete(Box::new(encode))
    }
}

impl fmt::Debug for RecordChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Put(_) => "Put",
            Self::Delete(_) => "Delete",
        })
    }
}
