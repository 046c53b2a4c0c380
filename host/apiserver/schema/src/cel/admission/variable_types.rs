//! The types of the variables that expressions of policies may use.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::environment::VariableEnvironment;
use super::super::types::{CelType, DeclKind, DeclType};

pub(super) const OBJECT: &str = "object";
pub(super) const OLD_OBJECT: &str = "oldObject";
pub(super) const REQUEST: &str = "request";
pub(super) const PARAMS: &str = "params";
pub(super) const NAMESPACE_OBJECT: &str = "namespaceObject";
pub(super) const VARIABLES: &str = "variables";
pub(super) const AUTHORIZER: &str = "authorizer";
/// The variable with the check of the request's own resource, and its name after that of the authorizer.
pub(super) const AUTHORIZER_RESOURCE: &str = "authorizer.requestResource";
pub(super) const REQUEST_RESOURCE: &str = "requestResource";

fn declaration(kind: DeclKind) -> Arc<DeclType> {
    Arc::new(DeclType {
        kind,
        // Nothing limits the values, and no cost is estimated: evaluations have a budget.
        max_elements: u64::MAX,
        min_serialized_size: 0,
    })
}

/// Declares a value of a type without fields.
pub(super) fn scalar(ty: CelType) -> Arc<DeclType> {
    declaration(DeclKind::Scalar(ty))
}

/// Declares an object.
pub(super) fn object(fields: BTreeMap<String, Arc<DeclType>>) -> Arc<DeclType> {
    declaration(DeclKind::Object(fields))
}

/// Declares a list.
pub(super) fn list(item: Arc<DeclType>) -> Arc<DeclType> {
    declaration(DeclKind::List {
        item,
        unordered: false,
    })
}

/// Declares a map with texts as keys.
pub(super) fn map(value: Arc<DeclType>) -> Arc<DeclType> {
    declaration(DeclKind::Map(value))
}

fn object_of<const N: usize>(fields: [(&str, Arc<DeclType>); N]) -> Arc<DeclType> {
    object(fields.map(|(name, decl)| (name.to_owned(), decl)).into())
}

fn text() -> Arc<DeclType> {
    scalar(CelType::String)
}

fn texts() -> CelType {
    CelType::list(CelType::String)
}

/// Declares `request`: the fields of an AdmissionRequest, except the objects.
fn request_type() -> Arc<DeclType> {
    let kind = || object_of([("group", text()), ("version", text()), ("kind", text())]);
    let resource = || object_of([("group", text()), ("version", text()), ("resource", text())]);
    let user_info = object_of([
        ("username", text()),
        ("uid", text()),
        ("groups", scalar(texts())),
        ("extra", scalar(CelType::map(CelType::String, texts()))),
    ]);
    object_of([
        ("kind", kind()),
        ("resource", resource()),
        ("subResource", text()),
        ("requestKind", kind()),
        ("requestResource", resource()),
        ("requestSubResource", text()),
        ("name", text()),
        ("namespace", text()),
        ("operation", text()),
        ("userInfo", user_info),
        ("dryRun", scalar(CelType::Bool)),
        ("options", scalar(CelType::Dyn)),
    ])
}

/// Declares `namespaceObject`.
fn namespace_type() -> Arc<DeclType> {
    let time = || scalar(CelType::Timestamp);
    let text_map = || scalar(CelType::map(CelType::String, CelType::String));
    let condition = object_of([
        ("status", text()),
        ("type", text()),
        ("lastTransitionTime", time()),
        ("message", text()),
        ("reason", text()),
    ]);
    let metadata = object_of([
        ("name", text()),
        ("generateName", text()),
        ("namespace", text()),
        ("labels", text_map()),
        ("annotations", text_map()),
        ("UID", text()),
        ("creationTimestamp", time()),
        ("deletionGracePeriodSeconds", scalar(CelType::Int)),
        ("deletionTimestamp", time()),
        ("generation", scalar(CelType::Int)),
        ("resourceVersion", text()),
        ("finalizers", scalar(texts())),
    ]);
    object_of([
        ("metadata", metadata),
        ("spec", object_of([("finalizers", scalar(texts()))])),
        (
            "status",
            object_of([("conditions", list(condition)), ("phase", text())]),
        ),
    ])
}

/// Returns the variables of all expressions of a policy; `params` if it has a kind of parameters.
pub(super) fn environment(has_params: bool) -> VariableEnvironment {
    let mut environment = VariableEnvironment::default();
    environment.declare(OBJECT, scalar(CelType::Dyn));
    environment.declare(OLD_OBJECT, scalar(CelType::Dyn));
    environment.declare(REQUEST, request_type());
    environment.declare(NAMESPACE_OBJECT, namespace_type());
    if has_params {
        environment.declare(PARAMS, scalar(CelType::Dyn));
    }
    for (name, ty) in [
        (AUTHORIZER, "kubernetes.authorization.Authorizer"),
        (
            AUTHORIZER_RESOURCE,
            "kubernetes.authorization.ResourceCheck",
        ),
    ] {
        environment.declare(name, scalar(CelType::Opaque(ty)));
    }
    environment
}
