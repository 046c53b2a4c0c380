use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::batch::{Batch, Request};
use crate::clock::Clock;
use crate::database::{Database, Obsolete, Room};
use crate::error::CommitError;
use crate::options::HistoryLimits;
use crate::past::Moment;
use crate::record::{EventKind, StoreEvent};
use crate::snapshot::State;
use crate::store::Shared;

/// Writes that may wait for the writer. Enough for a few batches; whoever
/// comes later waits in `commit`, which is what slows clients down.
pub(crate) const QUEUE: usize = 1_024;

/// Writes in one transaction at most: beyond some hundreds a larger batch
/// saves no time any more, and only lets its first write wait for its last.
const BATCH_WRITES: usize = 512;

/// Bytes of values in one transaction at most: a few of the largest objects
/// that the API takes, so that small writes do not wait for many large ones.
const BATCH_BYTES: usize = 4 << 20;

/// Obsolete rows removed in one transaction: about what a batch adds, so that
/// cleaning keeps up with any load and no single write pays for much of it.
const SWEEP: usize = 512;

/// How long obsolete rows may wait for company when nobody writes.
const SWEEP_IDLE: Duration = Duration::from_secs(30);

/// The shortest nap between two cleanings without writes, so that a tail of
/// events that expire one by one does not keep the machine awake.
const NAP: Duration = Duration::from_secs(5);

pub(crate) enum Message {
    Commit(Request),
    Close,
}

/// The one thread that changes the store.
pub(crate) struct Writer {
    pub(crate) runtime: Runtime,
    pub(crate) requests: mpsc::Receiver<Message>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) database: Database,
    pub(crate) history: HistoryLimits,
    pub(crate) clock: Arc<dyn Clock>,
    /// The highest revision that any encoder has seen.
    pub(crate) floor: u64,
    pub(crate) obsolete: VecDeque<Obsolete>,
}

impl Writer {
    /// Works until it is told to close or the last handle is gone.
    pub(crate) fn run(mut self) {
        // Also after a panic: watches end and `close` returns.
        let ending = Ending {
            shared: Arc::clone(&self.shared),
        };
        self.tidy();
        loop {
            match self.wait() {
                Wake::Commit(first) => self.commit(first),
                Wake::Nap => self.tidy(),
                Wake::Close => break,
            }
        }
        if let Err(error) = self.database.checkpoint() {
            tracing::warn!(%error, "could not checkpoint the database, the next start does it");
        }
        let Self { database, .. } = self;
        drop(database);
        drop(ending);
    }

    fn wait(&mut self) -> Wake {
        let nap = self.nap();
        let requests = &mut self.requests;
        let message = self.runtime.block_on(async {
            match nap {
                Some(nap) => tokio::time::timeout(nap, requests.recv()).await,
                None => Ok(requests.recv().await),
            }
        });
        match message {
            Ok(Some(Message::Commit(request))) => Wake::Commit(request),
            // What came before is served, what comes later is refused.
            Ok(Some(Message::Close)) => {
                self.requests.close();
                self.wait()
            }
            Ok(None) => Wake::Close,
            Err(_) => Wake::Nap,
        }
    }

    fn nap(&self) -> Option<Duration> {
        let state = self.shared.state.load();
        let expiry = state
            .past
            .expiry(&self.history)
            .map(|expiry| expiry.since(self.now()).max(NAP));
        let sweep = (!self.obsolete.is_empty()).then_some(SWEEP_IDLE);
        expiry.into_iter().chain(sweep).min()
    }

