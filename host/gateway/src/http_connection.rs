//! One connection, from the TLS handshake to its shutdown.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt as _;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::activity::ConnectionActivity;
use crate::limits::{
    CLOSE_GRACE, ConnectionLimits, HTTP2_PING_INTERVAL, HTTP2_PING_TIMEOUT, MAX_HTTP1_BUFFER,
};
use crate::panic_log::log_panic;
use crate::pipeline::{ConnectionContext, RequestPipeline};
use crate::registry::ConnectionPermit;
use crate::tls_connection::TlsConnection;

/// The state that all connections share.
pub(crate) struct ConnectionServer {
    /// `None` for plain HTTP.
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) pipeline: RequestPipeline,
    pub(crate) limits: ConnectionLimits,
    /// Once cancelled, requests in flight finish and no new ones are read.
    pub(crate) shutdown: CancellationToken,
}

impl ConnectionServer {
    /// Serves `stream` until either side closes it. A panic outside of a request's
    /// handler closes this connection only, and is logged.
    pub(crate) async fn run(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        permit: ConnectionPermit,
    ) {
        let span = tracing::info_span!("connection", %peer);
        until_panic(self.serve(stream, permit))
            .instrument(span)
            .await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, permit: ConnectionPermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let Some(acceptor) = &self.acceptor else {
            return self.serve_http(stream, permit, None).await;
        };
        let stream = tokio::select! {
            stream = self.handshake(acceptor, stream) => match stream {
                Some(stream) => stream,
                None => return,
            },
            () = permit.evicted() => return,
            () = self.shutdown.cancelled() => return,
        };
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| certificate.to_vec());
        self.serve_http(stream, permit, certificate).await;
    }

    async fn serve_http<T>(
        self: Arc<Self>,
        stream: T,
        permit: ConnectionPermit,
        certificate: Option<Vec<u8>>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = ConnectionActivity::new();
        let context = Arc::new(ConnectionContext {
            permit,
            activity: activity.clone(),
            certificate,
        });
        let server = self.clone();
        let service_context = context.clone();
        let service = hyper::service::service_fn(move |request| {
            let (server, context) = (server.clone(), service_context.clone());
            async move { Ok::<_, Infallible>(server.pipeline.handle(request, &context).await) }
        });
        let stream = TokioIo::new(stream);
        // Browsers speak HTTP/2 with TLS only. The builder of both versions cannot be
        // restricted to one for connections that are upgraded.
        if self.acceptor.is_none() {
            let connection = http1_builder().serve_connection(stream, service);
            let shut_down = |connection: Pin<&mut UpgradeableConnection<_, _>>| {
                connection.graceful_shutdown();
            };
            self.drive(connection.with_upgrades(), shut_down, &context, &activity)
                .await;
        } else {
            let builder = http_builder();
            let connection = builder.serve_connection_with_upgrades(stream, service);
            // HTTP/1.1 closes after the request in flight, HTTP/2 sends GOAWAY first.
            let shut_down = |connection: Pin<&mut auto::UpgradeableConnection<_, _, _>>| {
                connection.graceful_shutdown();
            };
            self.drive(connection, shut_down, &context, &activity).await;
        }
    }

    /// Runs a connection until it ends, or has to be closed.
    async fn drive<C, E>(
        &self,
        connection: C,
        shut_down: impl FnOnce(Pin<&mut C>),
        context: &ConnectionContext,
        activity: &ConnectionActivity,
    ) where
        C: Future<Output = Result<(), E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => return log_connection_error(result),
            () = context.permit.evicted() => return,
            () = activity.until_idle(&self.limits) => {
                tracing::debug!("closing the idle connection");
            }
            () = self.shutdown.cancelled() => {}
        }
        shut_down(connection.as_mut());
        tokio::select! {
            result = connection.as_mut() => log_connection_error(result),
            () = activity.until_quiet_for(CLOSE_GRACE) => {
                tracing::debug!("the peer prevented a graceful shutdown of the connection");
            }
        }
    }

    async fn handshake(&self, acceptor: &TlsAcceptor, stream: TcpStream) -> Option<TlsConnection> {
        match tokio::time::timeout(self.limits.handshake, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("the TLS handshake timed out");
                None
            }
        }
    }
}

/// Returns the builder of connections without TLS.
fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .max_buf_size(MAX_HTTP1_BUFFER)
        .header_read_timeout(None);
    builder
}

/// Returns the builder of connections with TLS, of both versions of HTTP.
fn http_builder() -> auto::Builder<StreamExecutor> {
    let mut builder = auto::Builder::new(StreamExecutor);
    // The idle timeout of the connection covers the time to read a head.
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(MAX_HTTP1_BUFFER)
        .header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    builder
}

fn log_connection_error(result: Result<(), impl Into<Box<dyn std::error::Error + Send + Sync>>>) {
    if let Err(error) = result {
        tracing::debug!(error = error.into(), "the connection ended early");
    }
}

/// Runs each request of an HTTP/2 connection in its own task, within the span
/// of the connection.
#[derive(Clone)]
struct StreamExecutor;

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, request: F) {
        tokio::spawn(until_panic(request).in_current_span());
    }
}

/// Logs a panic of `future`.
async fn until_panic<F: Future>(future: F) {
    if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
        log_panic(&*panic);
    }
}
