//! Finalizing of definitions that are being deleted.

use std::sync::Arc;

use futures::StreamExt as _;
use rdd_apiserver_storage::{CommitError, RecordChange, StoredRecord, WritePrecondition};
use serde_json::Value;

use super::controller::DefinitionController;
use crate::controllers::record_writes::{self, MAX_CONCURRENT_COMMITS, RemovalOutcome};
use crate::definition::{CLEANUP_FINALIZER, set_condition};
use crate::encode::EncodedObject;
use crate::meta;
use crate::resource;
use crate::timestamp;

impl DefinitionController {
    /// Returns whether there are terminating definitions.
    pub(super) fn has_terminating(&self) -> bool {
        self.definitions.values().any(|state| state.terminating)
    }

    /// Reconciles all terminating definitions.
    pub(super) async fn reconcile_terminating(&mut self) {
        let keys: Vec<String> = self
            .definitions
            .iter()
            .filter(|(_, state)| state.terminating)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.reconcile(&key).await;
        }
    }

    /// Deletes the objects of a terminating definition, then removes the
    /// finalizer from it.
    pub(super) async fn finalize(&mut self, key: &str) {
        let Some(state) = self.definitions.get(key) else {
            return;
        };
        let (mut object, revision) = (state.object.clone(), state.revision);
        let spec = &object["spec"];
        let (Some(group), Some(plural)) =
            (spec["group"].as_str(), spec["names"]["plural"].as_str())
        else {
            // Validation refuses such a definition. If there were one, its
            // objects could not be distinguished from those of a built-in
            // kind.
            tracing::error!(key, "cannot finalize a definition without group or plural");
            return;
        };
        let prefix = resource::key_prefix(group, plural);
        let snapshot = self.server.store.snapshot();
        let remaining = self
            .delete_instances(snapshot.range(&prefix, None).cloned().collect())
            .await;
        let now = timestamp::rfc3339_seconds(self.server.clock.now());
        if remaining > 0 {
            set_condition(
                &mut object["status"],
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                "CustomResource deletion is in progress",
                &now,
            );
            if object["status"] != state.object["status"] {
                self.write(key, revision, &object).await;
            }
            return;
        }
        set_condition(
            &mut object["status"],
            "Terminating",
            "False",
            "InstanceDeletionCompleted",
            "removed all instances",
            &now,
        );
        meta::edit(&mut object, |meta| {
            if let Some(list) = meta.get_mut("finalizers").and_then(Value::as_array_mut) {
                list.retain(|finalizer| finalizer != CLEANUP_FINALIZER);
            }
        });
        if !meta::finalizers(&object).is_empty() {
            self.write(key, revision, &object).await;
            return;
        }
        let storable = EncodedObject::new(&object);
        let change = RecordChange::delete(move |revision| storable.at_revision(revision));
        match self
            .server
            .store
            .commit(key, WritePrecondition::Revision(revision), change)
            .await
        {
            Ok(_) | Err(CommitError::Mismatch(_) | CommitError::Missing) => {}
            Err(error) => tracing::error!(key, %error, "cannot delete a definition"),
        }
    }

    /// Deletes objects or marks them as terminating. Returns how many remain.
    async fn delete_instances(&self, objects: Vec<Arc<StoredRecord>>) -> usize {
        let server = &self.server;
        futures::stream::iter(objects)
            .map(|record| async move {
                match record_writes::remove(server, &record).await {
                    Ok(outcome) => usize::from(outcome == RemovalOutcome::Kept),
                    Err(error) => {
                        if !error.is_conflict() {
                            tracing::error!(key = %record.key, %error, "cannot delete an object of a deleted definition");
                        }
                        1
                    }
                }
            })
            .buffer_unordered(MAX_CONCURRENT_COMMITS)
            .fold(0, |remaining, kept| async move { remaining + kept })
            .await
    }
}
