//! The engine in use, as request handlers see it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{BackendInfo, ContainerEngine};

/// The reason why the engine cannot be called, with the HTTP status that
/// clients get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnavailableReason {
    /// There is no usable backend of the selected name (501). This is permanent
    /// until one is installed.
    BackendNotInstalled {
        /// The name that the App selects.
        backend: String,
        /// One sentence with the cause and the remedy.
        reason: String,
    },
    /// `App.spec.running` is false (503).
    Stopped,
    /// The App was not read yet, or the engine has not responded yet (503).
    Starting,
    /// The engine cannot be reached (503).
    EngineUnreachable {
        /// The message of the engine or of the transport.
        reason: String,
    },
    /// The backend failed and is about to be restarted (503).
    BackendRestarting {
        /// The cause of the failure.
        reason: String,
    },
}

/// Whether the engine can be called.
#[derive(Clone)]
pub enum ServingState {
    /// The engine to call.
    Ready(Arc<dyn ContainerEngine>),
    /// The engine cannot be called.
    Unavailable(UnavailableReason),
}

impl std::fmt::Debug for ServingState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(engine) => f.debug_tuple("Ready").field(&engine.info().name).finish(),
            Self::Unavailable(reason) => f.debug_tuple("Unavailable").field(reason).finish(),
        }
    }
}

/// The snapshot that request handlers read. Only the reconciler of the App
/// writes it, as a whole, through the sender of the watch channel. So a reader
/// never sees part of a change and never waits for one.
///
/// ```
/// use rdd_core::{ServingSnapshot, ServingState, UnavailableReason};
///
/// let (reconciler, handler) = ServingSnapshot::channel();
/// // Before the App was read, the engine is "starting", not "stopped".
/// assert!(matches!(
///     handler.borrow().serving,
///     ServingState::Unavailable(UnavailableReason::Starting)
/// ));
///
/// let in_flight = handler.borrow().clone();
/// reconciler.send_modify(|snapshot| {
///     snapshot.backend = "moby".to_owned();
///     snapshot.serving = ServingState::Unavailable(UnavailableReason::Stopped);
/// });
/// // A request in flight keeps its snapshot; the next one reads the new one.
/// assert_eq!(in_flight.backend, "");
/// assert_eq!(handler.borrow().backend, "moby");
/// assert!(matches!(
///     handler.borrow().serving,
///     ServingState::Unavailable(UnavailableReason::Stopped)
/// ));
/// ```
#[derive(Clone, Debug)]
pub struct ServingSnapshot {
    /// The value of `App.spec.containerEngine.name`; empty before the App was
    /// first read.
    pub backend: String,
    /// The backend's description of itself, or `None` if the backend is not
    /// installed. It is kept while the engine is unreachable, so that an ID can
    /// still be validated.
    pub info: Option<BackendInfo>,
    /// Whether the engine can be called now.
    pub serving: ServingState,
}

impl ServingSnapshot {
    /// Creates the channel that the reconciler writes and request handlers
    /// read, with the state [`UnavailableReason::Starting`].
    pub fn channel() -> (watch::Sender<Self>, watch::Receiver<Self>) {
        watch::channel(Self {
            backend: String::new(),
            info: None,
            serving: ServingState::Unavailable(UnavailableReason::Starting),
        })
    }
}
