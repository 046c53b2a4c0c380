//! The audit events of requests to the passthrough: who read which log, and who ran a
//! process in which container.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, StatusCode, Uri};
use rdd_apiserver::{
    AccessRequest, ApiServer, ExternalRecord, ExternalRequest, ResourceAccessRequest,
};
use rdd_core::{AccessScope, UserIdentity};
use rdd_gateway::{AccessHandle, AccessRecord, AccessRecorder};

use super::cluster::user_info;
use super::embedded_authenticator::access_request;

/// Writes events to the audit log of the embedded API server, if it has one.
pub(crate) struct AccessAuditRecorder {
    server: ApiServer,
    /// The namespace of the mirrors, set once the App was read.
    namespace: Arc<OnceLock<String>>,
}

impl AccessAuditRecorder {
    pub(crate) fn new(server: ApiServer, namespace: Arc<OnceLock<String>>) -> Self {
        Self { server, namespace }
    }
}

struct AuditedAccess(ExternalRecord);

impl AccessRecord for AuditedAccess {
    fn respond(&self, status: StatusCode) {
        self.0.respond(status);
    }
}

impl AccessRecorder for AccessAuditRecorder {
    fn begin(
        &self,
        identity: &UserIdentity,
        scope: AccessScope,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<AccessHandle> {
        let (request, _) = access_request(scope);
        let AccessRequest::Resource(access) = request else {
            return None;
        };
        let user = user_info(identity.clone());
        let outcome = self.server.authorize(&user, &request);
        let uri_text = rdd_passthrough::redacted_uri(uri);
        let record = self.server.begin_record(&ExternalRequest {
            user: &user,
            access: ResourceAccessRequest {
                namespace: self.namespace.get().map_or("", String::as_str),
                name: rdd_passthrough::addressed_container(uri.path()).unwrap_or_default(),
                ..access
            },
            version: rdd_api::VERSION,
            outcome: &outcome,
            uri: &uri_text,
            headers,
        })?;
        Some(AccessHandle(Arc::new(AuditedAccess(record))))
    }
}
