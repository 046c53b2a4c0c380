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

/// One write on its way to the writer thread.
#[derive(Debug)]
pub(crate) struct CommitRequest {
    pub(crate) key: Arc<str>,
    pub(crate) expect: WritePrecondition,
    pub(crate) guards: Vec<RecordGuard>,
    pub(crate) change: RecordChange,
    pub(crate) reply: oneshot::Sender<CommitOutcome>,
}

/// Writes that become durable and visible together.
///
/// Each one sees the earlier ones of the batch, so that a batch gives the
/// same verdicts as its writes one after the other would.
pub(crate) struct CommitBatch<'a> {
    base: &'a StoreState,
    records: RecordIndex,
    revision: u64,
    events: Vec<Arc<StoreEvent>>,
    bytes: usize,
    decided: Vec<PendingReply>,
}

struct PendingReply {
    key: Arc<str>,
    reply: oneshot::Sender<CommitOutcome>,
    verdict: CommitOutcome,
}

impl<'a> CommitBatch<'a> {
    /// `floor` is the highest revision that any encoder has ever seen.
    pub(crate) fn new(base: &'a StoreState, floor: u64) -> Self {
        Self {
            base,
            records: base.records.clone(),
            revision: floor,
            events: Vec::new(),
            bytes: 0,
            decided: Vec::new(),
        }
    }

    pub(crate) fn events(&self) -> &[Arc<StoreEvent>] {
        &self.events
    }

    pub(crate) fn records(&self) -> &RecordIndex {
        &self.records
    }

    /// The highest revision given out, also to writes that failed since.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Requests so far.
    pub(crate) fn len(&self) -> usize {
        self.decided.len()
    }

    /// Bytes of the new values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, request: CommitRequest) {
        let CommitRequest {
            key,
            expect,
            guards,
            change,
            reply,
        } = request;
        let verdict = if guards.iter().all(|guard| self.is_unchanged(guard)) {
            self.apply(&key, expect, change)
        } else {
            Err(CommitError::Guard)
        };
        self.decided.push(PendingReply {
            key,
            reply,
            verdict,
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
        expect: WritePrecondition,
        change: RecordChange,
    ) -> CommitOutcome {
        let current = self.records.get(key).cloned();
        match (expect, &current) {
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
                // One allocation per key, shared by all its forms.
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
        // The closure is consumed and touches nothing of ours, so its panic
        // leaves nothing half done, and must not end the only writer.
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

    /// Tells the callers, once the batch is durable and visible.
    pub(crate) fn acknowledge(self) {
        for decided in self.decided {
            decided.send();
        }
    }

    /// Tells the callers that nothing was written. A refusal stands when it
    /// rests on what was there before; one that rests on this batch does not.
    pub(crate) fn fail(self, error: &CommitError) {
        for mut decided in self.decided {
            let before = self.base.records.get(&decided.key);
            let after = self.records.get(&decided.key);
            let untouched = before.map(Arc::as_ptr) == after.map(Arc::as_ptr);
            // What a guard saw may rest on this batch as well.
            let guarded = matches!(decided.verdict, Err(CommitError::Guard));
            if decided.verdict.is_ok() || !untouched || guarded {
                decided.verdict = Err(error.clone());
            }
            decided.send();
        }
    }
}

impl PendingReply {
    fn send(self) {
        // A caller that has gone away does not want to know.
        drop(self.reply.send(self.verdict));
    }
}
