//! A backend as the rest of the host sees it.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine, EngineError, ErrorCode, InspectResponse,
    LogOptions, LogStream, ObjectKind, ObjectRef, RemoveRequest, WatchStream,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::activity::Activity;
use crate::backend::Shared;
use crate::control::{Call, Control, Load, Request};
use crate::guest::{Death, Guest};
use crate::limits::BackendLimits;
use crate::state::MAX_SLEEPS;
use crate::{logs, probe};

/// Requests on their way to the task that owns the control store. Each has a
/// permit, so that the channel is never full for long.
const REQUESTS: usize = BackendLimits::READS + BackendLimits::CHANGES + 2;

/// What a backend holds, for people who look for a leak. All but the memory
/// is zero while nobody asks it for anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls that the guest of the control store has not ended.
    pub calls: usize,
    /// Reads that run or are on their way, as far as they have a place.
    pub reads: usize,
    /// Changes that run or are on their way, as far as they have a place.
    pub changes: usize,
    /// Watches: one at most.
    pub watches: usize,
    /// Timers of the control store.
    pub sleeps: usize,
    /// Log streams of all lives of the backend.
    pub log_streams: usize,
    /// Connections to the engine of all stores of the backend.
    pub connections: usize,
    /// Bytes of linear memory of all stores of the backend.
    pub memory: usize,
}

/// One life of a backend: from a fresh control store to its death.
pub struct Instance {
    shared: Arc<Shared>,
    info: BackendInfo,
    requests: mpsc::Sender<Request>,
    reads: Arc<Semaphore>,
    changes: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    death: watch::Receiver<Option<Death>>,
    activity: Arc<Activity>,
    sleeps: Arc<Semaphore>,
    /// Ends the store's task with the instance.
    _stop: DropGuard,
}

impl Instance {
    pub(crate) fn spawn(shared: Arc<Shared>, mut guest: Guest, info: BackendInfo) -> Self {
        let (requests, received) = mpsc::channel(REQUESTS);
        let (dying, death) = watch::channel(None);
        let closing = shared.closing.child_token();
        let stop = closing.clone().drop_guard();
        let control = Control {
            backend: info.name.clone(),
            form: info.id_form,
            limits: shared.limits.clone(),
            activity: guest.activity(),
            load: Load::default(),
        };
        let (activity, sleeps) = (guest.activity(), guest.sleeps());
        let probing = probe::run(shared.clone(), activity.clone(), requests.downgrade());
        shared.tasks.spawn(async move {
            let death = tokio::select! {
                served = control.serve(&mut guest, received) => served.err(),
                () = closing.cancelled() => None,
                () = probing => None,
            };
            // Readers find out why before they find out that.
            dying.send_replace(Some(
                death.unwrap_or_else(|| Death::blameless("was shut down")),
            ));
        });
        Self {
            shared,
            info,
            requests,
            reads: Arc::new(Semaphore::new(BackendLimits::READS)),
            changes: Arc::new(Semaphore::new(BackendLimits::CHANGES)),
            watches: Arc::new(Semaphore::new(1)),
            death,
            activity,
            sleeps,
            _stop: stop,
        }
    }

    /// Waits until the control store is no more, and says why.
    pub async fn ended(&self) -> Death {
        Death::of(&mut self.death.clone()).await
    }

    /// What the backend and this life of it hold now.
    pub fn usage(&self) -> Usage {
        let Shared {
            limits,
            grants,
            budget,
            log_slots,
            ..
        } = &*self.shared;
        let used = |all: usize, left: &Semaphore| all.saturating_sub(left.available_permits());
        Usage {
            calls: self.activity.len(),
            reads: used(BackendLimits::READS, &self.reads),
            changes: used(BackendLimits::CHANGES, &self.changes),
            watches: used(1, &self.watches),
            sleeps: used(MAX_SLEEPS, &self.sleeps),
            log_streams: used(limits.log_streams, log_slots),
            connections: used(limits.connections, &grants.connections),
            memory: budget.used(),
        }
    }

    /// Sends a call to the store and waits for its answer. Has no limit of
    /// its own: the caller may drop it, and whatever hangs is found out.
    async fn ask<T>(
        &self,
        place: impl Future<Output = Result<OwnedSemaphorePermit, EngineError>>,
        call: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Call,
    ) -> Result<T, EngineError> {
        let permit = place.await?;
        let asking = async {
            let (reply, answer) = oneshot::channel();
            let request = Request {
                call: call(reply),
                permit,
            };
            self.requests.send(request).await.ok()?;
            answer.await.ok()
        };
        match asking.await {
            Some(answer) => answer,
            None => Err(self.ended().await.error(&self.info.name)),
        }
    }

    /// Waits for a place among so many calls.
    async fn place(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, EngineError> {
        match places.clone().acquire_owned().await {
            Ok(permit) => Ok(permit),
            // Nobody closes it.
            Err(_) => Err(self.ended().await.error(&self.info.name)),
        }
    }

    /// Waits until the last watch has ended, which it must soon after its
    /// reader went.
    async fn watch_place(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        let limit = self.shared.limits.stop_grace.saturating_mul(2);
        match tokio::time::timeout(limit, self.place(&self.watches)).await {
            Ok(place) => place,
            Err(_) => Err(EngineError::new(
                ErrorCode::Timeout,
                format!(
                    "another watch of the backend {} has not ended within {limit:?}, and there may be one at a time",
                    self.info.name
                ),
            )),
        }
    }

    fn check_container(&self, id: &str) -> Result<(), EngineError> {
        let form = self.info.id_form;
        if form.matches(id) {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorCode::InvalidArgument,
            format!(
                "{} is not a container ID: it must be {form}",
                crate::check::shown(id)
            ),
        ))
    }

    fn require(&self, can: bool, what: &str) -> Result<(), EngineError> {
        if can {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorCode::Unsupported,
            format!("the backend {} cannot {what}", self.info.name),
        ))
    }
}

#[async_trait]
impl ContainerEngine for Instance {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let limits = &self.shared.limits;
        let opened = self
            .ask(self.watch_place(), |reply| Call::Watch { stop, reply })
            .await?;
        let reader = crate::watch::Reader {
            backend: self.info.name.clone(),
            _stop: guard,
            death: self.death.clone(),
            stall: limits.stall,
            end_grace: limits.stop_grace,
        };
        Ok(reader.stream(opened))
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        if object.kind == ObjectKind::Container {
            self.check_container(&object.id)?;
        }
        let object = object.clone();
        self.ask(self.place(&self.reads), |reply| Call::Inspect {
            object,
            reply,
        })
        .await
    }

    async fn get_logs(&self, id: &str, options: &LogOptions) -> Result<LogStream, EngineError> {
        self.require(self.info.capabilities.logs, "read logs")?;
        self.check_container(id)?;
        logs::open(&self.shared, id, options).await
    }

    async fn act(&self, id: &str, action: ContainerAction) -> Result<(), EngineError> {
        self.require(self.info.capabilities.actions, "start or stop containers")?;
        self.check_container(id)?;
        let id = id.to_owned();
        self.ask(self.place(&self.changes), |reply| Call::Act {
            id,
            action,
            reply,
        })
        .await
    }

    async fn remove(&self, target: &RemoveRequest) -> Result<(), EngineError> {
        self.require(self.info.capabilities.removals, "remove anything")?;
        if let RemoveRequest::Container { id } = target {
            self.check_container(id)?;
        }
        let target = target.clone();
        self.ask(self.place(&self.changes), |reply| Call::Remove {
            target,
            reply,
        })
        .await
    }
}
