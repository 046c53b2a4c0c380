//! The roles and bindings in force, and the decisions that follow from them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::access_request::{AccessOutcome, AccessRequest};
use super::rule_entry::RuleEntry;
use super::{GROUP, MASTERS_GROUP};
use crate::meta;
use crate::user::{UserInfo, service_account_name};

/// All roles and bindings.
#[derive(Debug, Default)]
pub(crate) struct RbacSnapshot {
    cluster_roles: HashMap<String, Arc<[RuleEntry]>>,
    /// By namespace and name.
    roles: HashMap<(String, String), Arc<[RuleEntry]>>,
    cluster_bindings: Vec<BindingEntry>,
    /// By namespace.
    bindings: HashMap<String, Vec<BindingEntry>>,
}

/// The reference of a binding to its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleReference {
    pub(crate) kind: String,
    pub(crate) name: String,
}

#[derive(Debug)]
struct BindingEntry {
    name: String,
    role: RoleReference,
    subjects: Vec<SubjectPredicate>,
}

/// A subject of a binding: whom it matches.
#[derive(Debug)]
enum SubjectPredicate {
    User(String),
    Group(String),
    ServiceAccount { namespace: String, name: String },
}

/// A role that does not exist, though a binding refers to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{resource}.{GROUP} {name:?} not found")]
pub(crate) struct RoleLookupError {
    resource: &'static str,
    name: String,
}

/// The rules that apply to a user, and the roles that are missing.
#[derive(Debug, Default)]
pub(crate) struct RuleList {
    pub(crate) rules: Vec<RuleEntry>,
    pub(crate) errors: Vec<RoleLookupError>,
}

impl RoleReference {
    /// Reads the reference of a binding.
    pub(crate) fn from_binding(binding: &Value) -> Self {
        let text = |field: &str| {
            let text = binding["roleRef"][field].as_str();
            text.unwrap_or_default().to_owned()
        };
        Self {
            kind: text("kind"),
            name: text("name"),
        }
    }
}

impl SubjectPredicate {
    /// Reads a subject. `None` for one that matches nobody.
    fn from_value(subject: &Value, binding_namespace: &str) -> Option<Self> {
        let text = |field: &str| subject[field].as_str().unwrap_or_default().to_owned();
        match subject["kind"].as_str()? {
            "User" => Some(Self::User(text("name"))),
            "Group" => Some(Self::Group(text("name"))),
            "ServiceAccount" => {
                let namespace = match text("namespace") {
                    empty if empty.is_empty() => binding_namespace.to_owned(),
                    namespace => namespace,
                };
                (!namespace.is_empty()).then(|| Self::ServiceAccount {
                    namespace,
                    name: text("name"),
                })
            }
            _ => None,
        }
    }

    fn matches(&self, user: &UserInfo) -> bool {
        match self {
            Self::User(name) => user.name == *name,
            Self::Group(name) => user.groups.contains(name),
            Self::ServiceAccount { namespace, name } => {
                user.name == service_account_name(namespace, name)
            }
        }
    }
}

impl std::fmt::Display for SubjectPredicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(name) => write!(f, "User {name:?}"),
            Self::Group(name) => write!(f, "Group {name:?}"),
            Self::ServiceAccount { namespace, name } => {
                write!(f, "ServiceAccount \"{name}/{namespace}\"")
            }
        }
    }
}

impl RbacSnapshot {
    /// Adds a stored object of the plural `resource`.
    pub(crate) fn insert(&mut self, resource: &str, object: &Value) {
        let name = meta::text(object, "name").to_owned();
        let namespace = meta::text(object, "namespace").to_owned();
        match resource {
            "clusterroles" => {
                let rules = RuleEntry::from_role(object).into();
                self.cluster_roles.insert(name, rules);
            }
            "roles" => {
                let rules = RuleEntry::from_role(object).into();
                self.roles.insert((namespace, name), rules);
            }
            "clusterrolebindings" => {
                let binding = BindingEntry::from_object(name, object, "");
                self.cluster_bindings.push(binding);
            }
            "rolebindings" => {
                let binding = BindingEntry::from_object(name, object, &namespace);
                self.bindings.entry(namespace).or_default().push(binding);
            }
            _ => {}
        }
    }

