use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::batch::CommitRequest;
use crate::broadcaster::EventBroadcaster;
use crate::database;
use crate::database_files;
use crate::error::{CommitError, SetAsideError, SnapshotError, StoreOpenError, WatchError};
use crate::options::StoreOptions;
use crate::record::{RecordChange, RecordGuard, StoredRecord, WritePrecondition};
use crate::snapshot::{StoreSnapshot, StoreState};
use crate::watch::StoreWatch;
use crate::writer::{QUEUE_CAPACITY, StoreWriter, WriterRequest};

/// What readers and watchers see of the store.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub(crate) state: ArcSwap<StoreState>,
    pub(crate) hub: EventBroadcaster,
}

/// A handle on the store. The last one to go ends the writer thread.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<SharedState>,
    requests: mpsc::Sender<WriterRequest>,
    state: watch::Receiver<WriterState>,
}

impl Store {
    /// Opens the store, or makes a new one where there is none.
    ///
    /// # Errors
    /// See [`OpenError`]; after `Damaged`, [`Store::set_aside`] helps.
    pub fn open(options: StoreOptions) -> Result<Self, StoreOpenError> {
        let opened = database::open(&options)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(StoreOpenError::Writer)?;
        let floor = opened.state.revision;
        let shared = Arc::new(SharedState {
            hub: EventBroadcaster::new(floor),
            state: ArcSwap::from_pointee(opened.state),
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
            allocated_revision: floor,
            superseded: opened.obsolete,
        };
        // Owned by its channel: it ends when the last sender is gone, and
        // `close` waits for that end.
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

    /// Renames a damaged database and its companions, so that `open` makes a
    /// new one, and gives the new name of the database file.
    ///
    /// # Errors
    /// See [`SetAsideError`].
    pub fn set_aside(path: &Path) -> Result<PathBuf, SetAsideError> {
        database_files::set_aside(path)
    }

    /// Writes one key, and returns when the write is on disk and visible.
    /// For a delete the record is the last form.
    ///
    /// Dropping the future does not take a write back that is already queued.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(
        &self,
        key: &str,
        expect: WritePrecondition,
        change: RecordChange,
    ) -> Result<Arc<StoredRecord>, CommitError> {
        self.commit_guarded(key, expect, Vec::new(), change).await
    }

    /// The same for a write that rests on other records: it takes place only
    /// while all of them stand as `guards` say.
    ///
    /// # Errors
    /// See [`CommitError`]; `Guard` when one of them is another one by now.
    pub async fn commit_guarded(
        &self,
        key: &str,
        expect: WritePrecondition,
        guards: Vec<RecordGuard>,
        change: RecordChange,
    ) -> Result<Arc<StoredRecord>, CommitError> {
        let (reply, verdict) = oneshot::channel();
        let request = CommitRequest {
            key: key.into(),
            expect,
            guards,
            change,
            reply,
        };
        self.requests
            .send(WriterRequest::Commit(request))
            .await
            .map_err(|_| CommitError::Closed)?;
        verdict.await.map_err(|_| CommitError::Closed)?
    }

    /// The current state. Never waits.
    pub fn snapshot(&self) -> StoreSnapshot {
        self.shared.state.load().snapshot()
    }

    /// The state as it stood at `revision`.
    ///
    /// # Errors
    /// `Compacted` when it is older than [`Store::compacted`], `Future` when
    /// newer than [`Store::revision`].
    pub fn snapshot_at(&self, revision: u64) -> Result<StoreSnapshot, SnapshotError> {
        self.shared.state.load_full().snapshot_at(revision)
    }

    /// The revision of the latest visible write.
    pub fn revision(&self) -> u64 {
        self.shared.state.load().revision
    }

    /// The oldest revision that a watch may start after.
    pub fn compacted_revision(&self) -> u64 {
        self.shared.state.load().event_log.compacted()
    }

    /// The events after the revision `after` whose keys start with `prefix`.
    ///
    /// # Errors
    /// `Compacted` and `Future` as in [`Store::snapshot_at`], `Closed` after
    /// [`Store::close`].
    pub fn watch(&self, prefix: &str, after: u64) -> Result<StoreWatch, WatchError> {
        StoreWatch::new(Arc::clone(&self.shared), prefix, after)
    }

    /// Finishes the queued writes, checkpoints the database and gives it free.
    /// Later commits end with `Closed`; snapshots stay readable.
    pub async fn close(&self) {
        // Refused only when the writer has ended already.
        drop(self.requests.send(WriterRequest::Close).await);
        if let Err(cause) = self.writer_exited().await {
            // Whoever watched over the writer may have stopped before this.
            tracing::error!(
                cause,
                "the writer of the store failed, and the database was not closed in order: what was acknowledged is in it, and the next start clears up"
            );
        }
    }

    /// The message of the writer's panic, if it has ended that way.
    pub fn writer_failure(&self) -> Option<String> {
        match &*self.state.borrow() {
            WriterState::Panicked(message) => Some(message.clone()),
            WriterState::Running | WriterState::Closed => None,
        }
    }

    /// Returns when the writer has ended: `Ok` after [`Store::close`], or the
    /// message of its panic. From then on every commit ends with `Closed`.
    ///
    /// # Errors
    /// The message of the writer's panic.
    pub async fn writer_exited(&self) -> Result<(), String> {
        let mut state = self.state.clone();
        let ended = state
            .wait_for(|state| !matches!(state, WriterState::Running))
            .await;
        match ended.as_deref() {
            Ok(WriterState::Panicked(message)) => Err(message.clone()),
            Ok(_) => Ok(()),
            Err(_) => Err("its thread is gone".to_owned()),
        }
    }
}

/// What has become of the writer.
#[derive(Clone, Debug)]
enum WriterState {
    Running,
    Closed,
    Panicked(String),
}

/// Works until the writer is told to close, and tells how it ended.
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
