//! Server-side apply.

use serde_json::{Map, Value};

use crate::apply_error::{ApplyError, FieldConflict};
use crate::compare::ObjectComparison;
use crate::field_set::FieldSet;
use crate::last_applied;
use crate::managed_fields::{
    ManagedFields, ManagedFieldsEntry, ManagedFieldsOperation, ManagerId, managed_fields,
    set_managed_fields, take_managed_fields,
};
use crate::merge::{is_noop_merge, merge, remove_fields};
use crate::ownership::{ComparisonCache, reconcile_entries, remove_from_others, strip_untracked};
use crate::request::TrackingRequest;
use crate::specified_fields::{specified_fields, with_declared_parents};
use crate::update::track_update;
use crate::validate::validate;
use crate::value;

/// The manager of the fields that an object without managedFields has before its first apply, as
/// upstream.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Applies a configuration to an object, or creates an object from it if `live` is `None`. Returns
/// the object to store.
///
/// The fields of the configuration replace those of the object, and the manager owns them. Fields
/// that the manager applied before and no longer applies are removed unless another manager owns
/// them. `metadata` is merged like everything else, including `resourceVersion` and `uid`: the
/// caller compares and restores them as for an update. A map or list whose last field is removed
/// stays as an empty one if it is still owned (kube-apiserver 1.35 stores null and rejects the object
/// because of it; later versions do the same as this function).
///
/// # Errors
///
/// See [`ApplyError`].
///
/// # Examples
///
/// Two managers apply different values to one field:
///
/// ```
/// use rdd_apiserver_fieldmanager::{ApplyError, ObjectType, TrackingRequest, apply};
/// use serde_json::json;
///
/// let object_type = ObjectType::deduced();
/// let request = |manager| TrackingRequest {
///     manager,
///     api_version: "example.com/v1",
///     subresource: None,
///     now: "2026-01-01T00:00:00Z",
///     object_type: &object_type,
///     versions: &[],
///     zero: None,
///     reset_fields: &[],
/// };
/// let widget = |size: u32| {
///     json!({
///         "apiVersion": "example.com/v1",
///         "kind": "Widget",
///         "metadata": {"name": "a"},
///         "spec": {"size": size},
///     })
/// };
///
/// let live = apply(None, &widget(1), false, &request("alice"))?;
/// let error = apply(Some(&live), &widget(2), false, &request("bob")).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"Apply failed with 1 conflict: conflict with "alice": .spec.size"#
/// );
///
/// let live = apply(Some(&live), &widget(2), true, &request("bob"))?;
/// assert_eq!(live["spec"]["size"], 2);
/// # Ok::<(), ApplyError>(())
/// ```
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    force: bool,
    request: &TrackingRequest<'_>,
) -> Result<Value, ApplyError> {
    let changed = apply_if_changed(live, applied, force, request)?;
    Ok(changed.unwrap_or_else(|| live.cloned().unwrap_or_else(empty_object)))
}

