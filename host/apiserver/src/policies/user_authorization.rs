//! `authorizer` in the expressions of policies: what the roles allow the user of the
//! request, or a ServiceAccount.

use std::sync::Arc;

use rdd_apiserver_schema::{AuthorizationSource, CheckOutcome, CheckRequest};

use crate::rbac::{AccessRequest, RbacSnapshot, ResourceAccessRequest};
use crate::user::UserInfo;

/// The roles of one moment, for one user.
#[derive(Debug)]
pub(super) struct UserAuthorization {
    pub(super) rbac: Arc<RbacSnapshot>,
    pub(super) user: UserInfo,
}

impl AuthorizationSource for UserAuthorization {
    fn for_service_account(&self, namespace: &str, name: &str) -> Arc<dyn AuthorizationSource> {
        Arc::new(Self {
            rbac: Arc::clone(&self.rbac),
            user: UserInfo::service_account(namespace, name),
        })
    }

    fn decide(&self, request: &CheckRequest<'_>) -> CheckOutcome {
        let request = match request {
            CheckRequest::Path { verb, path } => AccessRequest::NonResource { verb, path },
            CheckRequest::Resource { verb, target } => {
                AccessRequest::Resource(ResourceAccessRequest {
                    verb,
                    group: &target.group,
                    resource: &target.resource,
                    subresource: &target.subresource,
                    namespace: &target.namespace,
                    name: &target.name,
                })
            }
        };
        let outcome = self.rbac.authorize(&self.user, &request);
        CheckOutcome {
            allowed: outcome.allowed,
            reason: outcome.reason,
        }
    }
}
