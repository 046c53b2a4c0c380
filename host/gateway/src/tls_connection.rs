//! The connection underneath an upgraded request.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::{Parts, downcast};
use tokio::net::TcpStream;

/// A connection of the gateway's listener.
pub type TlsConnection = tokio_rustls::server::TlsStream<TcpStream>;

/// Unwraps an upgraded connection. The second value holds the bytes that were
/// already read after the request.
///
/// # Errors
///
/// Returns `upgraded` unchanged if it is not a connection of a
/// [`Gateway`](crate::Gateway).
pub fn into_tls_connection(upgraded: Upgraded) -> Result<(TlsConnection, Bytes), Upgraded> {
    let Parts { io, read_buf, .. } = downcast::<TokioIo<TlsConnection>>(upgraded)?;
    Ok((io.into_inner(), read_buf))
}
