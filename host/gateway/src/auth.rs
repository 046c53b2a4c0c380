//! Credentials: where a request carries them, and whose they are.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use rdd_core::{AuthError, Authenticator, Credentials, UserIdentity};
use x509_parser::prelude::FromDer as _;

use crate::token::Token;

/// The group that may do everything, by Kubernetes' own name.
const ADMIN_GROUP: &str = "system:masters";
/// Every caller with good credentials is in this group.
const AUTHENTICATED_GROUP: &str = "system:authenticated";
/// How a browser, which cannot set headers on a WebSocket, carries a token.
const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The instance's own token and the client certificates of its own authority.
pub struct LocalAuthenticator {
    token: Token,
}

impl LocalAuthenticator {
    /// Accepts `token`, and certificates that the TLS layer has verified.
    pub fn new(token: Token) -> Self {
        Self { token }
    }

    /// Whose these credentials are.
    ///
    /// # Errors
    ///
    /// [`AuthError::Unauthenticated`] alone.
    pub fn check(&self, credentials: &Credentials) -> Result<UserIdentity, AuthError> {
        let refused = |why: &str| {
            Err(AuthError::Unauthenticated(format!(
                "{why}; use the token of the instance's kubeconfig"
            )))
        };
        match credentials {
            Credentials::None => refused("the request carries no credentials"),
            Credentials::Bearer(shown) if self.token.matches(shown) => Ok(UserIdentity {
                user: "rdd-admin".to_owned(),
                groups: vec![ADMIN_GROUP.to_owned(), AUTHENTICATED_GROUP.to_owned()],
            }),
            Credentials::Bearer(_) => refused("the bearer token is wrong"),
            Credentials::Certificate(der) => match subject(der) {
                Some(identity) => Ok(identity),
                None => {
                    refused("the client certificate names no user (its subject has no common name)")
                }
            },
        }
    }
}

#[async_trait]
impl Authenticator for LocalAuthenticator {
    fn authenticate_locally(
        &self,
        credentials: &Credentials,
    ) -> Option<Result<UserIdentity, AuthError>> {
        Some(self.check(credentials))
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<UserIdentity, AuthError> {
        self.check(credentials)
    }
}

/// The common name is the user, each organisation a group.
fn subject(der: &[u8]) -> Option<UserIdentity> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject
        .iter_organization()
        .filter_map(|organization| organization.as_str().ok().map(str::to_owned))
        .chain([AUTHENTICATED_GROUP.to_owned()])
        .collect();
    Some(UserIdentity { user, groups })
}

/// Takes the credentials out of a request, so that no later room sees or logs
/// them: the `Authorization` header, the bearer subprotocol, or the client
/// certificate of the connection, in this order.
pub(crate) fn take_credentials(
    headers: &mut HeaderMap,
    certificate: Option<&[u8]>,
) -> Result<Credentials, AuthError> {
    let in_header = take_authorization(headers)?;
    let in_protocol = take_protocol(headers)?;
    Ok(match (in_header.or(in_protocol), certificate) {
        (Some(token), _) => Credentials::Bearer(token),
        (None, Some(der)) => Credentials::Certificate(der.to_owned()),
        (None, None) => Credentials::None,
    })
}

fn take_authorization(headers: &mut HeaderMap) -> Result<Option<String>, AuthError> {
    let Some(value) = headers.remove(AUTHORIZATION) else {
        return Ok(None);
    };
    let bearer = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned())
    });
    bearer.map(Some).ok_or_else(|| {
        AuthError::Unauthenticated(
            "the Authorization header is not of the form 'Bearer TOKEN'".to_owned(),
        )
    })
}

fn take_protocol(headers: &mut HeaderMap) -> Result<Option<String>, AuthError> {
    let offered: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|protocol| protocol.trim().to_owned())
        .collect();
    let (bearers, others): (Vec<_>, Vec<_>) = offered
        .into_iter()
        .partition(|protocol| protocol.starts_with(BEARER_PROTOCOL));
    let Some(bearer) = bearers.first() else {
        return Ok(None);
    };
    if others.is_empty() {
        return Err(AuthError::Unauthenticated(
            "a bearer subprotocol needs another subprotocol beside it, which the server can choose"
                .to_owned(),
        ));
    }
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(value) = HeaderValue::from_str(&others.join(", ")) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    let encoded = bearer.strip_prefix(BEARER_PROTOCOL).unwrap_or_default();
    URL_SAFE_NO_PAD
        .decode(encoded.trim_end_matches('='))
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Some)
        .ok_or_else(|| {
            AuthError::Unauthenticated(
                "the bearer subprotocol is not base64url of a token".to_owned(),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(http::header::HeaderName, &str)]) -> HeaderMap {
        entries
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn bearer(credentials: Credentials) -> String {
        match credentials {
            Credentials::Bearer(token) => token,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_taken_out_of_the_request() {
        let mut request = headers(&[(AUTHORIZATION, "Bearer abc")]);
        assert_eq!(bearer(take_credentials(&mut request, None).unwrap()), "abc");
        assert!(request.is_empty());
    }

    #[test]
    fn the_bearer_subprotocol_goes_and_the_other_stays() {
        let protocol = format!(
            "{BEARER_PROTOCOL}{}, rdd.logs.v1+json",
            URL_SAFE_NO_PAD.encode("abc")
        );
        let mut request = headers(&[(SEC_WEBSOCKET_PROTOCOL, &protocol)]);
        assert_eq!(bearer(take_credentials(&mut request, None).unwrap()), "abc");
        assert_eq!(
            request.get(SEC_WEBSOCKET_PROTOCOL).unwrap(),
            "rdd.logs.v1+json"
        );
    }

    #[test]
    fn malformed_credentials_are_refused_not_overlooked() {
        for (name, value) in [
            (AUTHORIZATION, "Basic abc"),
            (AUTHORIZATION, "abc"),
            (
                SEC_WEBSOCKET_PROTOCOL,
                "base64url.bearer.authorization.k8s.io.YWJj",
            ),
            (
                SEC_WEBSOCKET_PROTOCOL,
                "base64url.bearer.authorization.k8s.io.***, other",
            ),
        ] {
            // A certificate beside them does not make up for it.
            assert!(
                take_credentials(&mut headers(&[(name, value)]), Some(b"der")).is_err(),
                "{value}"
            );
        }
    }
}
