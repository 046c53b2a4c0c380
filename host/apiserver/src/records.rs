//! Stored objects for the controllers: read, marked as terminating, and removed
//! in their stored form, whatever their kind and version.
//!
//! No policy is called and nothing is validated: the controllers carry out a
//! deletion that was admitted, and must not get stuck on an object that the
//! current rules would refuse.

use std::sync::Arc;

use rdd_apiserver_storage::{
    CommitError, RecordChange, StoreSnapshot, StoredRecord, WritePrecondition,
};
use serde::Deserialize as _;
use serde_json::Value;

use crate::encode::EncodedObject;
use crate::meta;
use crate::server::ServerState;
use crate::timestamp;
use crate::verbs::delete;

/// The maximum number of concurrent commits of a controller: enough to fill a
/// batch, so that deleting many objects takes one sync.
pub(crate) const MAX_CONCURRENT_COMMITS: usize = 64;

/// The outcome of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemovalOutcome {
    /// The object was removed.
    Removed,
    /// Finalizers keep the object.
    Kept,
}

/// An error of reading, replacing, or removing a stored object.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The stored bytes are not JSON, which means a damaged database.
    #[error("stored object {key} cannot be read: {error}")]
    Unreadable {
        /// The key of the object.
        key: Arc<str>,
        /// The error of the parser.
        error: serde_json::Error,
    },
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl RecordError {
    /// Returns whether the object was changed meanwhile. The event of that
    /// change follows.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Commit(CommitError::Mismatch(_) | CommitError::Missing)
        )
    }
}

/// Parses stored JSON. Its depth was limited when it was written, so there is
/// no limit here: what was stored can always be read.
pub(crate) fn parse(stored: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(stored);
    deserializer.disable_recursion_limit();
    let value = Value::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Returns the object of a record, without its type.
pub(crate) fn read(record: &StoredRecord) -> Result<Value, RecordError> {
    parse(&record.value).map_err(|error| RecordError::Unreadable {
        key: Arc::clone(&record.key),
        error,
    })
}

/// Returns whether finalizers keep a terminating object: those in its metadata,
/// or in the spec of a namespace.
fn has_finalizers(object: &Value) -> bool {
    let has_spec_finalizers = object
        .pointer("/spec/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    !meta::finalizers(object).is_empty() || has_spec_finalizers
}

/// Returns the change that removes an object instead of storing what ended its
/// deletion, as upstream: watchers get it as it was before.
pub(crate) fn removal(record: &StoredRecord) -> Result<RecordChange, RecordError> {
    let stored = EncodedObject::new(&read(record)?);
    Ok(RecordChange::delete(move |revision| {
        stored.at_revision(revision)
    }))
}

/// Replaces an object, or removes it if it is terminating and has no finalizers
/// any more. With `is_namespace`, `spec.finalizers` count as well.
pub(crate) async fn replace(
    server: &ServerState,
    record: &StoredRecord,
    object: &Value,
    is_namespace: bool,
) -> Result<RemovalOutcome, RecordError> {
    let is_kept = if is_namespace {
        has_finalizers(object)
    } else {
        !meta::finalizers(object).is_empty()
    };
    let is_removed = meta::is_terminating(object) && !is_kept;
    let change = if is_removed {
        removal(record)?
    } else {
        let storable = EncodedObject::new(object);
        RecordChange::put(move |revision| storable.at_revision(revision))
    };
    server
        .store
        .commit(
            &record.key,
            WritePrecondition::Revision(record.revision),
            change,
        )
        .await?;
    Ok(if is_removed {
        RemovalOutcome::Removed
    } else {
        RemovalOutcome::Kept
    })
}

/// Removes an object, or marks it as terminating if it has finalizers.
pub(crate) async fn remove(
    server: &ServerState,
    record: &StoredRecord,
) -> Result<RemovalOutcome, RecordError> {
    let mut object = read(record)?;
    let is_kept = !meta::finalizers(&object).is_empty();
    if is_kept && meta::is_terminating(&object) {
        return Ok(RemovalOutcome::Kept);
    }
    if is_kept {
        delete::mark_terminating(
            &mut object,
            &timestamp::rfc3339_seconds(server.clock.now()),
            true,
        );
    }
    let storable = EncodedObject::new(&object);
    let change = if is_kept {
        RecordChange::put(move |revision| storable.at_revision(revision))
    } else {
        RecordChange::delete(move |revision| storable.at_revision(revision))
    };
    let precondition = WritePrecondition::Revision(record.revision);
    match server.store.commit(&record.key, precondition, change).await {
        Ok(_) if is_kept => Ok(RemovalOutcome::Kept),
        Ok(_) | Err(CommitError::Missing) => Ok(RemovalOutcome::Removed),
        Err(error) => Err(error.into()),
    }
}

/// Returns the `group/plural/` of all stored objects, whether their resource is
/// served or not.
pub(crate) fn key_prefixes(snapshot: &StoreSnapshot) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut after: Option<String> = None;
    while let Some(key) = next_key(snapshot, after.as_deref()) {
        let end = key.match_indices('/').nth(1).map(|(at, _)| at + 1);
        let Some(prefix) = end.and_then(|end| key.get(..end)) else {
            // Not a key of this server: skip it.
            after = Some(key.to_string());
            continue;
        };
        out.push(prefix.to_owned());
        // After all keys with this prefix.
        after = Some(format!("{prefix}{}", char::MAX));
    }
    out
}

fn next_key(snapshot: &StoreSnapshot, after: Option<&str>) -> Option<Arc<str>> {
    snapshot
        .range("", after)
        .next()
        .map(|record| Arc::clone(&record.key))
}
