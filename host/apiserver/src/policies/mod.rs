//! ValidatingAdmissionPolicies: clients' own rules about writes, evaluated by
//! the server.
//!
//! A controller compiles policies and publishes a snapshot, which request
//! handlers read without waiting. Parameters and namespaces are read from the
//! store, in memory, when a policy needs them.

mod dispatch;
mod request_view;

mod match_predicate;
mod params;
mod snapshot;
pub(crate) mod type_check;
mod user_authorization;

pub(crate) use dispatch::admit;
pub(crate) use request_view::{PolicyState, RequestView};
pub(crate) use snapshot::{BindingEntry, PolicyDefinition, PolicyEntry, PolicySnapshot};

/// The group of policies and bindings.
const GROUP: &str = "admissionregistration.k8s.io";
/// The prefix of the keys of policies in the store.
pub(crate) const POLICY_PREFIX: &str = "admissionregistration.k8s.io/validatingadmissionpolicies/";
/// The prefix of the keys of bindings in the store.
pub(crate) const BINDING_PREFIX: &str =
    "admissionregistration.k8s.io/validatingadmissionpolicybindings/";
/// The prefix of the keys of both.
pub(crate) const KEY_PREFIX: &str = "admissionregistration.k8s.io/validatingadmissionpolic";
