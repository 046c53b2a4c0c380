//! The checks that every request passes, and the way it goes from there.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use rdd_core::{AuthError, Authenticator};
use tokio::sync::watch;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::activity::{Activity, TrackedBody};
use crate::auth::take_credentials;
use crate::guard::Guard;
use crate::health::{self, HealthReport};
use crate::limits::{CONNECTIONS_RETRY_AFTER, STARTING_RETRY_AFTER};
use crate::registry::{ConnectionPermit, TooManyConnections};
use crate::reply::{Body, refuse, text};

/// Answers the requests of one part of the URL space. It gets only requests
/// that were found good, with an [`rdd_core::UserIdentity`] among their extensions.
pub type Handler = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// What requests are checked against and handed to.
pub(crate) struct Gate {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) guard: Guard,
    pub(crate) passthrough: Handler,
    pub(crate) api: Option<Handler>,
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) health: watch::Receiver<HealthReport>,
}

/// The connection that a request came on.
pub(crate) struct ConnectionContext {
    pub(crate) permit: ConnectionPermit,
    pub(crate) activity: Activity,
    /// DER of the client's certificate, which the TLS layer has verified.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Gate {
    /// Answers one request. Only one with good credentials counts as under way
    /// until its body is sent.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        connection: &ConnectionContext,
    ) -> Response<TrackedBody> {
        let under_way = connection.activity.begin();
        let response = self.route(request, connection).await;
        let guard = connection.activity.is_authenticated().then_some(under_way);
        response.map(|body| TrackedBody {
            body,
            _guard: guard,
        })
    }

    async fn route(
        &self,
        mut request: Request<Incoming>,
        connection: &ConnectionContext,
    ) -> Response<Body> {
        let refused = |request: &Request<Incoming>, status, message: &str, retry| {
            refuse(request.headers(), status, message, retry)
        };
        let uri = request.uri();
        if let Some(answer) = health::answer(uri.path(), uri.query(), &self.health.borrow()) {
            return answer;
        }
        let certificate = connection.certificate.as_deref();
        let credentials = match take_credentials(request.headers_mut(), certificate) {
            Ok(credentials) => credentials,
            Err(error) => return unauthenticated(&request, &error),
        };
        // What is wrong here and now is refused first. A cluster is asked only
        // about requests that nothing else speaks against.
        let known = match self.authenticator.authenticate_locally(&credentials) {
            Some(Err(error)) => return unauthenticated(&request, &error),
            Some(Ok(identity)) => {
                if let Err(limit) = admit(connection) {
                    return too_many(&request, limit);
                }
                Some(identity)
            }
            None => None,
        };
        if let Err(message) = self
            .guard
            .check(request.headers(), request.uri().authority())
        {
            return refused(&request, StatusCode::FORBIDDEN, &message, None);
        }
        let refusal = self.health.borrow().phase.refusal();
        if let Some(message) = refusal {
            return refused(
                &request,
                StatusCode::SERVICE_UNAVAILABLE,
                message,
                Some(STARTING_RETRY_AFTER),
            );
        }
        let identity = match known {
            Some(identity) => identity,
            None => match self.authenticator.authenticate(&credentials).await {
                Ok(identity) => {
                    if let Err(limit) = admit(connection) {
                        return too_many(&request, limit);
                    }
                    identity
                }
                Err(error) => return unauthenticated(&request, &error),
            },
        };
        let handler = match request.uri().path() {
            "/metrics" => return text(StatusCode::OK, (self.metrics)()),
            path if path == "/passthrough" || path.starts_with("/passthrough/") => {
                &self.passthrough
            }
            _ => match &self.api {
                Some(api) => api,
                None => {
                    return refused(
                        &request,
                        StatusCode::NOT_FOUND,
                        "the Kubernetes API of this daemon is served by the cluster of its --kubeconfig; only /passthrough is served here",
                        None,
                    );
                }
            },
        };
        request.extensions_mut().insert(identity);
        match handler.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Counts the connection among those whose credentials are good.
fn admit(connection: &ConnectionContext) -> Result<(), TooManyConnections> {
    if !connection.activity.authenticate() {
        return Ok(());
    }
    connection
        .permit
        .authenticate()
        .inspect_err(|_| connection.activity.forget())
}

/// The answer to a request that has good credentials and comes on one
/// connection too many.
fn too_many(request: &Request<Incoming>, error: TooManyConnections) -> Response<Body> {
    let TooManyConnections { limit } = error;
    refuse(
        request.headers(),
        StatusCode::TOO_MANY_REQUESTS,
        &format!("{limit} connections are open; close some, or ask again later"),
        Some(CONNECTIONS_RETRY_AFTER),
    )
}

/// The answer to a request whose credentials were not accepted.
fn unauthenticated(request: &Request<Incoming>, error: &AuthError) -> Response<Body> {
    let (status, retry) = match error {
        AuthError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, None),
        AuthError::Forbidden(_) => (StatusCode::FORBIDDEN, None),
        AuthError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(STARTING_RETRY_AFTER)),
    };
    refuse(request.headers(), status, &error.to_string(), retry)
}
