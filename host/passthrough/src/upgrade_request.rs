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

/// A valid request for a WebSocket.
pub(crate) struct UpgradeRequest {
    accept: HeaderValue,
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
        Ok(Self { accept })
    }

    /// Returns the response with status 101, which names the subprotocol that was
    /// selected.
    pub(crate) fn into_response<B: Default>(
        self,
        subprotocol: Option<&'static str>,
    ) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(name) = subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        response
    }
}

/// Returns the first subprotocol that the client offers and the endpoint has.
pub(crate) fn select_subprotocol<T: Copy>(
    headers: &HeaderMap,
    known: &[(&'static str, T)],
) -> Option<(&'static str, T)> {
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL)
        .find_map(|offered| known.iter().find(|(name, _)| *name == offered).copied())
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|part| part.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &'a http::HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn request(changed: Option<(HeaderName, Option<&str>)>) -> Request<()> {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        for (name, value) in [
            (UPGRADE, "h2c, WebSocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some((name, value)) = changed {
            headers.remove(&name);
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        request
    }

    #[test]
    fn every_part_of_the_handshake_is_required() {
        assert!(UpgradeRequest::parse(&request(None)).is_ok());
        for (name, value) in [
            (UPGRADE, None),
            (UPGRADE, Some("h2c")),
            (CONNECTION, None),
            (CONNECTION, Some("keep-alive")),
            (SEC_WEBSOCKET_VERSION, None),
            (SEC_WEBSOCKET_VERSION, Some("8")),
        ] {
            let parsed = UpgradeRequest::parse(&request(Some((name.clone(), value))));
            assert!(
                matches!(parsed, Err(StreamRequestError::UpgradeRequired(_))),
                "{name}: {value:?}"
            );
        }
        let mut old = request(None);
        *old.version_mut() = Version::HTTP_10;
        assert!(matches!(
            UpgradeRequest::parse(&old),
            Err(StreamRequestError::UpgradeRequired(_))
        ));
        let without_key = request(Some((SEC_WEBSOCKET_KEY, None)));
        assert!(matches!(
            UpgradeRequest::parse(&without_key),
            Err(StreamRequestError::InvalidHandshake(_))
        ));
    }
}
