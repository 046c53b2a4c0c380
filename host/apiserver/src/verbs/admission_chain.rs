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
        let policies = self.server.policies.load_full();
        if policies.is_empty() {
            return Ok(());
        }
        let state = PolicyState {
            registry: self.server.registry.load_full(),
            snapshot: self.server.store.snapshot(),
            rbac: self.server.rbac.load_full(),
        };
        let view = RequestView::new(&request, &self.resource, &self.query, state);
        policies::admit(&policies, view, &self.warnings).await
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
}
