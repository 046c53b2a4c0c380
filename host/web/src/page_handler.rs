//! Serves the paths of the page: its files, and the sign-in.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use rdd_core::{SessionEnd, UserIdentity};
use rdd_gateway::{
    ADMIN_GROUP, GatewayBody, PageAccess, PageRoutes, RequestBody, RequestHandler, error_response,
    text_response,
};
use serde::{Deserialize, Serialize};

use crate::page_files::PageFile;
use crate::response_headers::response_headers;
use crate::session_store::{CODE_LIFETIME, CodeError, SessionGrant, SessionStore};

/// Where the page is.
const PAGE_PATH: &str = "/ui/";
/// Where a browser trades a code for a session.
const SESSION_PATH: &str = "/ui/session";
/// Where `rdd dashboard` gets a code.
pub const CODES_PATH: &str = "/ui/codes";
/// Where all sessions are ended.
pub const SESSIONS_PATH: &str = "/ui/sessions";
/// The maximum size of the body of a sign-in in bytes. A code has 22.
const MAX_BODY: usize = 1024;

/// Serves the page.
#[derive(Clone)]
pub struct PageHandler {
    sessions: Arc<SessionStore>,
}

/// The response to a request for a code.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeDescription {
    /// The code.
    pub code: String,
    /// How long it may be used, in seconds.
    pub expires_in_seconds: u64,
}

/// The request of a sign-in.
#[derive(Deserialize)]
struct SignInMessage {
    code: String,
}

/// The response to a sign-in.
#[derive(Serialize)]
struct SessionDescription {
    token: String,
}

impl PageHandler {
    /// Creates a handler that begins and ends sessions in `sessions`.
    pub fn new(sessions: Arc<SessionStore>) -> Self {
        Self { sessions }
    }

    /// Returns the routes of a listener that has the page beside the API.
    pub fn routes(&self) -> PageRoutes {
        PageRoutes {
            handler: self.handler(),
            access,
        }
    }

    /// Returns the routes of the page's own listener, whose root leads to the page.
    pub fn routes_with_root(&self) -> PageRoutes {
        PageRoutes {
            handler: self.handler(),
            access: |method, path| match path {
                "/" => Some(PageAccess::Anonymous),
                _ => access(method, path),
            },
        }
    }

    fn handler(&self) -> RequestHandler {
        let handler = self.clone();
        RequestHandler::new(tower::service_fn(move |request| {
            let handler = handler.clone();
            async move {
                let mut response = handler.respond(request).await;
                for (name, value) in response_headers() {
                    if let Some(name) = name {
                        response.headers_mut().entry(name).or_insert(value);
                    }
                }
                Ok::<_, Infallible>(response)
            }
        }))
    }

    async fn respond(&self, request: Request<RequestBody>) -> Response<GatewayBody> {
        let (head, body) = request.into_parts();
        let allowed: &[Method] = match head.uri.path() {
            SESSION_PATH | CODES_PATH => &[Method::POST],
            SESSIONS_PATH => &[Method::DELETE],
            _ => &[Method::GET, Method::HEAD],
        };
        if !allowed.contains(&head.method) {
            return method_not_allowed(&head.headers, allowed);
        }
        match head.uri.path() {
            SESSION_PATH => self.begin_session(&head.headers, body).await,
            CODES_PATH => self.create_code(&head),
            SESSIONS_PATH if !is_administrator(&head) => error_response(
                &head.headers,
                StatusCode::FORBIDDEN,
                "sessions of others are ended by administrators only; use the token of the instance, or one with the role admin",
                None,
            ),
            SESSIONS_PATH => {
                self.sessions.revoke_all();
                tracing::info!("the sessions of the page were revoked");
                json_response(StatusCode::OK, &serde_json::json!({}))
            }
            "/" | "/ui" => redirect(),
            path => match PageFile::find(path.strip_prefix(PAGE_PATH).unwrap_or(path)) {
                Some(file) => file.response(&head.headers),
                None => error_response(
                    &head.headers,
                    StatusCode::NOT_FOUND,
                    "the page has no such file",
                    None,
                ),
            },
        }
    }

    fn create_code(&self, head: &Parts) -> Response<GatewayBody> {
        let headers = &head.headers;
        // The gateway adds the user to each request that needs credentials.
        let Some(identity) = head.extensions.get::<UserIdentity>().cloned() else {
            return internal_error(headers, "the request has no user");
        };
        let end = head.extensions.get::<SessionEnd>().cloned();
        match self.sessions.create_code(SessionGrant { identity, end }) {
            Ok(code) => json_response(
                StatusCode::CREATED,
                &CodeDescription {
                    code,
                    expires_in_seconds: CODE_LIFETIME.as_secs(),
                },
            ),
            Err(error) => internal_error(headers, &error.to_string()),
        }
    }

    async fn begin_session(&self, headers: &HeaderMap, body: RequestBody) -> Response<GatewayBody> {
        let reject =
            |message: &str| error_response(headers, StatusCode::BAD_REQUEST, message, None);
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return reject("the body of a sign-in has at most 1 KiB");
        };
        let Ok(SignInMessage { code }) = serde_json::from_slice(&body.to_bytes()) else {
            return reject("a sign-in is a JSON object with the member \"code\"");
        };
        match self.sessions.begin_session(&code) {
            Ok(token) => {
                tracing::info!("a browser signed in to the page");
                json_response(StatusCode::CREATED, &SessionDescription { token })
            }
            Err(error @ CodeError::Invalid) => {
                tracing::debug!("a sign-in to the page failed");
                error_response(headers, StatusCode::UNAUTHORIZED, &error.to_string(), None)
            }
            Err(CodeError::Random(error)) => internal_error(headers, &error.to_string()),
        }
    }
}

fn is_administrator(head: &Parts) -> bool {
    let identity = head.extensions.get::<UserIdentity>();
    identity.is_some_and(|identity| identity.groups.iter().any(|group| group == ADMIN_GROUP))
}

/// Returns which access a path of the page needs.
fn access(_: &Method, path: &str) -> Option<PageAccess> {
    match path {
        CODES_PATH | SESSIONS_PATH => Some(PageAccess::Authenticated),
        "/ui" => Some(PageAccess::Anonymous),
        path if path.starts_with(PAGE_PATH) => Some(PageAccess::Anonymous),
        _ => None,
    }
}

/// Leads to the page. A browser keeps the fragment, and so the code in it.
fn redirect() -> Response<GatewayBody> {
    let mut response = text_response(StatusCode::TEMPORARY_REDIRECT, "");
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static(PAGE_PATH));
    response
}

fn method_not_allowed(headers: &HeaderMap, allowed: &[Method]) -> Response<GatewayBody> {
    let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
    let names = names.join(", ");
    let message = format!("only {names} is possible here");
    let mut response = error_response(headers, StatusCode::METHOD_NOT_ALLOWED, &message, None);
    if let Ok(value) = HeaderValue::from_str(&names) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

fn internal_error(headers: &HeaderMap, message: &str) -> Response<GatewayBody> {
    error_response(headers, StatusCode::INTERNAL_SERVER_ERROR, message, None)
}

fn json_response(status: StatusCode, content: &impl Serialize) -> Response<GatewayBody> {
    match serde_json::to_vec(content) {
        Ok(body) => {
            let mut response = text_response(status, body);
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        // Maps with keys that are not text cannot be written. There are none here.
        Err(error) => internal_error(&HeaderMap::new(), &error.to_string()),
    }
}
