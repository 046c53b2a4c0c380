//! The registry of built-in kinds. A new kind needs an entry here, its type in
//! `schemas`, and its columns in `table`.

use std::sync::LazyLock;

use super::{
    BuiltinKind, KindStrategy, admission_policy, config_map, crd, event, lease, namespace, rbac,
    secret, service_account,
};
use crate::kind::{
    KindOrigin, ResourceKind, SUBRESOURCE_VERBS, SubresourceKind, storage_version_hash,
};
use rdd_apiserver_schema::names::NameValidator;

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// The group of admission policies.
const ADMISSION_GROUP: &str = "admissionregistration.k8s.io";
/// Namespaces cannot be deleted as a collection.
const NAMESPACE_VERBS: [&str; 7] = [
    "create", "delete", "get", "list", "patch", "update", "watch",
];

/// Kinds whose objects the server would not act on, and of which there are none:
/// clients read them to show that.
const READ_VERBS: [&str; 3] = ["get", "list", "watch"];

static KINDS: LazyLock<Vec<BuiltinKind>> = LazyLock::new(|| {
    vec![
        namespace_kind(),
        config_map_kind(),
        secret_kind(),
        service_account_kind(),
        event_kind(),
        events_event_kind(),
        lease_kind(),
        crd_kind(),
        admission_policy_kind(),
        admission_policy_binding_kind(),
        rbac::kinds::role(),
        rbac::kinds::cluster_role(),
        rbac::kinds::role_binding(),
        rbac::kinds::cluster_role_binding(),
        read_only_kind(
            ("resourcequotas", "ResourceQuota", "quota"),
            "io.k8s.api.core.v1.ResourceQuota",
        ),
        read_only_kind(
            ("limitranges", "LimitRange", "limits"),
            "io.k8s.api.core.v1.LimitRange",
        ),
        // `kubectl cluster-info` and `kubectl get all` list them.
        read_only_kind(("services", "Service", "svc"), "io.k8s.api.core.v1.Service"),
    ]
});

/// Returns every built-in kind that is served.
pub fn kinds() -> &'static [BuiltinKind] {
    &KINDS
}

/// Returns the built-in kind of a request path.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static BuiltinKind> {
    KINDS.iter().find(|builtin| {
        let kind = &builtin.kind;
        kind.group == group && kind.version == version && kind.plural == plural
    })
}

/// Returns a namespaced kind of version v1 that has every verb.
pub(super) fn namespaced_kind(
    group: &str,
    plural: &str,
    kind: &str,
    short_names: &[&str],
) -> ResourceKind {
    ResourceKind {
        group: group.into(),
        version: "v1".into(),
        plural: plural.into(),
        singular: kind.to_lowercase(),
        kind: kind.into(),
        list_kind: format!("{kind}List"),
        short_names: short_names.iter().map(|&name| name.into()).collect(),
        categories: Vec::new(),
        namespaced: true,
        verbs: VERBS.to_vec(),
        storage_version_hash: storage_version_hash(group, "v1", kind),
        subresources: Vec::new(),
        origin: KindOrigin::Builtin,
    }
}

fn core_kind(plural: &str, name: &str, short_names: &[&str]) -> ResourceKind {
    namespaced_kind("", plural, name, short_names)
}

