//! The listener: accepts connections and shuts them down gracefully.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rdd_core::{AccessScope, Authenticator};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::access_record::AccessRecorder;
use crate::health::HealthReport;
use crate::host_origin_policy::HostOriginPolicy;
use crate::http_connection::ConnectionServer;
use crate::limits::{ACCEPT_RETRY_DELAY, ConnectionLimits, LOG_INTERVAL};
use crate::pipeline::{PageRoutes, RequestHandler, RequestPipeline};
use crate::registry::ConnectionRegistry;

/// What a [`Gateway`] is made of.
#[derive(Clone)]
pub struct GatewayOptions {
    /// The address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// The TLS configuration, with the server certificate. Without one, the
    /// gateway serves plain HTTP/1.1, and only on a loopback address.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Validates credentials.
    pub authenticator: Arc<dyn Authenticator>,
    /// Returns what a request for a path is about to do.
    pub access_scope: fn(&str) -> AccessScope,
    /// The allowed values of `Host` and `Origin`.
    pub host_origin_policy: HostOriginPolicy,
    /// Serves the web page and its sign-in.
    pub page: Option<PageRoutes>,
    /// Headers of each response, unless its handler has set them.
    pub response_headers: HeaderMap,
    /// Serves `/passthrough/…`.
    pub passthrough: RequestHandler,
    /// Records the requests to it, for an audit log.
    pub recorder: Option<Arc<dyn AccessRecorder>>,
    /// Serves everything else. `None` if an external cluster serves the API.
    pub api: Option<RequestHandler>,
    /// Serves `/metrics`.
    pub metrics: RequestHandler,
    /// The state of the daemon: the content of `/readyz`, and whether requests
    /// are dispatched.
    pub health: watch::Receiver<HealthReport>,
    /// The maximum number of connections, and their timeouts.
    pub limits: ConnectionLimits,
    /// How long requests in flight may continue once the shutdown has begun.
    pub shutdown_grace: Duration,
}

/// An error of [`Gateway::bind`].
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens on the port.
    #[error("{0} is in use; choose another address with --listen (port 0 takes a free one)")]
    InUse(SocketAddr),
    /// Plain HTTP on an address that other machines may reach.
    #[error("{0} is no loopback address, and plain HTTP is served on nothing else")]
    PlainText(SocketAddr),
    /// Any other failure to listen.
    #[error("cannot listen on {address}; choose another address with --listen")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
}

/// An HTTPS server, or a plain one for the loopback interface, that is bound to its
/// address but does not accept connections yet.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use http::StatusCode;
/// use rdd_core::AccessScope;
/// use rdd_gateway::{
///     BearerToken, CertificateSet, ConnectionLimits, Gateway, GatewayOptions, HealthReport,
///     HostOriginPolicy, LocalAuthenticator, RequestHandler, text_response,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = tempfile::tempdir()?;
/// let certificates = CertificateSet::load_or_create(dir.path(), &[], jiff::Timestamp::now())?;
/// let token = BearerToken::load_or_create(&dir.path().join("token"))?;
/// let hello = RequestHandler::new(tower::service_fn(|_| async {
///     Ok::<_, Infallible>(text_response(StatusCode::OK, "hello"))
/// }));
/// // Sending a report with `DaemonPhase::Ready` opens the handlers.
/// let (_health, reported) = tokio::sync::watch::channel(HealthReport::default());
///
/// let gateway = Gateway::bind(GatewayOptions {
///     listen: "127.0.0.1:0".parse()?,
///     tls: Some(certificates.server),
///     authenticator: Arc::new(LocalAuthenticator::new(token)),
///     access_scope: |_| AccessScope::ContainerLog,
///     host_origin_policy: HostOriginPolicy::new(&[], &[]),
///     page: None,
///     response_headers: Default::default(),
///     passthrough: hello.clone(),
///     recorder: None,
///     api: Some(hello.clone()),
///     metrics: hello,
///     health: reported,
///     limits: ConnectionLimits::default(),
///     shutdown_grace: Duration::from_secs(3),
/// })
/// .await?;
/// println!("listening on {}", gateway.address());
/// # let shutdown = async {};
/// gateway.serve(shutdown).await;
/// # Ok(())
/// # }
/// ```
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    connections: Arc<ConnectionServer>,
    shutdown_grace: Duration,
}

