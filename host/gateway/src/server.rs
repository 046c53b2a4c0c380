//! The listener: accepts connections, and ends them in order.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rdd_core::Authenticator;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Handler};
use crate::guard::Guard;
use crate::health::HealthReport;
use crate::http_connection::ConnectionServer;
use crate::limits::{ACCEPT_PAUSE, ConnectionLimits, LOG_EVERY};
use crate::registry::ConnectionRegistry;

/// What the door is made of.
#[derive(Clone)]
pub struct GatewayOptions {
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
    /// The state of the daemon: what `/readyz` tells, and whether requests are
    /// answered.
    pub health: watch::Receiver<HealthReport>,
    /// How many connections there may be, and how long they may be idle.
    pub limits: ConnectionLimits,
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
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    connections: Arc<ConnectionServer>,
    grace: Duration,
}

impl Gateway {
    /// Takes the address.
    pub async fn bind(options: GatewayOptions) -> Result<Self, BindError> {
        let GatewayOptions {
            listen,
            tls,
            authenticator,
            guard,
            passthrough,
            api,
            metrics,
            health,
            limits,
            grace,
        } = options;
        let other = |source: std::io::Error| BindError::Other {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| match source.kind() {
                ErrorKind::AddrInUse => BindError::InUse(listen),
                _ => other(source),
            })?;
        let address = listener.local_addr().map_err(other)?;
        let gate = Gate {
            authenticator,
            guard,
            passthrough,
            api,
            metrics,
            health,
        };
        Ok(Self {
            listener,
            address,
            connections: Arc::new(ConnectionServer {
                acceptor: TlsAcceptor::from(tls),
                gate,
                limits,
                closing: CancellationToken::new(),
            }),
            grace,
        })
    }

    /// Where it listens, with the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` resolves, then lets requests under way finish
    /// within the grace period. Connections without one are closed at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self {
            listener,
            address: _,
            connections,
            grace,
        } = self;
        let mut tasks = JoinSet::new();
        tokio::select! {
            () = shutdown => {}
            never = accept(&listener, &connections, &mut tasks) => match never {},
        }
        drop(listener);
        connections.closing.cancel();
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::info!("some requests did not end within the grace period");
        }
    }
}

/// Accepts for as long as it is polled.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<ConnectionServer>,
    tasks: &mut JoinSet<()>,
) -> std::convert::Infallible {
    let limits = &connections.limits;
    let registry = ConnectionRegistry::new(*limits);
    // The registry decides who goes; this waits until they are gone, so that
    // there are never more sockets than the limits say.
    let open = Arc::new(Semaphore::new(
        limits.authenticated + limits.anonymous.max(1),
    ));
    let mut failures = AcceptFailures::default();
    loop {
        let (stream, peer) = accept_one(listener, &registry, &mut failures).await;
        let permit = registry.admit();
        // The semaphore is never closed.
        let Ok(slot) = open.clone().acquire_owned().await else {
            continue;
        };
        let connections = connections.clone();
        tasks.spawn(async move {
            let _slot = slot;
            connections.run(stream, peer, permit).await;
        });
        // Tasks that are done are let go as the next connection comes, so the
        // set stays as small as the number of connections.
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
        // The peer was gone before it was accepted: nothing is wrong here.
        if matches!(
            error.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
        ) {
            continue;
        }
        failures.log(&error);
        // Most likely out of file descriptors.
        registry.evict_oldest();
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Failed accepts, which come in crowds.
#[derive(Default)]
struct AcceptFailures {
    count: u64,
    logged: Option<Instant>,
}

impl AcceptFailures {
    fn log(&mut self, error: &std::io::Error) {
        self.count += 1;
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(%error, failures = self.count, "connections cannot be accepted");
            self.count = 0;
            self.logged = Some(Instant::now());
        }
    }
}
