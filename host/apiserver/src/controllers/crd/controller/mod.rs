//! The controller of CustomResourceDefinitions: it accepts names, swaps the
//! registry, then sets the condition `Established`, and finalizes deleted
//! definitions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdd_apiserver_storage::{
    CommitError, EventKind, RecordChange, StoreEvent, StoreWatch, StoredRecord, WatchError,
    WritePrecondition,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::name_conflicts::{self, NameConflict};
use super::served_versions::DefinitionError;
use super::{conditions, served_versions};
use crate::blocking_work::run_blocking;
use crate::controllers::controller_loop::{StoreController, run_controller};
use crate::definition::{CLEANUP_FINALIZER, KEY_PREFIX};
use crate::encode::EncodedObject;
use crate::limits;
use crate::meta;
use crate::records;
use crate::registry::ResourceRegistry;
use crate::resource::ServedResource;
use crate::server_state::ServerState;
use crate::tasks::{ControllerHandle, ServerTask, spawn_controller};
use crate::timestamp;

/// The observed state of one definition.
pub(super) struct DefinitionState {
    pub(super) revision: u64,
    pub(super) uid: String,
    pub(super) terminating: bool,
    /// Another kind has one of the names in its spec.
    pub(super) has_name_conflict: bool,
    pub(super) object: Value,
    pub(super) resources: Vec<Arc<ServedResource>>,
}

/// The controller of CustomResourceDefinitions.
pub(super) struct DefinitionController {
    pub(super) server: Arc<ServerState>,
    pub(super) builtin: Vec<Arc<ServedResource>>,
    pub(super) definitions: HashMap<String, DefinitionState>,
    /// Definitions whose status must be written again, and the last error.
    failed: BTreeMap<String, String>,
}

/// Starts the controller. On return, all definitions in the store are served.
pub(crate) async fn start(
    server: &Arc<ServerState>,
    shutdown: CancellationToken,
) -> Result<ControllerHandle, WatchError> {
    let mut controller = DefinitionController {
        server: Arc::clone(server),
        builtin: crate::builtin_resources::resources(),
        definitions: HashMap::new(),
        failed: BTreeMap::new(),
    };
    let watch = controller.relist().await?;
    Ok(spawn_controller(
        ServerTask::DefinitionController,
        run_controller(controller, watch, shutdown),
    ))
}

/// Returns the resources of a definition. A definition whose new names are
/// refused keeps its accepted names.
fn served_resources(
    definition: &Value,
    has_name_conflict: bool,
) -> Result<Vec<Arc<ServedResource>>, DefinitionError> {
    if !has_name_conflict {
        return served_versions::resources(definition);
    }
    if !conditions::is_true(definition, "Established") {
        return Ok(Vec::new());
    }
    let mut accepted = definition.clone();
    if let Some(spec) = accepted.get_mut("spec").and_then(Value::as_object_mut) {
        let names = definition["status"]["acceptedNames"].clone();
        spec.insert("names".to_owned(), names);
    }
    served_versions::resources(&accepted)
}

/// Compiles the resources of a definition of `size` bytes. Compiling the
/// schema of a large one takes a while, so it runs on a blocking thread.
async fn compile(
    definition: Value,
    has_name_conflict: bool,
    size: usize,
) -> (Value, Result<Vec<Arc<ServedResource>>, DefinitionError>) {
    let work = move || {
        let resources = served_resources(&definition, has_name_conflict);
        (definition, resources)
    };
    if size <= limits::LARGE_WRITE_BYTES {
        return work();
    }
    run_blocking(work).await
}

impl StoreController for DefinitionController {
    const WATCHED: &'static str = "definitions";

    async fn relist(&mut self) -> Result<StoreWatch, WatchError> {
        let snapshot = self.server.store.snapshot();
        let watch = self.server.store.watch(KEY_PREFIX, snapshot.revision())?;
        let records: Vec<Arc<StoredRecord>> = snapshot.range(KEY_PREFIX, None).cloned().collect();
        self.definitions
            .retain(|key, _| records.iter().any(|record| *record.key == **key));
        for record in &records {
            self.observe(&record.key, record.revision, &record.value)
                .await;
        }
        self.publish(snapshot.revision());
        for record in &records {
            self.reconcile(&record.key).await;
        }
        Ok(watch)
    }

    async fn handle_event(&mut self, event: &StoreEvent) {
        let is_changed = if event.kind == EventKind::Deleted {
            self.definitions.remove(&*event.key).is_some()
        } else {
            self.observe(&event.key, event.revision, &event.value).await
        };
        let newly_served = if is_changed {
            self.retry_name_conflicts().await
        } else {
            Vec::new()
        };
        if is_changed {
            self.publish(event.revision);
        } else {
            self.set_registry_revision(event.revision);
        }
        self.reconcile(&event.key).await;
        for key in newly_served {
            self.reconcile(&key).await;
        }
    }

    fn has_pending_work(&self) -> bool {
        self.has_terminating() || !self.failed.is_empty()
    }

