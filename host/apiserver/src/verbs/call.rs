//! One request about a resource, with everything that its verb needs.

use std::sync::Arc;

use http::HeaderMap;
use http::header::USER_AGENT;
use rdd_apiserver_storage::StoredRecord;
use serde_json::Value;

use crate::admission::{AdmissionOperation, AdmissionRequest};
use crate::negotiate::{Format, Shape};
use crate::path::ResourcePath;
use crate::query::Query;
use crate::resource::ServedResource;
use crate::server::ServerState;
use crate::status::ApiError;
use crate::user::UserInfo;

/// A request about a resource.
pub(crate) struct Call {
    pub(crate) server: Arc<ServerState>,
    pub(crate) resource: Arc<ServedResource>,
    pub(crate) path: ResourcePath,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) format: Format,
    pub(crate) user: UserInfo,
}

/// What a verb answers with.
pub(crate) enum Shown {
    /// A stored object of the call's resource.
    Stored(Arc<StoredRecord>),
    /// An object of the call's resource.
    Object(Value),
    /// Something that no Accept header changes, such as a Status.
    Plain(Value),
}

/// A verb's answer: status code, what is shown, and warnings.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) shown: Shown,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    pub(crate) fn new(code: u16, shown: Shown) -> Self {
        Self {
            code,
            shown,
            warnings: Vec::new(),
        }
    }
}

impl Call {
    /// The form of answers that no Accept header changes.
    pub(crate) fn plain(&self) -> Format {
        Format {
            shape: Shape::Whole,
            ..self.format
        }
    }

    pub(crate) fn group(&self) -> &str {
        &self.resource.kind.group
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.path.namespace.as_deref()
    }

    pub(crate) fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn key(&self, name: &str) -> String {
        self.resource.key(self.namespace(), name)
    }

    pub(crate) fn not_found(&self, name: &str) -> ApiError {
        ApiError::not_found(self.group(), &self.resource.kind.plural, name)
    }

    pub(crate) fn conflict(&self, name: &str, why: &str) -> ApiError {
        ApiError::conflict(self.group(), &self.resource.kind.plural, name, why)
    }

    /// Asks the embedder's policies whether a write of this call may take
    /// place.
    ///
    /// # Errors
    /// 403 with the sentence of the policy that refuses.
    pub(crate) fn admit(
        &self,
        operation: AdmissionOperation,
        name: &str,
        object: Option<&Value>,
        old_object: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), ApiError> {
        let kind = &self.resource.kind;
        let request = AdmissionRequest {
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
        };
        for policy in &*self.server.admission {
            policy.admit(&request).map_err(|error| {
                let message = error.to_string();
                ApiError::forbidden(&kind.group, &kind.plural, name, &message, Vec::new())
            })?;
        }
        Ok(())
    }

    /// A stored record as an object of this version.
    pub(crate) fn load(&self, record: &StoredRecord) -> Result<Value, ApiError> {
        self.resource.load(&record.value).map_err(|error| {
            tracing::error!(key = %record.key, %error, "a stored object cannot be read");
            ApiError::internal(format!("stored object {} cannot be read", record.key))
        })
    }

    /// The field manager of a write: as given, else the client program.
    pub(crate) fn default_manager(&self) -> String {
        let agent = self
            .headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        let name = agent.split('/').next().unwrap_or_default();
        let clean: String = name.chars().filter(|c| !c.is_control()).collect();
        if clean.is_empty() {
            "unknown".to_owned()
        } else {
            clean.chars().take(super::options::MANAGER_MAX).collect()
        }
    }
}

/// The text of a resourceVersion conflict.
pub(crate) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
