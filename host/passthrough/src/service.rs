//! The tower service: each request leads to an error response or to a WebSocket
//! with a log session.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use jiff::Timestamp;
use rdd_core::{ContainerIndex, SelectorParser, ServingSnapshot, SessionEnd, UserIdentity};
use rdd_gateway::{AccessHandle, GatewayBody};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::container_target::{ContainerTarget, ready_engine};
use crate::exec::{self, ExecProtocol, ProcessSession};
use crate::limits;
use crate::log_format::{FrameFormat, LOG_SUBPROTOCOLS};
use crate::log_hub::LogHub;
use crate::log_session::LogSession;
use crate::mux::{self, MuxSession};
use crate::open_log::{LogParams, open_log};
use crate::request_error::StreamRequestError;
use crate::routes::{self, RequestRoute};
use crate::session::connection::{self, SessionHandler};
use crate::stream_limiter::{StreamLimiter, StreamPermit};
use crate::upgrade_request::{self, UpgradeRequest};

/// What a [`Passthrough`] is made of.
pub struct PassthroughOptions {
    /// The state of the engine, written by the reconciler of the App.
    pub serving: watch::Receiver<ServingSnapshot>,
    /// The containers of the engine, written by the mirror.
    pub containers: watch::Receiver<ContainerIndex>,
    /// The maximum number of streams, as far as file descriptors allow. Values
    /// above [`MAX_STREAMS`](crate::limits::MAX_STREAMS) are reduced
    /// to it.
    pub max_streams: usize,
    /// Whether the engine must not be changed. Then no process is run.
    pub read_only: bool,
    /// The parser of label selectors, which is that of the API server.
    pub parse_selector: SelectorParser,
}

/// The WebSocket endpoints as a tower service. Clones are cheap and share their
/// sessions.
///
/// ```
/// use rdd_core::{ContainerIndex, SelectorTextError, ServingSnapshot, UserIdentity};
/// use rdd_passthrough::{Passthrough, PassthroughOptions};
/// use tower::ServiceExt as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (_sender, serving) = ServingSnapshot::channel();
/// let (_mirror, containers) = ContainerIndex::channel();
/// let options = PassthroughOptions {
///     serving,
///     containers,
///     max_streams: 16,
///     read_only: false,
///     parse_selector: |text| Err(SelectorTextError(format!("no selectors here: {text}"))),
/// };
/// let passthrough = Passthrough::new(options);
///
/// let identity = UserIdentity { user: "jane".to_owned(), groups: Vec::new() };
/// let request = http::Request::get("/passthrough/engine/logs/0123")
///     .extension(identity)
///     .body(())?;
/// let response = passthrough.clone().oneshot(request).await?;
/// assert_eq!(response.status(), 503, "no engine is connected yet");
///
/// passthrough.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Passthrough {
    state: Arc<PassthroughState>,
}

struct PassthroughState {
    serving: watch::Receiver<ServingSnapshot>,
    containers: watch::Receiver<ContainerIndex>,
    limiter: StreamLimiter,
    hub: LogHub,
    sessions: TaskTracker,
    shutdown: CancellationToken,
    read_only: bool,
    parse_selector: SelectorParser,
}

impl Passthrough {
    /// Creates the service without sessions.
    pub fn new(options: PassthroughOptions) -> Self {
        let PassthroughOptions {
            serving,
            containers,
            max_streams,
            read_only,
            parse_selector,
        } = options;
        Self {
            state: Arc::new(PassthroughState {
                serving,
                containers,
                limiter: StreamLimiter::new(max_streams),
                hub: LogHub::new(max_streams.min(limits::MAX_STREAMS)),
                sessions: TaskTracker::new(),
                shutdown: CancellationToken::new(),
                read_only,
                parse_selector,
            }),
        }
    }

    /// Returns the number of open sessions.
    pub fn session_count(&self) -> usize {
        self.state.sessions.len()
    }

    /// Closes every session with 1001 and waits until all have ended. Later
    /// requests get 503.
    pub async fn shutdown(&self) {
        self.state.shutdown.cancel();
        self.state.sessions.close();
        self.state.sessions.wait().await;
        self.state.hub.shutdown().await;
    }

    async fn handle<B: Send>(self, mut request: Request<B>) -> Response<GatewayBody> {
        match self.open_session(&mut request).await {
            Ok(response) => response,
            Err(error) => error.into_response(request.headers()),
        }
    }

