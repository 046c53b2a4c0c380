//! Admission policies, with which the embedder restricts writes.

use std::fmt::Debug;

use serde_json::Value;

use crate::user::UserInfo;

/// The operation of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionOperation {
    /// A create, including an apply or a PUT that creates the object.
    Create,
    /// An update, patch, or apply, including those of subresources.
    Update,
    /// A deletion, including those of a collection and by the garbage collector.
    Delete,
}

/// A write before its commit, or before the end of a dry run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AdmissionRequest<'a> {
    /// The user who writes.
    pub user: &'a UserInfo,
    /// The operation.
    pub operation: AdmissionOperation,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural of the resource.
    pub resource: &'a str,
    /// The subresource, such as `status`.
    pub subresource: Option<&'a str>,
    /// The namespace; `None` for a cluster-scoped object.
    pub namespace: Option<&'a str>,
    /// The name of the object. Empty for the deletion of a collection: the
    /// policy is called for the collection first, then for each object.
    pub name: &'a str,
    /// The new object; `None` for a deletion.
    pub object: Option<&'a Value>,
    /// The stored object; `None` for a create.
    pub old_object: Option<&'a Value>,
    /// Whether this is a dry run, which stores nothing.
    pub dry_run: bool,
}

/// The reason why an [`AdmissionPolicy`] refuses a write: a sentence for the
/// client that says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AdmissionError(String);

impl AdmissionError {
    /// Creates the error with the sentence for the client.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A policy that decides whether a write is admitted.
///
/// It is called in the task of the request, and again if the object was changed
/// meanwhile: it must be quick and must not block.
pub trait AdmissionPolicy: Debug + Send + Sync {
    /// Admits or refuses a write.
    ///
    /// # Errors
    /// The reason of a refusal. It follows `RESOURCE "NAME" is forbidden: ` in a
    /// `Status` with code 403.
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), AdmissionError>;
}
