//! One request for a resource, with everything that its handler needs.

use std::sync::Arc;

use http::HeaderMap;
use http::header::USER_AGENT;
use rdd_apiserver_storage::StoredRecord;
use serde_json::Value;

use crate::negotiate::ResponseFormat;
use crate::path::ResourcePath;
use crate::query::QueryParams;
use crate::resource::ServedResource;
use crate::server_state::ServerState;
use crate::status::ApiError;
use crate::user::UserInfo;
use crate::warnings::WarningRecorder;

/// The maximum length of a field manager's name, in bytes.
pub(crate) const FIELD_MANAGER_MAX_LENGTH: usize = 128;

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
