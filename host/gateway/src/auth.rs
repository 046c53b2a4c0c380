//! Extracts the credentials of a request, and authenticates those of this
//! instance. Missing and invalid credentials end in 401.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use rdd_core::{AccessScope, AuthError, Authenticator, Credentials, UserIdentity};
use x509_parser::prelude::FromDer as _;

use crate::token::BearerToken;

/// The Kubernetes group with full access.
pub const ADMIN_GROUP: &str = "system:masters";
/// The Kubernetes group of all authenticated users.
pub const AUTHENTICATED_GROUP: &str = "system:authenticated";
/// The prefix of a subprotocol that carries a token, for browsers, which cannot
/// set headers on a WebSocket.
pub(crate) const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Authenticates the token of the instance and the client certificates of its
/// authority.
pub struct LocalAuthenticator {
    token: BearerToken,
}

impl LocalAuthenticator {
    /// Accepts `token`, and client certificates, which the TLS layer has
    /// verified.
    pub fn new(token: BearerToken) -> Self {
        Self { token }
    }

    /// Returns the user that the instance's token stands for.
    pub fn administrator() -> UserIdentity {
        UserIdentity {
            user: "rdd-admin".to_owned(),
            groups: vec![ADMIN_GROUP.to_owned(), AUTHENTICATED_GROUP.to_owned()],
        }
    }

    /// Returns the user of `credentials`.
    ///
    /// # Errors
    ///
    /// Fails with [`AuthError::Unauthenticated`] only.
    pub fn check(&self, credentials: &Credentials) -> Result<UserIdentity, AuthError> {
        let reject = |reason: &str| {
            Err(AuthError::Unauthenticated(format!(
                "{reason}; use the token of the instance's kubeconfig"
            )))
        };
        match credentials {
            Credentials::None => reject("the request has no credentials"),
            Credentials::Bearer(token) if self.token.matches(token) => Ok(Self::administrator()),
            Credentials::Bearer(_) => reject("the bearer token is wrong"),
            Credentials::Certificate(der) => match subject(der) {
                Some(identity) => Ok(identity),
                None => {
                    reject("the client certificate names no user (its subject has no common name)")
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

    /// Users of the instance may do everything.
    fn authorize(&self, _: &UserIdentity, _: AccessScope) -> Result<(), AuthError> {
        Ok(())
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
        _: AccessScope,
    ) -> Result<UserIdentity, AuthError> {
        self.check(credentials)
    }
}

/// Returns the subject of a certificate in DER: the common name is the user,
/// each organization a group.
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

/// Removes the credentials from a request, so that no handler can see or log
/// them. The `Authorization` header takes precedence over the bearer
/// subprotocol, and that over the client certificate of the connection.
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
            "the Authorization header does not have the form 'Bearer TOKEN'".to_owned(),
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
            "a bearer subprotocol requires another subprotocol that the server can select"
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
                "the bearer subprotocol is not a base64url-encoded token".to_owned(),
            )
        })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

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
    fn a_token_is_removed_from_the_request() {
        let mut request = headers(&[(AUTHORIZATION, "Bearer abc")]);
        assert_eq!(bearer(take_credentials(&mut request, None).unwrap()), "abc");
        assert!(request.is_empty());
    }

    #[test]
    fn only_the_bearer_subprotocol_is_removed_from_the_request() {
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
    fn the_header_precedes_the_subprotocol_and_both_precede_the_certificate() {
        let protocol = format!("{BEARER_PROTOCOL}{}, other", URL_SAFE_NO_PAD.encode("def"));
        let in_header = (AUTHORIZATION, "Bearer abc");
        let in_protocol = (SEC_WEBSOCKET_PROTOCOL, &*protocol);
        let take = |request: &mut HeaderMap| take_credentials(request, Some(b"der")).unwrap();

        let mut both = headers(&[in_header, in_protocol.clone()]);
        assert_eq!(bearer(take(&mut both)), "abc");
        // Neither reaches a handler.
        assert_eq!(both, headers(&[(SEC_WEBSOCKET_PROTOCOL, "other")]));
        assert_eq!(bearer(take(&mut headers(&[in_protocol]))), "def");
        let Credentials::Certificate(der) = take(&mut HeaderMap::new()) else {
            panic!("the certificate is left");
        };
        assert_eq!(der, b"der");
    }

    #[test]
    fn every_form_of_a_token_is_accepted() {
        let protocol = |encoded: &str| format!("other, {BEARER_PROTOCOL}{encoded}");
        for (name, value) in [
            (AUTHORIZATION, "Bearer abcd".to_owned()),
            (AUTHORIZATION, "bEARER  abcd".to_owned()),
            (SEC_WEBSOCKET_PROTOCOL, protocol("YWJjZA")),
            (SEC_WEBSOCKET_PROTOCOL, protocol("YWJjZA==")),
        ] {
            let mut request = headers(&[(name, &value)]);
            let credentials = take_credentials(&mut request, None).unwrap();
            assert_eq!(bearer(credentials), "abcd", "{value}");
        }
    }

    #[test]
    fn the_first_of_several_bearer_subprotocols_counts_and_all_are_removed() {
        let protocols = ["YWJj", "ZGVm"].map(|encoded| format!("{BEARER_PROTOCOL}{encoded}"));
        let [first, second] = protocols
            .each_ref()
            .map(|it| (SEC_WEBSOCKET_PROTOCOL, &**it));
        let mut request = headers(&[first, (SEC_WEBSOCKET_PROTOCOL, "other"), second]);
        assert_eq!(bearer(take_credentials(&mut request, None).unwrap()), "abc");
        assert_eq!(request, headers(&[(SEC_WEBSOCKET_PROTOCOL, "other")]));
    }

    #[test]
    fn the_subject_of_a_certificate_is_a_user_with_groups() {
        let certificate = |attributes: &[(DnType, &str)]| {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            for (kind, value) in attributes {
                params.distinguished_name.push(kind.clone(), *value);
            }
            let key = KeyPair::generate().unwrap();
            params.self_signed(&key).unwrap().der().to_vec()
        };
        let group = (DnType::OrganizationName, "devs");
        let ann = subject(&certificate(&[(DnType::CommonName, "ann"), group.clone()])).unwrap();
        assert_eq!(ann.user, "ann");
        assert_eq!(ann.groups, ["devs", AUTHENTICATED_GROUP]);
        assert!(subject(&certificate(&[group])).is_none());
        assert!(subject(b"no certificate").is_none());
    }

    #[test]
    fn malformed_credentials_are_rejected() {
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
            // Even with a valid certificate.
            assert!(
                take_credentials(&mut headers(&[(name, value)]), Some(b"der")).is_err(),
                "{value}"
            );
        }
    }
}
