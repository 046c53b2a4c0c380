//! The controller of policies: it compiles them, publishes the snapshot, and
//! writes their status, with the warnings of type checking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rdd_apiserver_storage::{StoreEvent, StoreSnapshot, StoreWatch, StoredRecord, WatchError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::blocking_work::run_blocking;
use crate::controllers::controller_loop::{StoreController, run_controller};
use crate::controllers::record_writes;
use crate::meta;
use crate::policies::{
    BINDING_PREFIX, BindingEntry, KEY_PREFIX, POLICY_PREFIX, PolicyDefinition, PolicyEntry,
    PolicySnapshot, type_check,
};
use crate::records;
use crate::server_state::ServerState;
use crate::tasks::{ControllerHandle, ServerTask, spawn_controller};

/// A compiled policy, until its spec changes.
struct CompiledEntry {
    uid: String,
    generation: i64,
    policy: Arc<PolicyDefinition>,
}

struct PolicyController {
    server: Arc<ServerState>,
    /// The compiled policies by key.
    compiled: BTreeMap<Arc<str>, CompiledEntry>,
    /// The revision that the published snapshot reflects.
    published_revision: u64,
    /// The keys of the policies whose status must be written.
    pending: BTreeSet<Arc<str>>,
}

/// Starts the controller. On return, all policies in the store are in force.
pub(crate) async fn start(
    server: &Arc<ServerState>,
    shutdown: CancellationToken,
) -> Result<ControllerHandle, WatchError> {
    let mut controller = PolicyController {
        server: Arc::clone(server),
        compiled: BTreeMap::new(),
        published_revision: 0,
        pending: BTreeSet::new(),
    };
    let watch = controller.relist().await?;
    Ok(spawn_controller(
        ServerTask::PolicyController,
        run_controller(controller, watch, shutdown),
    ))
}

impl StoreController for PolicyController {
    const WATCHED: &'static str = "admission policies";

    async fn relist(&mut self) -> Result<StoreWatch, WatchError> {
        let snapshot = self.server.store.snapshot();
        let watch = self.server.store.watch(KEY_PREFIX, snapshot.revision())?;
        self.publish(&snapshot).await;
        Ok(watch)
    }

    async fn handle_event(&mut self, event: &StoreEvent) {
        // One snapshot reflects many events.
        if event.revision > self.published_revision {
            let snapshot = self.server.store.snapshot();
            self.publish(&snapshot).await;
        }
        self.retry_pending().await;
    }

    fn has_pending_work(&self) -> bool {
        !self.pending.is_empty()
    }

    async fn retry_pending(&mut self) {
        for key in std::mem::take(&mut self.pending) {
            if let Err(error) = self.write_status(&key).await {
                tracing::warn!(%error, key = &*key, "cannot write the status of a policy");
                self.pending.insert(key);
            }
        }
    }
}

impl PolicyController {
    /// Publishes the policies of a state of the store.
    async fn publish(&mut self, snapshot: &StoreSnapshot) {
        let mut bindings: BTreeMap<String, Vec<Arc<BindingEntry>>> = BTreeMap::new();
        for record in snapshot.range(BINDING_PREFIX, None) {
            if let Some(object) = read(record) {
                let binding = BindingEntry::from_spec(meta::text(&object, "name"), &object["spec"]);
                let of_policy = bindings.entry(binding.policy.clone()).or_default();
                of_policy.push(Arc::new(binding));
            }
        }
        let mut compiled = BTreeMap::new();
        let mut entries = Vec::new();
        let records: Vec<Arc<StoredRecord>> =
            snapshot.range(POLICY_PREFIX, None).cloned().collect();
        for record in records {
            let Some(object) = read(&record) else {
                continue;
            };
            if object["status"]["observedGeneration"].as_i64() != Some(meta::generation(&object)) {
                self.pending.insert(Arc::clone(&record.key));
            }
            let entry = self.compile(&record.key, object).await;
            if let Some(bindings) = bindings.remove(&entry.policy.name) {
                entries.push(PolicyEntry {
                    policy: Arc::clone(&entry.policy),
                    bindings,
                });
            }
            compiled.insert(Arc::clone(&record.key), entry);
        }
        self.compiled = compiled;
        self.published_revision = snapshot.revision();
        self.server
            .policies
            .store(Arc::new(PolicySnapshot { entries }));
    }

    /// Compiles a policy, unless that has been done.
    async fn compile(&mut self, key: &Arc<str>, object: Value) -> CompiledEntry {
        let (uid, generation) = (meta::text(&object, "uid"), meta::generation(&object));
        if let Some(entry) = self.compiled.remove(key)
            && entry.uid == uid
            && entry.generation == generation
        {
            return entry;
        }
        let uid = uid.to_owned();
        let policy = run_blocking(move || {
            let name = meta::text(&object, "name");
            Arc::new(PolicyDefinition::compile(name, &object["spec"]))
        })
        .await;
        CompiledEntry {
            uid,
            generation,
            policy,
        }
    }

    /// Writes the status of a policy unless it is up to date.
    async fn write_status(&self, key: &str) -> Result<(), records::RecordError> {
        let Some(record) = self.server.store.snapshot().get(key).cloned() else {
            return Ok(());
        };
        let mut object = records::read(&record)?;
        let generation = meta::generation(&object);
        if object["status"]["observedGeneration"].as_i64() == Some(generation) {
            return Ok(());
        }
        let (registry, spec) = (self.server.registry.load_full(), object["spec"].clone());
        let checking = run_blocking(move || type_check::check(&registry, &spec)).await;
        let Some(status) = object
            .as_object_mut()
            .map(|fields| fields.entry("status").or_insert_with(|| json!({})))
            .and_then(Value::as_object_mut)
        else {
            return Ok(());
        };
        status.insert("observedGeneration".to_owned(), generation.into());
        status.insert("typeChecking".to_owned(), checking);
        match record_writes::replace(&self.server, &record, &object, false).await {
            // The event of the other write follows.
            Err(error) if error.is_conflict() => Ok(()),
            result => result.map(|_| ()),
        }
    }
}

/// Returns a stored object; logs one that cannot be read.
fn read(record: &StoredRecord) -> Option<Value> {
    records::read(record)
        .inspect_err(|error| tracing::error!(%error, "cannot read an admission policy"))
        .ok()
}
