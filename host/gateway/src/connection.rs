//! The connection below an upgraded request.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::{Parts, downcast};
use tokio::net::TcpStream;

/// What requests come in on.
pub type Connection = tokio_rustls::server::TlsStream<TcpStream>;

/// Takes the wrapping off an upgraded connection. Beside it come the bytes
/// that were read already, behind the request.
///
/// # Errors
///
/// Gives an upgrade back that is not from a connection of this crate's listener.
pub fn into_connection(upgraded: Upgraded) -> Result<(Connection, Bytes), Upgraded> {
    let Parts { io, read_buf, .. } = downcast::<TokioIo<Connection>>(upgraded)?;
    Ok((io.into_inner(), read_buf))
}