/// Like [`apply`], but returns `None` if the object would not change in any way; `live` is then the
/// result. This is the fast path for managers that apply the same configuration repeatedly.
///
/// # Errors
///
/// See [`ApplyError`].
pub fn apply_if_changed(
    live: Option<&Value>,
    applied: &Value,
    force: bool,
    request: &TrackingRequest<'_>,
) -> Result<Option<Value>, ApplyError> {
    if !applied.is_object() {
        return Err(ApplyError::NotAnObject);
    }
    let without_null;
    let applied = match managed_fields(applied) {
        None => applied,
        Some(Value::Null) => {
            let mut copy = applied.clone();
            take_managed_fields(&mut copy);
            without_null = copy;
            &without_null
        }
        Some(_) => return Err(ApplyError::HasManagedFields),
    };
    let violations = validate(&request.object_type.root, applied);
    if !violations.is_empty() {
        return Err(ApplyError::InvalidConfiguration {
            object: describe_object(applied),
            violations,
        });
    }
    let reset_fields = FieldSet::from_paths(request.reset_fields);
    let mut applied_set = specified_fields(&request.object_type.root, applied);
    if !reset_fields.is_empty() {
        applied_set = applied_set.recursive_difference(&reset_fields);
    }
    if let Some(live) = live
        && is_already_applied(live, applied, &applied_set, request)
    {
        return Ok(None);
    }
    let outcome = merge_and_track(live, applied, &applied_set, force, request);
    let mut new = match outcome {
        Err(ApplyError::Conflicts(conflicts)) => {
            let conflicts = last_applied::unresolved_conflicts(conflicts, live, request);
            if !conflicts.is_empty() {
                return Err(ApplyError::Conflicts(conflicts));
            }
            merge_and_track(live, applied, &applied_set, true, request)?
        }
        outcome => outcome?,
    };
    last_applied::update_annotation(&mut new, applied, request);
    Ok((live != Some(&new)).then_some(new))
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

/// Returns the namespace, name, version, and kind of an object, in the form of upstream's messages.
fn describe_object(object: &Value) -> String {
    let string =
        |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata = object.get("metadata");
    let metadata_field = |name: &str| string(metadata.and_then(|metadata| metadata.get(name)));
    let api_version = string(object.get("apiVersion"));
    // Upstream writes the group of the core kinds, which is empty.
    let separator = if api_version.contains('/') { "" } else { "/" };
    format!(
        "{}/{}; {separator}{api_version}, Kind={}",
        metadata_field("namespace"),
        metadata_field("name"),
        string(object.get("kind"))
    )
}

/// Returns whether the manager has applied exactly this configuration before and the object still
/// matches it. If so, nothing is given up, nothing conflicts, and nothing changes. May return false
/// for such an apply, which then takes the slow path.
fn is_already_applied(
    live: &Value,
    applied: &Value,
    applied_set: &FieldSet,
    request: &TrackingRequest<'_>,
) -> bool {
    if request.manager == last_applied::MANAGER {
        return false;
    }
    let has_value = |entry: &Value, name: &str, expected: &str| {
        entry.get(name).and_then(Value::as_str).unwrap_or_default() == expected
    };
    let manager_entry = managed_fields(live)
        .and_then(Value::as_array)
        .and_then(|entries| {
            entries.iter().find(|entry| {
                has_value(entry, "manager", request.manager)
                    && has_value(entry, "operation", ManagedFieldsOperation::Apply.as_str())
                    && has_value(
                        entry,
                        "subresource",
                        request.subresource.unwrap_or_default(),
                    )
            })
        });
    let Some(manager_entry) = manager_entry else {
        return false;
    };
    has_value(manager_entry, "apiVersion", request.api_version)
        && manager_entry
            .get("fieldsV1")
            .and_then(|fields| FieldSet::from_fields_v1(fields).ok())
            .is_some_and(|owned| owned == strip_untracked(applied_set.clone()))
        && is_noop_merge(&request.object_type.root, live, applied)
}

fn merge_and_track(
    live: Option<&Value>,
    applied: &Value,
    applied_set: &FieldSet,
    force: bool,
    request: &TrackingRequest<'_>,
) -> Result<Value, ApplyError> {
    let nothing = empty_object();
    let old = live.unwrap_or(&nothing);
    let mut managed =
        ManagedFields::parse(managed_fields(old)).map_err(ApplyError::InvalidManagedFields)?;
    if managed.entries.is_empty() {
        let manager = request.manager_id_named(BEFORE_FIRST_APPLY, ManagedFieldsOperation::Update);
        let mut bare = old.clone();
        take_managed_fields(&mut bare);
        let zero = request.zero.unwrap_or(&nothing);
        track_update(&mut managed, zero, &bare, manager, request);
    }
    reconcile_entries(&mut managed, request);

    let mut new = old.clone();
    merge(&request.object_type.root, &mut new, applied).map_err(ApplyError::InvalidLiveObject)?;
    let manager = request.manager_id(ManagedFieldsOperation::Apply);
    let previous = managed.remove(&manager, request.api_version);
    let mut entry = ManagedFieldsEntry {
        manager: manager.clone(),
        api_version: request.api_version.to_owned(),
        time: previous.as_ref().and_then(|previous| previous.time.clone()),
        set: applied_set.clone(),
    };
    managed.insert(entry.clone());
    if let Some(previous) = previous
        && !previous.set.is_subset(applied_set)
    {
        new = prune(new, &previous, &managed, request);
    }

    let reset_fields = FieldSet::from_paths(request.reset_fields);
    let comparison = ObjectComparison::between(&request.object_type.root, old, &new)
        .exclude_fields(&reset_fields);
    if !force {
        let conflicts = find_conflicts(&managed, old, &new, &comparison, &manager, request);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    remove_from_others(
        &mut managed,
        old,
        &new,
        &comparison,
        Some(&manager),
        request,
    );

    managed.remove(&manager, request.api_version);
    entry.set = strip_untracked(entry.set);
    if !entry.set.is_empty() {
        if !value::is_equal(old, &new) {
            entry.time = Some(request.now.to_owned());
        }
        managed.insert(entry);
    }
    set_managed_fields(&mut new, managed);
    Ok(new)
}

fn find_conflicts(
    managed: &ManagedFields,
    old: &Value,
    new: &Value,
    comparison: &ObjectComparison,
    manager: &ManagerId,
    request: &TrackingRequest<'_>,
) -> Vec<FieldConflict> {
    let mut comparisons = ComparisonCache::new(old, new, comparison, request);
    let mut out = Vec::new();
    for entry in managed
        .entries
        .iter()
        .filter(|entry| entry.manager != *manager)
    {
        let Some(changes) = comparisons.changes_at(&entry.api_version) else {
            continue;
        };
        out.extend(
            entry
                .set
                .intersection(&changes.written)
                .paths()
                .into_iter()
                .map(|field| FieldConflict {
                    manager: entry.manager.clone(),
                    api_version: entry.api_version.clone(),
                    time: entry.time.clone(),
                    field,
                }),
        );
    }
    out.sort_by(|l, r| (&l.manager, &l.api_version).cmp(&(&r.manager, &r.api_version)));
    out
}

/// Removes the fields that the manager applied before and no longer applies, unless they are owned.
/// `managed` already contains the manager's new entry.
fn prune(
    merged: Value,
    previous: &ManagedFieldsEntry,
    managed: &ManagedFields,
    request: &TrackingRequest<'_>,
) -> Value {
    let Some(object_type) = request.object_type_at(&previous.api_version) else {
        return merged;
    };
    let root = &object_type.root;
    let mut pruned = merged.clone();
    remove_fields(
        root,
        &mut pruned,
        &with_declared_parents(root, &previous.set),
    );

    // Fields that other managers own, or that the new configuration applies, are added back, one
    // version after the other, starting with that of the previous entry.
    let mut versions: Vec<&str> = vec![&previous.api_version];
    for entry in &managed.entries {
        if !versions.contains(&entry.api_version.as_str()) {
            versions.push(&entry.api_version);
        }
    }
    let mut owned_by_any = FieldSet::default();
    for version in versions {
        let Some(object_type) = request.object_type_at(version) else {
            continue;
        };
        let root = &object_type.root;
        let owned = managed
            .entries
            .iter()
            .filter(|entry| entry.api_version == version)
            .fold(FieldSet::default(), |all, entry| all.union(&entry.set));
        let with_parents = |set: &FieldSet| with_declared_parents(root, set);
        let owned = with_parents(&owned);
        owned_by_any = owned_by_any.union(&owned);
        let keep = with_parents(&specified_fields(root, &pruned)).union(&owned);
        let drop = with_parents(&specified_fields(root, &merged)).difference(&keep);
        pruned.clone_from(&merged);
        remove_fields(root, &mut pruned, &drop);
    }

    // Only fields that the manager itself applied before are removed. The owners are subtracted
    // again, because a field that holds only an empty list is in no set.
    let with_parents = |set: &FieldSet| with_declared_parents(root, set);
    let pruned_fields = with_parents(&specified_fields(root, &merged))
        .difference(&with_parents(&specified_fields(root, &pruned)));
    let drop = pruned_fields
        .intersection(&with_parents(&previous.set))
        .difference(&owned_by_any);
    let mut out = merged;
    remove_fields(root, &mut out, &drop);
    out
}
