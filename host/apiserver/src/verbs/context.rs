//! One request for a resource, with everything that its handler needs.

use std::sync::Arc;

use http::HeaderMap;
use http::header::USER_AGENT;
use rdd_apiserver_storage::StoredRecord;
use serde_json::Value;

use super::write_options::FIELD_MANAGER_MAX_LENGTH;
use crate::admission::{AdmissionOperation, AdmissionRequest};
use crate::negotiate::ResponseFormat;
use crate::path::ResourcePath;
use crate::policies;
use crate::query::QueryParams;
use crate::rbac::{self, escalation};
use crate::resource::ServedResource;
use crate::server::ServerState;
use crate::status::ApiError;
use crate::user::UserInfo;
use crate::warnings::WarningRecorder;

/// A request for a resource.
pub(crate) struct RequestContext {
    pub(crate) server: Arc<ServerState>,
    pub(crate) resource: Arc<ServedResource>,
    pub(crate) path: ResourcePath,
    pub(crate) query: QueryParams,
    pub(crate) headers: HeaderMap,
    pub(crate) format: ResponseFormat,
    pub(crate) user: UserInfo,
    pub(crate) warnings: WarningRecorder,
}

/// The object in a response.
pub(crate) enum ResponsePayload {
    /// A stored object of the request's resource.
    Record(Arc<StoredRecord>),
    /// An object of the request's resource that is not stored.
    Object(Value),
    /// A value that no `Accept` header transforms, such as a `Status`.
    Plain(Value),
}

/// The response of a handler, before it is encoded.
pub(crate) struct HandlerResponse {
    pub(crate) code: u16,
    pub(crate) payload: ResponsePayload,
}

impl HandlerResponse {
    pub(crate) fn new(code: u16, shown: ResponsePayload) -> Self {
        Self {
            code,
            payload: shown,
        }
    }
}

impl RequestContext {
    pub(crate) fn group(&self) -> &str {
        &self.resource.kind.group
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.path.namespace.as_deref()
    }

    /// The name in the path; empty for a collection.
    pub(crate) fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    /// The key of an object in the request's collection.
    pub(crate) fn key(&self, name: &str) -> String {
        self.resource.key(self.namespace(), name)
    }

    pub(crate) fn not_found(&self, name: &str) -> ApiError {
        ApiError::not_found(self.group(), &self.resource.kind.plural, name)
    }

    pub(crate) fn conflict(&self, name: &str, reason: &str) -> ApiError {
        ApiError::conflict(self.group(), &self.resource.kind.plural, name, reason)
    }

    /// Passes a valid write to the ValidatingAdmissionPolicies.
    ///
    /// # Errors
    /// 403, 413, or 422 with the message of a policy that denies the write.
    pub(crate) async fn check_policies(
        &self,
        operation: AdmissionOperation,
        name: &str,
        object: Option<&Value>,
        old_object: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), ApiError> {
        let request = self.admission_request(operation, name, object, old_object, dry_run);
        policies::admit(self, &request).await
    }

    fn admission_request<'a>(
        &'a self,
        operation: AdmissionOperation,
        name: &'a str,
        object: Option<&'a Value>,
        old_object: Option<&'a Value>,
        dry_run: bool,
    ) -> AdmissionRequest<'a> {
        let kind = &self.resource.kind;
        AdmissionRequest {
            user: &self.user,
            operation,
            group: &kind.group,
            resource: &kind.plural,
            subresource: self.path.subresource.as_deref(),
            namespace: self.namespace(),
            name,
            object,
            old_object,
            dry_run,
        }
    }

    /// Passes a write to the embedder's admission policies, and one of a role or a
    /// binding to the check that nobody grants more than they have.
    ///
    /// # Errors
    /// 403 with the message of the first that refuses.
    pub(crate) fn check_admission(
        &self,
        operation: AdmissionOperation,
        name: &str,
        object: Option<&Value>,
        old_object: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), ApiError> {
        let kind = &self.resource.kind;
        let request = self.admission_request(operation, name, object, old_object, dry_run);
        escalation::check(&self.server.rbac.load(), &request).map_err(|error| {
            let message = error.to_string();
            ApiError::forbidden(&kind.group, &kind.plural, name, &message, Vec::new())
        })?;
        for policy in &*self.server.admission {
            policy.admit(&request).map_err(|error| {
                let message = error.to_string();
                ApiError::forbidden(&kind.group, &kind.plural, name, &message, Vec::new())
            })?;
        }
        Ok(())
    }

    /// Waits, after a commit, until what was written is in force: a definition is
    /// served, a role or a binding decides. Returns at once for other kinds.
    pub(crate) async fn wait_until_in_force(&self, revision: u64) {
        crate::crd::wait_until_served(self, revision).await;
        rbac::wait_until_in_force(self, revision).await;
    }

    /// Decodes a stored record as an object of the request's version.
    ///
    /// # Errors
    /// 500 if the database is damaged.
    pub(crate) fn load(&self, record: &StoredRecord) -> Result<Value, ApiError> {
        self.resource.load(&record.value).map_err(|error| {
            tracing::error!(key = %record.key, %error, "cannot decode a stored object");
            ApiError::internal(format!("stored object {} cannot be read", record.key))
        })
    }

    /// The field manager of a write without `fieldManager`: the client program
    /// in `User-Agent`.
    pub(crate) fn manager_from_user_agent(&self) -> String {
        let agent = self
            .headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        let name = agent.split('/').next().unwrap_or_default();
        let printable: String = name.chars().filter(|c| !c.is_control()).collect();
        if printable.is_empty() {
            "unknown".to_owned()
        } else {
            printable.chars().take(FIELD_MANAGER_MAX_LENGTH).collect()
        }
    }
}

/// The message of a conflict of resource versions; kube-apiserver's text.
pub(crate) const OPTIMISTIC_LOCK_MESSAGE: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
