//! Role-based access control: who may do what, as Roles, ClusterRoles, and their
//! bindings say it, with the semantics of Kubernetes' RBAC authorizer.
//!
//! The controller reads roles and bindings and publishes a snapshot, which
//! request handlers read without waiting. Members of `system:masters` may do
//! everything, whatever the roles say, so that nobody can lock out the owner.

pub(crate) mod bootstrap;
pub(crate) mod controller;
pub(crate) mod escalation;

mod access_request;
mod aggregation;
mod bootstrap_roles;
mod covers;
mod rule_entry;
mod snapshot;

use std::time::Duration;

pub use access_request::{AccessOutcome, AccessRequest, ResourceAccessRequest};
pub(crate) use rule_entry::RuleEntry;
pub(crate) use snapshot::{RbacSnapshot, is_master, join_errors};

use crate::verbs::context::RequestContext;

/// The group of roles and bindings.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";
/// The group of Kubernetes whose members may do everything.
pub(crate) const MASTERS_GROUP: &str = "system:masters";
/// The group of all authenticated users.
pub(crate) const AUTHENTICATED_GROUP: &str = "system:authenticated";
/// The prefix of the keys of all roles and bindings in the store.
const KEY_PREFIX: &str = "rbac.authorization.k8s.io/";
/// The prefix of the keys of ClusterRoles in the store.
const CLUSTER_ROLE_PREFIX: &str = "rbac.authorization.k8s.io/clusterroles/";

/// The maximum time that a write of a role or a binding waits until it is in
/// force. After it, the write succeeds all the same, since it is committed.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits, after a write of a role or a binding, until it is in force, so that a
/// right that was withdrawn has ended when the client gets its response.
/// Returns immediately after other writes.
pub(crate) async fn wait_until_in_force(call: &RequestContext, revision: u64) {
    if call.group() != GROUP {
        return;
    }
    let mut published = call.server.rbac_revision.subscribe();
    let waited = tokio::time::timeout(
        PUBLISH_TIMEOUT,
        published.wait_for(|current| *current >= revision),
    )
    .await;
    if waited.is_err() {
        tracing::warn!(revision, "a role was written but is not in force yet");
    }
}
