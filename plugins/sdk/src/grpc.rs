//! gRPC over [`http2`](crate::http2): calls with one request, and one response
//! or a stream of them. Needs the feature `grpc`.
//!
//! Messages are bytes. Encode and decode them with the library of your choice,
//! such as prost:
//!
//! ```no_run
//! # async fn example(host: rdd_sdk::Host) -> Result<(), rdd_sdk::types::Error> {
//! use rdd_sdk::grpc::{GrpcClient, GrpcRequest};
//!
//! let client = GrpcClient::new(host);
//! let request = GrpcRequest::new("/containerd.services.version.v1.Version/Version", "");
//! let response = client.unary(request).await?;
//! println!("{} bytes", response.len());
//! # Ok(())
//! # }
//! ```
//!
//! tonic is not used: its futures must be `Send`, and its client needs tokio's
//! runtime.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, TE};
use percent_encoding::percent_decode_str;

use crate::Host;
use crate::http::{HttpRequest, Method};
use crate::http2::{Http2Body, Http2Client};
use crate::types::{Error, ErrorCode};

/// The size of a message's prefix: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The default limit for a message of a response: containerd's own.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 16 << 20;

/// A request of a call.
#[derive(Clone, Debug)]
pub struct GrpcRequest {
    http: HttpRequest,
    max_message_bytes: usize,
}

impl GrpcRequest {
    /// Creates a request. `path` is `/PACKAGE.SERVICE/METHOD`.
    pub fn new(path: impl Into<String>, message: impl Into<Bytes>) -> Self {
        let message = message.into();
        let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
        framed.put_u8(0);
        // A message of 4 GiB does not fit into the memory of an instance.
        framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        framed.put(message);
        let http = HttpRequest::new(Method::POST, path)
            .body(
                HeaderValue::from_static("application/grpc"),
                framed.freeze(),
            )
            .header(TE, HeaderValue::from_static("trailers"));
        Self {
            http,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
        }
    }

    /// Adds metadata, such as containerd's `containerd-namespace`.
    #[must_use]
    pub fn metadata(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.http = self.http.header(name, value);
        self
    }

    /// Limits the time to the whole response of [`GrpcClient::unary`], and to
    /// its head for [`GrpcClient::server_stream`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.http = self.http.timeout(timeout);
        self
    }

    /// Limits a message of the response; the default is 16 MiB.
    #[must_use]
    pub fn max_message_bytes(self, max_message_bytes: usize) -> Self {
        Self {
            max_message_bytes,
            ..self
        }
    }
}

/// A client of the engine's gRPC services. Its calls share connections.
///
/// # Errors
///
/// Calls fail like requests of [`Http2Client`], and if the engine returns a
/// status other than 0, with the [`ErrorCode`] that is closest to it and the
/// engine's message.
pub struct GrpcClient {
    host: Host,
    http: Http2Client,
}

impl GrpcClient {
    /// Creates a client without connections.
    pub fn new(host: Host) -> Self {
        Self {
            http: Http2Client::new(host.clone()),
            host,
        }
    }

    /// Makes a call with one response.
    ///
    /// # Errors
    ///
    /// See [`GrpcClient`]. Fails with `internal` if there is not exactly one
    /// response.
    pub async fn unary(&self, request: GrpcRequest) -> Result<Bytes, Error> {
        let (name, timeout) = (request.http.log_name(), request.http.timeout);
        let work = async {
            let mut responses = self.server_stream(request).await?;
            let first = responses.next().await?;
            match (first, responses.next().await?) {
                (Some(message), None) => Ok(message),
                (first, _) => Err(Error::internal(format!(
                    "the engine returned {} to {name}, which has one",
                    first.map_or("no response", |_| "several responses")
                ))),
            }
        };
        match timeout {
            Some(limit) => self.host.timeout(limit, "a response", work).await,
            None => work.await,
        }
    }

    /// Makes a call with a stream of responses.
    ///
    /// # Errors
    ///
    /// See [`GrpcClient`].
    pub async fn server_stream(&self, request: GrpcRequest) -> Result<GrpcStream, Error> {
        let name = request.http.log_name();
        let (head, body) = self.http.stream(request.http).await?;
        if !head.status.is_success() {
            let message = format!("the engine returned {} to {name}", head.status);
            return Err(Error::unavailable(message));
        }
        // A call that fails at once has its status in the only headers.
        if head.headers.contains_key("grpc-status") {
            read_status(&name, Some(&head.headers))?;
        }
        Ok(GrpcStream {
            name,
            body,
            buffer: BytesMut::new(),
            max_message_bytes: request.max_message_bytes,
        })
    }
}

/// The responses of a call. Dropping it cancels the call.
pub struct GrpcStream {
    name: String,
    body: Http2Body,
    buffer: BytesMut,
    max_message_bytes: usize,
}

impl GrpcStream {
    /// Returns the next message, or `None` at the end of a call that succeeded.
    ///
    /// # Errors
    ///
    /// See [`GrpcClient`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(Some(message));
            }
            let buffer = &mut self.buffer;
            if self.body.read_batch(1, |piece| buffer.put(piece)).await? {
                continue;
            }
            read_status(&self.name, self.body.trailers())?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let message = format!("the engine ended {} within a message", self.name);
            return Err(Error::internal(message));
        }
    }

    fn take_message(&mut self) -> Result<Option<Bytes>, Error> {
        let Some((&[compressed, a, b, c, d], rest)) = self.buffer.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if compressed != 0 || length > self.max_message_bytes {
            let what = match compressed {
                0 => format!("larger than {} bytes", self.max_message_bytes),
                _ => "compressed although this was not offered".to_owned(),
            };
            return Err(Error::internal(format!(
                "a response of the engine to {} is {what}",
                self.name
            )));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// Fails if the trailers of a response have no status, or one other than 0.
fn read_status(name: &str, trailers: Option<&HeaderMap>) -> Result<(), Error> {
    let text = |name: &str| trailers?.get(name)?.to_str().ok();
    let status: Option<u32> = text("grpc-status").and_then(|status| status.parse().ok());
    let message = percent_decode_str(text("grpc-message").unwrap_or_default()).decode_utf8_lossy();
    match status {
        Some(0) => Ok(()),
        Some(status) if message.is_empty() => Err(Error::new(
            error_code(status),
            format!("the engine returned the gRPC status {status} to {name}"),
        )),
        Some(status) => Err(Error::new(error_code(status), message)),
        None => Err(Error::unavailable(format!(
            "the engine ended {name} without a gRPC status"
        ))),
    }
}

/// Returns the contract's code for a status of gRPC.
fn error_code(status: u32) -> ErrorCode {
    match status {
        1 => ErrorCode::Cancelled,
        3 | 11 => ErrorCode::InvalidArgument,
        4 => ErrorCode::Timeout,
        5 => ErrorCode::NotFound,
        // Already exists, failed precondition, aborted.
        6 | 9 | 10 => ErrorCode::Conflict,
        7 | 16 => ErrorCode::PermissionDenied,
        // Resource exhausted, unavailable.
        8 | 14 => ErrorCode::Unavailable,
        12 => ErrorCode::Unsupported,
        // Internal, data loss.
        13 | 15 => ErrorCode::Internal,
        other => ErrorCode::Other(format!("grpc-{other}")),
    }
}
