//! The checks of a write, in their order: nobody grants more than they have, the
//! embedder's policies, and, once the object is valid, the ValidatingAdmissionPolicies.

use serde_json::Value;

use crate::admission::{AdmissionOperation, AdmissionRequest};
use crate::policies::{self, PolicyState, RequestView};
use crate::rbac::escalation;
use crate::request_context::RequestContext;
use crate::status::ApiError;

impl RequestContext {
    /// Passes a write to the embedder's admission policies, and one of a role or a
    /// binding to the check that nobody grants more than they have.
    ///
    /// # Errors
    /// 403 with the message of the first that refuses.
    pub(super) fn check_admission(&self, request: &AdmissionRequest<'_>) -> Result<(), ApiError> {
        let refused = |message: String| {
            let (group, resource) = (request.group, request.resource);
            ApiError::forbidden(group, resource, request.name, &message, Vec::new())
        };
        escalation::check(&self.server.rbac.load(), request)
            .map_err(|error| refused(error.to_string()))?;
        for policy in &*self.server.admission {
            policy
                .admit(request)
                .map_err(|error| refused(error.to_string()))?;
        }
        Ok(())
    }

    /// Passes a valid write to the ValidatingAdmissionPolicies.
    ///
    /// # Errors
    /// 403, 413, or 422 with the message of a policy that denies the write.
    pub(super) async fn check_policies(
        &self,
        request: &AdmissionRequest<'_>,
    ) -> Result<(), ApiError> {
        let policies = self.server.policies.load_full();
        if policies.is_empty() {
            return Ok(());
        }
        let state = PolicyState {
            registry: self.server.registry.load_full(),
            snapshot: self.server.store.snapshot(),
            rbac: self.server.rbac.load_full(),
        };
        let view = RequestView::new(request, &self.resource, &self.query, state);
        policies::admit(&policies, view, &self.warnings).await
    }

    /// Returns a write as the checks see it.
    pub(super) fn admission_request<'a>(
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
}
