//! An engine with one fault.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rdd_core::*;
use tokio::sync::Semaphore;

use crate::altered_stream::keep_open;
use crate::mutant_watch::edit_container;
use crate::mutation::Mutation;
use crate::mutation::Mutation::*;
use crate::toy_client::ToyClient;

/// The number of connections that one instance leaks: more than the case needs.
const MAX_LEAKED_CONNECTIONS: usize = 100;

/// The number of logs that one instance reads at once: fewer than the case needs.
const MAX_OPEN_LOGS: usize = 500;

pub(crate) struct MutantEngine {
    pub(crate) inner: Arc<ToyClient>,
    info: BackendInfo,
    pub(crate) mutation: Mutation,
    pub(crate) calls: AtomicUsize,
    inspecting: Arc<tokio::sync::Mutex<()>>,
    /// Logs are counted while they are open, since a fast machine reads more of them
    /// one after another.
    pub(crate) open_logs: Arc<Semaphore>,
}

impl MutantEngine {
    pub(crate) fn new(inner: Arc<ToyClient>, info: BackendInfo, mutation: Mutation) -> Self {
        Self {
            inner,
            info,
            mutation,
            calls: AtomicUsize::new(0),
            inspecting: Arc::default(),
            open_logs: Arc::new(Semaphore::new(MAX_OPEN_LOGS)),
        }
    }
}

pub(crate) fn error(code: ErrorCode) -> EngineError {
    EngineError::new(code, "simulated")
}

/// Returns `code` in place of one code.
pub(crate) fn instead<T>(
    result: Result<T, EngineError>,
    of: &ErrorCode,
    code: ErrorCode,
) -> Result<T, EngineError> {
    result.map_err(|found| {
        if found.code == *of {
            error(code)
        } else {
            found
        }
    })
}

