//! Brings definitions to life: accepts names, swaps the registry, then
//! publishes `Established`; clears up behind deleted ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdd_apiserver_storage::{
    CommitError, EventKind, RecordChange, StoreEvent, StoreWatch, StoredRecord, WritePrecondition,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::conditions::{self, NameConflict};
use super::{CLEANUP_FINALIZER, KEY_PREFIX, name_conflicts, served_versions};
use crate::clock;
use crate::controller_loop::{StoreController, run_controller};
use crate::encode::Storable;
use crate::limits;
use crate::meta;
use crate::registry::ResourceRegistry;
use crate::resource::ServedResource;
use crate::server::ServerState;
use crate::tasks::ControllerHandle;

/// One definition as the controller knows it.
pub(super) struct DefinitionState {
    pub(super) revision: u64,
    pub(super) uid: String,
    pub(super) terminating: bool,
    /// Somebody else has the names that it wants.
    pub(super) has_name_conflict: bool,
    pub(super) object: Value,
    pub(super) resources: Vec<Arc<ServedResource>>,
}

/// What brings definitions to life.
pub(super) struct DefinitionController {
    pub(super) server: Arc<ServerState>,
    pub(super) builtin: Vec<Arc<ServedResource>>,
    pub(super) definitions: HashMap<String, DefinitionState>,
    /// Definitions whose status is to be written again, and why that failed.
    failed: BTreeMap<String, String>,
}

/// Serves what is defined, then follows the definitions until `stop`.
pub(crate) async fn start(
    server: &Arc<ServerState>,
    stop: CancellationToken,
) -> Result<ControllerHandle, String> {
    let mut controller = DefinitionController {
        server: Arc::clone(server),
        builtin: crate::builtin::resources(),
        definitions: HashMap::new(),
        failed: BTreeMap::new(),
    };
    let watch = controller.relist().await?;
    Ok(tokio::spawn(run_controller(controller, watch, stop)))
}

/// The resources of a definition. One whose new names are refused keeps those
/// that it had.
fn served(definition: &Value, refused: bool) -> Result<Vec<Arc<ServedResource>>, String> {
    if !refused {
        return served_versions::resources(definition);
    }
    if !conditions::is_true(definition, "Established") {
        return Ok(Vec::new());
    }
    let mut former = definition.clone();
    if let Some(spec) = former.get_mut("spec").and_then(Value::as_object_mut) {
        let accepted = definition["status"]["acceptedNames"].clone();
        spec.insert("names".to_owned(), accepted);
    }
    served_versions::resources(&former)
}

