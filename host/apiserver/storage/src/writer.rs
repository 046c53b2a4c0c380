//! The writer thread: group commit, publication, and compaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::batch::{CommitBatch, CommitRequest};
use crate::clock::{self, Clock};
use crate::database::{DatabaseConnection, SpaceBudget};
use crate::error::CommitError;
use crate::event_log::LogTimestamp;
use crate::options::HistoryLimits;
use crate::record::{EventKind, StoreEvent};
use crate::shared_state::SharedState;
use crate::snapshot::StoreState;
use crate::superseded_row::SupersededRow;

/// The maximum number of queued writes: enough for a few batches. Further
/// callers wait in `commit`, which slows clients down.
pub(crate) const QUEUE_CAPACITY: usize = 1_024;

/// The maximum number of writes in one transaction. Beyond some hundreds, a
/// larger batch saves no more time and only delays its first write.
const MAX_BATCH_WRITES: usize = 512;

/// The maximum size of the values in one transaction, in bytes: a few of the
/// largest objects that the API accepts, so that small writes do not wait for
/// many large ones.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// The number of superseded rows deleted in one transaction: about as many as
/// a batch adds, so that compaction keeps up with any load and no single write
/// pays for much of it.
const COMPACTION_BATCH: usize = 512;

/// How long superseded rows may wait for more rows when there are no writes.
const COMPACTION_IDLE_DELAY: Duration = Duration::from_secs(30);

/// The minimum time between two compactions without writes, so that events
/// that expire one by one do not keep the machine awake.
const MIN_WAKE_DELAY: Duration = Duration::from_secs(5);

pub(crate) enum WriterRequest {
    Commit(CommitRequest),
    Close,
}

/// The state of the only thread that changes the store.
pub(crate) struct StoreWriter {
    pub(crate) runtime: Runtime,
    pub(crate) requests: mpsc::Receiver<WriterRequest>,
    pub(crate) shared: Arc<SharedState>,
    pub(crate) database: DatabaseConnection,
    pub(crate) history: HistoryLimits,
    pub(crate) clock: Arc<dyn Clock>,
    /// The highest revision that was passed to an encoder.
    pub(crate) allocated_revision: u64,
    pub(crate) superseded: VecDeque<SupersededRow>,
}

impl StoreWriter {
    /// Runs until the store is closed or its last handle is dropped.
    pub(crate) fn run(mut self) {
        // Also after a panic, watches end and `close` returns.
        let close_on_drop = CloseOnDrop {
            shared: Arc::clone(&self.shared),
        };
        self.compact();
        loop {
            match self.next_action() {
                WriterAction::Commit(first) => self.commit(first),
                WriterAction::Compact => self.compact(),
                WriterAction::Close => break,
            }
            if let Err(error) = self.database.checkpoint_if_due() {
                tracing::error!(
                    %error,
                    "cannot checkpoint the database; its log grows until that is possible"
                );
            }
        }
        if let Err(error) = self.database.checkpoint() {
            tracing::warn!(%error, "cannot checkpoint the database; the next start does it");
        }
        let Self { database, .. } = self;
        drop(database);
        drop(close_on_drop);
    }

    fn next_action(&mut self) -> WriterAction {
        let delay = self.next_wake();
        let requests = &mut self.requests;
        let request = self.runtime.block_on(async {
            match delay {
                Some(delay) => tokio::time::timeout(delay, requests.recv()).await,
                None => Ok(requests.recv().await),
            }
        });
        match request {
            Ok(Some(WriterRequest::Commit(request))) => WriterAction::Commit(request),
            // Earlier requests are still served, later ones are refused.
            Ok(Some(WriterRequest::Close)) => {
                self.requests.close();
                self.next_action()
            }
            Ok(None) => WriterAction::Close,
            Err(_) => WriterAction::Compact,
        }
    }

    /// Returns the time until the next compaction if no write comes first.
    fn next_wake(&self) -> Option<Duration> {
        let state = self.shared.state.load();
        let expiry = state
            .event_log
            .next_expiry(&self.history)
            .map(|expiry| expiry.since(self.now()).max(MIN_WAKE_DELAY));
        let deletion = (!self.superseded.is_empty()).then_some(COMPACTION_IDLE_DELAY);
        expiry.into_iter().chain(deletion).min()
    }

    fn commit(&mut self, first: CommitRequest) {
        let base = self.shared.state.load_full();
        let mut batch = CommitBatch::new(&base, self.allocated_revision);
        let mut next = Some(first);
        while let Some(request) = next {
            batch.add(request);
            if batch.len() >= MAX_BATCH_WRITES || batch.bytes() >= MAX_BATCH_BYTES {
                break;
            }
            next = match self.requests.try_recv() {
                Ok(WriterRequest::Commit(request)) => Some(request),
                Ok(WriterRequest::Close) => {
                    self.requests.close();
                    None
                }
                Err(_) => None,
            };
        }
        self.allocated_revision = batch.revision();
        let started_at = Instant::now();
        let written = self.write(batch.events());
        if !batch.events().is_empty() {
            let metrics = &self.shared.metrics;
            metrics.record(batch.events().len(), started_at.elapsed(), written.is_ok());
        }
        match written {
            Ok(()) => {
                self.publish_batch(&batch);
                batch.acknowledge();
            }
            Err(error) => {
                tracing::error!(%error, writes = batch.events().len(), "cannot write to the database");
                batch.fail(&error);
            }
        }
    }

