//! Writes of stored objects by the controllers, in their stored form: they are marked
//! as terminating, replaced, and removed, whatever their kind and version.
//!
//! No policy is called and nothing is validated: the controllers carry out a
//! deletion that was admitted, and must not get stuck on an object that the
//! current rules would refuse.

use rdd_apiserver_storage::{CommitError, RecordChange, StoredRecord, WritePrecondition};
use serde_json::Value;

use crate::encode::EncodedObject;
use crate::meta;
use crate::records::{self, RecordError};
use crate::server_state::ServerState;
use crate::timestamp;

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

/// Replaces an object, or removes it if it is terminating and has no finalizers
/// any more. With `is_namespace`, `spec.finalizers` count as well.
pub(crate) async fn replace(
    server: &ServerState,
    record: &StoredRecord,
    object: &Value,
    is_namespace: bool,
) -> Result<RemovalOutcome, RecordError> {
    let is_kept =
        !meta::finalizers(object).is_empty() || (is_namespace && meta::has_spec_finalizers(object));
    let is_removed = meta::is_terminating(object) && !is_kept;
    let change = if is_removed {
        records::removal(record)?
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
    let mut object = records::read(record)?;
    let is_kept = !meta::finalizers(&object).is_empty();
    if is_kept && meta::is_terminating(&object) {
        return Ok(RemovalOutcome::Kept);
    }
    if is_kept {
        meta::mark_terminating(
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
