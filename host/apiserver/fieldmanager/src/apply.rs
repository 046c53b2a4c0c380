//! Server-side apply.

use std::fmt;

use serde_json::{Map, Value};

use crate::compare::ObjectComparison;
use crate::last_applied;
use crate::managed_fields::{
    ManagedFieldsEntry, ManagedFields, ManagerId, ManagedFieldsError, ManagedFieldsOperation, managed_fields,
    set_managed_fields, take_managed_fields,
};
use crate::merge::{is_noop_merge, merge, remove_fields};
use crate::path::FieldPath;
use crate::request::TrackingRequest;
use crate::set::FieldSet;
use crate::track::{specified_fields, validate, with_declared_parents};
use crate::update::{ComparisonCache, reconcile_entries, remove_from_others, track_update, strip_untracked};
use crate::value;

/// The name of the entry that gets what an object without managedFields held before its first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// One field that an apply would take from another manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// The manager that owns the field.
    pub manager: ManagerId,
    /// The version in which it wrote.
    pub api_version: String,
    /// When it wrote, if that is known.
    pub time: Option<String>,
    /// The field.
    pub field: FieldPath,
}

impl FieldConflict {
    /// The message of the cause in a Status: `conflict with "name"`, and how the manager wrote if not by an apply.
    pub fn cause_message(&self) -> String {
        format!("conflict with {}", self.with())
    }

    fn with(&self) -> String {
        let mut out = format!("{:?}", self.manager.name);
        if !self.manager.subresource.is_empty() {
            out.push_str(&format!(" with subresource {:?}", self.manager.subresource));
        }
        if self.manager.operation == ManagedFieldsOperation::Update {
            out.push_str(&format!(" using {}", self.api_version));
        }
        out
    }
}

/// Why a configuration was not applied. Displayed in Kubernetes' own words, for clients show and match them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// Fields would change that other managers own, and `force` was not given. Sorted by manager and field. Status 409.
    Conflicts(Vec<FieldConflict>),
    /// The configuration has managedFields of its own. Status 400.
    HasManagedFields,
    /// The configuration is not a JSON object. Status 400.
    NotAnObject,
    /// The configuration does not follow the schema: each violation with its path. Status 500, as upstream.
    InvalidConfiguration {
        /// Namespace and name, and version and kind, of the configuration.
        object: String,
        /// What is wrong, one text for each violation; never empty.
        violations: Vec<String>,
    },
    /// The live object's managedFields cannot be read; an update may reset them. Status 500.
    ManagedFields(ManagedFieldsError),
    /// The live object has list items that cannot be told apart. Status 500.
    InvalidLiveObject(String),
}

impl ApplyError {
    /// The HTTP status that answers it.
    pub fn code(&self) -> u16 {
        match self {
            Self::Conflicts(_) => 409,
            Self::HasManagedFields | Self::NotAnObject => 400,
            Self::InvalidConfiguration { .. } | Self::ManagedFields(_) | Self::InvalidLiveObject(_) => 500,
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ManagedFields(source) => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflicts(conflicts) => format_conflicts(conflicts, f),
            Self::HasManagedFields => f.write_str("metadata.managedFields must be nil"),
            Self::NotAnObject => f.write_str("the applied configuration must be a JSON object"),
            Self::InvalidConfiguration { object, violations } => {
                write!(f, "failed to create typed patch object ({object}): ")?;
                match violations.as_slice() {
                    [one] => f.write_str(one),
                    several => {
                        f.write_str("errors:")?;
                        several.iter().try_for_each(|one| write!(f, "\n  {one}"))
                    }
                }
            }
            Self::ManagedFields(source) => write!(f, "failed to decode managed fields: {source}"),
            Self::InvalidLiveObject(why) => write!(f, "failed to create typed live object: {why}"),
        }
    }
}

