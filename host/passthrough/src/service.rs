//! The mux as a service: one request in, one answer or one session out.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use jiff::Timestamp;
use rdd_core::{ServingSnapshot, UserIdentity};
use rdd_gateway::Body;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::endpoint::{self, Target};
use crate::logs;
use crate::places::Places;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::upgrade::Handshake;

/// What the mux works with.
pub struct PassthroughOptions {
    /// Whether the engine can be asked: written by the App's reconciler, read here.
    pub serving: watch::Receiver<ServingSnapshot>,
    /// How many streams there may be at once: as many as there are file
    /// descriptors for, at most [`limits::STREAMS_TOTAL`](crate::limits::STREAMS_TOTAL).
    pub max_streams: usize,
}

/// The mux. Cheap to clone; all clones share their sessions.
#[derive(Clone)]
pub struct Passthrough {
    shared: Arc<Shared>,
}

struct Shared {
    serving: watch::Receiver<ServingSnapshot>,
    places: Places,
    sessions: TaskTracker,
    drain: CancellationToken,
}

impl Passthrough {
    /// A mux without sessions.
    pub fn new(options: PassthroughOptions) -> Self {
        let PassthroughOptions {
            serving,
            max_streams,
        } = options;
        Self {
            shared: Arc::new(Shared {
                serving,
                places: Places::new(max_streams),
                sessions: TaskTracker::new(),
                drain: CancellationToken::new(),
            }),
        }
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.len()
    }

    /// Ends every session with 1001 and returns when they are gone. Requests
    /// that come later get 503.
    pub async fn drain(&self) {
        self.shared.drain.cancel();
        self.shared.sessions.close();
        self.shared.sessions.wait().await;
    }

    async fn answer<B: Send>(self, mut request: Request<B>) -> Response<Body> {
        match self.admit(&mut request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(request.headers()),
        }
    }

    async fn admit<B: Send>(&self, request: &mut Request<B>) -> Result<Response<Body>, Refusal> {
        let Shared {
            serving,
            places,
            sessions,
            drain,
        } = &*self.shared;
        if drain.is_cancelled() {
            return Err(Refusal::Draining);
        }
        let user = request
            .extensions()
            .get::<UserIdentity>()
            .map_or_else(String::new, |identity| identity.user.clone());
        let Target::Logs(id) = endpoint::parse(request.uri().path())?;
        let id = id.to_owned();
        if request.method() != Method::GET {
            return Err(Refusal::Method {
                method: request.method().clone(),
            });
        }
        let place = places.take(&user)?;
        let handshake = Handshake::read(request);
        let query = request.uri().query().unwrap_or_default();
        let snapshot = serving.borrow().clone();
        let opened =
            logs::open(&snapshot, &id, query, Timestamp::now(), handshake.is_err()).await?;
        let handshake = handshake?;
        let framing = handshake.framing();

        let upgrade = hyper::upgrade::on(request);
        let span = tracing::info_span!("log session", container = %id, user);
        let session = Session {
            logs: opened.stream,
            framing,
            backend: snapshot.backend.clone(),
            serving: serving.clone(),
            drain: drain.clone(),
        };
        sessions.spawn(
            async move {
                let _place = place;
                match upgrade.await {
                    Ok(upgraded) => session.run(upgraded).await,
                    Err(error) => {
                        tracing::debug!(%error, "the connection was gone before the upgrade")
                    }
                }
            }
            .instrument(span),
        );
        Ok(handshake.response())
    }
}

impl<B: Send + 'static> tower::Service<Request<B>> for Passthrough {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request).await) })
    }
}
