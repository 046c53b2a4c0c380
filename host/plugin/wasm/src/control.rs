//! The control store of a backend: every call but the logs.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rdd_core::{Action, EngineError, IdForm, Inspection, ObjectRef, Removal};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime::component::Accessor;

use crate::bindings::{Backend as Bindings, types};
use crate::guest::{Death, Failure, Guest, Resolve, close, overdue, stop_future};
use crate::limits::Limits;
use crate::reflector::Reflector;
use crate::state::HostState;
use crate::{convert, watch};

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
        reply: Reply<Inspection>,
    },
    Act {
        id: String,
        action: Action,
        reply: Reply<()>,
    },
    Remove {
        target: Removal,
        reply: Reply<()>,
    },
}

/// What the task of a control store knows.
pub(crate) struct Control {
    /// The backend's name, for its errors.
    pub(crate) backend: String,
    pub(crate) form: IdForm,
    pub(crate) limits: Limits,
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
                loop {
                    tokio::select! {
                        Some(done) = calls.next() => done?,
                        request = requests.recv() => match request {
                            Some(request) => calls.push(self.call(accessor, bindings, request)),
                            None => return Ok(()),
                        },
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
        let Limits { read, change, .. } = self.limits;
        match call {
            Call::Watch { stop, reply } => {
                let told = stop_future(accessor, &stop)?;
                let opening = engine.call_watch(accessor, told);
                match self.in_time("watch", read, opening).await? {
                    Ok((stream, end)) => {
                        self.watch(accessor, stream, end, &stop, reply).await?;
                    }
                    Err(error) => answer(reply, Err(convert::error(error))),
                }
            }
            Call::Inspect { object, reply } => {
                let asking = engine.call_inspect(accessor, convert::to_object_ref(&object));
                let answered = self.in_time("inspect", read, asking).await?;
                answer(
                    reply,
                    match answered {
                        Ok(inspection) => convert::inspection(self.form, &object, inspection)
                            .map_err(|violation| {
                                Death::blamed(violation.to_string()).error(&self.backend)
                            }),
                        Err(error) => Err(convert::error(error)),
                    },
                );
            }
            Call::Act { id, action, reply } => {
                let acting = lifecycle.call_act(accessor, id, convert::to_action(action));
                let acted = self.in_time("act", change, acting).await?;
                answer(reply, acted.map_err(convert::error));
            }
            Call::Remove { target, reply } => {
                let removing = lifecycle.call_remove(accessor, convert::to_removal(&target));
                let removed = self.in_time("remove", change, removing).await?;
                answer(reply, removed.map_err(convert::error));
            }
        }
        drop(permit);
        Ok(())
    }

    async fn watch(
        &self,
        accessor: &Accessor<HostState>,
        stream: wasmtime::component::StreamReader<crate::bindings::engine::Event>,
        end: wasmtime::component::FutureReader<Result<(), types::Error>>,
        stop: &CancellationToken,
        reply: Reply<watch::Opened>,
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
        answer(reply, Ok(watch::Opened { events, end }));
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

    /// Waits for the guest, much longer than its caller does.
    async fn in_time<T>(
        &self,
        what: &str,
        limit: Duration,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Failure> {
        let limit = limit.saturating_add(self.limits.abandoned);
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::Ours(Death::blameless(format!(
                "did not answer {what} within {limit:?}"
            )))),
        }
    }
}

fn answer<T>(reply: Reply<T>, answer: Result<T, EngineError>) {
    // The caller may have given up: its time is shorter than the guest's.
    reply.send(answer).ok();
}
