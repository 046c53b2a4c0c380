use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// One stored object as it stands at some revision.
///
/// Only the store makes records; they are shared, never changed.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The storage key, chosen by the caller of [`Store::commit`](crate::Store::commit).
    pub key: Arc<str>,
    /// What the caller's [`Encode`] gave, byte for byte.
    pub value: Bytes,
    /// The revision of the write that made this form.
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

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The key did not exist before.
    Added,
    /// The key existed before.
    Modified,
    /// The key does not exist any more.
    Deleted,
}

/// One committed write. Every write has a revision of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoreEvent {
    /// What happened.
    pub kind: EventKind,
    /// The key it happened to.
    pub key: Arc<str>,
    /// The revision of this write.
    pub revision: u64,
    /// The new form; for a deletion the last form, as the caller's [`Encode`]
    /// wrote it for the deletion's revision.
    pub value: Bytes,
    /// The record that this write replaced or removed; none for `Added`.
    pub previous: Option<Arc<StoredRecord>>,
    /// What watchers derived from the event, shared by all of them.
    pub memo: EventMemo,
}

/// One value of the readers' own choice, derived once and shared by all who
/// read the event while it is news: its object, its line in a watch. Once
/// newer events have come, the value goes, and whoever reads the event derives
/// one for himself: kept with all of the history, it would take several times
/// the memory of the history.
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
    /// The kept value; `make` is called when there is none. Others wait for
    /// it, so it is to be short: what takes long belongs into a lock of its own
    /// inside the value.
    ///
    /// None when a value of another type is kept: an event has room for one
    /// type only.
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

    /// Drops the value, and keeps none from now on.
    pub(crate) fn disable(&self) {
        *self.lock() = MemoState::Disabled;
    }

    fn lock(&self) -> MutexGuard<'_, MemoState> {
        // A `make` that panicked has left nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EventMemo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = matches!(*self.lock(), MemoState::Cached(_));
        formatter.debug_tuple("Memo").field(&kept).finish()
    }
}

/// What must hold of the key for a write to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePrecondition {
    /// Nothing; a put creates or replaces, a delete still needs the key.
    Any,
    /// The key does not exist.
    Absent,
    /// The key exists, and its record has this revision.
    Revision(u64),
}

/// Another record that must stand as it did when the writer looked: what a
/// write rests on without changing it, as an object rests on its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordGuard {
    /// The other record's key.
    pub key: Arc<str>,
    /// The revision at which the writer read it.
    pub revision: u64,
}

impl RecordGuard {
    /// The guard that a record stays as it is.
    pub fn unchanged(record: &StoredRecord) -> Self {
        Self {
            key: Arc::clone(&record.key),
            revision: record.revision,
        }
    }
}

/// Makes the value once the revision of the write is known.
///
/// Called on the writer thread, at most once, and only when the expectation
/// holds: keep it short, every other writer waits for it.
pub type RecordEncoder = Box<dyn FnOnce(u64) -> Bytes + Send>;

/// What a write does to its key.
pub enum RecordChange {
    /// Creates or replaces the record.
    Put(RecordEncoder),
    /// Removes the record; the bytes are its last form, for the event.
    Delete(RecordEncoder),
}

impl RecordChange {
    /// A put of what `encode` gives.
    pub fn put(encode: impl FnOnce(u64) -> Bytes + Send + 'static) -> Self {
        Self::Put(Box::new(encode))
    }

    /// A delete whose event carries what `encode` gives.
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
