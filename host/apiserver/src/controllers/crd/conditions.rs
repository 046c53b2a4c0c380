//! The status of a definition and its conditions.

use serde_json::{Value, json};

use super::name_conflicts::NameConflict;
use crate::definition::set_condition;

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
