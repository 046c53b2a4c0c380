//! Credentials and access tokens for a registry.
//!
//! A registry that requires them answers 401 with a challenge. `Basic` asks for
//! the user's name and password, `Bearer` for a token from the token service
//! that the challenge names.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use rdd_core::{RegistryCredentialStore, RegistryCredentials};

use super::http_client::{HttpClient, MAX_MESSAGE_BYTES};
use super::url;
use crate::reference::ArtifactReference;
use crate::registry_error::RegistryError;

/// Docker Hub's API has another name than its artifacts.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// The name of this program at a token service.
const CLIENT_ID: &str = "rdd";

/// The `Authorization` of requests to one registry.
pub(super) struct RegistryAuthorization {
    host: String,
    store: Arc<dyn RegistryCredentialStore>,
    state: Mutex<AuthorizationState>,
}

#[derive(Default)]
struct AuthorizationState {
    header: Option<HeaderValue>,
    has_credentials: bool,
}

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The response of a token service.
#[derive(serde::Deserialize)]
struct TokenResponse {
    token: Option<String>,
    access_token: Option<String>,
}

impl RegistryAuthorization {
    pub(super) fn new(
        reference: &ArtifactReference,
        store: Arc<dyn RegistryCredentialStore>,
    ) -> Self {
        let host = match reference.registry() {
            name if name == DOCKER_HUB.0 => DOCKER_HUB.1,
            name => name,
        };
        Self {
            host: host.to_owned(),
            store,
            state: Mutex::default(),
        }
    }

    /// Returns the host and port of the registry's API.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the header for the next request.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.state().header.clone()
    }

    /// Returns whether the user has credentials for the registry. False before
    /// the registry has asked.
    pub(super) fn has_credentials(&self) -> bool {
        self.state().has_credentials
    }

    fn state(&self) -> std::sync::MutexGuard<'_, AuthorizationState> {
        // A panic cannot leave a half-written state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the challenge in the headers of a response with status 401.
    /// Without a supported one, the next request is sent as before.
    pub(super) async fn authorize(
        &self,
        http: &HttpClient,
        reference: &ArtifactReference,
        headers: &HeaderMap,
        write: bool,
    ) -> Result<(), RegistryError> {
        let registry = reference.registry();
        let credentials =
            self.store
                .credentials(registry)
                .await
                .map_err(|error| RegistryError::Credentials {
                    registry: registry.to_owned(),
                    error,
                })?;
        let has_credentials = credentials.is_some();
        let header = match (parse_challenge(headers), credentials) {
            (_, Some(RegistryCredentials::RegistryToken(token))) => Some(format!("Bearer {token}")),
            (
                Some(Challenge::Basic),
                Some(RegistryCredentials::Password { username, password }),
            ) => Some(basic(&username, &password)),
            (Some(Challenge::Bearer { realm, service }), credentials) => {
                let request =
                    token_request(reference, &realm, service.as_deref(), credentials, write)?;
                let token = self.fetch_token(http, reference, request).await?;
                Some(format!("Bearer {token}"))
            }
            (Some(Challenge::Basic) | None, _) => None,
        };
        let header = match header {
            None => None,
            Some(text) => {
                let mut header = HeaderValue::from_str(&text).map_err(|_| {
                    violation(
                        reference,
                        "its token contains characters that are not allowed",
                    )
                })?;
                header.set_sensitive(true);
                Some(header)
            }
        };
        *self.state() = AuthorizationState {
            header,
            has_credentials,
        };
        Ok(())
    }

    async fn fetch_token(
        &self,
        http: &HttpClient,
        reference: &ArtifactReference,
        request: Request<Full<Bytes>>,
    ) -> Result<String, RegistryError> {
        let action = "get an access token";
        let has_credentials = request.headers().contains_key(http::header::AUTHORIZATION)
            || request.method() == http::Method::POST;
        let response = http
            .send(request, http.idle_timeout())
            .await
            .map_err(|error| error.in_registry(reference, action))?;
        let status = response.status();
        if status != StatusCode::OK {
            let body = http.read_message(response.into_body()).await;
            return Err(RegistryError::from_status(
                reference,
                // A token service without such a user may answer 400.
                match status {
                    StatusCode::BAD_REQUEST => StatusCode::UNAUTHORIZED,
                    status => status,
                },
                &body,
                action,
                has_credentials,
            ));
        }
        let mut body = Vec::new();
        http.copy(response.into_body(), MAX_MESSAGE_BYTES, &mut body)
            .await
            .map_err(|error| error.in_registry(reference, action))?;
        serde_json::from_slice::<TokenResponse>(&body)
            .ok()
            .and_then(|response| response.token.or(response.access_token))
            .filter(|token| !token.is_empty())
            .ok_or_else(|| violation(reference, "its token service returned no token"))
    }
}

