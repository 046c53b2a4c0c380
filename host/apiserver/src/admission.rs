//! The hook by which whoever embeds the server refuses writes for reasons of
//! its own.

use std::fmt::Debug;

use serde_json::Value;

use crate::user::UserInfo;

/// What a write does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionOperation {
    /// A new object, also by apply or by a PUT that creates.
    Create,
    /// A change by update, patch or apply, also of a subresource.
    Update,
    /// A deletion, also as one of a collection or by garbage collection.
    Delete,
}

/// A write that is about to be committed, or tried out by a dry run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AdmissionRequest<'a> {
    /// Who writes.
    pub user: &'a UserInfo,
    /// What the write does.
    pub operation: AdmissionOperation,
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Plural of the resource.
    pub resource: &'a str,
    /// Subresource, such as `status`.
    pub subresource: Option<&'a str>,
    /// Namespace; nothing for an object without one.
    pub namespace: Option<&'a str>,
    /// Name of the object. Empty when a collection is deleted: that is asked
    /// first, then each object of it.
    pub name: &'a str,
    /// The object as it will be stored; nothing for a deletion.
    pub object: Option<&'a Value>,
    /// The object as it is stored; nothing for a creation.
    pub old_object: Option<&'a Value>,
    /// Nothing is stored in the end.
    pub dry_run: bool,
}

/// Decides whether a write may take place.
///
/// Called in the request's own task and, when others change the object
/// meanwhile, again: it must be quick and must not block.
pub trait AdmissionPolicy: Debug + Send + Sync {
    /// # Errors
    /// A sentence for the client that says what to do instead; it follows
    /// `RESOURCE "NAME" is forbidden: ` in a Status of code 403.
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), String>;
}
