//! What applies and updates have in common: how a write changes the fields that others own.

use std::sync::LazyLock;

use serde_json::Value;

use crate::compare::ObjectComparison;
use crate::field_set::FieldSet;
use crate::managed_fields::{ManagedFields, ManagerId};
use crate::path::FieldPath;
use crate::reconcile::reconcile_set;
use crate::request::TrackingRequest;

/// The fields that no manager owns: the object's type, its identity, and the metadata that the
/// server sets.
static UNTRACKED_FIELDS: LazyLock<FieldSet> = LazyLock::new(|| {
    const METADATA_FIELDS: [&str; 9] = [
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
    let metadata = METADATA_FIELDS.map(|name| FieldPath::from_fields(&["metadata", name]));
    FieldSet::from_paths(&[root.as_slice(), metadata.as_slice()].concat())
});

/// Removes the fields that no manager owns from the set.
pub(crate) fn strip_untracked(mut set: FieldSet) -> FieldSet {
    set.remove_all(&UNTRACKED_FIELDS);
    set
}

/// Adapts the entries to the current types, and drops those of versions that are no longer served.
pub(crate) fn reconcile_entries(managed: &mut ManagedFields, request: &TrackingRequest<'_>) {
    managed.entries.retain_mut(|entry| {
        let Some(object_type) = request.object_type_at(&entry.api_version) else {
            return false;
        };
        if let Some(set) = reconcile_set(&object_type.root, &entry.set) {
            entry.set = set;
        }
        true
    });
}

/// Removes the changed fields from every manager but `except`. `comparison` is the one at the
/// request's version.
pub(crate) fn remove_from_others(
    managed: &mut ManagedFields,
    old: &Value,
    new: &Value,
    comparison: &ObjectComparison,
    except: Option<&ManagerId>,
    request: &TrackingRequest<'_>,
) {
    let mut comparisons = ComparisonCache::new(old, new, comparison, request);
    managed.entries.retain_mut(|entry| {
        if Some(&entry.manager) == except {
            return true;
        }
        let Some(changes) = comparisons.changes_at(&entry.api_version) else {
            return false;
        };
        entry.set.remove_all(&changes.written);
        entry.set.remove_all(&changes.removed);
        !entry.set.is_empty()
    });
}

/// The changes of one write at one version.
pub(crate) struct VersionChanges {
    /// The fields that were modified or added.
    pub(crate) written: FieldSet,
    /// The fields that were removed.
    pub(crate) removed: FieldSet,
}

impl From<ObjectComparison> for VersionChanges {
    fn from(comparison: ObjectComparison) -> Self {
        Self {
            written: comparison.modified.union(&comparison.added),
            removed: comparison.removed,
        }
    }
}

/// The changes of one write at each version. A version is compared when it is first asked for.
pub(crate) struct ComparisonCache<'a> {
    old: &'a Value,
    new: &'a Value,
    request: &'a TrackingRequest<'a>,
    reset_fields: FieldSet,
    versions: Vec<(String, VersionChanges)>,
}

impl<'a> ComparisonCache<'a> {
    /// Creates a cache that contains the comparison at the request's version.
    pub(crate) fn new(
        old: &'a Value,
        new: &'a Value,
        comparison: &ObjectComparison,
        request: &'a TrackingRequest<'a>,
    ) -> Self {
        Self {
            old,
            new,
            request,
            reset_fields: FieldSet::from_paths(request.reset_fields),
            versions: vec![(request.api_version.to_owned(), comparison.clone().into())],
        }
    }

    /// Returns the changes at a version, or `None` if the kind is no longer served in it.
    pub(crate) fn changes_at(&mut self, api_version: &str) -> Option<&VersionChanges> {
        let index = match self
            .versions
            .iter()
            .position(|(version, _)| version == api_version)
        {
            Some(index) => index,
            None => {
                let object_type = self.request.object_type_at(api_version)?;
                let comparison = ObjectComparison::between(&object_type.root, self.old, self.new)
                    .exclude_fields(&self.reset_fields);
                self.versions
                    .push((api_version.to_owned(), comparison.into()));
                self.versions.len() - 1
            }
        };
        self.versions.get(index).map(|(_, changes)| changes)
    }
}
