//! The connection underneath an upgraded request.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::{Parts, downcast};
use tokio::net::TcpStream;

/// A connection of a listener with TLS.
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

/// Unwraps an upgraded connection of a listener without TLS, like
/// [`into_tls_connection`].
///
/// # Errors
///
/// Returns `upgraded` unchanged if it is a connection of another kind.
pub fn into_plain_connection(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(Parts { io, read_buf, .. }) => Ok((io.into_inner(), read_buf)),
        // Of a server of HTTP/1.1 alone, as in tests.
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>()?;
            Ok((parts.io.into_inner(), parts.read_buf))
        }
    }
}
