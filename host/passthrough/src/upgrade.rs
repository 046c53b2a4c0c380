//! The WebSocket handshake (RFC 6455), server side.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::refusal::Refusal;

/// Subprotocols that a client may choose, in the order of preference.
const SUBPROTOCOLS: [(&str, Framing); 2] = [
    // What `rdd logs` speaks, to keep standard error apart.
    ("rdd.logs.v1+source", Framing::Source),
    // The framing that a client gets which chooses none, for those that must
    // choose one: a browser that carries its token as a subprotocol needs
    // another one to be answered.
    ("rdd.logs.v1+raw", Framing::Raw),
];

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Bytes of the log, both streams merged in arrival order.
    Raw,
    /// One byte that names the source (1 standard output, 2 standard error), then bytes of the log.
    Source,
}

/// A request that asks for a WebSocket, found complete.
pub(crate) struct Handshake {
    accept: HeaderValue,
    subprotocol: Option<(&'static str, Framing)>,
}

impl Handshake {
    /// Reads a GET request.
    pub(crate) fn read<B>(request: &Request<B>) -> Result<Self, Refusal> {
        let headers = request.headers();
        if request.version() != Version::HTTP_11 {
            return Err(Refusal::NotWebSocket(
                "use HTTP/1.1 with 'Upgrade: websocket'",
            ));
        }
        if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade")
        {
            return Err(Refusal::NotWebSocket(
                "the request has no 'Upgrade: websocket'; use a WebSocket client or 'rdd logs'",
            ));
        }
        if headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return Err(Refusal::NotWebSocket(
                "only Sec-WebSocket-Version 13 is spoken here",
            ));
        }
        let key = headers
            .get(SEC_WEBSOCKET_KEY)
            .ok_or(Refusal::Handshake("Sec-WebSocket-Key is missing"))?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
            .map_err(|_| Refusal::Handshake("Sec-WebSocket-Key cannot be used"))?;
        let subprotocol = SUBPROTOCOLS
            .into_iter()
            .find(|(name, _)| has_token(headers, &SEC_WEBSOCKET_PROTOCOL, name));
        Ok(Self {
            accept,
            subprotocol,
        })
    }

    /// What the client chose to have its frames hold.
    pub(crate) fn framing(&self) -> Framing {
        self.subprotocol
            .map_or(Framing::Raw, |(_, framing)| framing)
    }

    /// The 101 answer.
    pub(crate) fn response<B: Default>(self) -> Response<B> {
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
