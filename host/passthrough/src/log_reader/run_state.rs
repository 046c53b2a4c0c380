//! The runs of a container: when it stopped, and when it was started again.

use std::sync::Arc;

use rdd_core::{
    Container, ContainerEngine, ContainerIndex, ContainerRef, EngineError, EngineObject, ErrorCode,
    ObjectRef, Timestamp,
};
use tokio::sync::watch;

use super::LogView;
use crate::entries::engine_call::with_timeout;
use crate::limits;

/// The beginning or the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContainerRun {
    /// When it began or ended, if the engine tells.
    pub(crate) time: Option<Timestamp>,
    /// The exit code, once it has ended and if the engine tells.
    pub(crate) exit_code: Option<i32>,
}

/// What happened to a container whose log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunChange {
    /// The container was removed.
    Removed,
    /// It still runs, or is about to be seen as stopped.
    None,
    /// It stopped.
    Stopped(ContainerRun),
    /// It stopped and was started again.
    Restarted {
        stopped: ContainerRun,
        started: ContainerRun,
    },
}

/// An observer of one container's runs.
pub(super) struct RunWatcher {
    engine: Arc<dyn ContainerEngine>,
    container: ContainerRef,
    containers: watch::Receiver<ContainerIndex>,
    /// When the run began whose log is read.
    started_at: Option<Timestamp>,
}

impl RunWatcher {
    /// Creates the observer of the container that `view` reads.
    pub(super) fn new(view: &LogView) -> Self {
        let indexed = view.containers.borrow().by_reference(&view.container);
        Self {
            engine: Arc::clone(&view.engine),
            container: view.container.clone(),
            containers: view.containers.clone(),
            started_at: indexed.and_then(|indexed| indexed.container.started_at),
        }
    }

    /// Returns what happened when the log ended.
    pub(super) async fn after_end(&mut self) -> Result<RunChange, EngineError> {
        let Some(container) = self.inspect().await? else {
            return Ok(RunChange::Removed);
        };
        let ended = ContainerRun {
            time: container.finished_at,
            exit_code: (!container.running).then_some(container.exit_code),
        };
        if !container.running {
            self.started_at = container.started_at;
            return Ok(RunChange::Stopped(ended));
        }
        if self.started_at.is_none() || container.started_at == self.started_at {
            self.started_at = container.started_at;
            return Ok(RunChange::None);
        }
        self.started_at = container.started_at;
        Ok(RunChange::Restarted {
            stopped: ended,
            started: ContainerRun {
                time: container.started_at,
                exit_code: None,
            },
        })
    }

    /// Waits until the container is started again. Returns `None` if it is
    /// removed.
    pub(super) async fn started(&mut self) -> Result<Option<ContainerRun>, EngineError> {
        loop {
            let Some(container) = self.inspect().await? else {
                return Ok(None);
            };
            // A run that has ended since counts, too.
            if container.started_at != self.started_at {
                self.started_at = container.started_at;
                return Ok(Some(ContainerRun {
                    time: container.started_at,
                    exit_code: None,
                }));
            }
            self.changed().await;
        }
    }

    /// Waits until the index has another state of the container, or for a while,
    /// since the index may be behind or not written.
    async fn changed(&mut self) {
        let find = |index: &ContainerIndex, of: &ContainerRef| {
            index.by_reference(of).map(|indexed| indexed.container)
        };
        let before = find(&self.containers.borrow_and_update(), &self.container);
        let is_other = |index: &ContainerIndex| find(index, &self.container) != before;
        let changed = self.containers.wait_for(is_other);
        // Without a mirror there are no changes; the timeout remains.
        let changed = async {
            if changed.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::time::timeout(limits::RUN_CHECK_INTERVAL, changed)
            .await
            .ok();
    }

    async fn inspect(&self) -> Result<Option<Container>, EngineError> {
        let object = ObjectRef::from(self.container.clone());
        match with_timeout(self.engine.inspect(&object)).await {
            Ok(response) => match response.object {
                EngineObject::Container(container) => Ok(Some(container)),
                _ => Err(EngineError::new(
                    ErrorCode::Internal,
                    "the backend returned another object than the container",
                )),
            },
            Err(error) if error.code == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