/// Compiles what a definition of so many bytes serves. The schema of a large
/// one takes its time: not on the threads that serve everybody.
async fn compile(
    definition: Value,
    refused: bool,
    size: usize,
) -> (Value, Result<Vec<Arc<ServedResource>>, String>) {
    let work = move || {
        let resources = served(&definition, refused);
        (definition, resources)
    };
    if size <= limits::LARGE_WRITE_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(compiled) => compiled,
        Err(error) => match error.try_into_panic() {
            // The controller fails as it would have on its own thread.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

impl StoreController for DefinitionController {
    const WATCHED: &'static str = "definitions";

    async fn relist(&mut self) -> Result<StoreWatch, String> {
        let snapshot = self.server.store.snapshot();
        let watch = self
            .server
            .store
            .watch(KEY_PREFIX, snapshot.revision())
            .map_err(|error| error.to_string())?;
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
        let changed = if event.kind == EventKind::Deleted {
            self.definitions.remove(&*event.key).is_some()
        } else {
            self.observe(&event.key, event.revision, &event.value).await
        };
        let revived = if changed {
            self.retry_name_conflicts().await
        } else {
            Vec::new()
        };
        if changed {
            self.publish(event.revision);
        } else {
            self.set_registry_revision(event.revision);
        }
        self.reconcile(&event.key).await;
        for key in revived {
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
    /// Looks again at definitions that are not served: the names that they
    /// want may be free by now. Gives the keys of those that are served from
    /// now on.
    async fn retry_name_conflicts(&mut self) -> Vec<String> {
        let snapshot = self.server.store.snapshot();
        let waiting: Vec<String> = self
            .definitions
            .iter()
            .filter(|(_, known)| known.has_name_conflict)
            .map(|(key, _)| key.clone())
            .collect();
        let mut revived = Vec::new();
        for key in waiting {
            if let Some(record) = snapshot.get(&key)
                && self.observe(&key, record.revision, &record.value).await
            {
                revived.push(key);
            }
        }
        revived
    }

    /// Takes in a definition; true when what is served changes.
    async fn observe(&mut self, key: &str, revision: u64, value: &[u8]) -> bool {
        let object: Value = match crate::records::parse(value) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(key, %error, "a stored definition cannot be read");
                return false;
            }
        };
        let uid = meta::text(&object, "uid").to_owned();
        let terminating = meta::terminating(&object);
        let refused = self.name_conflict(key, &object).is_some();
        if let Some(known) = self.definitions.get_mut(key)
            && known.uid == uid
            // Not by generation: a delete moves that too.
            && known.object["spec"] == object["spec"]
            && known.has_name_conflict == refused
        {
            // Watches go on: they are to see the objects vanish.
            for custom in known.resources.iter().filter_map(|r| r.custom()) {
                custom.terminating.store(terminating, Ordering::Relaxed);
                custom
                    .definition_revision
                    .store(revision, Ordering::Release);
            }
            known.terminating = terminating;
            known.revision = revision;
            known.object = object;
            return false;
        }
        let (object, resources) = compile(object, refused, value.len()).await;
        let resources = resources.unwrap_or_else(|error| {
            tracing::error!(key, %error, "a stored definition cannot be served");
            Vec::new()
        });
        self.definitions.insert(
            key.to_owned(),
            DefinitionState {
                revision,
                uid,
                terminating,
                has_name_conflict: refused,
                object,
                resources,
            },
        );
        true
    }

    /// Why a definition cannot have its names.
    fn name_conflict(&self, key: &str, definition: &Value) -> Option<NameConflict> {
        let builtin = self.builtin.iter().map(|resource| &resource.kind);
        let others = self
            .definitions
            .iter()
            .filter(|(other, _)| *other != key)
            .flat_map(|(_, known)| known.resources.iter().map(|resource| &resource.kind));
        name_conflicts::conflict(definition, builtin.chain(others))
    }

    /// Swaps the registry for one that serves what is known now.
    fn publish(&self, revision: u64) {
        let mut resources = self.builtin.clone();
        resources.extend(
            self.definitions
                .values()
                .flat_map(|known| known.resources.iter().cloned()),
        );
        let listed = crate::builtin::discovery_only_kinds();
        self.server
            .registry
            .store(Arc::new(ResourceRegistry::new(resources, listed)));
        self.set_registry_revision(revision);
    }

    fn set_registry_revision(&self, revision: u64) {
        self.server
            .registry_revision
            .send_modify(|seen| *seen = (*seen).max(revision));
    }

    /// Does what a definition needs next; what cannot be written now is tried
    /// again.
    pub(super) async fn reconcile(&mut self, key: &str) {
        let before = self.failed.remove(key);
        self.reconcile_once(key).await;
        if let Some(error) = self.failed.get(key)
            && before.as_ref() != Some(error)
        {
            tracing::error!(
                key,
                error,
                "the status of a definition cannot be written, trying again"
            );
        }
    }

    async fn reconcile_once(&mut self, key: &str) {
        let Some(known) = self.definitions.get(key) else {
            return;
        };
        if known.terminating {
            if meta::finalizers(&known.object).contains(&CLEANUP_FINALIZER) {
                self.finalize(key).await;
            }
            return;
        }
        let mut object = known.object.clone();
        let now = clock::seconds((self.server.clock)());
        conditions::update_status(&mut object, self.name_conflict(key, &known.object), &now);
        if object["status"] != known.object["status"] {
            let revision = known.revision;
            self.write(key, revision, &object).await;
        }
    }

    pub(super) async fn write(&mut self, key: &str, revision: u64, object: &Value) {
        let storable = Storable::new(object);
        let change = RecordChange::put(move |revision| storable.at(revision));
        match self
            .server
            .store
            .commit(key, WritePrecondition::Revision(revision), change)
            .await
        {
            // The event of this very write brings the new form.
            Ok(_) => {}
            // Somebody else wrote: their event comes and starts this anew.
            Err(CommitError::Mismatch(_) | CommitError::Missing) => {}
            Err(error) => {
                self.failed.insert(key.to_owned(), error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
