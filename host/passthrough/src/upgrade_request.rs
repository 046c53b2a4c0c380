//! The server side of the WebSocket handshake (RFC 6455). tungstenite's
//! `create_response` is not used: it does not distinguish a plain request from an
//! invalid handshake, which have different status codes.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::request_error::StreamRequestError;

/// The supported subprotocols, in order of preference.
const SUBPROTOCOLS: [(&str, FrameFormat); 2] = [
    // Used by `rdd logs` to separate standard error.
    ("rdd.logs.v1+source", FrameFormat::WithSource),
    // The same format as without a subprotocol, for clients that have to select
    // one: a browser that sends its token as a subprotocol needs a second one
    // that the server can accept.
    ("rdd.logs.v1+raw", FrameFormat::Raw),
];

/// The format of data frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameFormat {
    /// Bytes of the log. Both streams are merged in order of arrival.
    Raw,
    /// One byte for the source (1 standard output, 2 standard error), then bytes
    /// of the log.
    WithSource,
}

/// A valid request for a WebSocket.
pub(crate) struct UpgradeRequest {
    accept: HeaderValue,
    subprotocol: Option<(&'static str, FrameFormat)>,
}

impl UpgradeRequest {
    /// Parses the headers of a GET request.
    pub(crate) fn parse<B>(request: &Request<B>) -> Result<Self, StreamRequestError> {
        let headers = request.headers();
        if request.version() != Version::HTTP_11 {
            return Err(StreamRequestError::UpgradeRequired(
                "use HTTP/1.1 with 'Upgrade: websocket'",
            ));
        }
        if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade")
        {
            return Err(StreamRequestError::UpgradeRequired(
                "the request has no 'Upgrade: websocket'; use a WebSocket client or 'rdd logs'",
            ));
        }
        if headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return Err(StreamRequestError::UpgradeRequired(
                "only Sec-WebSocket-Version 13 is supported",
            ));
        }
        let key = headers
            .get(SEC_WEBSOCKET_KEY)
            .ok_or(StreamRequestError::InvalidHandshake(
                "Sec-WebSocket-Key is missing",
            ))?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
            .map_err(|_| StreamRequestError::InvalidHandshake("Sec-WebSocket-Key is malformed"))?;
        let subprotocol = SUBPROTOCOLS
            .into_iter()
            .find(|(name, _)| has_token(headers, &SEC_WEBSOCKET_PROTOCOL, name));
        Ok(Self {
            accept,
            subprotocol,
        })
    }

    /// Returns the frame format that the client selected.
    pub(crate) fn frame_format(&self) -> FrameFormat {
        self.subprotocol
            .map_or(FrameFormat::Raw, |(_, framing)| framing)
    }

    /// Returns the response with status 101.
    pub(crate) fn into_response<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some((name, _)) = self.subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        response
    }
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
