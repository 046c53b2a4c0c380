//! Whether the engine can be asked, as request handlers see it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{BackendInfo, ContainerEngine};

/// Why the engine cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnavailableReason {
    /// No usable backend of the chosen name. For ever, until one is installed: 501.
    BackendNotInstalled {
        /// The name that was asked for.
        backend: String,
        /// One sentence: why, and the remedy.
        reason: String,
    },
    /// `App.spec.running` is false: 503.
    Stopped,
    /// The App was not read yet, or the engine was asked and has not answered yet: 503.
    Starting,
    /// The engine is not there: 503.
    EngineUnreachable {
        /// The engine's or transport's words.
        reason: String,
    },
    /// The backend crashed and is about to be started again: 503.
    BackendRestarting {
        /// What it died of.
        reason: String,
    },
}

/// Whether the engine can be asked, and by whom.
#[derive(Clone)]
pub enum ServingState {
    /// It can.
    Ready(Arc<dyn ContainerEngine>),
    /// It cannot.
    Not(UnavailableReason),
}

impl std::fmt::Debug for ServingState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(engine) => f.debug_tuple("Ready").field(&engine.info().name).finish(),
            Self::Not(reason) => f.debug_tuple("Not").field(reason).finish(),
        }
    }
}

/// What request handlers read. Only the App's reconciler writes it, whole,
/// through the sender of the watch channel: a reader never sees half a change
/// and never waits for one.
///
/// ```
/// use rdd_core::{NotServing, Serving, ServingSnapshot};
///
/// let (reconciler, handler) = ServingSnapshot::channel();
/// // Before anything was read, the answer is "starting", not "stopped".
/// assert!(matches!(handler.borrow().serving, Serving::Not(NotServing::Starting)));
///
/// let asked = handler.borrow().clone();
/// reconciler.send_modify(|snapshot| {
///     snapshot.backend = "moby".to_owned();
///     snapshot.serving = Serving::Not(NotServing::Stopped);
/// });
/// // A request under way goes on with what it saw; the next one sees it all.
/// assert_eq!(asked.backend, "");
/// assert_eq!(handler.borrow().backend, "moby");
/// assert!(matches!(handler.borrow().serving, Serving::Not(NotServing::Stopped)));
/// ```
#[derive(Clone, Debug)]
pub struct ServingSnapshot {
    /// The name in `App.spec.containerEngine.name`; empty before the App was first read.
    pub backend: String,
    /// What that backend says of itself; kept while the engine is away, so
    /// that an ID can be checked without it. `None` when none is installed.
    pub info: Option<BackendInfo>,
    /// Whether it can be asked now.
    pub serving: ServingState,
}

impl ServingSnapshot {
    /// The channel that the reconciler writes and request handlers read.
    pub fn channel() -> (watch::Sender<Self>, watch::Receiver<Self>) {
        watch::channel(Self {
            backend: String::new(),
            info: None,
            serving: ServingState::Not(UnavailableReason::Starting),
        })
    }
}
