//! The control store of a backend: every call but the logs.
//!
//! A call has all the time that the engine takes. One that hangs
//! ([`activity`](crate::activity)) is answered with an error, and the store is
//! replaced as soon as that harms nobody: once no other call runs, or once so
//! many hang that there would be no place for others.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use rdd_core::{
    ContainerAction, EngineError, ErrorCode, IdFormat, InspectResponse, ObjectRef, RemoveRequest,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Accessor, ComponentNamedList, Lift, Lower, TypedFunc};

use crate::activity::{Activity, Followed};
use crate::bindings::{Backend as Bindings, types};
use crate::guest::{Death, Failure, Guest, Resolve, close, hangs, overdue, stop_future};
use crate::limits::BackendLimits;
use crate::reflector::Reflector;
use crate::state::HostState;
use crate::{convert, watch};

/// With so many hanging calls a store is replaced whatever else runs in it:
/// half of the reads that it may run.
const MAX_HUNG: usize = BackendLimits::READS / 2;

/// Where the answer of a call goes. Nobody may be waiting for it any more.
type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// A call, on its way to the task that owns the store.
pub(crate) struct Request {
    pub(crate) call: Call,
    /// Held until the guest is done with the call, which may be long after
    /// its caller gave up.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What is asked of the guest.
pub(crate) enum Call {
    Watch {
        stop: CancellationToken,
        reply: Reply<watch::Opened>,
    },
    Inspect {
        object: ObjectRef,
        reply: Reply<InspectResponse>,
    },
    Act {
        id: String,
        action: ContainerAction,
        reply: Reply<()>,
    },
    Remove {
        target: RemoveRequest,
        reply: Reply<()>,
    },
    Ping {
        reply: Reply<()>,
    },
}

impl Call {
    /// Whether its caller is there no more.
    fn is_unwanted(&self) -> bool {
        match self {
            Self::Watch { reply, .. } => reply.is_closed(),
            Self::Inspect { reply, .. } => reply.is_closed(),
            Self::Act { reply, .. } | Self::Remove { reply, .. } | Self::Ping { reply } => {
                reply.is_closed()
            }
        }
    }
}

/// What the task of a control store knows.
pub(crate) struct Control {
    /// The backend's name, for its errors.
    pub(crate) backend: String,
    pub(crate) form: IdFormat,
    pub(crate) limits: BackendLimits,
    pub(crate) activity: Arc<Activity>,
    pub(crate) load: Load,
}

/// How many calls run in a store, but the watch, which can begin anew.
#[derive(Debug, Default)]
pub(crate) struct Load {
    busy: AtomicUsize,
    hung: AtomicUsize,
    changed: Notify,
}

/// One call of a [`Load`].
struct Counted<'a> {
    count: &'a AtomicUsize,
    changed: &'a Notify,
}

impl Load {
    fn busy(&self) -> Counted<'_> {
        Counted::new(&self.busy, &self.changed)
    }

    fn hung(&self) -> Counted<'_> {
        Counted::new(&self.hung, &self.changed)
    }

    /// Returns once the store is to be replaced.
    async fn spent(&self) {
        loop {
            let changed = self.changed.notified();
            let hung = self.hung.load(Ordering::Relaxed);
            let busy = self.busy.load(Ordering::Relaxed);
            if hung >= MAX_HUNG || (hung > 0 && busy == 0) {
                return;
            }
            changed.await;
        }
    }
}

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize, changed: &'a Notify) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        changed.notify_waiters();
        Self { count, changed }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}

impl Control {
    /// Serves calls until the guest fails or no caller can come any more.
    pub(crate) async fn serve(
        &self,
        guest: &mut Guest,
        mut requests: mpsc::Receiver<Request>,
    ) -> Result<(), Death> {
        guest
            .run(async |accessor, bindings| {
                let mut calls = FuturesUnordered::new();
                let mut spent = pin!(self.load.spent());
                loop {
                    tokio::select! {
                        Some(done) = calls.next() => done?,
                        request = requests.recv() => match request {
                            Some(request) if request.call.is_unwanted() => {}
                            Some(request) => calls.push(self.call(accessor, bindings, request)),
                            None => return Ok(()),
                        },
                        () = &mut spent => {
                            return Err(Failure::Ours(hangs("a call", self.limits.stall)));
                        }
                    }
                }
            })
            .await
    }

