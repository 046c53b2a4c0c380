//! The strategy of Namespaces.

use rdd_apiserver_schema::FieldError;
use serde_json::{Value, json};

use super::field_errors::invalid;
use super::{object_field_mut, reset_field, string_or_empty};
use rdd_apiserver_schema::names;

/// The finalizer that keeps a namespace until it is empty.
const FINALIZER: &str = "kubernetes";
/// The label by which label selectors can select a namespace by name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

fn set_name_label(object: &mut Value) {
    let name = string_or_empty(&object["metadata"]["name"]);
    if !name.is_empty()
        && let Some(metadata) = object_field_mut(object, "metadata")
        && let Some(labels) = metadata
            .entry("labels")
            .or_insert_with(|| json!({}))
            .as_object_mut()
    {
        labels.insert(NAME_LABEL.into(), name.into());
    }
}

pub(super) fn prepare_create(object: &mut Value) {
    set_name_label(object);
    if let Some(object) = object.as_object_mut() {
        object.insert("status".into(), json!({"phase": "Active"}));
    }
}

/// Adds the finalizer that keeps a namespace until it is empty.
pub(super) fn add_finalizer(object: &mut Value) {
    if let Some(spec) = object_field_mut(object, "spec") {
        let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Some(list) = finalizers.as_array_mut()
            && !list.iter().any(|f| f == FINALIZER)
        {
            list.push(FINALIZER.into());
        }
    }
}

pub(super) fn prepare_update(object: &mut Value, old: &Value) {
    set_name_label(object);
    reset_field(object, old, "spec");
    reset_field(object, old, "status");
}

pub(super) fn prepare_finalize(object: &mut Value, old: &Value) {
    set_name_label(object);
    reset_field(object, old, "status");
}

pub(super) fn validate_create(object: &Value) -> Vec<FieldError> {
    let finalizers = object["spec"]["finalizers"].as_array();
    finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .flat_map(validate_finalizer)
        .collect()
}

fn validate_finalizer(finalizer: &str) -> Vec<FieldError> {
    const FIELD: &str = "spec.finalizers";
    let mut messages = names::validate_qualified_name(finalizer);
    messages.extend(names::validate_finalizer_domain(finalizer).map(str::to_owned));
    messages
        .iter()
        .map(|message| invalid(FIELD, finalizer, message))
        .collect()
}

pub(super) fn validate_update(object: &Value, _old: &Value) -> Vec<FieldError> {
    validate_create(object)
}

pub(super) fn validate_status(object: &Value, _old: &Value) -> Vec<FieldError> {
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    let is_deleted = object["metadata"]["deletionTimestamp"].is_string();
    let (required, condition) = if is_deleted {
        ("Terminating", "is not empty")
    } else {
        ("Active", "is empty")
    };
    if phase == required {
        return Vec::new();
    }
    let detail = format!("may only be '{required}' if `deletionTimestamp` {condition}");
    vec![invalid("status.Phase", phase, &detail)]
}

pub(super) fn field(label: &str, object: &Value) -> Option<String> {
    match label {
        "status.phase" => Some(string_or_empty(&object["status"]["phase"])),
        "name" => Some(string_or_empty(&object["metadata"]["name"])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_namespace_is_active_and_has_the_finalizer_and_label() {
        let mut object = json!({"metadata": {"name": "a", "labels": {NAME_LABEL: "other", "x": "y"}},
            "spec": {"finalizers": ["example.com/f"]}, "status": {"phase": "Terminating"}});
        prepare_create(&mut object);
        add_finalizer(&mut object);
        assert_eq!(
            object,
            json!({"metadata": {"name": "a", "labels": {NAME_LABEL: "a", "x": "y"}},
                "spec": {"finalizers": ["example.com/f", "kubernetes"]}, "status": {"phase": "Active"}})
        );
    }

    #[test]
    fn an_update_changes_neither_finalizers_nor_phase() {
        let old = json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        let mut object =
            json!({"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Terminating"}});
        prepare_update(&mut object, &old);
        assert_eq!(
            (&object["spec"], &object["status"]),
            (&old["spec"], &old["status"])
        );
        assert_eq!(object["metadata"]["labels"], json!({NAME_LABEL: "a"}));
        let mut object = json!({"metadata": {"name": "a"}, "spec": {}, "status": {}});
        prepare_finalize(&mut object, &old);
        assert_eq!(
            (&object["spec"], &object["status"]),
            (&json!({}), &old["status"])
        );
    }

    #[test]
    fn finalizers_must_be_standard_or_have_a_domain() {
        let errors =
            validate_create(&json!({"spec": {"finalizers": ["kubernetes", "a.b/c", "bad"]}}));
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "spec.finalizers: Invalid value: \"bad\": name is neither a standard finalizer name nor is it fully qualified"
            ]
        );
    }

    #[test]
    fn the_phase_must_match_the_deletion_timestamp() {
        let old = json!({});
        let active = json!({"metadata": {}, "status": {"phase": "Active"}});
        assert!(validate_status(&active, &old).is_empty());
        let deleted = json!({"metadata": {"deletionTimestamp": "2024-01-01T00:00:00Z"}, "status": {"phase": "Active"}});
        assert_eq!(
            validate_status(&deleted, &old)[0].to_string(),
            "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"
        );
    }
}