    fn commit(&mut self, first: Request) {
        let base = self.shared.state.load_full();
        let mut batch = Batch::new(&base, self.floor);
        let mut next = Some(first);
        while let Some(request) = next {
            batch.add(request);
            if batch.len() >= BATCH_WRITES || batch.bytes() >= BATCH_BYTES {
                break;
            }
            next = match self.requests.try_recv() {
                Ok(Message::Commit(request)) => Some(request),
                Ok(Message::Close) => {
                    self.requests.close();
                    None
                }
                Err(_) => None,
            };
        }
        self.floor = batch.revision();
        match self.write(batch.events()) {
            Ok(()) => {
                self.publish(&batch);
                batch.succeed();
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
        let mut written = self.append(events, Room::Limit);
        while matches!(written, Err(CommitError::Full)) && self.make_room() {
            written = self.append(events, Room::Limit);
        }
        let deletes = |event: &Arc<StoreEvent>| event.kind == EventKind::Deleted;
        if matches!(written, Err(CommitError::Full)) && events.iter().any(deletes) {
            // Otherwise a full database could not even be emptied.
            written = self.append(events, Room::Reserve);
        }
        written
    }

    fn append(&mut self, events: &[Arc<StoreEvent>], room: Room) -> Result<(), CommitError> {
        // Old rows go along with new ones, for the price of no further sync.
        let sweep = if self.obsolete.len() >= SWEEP {
            SWEEP
        } else {
            0
        };
        let obsolete = self.obsolete.iter().take(sweep);
        self.database
            .write(events, self.clock.wall(), obsolete, room)?;
        self.obsolete.drain(..sweep);
        Ok(())
    }

    /// Gives up as much history as it takes to remove some rows, by halves;
    /// false when there is no row to be had that way. On a full disk removing
    /// itself fails, and the history stays from then on.
    fn make_room(&mut self) -> bool {
        if !self.sweep() {
            return false;
        }
        let kept = self.shared.state.load().past.len();
        let mut less = self.history.clone();
        less.max_events = kept;
        while less.max_events > 1 {
            less.max_events /= 2;
            let (state, evicted) = self.shortened(&less);
            if evicted
                .iter()
                .any(|event| Obsolete::after(event).next().is_some())
            {
                tracing::warn!(
                    kept,
                    left = less.max_events,
                    "the database is full, giving history up"
                );
                self.show(state, &[], &evicted);
                return self.sweep();
            }
        }
        false
    }

    fn publish(&mut self, batch: &Batch<'_>) {
        let Some(newest) = batch.events().last() else {
            return;
        };
        let now = self.now();
        // Not the batch's base: making room may have shortened the past since.
        let mut past = self.shared.state.load().past.clone();
        for event in batch.events() {
            past.push(Arc::clone(event), now);
        }
        let evicted = past.trim(&self.history, now);
        let state = State {
            records: batch.records().clone(),
            revision: newest.revision,
            past,
        };
        self.show(state, batch.events(), &evicted);
    }

    /// Lets go of what became too old, in memory and in the database.
    fn tidy(&mut self) {
        let (state, evicted) = self.shortened(&self.history);
        if !evicted.is_empty() {
            self.show(state, &[], &evicted);
        }
        self.sweep();
    }

    /// The current state with less history, and the events that go.
    fn shortened(&self, limits: &HistoryLimits) -> (State, Vec<Arc<StoreEvent>>) {
        let base = self.shared.state.load_full();
        let mut past = base.past.clone();
        let evicted = past.trim(limits, self.now());
        let state = State {
            records: base.records.clone(),
            revision: base.revision,
            past,
        };
        (state, evicted)
    }

    fn show(&mut self, state: State, events: &[Arc<StoreEvent>], evicted: &[Arc<StoreEvent>]) {
        let revision = state.revision;
        self.shared.state.store(Arc::new(state));
        self.shared.hub.publish(events, evicted, revision);
        self.obsolete
            .extend(evicted.iter().flat_map(|event| Obsolete::after(event)));
    }

    /// Removes all obsolete rows; false when the database refused.
    fn sweep(&mut self) -> bool {
        while !self.obsolete.is_empty() {
            let count = self.obsolete.len().min(SWEEP);
            let obsolete = self.obsolete.iter().take(count);
            let wall = self.clock.wall();
            let swept = self.database.write(&[], wall, obsolete, Room::Reserve);
            if let Err(error) = swept {
                tracing::warn!(%error, "could not remove old rows from the database, trying again later");
                return false;
            }
            self.obsolete.drain(..count);
        }
        true
    }

    fn now(&self) -> Moment {
        Moment::new(self.clock.monotonic())
    }
}

enum Wake {
    Commit(Request),
    Nap,
    Close,
}

struct Ending {
    shared: Arc<Shared>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared.hub.close();
    }
}