    async fn call(
        &self,
        accessor: &Accessor<HostState>,
        bindings: &Bindings,
        Request { call, permit }: Request,
    ) -> Result<(), Failure> {
        let engine = bindings.rancher_desktop_engine_engine();
        let lifecycle = bindings.rancher_desktop_engine_lifecycle();
        let unit = |answered: Result<(), types::Error>| answered.map_err(convert::error);
        match call {
            Call::Watch { stop, reply } => {
                let told = stop_future(accessor, &stop)?;
                let (followed, opening) = self.start(accessor, engine.func_watch(), (told,))?;
                let opening = pin!(opening);
                let hung = pin!(followed.progress().hung(self.limits.stall));
                let opened = match select(opening, hung).await {
                    Either::Left((opened, _)) => opened?.0,
                    // No other watch can begin while this one does not end.
                    Either::Right(_) => {
                        return Err(Failure::Ours(hangs("watch", self.limits.stall)));
                    }
                };
                match opened {
                    Ok((stream, end)) => {
                        self.watch(accessor, stream, end, &stop, reply, &followed)
                            .await?;
                    }
                    Err(error) => answer(reply, Err(convert::error(error))),
                }
            }
            Call::Inspect { object, reply } => {
                let params = (convert::to_object_ref(&object),);
                let started = self.start(accessor, engine.func_inspect(), params)?;
                self.answer("inspect", started, reply, |inspected| match inspected {
                    Ok(inspection) => {
                        convert::inspection(self.form, &object, inspection).map_err(|violation| {
                            Death::blamed(violation.to_string()).error(&self.backend)
                        })
                    }
                    Err(error) => Err(convert::error(error)),
                })
                .await?;
            }
            Call::Act { id, action, reply } => {
                let params = (id, convert::to_action(action));
                let started = self.start(accessor, lifecycle.func_act(), params)?;
                self.answer("act", started, reply, unit).await?;
            }
            Call::Remove { target, reply } => {
                let params = (convert::to_removal(&target),);
                let started = self.start(accessor, lifecycle.func_remove(), params)?;
                self.answer("remove", started, reply, unit).await?;
            }
            Call::Ping { reply } => {
                let started = self.start(accessor, engine.func_ping(), ())?;
                started.0.progress().set_probe();
                self.answer("ping", started, reply, unit).await?;
            }
        }
        drop(permit);
        Ok(())
    }

    /// Starts a call, and follows what it waits for.
    fn start<'a, P, R>(
        &self,
        accessor: &'a Accessor<HostState>,
        function: TypedFunc<P, R>,
        params: P,
    ) -> wasmtime::Result<(
        Followed,
        impl Future<Output = wasmtime::Result<R>> + use<'a, P, R>,
    )>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let call = accessor.with(|store| function.start_call_concurrent(store, params))?;
        let followed = self.activity.follow(call.task());
        Ok((followed, function.finish_call_concurrent(accessor, call)))
    }

    /// Waits for the guest's answer and passes it on; once the call hangs,
    /// its caller is told, and the answer is waited for all the same.
    async fn answer<R, T>(
        &self,
        what: &str,
        (followed, answering): (Followed, impl Future<Output = wasmtime::Result<(R,)>>),
        reply: Reply<T>,
        convert: impl FnOnce(R) -> Result<T, EngineError>,
    ) -> Result<(), Failure> {
        let busy = self.load.busy();
        let hung = pin!(followed.progress().hung(self.limits.stall));
        match select(pin!(answering), hung).await {
            Either::Left((answered, _)) => answer(reply, convert(answered?.0)),
            Either::Right(((), answering)) => {
                let Death { reason, .. } = hangs(what, self.limits.stall);
                let message = format!("the backend {} {reason}", self.backend);
                answer(reply, Err(EngineError::new(ErrorCode::Timeout, message)));
                let _hung = self.load.hung();
                drop(busy);
                answering.await?;
            }
        }
        Ok(())
    }

    async fn watch(
        &self,
        accessor: &Accessor<HostState>,
        stream: wasmtime::component::StreamReader<crate::bindings::engine::Event>,
        end: wasmtime::component::FutureReader<Result<(), types::Error>>,
        stop: &CancellationToken,
        reply: Reply<watch::Opened>,
        followed: &Followed,
    ) -> Result<(), Failure> {
        if reply.is_closed() {
            return Ok(close(accessor, stream, end)?);
        }
        let (to, events) = mpsc::channel(watch::BATCHES);
        let (ended, end_of_guest) = oneshot::channel();
        accessor.with(|mut access| {
            stream.pipe(&mut access, watch::Sink::new(to, Reflector::new(self.form)))?;
            end.pipe(&mut access, Resolve(Some(ended)))
        })?;
        let (forward, end) = oneshot::channel();
        let opened = watch::Opened {
            events,
            end,
            progress: followed.progress().clone(),
        };
        answer(reply, Ok(opened));
        let grace = self.limits.stop_grace;
        tokio::select! {
            ended = end_of_guest => {
                if let Ok(ended) = ended {
                    // The reader may have gone: then nobody asks how it ended.
                    forward.send(ended).ok();
                }
                Ok(())
            }
            () = overdue(stop, grace) => Err(Failure::Ours(Death::blamed(format!(
                "broke the contract: a watch went on for {grace:?} after it was told to stop"
            )))),
        }
    }
}

fn answer<T>(reply: Reply<T>, answer: Result<T, EngineError>) {
    // The caller may have given up.
    reply.send(answer).ok();
}