fn format_conflicts(conflicts: &[FieldConflict], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let [only] = conflicts {
        return write!(
            f,
            "Apply failed with 1 conflict: conflict with {}: {}",
            only.with(),
            only.field
        );
    }
    write!(f, "Apply failed with {} conflicts: ", conflicts.len())?;
    let of_one = |l: &FieldConflict, r: &FieldConflict| {
        l.manager == r.manager && l.api_version == r.api_version
    };
    for (i, of_manager) in conflicts.chunk_by(of_one).enumerate() {
        let Some(first) = of_manager.first() else {
            continue;
        };
        let line_break = if i == 0 { "" } else { "\n" };
        write!(f, "{line_break}conflicts with {}:", first.with())?;
        of_manager
            .iter()
            .try_for_each(|conflict| write!(f, "\n- {}", conflict.field))?;
    }
    Ok(())
}

/// Applies a configuration to an object, or creates one from it (`live` is none): returns what is to be stored.
///
/// Fields of the configuration replace those of the object and belong to the manager; what the manager applied before and no
/// longer does is removed unless somebody else owns it. `metadata` is merged as everything else, `resourceVersion` and `uid`
/// included: the caller compares and restores these as it does for an update. A map or list whose last field is given up stays
/// there, empty, if it is owned still (a kube-apiserver 1.35 leaves null, and refuses the object for it; later ones do as here).
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    force: bool,
    request: &TrackingRequest<'_>,
) -> Result<Value, ApplyError> {
    let changed = apply_if_changed(live, applied, force, request)?;
    Ok(changed.unwrap_or_else(|| live.cloned().unwrap_or_else(empty_object)))
}

/// As [`apply`], but none when the object would stay as it is in every respect: answer with `live`. This is the quick way
/// for writers that apply the same again and again.
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
    let ignored = FieldSet::from_paths(request.reset_fields);
    let mut claimed = specified_fields(&request.object_type.root, applied);
    if !ignored.is_empty() {
        claimed = claimed.recursive_difference(&ignored);
    }
    if let Some(live) = live
        && is_already_applied(live, applied, &claimed, request)
    {
        return Ok(None);
    }
    let outcome = merge_and_track(live, applied, &claimed, force, request);
    let mut new = match outcome {
        Err(ApplyError::Conflicts(conflicts)) => {
            let conflicts = last_applied::unresolved_conflicts(conflicts, live, request);
            if !conflicts.is_empty() {
                return Err(ApplyError::Conflicts(conflicts));
            }
            merge_and_track(live, applied, &claimed, true, request)?
        }
        outcome => outcome?,
    };
    last_applied::update_annotation(&mut new, applied, request);
    Ok((live != Some(&new)).then_some(new))
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

/// Namespace, name, version and kind as upstream names an object in messages.
fn describe_object(object: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata = object.get("metadata");
    let of_metadata = |name: &str| text(metadata.and_then(|metadata| metadata.get(name)));
    format!(
        "{}/{}; {}, Kind={}",
        of_metadata("namespace"),
        of_metadata("name"),
        text(object.get("apiVersion")),
        text(object.get("kind"))
    )
}

/// Whether the manager applied exactly this before and the object still has it. Then nothing is given up, nothing can
/// conflict and nothing changes. May say no where it would not: then all is worked out.
fn is_already_applied(
    live: &Value,
    applied: &Value,
    claimed: &FieldSet,
    request: &TrackingRequest<'_>,
) -> bool {
    if request.manager == last_applied::MANAGER {
        return false;
    }
    let text = |entry: &Value, name: &str, expected: &str| {
        entry.get(name).and_then(Value::as_str).unwrap_or_default() == expected
    };
    let own_entry = managed_fields(live)
        .and_then(Value::as_array)
        .and_then(|entries| {
            entries.iter().find(|entry| {
                text(entry, "manager", request.manager)
                    && text(entry, "operation", ManagedFieldsOperation::Apply.as_str())
                    && text(
                        entry,
                        "subresource",
                        request.subresource.unwrap_or_default(),
                    )
            })
        });
    let Some(own_entry) = own_entry else {
        return false;
    };
    text(own_entry, "apiVersion", request.api_version)
        && own_entry
            .get("fieldsV1")
            .and_then(|fields| FieldSet::from_fields_v1(fields).ok())
            .is_some_and(|owned| owned == strip_untracked(claimed.clone()))
        && is_noop_merge(&request.object_type.root, live, applied)
}

