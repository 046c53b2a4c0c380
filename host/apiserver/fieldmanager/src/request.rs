//! The write that is tracked: its manager, its time, and the types that it uses.

use serde_json::Value;

use crate::managed_fields::{ManagedFieldsOperation, ManagerId};
use crate::path::FieldPath;
use crate::types::ObjectType;

/// Everything that tracking a write needs besides the objects.
#[derive(Clone, Copy, Debug)]
pub struct TrackingRequest<'a> {
    /// The manager's name: `fieldManager`, or the name that the caller derives from the user agent.
    pub manager: &'a str,
    /// The `apiVersion` of the objects passed with this request.
    pub api_version: &'a str,
    /// The subresource that is written, if any.
    pub subresource: Option<&'a str>,
    /// The current time: RFC 3339 in UTC, with whole seconds.
    pub now: &'a str,
    /// The types of the kind in `api_version`.
    pub object_type: &'a ObjectType,
    /// Every version in which the kind is served, with its types. Entries of other versions are
    /// dropped. If empty, `object_type` applies to all versions.
    pub versions: &'a [(&'a str, &'a ObjectType)],
    /// The object of the kind in which no field is set, if that is not an empty one: kinds that are
    /// Go structures always have some fields. What an object has in common with it has no owner.
    pub zero: Option<&'a Value>,
    /// The fields that this write cannot set: it neither changes nor owns them. See
    /// [`crate::reset_fields`].
    pub reset_fields: &'a [FieldPath],
}

impl TrackingRequest<'_> {
    /// Returns the types of a version, or `None` if the kind is no longer served in it.
    pub(crate) fn object_type_at(&self, api_version: &str) -> Option<&ObjectType> {
        if api_version == self.api_version || self.versions.is_empty() {
            return Some(self.object_type);
        }
        self.versions
            .iter()
            .find(|(version, _)| *version == api_version)
            .map(|(_, object_type)| *object_type)
    }

    /// Returns the manager as `managedFields` identifies it.
    pub(crate) fn manager_id(&self, operation: ManagedFieldsOperation) -> ManagerId {
        self.manager_id_named(self.manager, operation)
    }

    /// Returns the ID of another manager that writes the same subresource.
    pub(crate) fn manager_id_named(
        &self,
        name: &str,
        operation: ManagedFieldsOperation,
    ) -> ManagerId {
        ManagerId {
            name: name.to_owned(),
            operation,
            subresource: self.subresource.unwrap_or_default().to_owned(),
        }
    }
}
