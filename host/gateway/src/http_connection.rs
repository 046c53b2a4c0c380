//! One connection, from the TLS handshake to its end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::connection::Connection;
use crate::gate::{ConnectionContext, Gate};
use crate::limits::{CLOSE_GRACE, ConnectionLimits, HTTP2_PING_EVERY, HTTP2_PING_TIMEOUT};
use crate::registry::ConnectionPermit;

/// What all connections share.
pub(crate) struct ConnectionServer {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) gate: Gate,
    pub(crate) limits: ConnectionLimits,
    /// Once cancelled, requests under way are finished and no others taken.
    pub(crate) closing: CancellationToken,
}

impl ConnectionServer {
    /// Serves `stream` until either side ends it. A panic ends this connection
    /// alone, and is logged.
    pub(crate) async fn run(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        permit: ConnectionPermit,
    ) {
        let served = self.serve(stream, peer, permit);
        log_panic(peer, served).await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: ConnectionPermit) {
        let stream = tokio::select! {
            stream = self.handshake(stream, peer) => match stream {
                Some(stream) => stream,
                None => return,
            },
            () = permit.evicted() => return,
            () = self.closing.cancelled() => return,
        };
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| certificate.to_vec());
        let activity = Activity::new();
        let context = Arc::new(ConnectionContext {
            permit,
            activity: activity.clone(),
            certificate,
        });
        let server = self.clone();
        let service_context = context.clone();
        let service = hyper::service::service_fn(move |request| {
            let (server, context) = (server.clone(), service_context.clone());
            async move { Ok::<_, Infallible>(server.gate.answer(request, &context).await) }
        });
        let builder = http_builder(peer);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return log_end(peer, ended),
            () = context.permit.evicted() => return,
            () = activity.idle(&self.limits) => {
                tracing::debug!(%peer, "closing an idle connection");
            }
            () = self.closing.cancelled() => {}
        }
        // HTTP/1.1 ends after the request under way, HTTP/2 says goodbye first.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection.as_mut() => log_end(peer, ended),
            () = activity.rest(CLOSE_GRACE) => {
                tracing::debug!(%peer, "the peer did not let the connection be closed in order");
            }
        }
    }

    async fn handshake(&self, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "a connection stays without TCP_NODELAY");
        }
        match tokio::time::timeout(self.limits.handshake, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "a TLS handshake took too long");
                None
            }
        }
    }
}

fn http_builder(peer: SocketAddr) -> Builder<StreamExecutor> {
    let mut builder = Builder::new(StreamExecutor { peer });
    // How long a head may take is part of how long a connection may be idle.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING_EVERY)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    builder
}

fn log_end(peer: SocketAddr, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "a connection ended early");
    }
}

/// Runs each request of an HTTP/2 connection in a task of its own.
#[derive(Clone)]
struct StreamExecutor {
    peer: SocketAddr,
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, request: F) {
        tokio::spawn(log_panic(self.peer, request));
    }
}

/// Nobody waits for these tasks: a panic would end one without a word.
async fn log_panic<F: Future>(peer: SocketAddr, future: F) {
    if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        tracing::error!(%peer, panic = message, "answering a request failed; report this");
    }
}