fn merge_and_track(
    live: Option<&Value>,
    applied: &Value,
    claimed: &FieldSet,
    force: bool,
    request: &TrackingRequest<'_>,
) -> Result<Value, ApplyError> {
    let nothing = empty_object();
    let old = live.unwrap_or(&nothing);
    let mut managed = ManagedFields::parse(managed_fields(old)).map_err(ApplyError::ManagedFields)?;
    if managed.entries.is_empty() {
        let writer = request.manager_id_named(BEFORE_FIRST_APPLY, ManagedFieldsOperation::Update);
        let mut bare = old.clone();
        take_managed_fields(&mut bare);
        track_update(&mut managed, &nothing, &bare, writer, request);
    }
    reconcile_entries(&mut managed, request);

    let mut new = old.clone();
    merge(&request.object_type.root, &mut new, applied).map_err(ApplyError::InvalidLiveObject)?;
    let writer = request.manager_id(ManagedFieldsOperation::Apply);
    let before = managed.remove(&writer, request.api_version);
    let mut entry = ManagedFieldsEntry {
        manager: writer.clone(),
        api_version: request.api_version.to_owned(),
        time: before.as_ref().and_then(|before| before.time.clone()),
        set: claimed.clone(),
    };
    managed.insert(entry.clone());
    if let Some(before) = before
        && !before.set.is_subset(claimed)
    {
        new = prune(new, &before, &managed, request);
    }

    let ignored = FieldSet::from_paths(request.reset_fields);
    let changes = ObjectComparison::between(&request.object_type.root, old, &new).exclude_fields(&ignored);
    if !force {
        let conflicts = find_conflicts(&managed, old, &new, &changes, &writer, request);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    remove_from_others(&mut managed, old, &new, &changes, Some(&writer), request);

    managed.remove(&writer, request.api_version);
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
    changes: &ObjectComparison,
    writer: &ManagerId,
    request: &TrackingRequest<'_>,
) -> Vec<FieldConflict> {
    let mut at_versions = ComparisonCache::new(old, new, changes, request);
    let mut out = Vec::new();
    for entry in managed
        .entries
        .iter()
        .filter(|entry| entry.manager != *writer)
    {
        let Some((changed, _)) = at_versions.changed(&entry.api_version) else {
            continue;
        };
        out.extend(
            entry
                .set
                .intersection(changed)
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

/// Removes what the manager applied before and no longer does, unless somebody owns it. `managed` holds its new claim.
fn prune(merged: Value, before: &ManagedFieldsEntry, managed: &ManagedFields, request: &TrackingRequest<'_>) -> Value {
    let Some(types) = request.object_type_at(&before.api_version) else {
        return merged;
    };
    let root = &types.root;
    let mut pruned = merged.clone();
    remove_fields(root, &mut pruned, &with_declared_parents(root, &before.set));

    // What others own, or the new configuration claims, comes back; version by version, that of the old claim first.
    let mut versions: Vec<&str> = vec![&before.api_version];
    for entry in &managed.entries {
        if !versions.contains(&entry.api_version.as_str()) {
            versions.push(&entry.api_version);
        }
    }
    let mut owned_by_any = FieldSet::default();
    for version in versions {
        let Some(types) = request.object_type_at(version) else {
            continue;
        };
        let root = &types.root;
        let owned = managed
            .entries
            .iter()
            .filter(|entry| entry.api_version == version)
            .fold(FieldSet::default(), |all, entry| all.union(&entry.set));
        let named = |set: &FieldSet| with_declared_parents(root, set);
        let owned = named(&owned);
        owned_by_any = owned_by_any.union(&owned);
        let keep = named(&specified_fields(root, &pruned)).union(&owned);
        let drop = named(&specified_fields(root, &merged)).difference(&keep);
        pruned.clone_from(&merged);
        remove_fields(root, &mut pruned, &drop);
    }

    // Only what the manager itself applied before goes. Owners are asked once more, for what holds nothing but an empty
    // list is in no set.
    let named = |set: &FieldSet| with_declared_parents(root, set);
    let gone = named(&specified_fields(root, &merged)).difference(&named(&specified_fields(root, &pruned)));
    let drop = gone
        .intersection(&named(&before.set))
        .difference(&owned_by_any);
    let mut out = merged;
    remove_fields(root, &mut out, &drop);
    out
}
