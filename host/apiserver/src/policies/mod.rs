//! ValidatingAdmissionPolicies: clients' own rules about writes, evaluated by
//! the server.
//!
//! The controller compiles policies and publishes a snapshot, which request
//! handlers read without waiting. Parameters and namespaces are read from the
//! store, in memory, when a policy needs them.

pub(crate) mod controller;

mod dispatch;
mod request_view;

mod match_predicate;
mod params;
mod snapshot;
mod type_check;
mod user_authorization;

pub(crate) use dispatch::admit;
pub(crate) use snapshot::PolicySnapshot;

/// The group of policies and bindings.
const GROUP: &str = "admissionregistration.k8s.io";
/// The prefix of the keys of policies in the store.
const POLICY_PREFIX: &str = "admissionregistration.k8s.io/validatingadmissionpolicies/";
/// The prefix of the keys of bindings in the store.
const BINDING_PREFIX: &str = "admissionregistration.k8s.io/validatingadmissionpolicybindings/";
/// The prefix of the keys of both.
const KEY_PREFIX: &str = "admissionregistration.k8s.io/validatingadmissionpolic";
