//! The checks that each request passes before it is dispatched.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::header::ACCEPT;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use rdd_core::{AccessScope, AuthError, Authenticator, SessionEnd, UserIdentity};
use tokio::sync::watch;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;
use tracing::Instrument as _;

use crate::access_record::{AccessHandle, AccessRecorder};
use crate::activity::{ConnectionActivity, InFlightBody};
use crate::auth::take_credentials;
use crate::ending_body::EndingBody;
use crate::health::{self, HealthReport};
use crate::host_origin_policy::HostOriginPolicy;
use crate::limits::{CONNECTIONS_RETRY_AFTER_SECONDS, STARTING_RETRY_AFTER_SECONDS};
use crate::panic_log::log_panic;
use crate::registry::{ConnectionLimitError, ConnectionPermit};
use crate::request_body::RequestBody;
use crate::response::{GatewayBody, error_response};

/// A service for one part of the URL space. It receives only requests that
/// passed every check, with the caller's [`rdd_core::UserIdentity`] among their
/// extensions.
pub type RequestHandler =
    BoxCloneSyncService<Request<RequestBody>, Response<GatewayBody>, Infallible>;

/// The web page: paths of their own, some of which need no credentials.
#[derive(Clone)]
pub struct PageRoutes {
    /// Serves the paths. Among the extensions of a request that needs credentials
    /// is the caller's [`rdd_core::UserIdentity`].
    pub handler: RequestHandler,
    /// Returns which access a request needs, or `None` for a path that is not of
    /// the page.
    pub access: fn(&http::Method, &str) -> Option<PageAccess>,
}

/// The access that a request to the page needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAccess {
    /// Everybody who may connect: the files of the page, and the sign-in. `Host`
    /// and `Origin` are checked.
    Anonymous,
    /// A user with credentials.
    Authenticated,
}

/// Authenticates, checks, and dispatches requests.
pub(crate) struct RequestPipeline {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) access_scope: fn(&str) -> AccessScope,
    pub(crate) host_origin_policy: HostOriginPolicy,
    pub(crate) page: Option<PageRoutes>,
    /// Headers of each response, unless its handler has set them.
    pub(crate) response_headers: HeaderMap,
    pub(crate) passthrough: RequestHandler,
    pub(crate) recorder: Option<Arc<dyn AccessRecorder>>,
    pub(crate) api: Option<RequestHandler>,
    pub(crate) metrics: RequestHandler,
    pub(crate) health: watch::Receiver<HealthReport>,
    /// How long a request may take to send its body.
    pub(crate) body_timeout: Duration,
}

