//! The listener: accepts, speaks TLS, checks each request, routes it.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rdd_core::{AuthError, Authenticator};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::auth::take_credentials;
use crate::connection::Connection;
use crate::guard::Guard;
use crate::reply::{Body, refuse, text};

/// A TLS handshake takes milliseconds; a peer that needs longer holds a place for nothing.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer must finish its request head in this time; also how long an idle
/// HTTP/1.1 connection is kept. Longer than a browser's own 60 s would only
/// collect dead peers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// An HTTP/2 peer that does not answer a ping is gone: a vanished watcher is
/// found within [`HTTP2_PING_EVERY`] + [`HTTP2_PING_TIMEOUT`].
const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Far above what a GUI and a few kubectls open, far below the usual limit of
/// file descriptors; further connections wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// What a client is told to wait while the daemon starts, in seconds.
const STARTING_RETRY_AFTER: u32 = 1;
/// After a failed accept (out of file descriptors, say): trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers the requests of one part of the URL space. It gets only requests
/// that were found good, with an [`rdd_core::Identity`] among their extensions.
pub type Handler = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// What the door is made of.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificates to show.
    pub tls: Arc<rustls::ServerConfig>,
    /// Who checks credentials.
    pub authenticator: Arc<dyn Authenticator>,
    /// Which `Host` and `Origin` are allowed.
    pub guard: Guard,
    /// Answers `/passthrough/…`.
    pub passthrough: Handler,
    /// Answers everything else; `None` when an external cluster serves the API.
    pub api: Option<Handler>,
    /// Renders `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Turns true when the daemon is ready.
    pub ready: watch::Receiver<bool>,
    /// How long requests under way may go on after the shutdown began.
    pub grace: Duration,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error("{0} is in use; choose another address with --listen (port 0 takes a free one)")]
    InUse(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}; choose another address with --listen")]
    Other {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
}

/// The door, listening but not yet answering.
pub struct Front {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    gate: Arc<Gate>,
    grace: Duration,
}

impl Front {
    /// Takes the address.
    pub async fn bind(options: Options) -> Result<Self, BindError> {
        let Options {
            listen,
            tls,
            authenticator,
            guard,
            passthrough,
            api,
            metrics,
            ready,
            grace,
        } = options;
        let other = |source: std::io::Error| BindError::Other {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::AddrInUse => BindError::InUse(listen),
                _ => other(source),
            })?;
        let address = listener.local_addr().map_err(other)?;
        let gate = Arc::new(Gate {
            authenticator,
            guard,
            passthrough,
            api,
            metrics,
            ready,
        });
        Ok(Self {
            listener,
            address,
            acceptor: TlsAcceptor::from(tls),
            gate,
            grace,
        })
    }

    /// Where it listens, with the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` resolves, then lets requests under way finish
    /// within the grace period.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self {
            listener,
            address: _,
            acceptor,
            gate,
            grace,
        } = self;
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HTTP2_PING_EVERY)
            .keep_alive_timeout(HTTP2_PING_TIMEOUT);
        let builder = Arc::new(builder);
        let mut connections = tokio::task::JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let place = tokio::select! {
                () = &mut shutdown => break,
                // The semaphore is never closed.
                Ok(place) = places.clone().acquire_owned() => place,
                else => break,
            };
            let stream = tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let watcher = graceful.watcher();
            let (acceptor, gate, builder) = (acceptor.clone(), gate.clone(), builder.clone());
            connections.spawn(async move {
                let _place = place;
                let Some((stream, certificate)) = handshake(&acceptor, stream).await else {
                    return;
                };
                let service = hyper::service::service_fn(move |request| {
                    let (gate, certificate) = (gate.clone(), certificate.clone());
                    async move {
                        Ok::<_, Infallible>(gate.answer(request, certificate.as_deref()).await)
                    }
                });
                let connection =
                    builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                if let Err(error) = watcher.watch(connection.into_owned()).await {
                    tracing::debug!(error, "a connection ended early");
                }
            });
            // Tasks that are done are let go as the next connection comes, so the set stays as small as the number of connections.
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        if tokio::time::timeout(grace, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::info!("some requests did not end within the grace period");
        }
    }
}

async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Option<(Connection, Option<Arc<[u8]>>)> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays without TCP_NODELAY");
    }
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| Arc::from(certificate.as_ref()));
            Some((stream, certificate))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

/// The checks that every request passes, and the way it goes from there.
struct Gate {
    authenticator: Arc<dyn Authenticator>,
    guard: Guard,
    passthrough: Handler,
    api: Option<Handler>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    ready: watch::Receiver<bool>,
}

impl Gate {
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        certificate: Option<&[u8]>,
    ) -> Response<Body> {
        let ready = *self.ready.borrow();
        let refused = |request: &Request<Incoming>, status, message: &str, retry| {
            refuse(request.headers(), status, message, retry)
        };
        if matches!(request.uri().path(), "/livez" | "/readyz" | "/healthz") {
            return match request.uri().path() {
                "/livez" => text(StatusCode::OK, "ok"),
                _ if ready => text(StatusCode::OK, "ok"),
                _ => refused(
                    &request,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the daemon is starting",
                    Some(STARTING_RETRY_AFTER),
                ),
            };
        }
        let identity = match take_credentials(request.headers_mut(), certificate) {
            Ok(credentials) => self.authenticator.authenticate(&credentials).await,
            Err(error) => Err(error),
        };
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => {
                let (status, retry) = match &error {
                    AuthError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, None),
                    AuthError::Forbidden(_) => (StatusCode::FORBIDDEN, None),
                    AuthError::Unavailable(_) => {
                        (StatusCode::SERVICE_UNAVAILABLE, Some(STARTING_RETRY_AFTER))
                    }
                };
                return refused(&request, status, &error.to_string(), retry);
            }
        };
        if let Err(message) = self
            .guard
            .check(request.headers(), request.uri().authority())
        {
            return refused(&request, StatusCode::FORBIDDEN, &message, None);
        }
        if !ready {
            return refused(
                &request,
                StatusCode::SERVICE_UNAVAILABLE,
                "the daemon is starting",
                Some(STARTING_RETRY_AFTER),
            );
        }
        let handler = match request.uri().path() {
            "/metrics" => return text(StatusCode::OK, (self.metrics)()),
            path if path == "/passthrough" || path.starts_with("/passthrough/") => {
                &self.passthrough
            }
            _ => match &self.api {
                Some(api) => api,
                None => {
                    return refused(
                        &request,
                        StatusCode::NOT_FOUND,
                        "the Kubernetes API of this daemon is served by the cluster of its --kubeconfig; only /passthrough is served here",
                        None,
                    );
                }
            },
        };
        request.extensions_mut().insert(identity);
        match handler.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
