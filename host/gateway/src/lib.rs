//! The gateway: the daemon's listeners. It terminates TLS, authenticates each
//! request, checks its `Host` and `Origin`, and dispatches it to the Kubernetes
//! API, to the passthrough endpoints, or to the web page. A listener without TLS
//! is bound to the loopback interface, for the browser of this machine.
//!
//! Invariants:
//! - No handler sees a request before its credentials, its `Host`, and its
//!   `Origin` were accepted. Health checks need no credentials and reveal
//!   nothing, nor do the files of the page and its sign-in.
//! - Until the daemon is ready, every other path returns 503 with
//!   `Retry-After`.
//! - No secret is logged.

// In layers: each module uses only those after it.

mod server;

mod http_connection;

mod pipeline;
mod tls_connection;

mod auth;
mod certificates;
mod health;
mod host_origin_policy;
mod kubeconfig;

mod access_record;
mod activity;
mod allow_list;
mod registry;
mod token;

mod ending_body;
mod limits;
mod panic_log;
mod request_body;

mod response;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

pub use access_record::{AccessHandle, AccessRecord, AccessRecorder};
pub use allow_list::{AllowListError, AllowedHost, TrustedOrigin};
pub use auth::{ADMIN_GROUP, AUTHENTICATED_GROUP, LocalAuthenticator};
pub use certificates::{CertificateError, CertificateSet};
pub use health::{DaemonPhase, HealthCheck, HealthReport};
pub use host_origin_policy::{HostOriginError, HostOriginPolicy};
pub use kubeconfig::InstanceKubeconfig;
pub use limits::ConnectionLimits;
pub use pipeline::{PageAccess, PageRoutes, RequestHandler};
pub use request_body::{RequestBody, RequestBodyError};
pub use response::{GatewayBody, error_response, text_response};
pub use server::{BindError, Gateway, GatewayOptions};
pub use tls_connection::{TlsConnection, into_plain_connection, into_tls_connection};
pub use token::{BearerToken, TokenError};
