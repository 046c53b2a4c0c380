//! One batch of writes: a group commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::CommitError;
use crate::record::{
    EventKind, EventMemo, RecordChange, RecordEncoder, RecordGuard, StoreEvent, StoredRecord,
    WritePrecondition,
};
use crate::snapshot::{RecordIndex, StoreState};

pub(crate) type CommitOutcome = Result<Arc<StoredRecord>, CommitError>;

/// One write in the queue of the writer thread.
#[derive(Debug)]
pub(crate) struct CommitRequest {
    pub(crate) key: Arc<str>,
    pub(crate) precondition: WritePrecondition,
    pub(crate) guards: Vec<RecordGuard>,
    pub(crate) change: RecordChange,
    pub(crate) reply: oneshot::Sender<CommitOutcome>,
}

/// Writes that become durable and visible together.
///
/// Each write sees the earlier writes of the batch, so that a batch has the
/// same outcomes as its writes one after another.
pub(crate) struct CommitBatch<'a> {
    base: &'a StoreState,
    records: RecordIndex,
    revision: u64,
    events: Vec<Arc<StoreEvent>>,
    bytes: usize,
    replies: Vec<PendingReply>,
}

struct PendingReply {
    key: Arc<str>,
    reply: oneshot::Sender<CommitOutcome>,
    outcome: CommitOutcome,
}

impl<'a> CommitBatch<'a> {
    /// Creates an empty batch on `base`. `allocated_revision` is the highest
    /// revision that was passed to any encoder so far.
    pub(crate) fn new(base: &'a StoreState, allocated_revision: u64) -> Self {
        Self {
            base,
            records: base.records.clone(),
            revision: allocated_revision,
            events: Vec::new(),
            bytes: 0,
            replies: Vec::new(),
        }
    }

    pub(crate) fn events(&self) -> &[Arc<StoreEvent>] {
        &self.events
    }

    pub(crate) fn records(&self) -> &RecordIndex {
        &self.records
    }

    /// Returns the highest allocated revision, which may belong to a write
    /// that failed.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the number of requests.
    pub(crate) fn len(&self) -> usize {
        self.replies.len()
    }

    /// Returns the size of the new values, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, request: CommitRequest) {
        let CommitRequest {
            key,
            precondition,
            guards,
            change,
            reply,
        } = request;
        let outcome = if guards.iter().all(|guard| self.is_unchanged(guard)) {
            self.apply(&key, precondition, change)
        } else {
            Err(CommitError::Guard)
        };
        self.replies.push(PendingReply {
            key,
            reply,
            outcome,
        });
    }

    fn is_unchanged(&self, guard: &RecordGuard) -> bool {
        self.records
            .get(&guard.key)
            .is_some_and(|record| record.revision == guard.revision)
    }

    fn apply(
        &mut self,
        key: &Arc<str>,
        precondition: WritePrecondition,
        change: RecordChange,
    ) -> CommitOutcome {
        let current = self.records.get(key).cloned();
        match (precondition, &current) {
            (WritePrecondition::Absent, Some(record)) => {
                return Err(CommitError::Exists(Arc::clone(record)));
            }
            (WritePrecondition::Revision(revision), Some(record))
                if record.revision != revision =>
            {
                return Err(CommitError::Mismatch(Arc::clone(record)));
            }
            (WritePrecondition::Revision(_), None) => return Err(CommitError::Missing),
            _ => {}
        }
        match (change, current) {
            (RecordChange::Delete(_), None) => Err(CommitError::Missing),
            (RecordChange::Delete(encode), Some(previous)) => {
                let record = self.encode(Arc::clone(&previous.key), encode)?;
                self.records.remove(key);
                self.push_event(EventKind::Deleted, &record, Some(previous));
                Ok(record)
            }
            (RecordChange::Put(encode), current) => {
                // All records of a key share one allocation of the key.
                let key = current.as_ref().map_or(key, |record| &record.key);
                let record = self.encode(Arc::clone(key), encode)?;
                self.records
                    .insert(Arc::clone(&record.key), Arc::clone(&record));
                let kind = match current {
                    Some(_) => EventKind::Modified,
                    None => EventKind::Added,
                };
                self.push_event(kind, &record, current);
                Ok(record)
            }
        }
    }

    fn encode(&mut self, key: Arc<str>, encode: RecordEncoder) -> CommitOutcome {
        self.revision += 1;
        let revision = self.revision;
        // The closure is consumed and changes nothing of the batch, so a panic
        // leaves no partial change. It must not end the only writer.
        let value: Bytes =
            catch_unwind(AssertUnwindSafe(|| encode(revision))).map_err(|_| CommitError::Encode)?;
        Ok(StoredRecord::new(key, value, revision))
    }

    fn push_event(
        &mut self,
        kind: EventKind,
        record: &Arc<StoredRecord>,
        previous: Option<Arc<StoredRecord>>,
    ) {
        self.bytes += record.value.len();
        self.events.push(Arc::new(StoreEvent {
            kind,
            key: Arc::clone(&record.key),
            revision: record.revision,
            value: record.value.clone(),
            previous,
            memo: EventMemo::default(),
        }));
    }

    /// Sends all outcomes, once the batch is durable and visible.
    pub(crate) fn acknowledge(self) {
        for reply in self.replies {
            reply.send();
        }
    }

    /// Sends all outcomes after nothing was written. A refusal stays valid if
    /// it was based on the state before the batch; one that was based on the
    /// batch itself becomes `error`.
    pub(crate) fn fail(self, error: &CommitError) {
        for mut reply in self.replies {
            let before = self.base.records.get(&reply.key);
            let after = self.records.get(&reply.key);
            let is_untouched = before.map(Arc::as_ptr) == after.map(Arc::as_ptr);
            // A guard may have failed because of this batch as well.
            let is_guard_failure = matches!(reply.outcome, Err(CommitError::Guard));
            if reply.outcome.is_ok() || !is_untouched || is_guard_failure {
                reply.outcome = Err(error.clone());
            }
            reply.send();
        }
    }
}

impl PendingReply {
    fn send(self) {
        // Fails only if the caller no longer waits for the outcome.
        self.reply.send(self.outcome).ok();
    }
}