/// Returns the request for a token that allows to read, or also to write, the
/// repository.
fn token_request(
    reference: &ArtifactReference,
    realm: &str,
    service: Option<&str>,
    credentials: Option<RegistryCredentials>,
    write: bool,
) -> Result<Request<Full<Bytes>>, RegistryError> {
    let realm: Uri = realm
        .parse()
        .map_err(|_| violation(reference, "it names an invalid token service"))?;
    let is_local = realm
        .authority()
        .is_some_and(|authority| super::is_loopback(authority.as_str()));
    let is_protected = match realm.scheme_str() {
        Some("https") => true,
        Some("http") => is_local,
        _ => false,
    };
    if !is_protected {
        return Err(violation(
            reference,
            "it names a token service without encryption",
        ));
    }
    let actions = if write { "pull,push" } else { "pull" };
    let scope = format!("repository:{}:{actions}", reference.repository());
    let invalid = |_| violation(reference, "it names an invalid token service");
    if let Some(RegistryCredentials::IdentityToken(token)) = credentials {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", CLIENT_ID)
            .append_pair("scope", &scope)
            .append_pair("refresh_token", &token);
        if let Some(service) = service {
            form.append_pair("service", service);
        }
        return Request::post(realm)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form.finish())))
            .map_err(invalid);
    }
    let mut url = url::with_query(&realm, "scope", &scope)
        .ok_or_else(|| violation(reference, "it names an invalid token service"))?;
    if let Some(service) = service {
        url = url::with_query(&url, "service", service)
            .ok_or_else(|| violation(reference, "it names an invalid token service"))?;
    }
    let mut request = Request::get(url);
    if let Some(RegistryCredentials::Password { username, password }) = credentials {
        let mut value = HeaderValue::from_str(&basic(&username, &password))
            .map_err(|_| violation(reference, "your credentials contain invalid characters"))?;
        value.set_sensitive(true);
        request = request.header(http::header::AUTHORIZATION, value);
    }
    request.body(Full::default()).map_err(invalid)
}

/// Returns the first challenge that is supported, a token before a password.
fn parse_challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut has_basic = false;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let challenges = value.to_str().ok().and_then(|text| {
            http_auth::parse_challenges(text)
                .inspect_err(|error| tracing::debug!(%error, "cannot parse a challenge"))
                .ok()
        });
        for challenge in challenges.into_iter().flatten() {
            let parameter = |name: &str| {
                challenge
                    .params
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                return Some(Challenge::Bearer {
                    realm,
                    service: parameter("service"),
                });
            }
            has_basic |= challenge.scheme.eq_ignore_ascii_case("basic");
        }
    }
    has_basic.then_some(Challenge::Basic)
}

fn basic(username: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {pair}")
}

fn violation(reference: &ArtifactReference, problem: &'static str) -> RegistryError {
    RegistryError::Violation {
        registry: reference.registry().to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(text: &'static str) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(text));
        parse_challenge(&headers)
    }

    #[test]
    fn a_challenge_for_a_token_is_preferred() {
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("r".to_owned()),
        };
        assert_eq!(
            challenge(r#"Basic realm="x", Bearer realm="https://auth.example/token",service="r""#),
            Some(bearer)
        );
        assert_eq!(challenge("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(challenge("Negotiate"), None);
        assert_eq!(challenge("\"\""), None);
    }

    fn request(
        realm: &str,
        credentials: Option<RegistryCredentials>,
        write: bool,
    ) -> Result<Request<Full<Bytes>>, RegistryError> {
        let reference = ArtifactReference::parse("r.example/a/b:1").unwrap();
        token_request(&reference, realm, Some("s v"), credentials, write)
    }

    #[test]
    fn a_token_is_requested_for_one_repository() {
        let get = request("https://auth.example/token?x=1", None, true).unwrap();
        assert_eq!(
            get.uri().to_string(),
            "https://auth.example/token?x=1&scope=repository%3Aa%2Fb%3Apull%2Cpush&service=s+v"
        );
        assert!(!get.headers().contains_key("authorization"));
        let password = RegistryCredentials::Password {
            username: "me".to_owned(),
            password: "word".to_owned(),
        };
        let get = request("https://auth.example/token", Some(password), false).unwrap();
        assert_eq!(get.headers()["authorization"], "Basic bWU6d29yZA==");
        assert!(get.headers()["authorization"].is_sensitive());
        let token = RegistryCredentials::IdentityToken("refresh".to_owned());
        let post = request("https://auth.example/token", Some(token), false).unwrap();
        assert_eq!(post.method(), http::Method::POST);
        assert!(post.uri().query().is_none(), "a secret in an address");
    }

    #[test]
    fn a_token_service_without_encryption_gets_no_credentials() {
        for realm in ["http://auth.example/token", "ftp://x/", "nonsense", ""] {
            assert!(request(realm, None, false).is_err(), "{realm}");
        }
        request("http://127.0.0.1:5001/token", None, false).unwrap();
    }
}
