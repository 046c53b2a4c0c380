//! The properties of the credentials in headers. The function panics if the input
//! breaks one.
//!
//! The target in `fuzz` searches for such inputs. The test replays those that are
//! saved there, and random mutations of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use rdd_core::{AuthError, Credentials};

use crate::auth::{BEARER_PROTOCOL, take_credentials};

/// The shortest value that no error message has by chance.
const MIN_SECRET_BYTES: usize = 24;

/// Each line is a header: after `A` the value of `Authorization`, after any other
/// byte subprotocols.
///
/// - No accepted request has credentials in its headers afterwards, as far as they
///   are text.
/// - The other subprotocols stay, in their order.
/// - A token arrives as it was sent, from the header before the subprotocol, and that
///   before the certificate.
/// - The message of an error has no token.
pub fn credentials(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((kind, value)) = line.split_first() else {
            continue;
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            let name = match kind {
                b'A' => AUTHORIZATION,
                _ => SEC_WEBSOCKET_PROTOCOL,
            };
            headers.append(name, value);
        }
    }
    check(headers.clone(), None);
    check(headers.clone(), Some(b"certificate"));
    check_token(headers, data);
}

fn check(mut headers: HeaderMap, certificate: Option<&[u8]>) {
    let before = subprotocols(&headers);
    let had_header = headers.contains_key(AUTHORIZATION);
    let secrets: Vec<_> = headers.values().cloned().collect();
    match take_credentials(&mut headers, certificate) {
        Ok(credentials) => {
            assert!(!headers.contains_key(AUTHORIZATION));
            let (bearers, others): (Vec<_>, Vec<_>) = before
                .into_iter()
                .partition(|it| it.starts_with(BEARER_PROTOCOL));
            assert_eq!(subprotocols(&headers), others);
            let is_token = matches!(credentials, Credentials::Bearer(_));
            assert_eq!(is_token, had_header || !bearers.is_empty());
            if !is_token {
                assert_eq!(
                    matches!(credentials, Credentials::None),
                    certificate.is_none()
                );
            }
        }
        Err(AuthError::Unauthenticated(message)) => {
            let secrets = secrets.iter().filter_map(|secret| secret.to_str().ok());
            for secret in secrets.flat_map(|secret| secret.split([' ', ','])) {
                let is_long = secret.len() >= MIN_SECRET_BYTES;
                assert!(!is_long || !message.contains(secret), "{message}");
            }
        }
        Err(error) => panic!("{error}"),
    }
}

/// Adds a token in each way.
fn check_token(headers: HeaderMap, token: &[u8]) {
    let Ok(token) = str::from_utf8(token) else {
        return;
    };
    let mut with_protocol = headers;
    with_protocol.remove(AUTHORIZATION);
    let protocol = format!("{BEARER_PROTOCOL}{}, x", URL_SAFE_NO_PAD.encode(token));
    let mut first = HeaderMap::new();
    first.append(SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
    for value in with_protocol.get_all(SEC_WEBSOCKET_PROTOCOL) {
        first.append(SEC_WEBSOCKET_PROTOCOL, value.clone());
    }
    let mut with_header = first.clone();
    let taken = take_credentials(&mut first, Some(b"certificate"));
    assert!(matches!(taken, Ok(Credentials::Bearer(taken)) if taken == token));
    with_header.append(AUTHORIZATION, HeaderValue::from_static("bearer first"));
    let taken = take_credentials(&mut with_header, Some(b"certificate"));
    assert!(matches!(taken, Ok(Credentials::Bearer(taken)) if taken == "first"));
}

/// Returns the subprotocols of all headers that are text.
fn subprotocols(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let texts = lines.filter_map(|value| value.to_str().ok());
    let names = texts.flat_map(|text| text.split(',').map(str::trim));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_keep_their_properties() {
        rdd_testkit::replay_corpus("credentials", credentials);
    }
}
