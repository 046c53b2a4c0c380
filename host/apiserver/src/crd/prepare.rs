//! What the server fills into definitions.

use serde_json::{Value, json};

use super::CLEANUP;

fn texts(spec: &mut Value) {
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
    if spec["names"].is_object() && !kind.is_empty() {
        if spec["names"]["singular"].as_str().unwrap_or_default().is_empty() {
            spec["names"]["singular"] = kind.to_lowercase().into();
        }
        if spec["names"]["listKind"].as_str().unwrap_or_default().is_empty() {
            spec["names"]["listKind"] = format!("{kind}List").into();
        }
    }
    if spec.is_object() && spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
}

/// Defaults of a definition, on create and on update.
pub(crate) fn update(object: &mut Value) {
    texts(&mut object["spec"]);
}

/// A new definition: nothing is accepted yet.
pub(crate) fn create(object: &mut Value) {
    texts(&mut object["spec"]);
    let stored: Vec<Value> = object["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    object["status"] = json!({
        "conditions": [],
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored,
    });
    object["metadata"]["generation"] = 1.into();
}

/// A definition that is being deleted: held until its objects are gone.
pub(crate) fn delete(object: &mut Value, now: &str) {
    let held = crate::meta::finalizers(object).contains(&CLEANUP);
    if crate::meta::terminating(object) {
        return;
    }
    if !held {
        crate::meta::edit(object, |meta| {
            let list = meta.entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(CLEANUP.into());
            }
        });
    }
    super::controller::condition(
        &mut object["status"],
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        now,
    );
}