    /// Decides whether a user may do what a request asks for.
    pub(crate) fn authorize(&self, user: &UserInfo, request: &AccessRequest<'_>) -> AccessOutcome {
        if is_master(user) {
            return AccessOutcome {
                allowed: true,
                reason: String::new(),
            };
        }
        let mut errors = Vec::new();
        for grant in self.grants(user, request.namespace()) {
            match &grant.rules {
                Ok(rules) if rules.iter().any(|rule| rule.allows(request)) => {
                    return AccessOutcome {
                        allowed: true,
                        reason: format!("RBAC: allowed by {grant}"),
                    };
                }
                Ok(_) => {}
                Err(error) => errors.push(error.clone()),
            }
        }
        AccessOutcome {
            allowed: false,
            reason: match errors.is_empty() {
                true => String::new(),
                false => format!("RBAC: {}", join_errors(&errors)),
            },
        }
    }

    /// Returns the rules that apply to a user in a namespace, or in all of them if
    /// it is empty.
    pub(crate) fn rules_for(&self, user: &UserInfo, namespace: &str) -> RuleList {
        let mut found = RuleList::default();
        for grant in self.grants(user, namespace) {
            match grant.rules {
                Ok(rules) => found.rules.extend(rules.iter().cloned()),
                Err(error) => found.errors.push(error),
            }
        }
        found
    }

    /// Returns the rules of a role.
    ///
    /// # Errors
    /// There is no such role.
    pub(crate) fn rules_of(
        &self,
        role: &RoleReference,
        namespace: &str,
    ) -> Result<Arc<[RuleEntry]>, RoleLookupError> {
        let (resource, rules) = match role.kind.as_str() {
            "Role" => {
                let key = (namespace.to_owned(), role.name.clone());
                ("role", self.roles.get(&key))
            }
            _ => ("clusterrole", self.cluster_roles.get(&role.name)),
        };
        rules.cloned().ok_or_else(|| RoleLookupError {
            resource,
            name: role.name.clone(),
        })
    }

    /// Returns what the bindings grant to a user, those of the cluster first.
    fn grants<'s>(
        &'s self,
        user: &'s UserInfo,
        namespace: &'s str,
    ) -> impl Iterator<Item = RoleGrant<'s>> {
        let in_cluster = self.cluster_bindings.iter().map(|binding| (binding, ""));
        let in_namespace = self.bindings.get(namespace).into_iter().flatten();
        in_cluster
            .chain(in_namespace.map(move |binding| (binding, namespace)))
            .filter_map(|(binding, namespace)| {
                let mut subjects = binding.subjects.iter();
                let subject = subjects.find(|subject| subject.matches(user))?;
                Some(RoleGrant {
                    binding,
                    namespace,
                    subject,
                    rules: self.rules_of(&binding.role, namespace),
                })
            })
    }
}

/// What a binding grants to one of its subjects.
struct RoleGrant<'s> {
    binding: &'s BindingEntry,
    /// Of the binding; empty for the whole cluster.
    namespace: &'s str,
    subject: &'s SubjectPredicate,
    rules: Result<Arc<[RuleEntry]>, RoleLookupError>,
}

impl std::fmt::Display for RoleGrant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let BindingEntry { name, role, .. } = self.binding;
        match self.namespace {
            "" => write!(f, "ClusterRoleBinding {name:?}")?,
            namespace => write!(f, "RoleBinding \"{name}/{namespace}\"")?,
        }
        let RoleReference { kind, name } = role;
        write!(f, " of {kind} {name:?} to {}", self.subject)
    }
}

impl BindingEntry {
    fn from_object(name: String, object: &Value, namespace: &str) -> Self {
        let subjects = object["subjects"].as_array().map_or(&[][..], Vec::as_slice);
        Self {
            name,
            role: RoleReference::from_binding(object),
            subjects: subjects
                .iter()
                .filter_map(|subject| SubjectPredicate::from_value(subject, namespace))
                .collect(),
        }
    }
}

/// Returns whether a user may do everything.
pub(crate) fn is_master(user: &UserInfo) -> bool {
    user.groups.iter().any(|group| group == MASTERS_GROUP)
}

/// Joins errors as kube-apiserver does: several of them in brackets, each once.
pub(crate) fn join_errors(errors: &[RoleLookupError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in errors.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests;
