//! What a definition's status says.

use serde_json::{Map, Value, json};

/// Sets one condition of a status.
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

pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|c| c["type"] == kind && c["status"] == "True")
}

/// Why names were refused: reason and message.
pub(super) type NameConflict = (&'static str, String);

/// Fills in the status of a definition: its names are accepted and it is
/// served, or somebody else has them.
pub(super) fn update_status(object: &mut Value, refused: Option<NameConflict>, now: &str) {
    let names = object["spec"]["names"].clone();
    let established = is_true(object, "Established");
    let stored = object["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|v| v["storage"] == true)
        .map(|v| v["name"].clone());
    let status = &mut object["status"];
    match refused {
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
        Some((reason, message)) => {
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
