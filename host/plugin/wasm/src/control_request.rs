//! The calls on their way to the task that owns the control store.

use rdd_core::{
    ContainerAction, ContainerRef, ContainerSpec, EngineError, InspectResponse, ObjectRef,
    RemoveRequest, VolumeSpec,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use crate::watch_stream::WatchHandle;

/// The sender of a call's reply. The caller may have dropped the receiver.
pub(crate) type ReplySender<T> = oneshot::Sender<Result<T, EngineError>>;

/// A call on its way to the task that owns the store.
pub(crate) struct ControlRequest {
    pub(crate) call: GuestCall,
    /// Held until the guest has finished the call, which may be long after the
    /// caller gave up.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A call of a guest's export.
pub(crate) enum GuestCall {
    Watch {
        stop: CancellationToken,
        reply: ReplySender<WatchHandle>,
    },
    Inspect {
        object: ObjectRef,
        /// Canceled when the caller gives up.
        stop: CancellationToken,
        reply: ReplySender<InspectResponse>,
    },
    Act {
        container: ContainerRef,
        action: ContainerAction,
        reply: ReplySender<()>,
    },
    Remove {
        request: RemoveRequest,
        reply: ReplySender<()>,
    },
    CreateContainer {
        spec: Box<ContainerSpec>,
        reply: ReplySender<String>,
    },
    CreateVolume {
        spec: Box<VolumeSpec>,
        reply: ReplySender<String>,
    },
    Ping {
        reply: ReplySender<()>,
    },
}

impl GuestCall {
    /// Whether the caller has given up.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Watch { reply, .. } => reply.is_closed(),
            Self::Inspect { reply, .. } => reply.is_closed(),
            Self::Act { reply, .. } | Self::Remove { reply, .. } | Self::Ping { reply } => {
                reply.is_closed()
            }
            Self::CreateContainer { reply, .. } | Self::CreateVolume { reply, .. } => {
                reply.is_closed()
            }
        }
    }
}
