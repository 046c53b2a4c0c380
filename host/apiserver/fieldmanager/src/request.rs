//! Who writes what when, for tracking.

use crate::managed_fields::{ManagerId, ManagedFieldsOperation};
use crate::path::FieldPath;
use crate::types::ObjectType;

/// What tracking must know of a write besides the objects.
#[derive(Clone, Copy, Debug)]
pub struct TrackingRequest<'a> {
    /// The writer's name: `fieldManager`, or what the caller makes of the user agent.
    pub manager: &'a str,
    /// The `apiVersion` in which the objects are given.
    pub api_version: &'a str,
    /// The subresource that is written to, if any.
    pub subresource: Option<&'a str>,
    /// The current time, RFC 3339 in UTC with whole seconds.
    pub now: &'a str,
    /// The types of the kind in `api_version`.
    pub object_type: &'a ObjectType,
    /// Every version in which the kind is served, with its types; entries at other versions are dropped. Empty: all
    /// versions have the types of this one.
    pub versions: &'a [(&'a str, &'a ObjectType)],
    /// Fields that this write cannot set, and so neither changes nor owns ([`crate::reset_fields`]).
    pub reset_fields: &'a [FieldPath],
}

impl TrackingRequest<'_> {
    /// The types at a version; none if the kind is no longer served in it.
    pub(crate) fn object_type_at(&self, api_version: &str) -> Option<&ObjectType> {
        if api_version == self.api_version || self.versions.is_empty() {
            return Some(self.object_type);
        }
        self.versions
            .iter()
            .find(|(version, _)| *version == api_version)
            .map(|(_, types)| *types)
    }

    /// The writer as managedFields name it.
    pub(crate) fn manager_id(&self, operation: ManagedFieldsOperation) -> ManagerId {
        self.manager_id_named(self.manager, operation)
    }

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
