//! Tracking of every write that is not an apply.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::compare::ObjectComparison;
use crate::managed_fields::{
    ManagedFieldsEntry, ManagedFields, ManagerId, ManagedFieldsOperation, managed_fields, set_managed_fields,
    take_managed_fields,
};
use crate::path::FieldPath;
use crate::request::TrackingRequest;
use crate::set::FieldSet;
use crate::track;

/// Why a write cannot be tracked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The new object is not a JSON object.
    #[error("the object to store must be a JSON object, not {0}")]
    NotAnObject(&'static str),
}

/// The most entries of updaters that an object keeps; older ones are put together, one for each version. Upstream's number.
const MAX_UPDATERS: usize = 10;

/// The name under which old entries are put together.
const ANCIENT_CHANGES: &str = "ancient-changes";

/// Brings the managedFields of an object up to date that a create (`live` is none), replace or patch is about to store.
///
/// What the write changed or added belongs to the writer from now on and to nobody else; what it removed belongs to nobody.
/// managedFields that the client sent count where they are readable: `[]` and `[{}]` reset them, absent, null or unreadable
/// ones leave the live object's in force, as all do on a subresource. An object without managedFields stays without.
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
        let writer = request.manager_id(ManagedFieldsOperation::Update);
        track_update(
            &mut managed,
            live.unwrap_or(&nothing),
            &new,
            writer,
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
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The entries from which to go on: the client's where it may set them and they can be read, else the live object's.
fn effective_entries(live: Option<&Value>, sent: Option<&Value>, request: &TrackingRequest<'_>) -> ManagedFields {
    // What cannot be read protects nobody: such an object is tracked afresh.
    let of_live = || ManagedFields::parse(live.and_then(managed_fields)).unwrap_or_default();
    if request.subresource.is_some_and(|name| !name.is_empty()) {
        return of_live();
    }
    match sent {
        Some(Value::Array(entries)) if is_reset(entries) => ManagedFields::default(),
        sent => match ManagedFields::parse(sent) {
            Ok(sent) if !sent.entries.is_empty() => sent,
            _ => of_live(),
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

/// Notes in `managed` that `writer` replaced `old` by `new`.
pub(crate) fn track_update(
    managed: &mut ManagedFields,
    old: &Value,
    new: &Value,
    writer: ManagerId,
    request: &TrackingRequest<'_>,
) {
    let ignored = FieldSet::from_paths(request.reset_fields);
    reconcile_entries(managed, request);
    let changes = ObjectComparison::between(&request.object_type.root, old, new).exclude_fields(&ignored);
    remove_from_others(managed, old, new, &changes, None, request);

    let taken = strip_untracked(
        changes
            .modified
            .union(&changes.added)
            .recursive_difference(&ignored),
    );
    if !taken.is_empty() {
        let before = managed.remove(&writer, request.api_version);
        managed.insert(ManagedFieldsEntry {
            set: before.map_or(taken.clone(), |before| before.set.union(&taken)),
            manager: writer,
            api_version: request.api_version.to_owned(),
            time: Some(request.now.to_owned()),
        });
    }
    cap_updaters(managed);
}

/// Adapts the entries to the types of today, and drops those at versions that are no more.
pub(crate) fn reconcile_entries(managed: &mut ManagedFields, request: &TrackingRequest<'_>) {
    managed.entries.retain_mut(|entry| {
        let Some(types) = request.object_type_at(&entry.api_version) else {
            return false;
        };
        if let Some(set) = track::reconcile_set(&types.root, &entry.set) {
            entry.set = set;
        }
        true
    });
}

/// Takes what has changed from everybody but `except`. `changes` is the comparison at the version of the request.
pub(crate) fn remove_from_others(
    managed: &mut ManagedFields,
    old: &Value,
    new: &Value,
    changes: &ObjectComparison,
    except: Option<&ManagerId>,
    request: &TrackingRequest<'_>,
) {
    let mut at_versions = ComparisonCache::new(old, new, changes, request);
    managed.entries.retain_mut(|entry| {
        if Some(&entry.manager) == except {
            return true;
        }
        let Some(lost) = at_versions.changed(&entry.api_version) else {
            return false;
        };
        entry.set.remove_all(&lost.0);
        entry.set.remove_all(&lost.1);
        !entry.set.is_empty()
    });
}

/// The changes of one write as each version sees them: what was changed or added, and what was removed.
pub(crate) struct ComparisonCache<'a> {
    old: &'a Value,
    new: &'a Value,
    request: &'a TrackingRequest<'a>,
    ignored: FieldSet,
    known: Vec<(String, (FieldSet, FieldSet))>,
}

impl<'a> ComparisonCache<'a> {
    pub(crate) fn new(
        old: &'a Value,
        new: &'a Value,
        changes: &ObjectComparison,
        request: &'a TrackingRequest<'a>,
    ) -> Self {
        let own = (
            changes.modified.union(&changes.added),
            changes.removed.clone(),
        );
        Self {
            old,
            new,
            request,
            ignored: FieldSet::from_paths(request.reset_fields),
            known: vec![(request.api_version.to_owned(), own)],
        }
    }

    /// What was changed or added, and what was removed; none at a version that is no more.
    pub(crate) fn changed(&mut self, api_version: &str) -> Option<&(FieldSet, FieldSet)> {
        let at = match self
            .known
            .iter()
            .position(|(version, _)| version == api_version)
        {
            Some(at) => at,
            None => {
                let types = self.request.object_type_at(api_version)?;
                let changes =
                    ObjectComparison::between(&types.root, self.old, self.new).exclude_fields(&self.ignored);
                let changed = (changes.modified.union(&changes.added), changes.removed);
                self.known.push((api_version.to_owned(), changed));
                self.known.len() - 1
            }
        };
        self.known.get(at).map(|(_, changed)| changed)
    }
}

/// What nobody owns: the type, the identity and the system's own notes.
static UNTRACKED_FIELDS: LazyLock<FieldSet> = LazyLock::new(|| {
    const OF_METADATA: [&str; 9] = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let root = ["apiVersion", "kind", "metadata"].map(|name| FieldPath::from_fields(&[name]));
    let metadata = OF_METADATA.map(|name| FieldPath::from_fields(&["metadata", name]));
    FieldSet::from_paths(&[root.as_slice(), metadata.as_slice()].concat())
});

/// The set without what nobody owns.
pub(crate) fn strip_untracked(mut set: FieldSet) -> FieldSet {
    set.remove_all(&UNTRACKED_FIELDS);
    set
}

/// Puts the oldest entries of updaters together until there are no more than [`MAX_UPDATERS`].
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
    // The first entry of a version waits here until a second one makes a bucket of both.
    let mut first_of: Vec<(String, ManagerId)> = Vec::new();
    let mut left = updaters.len();
    for (time, manager, version) in updaters {
        if left <= MAX_UPDATERS {
            break;
        }
        let Some((_, first)) = first_of.iter().find(|(seen, _)| *seen == version) else {
            first_of.push((version, manager));
            continue;
        };
        let mut set = FieldSet::default();
        for writer in [first, &bucket, &manager] {
            if let Some(entry) = managed.remove(writer, &version) {
                set = set.union(&entry.set);
            }
        }
        managed.entries.push(ManagedFieldsEntry {
            manager: bucket.clone(),
            api_version: version,
            time,
            set,
        });
        left -= 1;
    }
}