    async fn retry_pending(&mut self) {
        self.reconcile_terminating().await;
        let failed: Vec<String> = self.failed.keys().cloned().collect();
        for key in failed {
            self.reconcile(&key).await;
        }
    }
}

impl DefinitionController {
    /// Observes definitions with a name conflict again, because their names
    /// may be free now. Returns the keys of those that are served from now on.
    async fn retry_name_conflicts(&mut self) -> Vec<String> {
        let snapshot = self.server.store.snapshot();
        let refused: Vec<String> = self
            .definitions
            .iter()
            .filter(|(_, state)| state.has_name_conflict)
            .map(|(key, _)| key.clone())
            .collect();
        let mut newly_served = Vec::new();
        for key in refused {
            if let Some(record) = snapshot.get(&key)
                && self.observe(&key, record.revision, &record.value).await
            {
                newly_served.push(key);
            }
        }
        newly_served
    }

    /// Records the new state of a definition. Returns whether the served
    /// resources change.
    async fn observe(&mut self, key: &str, revision: u64, value: &[u8]) -> bool {
        let object: Value = match records::parse(value) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(key, %error, "cannot read a stored definition");
                return false;
            }
        };
        let uid = meta::text(&object, "uid").to_owned();
        let terminating = meta::is_terminating(&object);
        let has_name_conflict = self.name_conflict(key, &object).is_some();
        if let Some(state) = self.definitions.get_mut(key)
            && state.uid == uid
            // Not by generation, which a delete increases as well.
            && state.object["spec"] == object["spec"]
            && state.has_name_conflict == has_name_conflict
        {
            // The resources stay the same, so that their watches continue and
            // return the deletion of the objects.
            for custom in state.resources.iter().filter_map(|r| r.custom()) {
                custom.terminating.store(terminating, Ordering::Relaxed);
                custom
                    .definition_revision
                    .store(revision, Ordering::Release);
            }
            state.terminating = terminating;
            state.revision = revision;
            state.object = object;
            return false;
        }
        let (object, resources) = compile(object, has_name_conflict, value.len()).await;
        let resources = resources.unwrap_or_else(|error| {
            tracing::error!(key, %error, "cannot serve a stored definition");
            Vec::new()
        });
        self.definitions.insert(
            key.to_owned(),
            DefinitionState {
                revision,
                uid,
                terminating,
                has_name_conflict,
                object,
                resources,
            },
        );
        true
    }

    /// Returns the conflict of a definition's names with other kinds.
    fn name_conflict(&self, key: &str, definition: &Value) -> Option<NameConflict> {
        let builtin = self.builtin.iter().map(|resource| &resource.kind);
        let others = self
            .definitions
            .iter()
            .filter(|(other, _)| *other != key)
            .flat_map(|(_, state)| state.resources.iter().map(|resource| &resource.kind));
        name_conflicts::find(definition, builtin.chain(others))
    }

    /// Swaps the registry for one with the current resources.
    fn publish(&self, revision: u64) {
        let mut resources = self.builtin.clone();
        resources.extend(
            self.definitions
                .values()
                .flat_map(|state| state.resources.iter().cloned()),
        );
        let discovery_only = crate::builtin_resources::discovery_only_kinds();
        self.server
            .registry
            .store(Arc::new(ResourceRegistry::new(resources, discovery_only)));
        self.set_registry_revision(revision);
    }

    fn set_registry_revision(&self, revision: u64) {
        self.server
            .registry_revision
            .send_modify(|current| *current = (*current).max(revision));
    }

    /// Does the next step for a definition. A failed write is retried later.
    pub(super) async fn reconcile(&mut self, key: &str) {
        let before = self.failed.remove(key);
        self.reconcile_once(key).await;
        if let Some(error) = self.failed.get(key)
            && before.as_ref() != Some(error)
        {
            tracing::error!(
                key,
                error,
                "cannot write the status of a definition; trying again"
            );
        }
    }

    async fn reconcile_once(&mut self, key: &str) {
        let Some(state) = self.definitions.get(key) else {
            return;
        };
        if state.terminating {
            if meta::finalizers(&state.object).contains(&CLEANUP_FINALIZER) {
                self.finalize(key).await;
            }
            return;
        }
        let mut object = state.object.clone();
        let now = timestamp::rfc3339_seconds(self.server.clock.now());
        conditions::update_status(&mut object, self.name_conflict(key, &state.object), &now);
        if object["status"] != state.object["status"] {
            let revision = state.revision;
            self.write(key, revision, &object).await;
        }
    }

    pub(super) async fn write(&mut self, key: &str, revision: u64, object: &Value) {
        let storable = EncodedObject::new(object);
        let change = RecordChange::put(move |revision| storable.at_revision(revision));
        match self
            .server
            .store
            .commit(key, WritePrecondition::Revision(revision), change)
            .await
        {
            // The event of this write brings the new state.
            Ok(_) => {}
            // The event of the other write reconciles the definition again.
            Err(CommitError::Mismatch(_) | CommitError::Missing) => {}
            Err(error) => {
                self.failed.insert(key.to_owned(), error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
