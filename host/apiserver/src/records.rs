//! Stored objects, in their stored form, whatever their kind and version.

use std::sync::Arc;

use rdd_apiserver_storage::{CommitError, RecordChange, StoreSnapshot, StoredRecord};
use serde::Deserialize as _;
use serde_json::Value;

use crate::encode::EncodedObject;

/// The prefix of the keys of namespaces.
pub(crate) const NAMESPACE_PREFIX: &str = "core/namespaces/";

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

/// Returns the change that removes an object instead of storing what ended its
/// deletion, as upstream: watchers get it as it was before.
pub(crate) fn removal(record: &StoredRecord) -> Result<RecordChange, RecordError> {
    let stored = EncodedObject::new(&read(record)?);
    Ok(RecordChange::delete(move |revision| {
        stored.at_revision(revision)
    }))
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