fn subresource(parent: &ResourceKind, name: &str, verbs: &[&'static str]) -> SubresourceKind {
    SubresourceKind {
        name: name.into(),
        group: parent.group.clone(),
        version: parent.version.clone(),
        kind: parent.kind.clone(),
        verbs: verbs.to_vec(),
    }
}

/// Returns a kind with the properties that most kinds have. Its names are DNS
/// subdomains.
pub(super) fn builtin_kind(
    kind: ResourceKind,
    storage: (&'static str, &'static str),
    schema: &'static str,
    rules: KindStrategy,
) -> BuiltinKind {
    // Upstream validates the metadata of these groups with a function of the core
    // group, which has one rule more.
    let requires_qualified_finalizers =
        matches!(kind.group.as_str(), "" | "rbac.authorization.k8s.io") && kind.kind != "Event";
    BuiltinKind {
        kind,
        name_rule: NameValidator::Subdomain,
        allow_create_on_update: false,
        allow_unconditional_update: true,
        return_deleted_object: false,
        has_generation: false,
        requires_qualified_finalizers,
        storage_resource: storage,
        schema,
        strategy: rules,
    }
}

/// Returns a kind of the core group that clients can read but not write. `names`
/// are the plural, the kind, and the short name.
fn read_only_kind(names: (&'static str, &str, &str), schema: &'static str) -> BuiltinKind {
    let (plural, name, short_name) = names;
    let mut kind = core_kind(plural, name, &[short_name]);
    kind.verbs = READ_VERBS.to_vec();
    builtin_kind(kind, ("", plural), schema, KindStrategy::DEFAULT)
}

fn namespace_kind() -> BuiltinKind {
    let mut kind = core_kind("namespaces", "Namespace", &["ns"]);
    kind.namespaced = false;
    kind.verbs = NAMESPACE_VERBS.to_vec();
    kind.subresources = vec![
        subresource(&kind, "finalize", &["update"]),
        subresource(&kind, "status", &SUBRESOURCE_VERBS),
    ];
    let rules = KindStrategy {
        prepare_create: namespace::prepare_create,
        add_unowned_fields: namespace::add_finalizer,
        prepare_update: namespace::prepare_update,
        validate_create: namespace::validate_create,
        validate_update: namespace::validate_update,
        validate_status: namespace::validate_status,
        field: Some(namespace::field),
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        name_rule: NameValidator::Label,
        ..builtin_kind(
            kind,
            ("", "namespaces"),
            "io.k8s.api.core.v1.Namespace",
            rules,
        )
    }
}

fn config_map_kind() -> BuiltinKind {
    let rules = KindStrategy {
        validate_create: config_map::validate,
        validate_update: config_map::validate_update,
        ..KindStrategy::DEFAULT
    };
    builtin_kind(
        core_kind("configmaps", "ConfigMap", &["cm"]),
        ("", "configmaps"),
        "io.k8s.api.core.v1.ConfigMap",
        rules,
    )
}

fn secret_kind() -> BuiltinKind {
    let rules = KindStrategy {
        prepare_create: secret::prepare_create,
        prepare_update: secret::prepare_update,
        validate_create: secret::validate,
        validate_update: secret::validate_update,
        warnings: secret::warnings,
        field: Some(secret::field),
        ..KindStrategy::DEFAULT
    };
    builtin_kind(
        core_kind("secrets", "Secret", &[]),
        ("", "secrets"),
        "io.k8s.api.core.v1.Secret",
        rules,
    )
}

fn service_account_kind() -> BuiltinKind {
    let rules = KindStrategy {
        prepare_create: service_account::prepare_create,
        prepare_update: service_account::prepare_update,
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        return_deleted_object: true,
        ..builtin_kind(
            core_kind("serviceaccounts", "ServiceAccount", &["sa"]),
            ("", "serviceaccounts"),
            "io.k8s.api.core.v1.ServiceAccount",
            rules,
        )
    }
}

fn event_kind() -> BuiltinKind {
    let rules = KindStrategy {
        validate_create: event::validate_core_v1,
        validate_update: event::validate_core_v1_update,
        field: Some(event::core_v1_field),
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        name_rule: NameValidator::PathSegment,
        allow_create_on_update: true,
        ..builtin_kind(
            core_kind("events", "Event", &["ev"]),
            ("", "events"),
            "io.k8s.api.core.v1.Event",
            rules,
        )
    }
}

fn events_event_kind() -> BuiltinKind {
    let mut kind = namespaced_kind("events.k8s.io", "events", "Event", &["ev"]);
    // Events are stored in the form of the core group.
    kind.storage_version_hash = storage_version_hash("", "v1", "Event");
    let rules = KindStrategy {
        validate_create: event::validate_events_v1,
        validate_update: event::validate_events_v1_update,
        field: Some(event::events_v1_field),
        to_storage: event::to_core,
        from_storage: event::from_core,
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        allow_create_on_update: true,
        ..builtin_kind(kind, ("", "events"), "io.k8s.api.events.v1.Event", rules)
    }
}

fn lease_kind() -> BuiltinKind {
    let rules = KindStrategy {
        prepare_create: lease::prepare_create,
        prepare_update: lease::prepare_update,
        validate_create: lease::validate,
        validate_update: lease::validate_update,
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        allow_create_on_update: true,
        allow_unconditional_update: false,
        ..builtin_kind(
            namespaced_kind("coordination.k8s.io", "leases", "Lease", &[]),
            ("coordination.k8s.io", "leases"),
            "io.k8s.api.coordination.v1.Lease",
            rules,
        )
    }
}

fn crd_kind() -> BuiltinKind {
    const PLURAL: &str = "customresourcedefinitions";
    let mut kind = namespaced_kind(
        "apiextensions.k8s.io",
        PLURAL,
        "CustomResourceDefinition",
        &["crd", "crds"],
    );
    kind.namespaced = false;
    // Upstream still stores them in their first version.
    kind.storage_version_hash = storage_version_hash(
        "apiextensions.k8s.io",
        "v1beta1",
        "CustomResourceDefinition",
    );
    kind.categories = vec!["api-extensions".into()];
    kind.subresources = vec![subresource(&kind, "status", &SUBRESOURCE_VERBS)];
    let rules = KindStrategy {
        prepare_create: crd::prepare_create,
        prepare_update: crd::prepare_update,
        prepare_status: crd::prepare_status,
        validate_create: crd::validate_create,
        validate_update: crd::validate_update,
        validate_status: crd::validate_status,
        warnings: crd::warnings,
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        allow_unconditional_update: false,
        has_generation: true,
        ..builtin_kind(
            kind,
            ("apiextensions.k8s.io", PLURAL),
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
            rules,
        )
    }
}

/// Returns a cluster-scoped kind of the group of admission policies.
fn admission_kind(plural: &str, kind: &str) -> ResourceKind {
    let mut kind = namespaced_kind(ADMISSION_GROUP, plural, kind, &[]);
    kind.namespaced = false;
    kind.categories = vec!["api-extensions".into()];
    kind
}

fn admission_policy_kind() -> BuiltinKind {
    const PLURAL: &str = "validatingadmissionpolicies";
    let mut kind = admission_kind(PLURAL, "ValidatingAdmissionPolicy");
    kind.subresources = vec![subresource(&kind, "status", &SUBRESOURCE_VERBS)];
    let rules = KindStrategy {
        prepare_create: admission_policy::prepare_create,
        prepare_update: admission_policy::prepare_update,
        validate_create: admission_policy::validate,
        validate_update: admission_policy::validate_update,
        validate_status: admission_policy::validate_status,
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        allow_unconditional_update: false,
        has_generation: true,
        ..builtin_kind(
            kind,
            (ADMISSION_GROUP, PLURAL),
            "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
            rules,
        )
    }
}

fn admission_policy_binding_kind() -> BuiltinKind {
    const PLURAL: &str = "validatingadmissionpolicybindings";
    let rules = KindStrategy {
        prepare_create: admission_policy::binding::prepare_create,
        prepare_update: admission_policy::binding::prepare_update,
        validate_create: admission_policy::binding::validate,
        validate_update: admission_policy::binding::validate_update,
        ..KindStrategy::DEFAULT
    };
    BuiltinKind {
        allow_unconditional_update: false,
        has_generation: true,
        ..builtin_kind(
            admission_kind(PLURAL, "ValidatingAdmissionPolicyBinding"),
            (ADMISSION_GROUP, PLURAL),
            "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
            rules,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schemas;
    use crate::table::TableColumns;

    #[test]
    fn every_kind_has_a_schema_and_columns() {
        for builtin in kinds() {
            let ResourceKind {
                group,
                version,
                kind,
                ..
            } = &builtin.kind;
            assert!(
                builtin.schema()["properties"]["metadata"].is_object(),
                "{kind}"
            );
            let gvk = &schemas::get(builtin.schema).unwrap()["x-kubernetes-group-version-kind"];
            assert_eq!(gvk, &schemas::gvk(group, version, kind));
            assert!(TableColumns::for_builtin(group, kind).is_some(), "{kind}");
        }
    }

    #[test]
    fn a_kind_is_found_by_its_path() {
        assert_eq!(
            find("", "v1", "events").unwrap().storage_resource,
            find("events.k8s.io", "v1", "events")
                .unwrap()
                .storage_resource
        );
        assert!(find("", "v1", "pods").is_none());
        assert!(find("", "v2", "configmaps").is_none());
    }

    #[test]
    fn every_kind_has_the_common_field_labels() {
        let object = serde_json::json!({"metadata": {"name": "a"}});
        for builtin in kinds() {
            assert_eq!(
                builtin.field("metadata.name", &object).as_deref(),
                Some("a")
            );
            let has_namespace_label = builtin.kind.kind != "Namespace";
            assert_eq!(
                builtin.field("metadata.namespace", &object).as_deref(),
                has_namespace_label.then_some("")
            );
            assert_eq!(builtin.field("spec.nope", &object), None);
        }
    }
}
