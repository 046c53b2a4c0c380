//! The kinds of roles and of their bindings.

use rdd_apiserver_schema::names::NameValidator;

use super::super::registry::{builtin_kind, namespaced_kind};
use super::super::{BuiltinKind, KindStrategy};
use super::{GROUP, binding, role};

/// Returns a kind of the group of roles, whose names may be those of users, with
/// colons.
fn rbac_kind(
    names: (&'static str, &str),
    namespaced: bool,
    schema: &'static str,
    rules: KindStrategy,
) -> BuiltinKind {
    let (plural, name) = names;
    let mut kind = namespaced_kind(GROUP, plural, name, &[]);
    kind.namespaced = namespaced;
    BuiltinKind {
        name_rule: NameValidator::PathSegment,
        allow_create_on_update: true,
        ..builtin_kind(kind, (GROUP, plural), schema, rules)
    }
}

pub(in crate::builtin) fn role() -> BuiltinKind {
    let rules = KindStrategy {
        validate_create: role::validate,
        validate_update: role::validate_update,
        prepare_storage: role::prepare_storage,
        ..KindStrategy::DEFAULT
    };
    rbac_kind(("roles", "Role"), true, "io.k8s.api.rbac.v1.Role", rules)
}

pub(in crate::builtin) fn cluster_role() -> BuiltinKind {
    let rules = KindStrategy {
        validate_create: role::validate_cluster_role,
        validate_update: role::validate_cluster_role_update,
        prepare_storage: role::prepare_storage,
        ..KindStrategy::DEFAULT
    };
    rbac_kind(
        ("clusterroles", "ClusterRole"),
        false,
        "io.k8s.api.rbac.v1.ClusterRole",
        rules,
    )
}

pub(in crate::builtin) fn role_binding() -> BuiltinKind {
    let rules = KindStrategy {
        prepare_create: binding::prepare_create,
        prepare_update: binding::prepare_update,
        validate_create: binding::validate,
        validate_update: binding::validate_update,
        ..KindStrategy::DEFAULT
    };
    rbac_kind(
        ("rolebindings", "RoleBinding"),
        true,
        "io.k8s.api.rbac.v1.RoleBinding",
        rules,
    )
}

pub(in crate::builtin) fn cluster_role_binding() -> BuiltinKind {
    let rules = KindStrategy {
        prepare_create: binding::prepare_create,
        prepare_update: binding::prepare_update,
        validate_create: binding::validate_cluster_binding,
        validate_update: binding::validate_cluster_binding_update,
        ..KindStrategy::DEFAULT
    };
    rbac_kind(
        ("clusterrolebindings", "ClusterRoleBinding"),
        false,
        "io.k8s.api.rbac.v1.ClusterRoleBinding",
        rules,
    )
}