/// The connection that a request arrived on.
pub(crate) struct ConnectionContext {
    pub(crate) permit: ConnectionPermit,
    pub(crate) activity: ConnectionActivity,
    /// The client certificate in DER, verified by the TLS layer.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl RequestPipeline {
    /// Handles one request. Only an authenticated request counts as in flight
    /// until its response body is sent.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        connection: &ConnectionContext,
    ) -> Response<InFlightBody> {
        let in_flight = connection.activity.begin_request();
        // The path only: a query may carry secrets.
        let span = tracing::info_span!(
            "request",
            method = %request.method(),
            path = request.uri().path(),
            user = tracing::field::Empty,
        );
        let response = async {
            let mut response = self.route(request, connection).await;
            for (name, value) in &self.response_headers {
                response
                    .headers_mut()
                    .entry(name)
                    .or_insert_with(|| value.clone());
            }
            tracing::debug!(status = response.status().as_u16(), "request handled");
            response
        }
        .instrument(span)
        .await;
        let guard = connection.activity.is_authenticated().then_some(in_flight);
        response.map(|body| InFlightBody {
            body,
            _guard: guard,
        })
    }

    async fn route(
        &self,
        mut request: Request<Incoming>,
        connection: &ConnectionContext,
    ) -> Response<GatewayBody> {
        let reject = |request: &Request<Incoming>, status, message: &str, retry_after| {
            error_response(request.headers(), status, message, retry_after)
        };
        let uri = request.uri();
        if let Some(response) = health::response(uri.path(), uri.query(), &self.health.borrow()) {
            return response;
        }
        let page = self.page.as_ref().and_then(|page| {
            let access = (page.access)(request.method(), request.uri().path())?;
            Some((&page.handler, access))
        });
        if let Some((handler, PageAccess::Anonymous)) = page {
            return match self
                .host_origin_policy
                .check(request.headers(), request.uri().authority())
            {
                Ok(()) => self.dispatch(handler, request).await,
                Err(error) => reject(&request, StatusCode::FORBIDDEN, &error.to_string(), None),
            };
        }
        let certificate = connection.certificate.as_deref();
        let credentials = match take_credentials(request.headers_mut(), certificate) {
            Ok(credentials) => credentials,
            Err(error) => return authentication_failed(&request, &error),
        };
        // Before the authentication: what a session opens ends with it, also if that
        // is meanwhile.
        let session_end = self.authenticator.session_end(&credentials);
        // Local checks come first. A cluster reviews only requests that
        // pass all of them.
        let known = match self.authenticator.authenticate_locally(&credentials) {
            Some(Err(error)) => return authentication_failed(&request, &error),
            Some(Ok(identity)) => {
                if let Err(error) = on_authenticated(&identity, connection) {
                    return too_many_connections(&request, error);
                }
                Some(identity)
            }
            None => None,
        };
        if let Err(error) = self
            .host_origin_policy
            .check(request.headers(), request.uri().authority())
        {
            return reject(&request, StatusCode::FORBIDDEN, &error.to_string(), None);
        }
        let unavailable = self.health.borrow().phase.unavailable_reason();
        if let Some(message) = unavailable {
            return reject(
                &request,
                StatusCode::SERVICE_UNAVAILABLE,
                message,
                Some(STARTING_RETRY_AFTER_SECONDS),
            );
        }
        let is_known_locally = known.is_some();
        let identity = match known {
            Some(identity) => identity,
            None => match self
                .authenticator
                .authenticate(&credentials, (self.access_scope)(request.uri().path()))
                .await
            {
                Ok(identity) => {
                    if let Err(error) = on_authenticated(&identity, connection) {
                        return too_many_connections(&request, error);
                    }
                    identity
                }
                Err(error) => return authentication_failed(&request, &error),
            },
        };
        // The API server authorizes and impersonates by itself.
        let (handler, scope) = match (page, request.uri().path()) {
            (Some((handler, _)), _) => (handler, None),
            (None, "/metrics") => (&self.metrics, Some(AccessScope::DaemonMetrics)),
            (None, path) if path == "/passthrough" || path.starts_with("/passthrough/") => {
                (&self.passthrough, Some((self.access_scope)(path)))
            }
            (None, _) => match &self.api {
                Some(api) => (api, None),
                None => {
                    return reject(
                        &request,
                        StatusCode::NOT_FOUND,
                        "the Kubernetes API of this daemon is served by the cluster of its --kubeconfig; only /passthrough is served here",
                        None,
                    );
                }
            },
        };
        let record = self.begin_record(&request, &identity, scope);
        let is_beside_api = page.is_some() || scope.is_some();
        let response = async {
            if is_beside_api && requests_impersonation(request.headers()) {
                return reject(&request, StatusCode::FORBIDDEN, IMPERSONATION_MESSAGE, None);
            }
            // Otherwise, the authentication has checked it.
            if is_known_locally
                && let Some(scope) = scope
                && let Err(error) = self.authenticator.authorize(&identity, scope)
            {
                return authentication_failed(&request, &error);
            }
            request.extensions_mut().insert(identity);
            if let Some(record) = &record {
                request.extensions_mut().insert(record.clone());
            }
            self.dispatch_until(handler, request, session_end).await
        }
        .await;
        if let Some(AccessHandle(record)) = record {
            record.respond(response.status());
        }
        response
    }

    /// Begins the record of a request to the passthrough.
    fn begin_record(
        &self,
        request: &Request<Incoming>,
        identity: &UserIdentity,
        scope: Option<AccessScope>,
    ) -> Option<AccessHandle> {
        let scope = scope.filter(|scope| *scope != AccessScope::DaemonMetrics)?;
        let recorder = self.recorder.as_ref()?;
        recorder.begin(identity, scope, request.uri(), request.headers())
    }

    /// Dispatches a request, whose response ends at the latest with the session of
    /// its user.
    async fn dispatch_until(
        &self,
        handler: &RequestHandler,
        mut request: Request<Incoming>,
        session_end: Option<SessionEnd>,
    ) -> Response<GatewayBody> {
        if let Some(end) = session_end {
            request.extensions_mut().insert(end.clone());
            let response = self.dispatch(handler, request).await;
            // What has a length ends by itself, such as the response to a revocation
            // of the session.
            if response.body().size_hint().exact().is_some() {
                return response;
            }
            return response.map(|body| EndingBody::new(body, end).boxed_unsync());
        }
        self.dispatch(handler, request).await
    }

    async fn dispatch(
        &self,
        handler: &RequestHandler,
        request: Request<Incoming>,
    ) -> Response<GatewayBody> {
        // For the response to a panic, which is for this request alone.
        let accept = request.headers().get(ACCEPT).cloned();
        let request = request.map(|body| RequestBody::new(body, self.body_timeout));
        let handled = AssertUnwindSafe(handler.clone().oneshot(request));
        match handled.catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => {
                log_panic(&*panic);
                let headers = accept.map(|accept| (ACCEPT, accept)).into_iter().collect();
                error_response(
                    &headers,
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "handling this request failed because of a bug; the daemon's log has the cause",
                    None,
                )
            }
        }
    }
}

/// What a request that asks for impersonation gets outside of the Kubernetes API:
/// ignoring the headers would grant the user's own rights to a request for fewer.
const IMPERSONATION_MESSAGE: &str = "impersonation is possible for the Kubernetes API only; leave out the Impersonate- headers, or use a token of the other user";

fn requests_impersonation(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| name.as_str().starts_with("impersonate-"))
}

/// Records the user in the request's span, and counts the connection as
/// authenticated.
fn on_authenticated(
    identity: &UserIdentity,
    connection: &ConnectionContext,
) -> Result<(), ConnectionLimitError> {
    tracing::Span::current().record("user", identity.user.as_str());
    if !connection.activity.mark_authenticated() {
        return Ok(());
    }
    connection
        .permit
        .mark_authenticated(&identity.user)
        .inspect_err(|_| connection.activity.clear_authenticated())
}

/// Returns the response to an authenticated request on a connection above the
/// limit.
fn too_many_connections(
    request: &Request<Incoming>,
    error: ConnectionLimitError,
) -> Response<GatewayBody> {
    error_response(
        request.headers(),
        StatusCode::TOO_MANY_REQUESTS,
        &error.to_string(),
        Some(CONNECTIONS_RETRY_AFTER_SECONDS),
    )
}

/// Returns the response to a request whose credentials were not accepted.
fn authentication_failed(request: &Request<Incoming>, error: &AuthError) -> Response<GatewayBody> {
    let (status, retry_after) = match error {
        AuthError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, None),
        AuthError::Forbidden(_) => (StatusCode::FORBIDDEN, None),
        AuthError::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Some(STARTING_RETRY_AFTER_SECONDS),
        ),
    };
    error_response(request.headers(), status, &error.to_string(), retry_after)
}
