//! The library of authorization checks: the values of `authorizer` and of what its methods return. Each method returns
//! a new value; only `check` asks, and costs accordingly.

use std::fmt::Debug;
use std::sync::Arc;

use cel::Value;
use cel::objects::{Opaque, OpaqueEq};

use super::evaluator::{EvaluationResult, failure};
use crate::names::{validate_dns_label, validate_dns_subdomain};

/// The steps of one check: upstream's cost, which allows for two checks in an expression.
pub(super) const CHECK_STEPS: u64 = 350_000;

/// What decides for the checks of expressions: the roles, for the user of the request.
pub trait AuthorizationSource: Debug + Send + Sync {
    /// Returns the source that decides for a ServiceAccount instead.
    fn for_service_account(&self, namespace: &str, name: &str) -> Arc<dyn AuthorizationSource>;

    /// Decides whether the user may do something.
    fn decide(&self, request: &CheckRequest<'_>) -> CheckOutcome;
}

/// What an expression asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckRequest<'a> {
    /// Something with a resource.
    Resource {
        /// The verb, such as `create`.
        verb: &'a str,
        /// The resource.
        target: &'a ResourceTarget,
    },
    /// Something with another path.
    Path {
        /// The method, such as `get`.
        verb: &'a str,
        /// The path as the expression has it.
        path: &'a str,
    },
}

/// A resource that a check is about. Empty fields are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceTarget {
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural of the resource.
    pub resource: String,
    /// The subresource.
    pub subresource: String,
    /// The namespace; empty for all namespaces, and for cluster-scoped objects.
    pub namespace: String,
    /// The name of the object; empty for all objects.
    pub name: String,
}

/// The decision about a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckOutcome {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why; may be empty.
    pub reason: String,
}

/// A value of the library.
#[derive(Clone, Debug)]
pub(super) enum AuthorizationValue {
    Authorizer(Arc<dyn AuthorizationSource>),
    PathCheck {
        source: Arc<dyn AuthorizationSource>,
        path: String,
    },
    GroupCheck {
        source: Arc<dyn AuthorizationSource>,
        group: String,
    },
    ResourceCheck {
        source: Arc<dyn AuthorizationSource>,
        target: ResourceTarget,
    },
    Decision(CheckOutcome),
}

impl OpaqueEq for AuthorizationValue {
    /// As in Kubernetes, `!=` is true for any two of them, and `==` is an error, see the evaluator.
    fn opaque_eq(&self, _other: &dyn Opaque) -> bool {
        false
    }
}

impl Opaque for AuthorizationValue {
    fn runtime_type_name(&self) -> &str {
        match self {
            Self::Authorizer(_) => "kubernetes.authorization.Authorizer",
            Self::PathCheck { .. } => "kubernetes.authorization.PathCheck",
            Self::GroupCheck { .. } => "kubernetes.authorization.GroupCheck",
            Self::ResourceCheck { .. } => "kubernetes.authorization.ResourceCheck",
            Self::Decision(_) => "kubernetes.authorization.Decision",
        }
    }
}

impl From<AuthorizationValue> for Value {
    fn from(value: AuthorizationValue) -> Self {
        Self::Opaque(Arc::new(value))
    }
}

impl AuthorizationValue {
    /// Returns the value of the library that is the receiver of a method, if it is one.
    pub(super) fn from_target(target: Option<&Value>) -> Option<&Self> {
        match target? {
            Value::Opaque(opaque) => opaque.downcast_ref(),
            _ => None,
        }
    }

    /// Calls a method.
    pub(super) fn call(&self, method: &str, args: &[Value]) -> EvaluationResult {
        let mut texts = Vec::with_capacity(args.len());
        for arg in args {
            match arg {
                Value::String(text) => texts.push(text.as_str()),
                _ => return Err(failure("no such overload")),
            }
        }
        match self {
            Self::Authorizer(source) => call_authorizer(source, method, &texts),
            Self::PathCheck { source, path } => match (method, texts.as_slice()) {
                ("check", [verb]) => Ok(decision(source, &CheckRequest::Path { verb, path })),
                _ => Err(failure("no such overload")),
            },
            Self::GroupCheck { source, group } => match (method, texts.as_slice()) {
                ("resource", [resource]) if resource.trim().is_empty() => {
                    Err(failure("resource must not be empty"))
                }
                ("resource", [resource]) => Ok(Self::ResourceCheck {
                    source: Arc::clone(source),
                    target: ResourceTarget {
                        group: group.clone(),
                        resource: (*resource).to_owned(),
                        ..ResourceTarget::default()
                    },
                }
                .into()),
                _ => Err(failure("no such overload")),
            },
            Self::ResourceCheck { source, target } => {
                call_resource_check(source, target, method, &texts)
            }
            Self::Decision(outcome) => match (method, texts.as_slice()) {
                ("allowed", []) => Ok(Value::Bool(outcome.allowed)),
                ("reason", []) => Ok(Value::String(Arc::new(outcome.reason.clone()))),
                // Roles decide without errors; what is wrong with them is a reason.
                ("errored", []) => Ok(Value::Bool(false)),
                ("error", []) => Ok(Value::String(Arc::default())),
                _ => Err(failure("no such overload")),
            },
        }
    }
}

fn decision(source: &Arc<dyn AuthorizationSource>, request: &CheckRequest<'_>) -> Value {
    AuthorizationValue::Decision(source.decide(request)).into()
}

fn call_authorizer(
    source: &Arc<dyn AuthorizationSource>,
    method: &str,
    texts: &[&str],
) -> EvaluationResult {
    let value = match (method, texts) {
        ("path", [path]) if path.trim().is_empty() => {
            return Err(failure("path must not be empty"));
        }
        ("path", [path]) => AuthorizationValue::PathCheck {
            source: Arc::clone(source),
            path: (*path).to_owned(),
        },
        ("group", [group]) => AuthorizationValue::GroupCheck {
            source: Arc::clone(source),
            group: (*group).to_owned(),
        },
        ("serviceAccount", [_, name]) if !validate_dns_subdomain(name).is_empty() => {
            return Err(failure("Invalid service account name"));
        }
        ("serviceAccount", [namespace, _]) if !validate_dns_label(namespace).is_empty() => {
            return Err(failure("Invalid service account namespace"));
        }
        ("serviceAccount", [namespace, name]) => {
            AuthorizationValue::Authorizer(source.for_service_account(namespace, name))
        }
        _ => return Err(failure("no such overload")),
    };
    Ok(value.into())
}

fn call_resource_check(
    source: &Arc<dyn AuthorizationSource>,
    target: &ResourceTarget,
    method: &str,
    texts: &[&str],
) -> EvaluationResult {
    let &[text] = texts else {
        return Err(failure("no such overload"));
    };
    let mut changed = target.clone();
    match method {
        "check" => {
            let request = CheckRequest::Resource { verb: text, target };
            return Ok(decision(source, &request));
        }
        "subresource" => text.clone_into(&mut changed.subresource),
        "namespace" => text.clone_into(&mut changed.namespace),
        "name" => text.clone_into(&mut changed.name),
        // Roles do not look at selectors.
        "fieldSelector" | "labelSelector" => {}
        _ => return Err(failure("no such overload")),
    }
    Ok(AuthorizationValue::ResourceCheck {
        source: Arc::clone(source),
        target: changed,
    }
    .into())
}