    async fn open_session<B: Send>(
        &self,
        request: &mut Request<B>,
    ) -> Result<Response<GatewayBody>, StreamRequestError> {
        let PassthroughState {
            serving,
            containers,
            limiter,
            hub,
            sessions: _,
            shutdown,
            read_only,
            parse_selector: _,
        } = &*self.state;
        if shutdown.is_cancelled() {
            return Err(StreamRequestError::ShuttingDown);
        }
        let user = request
            .extensions()
            .get::<UserIdentity>()
            .map_or_else(String::new, |identity| identity.user.clone());
        let route = routes::parse_path(request.uri().path())?;
        let is_exec = matches!(route, RequestRoute::Exec(_));
        let container = match route {
            RequestRoute::Logs(container) | RequestRoute::Exec(container) => container.to_owned(),
            RequestRoute::LogsMux => return self.open_mux(request, user),
        };
        if is_exec && *read_only {
            return Err(StreamRequestError::ExecReadOnly);
        }
        if request.method() != Method::GET {
            return Err(StreamRequestError::MethodNotAllowed {
                method: request.method().clone(),
            });
        }
        let permit = limiter.acquire(&user)?;
        let upgrade_request = UpgradeRequest::parse(request);
        let query = request.uri().query().unwrap_or_default();
        let snapshot = serving.borrow().clone();
        let target = ContainerTarget {
            snapshot: &snapshot,
            containers: containers.borrow().clone(),
            container: &container,
        };
        if is_exec {
            let (process, upgrade_request) =
                exec::open_process(&target, query, upgrade_request).await?;
            let protocol = ExecProtocol::select(request.headers());
            let response = upgrade_request.into_response(protocol.name());
            let span =
                tracing::info_span!("exec_session", backend = snapshot.backend, container, user);
            let session = ProcessSession {
                process,
                protocol,
                backend: snapshot.backend.clone(),
                serving: serving.clone(),
                shutdown: shutdown.clone(),
            };
            self.spawn_session(session, request, permit, span);
            return Ok(response);
        }
        let selected = upgrade_request::select_subprotocol(request.headers(), &LOG_SUBPROTOCOLS);
        let frame_format = selected.map_or(FrameFormat::Raw, |(_, format)| format);
        let reading = LogParams {
            query,
            format: frame_format,
            is_probe: upgrade_request.is_err(),
            now: Timestamp::now(),
        };
        let messages = open_log(&target, reading, containers, hub).await?;
        let upgrade_request = upgrade_request?;

        let span = tracing::info_span!("log_session", backend = snapshot.backend, container, user);
        let session = LogSession {
            messages,
            frame_format,
            backend: snapshot.backend.clone(),
            serving: serving.clone(),
            shutdown: shutdown.clone(),
        };
        self.spawn_session(session, request, permit, span);
        Ok(upgrade_request.into_response(selected.map(|(name, _)| name)))
    }

    /// Opens the logs of many containers. What they are is said on the connection.
    fn open_mux<B: Send>(
        &self,
        request: &mut Request<B>,
        user: String,
    ) -> Result<Response<GatewayBody>, StreamRequestError> {
        let state = &*self.state;
        if request.method() != Method::GET {
            return Err(StreamRequestError::MethodNotAllowed {
                method: request.method().clone(),
            });
        }
        let permit = state.limiter.acquire(&user)?;
        let upgrade_request = UpgradeRequest::parse(request);
        let known = [(mux::SUBPROTOCOL, ())];
        let selected = upgrade_request::select_subprotocol(request.headers(), &known);
        if selected.is_none() && upgrade_request.is_ok() {
            return Err(StreamRequestError::SubprotocolRequired(mux::SUBPROTOCOL));
        }
        let snapshot = state.serving.borrow().clone();
        if let Some(info) = &snapshot.info
            && !info.capabilities.has_any_log()
        {
            return Err(StreamRequestError::LogsUnsupported {
                backend: info.name.clone(),
            });
        }
        ready_engine(&snapshot)?;
        let upgrade_request = upgrade_request?;
        let span = tracing::info_span!("mux_session", backend = snapshot.backend, user);
        let session = MuxSession {
            backend: snapshot.backend,
            serving: state.serving.clone(),
            containers: state.containers.clone(),
            hub: state.hub.clone(),
            parse_selector: state.parse_selector,
            shutdown: state.shutdown.clone(),
        };
        self.spawn_session(session, request, permit, span);
        Ok(upgrade_request.into_response(selected.map(|(name, ())| name)))
    }

    /// Runs a session on the connection of its request, once that is upgraded. It
    /// ends at the latest with the session of the browser that sent the request.
    fn spawn_session<B>(
        &self,
        session: impl SessionHandler + 'static,
        request: &mut Request<B>,
        permit: StreamPermit,
        span: tracing::Span,
    ) {
        let session_end = request.extensions_mut().remove::<SessionEnd>();
        let record = request.extensions_mut().remove::<AccessHandle>();
        let upgrade = hyper::upgrade::on(request);
        self.state.sessions.spawn(
            async move {
                let _permit = permit;
                // Ends when the session has.
                let _record = record;
                match upgrade.await {
                    Ok(upgraded) => {
                        let running = connection::run(session, upgraded);
                        match session_end {
                            None => running.await,
                            Some(mut end) => tokio::select! {
                                () = running => {}
                                () = end.ended() => tracing::debug!("the browser's session has ended"),
                            },
                        }
                    }
                    Err(error) => tracing::debug!(%error, "connection lost before the upgrade"),
                }
            }
            .instrument(span),
        );
    }
}

impl<B: Send + 'static> tower::Service<Request<B>> for Passthrough {
    type Response = Response<GatewayBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.handle(request).await) })
    }
}