    fn write(&mut self, events: &[Arc<StoreEvent>]) -> Result<(), CommitError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut written = self.append(events, SpaceBudget::Regular);
        while matches!(written, Err(CommitError::Full)) && self.free_space() {
            written = self.append(events, SpaceBudget::Regular);
        }
        let deletes = |event: &Arc<StoreEvent>| event.kind == EventKind::Deleted;
        if matches!(written, Err(CommitError::Full)) && events.iter().any(deletes) {
            // Without the reserve, nothing could be deleted from a full database.
            written = self.append(events, SpaceBudget::Reserve);
        }
        written
    }

    fn append(
        &mut self,
        events: &[Arc<StoreEvent>],
        budget: SpaceBudget,
    ) -> Result<(), CommitError> {
        // Old rows are deleted in the transaction that adds new ones, which
        // saves a sync.
        let count = if self.superseded.len() >= COMPACTION_BATCH {
            COMPACTION_BATCH
        } else {
            0
        };
        let superseded = self.superseded.iter().take(count);
        let now = clock::since_epoch(&*self.clock);
        self.database.write(events, now, superseded, budget)?;
        self.superseded.drain(..count);
        Ok(())
    }

    /// Evicts as much history as it takes to delete some rows, halving it each
    /// time. Returns false if no row can be deleted that way. On a full disk
    /// the deletion itself fails, and the history is kept from then on.
    fn free_space(&mut self) -> bool {
        if !self.delete_superseded() {
            return false;
        }
        let before = self.shared.state.load().event_log.len();
        let mut limits = self.history.clone();
        limits.max_events = before;
        while limits.max_events > 1 {
            limits.max_events /= 2;
            let (state, evicted) = self.evict_history(&limits);
            if evicted
                .iter()
                .any(|event| SupersededRow::superseded_by(event).next().is_some())
            {
                tracing::warn!(
                    before,
                    after = limits.max_events,
                    "the database is full; removing events from the history"
                );
                self.publish_state(state, &[], &evicted);
                return self.delete_superseded();
            }
        }
        false
    }

    fn publish_batch(&mut self, batch: &CommitBatch<'_>) {
        let Some(newest) = batch.events().last() else {
            return;
        };
        let now = self.now();
        // Not the log of the batch's base: `free_space` may have shortened it
        // since.
        let mut event_log = self.shared.state.load().event_log.clone();
        for event in batch.events() {
            event_log.push(Arc::clone(event), now);
        }
        let evicted = event_log.evict(&self.history, now);
        let state = StoreState {
            records: batch.records().clone(),
            revision: newest.revision,
            event_log,
        };
        self.publish_state(state, batch.events(), &evicted);
    }

    /// Removes expired events from memory and superseded rows from the
    /// database.
    fn compact(&mut self) {
        let (state, evicted) = self.evict_history(&self.history);
        if !evicted.is_empty() {
            self.publish_state(state, &[], &evicted);
        }
        self.delete_superseded();
    }

    /// Returns the current state with its history reduced to `limits`, and the
    /// evicted events.
    fn evict_history(&self, limits: &HistoryLimits) -> (StoreState, Vec<Arc<StoreEvent>>) {
        let base = self.shared.state.load_full();
        let mut event_log = base.event_log.clone();
        let evicted = event_log.evict(limits, self.now());
        let state = StoreState {
            records: base.records.clone(),
            revision: base.revision,
            event_log,
        };
        (state, evicted)
    }

    fn publish_state(
        &mut self,
        state: StoreState,
        events: &[Arc<StoreEvent>],
        evicted: &[Arc<StoreEvent>],
    ) {
        let revision = state.revision;
        self.shared.state.store(Arc::new(state));
        self.shared.broadcaster.publish(events, evicted, revision);
        self.superseded.extend(
            evicted
                .iter()
                .flat_map(|event| SupersededRow::superseded_by(event)),
        );
    }

    /// Deletes all superseded rows. Returns false if the database failed.
    fn delete_superseded(&mut self) -> bool {
        while !self.superseded.is_empty() {
            let count = self.superseded.len().min(COMPACTION_BATCH);
            let superseded = self.superseded.iter().take(count);
            let now = clock::since_epoch(&*self.clock);
            let deleted = self
                .database
                .write(&[], now, superseded, SpaceBudget::Reserve);
            if let Err(error) = deleted {
                tracing::warn!(%error, "cannot delete superseded rows from the database; trying again later");
                return false;
            }
            self.superseded.drain(..count);
        }
        true
    }

    fn now(&self) -> LogTimestamp {
        LogTimestamp::new(self.clock.monotonic())
    }
}

enum WriterAction {
    Commit(CommitRequest),
    Compact,
    Close,
}

struct CloseOnDrop {
    shared: Arc<SharedState>,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.shared.broadcaster.close();
    }
}