impl Gateway {
    /// Binds the address.
    ///
    /// # Errors
    ///
    /// Fails if the address is in use, or cannot be listened on.
    pub async fn bind(options: GatewayOptions) -> Result<Self, BindError> {
        let GatewayOptions {
            listen,
            tls,
            authenticator,
            access_scope,
            host_origin_policy,
            page,
            response_headers,
            passthrough,
            recorder,
            api,
            metrics,
            health,
            limits,
            shutdown_grace,
        } = options;
        if tls.is_none() && !listen.ip().is_loopback() {
            return Err(BindError::PlainText(listen));
        }
        let cannot_listen = |source: std::io::Error| BindError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| match source.kind() {
                ErrorKind::AddrInUse => BindError::InUse(listen),
                _ => cannot_listen(source),
            })?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let pipeline = RequestPipeline {
            authenticator,
            access_scope,
            host_origin_policy: host_origin_policy.at(address),
            page,
            response_headers,
            passthrough,
            recorder,
            api,
            metrics,
            health,
            body_timeout: limits.body,
        };
        Ok(Self {
            listener,
            address,
            connections: Arc::new(ConnectionServer {
                acceptor: tls.map(TlsAcceptor::from),
                pipeline,
                limits,
                shutdown: CancellationToken::new(),
            }),
            shutdown_grace,
        })
    }

    /// Returns the address of the listener, with its actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves, then lets requests in flight finish
    /// within the grace period. Connections without a request are closed at
    /// once.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self {
            listener,
            address: _,
            connections,
            shutdown_grace,
        } = self;
        let mut tasks = JoinSet::new();
        tokio::select! {
            () = shutdown => {}
            never = accept(&listener, &connections, &mut tasks) => match never {},
        }
        drop(listener);
        connections.shutdown.cancel();
        let finished = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(shutdown_grace, finished)
            .await
            .is_err()
        {
            tracing::info!("some requests did not finish within the grace period");
        }
    }
}

/// Accepts connections as long as it is polled.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<ConnectionServer>,
    tasks: &mut JoinSet<()>,
) -> std::convert::Infallible {
    let limits = &connections.limits;
    let registry = ConnectionRegistry::new(*limits);
    // The registry selects the connections to evict. The semaphore waits until
    // they are closed, so that the number of sockets never exceeds the limits.
    let open_connections = Arc::new(Semaphore::new(
        limits.authenticated + limits.anonymous.max(1),
    ));
    let mut failures = AcceptFailures::default();
    loop {
        let (stream, peer) = accept_one(listener, &registry, &mut failures).await;
        let permit = registry.admit();
        // The semaphore is never closed.
        let Ok(open_permit) = open_connections.clone().acquire_owned().await else {
            continue;
        };
        let connections = connections.clone();
        tasks.spawn(async move {
            let _open_permit = open_permit;
            connections.run(stream, peer, permit).await;
        });
        // Finished tasks are reaped here, so the set stays as small as the
        // number of connections.
        while tasks.try_join_next().is_some() {}
    }
}

async fn accept_one(
    listener: &TcpListener,
    registry: &ConnectionRegistry,
    failures: &mut AcceptFailures,
) -> (TcpStream, SocketAddr) {
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => error,
        };
        // The peer disconnected before it was accepted.
        if matches!(
            error.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
        ) {
            continue;
        }
        failures.log(&error);
        // Most likely, the process is out of file descriptors.
        registry.evict_oldest();
        tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
    }
}

/// Rate-limits the log lines of failed accepts, which come in bursts.
#[derive(Default)]
struct AcceptFailures {
    /// Failures since the last log line.
    count: u64,
    logged_at: Option<Instant>,
}

impl AcceptFailures {
    fn log(&mut self, error: &std::io::Error) {
        self.count += 1;
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            tracing::warn!(%error, failures = self.count, "cannot accept connections");
            self.count = 0;
            self.logged_at = Some(Instant::now());
        }
    }
}
