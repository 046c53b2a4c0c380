use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::batch::{CommitBatch, CommitRequest};
use crate::clock::Clock;
use crate::database::{DatabaseConnection, SpaceBudget, SupersededRow};
use crate::error::CommitError;
use crate::event_log::LogTimestamp;
use crate::options::HistoryLimits;
use crate::record::{EventKind, StoreEvent};
use crate::snapshot::StoreState;
use crate::store::SharedState;

/// Writes that may wait for the writer. Enough for a few batches; whoever
/// comes later waits in `commit`, which is what slows clients down.
pub(crate) const QUEUE_CAPACITY: usize = 1_024;

/// Writes in one transaction at most: beyond some hundreds a larger batch
/// saves no time any more, and only lets its first write wait for its last.
const MAX_BATCH_WRITES: usize = 512;

/// Bytes of values in one transaction at most: a few of the largest objects
/// that the API takes, so that small writes do not wait for many large ones.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Obsolete rows removed in one transaction: about what a batch adds, so that
/// cleaning keeps up with any load and no single write pays for much of it.
const COMPACTION_BATCH: usize = 512;

/// How long obsolete rows may wait for company when nobody writes.
const COMPACTION_IDLE_DELAY: Duration = Duration::from_secs(30);

/// The shortest nap between two cleanings without writes, so that a tail of
/// events that expire one by one does not keep the machine awake.
const MIN_WAKE_DELAY: Duration = Duration::from_secs(5);

pub(crate) enum WriterRequest {
    Commit(CommitRequest),
    Close,
}

/// The one thread that changes the store.
pub(crate) struct StoreWriter {
    pub(crate) runtime: Runtime,
    pub(crate) requests: mpsc::Receiver<WriterRequest>,
    pub(crate) shared: Arc<SharedState>,
    pub(crate) database: DatabaseConnection,
    pub(crate) history: HistoryLimits,
    pub(crate) clock: Arc<dyn Clock>,
    /// The highest revision that any encoder has seen.
    pub(crate) allocated_revision: u64,
    pub(crate) superseded: VecDeque<SupersededRow>,
}

impl StoreWriter {
    /// Works until it is told to close or the last handle is gone.
    pub(crate) fn run(mut self) {
        // Also after a panic: watches end and `close` returns.
        let ending = CloseOnDrop {
            shared: Arc::clone(&self.shared),
        };
        self.compact();
        loop {
            match self.next_action() {
                WriterAction::Commit(first) => self.commit(first),
                WriterAction::Timer => self.compact(),
                WriterAction::Close => break,
            }
        }
        if let Err(error) = self.database.checkpoint() {
            tracing::warn!(%error, "could not checkpoint the database, the next start does it");
        }
        let Self { database, .. } = self;
        drop(database);
        drop(ending);
    }

    fn next_action(&mut self) -> WriterAction {
        let nap = self.next_wake();
        let requests = &mut self.requests;
        let message = self.runtime.block_on(async {
            match nap {
                Some(nap) => tokio::time::timeout(nap, requests.recv()).await,
                None => Ok(requests.recv().await),
            }
        });
        match message {
            Ok(Some(WriterRequest::Commit(request))) => WriterAction::Commit(request),
            // What came before is served, what comes later is refused.
            Ok(Some(WriterRequest::Close)) => {
                self.requests.close();
                self.next_action()
            }
            Ok(None) => WriterAction::Close,
            Err(_) => WriterAction::Timer,
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        let state = self.shared.state.load();
        let expiry = state
            .event_log
            .next_expiry(&self.history)
            .map(|expiry| expiry.since(self.now()).max(MIN_WAKE_DELAY));
        let sweep = (!self.superseded.is_empty()).then_some(COMPACTION_IDLE_DELAY);
        expiry.into_iter().chain(sweep).min()
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
        match self.write(batch.events()) {
            Ok(()) => {
                self.publish_batch(&batch);
                batch.acknowledge();
            }
            Err(error) => {
                tracing::error!(%error, writes = batch.events().len(), "could not write to the database");
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
            // Otherwise a full database could not even be emptied.
            written = self.append(events, SpaceBudget::Reserve);
        }
        written
    }

    fn append(&mut self, events: &[Arc<StoreEvent>], room: SpaceBudget) -> Result<(), CommitError> {
        // Old rows go along with new ones, for the price of no further sync.
        let sweep = if self.superseded.len() >= COMPACTION_BATCH {
            COMPACTION_BATCH
        } else {
            0
        };
        let obsolete = self.superseded.iter().take(sweep);
        self.database
            .write(events, self.clock.wall(), obsolete, room)?;
        self.superseded.drain(..sweep);
        Ok(())
    }

    /// Gives up as much history as it takes to remove some rows, by halves;
    /// false when there is no row to be had that way. On a full disk removing
    /// itself fails, and the history stays from then on.
    fn free_space(&mut self) -> bool {
        if !self.delete_superseded() {
            return false;
        }
        let kept = self.shared.state.load().event_log.len();
        let mut less = self.history.clone();
        less.max_events = kept;
        while less.max_events > 1 {
            less.max_events /= 2;
            let (state, evicted) = self.evict_history(&less);
            if evicted
                .iter()
                .any(|event| SupersededRow::superseded_by(event).next().is_some())
            {
                tracing::warn!(
                    kept,
                    left = less.max_events,
                    "the database is full, giving history up"
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
        // Not the batch's base: making room may have shortened the past since.
        let mut past = self.shared.state.load().event_log.clone();
        for event in batch.events() {
            past.push(Arc::clone(event), now);
        }
        let evicted = past.evict(&self.history, now);
        let state = StoreState {
            records: batch.records().clone(),
            revision: newest.revision,
            event_log: past,
        };
        self.publish_state(state, batch.events(), &evicted);
    }

    /// Lets go of what became too old, in memory and in the database.
    fn compact(&mut self) {
        let (state, evicted) = self.evict_history(&self.history);
        if !evicted.is_empty() {
            self.publish_state(state, &[], &evicted);
        }
        self.delete_superseded();
    }

    /// The current state with less history, and the events that go.
    fn evict_history(&self, limits: &HistoryLimits) -> (StoreState, Vec<Arc<StoreEvent>>) {
        let base = self.shared.state.load_full();
        let mut past = base.event_log.clone();
        let evicted = past.evict(limits, self.now());
        let state = StoreState {
            records: base.records.clone(),
            revision: base.revision,
            event_log: past,
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
        self.shared.hub.publish(events, evicted, revision);
        self.superseded.extend(
            evicted
                .iter()
                .flat_map(|event| SupersededRow::superseded_by(event)),
        );
    }

    /// Removes all obsolete rows; false when the database refused.
    fn delete_superseded(&mut self) -> bool {
        while !self.superseded.is_empty() {
            let count = self.superseded.len().min(COMPACTION_BATCH);
            let obsolete = self.superseded.iter().take(count);
            let wall = self.clock.wall();
            let swept = self
                .database
                .write(&[], wall, obsolete, SpaceBudget::Reserve);
            if let Err(error) = swept {
                tracing::warn!(%error, "could not remove old rows from the database, trying again later");
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
    Timer,
    Close,
}

struct CloseOnDrop {
    shared: Arc<SharedState>,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.shared.hub.close();
    }
}
