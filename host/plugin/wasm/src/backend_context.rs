//! What the stores of one backend share.

use std::sync::Arc;

use rdd_plugin_contract::{BackendLimits, BackendPermits, MemoryBudget};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

use crate::host_context::HostContext;
use crate::runtime::LinkedComponent;

/// What all stores of one backend share, across restarts.
pub(crate) struct BackendContext {
    pub(crate) component: LinkedComponent,
    pub(crate) limits: BackendLimits,
    pub(crate) host: Arc<HostContext>,
    /// The memory of the control stores, each of which has its own limit: streams
    /// that use all of theirs must not keep the backend from starting.
    pub(crate) control_memory: Arc<MemoryBudget>,
    /// The memory of the stores of streams.
    pub(crate) stream_memory: Arc<MemoryBudget>,
    pub(crate) shutdown: CancellationToken,
    /// The tasks of all stores.
    pub(crate) tasks: TaskTracker,
    /// The span in which the tasks run.
    pub(crate) span: Span,
    pub(crate) permits: BackendPermits,
}