#[async_trait]
impl ContainerEngine for MutantEngine {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let watch = self.watch_events(self.inner.watch().await?);
        Ok(match self.mutation {
            WatchesOnAfterStop => keep_open(watch),
            _ => watch,
        })
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        let inspect = self.inner.inspect(object);
        let mut response = match self.mutation {
            InspectsTheDefaultNamespace => {
                let reference = ObjectRef::new(object.kind, "main", &object.id);
                self.inner.inspect(&reference).await
            }
            HasNoVolumesButInternalErrors if object.kind == ObjectKind::Volume => {
                instead(inspect.await, &ErrorCode::NotFound, ErrorCode::Internal)
            }
            AcceptsMalformedIds => instead(
                inspect.await,
                &ErrorCode::InvalidArgument,
                ErrorCode::NotFound,
            ),
            HangsAfterAStoppedInspect => {
                let lock = Arc::clone(&self.inspecting).lock_owned().await;
                // Unlocked by a call that ends, and never by one whose caller leaves.
                let lock = ManuallyDrop::new(lock);
                let answer = inspect.await;
                drop(ManuallyDrop::into_inner(lock));
                answer
            }
            LeaksAConnection => {
                // Not more, since the engine would refuse connections at some number.
                if self.calls.fetch_add(1, Ordering::Relaxed) < MAX_LEAKED_CONNECTIONS {
                    let watch = self.inner.watch().await?;
                    drop(keep_open(watch));
                }
                inspect.await
            }
            _ => inspect.await,
        }?;
        edit_container(&mut response.object, self.mutation, true);
        if self.mutation == ShowsSecrets {
            response.raw = r#"{"Env":["PASSWORD=rdd-conformance-secret"]}"#.to_owned();
        }
        Ok(response)
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        self.open_log(container, options).await
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        self.open_entries(container, options).await
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        let call = self.inner.act(container, action);
        match (self.mutation, action) {
            (ReturnsBeforeARestart, ContainerAction::Restart) => Ok(()),
            (DoesNotUnpause, ContainerAction::Unpause) => Ok(()),
            (RefusesToPauseTwice, ContainerAction::Pause) => {
                let reference = ObjectRef::from(container.clone());
                match self.inner.inspect(&reference).await?.object {
                    EngineObject::Container(found) if found.paused => {
                        Err(error(ErrorCode::Conflict))
                    }
                    _ => call.await,
                }
            }
            (PausesWhatIsStopped, ContainerAction::Pause) => {
                instead(call.await, &ErrorCode::Conflict, ErrorCode::Internal)
            }
            (ActsOnUnknownContainersWithConflict, _) => {
                instead(call.await, &ErrorCode::NotFound, ErrorCode::Conflict)
            }
            _ => call.await,
        }
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        let mut wanted = request.clone();
        match (self.mutation, &mut wanted.target) {
            (RemovesInTheDefaultNamespace, _) => wanted.namespace = "main".to_owned(),
            (IgnoresTheTimeOfAVolume, RemoveTarget::Volume { created_at, .. }) => {
                *created_at = None
            }
            _ => {}
        }
        let result = self.inner.remove(&wanted).await;
        let code = result.as_ref().err().map(|error| error.code.clone());
        match (self.mutation, &request.target, code) {
            (RemovesTwice, RemoveTarget::Container { id }, Some(ErrorCode::NotFound))
                if !id.starts_with("none") =>
            {
                Ok(())
            }
            (RemovesUnknownVolumes, RemoveTarget::Volume { .. }, Some(ErrorCode::NotFound)) => {
                Ok(())
            }
            (IgnoresTheImageOfATag, RemoveTarget::ImageTag { .. }, Some(ErrorCode::Replaced)) => {
                Ok(())
            }
            (FailsOnWhatIsInUseWithInternal, _, Some(ErrorCode::Conflict)) => {
                Err(error(ErrorCode::Internal))
            }
            _ => result,
        }
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        let mut wanted = spec.clone();
        if self.mutation == GeneratesOneName && spec.name.is_none() {
            wanted.name = Some("generated".to_owned());
        }
        let result = self.inner.create_container(&wanted).await;
        match self.mutation {
            StartsWhatItCreates => {
                let id = result?;
                let container = ContainerRef::new(&spec.namespace, &id);
                self.inner.act(&container, ContainerAction::Start).await?;
                Ok(id)
            }
            FailsOnUsedNamesWithInvalidArgument => {
                instead(result, &ErrorCode::Conflict, ErrorCode::InvalidArgument)
            }
            FailsOnUnknownImagesWithUnavailable => {
                instead(result, &ErrorCode::NotFound, ErrorCode::Unavailable)
            }
            _ => result,
        }
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        let mut wanted = spec.clone();
        if self.mutation == DropsLabelsOfVolumes {
            wanted.labels.clear();
        }
        match self.inner.create_volume(&wanted).await {
            Err(_) if self.mutation == ReturnsVolumesThatExist => {
                Ok(spec.name.clone().unwrap_or_default())
            }
            result => result,
        }
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        self.start_process(container, options).await
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        let transfer = self.inner.pull(spec).await;
        Ok(match self.mutation {
            NeverCompletesALayer => transfer?
                .filter(|progress| {
                    let is_complete = progress
                        .as_ref()
                        .is_ok_and(|progress| progress.phase.is_complete());
                    std::future::ready(!is_complete)
                })
                .boxed(),
            PullsUnknownImagesWithUnavailable => {
                instead(transfer, &ErrorCode::NotFound, ErrorCode::Unavailable)?
            }
            PullsAfterStop => keep_open(transfer?),
            _ => transfer?,
        })
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        let transfer = self.inner.push(spec).await;
        Ok(match self.mutation {
            PushesWithoutProgress => {
                drop(transfer?.collect::<Vec<_>>().await);
                stream::empty().boxed()
            }
            PushesUnknownTagsWithInternal => {
                instead(transfer, &ErrorCode::NotFound, ErrorCode::Internal)?
            }
            _ => transfer?,
        })
    }
}
