//! Clears up behind definitions that are being deleted.

use std::sync::Arc;

use futures::StreamExt as _;
use rdd_apiserver_storage::{CommitError, RecordChange, StoredRecord, WritePrecondition};
use serde_json::Value;

use super::CLEANUP_FINALIZER;
use super::conditions::set_condition;
use super::controller::DefinitionController;
use crate::clock;
use crate::encode::Storable;
use crate::meta;
use crate::records::{self, RemovalOutcome};
use crate::resource;

impl DefinitionController {
    /// Whether deleted definitions wait for their objects.
    pub(super) fn has_terminating(&self) -> bool {
        self.definitions.values().any(|known| known.terminating)
    }

    /// Looks at all of them again.
    pub(super) async fn reconcile_terminating(&mut self) {
        let keys: Vec<String> = self
            .definitions
            .iter()
            .filter(|(_, known)| known.terminating)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.reconcile(&key).await;
        }
    }

    /// Deletes the objects of a definition that is being deleted, then lets go
    /// of it.
    pub(super) async fn finalize(&mut self, key: &str) {
        let Some(known) = self.definitions.get(key) else {
            return;
        };
        let (mut object, revision) = (known.object.clone(), known.revision);
        let spec = &object["spec"];
        let (Some(group), Some(plural)) =
            (spec["group"].as_str(), spec["names"]["plural"].as_str())
        else {
            // Validation lets no such definition in; were there one, its
            // objects could not be told from a built-in kind's.
            tracing::error!(key, "a definition without group or plural is left as it is");
            return;
        };
        let prefix = resource::key_prefix(group, plural);
        let snapshot = self.server.store.snapshot();
        let left = self
            .delete_instances(snapshot.range(&prefix, None).cloned().collect())
            .await;
        let now = clock::seconds((self.server.clock)());
        if left > 0 {
            set_condition(
                &mut object["status"],
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                "CustomResource deletion is in progress",
                &now,
            );
            if object["status"] != known.object["status"] {
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
        let storable = Storable::new(&object);
        let change = RecordChange::delete(move |revision| storable.at(revision));
        match self
            .server
            .store
            .commit(key, WritePrecondition::Revision(revision), change)
            .await
        {
            Ok(_) | Err(CommitError::Mismatch(_) | CommitError::Missing) => {}
            Err(error) => tracing::error!(key, %error, "a definition cannot be deleted"),
        }
    }

    /// Deletes objects or marks them; says how many are still there.
    async fn delete_instances(&self, objects: Vec<Arc<StoredRecord>>) -> usize {
        let server = &self.server;
        futures::stream::iter(objects)
            .map(|record| async move {
                match records::remove(server, &record).await {
                    Ok(outcome) => usize::from(outcome == RemovalOutcome::Kept),
                    Err(error) => {
                        if !error.is_conflict() {
                            tracing::error!(key = %record.key, %error, "an object of a deleted definition stays");
                        }
                        1
                    }
                }
            })
            .buffer_unordered(records::MAX_CONCURRENT_COMMITS)
            .fold(0, |left, kept| async move { left + kept })
            .await
    }
}
