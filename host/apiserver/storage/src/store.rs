//! The handle of a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::batch::CommitRequest;
use crate::broadcaster::EventBroadcaster;
use crate::database;
use crate::database_files;
use crate::error::{
    CommitError, SetAsideError, SnapshotError, StoreOpenError, WatchError, WriterError,
};
use crate::metrics::StoreMetrics;
use crate::options::StoreOptions;
use crate::record::{RecordChange, RecordGuard, StoredRecord, WritePrecondition};
use crate::shared_state::SharedState;
use crate::snapshot::StoreSnapshot;
use crate::watch::StoreWatch;
use crate::writer::{QUEUE_CAPACITY, StoreWriter, WriterRequest};

/// A handle of a store. Cheap to clone; the writer thread exits when the last
/// handle is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<SharedState>,
    requests: mpsc::Sender<WriterRequest>,
    state: watch::Receiver<WriterState>,
}

impl Store {
    /// Opens the store, creating the database if there is none.
    ///
    /// Blocks while the database is read. The store needs no runtime to open,
    /// and any runtime to await its futures.
    ///
    /// # Errors
    /// See [`StoreOpenError`]. After `Damaged`, [`Store::set_aside`] renames
    /// the database so that a new one can be created.
    ///
    /// # Examples
    /// ```
    /// use rdd_apiserver_storage::{
    ///     EventKind, RecordChange, Store, StoreOptions, WritePrecondition,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Store::open(StoreOptions::in_memory())?;
    /// let mut watch = store.watch("pods/", store.revision())?;
    ///
    /// // The value may contain the revision of its own write.
    /// let change = RecordChange::put(|revision| format!("hello@{revision}").into());
    /// let record = store
    ///     .commit("pods/hello", WritePrecondition::Absent, change)
    ///     .await?;
    ///
    /// let snapshot = store.snapshot();
    /// assert_eq!(snapshot.get("pods/hello").map(|r| r.revision), Some(record.revision));
    ///
    /// let event = watch.next().await?;
    /// assert_eq!((event.kind, event.revision), (EventKind::Added, record.revision));
    /// store.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(options: StoreOptions) -> Result<Self, StoreOpenError> {
        let opened = database::open(&options)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(StoreOpenError::Writer)?;
        let allocated_revision = opened.state.revision;
        let shared = Arc::new(SharedState {
            broadcaster: EventBroadcaster::new(allocated_revision),
            state: ArcSwap::from_pointee(opened.state),
            metrics: StoreMetrics::default(),
        });
        let (requests, received) = mpsc::channel(QUEUE_CAPACITY);
        let (report, state) = watch::channel(WriterState::Running);
        let writer = StoreWriter {
            runtime,
            requests: received,
            shared: Arc::clone(&shared),
            database: opened.database,
            history: options.history,
            clock: options.clock,
            allocated_revision,
            superseded: opened.superseded,
        };
        // The thread exits when the last sender of its channel is dropped, and
        // `close` waits for that.
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run_writer(writer, &report))
            .map_err(StoreOpenError::Writer)?;
        Ok(Self {
            shared,
            requests,
            state,
        })
    }

    /// Renames a damaged database and its companion files, so that
    /// [`Store::open`] creates a new one, and returns the new path of the
    /// database file.
    ///
    /// # Errors
    /// See [`SetAsideError`].
    pub fn set_aside(path: &Path) -> Result<PathBuf, SetAsideError> {
        database_files::set_aside(path)
    }

    /// Writes one key and returns its record when the write is on disk and
    /// visible. The record of a delete is the last state of the object.
    ///
    /// Dropping the future does not cancel a write that is already queued.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(
        &self,
        key: &str,
        precondition: WritePrecondition,
        change: RecordChange,
    ) -> Result<Arc<StoredRecord>, CommitError> {
        self.commit_guarded(key, precondition, Vec::new(), change)
            .await
    }

    /// Writes one key like [`Store::commit`], provided that the records of all
    /// `guards` are unchanged.
    ///
    /// # Errors
    /// See [`CommitError`]; `Guard` if one of the records was changed or
    /// deleted.
    pub async fn commit_guarded(
        &self,
        key: &str,
        precondition: WritePrecondition,
        guards: Vec<RecordGuard>,
        change: RecordChange,
    ) -> Result<Arc<StoredRecord>, CommitError> {
        let (reply, outcome) = oneshot::channel();
        let request = CommitRequest {
            key: key.into(),
            precondition,
            guards,
            change,
            reply,
        };
        self.requests
            .send(WriterRequest::Commit(request))
            .await
            .map_err(|_| CommitError::Closed)?;
        outcome.await.map_err(|_| CommitError::Closed)?
    }

    /// Returns the current state. Never waits.
    pub fn snapshot(&self) -> StoreSnapshot {
        self.shared.state.load().snapshot()
    }

    /// Returns the state at `revision`.
    ///
    /// # Errors
    /// `Compacted` if the revision is older than [`Store::compacted_revision`],
    /// `Future` if it is newer than [`Store::revision`].
    pub fn snapshot_at(&self, revision: u64) -> Result<StoreSnapshot, SnapshotError> {
        self.shared.state.load_full().snapshot_at(revision)
    }

    /// Returns the revision of the latest visible write.
    pub fn revision(&self) -> u64 {
        self.shared.state.load().revision
    }

    /// Returns the oldest revision that a watch can start from.
    pub fn compacted_revision(&self) -> u64 {
        self.shared.state.load().event_log.compacted_revision()
    }

    /// Watches the keys that start with `prefix`, from the first event after
    /// the revision `after`.
    ///
    /// # Errors
    /// `Compacted` and `Future` as in [`Store::snapshot_at`], `Closed` after
    /// [`Store::close`].
    pub fn watch(&self, prefix: &str, after: u64) -> Result<StoreWatch, WatchError> {
        StoreWatch::new(Arc::clone(&self.shared), prefix, after)
    }

    /// Returns what the store counts.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }

    /// Returns the number of writes that wait for the writer.
    pub fn queued_writes(&self) -> usize {
        self.requests
            .max_capacity()
            .saturating_sub(self.requests.capacity())
    }

    /// Returns the number of open watches.
    pub fn watch_count(&self) -> usize {
        self.shared.broadcaster.watcher_count()
    }

    /// Returns how many events of its prefix the slowest watch has not read, of
    /// those since it began.
    pub fn events_behind(&self) -> usize {
        self.shared.broadcaster.events_behind()
    }

    /// Finishes the queued writes, checkpoints the database, and releases it.
    /// Later commits fail with `Closed`; snapshots stay readable.
    pub async fn close(&self) {
        // Fails only if the writer has already exited.
        self.requests.send(WriterRequest::Close).await.ok();
        if let Err(error) = self.writer_exited().await {
            // The supervisor of the writer may have stopped before this.
            tracing::error!(
                %error,
                "the writer of the store failed and did not close the database in order; acknowledged writes are kept, and the next start recovers"
            );
        }
    }

    /// Returns why the writer thread exited, if it did so before the store was
    /// closed.
    pub fn writer_failure(&self) -> Option<WriterError> {
        match &*self.state.borrow() {
            WriterState::Panicked(message) => Some(WriterError::Panicked(message.clone())),
            WriterState::Running | WriterState::Closed => None,
        }
    }

    /// Waits until the writer thread exits. From then on, each commit fails
    /// with `Closed`.
    ///
    /// # Errors
    /// The reason, if the writer exited before [`Store::close`].
    pub async fn writer_exited(&self) -> Result<(), WriterError> {
        let mut state = self.state.clone();
        let exited = state
            .wait_for(|state| !matches!(state, WriterState::Running))
            .await;
        match exited.as_deref() {
            Ok(WriterState::Panicked(message)) => Err(WriterError::Panicked(message.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(WriterError::Exited),
        }
    }
}

/// The state of the writer thread.
#[derive(Clone, Debug)]
enum WriterState {
    Running,
    Closed,
    Panicked(String),
}

/// Runs the writer until the store is closed, and reports how it exited.
fn run_writer(writer: StoreWriter, report: &watch::Sender<WriterState>) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run()));
    report.send_replace(match outcome {
        Ok(()) => WriterState::Closed,
        Err(panic) => WriterState::Panicked(
            panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "a panic without a message".to_owned()),
        ),
    });
}
