//! Tracking of every write that is not an apply.

use serde_json::{Map, Value};

use crate::compare::ObjectComparison;
use crate::field_set::FieldSet;
use crate::managed_fields::{
    ManagedFields, ManagedFieldsEntry, ManagedFieldsOperation, ManagerId, managed_fields,
    set_managed_fields, take_managed_fields,
};
use crate::ownership::{reconcile_entries, remove_from_others, strip_untracked};
use crate::request::TrackingRequest;

/// The maximum number of entries of updaters that an object keeps, as upstream. Older ones are
/// merged, into one entry per version.
const MAX_UPDATERS: usize = 10;

/// The manager of merged entries, as upstream.
const ANCIENT_CHANGES: &str = "ancient-changes";

/// Why a write cannot be tracked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The new object is not a JSON object.
    #[error("the object to store must be a JSON object, not {0}")]
    NotAnObject(&'static str),
}

/// Updates the managedFields of an object that a create (`live` is `None`), a replace, or a patch is
/// about to store, and returns the object.
///
/// From then on, the writer alone owns what the write changed or added, and nobody owns what it
/// removed. managedFields that the client sent take effect if they can be read. `[]` and `[{}]` reset
/// them; if they are absent, null, or unreadable, the live object's managedFields stay. On a
/// subresource they always stay. An object without managedFields stays without them.
///
/// # Errors
///
/// Fails if `new` is not a JSON object.
pub fn update(
    live: Option<&Value>,
    mut new: Value,
    request: &TrackingRequest<'_>,
) -> Result<Value, UpdateError> {
    if !new.is_object() {
        return Err(UpdateError::NotAnObject(json_type(&new)));
    }
    let sent = take_managed_fields(&mut new);
    let mut managed = effective_entries(live, sent.as_ref(), request);
    let is_create = live.is_none_or(|live| {
        let uid = live
            .get("metadata")
            .and_then(|metadata| metadata.get("uid"));
        uid.and_then(Value::as_str).unwrap_or_default().is_empty()
    });
    if is_create || !managed.entries.is_empty() {
        let nothing = Value::Object(Map::new());
        let manager = request.manager_id(ManagedFieldsOperation::Update);
        track_update(
            &mut managed,
            live.or(request.zero).unwrap_or(&nothing),
            &new,
            manager,
            request,
        );
    }
    set_managed_fields(&mut new, managed);
    Ok(new)
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Returns the entries to start from: the client's if it may set them and they can be read,
/// otherwise the live object's.
fn effective_entries(
    live: Option<&Value>,
    sent: Option<&Value>,
    request: &TrackingRequest<'_>,
) -> ManagedFields {
    // Unreadable entries protect no fields: tracking starts over.
    let live_entries = || ManagedFields::parse(live.and_then(managed_fields)).unwrap_or_default();
    if request.subresource.is_some_and(|name| !name.is_empty()) {
        return live_entries();
    }
    match sent {
        Some(Value::Array(entries)) if is_reset(entries) => ManagedFields::default(),
        sent => match ManagedFields::parse(sent) {
            Ok(sent) if !sent.entries.is_empty() => sent,
            _ => live_entries(),
        },
    }
}

fn is_reset(entries: &[Value]) -> bool {
    match entries {
        [] => true,
        [Value::Object(only)] => only.is_empty(),
        _ => false,
    }
}

/// Records in `managed` that `manager` replaced `old` with `new`.
pub(crate) fn track_update(
    managed: &mut ManagedFields,
    old: &Value,
    new: &Value,
    manager: ManagerId,
    request: &TrackingRequest<'_>,
) {
    let reset_fields = FieldSet::from_paths(request.reset_fields);
    reconcile_entries(managed, request);
    let comparison = ObjectComparison::between(&request.object_type.root, old, new)
        .exclude_fields(&reset_fields);
    remove_from_others(managed, old, new, &comparison, None, request);

    let written = strip_untracked(
        comparison
            .modified
            .union(&comparison.added)
            .recursive_difference(&reset_fields),
    );
    if !written.is_empty() {
        let previous = managed.remove(&manager, request.api_version);
        managed.insert(ManagedFieldsEntry {
            set: previous.map_or(written.clone(), |previous| previous.set.union(&written)),
            manager,
            api_version: request.api_version.to_owned(),
            time: Some(request.now.to_owned()),
        });
    }
    cap_updaters(managed);
}

/// Merges the oldest entries of updaters until at most [`MAX_UPDATERS`] are left.
fn cap_updaters(managed: &mut ManagedFields) {
    let mut updaters: Vec<(Option<String>, ManagerId, String)> = managed
        .entries
        .iter()
        .filter(|entry| entry.manager.operation == ManagedFieldsOperation::Update)
        .map(|entry| {
            (
                entry.time.clone(),
                entry.manager.clone(),
                entry.api_version.clone(),
            )
        })
        .collect();
    if updaters.len() <= MAX_UPDATERS {
        return;
    }
    updaters.sort();
    let bucket = ManagerId {
        name: ANCIENT_CHANGES.to_owned(),
        operation: ManagedFieldsOperation::Update,
        subresource: String::new(),
    };
    // The first entry of each version is kept here until a second one is merged with it.
    let mut first_of_version: Vec<(String, ManagerId)> = Vec::new();
    let mut count = updaters.len();
    for (time, manager, version) in updaters {
        if count <= MAX_UPDATERS {
            break;
        }
        let Some((_, first)) = first_of_version.iter().find(|(seen, _)| *seen == version) else {
            first_of_version.push((version, manager));
            continue;
        };
        let mut set = FieldSet::default();
        for merged in [first, &bucket, &manager] {
            if let Some(entry) = managed.remove(merged, &version) {
                set = set.union(&entry.set);
            }
        }
        managed.entries.push(ManagedFieldsEntry {
            manager: bucket.clone(),
            api_version: version,
            time,
            set,
        });
        count -= 1;
    }
}
