//! What all lives of a backend share, and how one begins.

use std::sync::Arc;

use rdd_core::{EngineError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::convert;
use crate::guest::{Death, Guest};
use crate::instance::Instance;
use crate::limits::{BackendLimits, MemoryBudget};
use crate::liveness::Liveness;
use crate::runtime::Program;
use crate::state::Grants;
use crate::throttle::Throttle;
use crate::transport::Transport;

/// What all lives of one backend share.
pub(crate) struct Shared {
    pub(crate) program: Program,
    pub(crate) limits: BackendLimits,
    pub(crate) grants: Arc<Grants>,
    pub(crate) budget: Arc<MemoryBudget>,
    pub(crate) closing: CancellationToken,
    /// Owns the tasks of all stores.
    pub(crate) tasks: TaskTracker,
    pub(crate) log_slots: Arc<Semaphore>,
}

impl Shared {
    /// Leave for one more log stream.
    pub(crate) fn log_slot(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        self.log_slots.clone().try_acquire_owned().map_err(|_| {
            EngineError::new(
                ErrorCode::Unavailable,
                format!(
                    "{} log streams of the backend {} are open, the most that it may have; close some and try again",
                    self.limits.log_streams, self.grants.name
                ),
            )
        })
    }
}

/// A component with what it is granted: makes one [`Instance`] after the
/// other.
pub struct Backend {
    shared: Arc<Shared>,
}

/// A backend cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// Its store died. Worth a retry.
    #[error("the backend {backend} {}", death.reason)]
    Died {
        /// The name that its manifest gives.
        backend: String,
        /// What happened.
        death: Death,
    },
    /// It is not what it should be, and never will be.
    #[error("the backend {backend} {problem}")]
    Unfit {
        /// The name that its manifest gives.
        backend: String,
        /// Ends a sentence that begins with the backend's name.
        problem: String,
    },
}

impl Backend {
    /// Grants `program` the way to an engine and what `limits` say.
    pub fn new(
        name: &str,
        program: Program,
        limits: BackendLimits,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let grants = Grants {
            name: name.to_owned(),
            transport,
            connections: Arc::new(Semaphore::new(limits.connections)),
            max_connections: limits.connections,
            probe_connection: Arc::new(Semaphore::new(1)),
            log_throttle: Throttle::new(),
            liveness: Liveness::new(),
        };
        Self {
            shared: Arc::new(Shared {
                program,
                grants: Arc::new(grants),
                budget: MemoryBudget::new(limits.total_memory),
                closing: CancellationToken::new(),
                tasks: TaskTracker::new(),
                log_slots: Arc::new(Semaphore::new(limits.log_streams)),
                limits,
            }),
        }
    }

    /// Makes a fresh control store and asks the backend what it is. Log
    /// streams that earlier instances opened go on.
    pub async fn launch(&self) -> Result<Instance, LaunchError> {
        let shared = &self.shared;
        let name = &shared.grants.name;
        let died = |death| LaunchError::Died {
            backend: name.clone(),
            death,
        };
        let unfit = |problem| LaunchError::Unfit {
            backend: name.clone(),
            problem,
        };
        let mut guest = Guest::start(
            &shared.program,
            &shared.limits,
            shared.limits.control_memory,
            shared.grants.clone(),
            shared.budget.clone(),
        )
        .await
        .map_err(died)?;
        let described = guest.describe(shared.limits.start).await.map_err(died)?;
        let info = convert::info(described).map_err(|violation| unfit(violation.to_string()))?;
        if info.name != *name {
            return Err(unfit(format!(
                "says that its name is {:?}: correct its manifest or the component",
                info.name
            )));
        }
        Ok(Instance::spawn(shared.clone(), guest, info))
    }

    /// Ends all stores and waits until they are gone.
    pub async fn shutdown(&self) {
        let Shared { closing, tasks, .. } = &*self.shared;
        closing.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}
