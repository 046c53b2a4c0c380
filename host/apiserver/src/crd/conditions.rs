//! The status of a definition and its conditions.

use serde_json::{Map, Value, json};

use super::name_conflicts::NameConflict;

/// Sets one condition. Its transition time changes only with its status.
pub(crate) fn set_condition(
    status: &mut Value,
    kind: &str,
    state: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    if !status.is_object() {
        *status = Value::Object(Map::new());
    }
    let Some(status) = status.as_object_mut() else {
        return;
    };
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else {
        return;
    };
    let time = list
        .iter()
        .find(|c| c["type"] == kind && c["status"] == state)
        .and_then(|c| c["lastTransitionTime"].as_str())
        .unwrap_or(now)
        .to_owned();
    let new = json!({
        "type": kind,
        "status": state,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    });
    match list.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => *old = new,
        None => list.push(new),
    }
}

/// Returns whether a condition of `object` has the status `True`.
pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|c| c["type"] == kind && c["status"] == "True")
}

/// Accepts the names that are not taken; the others stay as they are.
fn accept_others(status: &mut Value, mut names: Value, taken: &[&str]) {
    let before = &status["acceptedNames"];
    let empty = json!({"plural": "", "kind": ""});
    for field in taken {
        let old = before.get(field).or_else(|| empty.get(field)).cloned();
        if let Some(names) = names.as_object_mut() {
            match old {
                Some(old) => names.insert((*field).to_owned(), old),
                None => names.remove(*field),
            };
        }
    }
    if let Some(map) = status.as_object_mut() {
        map.insert("acceptedNames".to_owned(), names);
    }
}

/// Updates the status of a definition: its names are accepted and it is
/// served, or its names conflict with another kind.
pub(super) fn update_status(object: &mut Value, conflict: Option<NameConflict>, now: &str) {
    let names = object["spec"]["names"].clone();
    let established = is_true(object, "Established");
    let stored = object["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|v| v["storage"] == true)
        .map(|v| v["name"].clone());
    let status = &mut object["status"];
    match conflict {
        None => {
            if let Some(map) = status.as_object_mut() {
                map.insert("acceptedNames".to_owned(), names);
            }
            set_condition(
                status,
                "NamesAccepted",
                "True",
                "NoConflicts",
                "no conflicts found",
                now,
            );
            set_condition(
                status,
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
                now,
            );
        }
        Some(NameConflict {
            reason,
            message,
            fields,
        }) => {
            accept_others(status, names, &fields);
            set_condition(status, "NamesAccepted", "False", reason, &message, now);
            if !established {
                set_condition(
                    status,
                    "Established",
                    "False",
                    "NotAccepted",
                    "not all names are accepted",
                    now,
                );
            }
        }
    }
    if let Some(stored) = stored {
        let list = status["storedVersions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !list.contains(&stored) {
            let mut list = list;
            list.push(stored);
            status["storedVersions"] = list.into();
        }
    }
}
