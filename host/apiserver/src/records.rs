//! Stored objects as the server's own controllers meet them: read, marked and
//! removed in their stored form, whatever the version or the kind.
//!
//! No policy is asked and nothing is validated: what the controllers do follows
//! from a deletion that was let in, and must not get stuck on an object that
//! today's rules would refuse.

use std::sync::Arc;

use rdd_apiserver_storage::{
    CommitError, RecordChange, StoreSnapshot, StoredRecord, WritePrecondition,
};
use serde::Deserialize as _;
use serde_json::Value;

use crate::clock;
use crate::encode::Storable;
use crate::meta;
use crate::server::ServerState;
use crate::verbs::delete;

/// Commits of a controller that may wait for their batch together: enough to
/// fill a batch, so that clearing up costs one sync for many objects.
pub(crate) const MAX_CONCURRENT_COMMITS: usize = 64;

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemovalOutcome {
    /// It is gone.
    Removed,
    /// It is there, and finalizers keep it.
    Kept,
}

/// Why an object was left as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// What is stored is not JSON: a damaged database.
    #[error("stored object {key} cannot be read: {source}")]
    Unreadable {
        /// Its key.
        key: Arc<str>,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl RecordError {
    /// Somebody else wrote the object meanwhile: its event will come.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Commit(CommitError::Mismatch(_) | CommitError::Missing)
        )
    }
}

/// Reads stored JSON. Its depth was limited when it was written, so none is
/// set here: what could be stored once can always be read.
pub(crate) fn parse(stored: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(stored);
    deserializer.disable_recursion_limit();
    let value = Value::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A record as an object without its type.
pub(crate) fn read(record: &StoredRecord) -> Result<Value, RecordError> {
    parse(&record.value).map_err(|source| RecordError::Unreadable {
        key: Arc::clone(&record.key),
        source,
    })
}

/// Whether anything keeps an object that is being deleted: finalizers of its
/// metadata, or of a namespace's specification.
fn has_finalizers(object: &Value) -> bool {
    let of_spec = object
        .pointer("/spec/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    !meta::finalizers(object).is_empty() || of_spec
}

/// Replaces a record by an edited form; one that is being deleted goes with
/// its last finalizer. `namespace` says that `spec.finalizers` counts too.
pub(crate) async fn replace(
    server: &ServerState,
    record: &StoredRecord,
    object: &Value,
    namespace: bool,
) -> Result<RemovalOutcome, RecordError> {
    let kept = if namespace {
        has_finalizers(object)
    } else {
        !meta::finalizers(object).is_empty()
    };
    let gone = meta::terminating(object) && !kept;
    let storable = Storable::new(object);
    let change = if gone {
        RecordChange::delete(move |revision| storable.at(revision))
    } else {
        RecordChange::put(move |revision| storable.at(revision))
    };
    server
        .store
        .commit(
            &record.key,
            WritePrecondition::Revision(record.revision),
            change,
        )
        .await?;
    Ok(if gone {
        RemovalOutcome::Removed
    } else {
        RemovalOutcome::Kept
    })
}

/// Deletes an object that has a namespace, or marks it when finalizers keep it.
pub(crate) async fn remove(
    server: &ServerState,
    record: &StoredRecord,
) -> Result<RemovalOutcome, RecordError> {
    let mut object = read(record)?;
    let kept = !meta::finalizers(&object).is_empty();
    if kept && meta::terminating(&object) {
        return Ok(RemovalOutcome::Kept);
    }
    if kept {
        delete::mark(&mut object, &clock::seconds((server.clock)()), true);
    }
    let storable = Storable::new(&object);
    let change = if kept {
        RecordChange::put(move |revision| storable.at(revision))
    } else {
        RecordChange::delete(move |revision| storable.at(revision))
    };
    let expect = WritePrecondition::Revision(record.revision);
    match server.store.commit(&record.key, expect, change).await {
        Ok(_) if kept => Ok(RemovalOutcome::Kept),
        Ok(_) | Err(CommitError::Missing) => Ok(RemovalOutcome::Removed),
        Err(error) => Err(error.into()),
    }
}

/// `group/plural/` of everything that is stored, served or not.
pub(crate) fn key_prefixes(snapshot: &StoreSnapshot) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut after: Option<String> = None;
    while let Some(key) = next_key(snapshot, after.as_deref()) {
        let end = key.match_indices('/').nth(1).map(|(at, _)| at + 1);
        let Some(prefix) = end.and_then(|end| key.get(..end)) else {
            // No key of ours: passed over.
            after = Some(key.to_string());
            continue;
        };
        out.push(prefix.to_owned());
        // Behind every key that begins with the prefix.
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
