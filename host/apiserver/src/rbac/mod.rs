//! Role-based access control: who may do what, as Roles, ClusterRoles, and their
//! bindings say it, with the semantics of Kubernetes' RBAC authorizer.
//!
//! A controller reads roles and bindings and publishes a snapshot, which request
//! handlers read without waiting. Members of `system:masters` may do
//! everything, whatever the roles say, so that nobody can lock out the owner.

pub(crate) mod escalation;

mod access_request;
mod aggregation;
mod covers;
mod rule_entry;
mod snapshot;

pub use access_request::{AccessOutcome, AccessRequest, ResourceAccessRequest};
pub(crate) use aggregation::aggregate;
pub(crate) use covers::missing_rights;
pub(crate) use rule_entry::RuleEntry;
pub(crate) use snapshot::{RbacSnapshot, is_master, join_errors};

/// The group of roles and bindings.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";
/// The group of Kubernetes whose members may do everything.
pub(crate) const MASTERS_GROUP: &str = "system:masters";
/// The group of all authenticated users.
pub(crate) const AUTHENTICATED_GROUP: &str = "system:authenticated";
/// The prefix of the keys of all roles and bindings in the store.
pub(crate) const KEY_PREFIX: &str = "rbac.authorization.k8s.io/";
/// The prefix of the keys of ClusterRoles in the store.
pub(crate) const CLUSTER_ROLE_PREFIX: &str = "rbac.authorization.k8s.io/clusterroles/";
