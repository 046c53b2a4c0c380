//! Records of the requests to the passthrough, for an audit log.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, Uri};
use rdd_core::{AccessScope, UserIdentity};

/// Begins the record of each request to the passthrough, once its user is known.
/// Requests without valid credentials have none.
pub trait AccessRecorder: Send + Sync + 'static {
    /// Begins the record of a request for `uri`. The headers have no credentials any
    /// longer; the query of the URI may have what the client put there by mistake.
    fn begin(
        &self,
        identity: &UserIdentity,
        scope: AccessScope,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<AccessHandle>;
}

/// The record of one request. It ends when it is dropped.
pub trait AccessRecord: Send + Sync + 'static {
    /// Records the status of the response.
    fn respond(&self, status: StatusCode);
}

/// Keeps the record of a request open. It is among the request's extensions; whatever
/// outlives the response, such as a session on a WebSocket, keeps it until its end.
#[derive(Clone)]
pub struct AccessHandle(pub Arc<dyn AccessRecord>);
