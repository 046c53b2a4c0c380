//! The strategy of RoleBindings and ClusterRoleBindings.

use rdd_apiserver_schema::FieldError;
use rdd_apiserver_schema::names::validate_dns_subdomain;
use serde_json::Value;

use super::super::field_errors::{invalid, invalid_for_each, required, unsupported};
use super::{GROUP, items, text, validate_name};

/// The kinds of subjects, in the order of upstream's messages.
const SUBJECT_KINDS: [&str; 3] = ["ServiceAccount", "User", "Group"];

/// Sets the group of the role and of users and groups.
pub(in crate::builtin) fn prepare_create(object: &mut Value) {
    if let Some(reference) = object.get_mut("roleRef") {
        set_default_group(reference);
    }
    let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if matches!(text(subject, "kind"), "User" | "Group") {
            set_default_group(subject);
        }
    }
}

pub(in crate::builtin) fn prepare_update(object: &mut Value, _old: &Value) {
    prepare_create(object);
}

fn set_default_group(value: &mut Value) {
    if text(value, "apiGroup").is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("apiGroup".to_owned(), GROUP.into());
    }
}

pub(in crate::builtin) fn validate(object: &Value) -> Vec<FieldError> {
    validate_binding(object, true)
}

pub(in crate::builtin) fn validate_update(object: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = validate(object);
    errors.extend(validate_unchanged_role(object, old));
    errors
}

pub(in crate::builtin) fn validate_cluster_binding(object: &Value) -> Vec<FieldError> {
    validate_binding(object, false)
}

pub(in crate::builtin) fn validate_cluster_binding_update(
    object: &Value,
    old: &Value,
) -> Vec<FieldError> {
    let mut errors = validate_cluster_binding(object);
    errors.extend(validate_unchanged_role(object, old));
    errors
}

/// A binding to another role is another grant: it has to be deleted and created.
fn validate_unchanged_role(object: &Value, old: &Value) -> Option<FieldError> {
    let (new, old) = (&object["roleRef"], &old["roleRef"]);
    (new != old).then(|| invalid("roleRef", new.clone(), "cannot change roleRef"))
}

fn validate_binding(object: &Value, is_namespaced: bool) -> Vec<FieldError> {
    let reference = &object["roleRef"];
    let mut errors = Vec::new();
    let group = text(reference, "apiGroup");
    if group != GROUP {
        errors.push(unsupported("roleRef.apiGroup", group, &[GROUP]));
    }
    let kinds: &[&str] = match is_namespaced {
        true => &["Role", "ClusterRole"],
        false => &["ClusterRole"],
    };
    let kind = text(reference, "kind");
    if !kinds.contains(&kind) {
        errors.push(unsupported("roleRef.kind", kind, kinds));
    }
    errors.extend(validate_name("roleRef.name", text(reference, "name")));
    for (index, subject) in items(object, "subjects").iter().enumerate() {
        let field = format!("subjects[{index}]");
        errors.extend(validate_subject(subject, is_namespaced, &field));
    }
    errors
}

fn validate_subject(subject: &Value, is_namespaced: bool, field: &str) -> Vec<FieldError> {
    let field = |name: &str| format!("{field}.{name}");
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    let mut errors = Vec::new();
    if name.is_empty() {
        errors.push(required(field("name"), ""));
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                let messages = validate_dns_subdomain(name);
                errors.extend(invalid_for_each(&field("name"), name, messages));
            }
            if !group.is_empty() {
                errors.push(unsupported(field("apiGroup"), group, &[""]));
            }
            // A binding in a namespace means accounts of that one.
            if !is_namespaced && text(subject, "namespace").is_empty() {
                errors.push(required(field("namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.push(unsupported(field("apiGroup"), group, &[GROUP]));
            }
        }
        kind => errors.push(unsupported(field("kind"), kind, &SUBJECT_KINDS)),
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binding(kind: &str, subjects: Value) -> Value {
        let mut binding =
            json!({"roleRef": {"kind": kind, "name": "reader"}, "subjects": subjects});
        prepare_create(&mut binding);
        binding
    }

    fn fields(errors: &[FieldError]) -> Vec<&str> {
        errors.iter().map(|error| error.field.as_str()).collect()
    }

    #[test]
    fn the_group_of_users_groups_and_roles_is_a_default() {
        let object = binding(
            "Role",
            json!([{"kind": "User", "name": "a"}, {"kind": "ServiceAccount", "name": "b"}]),
        );
        assert_eq!(object["roleRef"]["apiGroup"], GROUP);
        assert_eq!(object["subjects"][0]["apiGroup"], GROUP);
        assert!(object["subjects"][1]["apiGroup"].is_null());
        assert!(validate(&object).is_empty());
    }

    #[test]
    fn a_subject_that_can_match_nobody_is_rejected() {
        for (subject, expected) in [
            (json!({"kind": "User"}), vec!["subjects[0].name"]),
            (
                json!({"kind": "Robot", "name": "a"}),
                vec!["subjects[0].kind"],
            ),
            (
                json!({"kind": "User", "name": "a", "apiGroup": "x"}),
                vec!["subjects[0].apiGroup"],
            ),
            (
                json!({"kind": "ServiceAccount", "name": "A", "apiGroup": "x", "namespace": "n"}),
                vec!["subjects[0].name", "subjects[0].apiGroup"],
            ),
        ] {
            let object = binding("ClusterRole", json!([subject]));
            assert_eq!(fields(&validate(&object)), expected, "{object}");
            assert_eq!(
                fields(&validate_cluster_binding(&object)),
                expected,
                "{object}"
            );
        }
        let account = binding(
            "ClusterRole",
            json!([{"kind": "ServiceAccount", "name": "a"}]),
        );
        assert!(validate(&account).is_empty());
        assert_eq!(
            fields(&validate_cluster_binding(&account)),
            ["subjects[0].namespace"]
        );
    }

    #[test]
    fn the_role_of_a_binding_is_fixed_and_of_the_right_kind() {
        let object = binding("Role", json!([]));
        assert_eq!(fields(&validate_cluster_binding(&object)), ["roleRef.kind"]);
        let other = binding("ClusterRole", json!([]));
        assert_eq!(fields(&validate_update(&other, &object)), ["roleRef"]);
        assert!(validate_update(&object, &object).is_empty());
    }
}
